"""The bodies of uploads: their size is known, and they can be sent again from the start."""

import io
import os
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from typing import BinaryIO, cast, final

from resto.counts import counted


__all__ = ["BLOCK_SIZE", "Body", "BodyFile", "Straight", "is_rewindable", "sender_of"]

# Bytes read and sent at a time. Smaller blocks cost CPU, larger ones only memory.
BLOCK_SIZE = 256 * 1024

# Bytes that go straight from a file to a socket at a time.
STRAIGHT_SIZE = 1024 * 1024

_SPOOL_SIZE = 1024 * 1024

_IN_MEMORY = (bytes, bytearray, memoryview)


class UnreadableBodyError(Exception):
    """The file that is to be sent cannot be read; no host is to blame."""


class Body:
    """What one upload sends: bytes, or a file from its start to its end.

    A file that cannot be rewound is first copied to a temporary file, because the size must be known in advance, and
    because a request that is sent twice must send everything twice.

    Attributes:
        content: The bytes, or a file that can be rewound.
        size: In bytes.

    Raises:
        UnreadableBodyError: Reading the file failed.
    """

    def __init__(self, content: bytes | BinaryIO) -> None:
        self._spool: BinaryIO | None = None
        self.content: bytes | BinaryIO
        if isinstance(content, _IN_MEMORY):
            self.content = bytes(content)
            self.size = len(self.content)
        else:
            self.content = content if is_rewindable(content) else self._spooled(content)
            self.size = _size(self.content)

    def _spooled(self, content: BinaryIO) -> BinaryIO:
        spool = cast("BinaryIO", tempfile.SpooledTemporaryFile(_SPOOL_SIZE))  # noqa: SIM115 - closed by `close`
        self._spool = spool
        try:
            shutil.copyfileobj(content, spool, BLOCK_SIZE)
        except (OSError, ValueError) as error:
            self.close()
            raise UnreadableBodyError(f"the file cannot be read: {error}") from error
        except BaseException:
            self.close()
            raise
        return spool

    def blocks(self) -> Iterator[bytes]:
        """Yield the content from its start, ``size`` bytes in all.

        Raises:
            UnreadableBodyError: The file has become shorter, or reading it failed.
        """
        if isinstance(self.content, bytes):
            yield self.content
            return
        position = 0
        while position < self.size:
            block = self.read(position, BLOCK_SIZE)
            position += len(block)
            yield block

    def read(self, position: int, size: int) -> bytes:
        """Return up to ``size`` bytes from a position on; none at the end only.

        Raises:
            UnreadableBodyError: The file has become shorter, or reading it failed.
        """
        wanted = min(size, max(self.size - position, 0))
        if isinstance(self.content, bytes):
            return self.content[position : position + wanted]
        try:
            self.content.seek(position)
            block = self.content.read(wanted)
        except (OSError, ValueError) as error:  # a ValueError: it has been closed
            raise UnreadableBodyError(f"the file cannot be read: {error}") from error
        if wanted and not block:
            missing = self.size - position
            raise UnreadableBodyError(
                f"the file became shorter while it was sent: {counted(missing, 'byte')} {'is' if missing == 1 else 'are'} missing"
            )
        return block

    def close(self) -> None:
        """Remove the temporary copy, if one was made. The file that was given stays open."""
        if self._spool is not None:
            self._spool.close()


@final
class Straight:
    """A body on its way to a socket straight from its file, as far as the system can do so: this process reads nothing of it.

    It is false once all of it is sent.

    Args:
        body: Is not in memory.
    """

    __slots__ = ("_body", "_position", "_send")

    def __init__(self, body: Body) -> None:
        self._body = body
        self._position = 0
        self._send = None if isinstance(body.content, bytes) else sender_of(body.content)

    def __bool__(self) -> bool:
        return self._position < self._body.size

    def send_to(self, sock: socket.socket) -> None:
        """Send as much as a socket that does not wait takes at once.

        Raises:
            OSError: The socket takes nothing, or never will again.
            UnreadableBodyError: The file has become shorter, or reading it failed.
        """
        self._position += self._sent_straight(sock) or sock.send(self._body.read(self._position, BLOCK_SIZE))

    def _sent_straight(self, sock: socket.socket) -> int:
        if self._send is None:
            return 0
        size = min(self._body.size - self._position, STRAIGHT_SIZE)
        try:
            return self._send(sock.fileno(), self._position, size)
        except (BlockingIOError, ConnectionError, TimeoutError):
            raise
        except (OSError, ValueError):
            # The file cannot be sent so; if it cannot be read either, or it is the socket, that will be seen.
            self._send = None
            return 0


class BodyFile(io.RawIOBase):
    """A body as a file object, for libraries that want one."""

    def __init__(self, body: Body) -> None:
        super().__init__()
        self._body = body
        self._position = 0

    def __len__(self) -> int:
        return self._body.size

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._body.size}[whence]
        self._position = start + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # what RawIOBase.read hands over
        block = self._body.read(self._position, len(buffer))
        buffer[: len(block)] = block
        self._position += len(block)
        return len(block)


def sender_of(content: object) -> Callable[[int, int, int], int] | None:
    """Return what sends a part of a file to a socket, as `os.sendfile` does; None if the file can only be read.

    It is told the descriptor of the socket, where the part begins, and how many bytes it has, and returns how many it has sent.

    Args:
        content: A file. It has a method ``send_to`` that does so, or is one of Python's own: what others call their descriptor
            may be that of something else, as with `gzip.GzipFile`.
    """
    own: Callable[[int, int, int], int] | None = getattr(content, "send_to", None)
    is_file = type(content) is io.FileIO or (type(content) is io.BufferedReader and type(content.raw) is io.FileIO)
    return partial(_send_part, cast("BinaryIO", content)) if own is None and is_file else own


def _send_part(file: BinaryIO, descriptor: int, position: int, size: int) -> int:
    # The descriptor is asked for each time: that of a closed file may be another file's by now.
    return os.sendfile(descriptor, file.fileno(), position, size)


def is_rewindable(content: bytes | BinaryIO) -> bool:
    """Return whether content can be read again from its start."""
    if isinstance(content, bytes):
        return True
    seekable = getattr(content, "seekable", None)
    return bool(seekable()) if callable(seekable) else hasattr(content, "seek")


def _size(content: BinaryIO) -> int:
    try:
        content.seek(0, os.SEEK_END)
        return content.tell()
    except (OSError, ValueError) as error:
        raise UnreadableBodyError(f"the file cannot be read: {error}") from error
