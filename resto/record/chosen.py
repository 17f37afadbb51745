"""Rows that somebody chooses by hand: of a host that is gone, of files to be listed, or to be dealt with at once."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db.models import Count

from resto.record import leases, rests, rows
from resto.record.database import connected, outside_loops
from resto.record.queries import is_under_way, rows_in, under_way
from resto.record.rests import delete_by_parts
from resto.record.settled import SETTLED


if TYPE_CHECKING:
    from resto.models import Pending

__all__ = [
    "PendingFile",
    "forget_host",
    "make_due",
    "make_rows_due",
    "names_by_storage",
    "pending_files",
    "rows_of_file",
]


@dataclass(frozen=True, slots=True)
class PendingFile:
    """What one row says.

    Attributes:
        storage: Alias of the storage in ``STORAGES``.
        host: The host as it stood in the settings of whoever has recorded it.
        name: The file's name.
        is_under_way: Whether somebody is sending or removing the file, and has not failed yet.
        age: Seconds since the file was changed.
        due: Seconds until the next try is due; negative if it has been due for a while.
        attempts: How often it has failed, or was handed to a task queue.
        error: Why it failed the last time; empty if it did not.
    """

    storage: str
    host: str
    name: str
    is_under_way: bool
    age: float
    due: float
    attempts: int
    error: str


def make_due(storages: Sequence[str] = (), hosts: Sequence[str] = (), most: float = math.inf) -> int:
    """Make due what is not due yet, as far as no request of unknown fate may still arrive, and nobody holds it; return how much.

    Args:
        storages: Aliases; all if there are none.
        hosts: Hosts; all if there are none.
        most: About how many rows; the others stay as they are.
    """
    now, number = leases.clock(), 0
    resting = _resting(now)
    for storage, host in _pairs(storages, hosts):
        while number < most and (found := rows.select_of_host(storage, host, resting, rests.PART, since=now)):
            for part in rows.in_parts([row.id for row in found]):
                number += rows.update({"id IN %s": [*part], **resting}, due=now)
    return number


def make_rows_due(numbers: Sequence[int]) -> int:
    """Make rows due as `make_due` does, and return how many.

    Args:
        numbers: Of the rows.
    """
    now = leases.clock()
    return sum(rows.update({"id IN %s": [*part], **_resting(now)}, due=now) for part in rows.in_parts(numbers))


def _resting(now: float) -> dict[str, float]:
    return {"due > %s": now, "quiet_until <= %s": now}


@outside_loops
def names_by_storage(host: str) -> dict[str, int]:
    """Return how many names are recorded for a host, for each alias that has any.

    Args:
        host: As it stood in the settings of whoever has recorded it.
    """
    found = {}
    for storage, _ in _pairs((), [host]):
        with connected() as connection:
            mine = rows_in(connection).filter(storage=storage, host=host)
            found[storage] = mine.aggregate(names=Count("name", distinct=True))["names"]
    return {storage: number for storage, number in found.items() if number}


def forget_host(storage: str, host: str) -> Iterator[int]:
    """Remove the rows of a host, but for those that somebody holds, or whose requests may still arrive; yield how many, as they go.

    Args:
        storage: Alias of the storage.
        host: As for `names_by_storage`.
    """
    free = {"quiet_until <= %s": leases.clock()}
    mine = {"storage = %s": storage, "host = %s": host, **free}
    for _, number in delete_by_parts(lambda: rows.select_of_host(storage, host, free, rests.PART), mine):
        yield number


def pending_files(storages: Sequence[str], hosts: Sequence[str] = ()) -> Iterator[PendingFile]:
    """Yield each file that is pending for a host, the oldest first, as its oldest row has it; not what is under way.

    Args:
        storages: Aliases.
        hosts: Hosts; all if there are none.
    """
    for storage, host in _pairs(storages, hosts):
        seen: set[int] = set()
        created, last = 0.0, 0
        while found := _pending_after(storage, host, created, last):
            now = leases.clock()
            for row in found:
                created, last = row.created, row.pk
                key = hash(row.name)  # of millions, the names themselves take too much memory
                if key not in seen:
                    seen.add(key)
                    yield _file(row, now)


@outside_loops
def _pending_after(storage: str, host: str, created: float, last: int) -> "list[Pending]":
    with connected() as connection:
        mine = rows_in(connection).filter(storage=storage, host=host, created__gte=created)
        mine = mine.exclude(under_way(leases.clock())).exclude(created=created, id__lte=last)
        return list(mine.order_by("created", "id")[: rests.PART])


@outside_loops
def rows_of_file(storage: str, name: str) -> list[PendingFile]:
    """Return what is recorded of one file, for all hosts, oldest first.

    Args:
        storage: Alias of the storage.
        name: The file's name.
    """
    SETTLED.remove()
    now = leases.clock()
    with connected() as connection:
        of_name = rows_in(connection).filter(key__in=[rows.digest_of(storage, name), ""])
        return [_file(row, now) for row in of_name.filter(storage=storage, name=name).order_by("id")]


def _pairs(storages: Sequence[str], hosts: Sequence[str]) -> list[tuple[str, str]]:
    SETTLED.remove()
    return [(storage, host) for storage, host in rows.pairs(storages) if not hosts or host in hosts]


def _file(row: "Pending", now: float) -> PendingFile:
    age, due = now - row.created, row.due - now
    return PendingFile(row.storage, row.host, row.name, is_under_way(row, now), age, due, row.attempts, row.error)
