"""How many bytes hosts are sent, and how many files they have listed, for whoever counts them in this process."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from resto.courses import Course


__all__ = ["WATCHERS", "count_listed", "count_sent", "counted", "listening", "watch"]

T = TypeVar("T")

logger = logging.getLogger("resto")

# Told of each file that a host has stored, and how many bytes it has.
WATCHERS: list[Callable[[str, int], object]] = []


# Told how many more files have arrived of a listing that is being read.
_LISTENERS: list[Callable[[int], object]] = []


@contextmanager
def listening(listener: Callable[[int], object]) -> Iterator[None]:
    """Let somebody be told, while the context lasts, how many files arrive with listings, as these are read.

    Args:
        listener: Told how many more, by the threads that read them.
    """
    _LISTENERS.append(listener)
    try:
        yield
    finally:
        _LISTENERS.remove(listener)


def count_listed(number: int) -> None:
    """Tell who wants to know that more files of a listing have arrived.

    Args:
        number: How many.
    """
    for listener in [*_LISTENERS] if number else ():
        listener(number)


def watch(watcher: Callable[[str, int], object]) -> None:
    """Be told of each file that a host has stored.

    Args:
        watcher: Told the host as it stands in the settings, and how many bytes the file has.
    """
    if watcher not in WATCHERS:
        WATCHERS.append(watcher)


def count_sent(host: str, size: int) -> None:
    """Tell who wants to know that a host has stored a file; what they raise is logged, as with observers.

    Args:
        host: The host as it stands in the settings.
        size: In bytes.
    """
    for watcher in WATCHERS:
        try:
            watcher(host, size)
        except Exception:
            logger.exception("Plugin %s failed in %s.", watcher.__module__, watcher.__name__)


def counted(course: Course[T], host: str, size: int) -> Course[T]:
    """Return a course that sends a file, and tells so once the host has stored it. Needless where there are no `WATCHERS`.

    Args:
        course: Has done nothing yet.
        host: As for `count_sent`.
        size: As for `count_sent`.
    """
    value = yield from course
    count_sent(host, size)
    return value
