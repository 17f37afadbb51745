"""Runs: who drains, compares, restores, adopts or probes, how far that is, and what came of the last ones."""

import json
import math
import signal
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import FloatField, Func, Q, Value

from resto.life import has_ended
from resto.record import leases
from resto.record.database import connected, outside_loops, vendor


if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.db.models.sql.compiler import SQLCompiler

    from resto.models import Run

__all__ = [
    "KILLED",
    "KINDS",
    "MISSED",
    "MOST",
    "MOST_TIMES",
    "OF_A_PART",
    "WAITS",
    "WATCH",
    "DatabaseClock",
    "RunRow",
    "find",
    "interval",
    "last_of",
    "last_runs",
    "living",
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

# The condition for what was asked for and nobody is at.
WAITS = Q(started__isnull=True, ended__isnull=True)

# Signs of life that are missed before somebody counts as dead.
MISSED = 6

# How often something is begun that ends with its process each time: it may be what ends it.
MOST_TIMES = 3

# The exit code of what has died, as a shell has it of what was killed.
KILLED = 128 + signal.SIGKILL

# What is kept of each kind and storage: so many, and for so many seconds.
MOST = 1_000
LONGEST = 90 * 86_400.0

# Runs that are looked at beyond those that are wanted, as they may be something else.
_FEW = 20


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
    life: str
    begun: int
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
        """``"asked"``, ``"withdrawn"``, ``"under way"``, ``"dead"``, ``"done"`` or ``"failed"``.

        Dead is what has missed six signs of life, or whose process is known to have ended.
        """
        if self.started is None:
            return "asked" if self.ended is None else "withdrawn"
        if self.ended is None:
            return "dead" if self.silence > MISSED * interval() or self.has_lost_its_process else "under way"
        return "done" if self.code == 0 else "failed"

    @property
    def has_lost_its_process(self) -> bool:
        """Whether whoever does it is known to have ended."""
        return has_ended(self.life)

    @property
    def is_due_again(self) -> bool:
        """Whether it was asked for, and its process has died: the next one begins it again, but not for ever."""
        return self.state == "dead" and bool(self.asked_by) and self.begun < MOST_TIMES

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


def last_of(
    kind: str, storage: str, *, succeeded: bool = False, came_to_its_end: bool = False, is_over: bool = False
) -> RunRow | None:
    """Return the last run of a kind that has begun and was about all hosts and files of a storage; None if there was none.

    Args:
        kind: One of `KINDS`.
        storage: Alias of the storage.
        succeeded: Whether it is to have ended, and well.
        came_to_its_end: Whether it is to have ended by itself, and not to have been a trial that changes nothing.
        is_over: Whether nobody is to be at it any more, be it that it has died.

    Raises:
        Exception: As for `find`.
    """
    condition = Q(kind=kind, hosts="[]", started__isnull=False) & ~OF_A_PART
    if succeeded:
        condition &= Q(code=0)
    if came_to_its_end:
        condition &= Q(code__in=[0, 1]) & ~Q(options__contains='"dry_run"')
    # Those of several storages are few, as are those that go on at the same time.
    candidates = find(condition & Q(storage__in=["", storage]), _FEW if is_over else 1)
    candidates += [run for run in find(condition & Q(storage__contains=","), _FEW) if run.is_about(storage)]
    meant = [run for run in candidates if not (is_over and run.state == "under way")]
    return max(meant, key=lambda run: run.id, default=None)


def living(kind: str) -> list[RunRow]:
    """Return what somebody is at; see `find` for what is raised.

    Args:
        kind: One of `KINDS`, or `WATCH`.
    """
    return [run for run in find(Q(kind=kind) & _gives_signs(), MOST) if run.state == "under way"]


def watching() -> list[RunRow]:
    """Return the processes that stay and drain, and live; see `find` for what is raised."""
    return living(WATCH)


def under_way(most: int) -> list[RunRow]:
    """Return what is asked for or under way, and what is begun again as it has died, the newest first; see `find` for what is raised.

    Args:
        most: How many at most.
    """
    waits = Q(started__isnull=True) | (~Q(asked_by="") & Q(begun__lt=MOST_TIMES))
    found = find(Q(ended__isnull=True) & ~Q(kind=WATCH) & (waits | _gives_signs()), most + _FEW)
    return [run for run in found if run.state != "dead" or run.is_due_again][:most]


def last_runs(most: int) -> list[RunRow]:
    """Return what nobody is at any more, the newest first; see `find` for what is raised.

    Args:
        most: How many at most.
    """
    begun = Q(started__isnull=False) | Q(ended__isnull=False)
    found = find(begun & ~Q(kind=WATCH), most + _FEW)
    return [run for run in found if run.state != "under way" and not run.is_due_again][:most]


def _gives_signs() -> Q:
    """Return the condition for runs of which there was a sign of life not long ago; their processes may have ended since."""
    since = DatabaseClock() - MISSED * interval()
    return Q(started__isnull=False, ended__isnull=True, seen__gt=since)


@outside_loops
def prune(kind: str, storage: str) -> None:
    """Delete old runs of a kind and storage, but never the last that has succeeded, nor what somebody is at.

    What waits goes by its age only.

    Args:
        kind: As for `last_of`.
        storage: As the runs say it.

    Raises:
        Exception: As for `find`.
    """
    with connected() as connection:
        runs = runs_in(connection).filter(kind=kind, storage=storage)
        newest = runs.exclude(WAITS).order_by("-id").values_list("id", flat=True)
        first_too_many = next(iter(newest[MOST : MOST + 1]), 0)
        last_good = newest.filter(code=0).first() or 0
        is_old = (Q(id__lte=first_too_many) & ~WAITS) | Q(asked__lt=DatabaseClock() - LONGEST)
        runs.filter(is_old).exclude(id=last_good).exclude(_gives_signs()).delete()
