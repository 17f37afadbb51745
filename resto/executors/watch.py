"""Watching over courses under way: which of them can go on."""

import math
import select
from typing import Generic, TypeVar

from resto.clock import monotonic
from resto.courses import Arrival


__all__ = ["Watch"]

K = TypeVar("K")


class Watch(Generic[K]):
    """What is waited for: descriptors, and the keys of whoever goes on when they are ready.

    Args:
        wake_up: A descriptor that becomes readable when whoever waits should stop to; None if nothing else happens.

    Attributes:
        was_woken: Whether it was readable when the last wait ended.
    """

    def __init__(self, wake_up: int | None = None) -> None:
        self._poller = select.poll()
        self._watched: dict[int, list[tuple[K, Arrival]]] = {}
        self._earliest = math.inf  # of all deadlines, or before: of one that is watched no longer
        self._wake_up = wake_up
        self.was_woken = False
        if wake_up is not None:
            self._poller.register(wake_up, select.POLLIN)

    def __bool__(self) -> bool:
        return bool(self._watched)

    def add(self, key: K, arrival: Arrival) -> None:
        """Watch over a course."""
        watched = self._watched.setdefault(arrival.descriptor, [])
        watched.append((key, arrival))
        if arrival.deadline < self._earliest:
            self._earliest = arrival.deadline
        if arrival.takes_more:
            self._poller.register(arrival.descriptor, select.POLLIN | select.POLLOUT)
        elif len(watched) == 1:  # another one may have registered for more
            self._poller.register(arrival.descriptor, select.POLLIN)

    def wait(self, limit: float | None = None) -> list[K]:
        """Wait until some courses can go on or are overdue, and return them; they are no longer watched over.

        Args:
            limit: Until when at most, by `resto.clock.monotonic`; then there may be none.
        """
        until = self._earliest if limit is None else min(self._earliest, limit)
        patience = None if until == math.inf else max(until - monotonic(), 0) * 1000
        ready = [descriptor for descriptor, _ in self._poller.poll(patience)]
        self.was_woken = self._wake_up in ready
        if not ready or patience == 0:  # whatever else is ready: others may be so for ever
            ready += self._overdue(max(until, monotonic()))
        return self._forget(ready)

    def _overdue(self, now: float) -> list[int]:
        deadlines = {
            descriptor: min(arrival.deadline for _, arrival in arrivals)
            for descriptor, arrivals in self._watched.items()
        }
        self._earliest = min([one for one in deadlines.values() if one > now], default=math.inf)
        return [descriptor for descriptor, deadline in deadlines.items() if deadline <= now]

    def _forget(self, descriptors: list[int]) -> list[K]:
        keys = []
        for descriptor in descriptors:
            watched = self._watched.pop(descriptor, None)
            if watched is not None:
                self._poller.unregister(descriptor)
                keys += [key for key, _ in watched]
        return keys
