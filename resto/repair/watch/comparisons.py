"""Comparisons that a process which stays begins by itself, when it is time."""

from collections.abc import Sequence
from dataclasses import dataclass

from resto.record import leases
from resto.record.runs import RunRow, last_of
from resto.record.wishes import ask, begin
from resto.repair.refusals import refused_storages
from resto.repair.watch.alone import alone, is_compared
from resto.repair.watch.schedule import Schedule
from resto.storage.finding import hosts_of, replicated_aliases


__all__ = ["Comparisons"]

# Seconds between two looks, unless it is time earlier.
LOOKS = 60.0


@dataclass(slots=True)
class _Next:
    """When it is looked again, by a clock that never jumps, and when the next comparison is due, as far as that is known."""

    look: float = 0.0
    due: float | None = None


class Comparisons:
    """Finds out which storage is to be compared, of those that nobody else compares.

    Args:
        schedule: When that is due.
        storage: Aliases of the storages; all if there are none.
    """

    def __init__(self, schedule: Schedule, storage: Sequence[str] = ()) -> None:
        self._schedule = schedule
        self._since = leases.clock()
        self._next = {alias: _Next() for alias in replicated_aliases(storage)}

    def claim(self) -> RunRow | None:
        """Begin a comparison that is due; None if none is, or if others do it.

        Raises:
            DatabaseError: The record cannot be used.
        """
        for alias, following in self._next.items():
            now = leases.monotonic()
            if now < following.look:
                continue
            following.look = now + LOOKS
            rest = self._rest(alias)
            if rest is not None and rest > 0:
                following.look = now + min(rest, LOOKS)
            elif rest is not None and (run := self._claimed(alias)) is not None:
                return run
        return None

    @property
    def due(self) -> dict[str, float]:
        """When each storage is to be compared next, in seconds since the epoch, as far as that is known."""
        return {alias: one.due for alias, one in self._next.items() if one.due is not None}

    def _rest(self, alias: str) -> float | None:
        """Return the seconds until a storage is to be compared; None as long as somebody does so, or if it cannot be done here."""
        if not hosts_of(alias) or refused_storages([alias]):
            self._next[alias].due = None
            return None
        if is_compared([alias]):
            self._next[alias].due = None
            return None
        ended = last_of("sync", alias, came_to_its_end=True)
        due = self._schedule.due(None if ended is None else ended.ended, self._since)
        self._next[alias].due = due
        return due - (leases.clock() if ended is None else ended.now)

    def _claimed(self, alias: str) -> RunRow | None:
        """Begin a comparison, if it is still due once nobody else can begin one."""
        with alone([alias]) as is_alone:
            rest = self._rest(alias) if is_alone else None
            return None if rest is None or rest > 0 else begin(ask("sync", alias, [], by=""))
