"""Failures, and transports that hide them, or tell too much."""

import logging
import time
from contextlib import suppress

import pytest

from kit.contracts import Mutants, keeps, promises
from kit.folder_transport import SECRET, Folder, path_of
from resto.exceptions import HostUnavailableError, RemoteFileNotFoundError, TransportError
from resto.testing import TransportContract
from resto.testing.transport_contract.failures import Failures


BROKEN = Mutants()
breaks = BROKEN.breaks


@pytest.mark.parametrize("mutant", BROKEN, ids=str)
def test_broken_promise_is_found(finds, mutant):
    assert finds(mutant)


def test_every_promise_has_been_broken():
    assert {*promises(Failures)} <= {mutant.promise for mutant in BROKEN} <= {*promises(TransportContract)}


@pytest.mark.parametrize(
    ("attribute", "promise"),
    [
        ("unreachable_host", "test_unreachable_host_is_an_error"),
        ("silent_host", "test_silent_host_is_an_error"),
        ("host_with_path", "test_hosts_of_one_server_share_no_file"),
        ("secret", "test_secret_never_shows"),
    ],
)
def test_what_the_suite_is_not_told_is_skipped(suite, host, request, attribute, promise):
    setattr(suite, attribute, None)
    with pytest.raises(pytest.skip.Exception, match=f"TransportContract has no '{attribute}'"):
        keeps(suite, promise, request, transport_and_host=(Folder.build(), host))


@breaks("test_unreachable_host_is_an_error", "test_silent_host_is_an_error")
class TakesSilenceForAbsence(Folder):
    def exists(self, host, name):
        return path_of(host, name).is_file()


@breaks("test_unreachable_host_is_an_error")
class SwallowsErrors(Folder):
    def delete(self, host, name):
        with suppress(TransportError):
            return super().delete(host, name)
        return False


@breaks("test_unreachable_host_is_an_error")
class RaisesSomethingElse(Folder):
    def create(self, host, name, content):
        try:
            return super().create(host, name, content)
        except HostUnavailableError as error:
            raise ConnectionError(host) from error


@breaks("test_unreachable_host_is_an_error")
class KnowsNoDifference(Folder):
    def size(self, host, name):
        try:
            return super().size(host, name)
        except HostUnavailableError as error:
            raise TransportError(host, name, "size", error.problem) from error


@breaks("test_unreachable_host_is_an_error")
class HasNoHurry(Folder):
    def delete(self, host, name):
        time.sleep(1.2)
        return super().delete(host, name)


class UnpicklableError(RemoteFileNotFoundError):
    def __init__(self, host, name, action, *, path):
        super().__init__(host, name, action, f"there is no {path}")


@breaks("test_errors_can_be_pickled")
class CannotBePickled(Folder):
    def size(self, host, name):
        raise UnpicklableError(host, name, "size", path=path_of(host, name))


@breaks("test_secret_never_shows")
class TellsTheSecret(Folder):
    def size(self, host, name):
        raise RemoteFileNotFoundError(host, name, "size", f"the host refused {SECRET}")


@breaks("test_secret_never_shows")
class ChainsTheSecret(Folder):
    def size(self, host, name):
        try:
            raise ValueError(SECRET)
        except ValueError as error:
            raise self.lost(host, name, "size") from error


@breaks("test_secret_never_shows")
class LogsTheSecret(Folder):
    def size(self, host, name):
        logging.getLogger("folder").debug("Logging in with %s.", SECRET)
        return super().size(host, name)


@breaks("test_secret_never_shows")
class ShowsTheSecret(Folder):
    def __repr__(self):
        return f"ShowsTheSecret({SECRET!r})"


@breaks("test_stranger_is_one_more_transport")
class IsItsOwnStranger(Folder):
    def without_credentials(self):
        return self


@breaks("test_stranger_is_one_more_transport")
class HasAnotherKindOfStranger(Folder):
    def without_credentials(self):
        return "anonymous"


@breaks("test_stranger_is_one_more_transport")
class IsClosedByTheStranger(Folder):
    def without_credentials(self):
        stranger = Folder.build()
        stranger.close = lambda: setattr(self, "create", None)
        return stranger
