"""What waits for its next use: connections, or sessions."""

import os
import weakref
from collections import deque
from contextlib import suppress
from typing import Any, Generic, Protocol, TypeVar

from resto.clock import monotonic


__all__ = ["MAX_IDLE", "Closable", "IdlePool"]

# Seconds. Apache closes idle connections after 5, lighttpd after 6, wsgidav after 10.
MAX_IDLE = 4


class Closable(Protocol):
    """What a pool can hold."""

    def close(self) -> None: ...


T = TypeVar("T", bound=Closable)


class IdlePool(Generic[T]):
    """Keeps things for their next use, the latest one first, and closes those that wait longer than `MAX_IDLE`.

    Threads share it without a lock, which could be held at a fork.
    """

    def __init__(self) -> None:
        self._waiting: deque[tuple[float, T]] = deque()
        weakref.finalize(self, _close_all, self._waiting)
        _pools.add(self)

    def take(self) -> T | None:
        """Return the one that was used last, which is then the caller's; None if there is none."""
        try:
            if self._waiting[0][0] < monotonic() - MAX_IDLE:
                self._close_expired()
            return self._waiting.pop()[1]
        except IndexError:  # another thread may have taken the last one
            return None

    def give(self, item: T) -> None:
        """Keep something for later."""
        now, waiting = monotonic(), self._waiting
        try:
            if waiting and waiting[0][0] < now - MAX_IDLE:
                self._close_expired()
        except IndexError:
            pass  # another thread has just taken the only one
        waiting.append((now, item))

    def clear(self) -> None:
        """Close everything."""
        _close_all(self._waiting)

    def _close_expired(self) -> None:
        oldest = monotonic() - MAX_IDLE
        with suppress(IndexError):  # another thread may have taken the last one
            while self._waiting[0][0] < oldest:
                self._waiting.popleft()[1].close()  # a younger one, if another thread has just taken this one

    def forget(self) -> None:
        """Drop what a forked child has inherited: the parent still talks over these connections."""
        _close_all(self._waiting)


_pools: "weakref.WeakSet[IdlePool[Any]]" = weakref.WeakSet()


def _forget_what_is_the_parents() -> None:
    for pool in list(_pools):
        pool.forget()


os.register_at_fork(after_in_child=_forget_what_is_the_parents)


def _close_all(waiting: deque[tuple[float, T]]) -> None:
    with suppress(IndexError):  # another thread may have taken the last one
        while waiting:
            waiting.pop()[1].close()
