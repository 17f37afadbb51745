"""Files of hosts that are read, and contents that several hosts read at once."""

import io
import os
import shutil
import tempfile
from collections.abc import Callable
from typing import IO, Any, BinaryIO, Self, cast

from django.core.files import File
from django.core.files.uploadedfile import TemporaryUploadedFile

from resto.master.writing import encoded, plain_file


__all__ = ["ContentReader", "RemoteFile", "SharedContent", "spool"]

# Bytes of a downloaded or uploaded file that are kept in memory; what is longer goes to a temporary file.
SPOOL_SIZE = 1024 * 1024

_BLOCK_SIZE = 256 * 1024

_READING_MODES = ("rb", "r", "rt")


class RemoteFile(File):  # type: ignore[type-arg]  # File is not generic at run time
    """A file of a host: seekable, read-only, in bounded memory.

    Args:
        name: The file's name.
        mode: ``"rb"`` for bytes, ``"r"`` for text in UTF-8.
        download: Returns the file as a seekable one, from whichever host has it.

    Raises:
        ValueError: It can only be opened for reading.
    """

    def __init__(self, name: str, mode: str, download: Callable[[], IO[bytes]]) -> None:
        self._download = download
        super().__init__(self._opened(name, mode), name)
        self.mode = mode

    def open(self, mode: str | None = None, *args: Any, **kwargs: Any) -> Self:
        """Rewind the file, or ask hosts for it again if it was closed or is wanted in the other mode."""
        if self.closed or mode not in (None, self.mode):
            file = self._opened(self.name, mode or self.mode)
            self.close()
            self.file, self.mode = file, mode or self.mode
        else:
            self.seek(0)
        return self

    def _opened(self, name: str | None, mode: str) -> IO[Any]:
        if mode not in _READING_MODES:
            raise io.UnsupportedOperation(f"{name!r} can only be opened for reading, not in mode {mode!r}")
        file = self._download()
        return file if mode == "rb" else io.TextIOWrapper(file, encoding="utf-8")


class SharedContent:
    """The content of one upload, that several hosts read at the same time: in memory if it is small, else in a file.

    Args:
        content: What is saved, at any position, text or bytes. It is read from its start if it can be, and not closed.
            Django's file of an upload is read until this is closed. Of any other one there is a copy: somebody could write to
            it meanwhile, and hosts would get different contents.
    """

    def __init__(self, content: "File[Any]") -> None:
        plain = plain_file(content) if isinstance(content, TemporaryUploadedFile) else None
        self._copy = None if plain else _copied(content)
        self._file = cast("IO[bytes]", plain or self._copy)
        self.size = _size(self._file)
        self._bytes = self._read_all() if self.size <= SPOOL_SIZE else b""

    def _read_all(self) -> bytes:
        position = self._file.tell()
        self._file.seek(0)
        content = self._file.read(self.size)
        self._file.seek(position)
        return content

    def reader(self) -> bytes | BinaryIO:
        """Return the content for one host: bytes, or a file with a position of its own."""
        if self.size <= SPOOL_SIZE:
            return self._bytes
        return ContentReader(self._file, self.size)  # type: ignore[return-value]  # reads and seeks as one

    def close(self) -> None:
        """Remove the copy, if there is one."""
        if self._copy is not None:
            self._copy.close()


def _copied(content: "File[Any]") -> IO[bytes]:
    copy: IO[bytes] = tempfile.SpooledTemporaryFile(SPOOL_SIZE)  # noqa: SIM115 - closed by whoever asked for it
    try:
        for chunk in encoded(content.chunks()):
            copy.write(chunk)
        copy.flush()
    except BaseException:
        copy.close()
        raise
    return copy


def _size(file: IO[bytes]) -> int:
    position = file.tell()
    file.seek(0, os.SEEK_END)
    size = file.tell()
    file.seek(position)
    return size


class ContentReader:
    """Reads a file without moving the position that other readers share.

    Args:
        file: A file of the operating system, open for reading.
        size: Of the file, in bytes.
    """

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file = file
        self._size = size
        self._position = 0

    def read(self, size: int = -1) -> bytes:
        """Read up to ``size`` bytes, or what is left."""
        # The descriptor is asked for each time: that of a closed file may be another file's by now.
        block = os.pread(self._file.fileno(), size if size >= 0 else self._size - self._position, self._position)
        self._position += len(block)
        return block

    def send_to(self, descriptor: int, position: int, size: int) -> int:
        """Send bytes from a position on to a socket, as `os.sendfile` does, and return how many: none at the end."""
        return os.sendfile(descriptor, self._file.fileno(), position, size)

    def seekable(self) -> bool:
        """Return True."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to a position, in bytes."""
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        self._position = start + offset
        return self._position

    def tell(self) -> int:
        """Return the position, in bytes."""
        return self._position


def spool(stream: BinaryIO) -> IO[bytes]:
    """Return what a stream holds as a seekable, read-only file: in memory if it is small, else in a temporary file."""
    copy: IO[bytes] = tempfile.SpooledTemporaryFile(SPOOL_SIZE)  # noqa: SIM115 - the caller closes it
    try:
        with stream:
            shutil.copyfileobj(stream, copy, _BLOCK_SIZE)
    except BaseException:
        copy.close()
        raise
    copy.seek(0)
    return io.BufferedReader(copy)  # type: ignore[type-var]  # reads as a raw file does
