"""The end of a command that stays: by SIGTERM or Ctrl-C, within seconds."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType
from typing import Self


__all__ = ["Ending", "end_soon"]

# Seconds that what is under way gets to come to its end, before it is interrupted.
PATIENCE = 5.0

# Seconds after which threads are not waited for when all else has ended.
MOMENT = 1.0


class Ending:
    """Knows whether a command is to end, as long as its context lasts; in the main thread only.

    What is under way may come to its end for some seconds. After that, or if the signal comes again, it is interrupted as by Ctrl-C.
    """

    def __init__(self) -> None:
        self._is_ending = threading.Event()
        self._is_interruptible = False
        self._handlers = ExitStack()

    def __enter__(self) -> Self:
        for number, handler in (
            (signal.SIGTERM, self._end),
            (signal.SIGINT, self._end),
            (signal.SIGALRM, self._insist),
        ):
            self._handlers.callback(signal.signal, number, signal.signal(number, handler))
        self._handlers.callback(signal.setitimer, signal.ITIMER_REAL, 0)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._handlers.close()

    def __bool__(self) -> bool:
        return self._is_ending.is_set()

    def wait(self, seconds: float) -> None:
        """Wait until the command is to end.

        Args:
            seconds: For so long at most.
        """
        self._is_ending.wait(seconds)

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """Let be interrupted what is done in the context, and end quietly then."""
        self._is_interruptible = True
        try:
            yield
        except KeyboardInterrupt:
            if not self:
                raise
        finally:
            self._is_interruptible = False

    def _end(self, number: int, frame: FrameType | None) -> None:
        if self:
            self._insist(number, frame)
        self._is_ending.set()
        signal.setitimer(signal.ITIMER_REAL, PATIENCE)

    def _insist(self, number: int, frame: FrameType | None) -> None:
        if self._is_interruptible:
            self._is_interruptible = False
            raise KeyboardInterrupt


def end_soon() -> None:
    """Let this process end in a moment, whatever its threads wait for: what they send is due again."""
    signal.signal(signal.SIGALRM, lambda number, frame: os._exit(0))
    signal.setitimer(signal.ITIMER_REAL, MOMENT)
