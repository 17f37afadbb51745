"""Runs: who drains, compares, restores, adopts or probes, how far that is, and what came of the last ones."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import FloatField, Func, Q, Value

from resto.record import leases
from resto.record.database import connected, outside_loops, vendor


if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.db.models.sql.compiler import SQLCompiler

    from resto.models import Run

__all__ = [
    "KINDS",
    "MISSED",
    "OF_A_PART",
    "WATCH",
    "DatabaseClock",
    "RunRow",
    "ask",
    "claim",
    "find",
    "interval",
    "last_of",
    "prune",
    "row_of",
    "runs_in",
    "under_way",
    "watching",
]

KINDS = ("drain", "sync", "restore", "adopt", "probe")
WATCH = "watch"

# The condition for runs that are about some of the files only.
OF_A_PART = Q(options__contains='"prefix"')

# Signs of life that are missed before somebody counts as dead.
MISSED = 6

# What is kept of each kind and storage: so many, and for so many seconds.
MOST = 1_000
LONGEST = 90 * 86_400.0


class DatabaseClock(Func):
    """Seconds since the epoch, as the database has them. Of another database than Django's usual ones: as this machine has them."""

    output_field = FloatField()
    arity = 0

    def as_sql(self, compiler: "SQLCompiler", connection: BaseDatabaseWrapper, *args: Any, **context: Any) -> Any:
        """Return what Django asks for, as in its documentation of expressions: here, and for each kind of database below."""
        return compiler.compile(Value(leases.clock(), output_field=FloatField()))

    def as_sqlite(self, compiler: Any, connection: BaseDatabaseWrapper, **context: Any) -> tuple[str, Any]:
        """Return it for SQLite."""
        return "((julianday('now') - 2440587.5) * 86400.0)", []

    def as_postgresql(self, compiler: Any, connection: BaseDatabaseWrapper, **context: Any) -> tuple[str, Any]:
        """Return it for PostgreSQL."""
        return "EXTRACT(EPOCH FROM clock_timestamp())::double precision", []

    def as_mysql(self, compiler: Any, connection: BaseDatabaseWrapper, **context: Any) -> tuple[str, Any]:
        """Return it for MySQL and MariaDB."""
        # Not UNIX_TIMESTAMP(NOW(6)): an hour of each autumn is there twice.
        return "(UNIX_TIMESTAMP() + MICROSECOND(NOW(6)) / 1000000)", []


def interval() -> float:
    """Return how many seconds lie between two signs of life: SQLite lets one write at a time, and so there are fewer."""
    return 60.0 if vendor() == "sqlite" else 10.0


@dataclass(frozen=True, slots=True)
class RunRow:
    """A run, as it was when the record was asked; see `resto.models.Run`.

    Attributes:
        now: When that was, by the clock of the database.
    """

    id: int
    kind: str
    storage: str
    hosts: tuple[str, ...]
    options: Mapping[str, Any]
    asked_by: str
    asked: float
    started: float | None
    seen: float | None
    ended: float | None
    machine: str
    process: int | None
    done: int
    total: int | None
    is_total_final: bool
    sent_bytes: int
    total_bytes: int | None
    code: int | None
    counts: Mapping[str, Any]
    problems: tuple[str, ...]
    report: Mapping[str, Any]
    now: float

    @property
    def state(self) -> str:
        """``"asked"``, ``"under way"``, ``"dead"`` (six signs of life are missing), ``"done"`` or ``"failed"``."""
        if self.started is None:
            return "asked"
        if self.ended is None:
            return "dead" if self.silence > MISSED * interval() else "under way"
        return "done" if self.code == 0 else "failed"

    @property
    def silence(self) -> float:
        """Seconds since the last sign of life; infinite if there was none."""
        return math.inf if self.seen is None else max(0.0, self.now - self.seen)

    @property
    def age(self) -> float:
        """Seconds since it has ended, or since its last sign of life, or since it was asked for."""
        return max(0.0, self.now - (self.ended or self.seen or self.asked))

    def is_about(self, storage: str) -> bool:
        """Return whether it is about a storage.

        Args:
            storage: Its alias.
        """
        return not self.storage or storage in self.storage.split(",")


def runs_in(connection: BaseDatabaseWrapper) -> "QuerySet[Run]":
    """Return all runs.

    Args:
        connection: As `resto.record.database.connected` has it.
    """
    from resto.models import Run  # cannot be imported unless the application is installed

    return Run._base_manager.using(connection.alias)  # noqa: SLF001 - as in `resto.record.queries`


@outside_loops
def find(condition: Q, most: int) -> list[RunRow]:
    """Return runs, the newest first.

    Args:
        condition: Which ones.
        most: How many at most.

    Raises:
        ConfigurationError: The table is missing.
        DatabaseError: It cannot be read.
    """
    with connected() as connection:
        found = runs_in(connection).filter(condition).order_by("-id").annotate(now=DatabaseClock())
        return [_row(values) for values in found.values(*(field.name for field in fields(RunRow)))[:most]]


def row_of(run: "Run") -> RunRow:
    """Return a run of the model as `find` has it.

    Args:
        run: Annotated with the `DatabaseClock`, as ``now``.
    """
    return _row({field.name: getattr(run, field.name) for field in fields(RunRow)})


def _row(values: dict[str, Any]) -> RunRow:
    for name in ("hosts", "problems"):
        values[name] = tuple(json.loads(values[name]))
    for name in ("options", "counts", "report"):
        values[name] = json.loads(values[name])
    return RunRow(**values)


def last_of(kind: str, storage: str, *, succeeded: bool = False, came_to_its_end: bool = False) -> RunRow | None:
    """Return the last run of a kind that has begun and was about all hosts and files of a storage; None if there was none.

    Args:
        kind: One of `KINDS`.
        storage: Alias of the storage.
        succeeded: Whether it is to have ended, and well.
        came_to_its_end: Whether it is to have ended by itself, and not to have been a trial that changes nothing.

    Raises:
        Exception: As for `find`.
    """
    condition = Q(kind=kind, hosts="[]", started__isnull=False) & ~OF_A_PART
    if succeeded:
        condition &= Q(code=0)
    if came_to_its_end:
        condition &= Q(code__in=[0, 1]) & ~Q(options__contains='"dry_run"')
    # Those of several storages are few.
    candidates = find(condition & Q(storage__in=["", storage]), 1)
    candidates += [run for run in find(condition & Q(storage__contains=","), 20) if run.is_about(storage)][:1]
    return max(candidates, key=lambda run: run.id, default=None)


def watching() -> list[RunRow]:
    """Return the processes that stay and drain, and live; see `find` for what is raised."""
    return [run for run in find(Q(kind=WATCH, ended__isnull=True), MOST) if run.state == "under way"]


def under_way() -> list[RunRow]:
    """Return what is asked for or under way, and what has died in the middle of it; see `find` for what is raised."""
    return find(Q(ended__isnull=True) & ~Q(kind=WATCH), MOST)


@outside_loops
def ask(kind: str, storage: str, hosts: Sequence[str], by: str, options: Mapping[str, Any] | None = None) -> int:
    """Ask for a run: the next process that watches begins it.

    Args:
        kind: One of `KINDS`.
        storage: Alias of the storage; empty for all.
        hosts: The hosts as they stand in the settings; none for all.
        by: Who asks for it.
        options: What else is asked for.

    Returns:
        Its number. One that was asked for before in the same words, and has not begun, stands for this one.

    Raises:
        Exception: As for `find`.
    """
    same = {
        "kind": kind,
        "storage": storage,
        "hosts": json.dumps(list(hosts)),
        "options": json.dumps(dict(options or {})),
    }
    with connected() as connection:
        runs = runs_in(connection)
        waiting = runs.filter(**same, started__isnull=True, ended__isnull=True).values_list("id", flat=True).first()
        return waiting or int(runs.create(**same, asked_by=by[:200], asked=DatabaseClock()).pk)


def claim(machine: str, process: int, accepts: Callable[[RunRow], bool] = lambda run: True) -> RunRow | None:
    """Begin a run that was asked for, the one that waits for longest; None if nothing was asked for.

    Args:
        machine: Where it is to be done.
        process: By which process there.
        accepts: Returns whether that process can do it.

    Raises:
        Exception: As for `find`.
    """
    for run in reversed(find(Q(started__isnull=True, ended__isnull=True), MOST)):
        if accepts(run) and _begin(run.id, machine, process):
            return next(iter(find(Q(id=run.id), 1)), None)
    return None


@outside_loops
def _begin(number: int, machine: str, process: int) -> bool:
    """Begin a run, and return whether nobody was faster."""
    now = DatabaseClock()
    began = {"started": now, "seen": now, "machine": machine[:255], "process": process}
    with connected() as connection:
        return bool(runs_in(connection).filter(id=number, started__isnull=True).update(**began))


@outside_loops
def prune(kind: str, storage: str) -> None:
    """Delete old runs of a kind and storage, but never the last that has succeeded.

    Args:
        kind: As for `last_of`.
        storage: As the runs say it.

    Raises:
        Exception: As for `find`.
    """
    with connected() as connection:
        runs = runs_in(connection).filter(kind=kind, storage=storage)
        newest = runs.order_by("-id").values_list("id", flat=True)
        first_too_many = next(iter(newest[MOST : MOST + 1]), 0)
        last_good = newest.filter(code=0).first() or 0
        # Whatever has not ended is forgotten as well by then: it is dead.
        is_old = Q(id__lte=first_too_many) | Q(asked__lt=DatabaseClock() - LONGEST)
        runs.filter(is_old).exclude(id=last_good).delete()
