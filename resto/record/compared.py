"""What a comparison has found and leaves to drains: rows that nobody holds, which say that they are a comparison's.

A drain that claims one makes the host equal to the truth, whatever that is by then. So it does not matter how old a row is, nor
whether what it tells of is there any more. Where a row of a host and a name waits already, no other one is needed.
"""

import secrets
from collections.abc import Sequence
from typing import Any, NamedTuple

from django.db.models import Q

from resto.record import leases, rows
from resto.record.database import connected, outside_loops
from resto.record.queries import OF_COMPARISONS, rows_in
from resto.record.rows import COMPARED, FILL, Row, digest_of


__all__ = ["Left", "count_waiting", "leave", "leave_fills", "left_of_host"]

# Rows that are written at a time, with six values for each: older SQLite takes 999.
_PART = 100

Pairs = Sequence[tuple[str, str]]


class Left(NamedTuple):
    """What is left of that which was pending for a host at some time.

    Attributes:
        rows: How many rows.
        resting: How many of these have failed, and wait for their next try.
    """

    rows: int
    resting: int


def leave(storage: str, pairs: Pairs, *, present: bool) -> None:
    """Leave it to drains to make hosts equal to the master copy.

    Args:
        storage: Alias of the storage in ``STORAGES``.
        pairs: Hosts and names.
        present: Whether the master copy has these files.

    Raises:
        ConfigurationError: The table is missing.
        DatabaseError: It could not be recorded.
    """
    common = {"present": present, "latest": COMPARED}
    for part in _parts(storage, pairs):
        own = [
            {"owner": secrets.token_hex(16), "host": host, "name": name, "name_key": digest_of(storage, name)}
            for host, name in part
        ]
        rows.insert(_free(storage) | common, own)


def leave_fills(storage: str, pairs: Pairs) -> None:
    """Leave it to drains to make hosts equal to those that nothing is pending for, where there is no master copy.

    Args:
        storage: As for `leave`.
        pairs: Hosts and names, as for `resto.record.opening.open_fills`.

    Raises:
        ConfigurationError: As for `leave`.
        DatabaseError: As for `leave`.
    """
    common = {"present": False, "opened_by": FILL}
    for part in _parts(storage, pairs):
        own = []
        for host, name in part:
            token, key = secrets.token_hex(16), digest_of(storage, name)
            own.append({"owner": token, "latest": token, "host": host, "name": name, "name_key": key, "digest": key})
        rows.insert(_free(storage) | common, own)


def _parts(storage: str, pairs: Pairs) -> list[Pairs]:
    """Return the pairs for which nothing waits, some at a time. What somebody deals with may be forgotten: nothing may come of it."""
    parts: list[Pairs] = []
    for number in range(0, len(pairs), _PART):
        part, now = pairs[number : number + _PART], leases.clock()
        keys = sorted({digest_of(storage, name) for _, name in part})
        found = [row for row in rows.select(rows.of_keys(keys)) if row.storage == storage]
        waiting = {(row.host, row.name) for row in found if row.quiet_until <= now or _is_of_comparison(row)}
        left = [pair for pair in part if pair not in waiting]
        if left:
            parts.append(left)
    return parts


def _is_of_comparison(row: Row) -> bool:
    return row.latest == COMPARED or row.opened_by == FILL


def _free(storage: str) -> dict[str, Any]:
    now = leases.clock()
    return {"storage": storage, "created": now, "quiet_until": 0.0, "due": now}


@outside_loops
def count_waiting(storage: str) -> int:
    """Return how many rows of comparisons wait for drains.

    Args:
        storage: As for `leave`.
    """
    with connected() as connection:
        return rows_in(connection).filter(OF_COMPARISONS, storage=storage).count()


@outside_loops
def left_of_host(storage: str, host: str, moment: float) -> Left:
    """Return what is left for a host of that which was recorded up to a moment.

    Args:
        storage: As for `leave`.
        host: The host as it stands in the settings.
        moment: Seconds since the epoch.
    """
    now = leases.clock()
    rests = Q(attempts__gt=0, quiet_until__lte=now, due__gt=now)
    with connected() as connection:
        mine = rows_in(connection).filter(storage=storage, host=host, created__gt=0, created__lte=moment)
        return Left(mine.count(), mine.filter(rests).count())
