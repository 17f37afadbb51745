"""What waits for its next use: connections, or sessions."""

import os
import weakref
from collections import deque
from contextlib import suppress
from typing import Any, Generic, Protocol, TypeVar

from resto.clock import monotonic


__all__ = ["MOST_IN_ALL", "MOST_OF_A_HOST", "IdlePool", "Reusable"]

# How many wait, in one pool, and in all pools of the process.
MOST_OF_A_HOST, MOST_IN_ALL = 8, 64


class Reusable(Protocol):
    """What a pool can hold."""

    @property
    def lasts(self) -> float:
        """For how many seconds it may wait for its next use."""
        ...

    def close(self) -> None: ...


T = TypeVar("T", bound=Reusable)
Waiting = deque[tuple[float, T]]  # until when each may be used, and what it is; the one that was used last at the end


class IdlePool(Generic[T]):
    """Keeps things for their next use, the latest one first, and closes those that wait for too long, or are too many.

    Threads share it without a lock, which could be held at a fork.
    """

    def __init__(self) -> None:
        self._waiting: Waiting[T] = deque()
        _pools[id(self._waiting)] = self._waiting
        weakref.finalize(self, _end, self._waiting)

    def take(self) -> T | None:
        """Return the one that was used last, which is then the caller's; None if there is none."""
        waiting = self._waiting
        try:
            while True:
                until, item = waiting.pop()
                _places.append(None)
                if until >= monotonic():
                    return item
                item.close()
        except IndexError:
            return None

    def give(self, item: T) -> None:
        """Keep something for later."""
        now, waiting = monotonic(), self._waiting
        try:
            _places.pop()
        except IndexError:
            _make_room()
        waiting.append((now + item.lasts, item))
        if len(waiting) > 1:
            self._close_some(now)

    def clear(self) -> None:
        """Close everything."""
        _close_all(self._waiting)

    def _close_some(self, now: float) -> None:
        """Close those that have waited for too long, or are too many."""
        waiting = self._waiting
        with suppress(IndexError):  # another thread may have taken the last one
            while waiting[0][0] < now or len(waiting) > MOST_OF_A_HOST:
                _close_first(waiting)  # a younger one, if another thread has just taken this one


# What waits in all pools that are in use, by its identity.
_pools: dict[int, Waiting[Any]] = {}

# One for each that may wait besides.
_places: list[None] = [None] * MOST_IN_ALL


def _make_room() -> None:
    """Close the one of all pools that would be closed first, and take its place."""
    first: Waiting[Any] | None = None
    number, earliest = 0, float("inf")
    for waiting in list(_pools.values()):
        with suppress(IndexError):  # another thread may have taken the last one
            number += len(waiting)
            if waiting[0][0] < earliest:
                first, earliest = waiting, waiting[0][0]
    if first is not None and number >= MOST_IN_ALL:  # else an interruption has lost places, of which this is one
        _close_first(first)
        with suppress(IndexError):
            _places.pop()


def _close_first(waiting: Waiting[Any]) -> None:
    with suppress(IndexError):  # another thread may have taken the last one
        _, item = waiting.popleft()
        _places.append(None)
        item.close()


def _close_all(waiting: Waiting[Any]) -> None:
    while waiting:
        _close_first(waiting)


def _end(waiting: Waiting[Any]) -> None:
    _pools.pop(id(waiting), None)
    _close_all(waiting)


def _forget_what_is_the_parents() -> None:
    """Drop what a forked child has inherited: the parent still talks over these connections."""
    for waiting in list(_pools.values()):
        _close_all(waiting)


os.register_at_fork(after_in_child=_forget_what_is_the_parents)
