"""What happens at the same time, and transports that mix it up."""

import os
import time

import pytest

from kit.contracts import Mutants, keeps, promises
from kit.folder_transport import Folder, path_of
from resto.exceptions import HostUnavailableError
from resto.testing import TransportContract
from resto.testing.transport_contract.concurrency import Concurrency


BROKEN = Mutants()
breaks = BROKEN.breaks


@pytest.mark.parametrize("mutant", BROKEN, ids=str)
def test_broken_promise_is_found(finds, mutant):
    assert finds(mutant)


def test_every_promise_has_been_broken():
    assert {*promises(Concurrency)} <= {mutant.promise for mutant in BROKEN} <= {*promises(TransportContract)}


def test_readers_may_see_a_part_where_nothing_else_is_promised(suite, host, request):
    suite.replaces_at_once = False
    keeps(suite, "test_readers_see_whole_files", request, transport_and_host=(WritesInPlace.build(), host))


@breaks("test_threads_may_share_it")
class MixesThreads(Folder):
    def create(self, host, name, content):
        self.name = name
        time.sleep(0.002)
        return super().create(host, self.name, content)


@breaks("test_forked_child_may_use_it")
class IsTiedToItsProcess(Folder):
    def __init__(self, base_url, *, timeout=2):
        super().__init__(base_url, timeout=timeout)
        self.process = os.getpid()

    def open(self, host, name):
        if os.getpid() != self.process:
            raise HostUnavailableError(host, name, "download", "the thread that does this is in another process")
        return super().open(host, name)


@breaks("test_readers_see_whole_files")
class WritesInPlace(Folder):
    def create(self, host, name, content):
        with path_of(host, name).open("wb") as file:
            for start in range(0, len(content), 100_000):
                file.write(content[start : start + 100_000])
                time.sleep(0.001)
        return True
