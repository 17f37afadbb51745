"""The durable record: a row says "this host may differ from the master copy for this name".

Nothing is recorded of what was done, because operations that are done again later arrive in another order. Whoever changes
the master copy keeps these rules, each of which was found necessary by trying out all interleavings of few actors:

1. Write ahead: the row exists before the master copy changes. Else a crash in between is forgotten.
2. Look again: whoever has sent a file looks at the master copy again (`resto.replication`). Else a slow upload arrives after
   the deletion that followed it.
3. Own rows only: nobody deletes a row that another one holds. Else one success erases the unfinished work of another.
4. Whoever writes to a host holds a lease, a drainer too. Else somebody else clears the row while a request is in flight.
5. Grace: after a failure that may have been none, a row is left alone until the old request cannot arrive any more.

Without a master copy, a row also says which change it is of, and which one it knows to be the last of the name: see `resto.truth`.

The rows are in the site's database (``RESTO_DATABASE``) if ``"resto"`` is in ``INSTALLED_APPS``. Without it, nothing is
recorded, and the rest works as before.
"""

import hashlib
import logging
import secrets
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.db import DatabaseError, connections
from django.db.models import Count, F, Min, Q, QuerySet

from resto.database import connected, execute
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
from resto.settings import get_setting


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
    "rows_below",
    "rows_of_name",
    "settle_leases",
]

logger = logging.getLogger("resto")

_MAX_ERROR = 1_000  # characters of an error that are kept

# What a new row has besides its own; all columns, so that rows have the same.
_DEFAULTS = {"attempts": 0, "error": "", "digest": "", "opened_by": "", "latest": ""}

_UNDECIDED_DELAY = 30.0  # seconds at most, until it is asked again what a host should have

_MAX_ROWS = 70  # of one statement: older SQLite takes 999 values

# Hosts that this process could not reach; when one answers again, what it has missed becomes due.
_unreachable: set[str] = set()

# Injected by tests. The first is what the machines of a site share, the second never jumps.
clock = time.time
monotonic = time.monotonic


def is_active() -> bool:
    """Return whether changes are recorded: whether ``"resto"`` is in ``INSTALLED_APPS``, and the site has a database."""
    if not (apps.ready and apps.is_installed("resto")):
        return False
    return bool(connections[get_setting("DATABASE")].vendor != "unknown")


class Lease:
    """Rows of one name, one for each of several hosts, that belong to whoever holds this.

    May be used by several threads.

    Args:
        token: What the rows say of their owner.
        hosts: Whose rows they are.
        attempts: How often each has failed before.

    Attributes:
        token: What the rows say of their owner.
        behind: Hosts that have missed a deletion of the name; see `take_over`.
    """

    def __init__(self, token: str, hosts: Iterable[str], attempts: int = 0) -> None:
        self.token = token
        self._hosts = set(hosts)
        self._attempts = attempts
        self._latest: frozenset[str] | None = None
        self.behind: frozenset[str] = frozenset()
        self._lock = threading.Lock()
        self._seconds = float(get_setting("LEASE"))
        self._renewed = monotonic()

    def keep(self) -> None:
        """Make sure that the rows still belong to this, before something is written.

        Renews the lease in time; costs nothing otherwise.

        Raises:
            LeaseLostError: They do not, and it must not be written.
        """
        if monotonic() - self._renewed > self._seconds / 3:
            with self._lock:
                self._keep()

    def _keep(self) -> None:
        passed = monotonic() - self._renewed
        if passed <= self._seconds / 3:
            return
        now = clock()
        try:
            held = _update(_rows().filter(owner=self.token), quiet_until=now + self._seconds, due=now + self._seconds)
        except DatabaseError as error:
            if passed > self._seconds * 2 / 3:
                raise LeaseLostError("the record cannot be reached to renew the lease") from error
            return  # there is time to try again
        if held < len(self._hosts):
            raise LeaseLostError("somebody else has taken over, as the lease was not renewed in time")
        self._renewed = monotonic()

    def settle(self, outcomes: Iterable[Outcome]) -> None:
        """Record what became of the hosts: nothing remains of those that are equal to the master copy now.

        A record that fails is logged. The rows then remain, and become due when the lease ends.

        Args:
            outcomes: One for each host that is done with.
        """
        outcomes = list(outcomes)
        done = [outcome.host for outcome in outcomes if outcome.ok]
        failed = {outcome.host for outcome in outcomes if not outcome.ok}
        try:
            with self._lock:
                self._hosts -= {outcome.host for outcome in outcomes}
                for outcome in outcomes:
                    if not outcome.ok:
                        self._put_back(outcome)
                if done:
                    rows = _rows().filter(owner=self.token)
                    self._clear(rows.filter(host__in=done) if self._hosts or failed else rows, len(done))
            for host in _unreachable.intersection(done):
                hasten(host)
        except (DatabaseError, ConfigurationError):
            logger.exception("Failed to record what became of %s.", outcomes[0].name)
        _unreachable.difference_update(done)
        _unreachable.update(outcome.host for outcome in outcomes if isinstance(outcome.error, HostUnavailableError))

    def _clear(self, rows: "QuerySet[Pending]", hosts: int) -> None:
        if self._latest is None:
            _delete(rows)
            return
        if _delete(rows.filter(latest__in=self._latest)) < hosts:
            now = clock()
            _update(rows, quiet_until=now, due=now)

    def _put_back(self, outcome: Outcome) -> None:
        now = clock()
        quiet_until = now + (get_setting("GRACE") if may_still_land(outcome.error) else 0)
        delay = retry_delay(self._attempts)
        if isinstance(outcome.error, UndecidedError):
            delay = min(delay, _UNDECIDED_DELAY)  # it is not this host that is waited for
        _update(
            _rows().filter(owner=self.token, host=outcome.host),
            quiet_until=quiet_until,
            due=max(quiet_until, now + delay),
            attempts=F("attempts") + 1,
            error=_problem(outcome.error)[:_MAX_ERROR],
        )

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
        others = _rows().filter(digest=_digest(storage, name)).exclude(owner=self.token)
        _update(others, latest=self.token, present=present)

    def take_over(self, storage: str, name: str) -> bool:
        """Make the rows of deletions that hosts have missed part of this change, which begins a new file of that name.

        Args:
            storage: Alias of the storage in ``STORAGES``.
            name: The file's name.

        Returns:
            Whether there is nothing else pending for the name; if there is, requests for it may be under way.
        """
        now = clock()
        until, others = now + self._seconds, _rows().filter(digest=_digest(storage, name)).exclude(owner=self.token)
        with connected() as alias:
            found = dict(others.using(alias).values_list("id", "host"))
        if not found:
            return True
        self.behind = frozenset(found.values())
        missed = others.filter(id__in=found, present=False, quiet_until__lte=now)
        mine = {"owner": self.token, "latest": self.token, "present": True, "quiet_until": until, "due": until}
        return _update(missed, **mine) == len(found)

    def revoke(self) -> bool:
        """Record that the change is about to be undone; return False, and record nothing, if another one has followed."""
        with self._lock:
            rows = _rows().filter(owner=self.token, latest=self.token)
            if _update(rows.filter(opened_by=self.token), present=False) < len(self._hosts):
                return False
            if self.behind:
                _update(rows, present=False)
            return True

    def expect_absence(self, name: str) -> None:
        """Record that the master copy is about to have no file after all.

        A record that fails is logged. Then a drain makes hosts equal only if the master copy has other files.

        Args:
            name: The file's name.
        """
        try:
            with self._lock:
                _update(_rows().filter(owner=self.token), present=False)
        except DatabaseError:
            logger.exception("Failed to record what became of %s.", name)

    def hand_over(self) -> None:
        """Let whoever gets the token take over the rows at once; others leave them alone as before."""
        with self._lock:
            _update(_rows().filter(owner=self.token), quiet_until=clock())

    def release(self, seconds: float) -> None:
        """Leave the rows to others: nothing was sent.

        Args:
            seconds: When they are due.
        """
        now = clock()
        with self._lock:
            _update(_rows().filter(owner=self.token), quiet_until=now, due=now + seconds)

    def forget(self) -> None:
        """Remove the rows: nothing was changed. Those that were taken over are left to others again."""
        rows, now = _rows().filter(owner=self.token), clock()
        with self._lock:
            _delete(rows.filter(opened_by=self.token) if self.behind else rows)
            if self.behind:
                _update(rows, present=False, quiet_until=now, due=now)


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
    """

    storage: str
    host: str
    name: str
    present: bool
    lease: Lease


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
    _insert(lease.token, storage, hosts, name, present=present)
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
    whose = [(lease.token, host, name) for host in hosts]
    _insert_rows(
        storage, whose, present=present, digest=_digest(storage, name), opened_by=lease.token, latest=lease.token
    )
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
    _insert_rows(
        storage, [(lease.token, host, name) for lease, (host, name) in zip(leases, pairs, strict=True)], present=True
    )
    return leases


def settle_leases(settled: Sequence[tuple[Lease, Outcome]]) -> None:
    """Record what became of hosts that each have a lease of their own; what is equal now goes in one statement.

    Args:
        settled: Leases, and what happened to the hosts that they are for.
    """
    done = [lease.token for lease, outcome in settled if outcome.ok]
    try:
        if done:
            _delete(_rows().filter(owner__in=done))
    except DatabaseError:
        logger.exception("Failed to record what became of %s.", settled[0][1].name)
    for lease, outcome in settled:
        if not outcome.ok:
            lease.settle([outcome])


def adopt_lease(token: str, storage: str, hosts: Sequence[str], name: str, *, present: bool) -> Lease:
    """Take over the rows that another process has opened for this one; open new ones if somebody else has.

    Args:
        token: What the rows say of their owner; empty if there are none.
        storage: As for `open_lease`.
        hosts: As for `open_lease`.
        name: As for `open_lease`.
        present: As for `open_lease`.
    """
    lease, now = Lease(secrets.token_hex(16), hosts), clock()
    until = now + get_setting("LEASE")
    # Those of a failure that may have been none are left alone until the old request cannot arrive any more.
    mine = _rows().filter(Q(quiet_until__lte=now) | Q(attempts=0), owner=token, host__in=hosts)
    if not token or _update(mine, owner=lease.token, quiet_until=until, due=until) < len(hosts):
        _insert(lease.token, storage, hosts, name, present=present)
    return lease


def _insert(token: str, storage: str, hosts: Sequence[str], name: str, *, present: bool) -> None:
    _insert_rows(storage, [(token, host, name) for host in hosts], present=present)


def _insert_rows(storage: str, whose: Sequence[tuple[str, str, str]], *, present: bool, **more: str) -> None:
    now = clock()
    until = now + get_setting("LEASE")
    common = {"storage": storage, "present": present, "created": now, "quiet_until": until, "due": until, **more}
    rows = [_DEFAULTS | common | {"owner": token, "host": host, "name": name} for token, host, name in whose]
    for number in range(0, len(rows), _MAX_ROWS):
        execute(partial(_insert_into, rows[number : number + _MAX_ROWS]))


def _insert_into(rows: Sequence[Mapping[str, Any]], alias: str) -> None:
    """Insert rows by one statement. It is written by hand, as the ORM takes seven times as long for the first thing in any save."""
    connection, table = connections[alias], _model()._meta.db_table  # noqa: SLF001 - as in _rows
    columns = ", ".join(map(connection.ops.quote_name, rows[0]))
    one = f"({', '.join(['%s'] * len(rows[0]))})"
    statement = f"INSERT INTO {connection.ops.quote_name(table)} ({columns}) VALUES {', '.join([one] * len(rows))}"  # noqa: S608
    with connection.cursor() as cursor:
        cursor.execute(statement, [value for row in rows for value in row.values()])


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
    due = _rows().filter(due__lte=now)
    due = due.filter(storage__in=storages) if storages else due
    due = due.filter(host__in=hosts) if hosts else due
    with connected() as alias:
        found = list(due.using(alias).order_by("id")[:limit])
    work: dict[tuple[str, str, str], list[Pending]] = {}
    for row in found:
        work.setdefault((row.storage, row.host, row.name), []).append(row)
    claimed = (_claimed(rows, now) for rows in work.values())
    return [one for one in claimed if one is not None]


def _claimed(rows: "list[Pending]", now: float) -> PendingName | None:
    first, token, until = rows[0], secrets.token_hex(16), now + get_setting("LEASE")
    # What is due is looked at once more in the same statement: somebody else may have been faster.
    which = Q(id__in=[row.id for row in rows], due__lte=now)
    if first.digest:
        # Without a master copy, all rows of a name and host go together: one that rests would keep the others waiting.
        which |= Q(digest=first.digest, host=first.host, quiet_until__lte=now)
    if not _update(_rows().filter(which), owner=token, quiet_until=until, due=until):
        return None
    lease = Lease(token, [first.host], max(row.attempts for row in rows))
    return PendingName(first.storage, first.host, first.name, all(row.present for row in rows), lease)


def claim_name(storage: str, host: str, name: str) -> PendingName | None:
    """Make the rows of one name and host one's own, although they may not be due; return None if they may not be yet.

    Only for storages without a master copy.

    Args:
        storage: Alias of the storage in ``STORAGES``.
        host: The host as it stands in the settings.
        name: The file's name.
    """
    now = clock()
    with connected() as alias:
        rows = list(_rows().using(alias).filter(digest=_digest(storage, name), host=host, quiet_until__lte=now))
    return _claimed(rows, now) if rows else None


def hasten(host: str) -> int:
    """Make the rows of a host due, as far as they may be: it has answered again. Return how many."""
    now = clock()
    return _update(_rows().filter(host=host, due__gt=now, quiet_until__lte=now), due=now)


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
    with connected() as alias:
        rows = _rows().using(alias).filter(storage=storage)
        counted = list(rows.values("host").annotate(count=Count("id"), created=Min("created"), due=Min("due")))
        found, now = {}, clock()
        for one in counted:
            failed = rows.filter(host=one["host"]).exclude(error="").order_by("-id").values_list("error", flat=True)
            error = next(iter(failed[:1]), "")
            found[one["host"]] = Backlog(one["count"], now - one["created"], one["due"] - now, error)
    return found


def rows_of_name(storage: str, name: str) -> "list[Pending]":
    """Return all rows of one name, oldest first. Only for storages without a master copy.

    Args:
        storage: Alias of the storage in ``STORAGES``.
        name: The file's name.
    """
    with connected() as alias:
        return list(_rows().using(alias).filter(digest=_digest(storage, name)).order_by("id"))


def rows_below(storage: str, directory: str) -> "dict[str, list[Pending]]":
    """Return all rows of names in a directory, or below, by name, each oldest first.

    Args:
        storage: Alias of the storage in ``STORAGES``.
        directory: Its name; ``""`` is the root.
    """
    found: dict[str, list[Pending]] = {}
    with connected() as alias:
        rows = _rows().using(alias).filter(storage=storage).order_by("id")
        for row in rows.filter(name__startswith=f"{directory}/") if directory else rows:
            found.setdefault(row.name, []).append(row)
    return found


def forget_leases(leases: Sequence[Lease]) -> None:
    """Remove the rows of changes of which nothing remains to be done, in few statements.

    Args:
        leases: What holds them.
    """
    for number in range(0, len(leases), _MAX_ROWS):
        _delete(_rows().filter(owner__in=[lease.token for lease in leases[number : number + _MAX_ROWS]]))


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


def _model() -> "type[Pending]":
    from resto.models import Pending  # cannot be imported unless the application is installed

    return Pending


def _rows() -> "QuerySet[Pending]":
    return _model()._base_manager.all()  # noqa: SLF001 - a public API of Django (topics/db/managers)


def _update(rows: "QuerySet[Pending]", **values: Any) -> int:
    return execute(lambda alias: rows.using(alias).update(**values))


def _delete(rows: "QuerySet[Pending]") -> int:
    # One statement; `delete` looks for related rows first.
    # Nothing is asked, and None returned, where no row can be meant.
    return execute(lambda alias: rows.using(alias)._raw_delete(alias)) or 0  # noqa: SLF001
