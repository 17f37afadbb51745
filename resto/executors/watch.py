"""Watching over courses under way: which of them can go on."""

import select
import time
from typing import Generic, TypeVar

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
        if arrival.takes_more:
            self._poller.register(arrival.descriptor, select.POLLIN | select.POLLOUT)
        elif len(watched) == 1:  # another one may have registered for more
            self._poller.register(arrival.descriptor, select.POLLIN)

    def wait(self) -> list[K]:
        """Wait until some courses can go on or are overdue, and return them; they are no longer watched over."""
        deadline = min(
            (arrival.deadline for arrivals in self._watched.values() for _, arrival in arrivals), default=None
        )
        patience = None if deadline is None else max(deadline - time.monotonic(), 0) * 1000
        ready = [descriptor for descriptor, _ in self._poller.poll(patience)]
        self.was_woken = self._wake_up in ready
        if not ready or patience == 0:  # whatever else is ready: others may be so for ever
            ready += [
                descriptor
                for descriptor, arrivals in self._watched.items()
                if any(arrival.deadline == deadline for _, arrival in arrivals)
            ]
        return [key for descriptor in ready for key in self._forget(descriptor)]

    def _forget(self, descriptor: int) -> list[K]:
        watched = self._watched.pop(descriptor, None)
        if watched is None:
            return []
        self._poller.unregister(descriptor)
        return [key for key, _ in watched]
