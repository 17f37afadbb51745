"""What waits for its next use: connections, or sessions."""

import os
import threading
import time
import weakref
from collections import deque
from typing import Generic, Protocol, TypeVar


__all__ = ["MAX_IDLE", "IdlePool"]

# Seconds. Apache closes idle connections after 5, lighttpd after 6, wsgidav after 10.
MAX_IDLE = 4


class Closable(Protocol):
    """What a pool can hold."""

    def close(self) -> None: ...


T = TypeVar("T", bound=Closable)


class IdlePool(Generic[T]):
    """Keeps things for their next use, the latest one first, and closes those that wait longer than `MAX_IDLE`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[tuple[float, T]] = deque()
        self._pid = os.getpid()
        weakref.finalize(self, _close_all, self._waiting)

    def take(self) -> T | None:
        """Return the one that was used last, which is then the caller's; None if there is none."""
        self._check_process()
        with self._lock:
            self._close_expired()
            return self._waiting.pop()[1] if self._waiting else None

    def give(self, item: T) -> None:
        """Keep something for later."""
        self._check_process()
        with self._lock:
            self._close_expired()
            self._waiting.append((time.monotonic(), item))

    def clear(self) -> None:
        """Close everything."""
        self._check_process()
        with self._lock:
            _close_all(self._waiting)

    def _close_expired(self) -> None:
        oldest = time.monotonic() - MAX_IDLE
        while self._waiting and self._waiting[0][0] < oldest:
            self._waiting.popleft()[1].close()

    def _check_process(self) -> None:
        """Drop what a forked child has inherited: the parent still talks over these connections."""
        if self._pid != os.getpid():
            self._pid = os.getpid()
            self._lock = threading.Lock()
            _close_all(self._waiting)


def _close_all(waiting: deque[tuple[float, T]]) -> None:
    while waiting:
        waiting.pop()[1].close()
