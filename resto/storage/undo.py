"""What becomes of changes that have failed on a host: they stay, or must not have happened."""

import errno
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

from resto.exceptions import (
    ConfigurationError,
    HostUnavailableError,
    RemoteDirectoryError,
    RemoteRefusedError,
    ReplicationError,
    UnexpectedStatusCode,
    os_error,
)
from resto.master.copy import MasterCopy
from resto.master.identity import ReplacedMeanwhileError
from resto.master.snapshots import Fingerprint
from resto.outcomes import Outcome
from resto.record.changes import Change, holding
from resto.record.meaning import may_still_land


__all__ = [
    "follow",
    "forgetting",
    "is_of_directory",
    "kept_because",
    "refusing_directories",
    "require_recorded",
    "undone",
    "undone_here",
    "with_consequence",
]

# Statuses after which no server has stored anything: credentials, permission, size.
_REFUSALS = frozenset({401, 403, 413})

_UNRECORDED = "it could not be recorded which hosts have followed, so that it does not count, and may be taken back"


def follow(change: Change, func: Callable[..., Any], name: str, consequence: str) -> None:
    """Let the hosts follow a change that stays, whatever becomes of them.

    Args:
        change: Has been made.
        func: As for `Change.execute`.
        name: The file's name.
        consequence: What has become of the file if they do not, a sentence fragment.

    Raises:
        ReplicationError: It failed on a host, and that is fatal; or it does not count.
    """
    try:
        unrecorded = change.execute(func, name)
    except ReplicationError as error:
        settled = change.settle(error.outcomes)
        raise with_consequence(error, consequence if settled else _UNRECORDED) from error.__cause__
    require_recorded(unrecorded)


def require_recorded(outcomes: Sequence[Outcome]) -> None:
    """Refuse to acknowledge a change without a master copy that has failed on a host, if nobody will know on which one.

    Args:
        outcomes: As `Change.execute` returns them.

    Raises:
        ReplicationError: There are any.
    """
    if outcomes:
        raise ReplicationError(outcomes[0].action, outcomes[0].name, outcomes, _UNRECORDED)


def undone(
    error: ReplicationError, change: Change, withdraw: Callable[[tuple[str, ...]], list[Outcome]]
) -> ReplicationError:
    """Undo a save on all hosts that may have the file, record what remains, and return the error that says so.

    Args:
        error: What went wrong.
        change: The save.
        withdraw: Makes hosts forget the file.
    """
    outcomes = cast("tuple[Outcome, ...]", error.outcomes)
    hosts = tuple(outcome.host for outcome in outcomes if not _has_refused(outcome.error))
    with holding(change.lease):
        withdrawn = withdraw(hosts)
    change.settle(_settled_by_undoing(outcomes, withdrawn))
    failed = ", ".join(outcome.host for outcome in withdrawn if not outcome.ok)
    return with_consequence(error, f"the save was undone, except on {failed}" if failed else "the save was undone")


def undone_here(
    error: ReplicationError,
    change: Change,
    master: MasterCopy,
    state: Fingerprint,
    withdraw: Callable[[tuple[str, ...]], list[Outcome]],
) -> ReplicationError:
    """Undo a save in the master copy, and then as `undone` does, unless somebody has changed the file since.

    Args:
        error: What went wrong.
        change: The save.
        master: The master copy.
        state: Of the file that was saved.
        withdraw: Makes hosts forget the file.
    """
    if master.fingerprint(error.name) != state:
        change.settle(error.outcomes)
        return with_consequence(error, "another save or delete has followed")
    change.take_back(error.name)
    master.delete(error.name)
    return undone(error, change, withdraw)


def kept_because(change: Change, outcomes: Sequence[Any]) -> str:
    """Return why a save without a master copy must not be undone, a sentence fragment; empty if it is about to be.

    Args:
        change: The save.
        outcomes: What happened on each host.
    """
    existed = [outcome.value and outcome.host not in change.behind for outcome in outcomes if outcome.ok]
    if any(existed):
        return "it has replaced a file on some hosts, and was not undone"
    return "" if change.revoke() else "a delete has followed"


def with_consequence(error: ReplicationError, consequence: str) -> ReplicationError:
    """Return an error that also says what became of the file."""
    error.__traceback__ = None  # as in `ReplicatedStorage.report`: its frames hold what was to be saved, and the error
    return ReplicationError(error.action, error.name, error.outcomes, consequence)


def _settled_by_undoing(outcomes: Sequence[Outcome], withdrawn: Sequence[Outcome]) -> Iterator[Outcome]:
    """Yield what a failed save and its undoing amount to on each host."""
    by_host = {outcome.host: outcome for outcome in withdrawn}
    for outcome in outcomes:
        # The upload may arrive after the deletion. And a host that has refused it may have an older file of that name, from
        # a save that this one has replaced and undone.
        yield outcome if may_still_land(outcome.error) else by_host.get(outcome.host, outcome)


def _has_refused(error: Exception | None) -> bool:
    if isinstance(error, HostUnavailableError):
        return not error.ambiguous
    if isinstance(error, UnexpectedStatusCode):
        return error.status in _REFUSALS
    return isinstance(error, ConfigurationError | RemoteRefusedError)


@contextmanager
def refusing_directories(change: Change, name: str) -> Iterator[None]:
    """Raise `IsADirectoryError` in place of what says that a host has a directory where a file was to be deleted.

    Args:
        change: The deletion, of which nothing remains pending unless a host has deleted a file.
        name: The file's name.
    """
    try:
        yield
    except ReplicationError as error:
        if not is_of_directory(error.outcomes):
            raise
        if not any(outcome.value for outcome in cast("tuple[Outcome, ...]", error.outcomes)):
            change.forget()
        raise os_error(
            IsADirectoryError, errno.EISDIR, f"{name!r} is a directory, and only files can be deleted"
        ) from error


def is_of_directory(outcomes: Sequence[Any]) -> bool:
    """Tell whether a host has a directory where a file was to be deleted."""
    return any(isinstance(outcome.error, RemoteDirectoryError) for outcome in outcomes)


class forgetting:  # noqa: N801 - a context, of which a generator would take several times as long
    """Remove the record of a change of the master copy if nothing was changed there, so that hosts have nothing to follow.

    Args:
        change: About to be made.
    """

    __slots__ = ("_change",)

    def __init__(self, change: Change) -> None:
        self._change = change

    def __enter__(self) -> None:
        """Nothing was changed so far."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, *exc_info: object) -> None:
        refused = isinstance(error, ConfigurationError) and not isinstance(error, ReplacedMeanwhileError)
        impossible = isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG
        if refused or impossible or isinstance(error, IsADirectoryError | NotADirectoryError):
            self._change.forget()
