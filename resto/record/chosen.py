"""Rows that somebody chooses by hand: of a host that is gone, of files to be listed, or to be dealt with at once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db.models import Count, Q, QuerySet

from resto.record import leases, rows
from resto.record.database import connected


if TYPE_CHECKING:
    from resto.models import Pending

__all__ = ["PendingFile", "forget_host", "make_due", "names_by_storage", "pending_files", "rows_of_file"]

# Rows that are read or written at a time: others do not wait for long.
PART = 1_000


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


def make_due(storages: Sequence[str] = (), hosts: Sequence[str] = ()) -> None:
    """Make due what is not due yet, as far as no request of unknown fate may still arrive, and nobody holds it.

    Args:
        storages: Aliases; all if there are none.
        hosts: Hosts; all if there are none.
    """
    now = leases.clock()
    resting = {"due > %s": now, "quiet_until <= %s": now}
    which: dict[str, Any] = dict(resting)
    if storages:
        which["storage IN %s"] = [*storages]
    if hosts:
        which["host IN %s"] = [*hosts]
    last = 0
    while found := rows.select(which | {"id > %s": last}, PART):
        for part in rows.in_parts([row.id for row in found]):
            rows.update({"id IN %s": [*part], **resting}, due=now)
        last = found[-1].id


def names_by_storage(host: str) -> dict[str, int]:
    """Return how many names are recorded for a host, for each alias that has any.

    Args:
        host: As it stood in the settings of whoever has recorded it.
    """
    with connected() as connection:
        counted = (
            _objects(connection.alias).filter(host=host).values("storage").annotate(names=Count("name", distinct=True))
        )
        return {one["storage"]: one["names"] for one in counted.order_by("storage")}


def forget_host(storage: str, host: str) -> Iterator[int]:
    """Remove the rows of a host, but for those that somebody holds, or whose requests may still arrive; yield how many, as they go.

    Args:
        storage: Alias of the storage.
        host: As for `names_by_storage`.
    """
    free = {"storage = %s": storage, "host = %s": host, "quiet_until <= %s": leases.clock()}
    last = 0
    while found := rows.select(free | {"id > %s": last}, PART):
        for part in rows.in_parts([row.id for row in found]):
            yield rows.delete({"id IN %s": [*part], **free})
        last = found[-1].id


def pending_files(storages: Sequence[str], hosts: Sequence[str] = ()) -> Iterator[PendingFile]:
    """Yield each file that is pending for a host, once for each host, as its oldest row has it; not what is under way.

    Args:
        storages: Aliases.
        hosts: Hosts; all if there are none.
    """
    seen: set[int] = set()
    last = 0
    while True:
        now = leases.clock()
        with connected() as connection:
            chosen = _objects(connection.alias).filter(storage__in=storages, id__gt=last).exclude(_under_way(now))
            if hosts:
                chosen = chosen.filter(host__in=hosts)
            found = list(chosen.order_by("id")[:PART])
        for row in found:
            last = row.pk
            key = hash((row.storage, row.host, row.name))  # of millions, the names themselves take too much memory
            if key not in seen:
                seen.add(key)
                yield _file(row, now)
        if len(found) < PART:
            return


def rows_of_file(storage: str, name: str) -> list[PendingFile]:
    """Return what is recorded of one file, for all hosts, oldest first.

    Args:
        storage: Alias of the storage.
        name: The file's name.
    """
    now = leases.clock()
    with connected() as connection:
        return [_file(row, now) for row in _objects(connection.alias).filter(storage=storage, name=name).order_by("id")]


def _under_way(now: float) -> Q:
    return Q(error="", quiet_until__gt=now)


def _file(row: "Pending", now: float) -> PendingFile:
    under_way = not row.error and row.quiet_until > now
    return PendingFile(
        row.storage, row.host, row.name, under_way, now - row.created, row.due - now, row.attempts, row.error
    )


def _objects(alias: str) -> "QuerySet[Pending]":
    from resto.models import Pending  # cannot be imported unless the application is installed

    return Pending._base_manager.using(alias)  # noqa: SLF001 - a public API of Django (topics/db/managers)
