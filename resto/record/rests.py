"""How long rows may rest, and what makes them due before their time."""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from resto.exceptions import ConfigurationError
from resto.executors.queue import LONGEST_DELAY
from resto.record import rows
from resto.record.rows import LATEST_FIRST, Conditions, Row, in_parts
from resto.settings import get_setting


__all__ = [
    "MAX_DOUBLINGS",
    "PART",
    "Reached",
    "call_back",
    "delete_by_parts",
    "durations",
    "hasten",
    "lease_seconds",
    "longest_hold",
    "longest_rest",
    "problem_of_durations",
]

logger = logging.getLogger("resto")

# How often the time is doubled that a task queue is given, which is a lease at first: it may also have lost the job.
MAX_DOUBLINGS = 6

# Rows that are made due at a time.
PART = 1_000

# Seconds that a lease can last, far beyond what anybody means.
_LONGEST = 1e10

_CLOCKS_DIFFER = 60.0  # seconds, more than those of the machines of a site do


def lease_seconds() -> float:
    """Return how many seconds rows belong to whoever holds them.

    Raises:
        ConfigurationError: As for `durations`.
    """
    return durations()[0]


def durations() -> tuple[float, float]:
    """Return how many seconds rows belong to whoever holds them, and how many a request of unknown fate may still arrive.

    Raises:
        ConfigurationError: One of the two settings is no number of seconds.
    """
    lease, grace = get_setting("LEASE"), get_setting("GRACE")
    if not (_is_duration(lease) and _is_duration(grace)):
        raise problem_of_durations()
    return float(lease), float(grace)


def problem_of_durations() -> ConfigurationError:
    """Return what says that the two settings are not as they should be."""
    hint = "Both are seconds, and the lease is the longer one: by default 300 and 60."
    problem = f"RESTO_LEASE is {get_setting('LEASE')!r} and RESTO_GRACE {get_setting('GRACE')!r}"
    return ConfigurationError(problem, hint, "E014")


def _is_duration(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < _LONGEST


def longest_rest() -> float:
    """Return how many seconds ahead a row may be due; if it is more, that was by a clock that was wrong."""
    doubled = lease_seconds() * 2.0**MAX_DOUBLINGS
    return max(doubled, longest_hold(), 2 * LONGEST_DELAY) + _CLOCKS_DIFFER


def longest_hold() -> float:
    """Return how many seconds a row may be left to its owner, or to a request of unknown fate."""
    return max(durations())


@dataclass(frozen=True, slots=True)
class Reached:
    """How far a host's rows were made due.

    Attributes:
        storage: The alias of the last row.
        due: When it would have been due.
        until: Later ones are not made due: they have failed since the host answers again. None if all are.
    """

    storage: str = ""
    due: float = 0.0
    until: float | None = None


def hasten(host: str, now: float, reached: Reached | None = None) -> Reached | None:
    """Make a thousand rows of a host due, as far as they may be: it has answered again.

    If it were all of them, a million would keep whoever does it for long, and others would wait for the rows.

    Args:
        host: The host as it stands in the settings.
        now: Seconds since the epoch.
        reached: What the last part has returned, if this is not the first.

    Returns:
        How far it got; None if no more rows rest.
    """
    reached = reached or Reached()
    storages = sorted(storage for storage, other in rows.pairs() if other == host)
    for storage in storages:
        if storage < reached.storage:
            continue
        since = max(now, reached.due) if storage == reached.storage else now
        resting = {"due > %s": now, "quiet_until <= %s": now}
        found = rows.select_of_host(storage, host, resting, PART, since=since, until=reached.until)
        for part in in_parts(found):
            rows.update({"id IN %s": [row.id for row in part], **resting}, due=now)
        if len(found) == PART:
            until = _last_due(storages, host) if reached.until is None else reached.until
            return Reached(storage, found[-1].due, until)
    return None


def _last_due(storages: Sequence[str], host: str) -> float:
    latest = [rows.select_of_host(storage, host, {}, 1, direction=LATEST_FIRST) for storage in storages]
    return max((row.due for found in latest for row in found), default=0.0)


def call_back(now: float) -> bool:
    """Make due what a clock that was wrong has put off for longer than anything rests; return whether there was any.

    Whoever holds such rows may be alive, and sending: they are left alone for as long as that may last.

    Args:
        now: Seconds since the epoch.
    """
    far = {"due > %s": now + longest_rest()}
    found = rows.select(far, PART, "due")
    if not found or not _is_right(now):
        return False
    for part in in_parts(found):
        those = {"id IN %s": [row.id for row in part], **far}
        rows.update({**those, "quiet_until <= %s": now}, due=now)
        held_until = now + longest_hold()
        rows.update({**those, "quiet_until > %s": held_until}, quiet_until=held_until, due=held_until)
        rows.update({**those, "quiet_until > %s": now}, "due = quiet_until")
    return True


def _is_right(now: float) -> bool:
    """Tell whether the database has the same time: else it may be the clock of this machine that is wrong."""
    of_database = rows.clock()
    if of_database is None or abs(of_database - now) < lease_seconds() / 3:
        return True
    logger.error("The clock of this machine differs by %d seconds from that of the database.", now - of_database)
    return False


def delete_by_parts(find: Callable[[], list[Row]], where: Conditions) -> Iterator[tuple[Sequence[Row], int]]:
    """Remove rows, few enough at a time that others do not wait for long.

    Args:
        find: Returns the next of them, as long as there are any.
        where: What must still hold of them, as for `rows.select`.

    Yields:
        Rows that were found, and how many of them were still as they should be, and are removed.
    """
    while found := find():
        for part in in_parts(found):
            yield part, rows.delete({"id IN %s": [row.id for row in part], **where})
