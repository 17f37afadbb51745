"""Watching over actions under way: which of them can go on."""

import select
import time
from typing import Generic, TypeVar

from resto.outcomes import Arrival


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
        self._watched: dict[int, tuple[K, float]] = {}
        self._wake_up = wake_up
        self.was_woken = False
        if wake_up is not None:
            self._poller.register(wake_up, select.POLLIN)

    def __len__(self) -> int:
        return len(self._watched)

    def add(self, key: K, arrival: Arrival | None) -> bool:
        """Watch over an action; return False if that is not possible, and somebody must wait for it."""
        if arrival is None or arrival.descriptor in self._watched:
            return False
        self._poller.register(arrival.descriptor, select.POLLIN | (select.POLLOUT if arrival.takes_more else 0))
        self._watched[arrival.descriptor] = key, arrival.deadline
        return True

    def wait(self) -> list[K]:
        """Wait until some actions can go on or are overdue, and return them; they are no longer watched over."""
        deadline = min((deadline for _, deadline in self._watched.values()), default=None)
        patience = None if deadline is None else max(deadline - time.monotonic(), 0) * 1000
        ready = [descriptor for descriptor, _ in self._poller.poll(patience)]
        self.was_woken = self._wake_up in ready
        if not ready:
            ready = [descriptor for descriptor, (_, until) in self._watched.items() if until == deadline]
        return [self._forget(descriptor) for descriptor in ready if descriptor in self._watched]

    def _forget(self, descriptor: int) -> K:
        self._poller.unregister(descriptor)
        return self._watched.pop(descriptor)[0]
