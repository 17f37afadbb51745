"""Leases: rows of one name that belong to whoever changes it, from before the change until hosts have followed."""

import logging
import threading
import time
from collections.abc import Iterable, Sequence
from typing import Any

from django.db import DatabaseError

from resto.exceptions import (
    ConfigurationError,
    HostUnavailableError,
    LeaseLostError,
    UndecidedError,
)
from resto.executors.queue import retry_delay
from resto.names import shown
from resto.outcomes import Outcome
from resto.record import rows
from resto.record.meaning import cause_of_refusal, is_done, may_still_land, problem_of, wanted_rest
from resto.record.rests import MAX_DOUBLINGS, Reached, durations, hasten, lease_seconds
from resto.record.rows import Row, in_parts
from resto.record.settled import SETTLED


__all__ = [
    "Lease",
    "forget_leases",
    "lease_seconds",
    "release_leases",
    "settle_leases",
    "skip_leases",
]

logger = logging.getLogger("resto")

_MAX_ERROR = 1_000  # characters of an error that are kept

_UNDECIDED_DELAY = 30.0  # seconds at most, until it is asked again what a host should have

# Hosts that this process could not reach; when one answers again, what it has missed becomes due.
_unreachable: set[str] = set()

# Hosts that answer again -> how far this process has made due what they have missed.
_hastened: dict[str, Reached] = {}

# Injected by tests. The first is what the machines of a site share, the second never jumps.
clock = time.time
monotonic = time.monotonic


class Lease:
    """Rows of one name, one for each of several hosts, that belong to whoever holds this.

    May be used by several threads.

    Args:
        token: What the rows say of their owner.
        hosts: Whose rows they are.
        attempts: How often each has failed before.
        rests_until: Until then the rows stay, whatever becomes of them: an old request may arrive after a new one.

    Attributes:
        token: What the rows say of their owner.
        seconds: How long the rows belong to this, from when it was opened or renewed.
        behind: Hosts that have missed a deletion of the name; see `take_over`.
        settles_all: Whether nothing is settled unless all rows still belong to this. Without a master copy, a host is compared
            with others, and what somebody else has made of these after the lease had ended is not known.
        caught_up: Hosts for which nothing was pending when a worker came; see `adopt_lease`.
        created: When its rows were opened, as they say.
        in_doubt: Whether hosts may have carried out what was sent to them before, although they gave no answer in time.
        staying: Hosts whose rows stay even if they have followed, as they have lost their files, and may get them back; and why.
        settles_later: Whether rows of hosts that have followed may stay for a moment; see `resto.record.settled`.
    """

    def __init__(self, token: str, hosts: Iterable[str], attempts: int = 0, rests_until: float = 0.0) -> None:
        self.token = token
        self._mine: dict[str, Any] = {"owner = %s": token}
        self._hosts = set(hosts)
        self._attempts = attempts
        self._latest: frozenset[str] | None = None
        self._rests_until = rests_until
        self.behind: frozenset[str] = frozenset()
        self.settles_all = False
        self._left_alone = 0.0  # seconds for which the host wants to be
        self._taken = 0  # rows of earlier deletions, of which a host may have several
        self.caught_up: frozenset[str] = frozenset()
        self.created = 0.0
        self.in_doubt = False
        self.staying: dict[str, str] = {}
        self.settles_later = False
        self._lock = threading.Lock()
        self.seconds = lease_seconds()
        self._renewed = monotonic()

    @property
    def attempts(self) -> int:
        """How often the rows have failed before, or were handed to a task queue."""
        return self._attempts

    @property
    def hosts(self) -> frozenset[str]:
        """Whose rows are still to be settled."""
        return frozenset(self._hosts)

    def keep(self) -> None:
        """Make sure that the rows still belong to this, before something is written.

        Renews the lease in time; costs nothing otherwise.

        Raises:
            LeaseLostError: They do not, and it must not be written.
        """
        if monotonic() - self._renewed > self.seconds / 3:
            with self._lock:
                self._keep()

    def _keep(self) -> None:
        began, now = monotonic(), clock()
        passed = began - self._renewed
        if passed <= self.seconds / 3:
            return
        # Those of hosts that have followed may be left over, and say nothing of the others.
        mine = self._mine if self._taken else self._mine | {"host IN %s": [*self._hosts]}
        try:
            held = rows.update(mine, quiet_until=now + self.seconds, due=now + self.seconds)
        except DatabaseError as error:
            if passed > self.seconds * 2 / 3:
                raise LeaseLostError("the record cannot be reached to renew the lease") from error
            return  # there is time to try again
        if held < len(self._hosts) + self._taken:
            raise LeaseLostError("somebody else has taken over, as the lease was not renewed in time")
        self._renewed = began
        self._keep()  # once more, if that has taken long

    def settle(self, outcomes: Iterable[Outcome]) -> bool:
        """Record what became of the hosts: nothing remains of those that are equal to the master copy now.

        A record that fails is logged. The rows then remain, and become due when the lease ends.

        Args:
            outcomes: One for each host that is done with.

        Returns:
            Whether the change counts. Without a master copy, one that a host has missed counts only if that is recorded.
        """
        outcomes = list(outcomes)
        done = [outcome.host for outcome in outcomes if self._is_done(outcome)]
        failed = [outcome for outcome in outcomes if not self._is_done(outcome)]
        is_recorded = False
        try:
            with self._lock:
                if self.settles_all:
                    self._keep()
                self._hosts -= {outcome.host for outcome in outcomes}
                for outcome in failed:
                    self._put_back(outcome)
                if done:
                    self._clear(done, has_failed=bool(failed))
            is_recorded = True
            _hasten_again(done)
        except (DatabaseError, ConfigurationError, LeaseLostError):
            logger.exception("Failed to record what became of %s.", shown(outcomes[0].name))
        _unreachable.difference_update(done)
        _unreachable.update(outcome.host for outcome in failed if isinstance(outcome.error, HostUnavailableError))
        return is_recorded or not failed or not self.settles_all

    def _is_done(self, outcome: Outcome) -> bool:
        return is_done(outcome) and outcome.host not in self.staying

    def _clear(self, hosts: list[str], *, has_failed: bool) -> None:
        mine = self._mine | ({"host IN %s": hosts} if self._hosts or has_failed else {})
        if self._rests_until > clock():
            rows.update(mine, quiet_until=self._rests_until, due=self._rests_until)
        elif self._latest is None:
            # Where a host has failed, the others must not look as if they were behind, too.
            if has_failed or not self.settles_later or not SETTLED.take(self.token, hosts):
                rows.delete(mine)
        elif rows.delete(mine | {"latest IN %s": [*self._latest]}) < len(hosts):
            _put_back_now(mine)

    def _put_back(self, outcome: Outcome) -> None:
        now, mine = clock(), self._mine | {"host = %s": outcome.host}
        quiet_until = max(self._rests_until, now + durations()[1] if may_still_land(outcome.error) else 0.0)
        self._left_alone = wanted_rest(outcome.error)
        delay = self.delay()
        if isinstance(outcome.error, UndecidedError):
            delay = min(delay, _UNDECIDED_DELAY)  # it is not this host that is waited for
        times = {"quiet_until": quiet_until, "due": max(quiet_until, now + delay)}
        cause = cause_of_refusal(outcome.error)
        if cause is None:
            problem = self.staying[outcome.host] if outcome.error is None else problem_of(outcome.error)
            rows.update(mine, "attempts = attempts + 1", **times, error=problem[:_MAX_ERROR])
        else:
            rows.update(mine, "attempts = attempts + 1", **times)
            rows.update(mine | {"error = %s": ""}, error=problem_of(cause)[:_MAX_ERROR])

    def delay(self) -> float:
        """Return how many seconds to wait until the next try, if this one fails; no less than the host has asked for."""
        return max(retry_delay(self._attempts), self._left_alone)

    def expect(self, latest: Iterable[str]) -> None:
        """Let rows become due again, instead of removing them, if another change has followed.

        Args:
            latest: The last changes of the name that are known now.
        """
        self._latest = frozenset(latest)

    def overrule(self, storage: str, name: str) -> None:
        """Tell all other rows of a name that this deletion has followed.

        Args:
            storage: Alias of the storage in ``STORAGES``.
            name: The file's name.
        """
        others = {**rows.of_name(storage, name), "owner <> %s": self.token}
        rows.update(others, latest=self.token, present=False)

    def take_over(self, storage: str, name: str) -> list[Row] | None:
        """Make the rows of deletions that hosts have missed part of this change, which begins a new file of that name.

        Args:
            storage: Alias of the storage in ``STORAGES``.
            name: The file's name.

        Returns:
            All rows of the name, oldest first; None if anything else is pending for it, or has been opened since the rows of
            this: requests may be under way, and what is younger may be a deletion that counts already.
        """
        now = clock()
        found = rows.select(rows.of_name(storage, name))
        others = [row for row in found if row.owner != self.token]
        if not others:
            return found
        if not _are_older(others, [row for row in found if row.owner == self.token]):
            return None
        self.behind = frozenset(row.host for row in others)
        until = now + self.seconds
        missed = {"id IN %s": [row.id for row in others], "present = %s": False, "quiet_until <= %s": now}
        taken = rows.update(missed, owner=self.token, latest=self.token, present=True, quiet_until=until, due=until)
        if taken < len(others):
            return None
        self._taken = taken
        return [row._replace(owner=self.token, latest=self.token, present=True) for row in found]

    def revoke(self) -> bool:
        """Record that the change is about to be undone; return False, and record nothing, if another one has followed."""
        with self._lock:
            latest = self._mine | {"latest = %s": self.token}
            if rows.update(latest | {"opened_by = %s": self.token}, present=False) < len(self._hosts):
                return False
            if self.behind:
                rows.update(latest, present=False)
            return True

    def expect_absence(self, name: str) -> None:
        """Record that the master copy is about to have no file after all.

        A record that fails is logged. Then a drain makes hosts equal only if the master copy has other files.

        Args:
            name: The file's name.
        """
        try:
            with self._lock:
                rows.update(self._mine, present=False)
        except DatabaseError:
            logger.exception("Failed to record what became of %s.", shown(name))

    def hand_over(self, leases: int | None = None) -> None:
        """Let whoever gets the token take over the rows at once; others leave them alone for some leases.

        It may wait in a long queue. If it were handed over again and again meanwhile, the queue would only grow.

        Args:
            leases: How many; None for more each time.
        """
        now = clock()
        patience = self.seconds * (2 ** min(self._attempts, MAX_DOUBLINGS) if leases is None else leases)
        with self._lock:
            more = {"opened_by": self.token, "quiet_until": now, "due": now + patience}
            rows.update(self._mine, "attempts = attempts + 1", **more)

    def release(self, seconds: float) -> None:
        """Leave the rows to others: nothing was sent.

        Args:
            seconds: When they are due.
        """
        with self._lock:
            release_leases([self], seconds)

    def forget(self) -> None:
        """Remove the rows: nothing was changed. Those that were taken over are left to others again."""
        with self._lock:
            if not self.behind:
                rows.delete(self._mine)
                return
            rows.delete(self._mine | {"opened_by = %s": self.token})
            rows.update(self._mine, present=False, quiet_until=0.0, due=clock())


def _are_older(found: Sequence[Row], own: Sequence[Row]) -> bool:
    return max(row.id for row in found) < min((row.id for row in own), default=0)


def settle_leases(settled: Sequence[tuple[Lease, Outcome]]) -> None:
    """Record what became of hosts that each have a lease of their own; what is equal now goes in one statement.

    Args:
        settled: Leases, and what happened to the hosts that they are for.
    """
    done = {lease: outcome.host for lease, outcome in settled if lease._is_done(outcome)}  # noqa: SLF001
    try:
        for leases in in_parts([*done]):
            _clear_all(leases)
        # Not a visitor's request: whoever settles many leases goes on with it.
        _hasten_again(done.values(), go_on=True)
    except (DatabaseError, ConfigurationError):
        logger.exception("Failed to record what became of %s.", shown(settled[0][1].name))
    _unreachable.difference_update(done.values())
    for lease, outcome in settled:
        if lease not in done:
            lease.settle([outcome])


def _clear_all(leases: Sequence[Lease]) -> None:
    free = [lease.token for lease in leases if lease._latest is None]  # noqa: SLF001 - the same module
    bound = {lease.token: lease._latest for lease in leases if lease._latest is not None}  # noqa: SLF001
    if free:
        rows.delete({"owner IN %s": free})
    if bound:
        # A change is of one name only, so that those of all names can be thrown together.
        latest = frozenset[str]().union(*bound.values())
        for part in in_parts([*latest]):
            rows.delete({"owner IN %s": [*bound], "latest IN %s": part})
        _put_back_now({"owner IN %s": [*bound]})


def _put_back_now(where: dict[str, Any]) -> None:
    rows.update(where, quiet_until=0.0, due=clock())


def _hasten_again(hosts: Iterable[str], *, go_on: bool = False) -> None:
    """Make due what hosts have missed that answer again: one part of it, or another one each time."""
    for host in {*hosts}:
        if host in _unreachable:
            _hastened[host] = Reached()
        reached = _hastened.pop(host, None)
        following = None if reached is None else hasten(host, clock(), reached)
        if following is not None and go_on:
            _hastened[host] = following


def forget_leases(leases: Sequence[Lease]) -> None:
    """Remove the rows of changes of which nothing remains to be done, in few statements.

    Args:
        leases: What holds them.
    """
    for part in in_parts(leases):
        rows.delete({"owner IN %s": [lease.token for lease in part]})


def release_leases(leases: Sequence[Lease], seconds: float, **renamed: str) -> None:
    """Leave rows to others, in few statements: nothing was sent.

    Args:
        leases: What holds them.
        seconds: When they are due.
        **renamed: The ``host``, if the settings spell it otherwise by now.
    """
    now = clock()
    for part in in_parts(leases):
        mine = {"owner IN %s": [lease.token for lease in part]}
        rows.update(mine, quiet_until=0.0, due=now + seconds, **renamed)


def skip_leases(leases: Sequence[Lease], tried: Lease) -> None:
    """Leave rows to others, in few statements: their host could not be reached.

    They are due when the name that was tried is, and count as tried as often: each of them may be the next one that is.

    Args:
        leases: What holds them.
        tried: What holds the rows of the name that was tried.
    """
    due, attempts = clock() + tried.delay(), tried._attempts + 1  # noqa: SLF001 - the same module
    for part in in_parts(leases):
        mine = {"owner IN %s": [lease.token for lease in part]}
        as_often = f"attempts = CASE WHEN attempts < {attempts:d} THEN {attempts:d} ELSE attempts END"
        rows.update(mine, as_often, quiet_until=0.0, due=due)
