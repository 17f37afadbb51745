"""What becomes of a save that has failed on a host, and must not have happened."""

from collections.abc import Callable, Iterator, Sequence
from typing import cast

from resto.exceptions import HostUnavailableError, ReplicationError, UnexpectedStatusCode
from resto.outcomes import Outcome
from resto.record import leases as pending
from resto.record.changes import Change, holding


__all__ = ["undone", "with_consequence"]

# Statuses after which no server has stored anything: credentials, permission, size.
_REFUSALS = frozenset({401, 403, 413})


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
        yield outcome if pending.may_still_land(outcome.error) else by_host.get(outcome.host, outcome)


def _has_refused(error: Exception | None) -> bool:
    if isinstance(error, HostUnavailableError):
        return not error.ambiguous
    return isinstance(error, UnexpectedStatusCode) and error.status in _REFUSALS
