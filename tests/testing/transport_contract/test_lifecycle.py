"""How transports are made and closed, and some in which that is broken."""

import random
import socket
from contextlib import suppress

import pytest

from kit.contracts import Mutants, keeps, promises
from kit.folder_transport import Folder
from resto.testing import TransportContract
from resto.testing.transport_contract.lifecycle import Lifecycle


BROKEN = Mutants()
breaks = BROKEN.breaks


@pytest.mark.parametrize("mutant", BROKEN, ids=str)
def test_broken_promise_is_found(finds, mutant):
    assert finds(mutant)


def test_every_promise_has_been_broken():
    assert {*promises(Lifecycle)} <= {mutant.promise for mutant in BROKEN} <= {*promises(TransportContract)}


def test_constructor_may_need_an_option(suite, host, request):
    class NeedsAnOption(Folder):
        def __init__(self, base_url, *, account, timeout=2):
            super().__init__(base_url, timeout=timeout)

    transport = NeedsAnOption("/media/", account="media")
    for promise in ("test_constructor_takes_what_storages_give", "test_constructor_touches_no_network"):
        keeps(suite, promise, request, transport_and_host=(transport, host))


def test_identities_are_compared_only_with_a_host_that_is_known(suite, host, request):
    suite.unreachable_host = None
    keeps(suite, "test_host_has_an_identity", request, transport_and_host=(IdentifiesNothing.build(), host))


@breaks("test_constructor_takes_what_storages_give")
class TakesNoTimeout(Folder):
    def __init__(self, base_url):
        super().__init__(base_url)

    @classmethod
    def build(cls):
        return cls("/media/")


@breaks("test_constructor_takes_what_storages_give")
class ForgetsTheTimeout(Folder):
    def __init__(self, base_url, *, timeout=2):
        super().__init__(base_url, timeout=0)


@breaks("test_constructor_touches_no_network")
class Connects(Folder):
    def __init__(self, base_url, *, timeout=2):
        super().__init__(base_url, timeout=timeout)
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", 1))


@breaks("test_constructor_touches_no_network")
class EvaluatesTheUrl(Folder):
    def __init__(self, base_url, *, timeout=2):
        super().__init__(str(base_url), timeout=timeout)


@breaks("test_flags_are_booleans")
class IsNotSure(Folder):
    supports_listdir = None


@breaks("test_host_has_an_identity")
class IdentifiesNothing(Folder):
    def identify(self, host):
        return ""


@breaks("test_host_has_an_identity")
class IdentifiesByChance(Folder):
    def identify(self, host):
        return str(random.random())


@breaks("test_public_url_is_that_of_a_directory")
class LeadsToAFile(Folder):
    def public_url(self, host):
        return f"https://{host}"


@breaks("test_local_path_is_where_files_are")
class IsSomewhereElse(Folder):
    def local_path(self, host):
        return f"{host}/.."


@breaks("test_close_is_not_the_end")
class IsClosedForEver(Folder):
    is_closed = False

    def close(self):
        self.is_closed = True

    def open(self, host, name):
        if self.is_closed:
            raise ValueError("the transport is closed")
        return super().open(host, name)
