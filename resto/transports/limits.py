"""How much a host may send, and how long it may take for it.

A host that is broken, or in the hands of somebody else, may send without end, or next to nothing for ever. It must neither
fill the memory or the disk of this machine, nor keep it waiting.
"""

import socket
from collections.abc import Callable
from functools import partial
from typing import Protocol, TypeVar

from resto.clock import monotonic
from resto.exceptions import ConfigurationError


__all__ = [
    "MAX_DOWNLOAD",
    "MAX_LISTING",
    "MAX_TEXT",
    "MAX_UNWANTED",
    "PIECE_SIZE",
    "AtWorkError",
    "LimitedStream",
    "LongAnswerError",
    "Patience",
    "SlowAnswerError",
    "checked_limit",
    "last_deadline",
]

# Bytes of the listing of one directory, unless an option says otherwise: half a million files with WebDAV. What is kept of
# such a listing is at most a few times as much.
MAX_LISTING = 256 * 1024**2

# Bytes of a file that is downloaded, unless an option says otherwise: they go to a temporary file.
MAX_DOWNLOAD = 16 * 1024**3

# Characters of one text within a listing; no name is so long, and no path.
MAX_TEXT = 64 * 1024

# Bytes of an answer that nobody wants, head included; an auth object may read it all.
MAX_UNWANTED = 1024**2

# Bytes of a body that is wanted, to arrive within `PATIENCE` timeouts. With the default timeout of two seconds that is 1 KiB
# a second: less than the slowest line that files go over, if shared by many, and enough for the least file to end.
PIECE_SIZE = 64 * 1024
PATIENCE = 30

# Timeouts within which an answer must begin, if the host gives interim ones meanwhile (RFC 9110, section 15.2).
AT_WORK = 10


T = TypeVar("T")


class LongAnswerError(Exception):
    """An answer is longer than it may be. The text says which limit it broke, and what to do."""


class Readable(Protocol):
    """The body of an answer."""

    def read(self, size: int = -1, /) -> bytes: ...
    def close(self) -> None: ...


class LimitedStream:
    """The body of an answer, up to a limit.

    Args:
        stream: The body.
        limit: In bytes.
        problem: What it means that there is more, and what to do; a sentence fragment.

    Attributes:
        modified: When the host says that the file was modified last, as it says it; None if it does not.
    """

    modified: str | None = None

    def __init__(self, stream: Readable, limit: int, problem: str) -> None:
        self._stream = stream
        self._left = limit
        self._problem = problem

    def read(self, size: int = -1, /) -> bytes:
        """Return up to so many bytes, or all that are left.

        Raises:
            LongAnswerError: There are more than the limit.
        """
        if size < 0:
            return b"".join(iter(partial(self.read, PIECE_SIZE), b""))
        block = self._stream.read(size)
        self._left -= len(block)
        if self._left < 0:
            raise LongAnswerError(self._problem)
        return block

    def close(self) -> None:
        """Close the body."""
        self._stream.close()


class PartOfStream(LimitedStream):
    """A part of a body; what follows is left unread.

    Args:
        stream: The whole one.
        start: How many bytes are left aside before.
        length: Of the part, in bytes.
    """

    def __init__(self, stream: LimitedStream, start: int, length: int) -> None:
        super().__init__(stream, start + length, "")
        self.modified = stream.modified
        self._skipped = start
        self._rest = length

    def read(self, size: int = -1, /) -> bytes:
        """Return up to so many bytes, or all that are left of the part."""
        if size < 0:
            return super().read(size)
        while self._skipped:
            block = self._stream.read(min(self._skipped, PIECE_SIZE))
            if not block:
                return b""
            self._skipped -= len(block)
        block = self._stream.read(min(size, self._rest)) if self._rest else b""
        self._rest -= len(block)
        return block


class AtWorkError(TimeoutError):
    """A host gives interim answers only."""


class SlowAnswerError(TimeoutError):
    """An answer arrives, but so slowly that it might as well not."""


class Patience:
    """Until when the rest of an answer is waited for.

    Args:
        deadline: Until when, by `resto.clock.monotonic`, however much arrives.
        timeout: Seconds that the host may be silent.
        last: Until when, whatever interim answers arrive; None: as long as `AT_WORK` says.
    """

    __slots__ = ("_deadline", "_is_at_work", "_last", "_silence", "_timeout")

    def __init__(self, deadline: float, timeout: float, last: float | None = None) -> None:
        self._deadline = deadline
        self._timeout = timeout
        self._last = last_deadline(deadline, timeout) if last is None else last
        self._is_at_work = False
        self._silence: float | None = None

    def go_on(self) -> None:
        """Wait a while longer, as the host has given an interim answer."""
        if self._silence is None:
            self._is_at_work = True
            self._deadline = max(self._deadline, min(monotonic() + self._timeout, self._last))

    def begin_piece(self, timeout: float) -> None:
        """Wait from now on for the next `PIECE_SIZE` bytes, as those before were wanted, and have arrived.

        Whoever reads may take his time in between: that is not the host's fault.

        Args:
            timeout: Seconds that the host may be silent.
        """
        self._silence = timeout
        self._deadline = monotonic() + timeout * PATIENCE

    def wait_for(self, sock: socket.socket, receive: Callable[[T], int], buffer: T) -> int:
        """Wait for the next bytes.

        Args:
            sock: Where they come from.
            receive: Puts them into the buffer, within the timeout of the socket.
            buffer: Where they go to.

        Raises:
            TimeoutError: They have not come in time.
        """
        sock.settimeout(self.left())
        try:
            return receive(buffer)
        except TimeoutError:
            self.left()  # if it was not silence that took the time, this says so
            raise

    def left(self) -> float:
        """Return how long to wait for the next bytes, in seconds.

        Raises:
            TimeoutError: No longer.
        """
        left = self._deadline - monotonic()
        if self._silence is None:
            if left <= 0:
                raise AtWorkError if self._is_at_work and self._deadline >= self._last else TimeoutError
            return left
        if left <= 0:
            raise SlowAnswerError(f"it sent less than {PIECE_SIZE} bytes in {self._silence * PATIENCE:g} s")
        return min(left, self._silence)


def last_deadline(deadline: float, timeout: float) -> float:
    """Return until when an answer must begin, whatever interim ones come before it.

    Args:
        deadline: Until when, if there are none, by `resto.clock.monotonic`.
        timeout: Seconds that the host may be silent.
    """
    return deadline + timeout * (AT_WORK - 1)


def checked_limit(value: object, option: str) -> int:
    """Return what an option says about the length of answers.

    Args:
        value: In bytes.
        option: What the option is called.

    Raises:
        ConfigurationError: It is no number of bytes.
    """
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    raise ConfigurationError(f"{option} is {value!r}", "It is a number of bytes, larger than 0.", code="E008")
