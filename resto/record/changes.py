"""Changes of a name: each is recorded before it, and settled after the hosts have followed."""

import logging
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import replace
from functools import partial
from typing import Any, Protocol, TypeVar

from django.db import DatabaseError

from resto.courses import Course
from resto.exceptions import ConfigurationError, LeaseLostError, UndecidedError
from resto.names import shown
from resto.outcomes import Outcome
from resto.record.attempts import note_missed
from resto.record.database import is_part_of_test, is_part_of_transaction
from resto.record.leases import Lease, lease_seconds


__all__ = [
    "Change",
    "Recorded",
    "call_holding",
    "course_holding",
    "current_lease",
    "holding",
    "is_decided",
    "settled_together",
]

logger = logging.getLogger("resto")

T = TypeVar("T")


class Recorded(Protocol):
    """What a change needs to know of a storage."""

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts as they stand in the settings."""

    def open_lease(self, name: str, hosts: tuple[str, ...], *, present: bool) -> Lease | None:
        """Record that hosts are about to differ for a name; return None where nothing is recorded."""

    def left_out(self, lease: Lease) -> frozenset[str]:
        """Return the hosts that do not count for a change; see `resto.record.left_out`."""

    def execute(self, func: Callable[..., Any], name: str, *args: Any) -> Iterable[Outcome] | None:
        """Run an action on all hosts; return None if nobody knows yet what comes of it."""


class Change:
    """One change of a name: recorded before it, and settled after the hosts have followed."""

    def __init__(self, storage: Recorded, *, present: bool) -> None:
        self._storage = storage
        self._present = present
        self._hosts: tuple[str, ...] = ()
        self.lease: Lease | None = None

    @property
    def behind(self) -> frozenset[str]:
        """Hosts that may have an older file, which they should have deleted."""
        return frozenset() if self.lease is None else self.lease.behind

    def announce(self, name: str, hosts: tuple[str, ...] | None = None) -> None:
        """Record that hosts are about to differ for a name, and not for the one that was announced before."""
        self.forget()
        self._hosts = self._storage.hosts if hosts is None else hosts
        self.lease = self._storage.open_lease(name, self._hosts, present=self._present)

    def confirm(self, name: str) -> None:
        """Record the change once more, after it, if somebody else has taken over before.

        They may have looked at the master copy too early: that is possible if this process has stood still for as long as a
        lease lasts. A record that cannot be reached has kept the row.
        """
        if self.lease is None:
            return
        try:
            self.lease.keep()
        except LeaseLostError:
            with suppress(DatabaseError):
                self.lease = self._storage.open_lease(name, self._hosts, present=self._present)

    def forget(self) -> None:
        """Remove the record: nothing was changed."""
        if self.lease is not None:
            self.lease.forget()

    def leave(self, name: str) -> None:
        """Leave it to drains to let the hosts follow: nothing is sent now."""
        if self.lease is None:
            return
        with suppress(DatabaseError):  # the rows are due when the lease ends
            self.lease.release(lease_seconds())
        if is_part_of_transaction():
            note_missed(partial(self._leave_again, name))

    def _leave_again(self, name: str) -> None:
        again = Change(self._storage, present=self._present)
        again.announce(name, self._hosts)
        again.leave(name)

    def take_back(self, name: str) -> None:
        """Make sure that nobody else may write to the hosts, and record that the master copy is about to have no file."""
        self._present = False
        if self.lease is not None:
            self.lease.keep()
            self.lease.expect_absence(name)

    def revoke(self) -> bool:
        """Record that the change is about to be undone; return False if another one has followed, and it must stay."""
        self._present = not (is_undone := self.lease is None or self.lease.revoke())
        return is_undone

    def execute(self, func: Callable[..., Any], name: str, *args: Any) -> list[Outcome]:
        """Let the hosts follow, and settle, unless that failed or nobody knows yet.

        Returns:
            What happened on each host, if the change does not count: see `Lease.settle`. Else nothing.
        """
        with holding(self.lease):
            outcomes = self._storage.execute(func, name, *args)
        if outcomes is None:
            return []
        outcomes = list(outcomes)
        return [] if self.settle(outcomes) else outcomes

    def settle(self, outcomes: Iterable[Any]) -> bool:
        """Record what became of the hosts; return whether the change counts."""
        if self.lease is None:
            return True
        outcomes = list(outcomes)
        try:
            outcomes = self._kept_for_those_that_count(self.lease, outcomes)
        except (DatabaseError, ConfigurationError):
            logger.exception("Failed to record what became of %s.", shown(outcomes[0].name))
            return False
        missed = [outcome for outcome in outcomes if not outcome.ok]
        if missed and is_part_of_transaction():
            note_missed(partial(self._record_again, missed))
        return self.lease.settle(outcomes)

    def _record_again(self, missed: list[Outcome]) -> None:
        """Record what hosts have missed, after a rollback that has taken the rows along."""
        again = Change(self._storage, present=self._present)
        again.announce(missed[0].name, tuple(outcome.host for outcome in missed))
        again.settle(missed)

    def _kept_for_those_that_count(self, lease: Lease, outcomes: list[Outcome]) -> list[Outcome]:
        """Let the rows of hosts that are left out stay, if no other host has followed: it would be repaired from nothing."""
        if all(outcome.ok for outcome in outcomes):
            return outcomes
        left_out = self._storage.left_out(lease)
        if any(outcome.ok and outcome.host not in left_out for outcome in outcomes):
            return outcomes
        return [_alone(outcome) if outcome.ok else outcome for outcome in outcomes]


def _alone(outcome: Outcome) -> Outcome:
    error = UndecidedError(
        outcome.host, outcome.name, outcome.action, "it is being filled, and no host that counts has followed"
    )
    return replace(outcome, error=error, value=None)


# The lease under which what is called now may write to hosts; None where it was found that nothing is recorded of it.
_held: ContextVar[Lease | None] = ContextVar("resto_lease")

_UNDECIDED: Any = object()


class holding:  # noqa: N801 - a context, of which a generator would take several times as long
    """Let what is called meanwhile write to hosts under a lease, or under none where nothing is recorded of it."""

    __slots__ = ("_lease", "_token")

    def __init__(self, lease: Lease | None) -> None:
        self._lease = lease

    def __enter__(self) -> None:
        self._token = _held.set(self._lease)

    def __exit__(self, *exc_info: object) -> None:
        _held.reset(self._token)


def call_holding(lease: Lease | None, call: Callable[[], T]) -> T:
    """Return the result of a call that may write to hosts under a lease."""
    token = _held.set(lease)
    try:
        return call()
    finally:
        _held.reset(token)


def course_holding(lease: Lease | None, course: Callable[[], Course[T]]) -> Course[T]:
    """Return the result of a course that may write to hosts under a lease."""
    started = course() if _held.get(_UNDECIDED) is lease else call_holding(lease, course)
    try:
        while True:
            # Whoever has several courses of a change may hold its lease all the time.
            yield next(started) if _held.get(_UNDECIDED) is lease else call_holding(lease, partial(next, started))
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]  # what the generator returns is a T
    finally:
        started.close()


def settled_together(lease: Lease, count: int) -> Callable[[Outcome], None]:
    """Return what collects outcomes, and settles when all are there, in one statement.

    It may be called in another thread, which cannot see the rows if they are part of the transaction of a test: these go with the test.
    """
    outcomes: list[Outcome] = []
    lock, is_of_test = threading.Lock(), is_part_of_test()

    def collect(outcome: Outcome) -> None:
        with lock:
            outcomes.append(outcome)
            complete = len(outcomes) == count
        if complete and (not is_of_test or is_part_of_test()):
            lease.settle(outcomes)

    return collect


def current_lease() -> Lease | None:
    """Return the lease under which what is called now may write to hosts; None if there is none."""
    return _held.get(None)


def is_decided() -> bool:
    """Return whether what is called now has been recorded, or was found to be what nothing is recorded of.

    That is found once for each change: a thread of an executor would find something else where a transaction of the caller has failed,
    or after a test that must not use the database.
    """
    return _held.get(_UNDECIDED) is not _UNDECIDED
