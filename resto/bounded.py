"""Calls that may take for ever, such as to a disk or a database that does not answer: they are not waited for so long."""

import os
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Generic, TypeVar

from resto.clock import monotonic


__all__ = ["Bounded"]

T = TypeVar("T")

# Not as those of executors begin, which use one connection for the record in turns: a call that hangs would keep it from them.
_THREAD_NAME = "bounded-by-resto"


class Bounded(Generic[T]):
    """Makes one call at a time, in a thread of its own, and remembers for a while what came of it.

    Whoever asks while a call is under way waits for that one, and not at all once it has taken too long. So one that hangs holds
    up one thread, which the end of the process does not wait for. A fork begins anew.

    Args:
        call: Has to tidy up after itself, as it does not know the thread that it is made in.
        seconds: For which it is waited.
        kept: Seconds for which what came of it is not asked again.
        clock: Injected by tests.
    """

    def __init__(
        self, call: Callable[[], T], seconds: float, kept: float, clock: Callable[[], float] = monotonic
    ) -> None:
        self._call = call
        self._seconds = seconds
        self._kept = kept
        self._clock = clock
        self.forget()
        _all.add(self)

    def forget(self) -> None:
        """Remember nothing, nor that a call is under way."""
        self._lock = threading.Lock()
        self._last: Future[T] | None = None
        self._began = self._ended = 0.0

    def begin(self) -> None:
        """Begin to wait, unless what is known is new enough: for whoever will `get` several."""
        self._current()

    def get(self) -> T:
        """Return what the call returns, or has returned a moment ago.

        Raises:
            TimeoutError: It takes too long.
            Exception: What the call raises, or has raised a moment ago.
        """
        last, deadline = self._current()
        return last.result(max(0.0, deadline - self._clock()))

    def _current(self) -> "tuple[Future[T], float]":
        with self._lock:
            last = self._last
            if last is None or (last.done() and self._clock() - self._ended >= self._kept):
                self._last = last = Future()
                self._began = self._clock()
                threading.Thread(target=self._work, args=(last,), name=_THREAD_NAME, daemon=True).start()
            return last, self._began + self._seconds

    def _work(self, future: "Future[T]") -> None:
        try:
            value = self._call()
        except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
            self._ended = self._clock()
            future.set_exception(error)
        else:
            self._ended = self._clock()
            future.set_result(value)


_all: "weakref.WeakSet[Bounded[Any]]" = weakref.WeakSet()


def _begin_anew() -> None:
    for one in _all:
        one.forget()


os.register_at_fork(after_in_child=_begin_anew)
