"""The durable record: a row says "this host may differ from the master copy for this name".

Nothing is recorded of what was done, because operations that are done again later arrive in another order. Whoever changes
the master copy keeps these rules, each of which was found necessary by trying out all interleavings of few actors:

1. Write ahead: the row exists before the master copy changes. Else a crash in between is forgotten.
2. Look again: whoever has sent a file looks at the master copy again (`resto.storage.replication`). Else a slow upload arrives after
   the deletion that followed it.
3. Own rows only: nobody deletes a row that another one holds. Else one success erases the unfinished work of another.
4. Whoever writes to a host holds a lease, a drainer too. Else somebody else clears the row while a request is in flight.
5. Grace: after a failure that may have been none, a row is left alone until the old request cannot arrive any more.

Without a master copy, a row also says which change it is of, and which one it knows to be the last of the name: see `resto.record.truth`.

The rows are in the site's database (``RESTO_DATABASE``) if ``"resto"`` is in ``INSTALLED_APPS``. Without it, nothing is
recorded, and the rest works as before.
"""

import hashlib
import logging
import secrets
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from django.apps import apps
from django.db import DatabaseError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Count, Min, QuerySet

from resto.exceptions import (
    ConfigurationError,
    HostUnavailableError,
    LeaseLostError,
    RemoteFileNotFoundError,
    TransportError,
    UndecidedError,
    UnexpectedStatusCode,
)
from resto.executors.queue import retry_delay
from resto.outcomes import Outcome
from resto.record import rows
from resto.record.database import connected
from resto.record.rows import Row
from resto.settings import get_setting, remembered


if TYPE_CHECKING:
    from resto.models import Pending


__all__ = [
    "Backlog",
    "Lease",
    "PendingName",
    "adopt_lease",
    "backlog",
    "claim",
    "claim_name",
    "forget_leases",
    "hasten",
    "is_active",
    "may_still_land",
    "open_change",
    "open_lease",
    "open_leases",
    "release_leases",
    "rows_below",
    "rows_of_name",
    "rows_of_names",
    "settle_leases",
]

logger = logging.getLogger("resto")

T = TypeVar("T")

_MAX_ERROR = 1_000  # characters of an error that are kept

_UNDECIDED_DELAY = 30.0  # seconds at most, until it is asked again what a host should have

# How often the time is doubled that a task queue is given, which is a lease at first: it may also have lost the job.
_MAX_DOUBLINGS = 6

_MAX_ROWS = 300  # of one statement, with three values for each: older SQLite takes 999

# Hosts that this process could not reach; when one answers again, what it has missed becomes due.
_unreachable: set[str] = set()

# Injected by tests. The first is what the machines of a site share, the second never jumps.
clock = time.time
monotonic = time.monotonic


def is_active() -> bool:
    """Return whether changes are recorded: whether ``"resto"`` is in ``INSTALLED_APPS``, and the site has a database."""
    return apps.ready and _has_record()


@remembered
def _has_record() -> bool:
    return apps.is_installed("resto") and bool(connections[get_setting("DATABASE")].vendor != "unknown")


class Lease:
    """Rows of one name, one for each of several hosts, that belong to whoever holds this.

    May be used by several threads.

    Args:
        token: What the rows say of their owner.
        hosts: Whose rows they are.
        attempts: How often each has failed before.

    Attributes:
        token: What the rows say of their owner.
        seconds: How long the rows belong to this, from when it was opened or renewed.
        behind: Hosts that have missed a deletion of the name; see `take_over`.
    """

    def __init__(self, token: str, hosts: Iterable[str], attempts: int = 0) -> None:
        self.token = token
        self._hosts = set(hosts)
        self._attempts = attempts
        self._latest: frozenset[str] | None = None
        self._rests_until = 0.0
        self.behind: frozenset[str] = frozenset()
        self._lock = threading.Lock()
        self.seconds = _lease_seconds()
        self._renewed = monotonic()

    @property
    def hosts(self) -> frozenset[str]:
        """Whose rows are still to be settled."""
        return frozenset(self._hosts)

    @property
    def _mine(self) -> dict[str, Any]:
        return {"owner = %s": self.token}

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
        try:
            held = rows.update(self._mine, quiet_until=now + self.seconds, due=now + self.seconds)
        except DatabaseError as error:
            if passed > self.seconds * 2 / 3:
                raise LeaseLostError("the record cannot be reached to renew the lease") from error
            return  # there is time to try again
        if held < len(self._hosts):
            raise LeaseLostError("somebody else has taken over, as the lease was not renewed in time")
        self._renewed = began
        self._keep()  # once more, if that has taken long

    def settle(self, outcomes: Iterable[Outcome]) -> None:
        """Record what became of the hosts: nothing remains of those that are equal to the master copy now.

        A record that fails is logged. The rows then remain, and become due when the lease ends.

        Args:
            outcomes: One for each host that is done with.
        """
        outcomes = list(outcomes)
        done = [outcome.host for outcome in outcomes if outcome.ok]
        failed = [outcome for outcome in outcomes if not outcome.ok]
        try:
            with self._lock:
                self._hosts -= {outcome.host for outcome in outcomes}
                for outcome in failed:
                    self._put_back(outcome)
                if done:
                    mine = self._mine | ({"host IN %s": done} if self._hosts or failed else {})
                    self._clear(mine, len(done))
            _hasten_again(done)
        except (DatabaseError, ConfigurationError):
            logger.exception("Failed to record what became of %s.", outcomes[0].name)
        _unreachable.difference_update(done)
        _unreachable.update(outcome.host for outcome in failed if isinstance(outcome.error, HostUnavailableError))

    def _clear(self, mine: dict[str, Any], hosts: int) -> None:
        if self._rests_until > clock():
            rows.update(mine, quiet_until=self._rests_until, due=self._rests_until)
        elif self._latest is None:
            rows.delete(mine)
        elif rows.delete(mine | {"latest IN %s": [*self._latest]}) < hosts:
            _put_back_now(mine)

    def _put_back(self, outcome: Outcome) -> None:
        now = clock()
        grace = get_setting("GRACE") if may_still_land(outcome.error) else 0
        quiet_until = max(now + grace, self._rests_until)
        delay = self.delay()
        if isinstance(outcome.error, UndecidedError):
            delay = min(delay, _UNDECIDED_DELAY)  # it is not this host that is waited for
        rows.update(
            self._mine | {"host = %s": outcome.host},
            "attempts = attempts + 1",
            quiet_until=quiet_until,
            due=max(quiet_until, now + delay),
            error=_problem(outcome.error)[:_MAX_ERROR],
        )

    def delay(self) -> float:
        """Return how many seconds to wait until the next try, if this one fails."""
        return retry_delay(self._attempts)

    def expect(self, latest: Iterable[str]) -> None:
        """Let rows become due again, instead of removing them, if another change has followed.

        Args:
            latest: The last changes of the name that are known now.
        """
        self._latest = frozenset(latest)

    def overrule(self, storage: str, name: str, *, present: bool) -> None:
        """Tell all other rows of a name that this change has followed.

        Args:
            storage: Alias of the storage in ``STORAGES``.
            name: The file's name.
            present: Whether the change leaves a file.
        """
        others = {"digest = %s": _digest(storage, name), "owner <> %s": self.token}
        rows.update(others, latest=self.token, present=present)

    def make_findable(self, storage: str, name: str) -> None:
        """Let rows be found by their name, which a storage with a master copy has left: the site had one at that time.

        Args:
            storage: Alias of the storage in ``STORAGES``.
            name: The file's name.
        """
        rows.update(self._mine | {"digest = %s": ""}, digest=_digest(storage, name), latest=self.token)

    def take_over(self, storage: str, name: str) -> list[Row] | None:
        """Make the rows of deletions that hosts have missed part of this change, which begins a new file of that name.

        Args:
            storage: Alias of the storage in ``STORAGES``.
            name: The file's name.

        Returns:
            All rows of the name, oldest first; None if anything else is pending for it: requests may be under way.
        """
        now = clock()
        found = rows.select({"digest = %s": _digest(storage, name)})
        others = [row for row in found if row.owner != self.token]
        if not others:
            return found
        self.behind = frozenset(row.host for row in others)
        until = now + self.seconds
        missed = {"id IN %s": [row.id for row in others], "present = %s": False, "quiet_until <= %s": now}
        taken = rows.update(missed, owner=self.token, latest=self.token, present=True, quiet_until=until, due=until)
        if taken < len(others):
            return None
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
            logger.exception("Failed to record what became of %s.", name)

    def hand_over(self) -> None:
        """Let whoever gets the token take over the rows at once; others leave them alone, longer each time.

        It may wait in a long queue. If it were handed over again and again meanwhile, the queue would only grow.
        """
        now = clock()
        patience = self.seconds * 2 ** min(self._attempts, _MAX_DOUBLINGS)
        with self._lock:
            more = {"opened_by": self.token, "quiet_until": now, "due": now + patience}
            rows.update(self._mine, "attempts = attempts + 1", **more)

    def inherit(self, own: Sequence[Row]) -> bool:
        """Take over rows that were left to this; return False if somebody else has taken some of them meanwhile.

        Args:
            own: After a failure that may have been none they rest, whatever becomes of them now: the old request may arrive
                after the new one.
        """
        self._rests_until = max((row.quiet_until for row in own if row.attempts), default=0)
        until = clock() + self.seconds
        left = {"id IN %s": [row.id for row in own], "owner IN %s": [*{row.owner for row in own}]}
        return rows.update(left, owner=self.token, opened_by="", quiet_until=until, due=until) == len(own)

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
            now = clock()
            rows.delete(self._mine | {"opened_by = %s": self.token})
            rows.update(self._mine, present=False, quiet_until=now, due=now)


def _lease_seconds() -> float:
    return float(get_setting("LEASE"))


def _problem(error: Exception | None) -> str:
    # The row says which host and name it is about.
    return error.problem if isinstance(error, TransportError) else f"{type(error).__name__}: {error}"


@dataclass(frozen=True, slots=True)
class PendingName:
    """What a drainer has to do: one name on one host.

    Attributes:
        storage: Alias of the storage in ``STORAGES``.
        host: The host as it stands in the settings.
        name: The file's name.
        present: Whether all changes that are pending left a file.
        lease: Holds all claimed rows of this name and host.
        created: When the last of these changes was made.
    """

    storage: str
    host: str
    name: str
    present: bool
    lease: Lease
    created: float


def open_lease(storage: str, hosts: Sequence[str], name: str, *, present: bool) -> Lease:
    """Record that hosts are about to differ from the master copy for a name; one row for each, in one statement.

    Args:
        storage: Alias of the storage in ``STORAGES``.
        hosts: The hosts as they stand in the settings.
        name: The file's name.
        present: Whether the master copy is about to have the file.

    Raises:
        ConfigurationError: The table is missing.
        DatabaseError: It could not be recorded, and nothing must be changed.
    """
    lease = Lease(secrets.token_hex(16), hosts)
    _insert(lease, storage, hosts, name, present=present)
    return lease


def open_change(storage: str, hosts: Sequence[str], name: str, *, present: bool) -> Lease:
    """Record that hosts are about to change a name, where there is no master copy; one row for each, in one statement.

    Args:
        storage: As for `open_lease`.
        hosts: As for `open_lease`.
        name: As for `open_lease`.
        present: Whether hosts are about to have the file.

    Raises:
        ConfigurationError: As for `open_lease`.
        DatabaseError: As for `open_lease`.
    """
    lease = Lease(secrets.token_hex(16), hosts)
    lease.expect([lease.token])
    digest = _digest(storage, name)
    _insert(lease, storage, hosts, name, present=present, digest=digest, opened_by=lease.token, latest=lease.token)
    return lease


def open_leases(storage: str, pairs: Sequence[tuple[str, str]]) -> list[Lease]:
    """Record that hosts are found to differ from the master copy, each for a name of its own, in one statement.

    Args:
        storage: Alias of the storage in ``STORAGES``.
        pairs: Hosts and names.

    Returns:
        A lease for each pair.

    Raises:
        ConfigurationError: The table is missing.
        DatabaseError: It could not be recorded, and nothing must be sent.
    """
    leases = [Lease(secrets.token_hex(16), [host]) for host, _ in pairs]
    own = [
        {"owner": lease.token, "host": host, "name": name} for lease, (host, name) in zip(leases, pairs, strict=True)
    ]
    for part in _parts(own):
        rows.insert(_opened(storage, _lease_seconds(), present=True), part)
    return leases


def settle_leases(settled: Sequence[tuple[Lease, Outcome]]) -> None:
    """Record what became of hosts that each have a lease of their own; what is equal now goes in one statement.

    Args:
        settled: Leases, and what happened to the hosts that they are for.
    """
    done = {lease: outcome.host for lease, outcome in settled if outcome.ok}
    try:
        for leases in _parts([*done]):
            _clear_all(leases)
        _hasten_again(done.values())
    except (DatabaseError, ConfigurationError):
        logger.exception("Failed to record what became of %s.", settled[0][1].name)
    _unreachable.difference_update(done.values())
    for lease, outcome in settled:
        if not outcome.ok:
            lease.settle([outcome])


def _clear_all(leases: Sequence[Lease]) -> None:
    free = [lease.token for lease in leases if lease._latest is None]  # noqa: SLF001 - the same module
    bound = {lease.token: lease._latest for lease in leases if lease._latest is not None}  # noqa: SLF001
    if free:
        rows.delete({"owner IN %s": free})
    if bound:
        # A change is of one name only, so that those of all names can be thrown together.
        latest = frozenset[str]().union(*bound.values())
        for part in _parts([*latest]):
            rows.delete({"owner IN %s": [*bound], "latest IN %s": part})
        _put_back_now({"owner IN %s": [*bound]})


def _put_back_now(where: dict[str, Any]) -> None:
    now = clock()
    rows.update(where, quiet_until=now, due=now)


def _hasten_again(hosts: Iterable[str]) -> None:
    for host in _unreachable.intersection(hosts):
        hasten(host)


def adopt_lease(token: str, storage: str, hosts: Sequence[str], name: str, *, present: bool) -> Lease:
    """Take over the rows that another process has opened for this one.

    So are those that a drain has taken over meanwhile, and handed to the queue once more. Hosts whose rows somebody else is
    dealing with are left to them: else there would be more work with each try, and no end of it. What an earlier delivery
    of the same message has begun is done once more, under rows of its own: that worker may be dead. So is that for which
    there are no rows: it may be recorded elsewhere.

    Args:
        token: What the rows say of their owner; empty if there are none.
        storage: As for `open_lease`.
        hosts: As for `open_lease`.
        name: As for `open_lease`.
        present: As for `open_lease`.

    Returns:
        What holds the rows of those hosts that are not left to others: see `Lease.hosts`.
    """
    if not token:
        return open_lease(storage, hosts, name, present=present)
    heir = hashlib.sha256(token.encode(errors="replace")).hexdigest()[:32]
    found = rows.select({"owner IN %s": [token, heir], "host IN %s": [*hosts]})
    own = [row for row in found if row.owner == token]
    again = {row.host for row in found if row.owner == heir}
    missing = [host for host in hosts if host not in {row.host for row in found}]
    if missing:
        of_others = rows.select({"storage = %s": storage, "name = %s": name, "host IN %s": missing})
        own += [row for row in of_others if row.opened_by and row.quiet_until <= clock()]
        again.update({*missing} - {row.host for row in of_others})
    # Another owner than the earlier delivery, which may be alive.
    owner = secrets.token_hex(16) if again else heir
    lease = Lease(owner, again.union(row.host for row in own), max((row.attempts for row in own), default=0))
    if own and not lease.inherit(own):
        return adopt_lease(token, storage, hosts, name, present=present)  # somebody else was faster
    if again:
        _insert(lease, storage, sorted(again), name, present=present)
    return lease


def _insert(lease: Lease, storage: str, hosts: Sequence[str], name: str, *, present: bool, **more: str) -> None:
    common = _opened(storage, lease.seconds, present=present) | {"owner": lease.token, "name": name, **more}
    for part in _parts(hosts):
        rows.insert(common, [{"host": host} for host in part])


def _opened(storage: str, seconds: float, *, present: bool) -> dict[str, Any]:
    now = clock()
    until = now + seconds
    return {"storage": storage, "present": present, "created": now, "quiet_until": until, "due": until}


def _parts(many: Sequence[T]) -> Iterator[Sequence[T]]:
    for number in range(0, len(many), _MAX_ROWS):
        yield many[number : number + _MAX_ROWS]


def claim(limit: int, *, storages: Sequence[str] = (), hosts: Sequence[str] = ()) -> list[PendingName]:
    """Make rows that are due one's own, oldest first; no row is ever claimed by two.

    Args:
        limit: How many rows at most.
        storages: Aliases; all if there are none.
        hosts: Hosts; all if there are none.

    Returns:
        What is to be replicated. Rows of the same name and host are one piece of work.
    """
    now = clock()
    which: dict[str, Any] = {"due <= %s": now}
    if storages:
        which["storage IN %s"] = [*storages]
    if hosts:
        which["host IN %s"] = [*hosts]
    return _claimed(_with_resting(rows.select(which, limit), now), now)


def _with_resting(due: Sequence[Row], now: float) -> list[Row]:
    """Return rows, and those that go with them.

    Without a master copy, all rows of a name and host go together: one that rests would keep the others waiting.
    """
    found = {row.id: row for row in due}
    pieces = {(row.digest, row.host) for row in due if row.digest}
    for part in _parts(sorted({digest for digest, _ in pieces})):
        resting = rows.select({"digest IN %s": [*part], "quiet_until <= %s": now})
        found |= {row.id: row for row in resting if (row.digest, row.host) in pieces}
    return [*found.values()]


def _claimed(found: Sequence[Row], now: float) -> list[PendingName]:
    work: dict[tuple[str, str, str], list[Row]] = {}
    for row in found:
        work.setdefault((row.storage, row.host, row.name), []).append(row)
    # A lease begins before its rows are taken, however long that lasts: else it would be believed in for too long.
    claims = [(_claim(piece), piece) for piece in work.values()]
    mine = _taken({row.id: claim.lease.token for claim, piece in claims for row in piece}, now)
    return [claim for claim, _ in claims if claim.lease.token in mine]


def _claim(piece: Sequence[Row]) -> PendingName:
    first, present = piece[0], all(row.present for row in piece)
    lease = Lease(secrets.token_hex(16), [first.host], max(row.attempts for row in piece))
    return PendingName(first.storage, first.host, first.name, present, lease, max(row.created for row in piece))


def _taken(owners: dict[int, str], now: float) -> set[str]:
    """Make rows their new owners', as far as nobody else was faster; return the owners that have got any."""
    # What is due is looked at once more in the same statement.
    until = clock() + _lease_seconds()
    free = {"quiet_until <= %s": now, "(due <= %s OR digest <> '')": now}
    taken: set[str] = set()
    for part in map(dict, _parts([*owners.items()])):
        if rows.assign(part, free, quiet_until=until, due=until) == len(part):
            taken.update(part.values())
        else:
            taken.update(row.owner for row in rows.select({"owner IN %s": [*{*part.values()}]}))
    return taken


def claim_name(storage: str, host: str, name: str) -> PendingName | None:
    """Make the rows of one name and host one's own, although they may not be due; return None if they may not be yet.

    Only for storages without a master copy.

    Args:
        storage: Alias of the storage in ``STORAGES``.
        host: The host as it stands in the settings.
        name: The file's name.
    """
    now = clock()
    found = rows.select({"digest = %s": _digest(storage, name), "host = %s": host, "quiet_until <= %s": now})
    return next(iter(_claimed(found, now)), None)


def hasten(host: str) -> int:
    """Make the rows of a host due, as far as they may be: it has answered again. Return how many."""
    now = clock()
    return rows.update({"host = %s": host, "due > %s": now, "quiet_until <= %s": now}, due=now)


@dataclass(frozen=True, slots=True)
class Backlog:
    """What one host may have missed.

    Attributes:
        count: How many changes.
        oldest: Seconds since the oldest.
        due: Seconds until the next of them is due; negative if it has been due for a while.
        error: Why the one that failed last did; empty if none has.
    """

    count: int
    oldest: float
    due: float
    error: str


def backlog(storage: str) -> dict[str, Backlog]:
    """Return what is pending for each host of a storage that something is pending for.

    Rows of changes that are under way at this moment count too.

    Args:
        storage: Alias of the storage in ``STORAGES``.
    """
    with connected() as connection:
        mine = _objects(connection).filter(storage=storage)
        counted = list(mine.values("host").annotate(count=Count("id"), created=Min("created"), due=Min("due")))
        found, now = {}, clock()
        for one in counted:
            failed = mine.filter(host=one["host"]).exclude(error="").order_by("-id").values_list("error", flat=True)
            error = next(iter(failed[:1]), "")
            found[one["host"]] = Backlog(one["count"], now - one["created"], one["due"] - now, error)
    return found


def rows_of_name(storage: str, name: str) -> list[Row]:
    """Return all rows of one name, oldest first. Only for storages without a master copy.

    Args:
        storage: Alias of the storage in ``STORAGES``.
        name: The file's name.
    """
    return rows.select({"digest = %s": _digest(storage, name)})


def rows_of_names(storage: str, names: Iterable[str]) -> dict[str, list[Row]]:
    """Return all rows of several names, by name, each oldest first. Only for storages without a master copy.

    Args:
        storage: Alias of the storage in ``STORAGES``.
        names: The files' names.
    """
    found: dict[str, list[Row]] = {}
    for part in _parts(sorted({_digest(storage, name) for name in names})):
        for row in rows.select({"digest IN %s": [*part]}):
            found.setdefault(row.name, []).append(row)
    return found


def rows_below(storage: str, directory: str) -> dict[str, list[Row]]:
    """Return all rows of names in a directory, or below, by name, each oldest first.

    Args:
        storage: Alias of the storage in ``STORAGES``.
        directory: Its name; ``""`` is the root.
    """
    found: dict[str, list[Row]] = {}
    with connected() as connection:
        below = _objects(connection).filter(storage=storage)
        if directory:
            below = below.filter(name__startswith=f"{directory}/")
        for row in map(Row._make, below.order_by("id").values_list(*Row._fields)):
            found.setdefault(row.name, []).append(row)
    return found


def forget_leases(leases: Sequence[Lease]) -> None:
    """Remove the rows of changes of which nothing remains to be done, in few statements.

    Args:
        leases: What holds them.
    """
    for part in _parts(leases):
        rows.delete({"owner IN %s": [lease.token for lease in part]})


def release_leases(leases: Sequence[Lease], seconds: float, **renamed: str) -> None:
    """Leave rows to others, in few statements: nothing was sent.

    Args:
        leases: What holds them.
        seconds: When they are due.
        **renamed: The ``host``, if the settings spell it otherwise by now.
    """
    now = clock()
    for part in _parts(leases):
        mine = {"owner IN %s": [lease.token for lease in part]}
        rows.update(mine, quiet_until=now, due=now + seconds, **renamed)


def may_still_land(error: Exception | None) -> bool:
    """Tell whether a request that failed may be carried out all the same, now or later.

    Args:
        error: Of an outcome; None if there is none.
    """
    if error is None:
        return False
    if isinstance(error, HostUnavailableError):
        return error.ambiguous
    # After an answer nothing follows, nor if nothing was sent.
    return not isinstance(error, UnexpectedStatusCode | RemoteFileNotFoundError | UndecidedError)


def _digest(storage: str, name: str) -> str:
    return hashlib.sha256(f"{storage}\0{name}".encode(errors="surrogatepass")).hexdigest()[:32]


def _objects(connection: BaseDatabaseWrapper) -> "QuerySet[Pending]":
    from resto.models import Pending  # cannot be imported unless the application is installed

    return Pending._base_manager.using(connection.alias)  # noqa: SLF001 - a public API of Django (topics/db/managers)
