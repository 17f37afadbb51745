"""How far something is that takes a while."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from resto.clock import monotonic


__all__ = ["Meter", "Progress", "Watcher", "ignore"]

# Seconds between two reports at least, so that they cost next to nothing however fast names are dealt with.
INTERVAL = 0.1


@dataclass(frozen=True, slots=True)
class Progress:
    """How far something is, from its beginning.

    Attributes:
        done: Names that were dealt with.
        total: Of how many; None if that is not known.
        sent_bytes: Bytes that were sent to hosts, or fetched from them.
        total_bytes: Of how many; None if that is not known.
        is_final: Whether there can be no more of them: a comparison learns of them as it goes.
    """

    done: int
    total: int | None = None
    sent_bytes: int = 0
    total_bytes: int | None = None
    is_final: bool = False


# Told how far something is, now and then and at the end.
Watcher = Callable[[Progress], object]


def ignore(progress: Progress) -> None:
    """Be told in vain."""


class Meter:
    """Counts for whoever does something, and tells how far that is.

    Args:
        watcher: Is told.
        hosts: On how many hosts each name is dealt with, if `done` and `total` count that for each host: names are told.

    Attributes:
        done: As for `Progress`, as all others are.
        is_watched: Whether anybody is told: else it need not be found out how much there is to do.
    """

    def __init__(self, watcher: Watcher, hosts: int = 1) -> None:
        self._watcher = watcher
        self._hosts = max(hosts, 1)
        self.is_watched = watcher is not ignore
        self._told = monotonic()
        self._lock = threading.Lock()
        self._arrived = 0
        self.done = 0
        self.total: int | None = None
        self.sent_bytes = 0
        self.total_bytes: int | None = None
        self.is_final = False

    def add(self, done: int, sent_bytes: int = 0) -> None:
        """Count what was dealt with, and tell it unless that was done a moment ago.

        Args:
            done: How many more names.
            sent_bytes: How many more bytes.
        """
        self.done += done
        self.sent_bytes += sent_bytes
        self._tell_now_and_then()

    def arrive(self, number: int) -> None:
        """Count names of listings that are being read, and tell it as `add` does. May be called by any thread.

        They are a part of the total until it is known which of them are to be dealt with: see `settle`.

        Args:
            number: How many more.
        """
        with self._lock:
            self._arrived += number
        self._tell_now_and_then()

    def settle(self, number: int) -> None:
        """Take note that `total` has by now what is to be counted of names that have arrived.

        Args:
            number: Of how many.
        """
        with self._lock:
            self._arrived = max(0, self._arrived - number)

    def tell(self) -> None:
        """Tell how far it is."""
        with self._lock:
            self._told = monotonic()
            total = self.total
            if self._arrived and not self.is_final:
                total = (total or 0) + self._arrived
            names = None if total is None else total // self._hosts
            self._watcher(Progress(self.done // self._hosts, names, self.sent_bytes, self.total_bytes, self.is_final))

    def _tell_now_and_then(self) -> None:
        if monotonic() - self._told >= INTERVAL:
            self.tell()
