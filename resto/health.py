"""The breakers: a host that could not be reached several times in a row is not asked again for a while.

Waiting for a host that is down costs its timeout each time; a breaker lets everybody but one in a while fail at once.
There is one for each host, shared by all storages of the process, and it learns only from what is asked anyway:

- *closed*: the host is asked. Any answer will do for that, even the worst.
- *open*: it could not be reached `MAX_FAILURES` times in a row. It is not asked before the end of a pause.
- *probing*: the pause is over, and one action is let through to find out. An answer closes the breaker; none opens it
  again, for twice as long.
"""

import math
import os
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from resto.exceptions import HostUnavailableError


__all__ = ["Breaker", "Health", "find_breaker", "forget", "state"]

# Fewer would take one lost connection for an outage: a save that fails is undone, which makes two failures.
MAX_FAILURES = 3

# Seconds. A server that restarts is back in about one.
FIRST_PAUSE = 1

# Seconds. With the default timeout, one action in each such pause waits for 2 s. A host that is back waits for no longer.
LONGEST_PAUSE = 30

# Pauses are made longer or shorter by up to this share, so that not all processes probe at the same moment.
JITTER = 0.2

# Seconds after which another probe is let through. The first may have been abandoned, or may be a large file on its way
# to a host that has long been back.
PROBE_PATIENCE = 10


@dataclass(frozen=True, slots=True)
class Health:
    """What this process knows about reaching a host.

    Attributes:
        state: ``"closed"`` if the host is asked, ``"open"`` if it is not, ``"probing"`` while one action finds out.
        failures: How often it could not be reached, in a row.
        seconds: Until one action is let through again; 0 if the breaker is closed, or if the next one is.
    """

    state: str
    failures: int
    seconds: float


class Breaker:
    """Decides whether one host is asked. Threads may share it; no lock is held while the host is asked.

    Whoever wants to ask the host calls `admit`, and afterwards exactly one of `reached`, `failed` and `abandoned`. A
    probe of which nothing is heard is replaced by another one after 10 seconds.

    Args:
        clock: Tells the time in seconds; never goes back.
        uniform: Returns a random number between two.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._clock = clock
        self._uniform = uniform
        self._lock = threading.Lock()
        self._failures = 0
        self._problem = ""
        self._pause = 0.0  # the last one, without its jitter
        self._until: float | None = None  # when an action is let through again; None if the breaker is closed
        self._is_probing = False
        self._turn = 0  # how often the state has changed

    def admit(self, host: str, name: str, action: str) -> int:
        """Let an action happen, or not.

        Args:
            host: The host as it stands in the settings; for the error, like the others.
            name: The file's name.
            action: What is to be done.

        Returns:
            A number to be given back with what becomes of it.

        Raises:
            HostUnavailableError: The host is not asked at present.
        """
        turn = self._turn  # before the state, so that it is not that of a later state
        return turn if self._until is None else self._admit_if_due(host, name, action)

    def _admit_if_due(self, host: str, name: str, action: str) -> int:
        with self._lock:
            if self._until is None:
                return self._turn
            seconds = self._until - self._clock()
            if seconds > 0:
                error = HostUnavailableError(host, name, action, self._refusal(seconds))
                error.is_repeated = True
                raise error from HostUnavailableError(host, name, action, self._problem)
            self._change(self._clock() + PROBE_PATIENCE, is_probing=True)
            return self._turn

    def _refusal(self, seconds: float) -> str:
        until = "before another action has tried" if self._is_probing else f"for {math.ceil(seconds)} s"
        return (
            f"it could not be reached {self._failures} times in a row ({self._problem}); it is not asked again {until}"
        )

    def reached(self) -> None:
        """Note that the host has given an answer."""
        if self._failures:
            with self._lock:
                self._failures = 0
                self._pause = 0
                if self._until is not None:
                    self._change(None)

    def failed(self, turn: int, problem: str) -> bool:
        """Note that the host has given no answer, and return whether that is news.

        Args:
            turn: What `admit` has returned. What was let through before the state changed tells nothing new.
            problem: What happened, a sentence fragment.
        """
        with self._lock:
            if turn != self._turn:
                return self._until is None
            self._failures += 1
            self._problem = problem
            if self._is_probing or self._failures >= MAX_FAILURES:
                self._pause = min(2 * self._pause or FIRST_PAUSE, LONGEST_PAUSE)
                self._change(self._clock() + self._pause * self._uniform(1 - JITTER, 1 + JITTER))
            return True

    def abandoned(self, turn: int) -> None:
        """Note that nothing was learned about the host; if this was a probe, the next action is one.

        Args:
            turn: What `admit` has returned.
        """
        if self._is_probing:
            with self._lock:
                if turn == self._turn and self._is_probing:
                    self._change(self._clock())

    def health(self) -> Health:
        """Return what is known about the host."""
        with self._lock:
            if self._until is None:
                return Health("closed", self._failures, 0)
            seconds = max(self._until - self._clock(), 0)
            return Health("probing" if self._is_probing else "open", self._failures, seconds)

    def _change(self, until: float | None, *, is_probing: bool = False) -> None:
        self._until = until
        self._is_probing = is_probing
        self._turn += 1


_breakers: dict[str, Breaker] = {}


def find_breaker(key: str) -> Breaker:
    """Return the breaker of a host, which all storages of the process share.

    Args:
        key: What the transport's `identify` returns for the host.
    """
    # No lock: one could be held at a fork. Of two threads that are the first, both get the same breaker.
    return _breakers.get(key) or _breakers.setdefault(key, Breaker())


def state(key: str) -> Health:
    """Return what this process knows about reaching a host; other processes may know something else.

    Args:
        key: As for `find_breaker`.
    """
    breaker = _breakers.get(key)
    return Health("closed", 0, 0) if breaker is None else breaker.health()


def forget() -> None:
    """Ask every host again, as if none had ever failed."""
    _breakers.clear()


# A forked child starts afresh: the parent may have been probing, in a thread that the child does not have.
os.register_at_fork(after_in_child=forget)
