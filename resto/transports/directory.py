"""The transport to directories of this machine: of a disk of its own, or of one that several machines share."""

import errno
import io
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, BinaryIO, cast
from urllib.parse import quote

from resto.exceptions import (
    ConfigurationError,
    RemoteDirectoryError,
    RemoteFileChangedError,
    RemoteFileNotFoundError,
    TransportError,
)
from resto.names import is_temporary, temporary_name
from resto.transports.base import Directory, Entry, Transport
from resto.transports.beneath import Beneath, plain_status
from resto.transports.mounted import absent, media_root_path, opened, path_of, translated
from resto.transports.parts import FilePart, Version


__all__ = ["DirectoryTransport"]

_BLOCK_SIZE = 256 * 1024


class DirectoryTransport(Transport):
    """Makes directories of this machine hosts, by their ``file:`` URLs.

    A file is published as a whole: whoever looks sees the old one or the new one. A directory is believed only if it has its
    `.resto.host`, so that one that is not mounted never passes for one without files. Links below it are not followed.

    The ``timeout`` of resto has no effect: the system ends no call to a disk that hangs. New files and directories have the
    modes that the umask leaves them.

    Args:
        base_url: As for `Transport`.
        timeout: As for `Transport`.
        fsync: Whether a file is on the disk when it counts as stored, so that no loss of power takes it back.
    """

    supports_listdir = True
    supports_modified_time = True
    supports_scan = True
    supports_parts = True

    def __init__(self, base_url: str, *, timeout: float = 2, fsync: bool = False) -> None:
        super().__init__(base_url, timeout=timeout)
        if not isinstance(fsync, bool):
            raise ConfigurationError(f"fsync must be True or False, not {fsync!r}", code="E008")
        self._fsync = fsync

    def identify(self, host: str) -> str:
        path = path_of(host)
        if path == media_root_path():
            raise ConfigurationError(
                f"the host {host!r} is MEDIA_ROOT, which is no place for copies",
                "Name another directory.",
                "E003",
            )
        return f"file://{quote(os.fsencode(path))}/"

    def local_path(self, host: str) -> str:
        return path_of(host)

    def open(self, host: str, name: str) -> BinaryIO:
        return self.open_part(host, name, 0, None).stream

    def open_part(self, host: str, name: str, start: int, end: int | None, version: Version | None = None) -> FilePart:
        with opened(host, name, "download") as root:
            descriptor = root.open(name)
            if descriptor is None:
                raise absent(host, name, "download")
            part = _Part(descriptor, host, name, start, end)
            if version is not None and not part.version.is_same_as(version):
                part.close()
                raise RemoteFileChangedError(host, name, "download", "it was replaced while it was read")
        return FilePart(cast("BinaryIO", io.BufferedReader(part, _BLOCK_SIZE)), part.version)

    def exists(self, host: str, name: str) -> bool:
        with opened(host, name, "exists") as root:
            status = root.status(name)
        return status is not None and stat.S_ISREG(status.st_mode)

    def size(self, host: str, name: str) -> int:
        return self._file_status(host, name, "size").st_size

    def modified_time(self, host: str, name: str) -> datetime:
        return _moment(self._file_status(host, name, "modified_time"))

    def create(self, host: str, name: str, content: bytes | BinaryIO) -> bool:
        parent, _, part = name.rpartition("/")
        try:
            with (
                opened(host, name, "upload", changes=True) as root,
                root.directory(parent, makes=True, syncs=self._fsync) as directory,
            ):
                existed = _is_file(part, directory, host, name)
                self._publish(root, part, directory, content)
        except _UnreadableError as error:
            raise error.reason from None
        return existed

    def _publish(self, root: Beneath, part: str, directory: int, content: bytes | BinaryIO) -> None:
        temporary = temporary_name("")
        try:
            descriptor = os.open(
                temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666, dir_fd=directory
            )
            try:
                for block in _blocks(content):
                    _write(descriptor, block)
                if self._fsync:
                    os.fsync(descriptor)
            finally:
                os.close(descriptor)
            root.may_have_changed = True
            os.replace(temporary, part, src_dir_fd=directory, dst_dir_fd=directory)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary, dir_fd=directory)
            raise
        if self._fsync:
            _sync_changed(directory)

    def delete(self, host: str, name: str) -> bool:
        parent, _, part = name.rpartition("/")
        with opened(host, name, "delete", changes=True) as root:
            if root.status(name) is None:
                return False
            with root.directory(parent) as directory:
                if not _is_file(part, directory, host, name, "delete"):
                    return False
                root.may_have_changed = True
                os.unlink(part, dir_fd=directory)
                if self._fsync:
                    _sync_changed(directory)
        return True

    def remove_directory(self, host: str, name: str) -> bool:
        if not is_temporary(name):
            raise ValueError(f"{name!r} may be a directory of the site")
        parent, _, part = name.rpartition("/")
        with opened(host, name, "delete", changes=True) as root:
            if root.status(name) is not None:
                with root.directory(parent) as directory:
                    root.may_have_changed = True
                    shutil.rmtree(part, dir_fd=directory)
        return True

    def browse(self, host: str, name: str) -> Directory:
        # The first look at a new host finds out whether it has files, before it has its identity.
        with opened(host, name, "listdir", is_proven=not name) as root:
            return _listed(root, host, name)

    def listdir(self, host: str, name: str) -> tuple[list[str], list[str]]:
        with opened(host, name, "listdir") as root:
            found = _listed(root, host, name)
        return sorted(found.directories), sorted(found.files)

    def scan(self, host: str, prefix: str) -> Iterator[Entry]:
        waiting = [prefix]
        while waiting:
            top = waiting.pop()
            with opened(host, top, "scan") as root:
                found = _listed(root, host, top, "scan")
            start = f"{top}/" if top else ""
            waiting += [start + part for part in found.directories]
            for part in found.files:
                # One that has gone meanwhile is none.
                with suppress(RemoteFileNotFoundError):
                    status = self._file_status(host, start + part, "scan")
                    yield Entry(start + part, status.st_size, _moment(status), None)

    def _file_status(self, host: str, name: str, action: str) -> os.stat_result:
        with opened(host, name, action) as root:
            status = root.status(name)
        if status is None or not stat.S_ISREG(status.st_mode):
            raise absent(host, name, action)
        return status


class _UnreadableError(Exception):
    """What is sent cannot be read, which is no fault of the host."""

    def __init__(self, reason: BaseException) -> None:
        super().__init__()
        self.reason = reason


class _Part(io.RawIOBase):
    """A part of a file that is read, and raises the errors of its host."""

    def __init__(self, descriptor: int, host: str, name: str, start: int, end: int | None) -> None:
        status = os.fstat(descriptor)
        self._descriptor, self._host, self._name = descriptor, host, name
        self._position = start
        self._left = (status.st_size if end is None else min(end, status.st_size)) - start
        self.modified = _moment(status)
        self.version = Version(status.st_size, f"{status.st_ino}-{status.st_mtime_ns}")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            count = os.preadv(self._descriptor, [memoryview(buffer)[: self._left]], self._position) if self._left else 0
        except OSError as error:
            raise translated(error, self._host, self._name, "download") from error
        if not count and self._left and len(buffer):
            raise TransportError(self._host, self._name, "download", "it was cut short while it was read")
        self._position += count
        self._left -= count
        return count

    def close(self) -> None:
        if not self.closed:
            super().close()
            os.close(self._descriptor)


def _listed(root: Beneath, host: str, name: str, action: str = "listdir") -> Directory:
    found = Directory()
    try:
        with root.directory(name) as descriptor, os.scandir(descriptor) as entries:
            for entry in entries:
                _add(found, entry)
    except FileNotFoundError as error:
        raise absent(host, name, action, "directory") from error
    return found


def _add(found: Directory, entry: "os.DirEntry[str]") -> None:
    if entry.is_dir(follow_symlinks=False):
        found.add(entry.name, None, is_directory=True)
    elif entry.is_file(follow_symlinks=False):
        with suppress(FileNotFoundError):  # it has gone meanwhile
            found.add(entry.name, entry.stat(follow_symlinks=False).st_size, is_directory=False)
    else:
        found.others[entry.name] = "it is a link, which is not followed, or a device"


def _is_file(part: str, directory: int, host: str, name: str, action: str = "upload") -> bool:
    """Return whether there is a file; raise if something else is there, which must stay."""
    try:
        status = plain_status(part, directory)
    except FileNotFoundError:
        return False
    if stat.S_ISDIR(status.st_mode):
        raise RemoteDirectoryError(host, name, action, "it is a directory there")
    return True


def _blocks(content: bytes | BinaryIO) -> Iterator[bytes]:
    """Yield what is sent, from its start."""
    if isinstance(content, bytes):
        yield content
        return
    try:
        if content.seekable():
            content.seek(0)
        while block := content.read(_BLOCK_SIZE):
            yield block
    except GeneratorExit:
        raise
    except BaseException as error:
        raise _UnreadableError(error) from error


def _write(descriptor: int, block: bytes) -> None:
    rest = memoryview(block)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _sync_changed(directory: int) -> None:
    """Wait until a change is on the disk; whatever keeps it from that, the change itself was carried out."""
    try:
        os.fsync(directory)
    except OSError as error:
        raise OSError(errno.EIO, error.strerror) from error


def _moment(status: os.stat_result) -> datetime:
    return datetime.fromtimestamp(status.st_mtime, UTC)
