"""What is pending: for each host, and for names of storages without a master copy."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import Case, Q, When

from resto.record import leases, rows
from resto.record.database import connected, outside_loops
from resto.record.queries import OF_COMPARISONS, not_under_way, rows_in, under_way
from resto.record.rows import Row, digest_of, in_parts
from resto.record.settled import SETTLED


__all__ = ["NOTHING", "Backlog", "backlog_of", "backlog_of_host", "rows_below", "rows_of_name", "rows_of_names"]

# How many rows of a host are looked at: nobody is told more by a larger number, and with a million it would take long.
MOST = 10_000


@dataclass(frozen=True, slots=True)
class Backlog:
    """What one host may have missed.

    A row that has not failed, and whose lease runs, is under way; a name with any other row is pending.

    Attributes:
        count: How many names are pending.
        has_more: Whether there are more than that, which were not counted.
        under_way: How many other names somebody is dealing with at this moment.
        oldest: Seconds since the oldest change that is pending, at least 0; None if none is.
        due: Seconds until the next of them is due; negative if it has been due for a while. None if none is pending.
        error: Why the one that failed last did; empty if none has.
        compared: How many of those that are pending are so only as a comparison has found that the host differs.
    """

    count: int
    has_more: bool
    under_way: int
    oldest: float | None
    due: float | None
    error: str
    compared: int = 0


# The backlog of a host that nothing is recorded for.
NOTHING = Backlog(count=0, has_more=False, under_way=0, oldest=None, due=None, error="")


@outside_loops
def backlog_of(storage: str) -> dict[str, Backlog]:
    """Return what is pending, or under way, for each host of a storage that anything is.

    Args:
        storage: Alias of the storage in ``STORAGES``.
    """
    found = {host: backlog_of_host(alias, host) for alias, host in rows.pairs([storage])}
    return {host: one for host, one in found.items() if one is not NOTHING}


@outside_loops
def backlog_of_host(storage: str, host: str) -> Backlog:
    """Return what is pending, or under way, for one host; `NOTHING` if nothing is.

    Args:
        storage: Alias of the storage in ``STORAGES``.
        host: The host as it stands in the settings of whoever has recorded it.
    """
    SETTLED.remove()
    now = leases.clock()
    is_under_way = under_way(now)
    with connected() as connection:
        mine = rows_in(connection).filter(storage=storage, host=host)
        # Times are above 0: SQLite would take the other index of a host, and sort a million rows.
        by_age = (
            mine.filter(created__gt=0)
            .order_by("created")
            .values_list("name", "created", _when(is_under_way), _when(~Q(error="")), _when(OF_COMPARISONS), "id")
        )
        oldest = list(by_age[: MOST + 1])
        newest = list(by_age.reverse()[:MOST]) if len(oldest) > MOST else oldest[::-1]
        failed = next((number for *_, has_failed, _, number in newest if has_failed), None)
        error = mine.filter(id=failed).values_list("error", flat=True).first() if failed else ""
    if not oldest:
        return NOTHING
    next_one = rows.select_of_host(storage, host, not_under_way(now), 1)
    pending: dict[str, float] = {}
    at_work = set()
    changed = set()
    for name, created, is_at_work, _, is_compared, _ in (*oldest, *newest):
        if is_at_work:
            at_work.add(name)
            continue
        pending.setdefault(name, created)
        if not is_compared:
            changed.add(name)
    return Backlog(
        count=min(len(pending), MOST),
        has_more=len(oldest) > MOST,
        under_way=len(at_work.difference(pending)),
        oldest=max(0.0, now - min(pending.values())) if pending else None,  # a clock was wrong, or somebody's row is
        due=next_one[0].due - now if next_one else None,
        error=error or "",
        compared=max(0, min(len(pending), MOST) - len(changed)),
    )


def _when(condition: Q) -> Case:
    return Case(When(condition, then=True), default=False)


def rows_of_name(storage: str, name: str) -> list[Row]:
    """Return all rows of one name, oldest first. Only for storages without a master copy.

    Args:
        storage: Alias of the storage in ``STORAGES``.
        name: The file's name.
    """
    return rows.select(rows.of_name(storage, name))


def rows_of_names(storage: str, names: Iterable[str]) -> dict[str, list[Row]]:
    """Return all rows of several names, by name, each oldest first. Only for storages without a master copy.

    Args:
        storage: Alias of the storage in ``STORAGES``.
        names: The files' names.
    """
    found: dict[str, list[Row]] = {}
    for part in in_parts(sorted({digest_of(storage, name) for name in names})):
        for row in rows.select(rows.of_keys(part)):
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
        below = rows_in(connection).filter(storage=storage)
        if directory:
            below = below.filter(name__startswith=f"{directory}/")
        for row in map(Row._make, below.order_by("id").values_list(*Row._fields)):
            found.setdefault(row.name, []).append(row)
    return found
