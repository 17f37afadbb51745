"""The helper thread of a process: it does what is timed, so that nobody has to wait for it."""

import atexit
import logging
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass

from resto.clock import monotonic


__all__ = ["HELPER", "Helper"]

logger = logging.getLogger("resto")

# Seconds that the end of the process waits for a call that is under way.
LAST_WAIT = 1.0


@dataclass(eq=False, slots=True)
class _Timed:
    call: Callable[[], object]
    seconds: float
    due: float


class Helper:
    """Makes calls again and again, in one thread, which is there only as long as there are any.

    A fork begins without calls: they are about what the parent does. The end of the process ends them.
    """

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._changed = threading.Condition()
        self._calls: list[_Timed] = []
        self._thread: threading.Thread | None = None

    def every(self, seconds: float, call: Callable[[], object]) -> Callable[[], None]:
        """Make a call each so many seconds, for the first time after that time.

        Args:
            seconds: From the end of a call to the next one.
            call: What it raises is logged, and the next one is made all the same.

        Returns:
            Ends that, without waiting for a call that is under way.
        """
        timed = _Timed(call, seconds, monotonic() + seconds)
        with self._changed:
            self._calls.append(timed)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="resto-helper", daemon=True)
                self._thread.start()
            self._changed.notify()

        def end() -> None:
            with self._changed:
                if timed in self._calls:
                    self._calls.remove(timed)
                    self._changed.notify()

        return end

    def end(self) -> None:
        """Make no more calls, and wait a moment for one that is under way."""
        with self._changed:
            self._calls.clear()
            self._changed.notify()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(LAST_WAIT)

    def _work(self) -> None:
        while (timed := self._next()) is not None:
            try:
                timed.call()
            except Exception:
                logger.exception("What is done in the background failed, and is tried again in %g s.", timed.seconds)
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
