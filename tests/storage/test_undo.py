"""What becomes of a save that has failed on a host."""

import pytest

from resto.exceptions import (
    ConfigurationError,
    HostUnavailableError,
    RemoteRefusedError,
    ReplicationError,
    TransportError,
    UnexpectedStatusCode,
)
from resto.outcomes import Outcome
from resto.storage.undo import undone, with_consequence


def outcome(host, error=None):
    return Outcome("upload", host, "a", 0.1, None if error else False, error)


def status(code):
    return UnexpectedStatusCode("h1", "a", "upload", code, str(code))


SILENT = HostUnavailableError("h1", "a", "upload", "no answer", ambiguous=True)
REFUSED = HostUnavailableError("h1", "a", "upload", "refused")


class Change:
    lease = None

    def settle(self, outcomes):
        self.settled = {outcome.host: outcome for outcome in outcomes}


def undo(error, fails=()):
    """Undo a save that failed on one of two hosts; return the hosts that were asked to, what was settled, and the error."""
    asked, change = [], Change()

    def withdraw(hosts):
        asked.extend(hosts)
        return [
            Outcome(
                "delete", host, "a", 0.1, True, TransportError(host, "a", "delete", "no") if host in fails else None
            )
            for host in hosts
        ]

    failed = ReplicationError("upload", "a", [outcome("h1", error), outcome("h2")])
    return asked, undone(failed, change, withdraw), change.settled


@pytest.mark.parametrize(
    "error",
    [
        *(REFUSED, status(401), status(403), status(413)),
        *(RemoteRefusedError("h1", "a", "upload", "it is full"), ConfigurationError("h1 is of another site")),
    ],
    ids=str,
)
def test_host_that_has_stored_nothing_is_not_asked(error):
    """It stays pending: it may have an older file of that name."""
    asked, _, settled = undo(error)
    assert asked == ["h2"]
    assert settled["h1"].error is error
    assert settled["h2"].ok


@pytest.mark.parametrize("error", [status(500), status(507), TransportError("h1", "a", "upload", "cut")], ids=str)
def test_host_that_may_have_stored_something_is_asked(error):
    asked, _, settled = undo(error)
    assert asked == ["h1", "h2"]
    assert settled["h2"].ok


def test_upload_that_may_follow_its_deletion_is_not_settled():
    asked, _, settled = undo(SILENT)
    assert asked == ["h1", "h2"]
    assert settled["h1"].error is SILENT


def test_error_says_what_became_of_the_save():
    assert str(undo(REFUSED)[1]) == "upload of 'a' failed on 1 of 2 hosts: h1: refused (the save was undone)"
    assert str(undo(REFUSED, fails=["h2"])[1]).endswith("(the save was undone, except on h2)")


def test_consequence():
    error = ReplicationError("upload", "a", [outcome("h1", REFUSED)])
    assert with_consequence(error, "so what").consequence == "so what"
    assert with_consequence(error, "so what").outcomes == error.outcomes
