"""The end of a command that stays: by SIGTERM or Ctrl-C, within seconds."""

import atexit
import math
import os
import select
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType
from typing import Self

from resto.clock import monotonic


__all__ = ["Ending", "end_soon"]

# Seconds that what is under way gets to come to its end, before it is interrupted.
PATIENCE = 5.0

# Seconds after that until the process ends, whatever it waits for, be it a database that gives no answer.
LAST_PATIENCE = 10.0

# Seconds between two looks whether what is under way is to be interrupted.
TICK = 1.0

# Seconds after which threads are not waited for when all else has ended.
MOMENT = 1.0


class Ending:
    """Knows whether a command is to end, as long as its context lasts; in the main thread only.

    What is under way may come to its end for some seconds. After that, or if the signal comes again, it is interrupted as by Ctrl-C. If
    the process still waits for something then, it ends as if it was killed.
    """

    def __init__(self) -> None:
        # Not a `threading.Event`, whose lock a second signal would find taken by the first.
        self._is_ending, self._deadline = False, math.inf
        self._bell, self._ringer = socket.socketpair()
        self._is_interruptible = False
        self._handlers = ExitStack()

    def __enter__(self) -> Self:
        for number, handler in (
            (signal.SIGTERM, self._end),
            (signal.SIGINT, self._end),
            (signal.SIGALRM, self._tick),
        ):
            self._handlers.callback(signal.signal, number, signal.signal(number, handler))
        self._handlers.callback(signal.setitimer, signal.ITIMER_REAL, 0)
        # A signal that comes right before Python waits for a host is not looked at before the next one.
        signal.setitimer(signal.ITIMER_REAL, TICK, TICK)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._handlers.close()
        self._bell.close()
        self._ringer.close()

    def __bool__(self) -> bool:
        return self._is_ending

    def wait(self, seconds: float) -> None:
        """Wait until the command is to end.

        Args:
            seconds: For so long at most.
        """
        select.select([self._bell], [], [], seconds)

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
            self._insist()
            return
        self._is_ending, self._deadline = True, monotonic() + PATIENCE
        self._ringer.send(b"!")

    def _tick(self, number: int, frame: FrameType | None) -> None:
        if self and monotonic() > self._deadline + LAST_PATIENCE:
            os._exit(1)
        if self and monotonic() > self._deadline:
            self._insist()

    def _insist(self) -> None:
        if self._is_interruptible:
            self._is_interruptible = False
            raise KeyboardInterrupt


def end_soon() -> None:
    """Let this process end in a moment, whatever its threads wait for: what they send is due again."""
    signal.signal(signal.SIGALRM, lambda number, frame: os._exit(0))
    # When no thread is waited for any more: the end of Python takes the handler away, and the signal would kill the process.
    atexit.register(signal.setitimer, signal.ITIMER_REAL, 0)
    signal.setitimer(signal.ITIMER_REAL, MOMENT, MOMENT)
