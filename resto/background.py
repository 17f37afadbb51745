"""The helper thread of a process: it does what is timed, so that nobody has to wait for it."""

import atexit
import logging
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from resto.clock import monotonic


__all__ = ["HELPER", "Helper"]

logger = logging.getLogger("resto")

# Seconds that the end of the process, or a fork, waits for a call that is under way.
LAST_WAIT = 1.0


@dataclass(eq=False, slots=True)
class _Timed:
    call: Callable[[], object]
    seconds: float
    due: float
    once_more: bool
    is_last: bool = False
    is_over: threading.Event = field(default_factory=threading.Event)


class Helper:
    """Makes calls again and again, in one thread, which is there only as long as there are any.

    A fork begins without calls: they are about what the parent does. The end of the process ends them.

    Attributes:
        has_ended: Whether the process is about to end, so that calls are not made any more.
    """

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self.has_ended = False
        self._changed = threading.Condition()
        self._calls: list[_Timed] = []
        self._thread: threading.Thread | None = None

    def every(self, seconds: float, call: Callable[[], object], *, once_more: bool = False) -> Callable[[], None]:
        """Make a call each so many seconds, for the first time after that time.

        Args:
            seconds: From the end of a call to the next one.
            call: What it raises is logged, and the next one is made all the same.
            once_more: Whether the call is made once more when that ends, at once, as far as that takes no longer than a moment.

        Returns:
            Ends that. It waits for the last call where that must be made, but not for one that is under way otherwise.

        Raises:
            RuntimeError: The system, or the end of the process, allows no thread.
        """
        timed = _Timed(call, seconds, monotonic() + seconds, once_more)
        with self._changed:
            self._calls.append(timed)
            if self._thread is None:
                self._start()
            self._changed.notify()

        def end() -> None:
            thread = self._thread
            self._let_end([timed])
            if timed.once_more and thread is not None and thread is not threading.current_thread():
                timed.is_over.wait(LAST_WAIT)
                if not self._calls:
                    thread.join(LAST_WAIT)

        return end

    def _start(self) -> None:
        thread = threading.Thread(target=self._work, name="resto-helper", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            self._calls.clear()
            raise
        self._thread = thread

    def end(self) -> None:
        """Make no more calls but the last ones, and wait a moment for what is under way."""
        self.has_ended = True
        self._let_end([*self._calls])
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(LAST_WAIT)

    def _let_end(self, those: Sequence[_Timed]) -> None:
        with self._changed:
            for timed in those:
                if timed.once_more:
                    timed.is_last, timed.due = True, 0.0
                elif timed in self._calls:
                    self._calls.remove(timed)
            self._changed.notify()

    def _work(self) -> None:
        while (timed := self._next()) is not None:
            is_last = timed.is_last
            try:
                timed.call()
            except Exception:
                logger.exception("What is done in the background failed, and is tried again in %g s.", timed.seconds)
            with self._changed:
                if is_last:
                    self._calls.remove(timed)
                    timed.is_over.set()
                elif not timed.is_last:
                    timed.due = monotonic() + timed.seconds

    def _next(self) -> _Timed | None:
        """Wait for what is due; None if there is nothing left to wait for."""
        with self._changed:
            while self._calls:
                first = min(self._calls, key=lambda timed: timed.due)
                rest = first.due - monotonic()
                if rest <= 0:
                    return first
                self._changed.wait(rest)
            self._thread = None
            return None


HELPER = Helper()

atexit.register(HELPER.end)
os.register_at_fork(after_in_child=HELPER._begin)  # noqa: SLF001 - of this module
