"""What is pending: for each host, and for names of storages without a master copy."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Count, Min, QuerySet

from resto.record import leases, rows
from resto.record.database import connected, outside_loops
from resto.record.rows import Row, digest_of, in_parts


if TYPE_CHECKING:
    from resto.models import Pending

__all__ = ["Backlog", "backlog_of", "rows_below", "rows_of_name", "rows_of_names"]


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


@outside_loops
def backlog_of(storage: str) -> dict[str, Backlog]:
    """Return what is pending for each host of a storage that something is pending for.

    Rows of changes that are under way at this moment count too.

    Args:
        storage: Alias of the storage in ``STORAGES``.
    """
    with connected() as connection:
        mine = _objects(connection).filter(storage=storage)
        counted = list(mine.values("host").annotate(count=Count("id"), created=Min("created"), due=Min("due")))
        found, now = {}, leases.clock()
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
    return rows.select({"digest = %s": digest_of(storage, name)})


def rows_of_names(storage: str, names: Iterable[str]) -> dict[str, list[Row]]:
    """Return all rows of several names, by name, each oldest first. Only for storages without a master copy.

    Args:
        storage: Alias of the storage in ``STORAGES``.
        names: The files' names.
    """
    found: dict[str, list[Row]] = {}
    for part in in_parts(sorted({digest_of(storage, name) for name in names})):
        for row in rows.select({"digest IN %s": [*part]}):
            found.setdefault(row.name, []).append(row)
    return found


@outside_loops
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


def _objects(connection: BaseDatabaseWrapper) -> "QuerySet[Pending]":
    from resto.models import Pending  # cannot be imported unless the application is installed

    return Pending._base_manager.using(connection.alias)  # noqa: SLF001 - a public API of Django (topics/db/managers)
