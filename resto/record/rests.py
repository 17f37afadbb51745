"""How long rows may rest, and what makes them due before their time."""

import logging

from resto.executors.queue import LONGEST_DELAY
from resto.record import rows
from resto.record.rows import in_parts
from resto.settings import get_setting


__all__ = ["MAX_DOUBLINGS", "PART", "call_back", "hasten", "lease_seconds", "longest_hold", "longest_rest"]

logger = logging.getLogger("resto")

# How often the time is doubled that a task queue is given, which is a lease at first: it may also have lost the job.
MAX_DOUBLINGS = 6

# Rows that are made due at a time.
PART = 1_000

_CLOCKS_DIFFER = 60.0  # seconds, more than those of the machines of a site do


def lease_seconds() -> float:
    """Return how many seconds rows belong to whoever holds them."""
    return float(get_setting("LEASE"))


def longest_rest() -> float:
    """Return how many seconds ahead a row may be due; if it is more, that was by a clock that was wrong."""
    doubled = lease_seconds() * 2.0**MAX_DOUBLINGS
    return max(doubled, longest_hold(), 2 * LONGEST_DELAY) + _CLOCKS_DIFFER


def longest_hold() -> float:
    """Return how many seconds a row may be left to its owner, or to a request of unknown fate."""
    return max(lease_seconds(), float(get_setting("GRACE")))


def hasten(host: str, now: float, reached: tuple[str, float] = ("", 0.0)) -> tuple[str, float] | None:
    """Make a thousand rows of a host due, as far as they may be: it has answered again.

    If it were all of them, a million would keep whoever does it for long, and others would wait for the rows.

    Args:
        host: The host as it stands in the settings.
        now: Seconds since the epoch.
        reached: What the last part has returned, if this is not the first.

    Returns:
        How far it got: an alias, and when a row would have been due; None if no more rows rest.
    """
    for storage, other in sorted(rows.pairs()):
        if other != host or storage < reached[0]:
            continue
        after = reached[1] if storage == reached[0] else 0.0
        resting = {"due > %s": now, "quiet_until <= %s": now}
        which = {"storage = %s": storage, "host = %s": host, **resting, "due >= %s": after}
        found = rows.select(which, PART, "due, id")
        for part in in_parts(found):
            rows.update({"id IN %s": [row.id for row in part], **resting}, due=now)
        if len(found) == PART:
            return storage, found[-1].due
    return None


def call_back(now: float) -> bool:
    """Make due what a clock that was wrong has put off for longer than anything rests; return whether there was any.

    Whoever holds such rows may be alive, and sending: they are left alone for as long as that may last.

    Args:
        now: Seconds since the epoch.
    """
    far = {"due > %s": now + longest_rest()}
    found = rows.select(far, PART, "due, id")
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
