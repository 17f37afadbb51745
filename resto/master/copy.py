"""The master copy: the local files that hosts converge to."""

import contextlib
import errno
import io
import os
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import IO, Any, Self

from django.core.files import File
from django.core.files.move import file_move_safe
from django.core.files.storage import FileSystemStorage
from django.core.files.uploadedfile import TemporaryUploadedFile

from resto.names import TEMPORARY_PREFIX, is_temporary, temporary_name
from resto.transports import Directory


__all__ = ["Fingerprint", "MasterCopy", "Snapshot", "plain_file", "shared_snapshot", "sharing_snapshots"]

Fingerprint = tuple[int, int, int, int]

# Bytes of a file that are read at once; what is larger is read while it is sent.
SMALL_SIZE = 256 * 1024

# Seconds since the last write to a temporary file after which whoever wrote it must be gone.
ABANDONED_AFTER = 24 * 60 * 60

# In how many directories a process remembers to have looked for abandoned files.
_MAX_SWEPT = 10_000


class MasterCopy(FileSystemStorage):
    """Local files that appear under their names only when they are complete.

    Each file is written under a temporary name beside its final one, and then linked or renamed: nobody ever reads, or
    replicates, half a file. `FileSystemStorage` writes in place.
    """

    def __init__(
        self,
        location: Any = None,
        file_permissions_mode: int | None = None,
        directory_permissions_mode: int | None = None,
        *,
        allow_overwrite: bool = False,
    ) -> None:
        super().__init__(location, None, file_permissions_mode, directory_permissions_mode, allow_overwrite)
        self._replaces = allow_overwrite
        self._swept: set[str] = set()

    def store(
        self,
        name: str,
        content: "File[Any]",
        alternative: Callable[[str], str],
        announced: Callable[[str], object] = lambda name: None,
    ) -> tuple[str, "Snapshot"]:
        """Write a new file, and return its name and what was written, to be closed.

        Args:
            name: The name that the file should have.
            content: What to write, at any position, text or bytes; an uploaded temporary file is moved.
            alternative: Returns another name, for the case that somebody else has just taken this one.
            announced: Called with each name just before the file may get it.
        """
        temporary, descriptor = self._create_temporary(name)
        written = None
        try:
            self._write(temporary, descriptor, content)
            # Now: once the file has its name, somebody else may replace it.
            written = Snapshot(os.open(temporary, os.O_RDONLY))
            self.set_permissions(temporary, written.status)
            announced(name)
            while not self.publish(temporary, name, replace=self._replaces):
                name = alternative(name)
                announced(name)
        except BaseException:
            if written is not None:
                written.close()
            raise
        finally:
            _remove(temporary)
        return name, written

    def _write(self, temporary: str, descriptor: int, content: "File[Any]") -> None:
        try:
            if not hasattr(content, "temporary_file_path"):
                source = plain_file(content)
                if source is None or not _copy(source, descriptor):
                    for chunk in content.chunks():
                        _write_all(descriptor, chunk.encode() if isinstance(chunk, str) else chunk)
                return
        finally:
            os.close(descriptor)  # readers on other machines see what was written when it is closed, with NFS
        file_move_safe(content.temporary_file_path(), temporary, allow_overwrite=True)

    def create_temporary(self, name: str) -> str:
        """Create an empty temporary file beside where a name's file is, and the directories for it; return its path."""
        temporary, descriptor = self._create_temporary(name)
        os.close(descriptor)
        return temporary

    def _create_temporary(self, name: str) -> tuple[str, int]:
        """Do so; return a descriptor of the file, too."""
        temporary = self._path_of(temporary_name(name))
        directory = os.path.dirname(temporary)  # noqa: PTH120 - a tenth of the time of Path, in every save
        self._sweep(directory)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        try:
            try:
                return temporary, os.open(temporary, flags, 0o666)
            except FileNotFoundError:
                _make_directory(Path(directory), self.directory_permissions_mode)
                return temporary, os.open(temporary, flags, 0o666)
        except (FileExistsError, NotADirectoryError) as error:
            raise FileExistsError(f"{directory} exists and is not a directory.") from error

    def _path_of(self, name: str) -> str:
        """Return what `path` does, for a name in canonical form, in a tenth of the time."""
        return f"{self.location}/{name}"

    def publish(self, temporary: str, name: str, *, replace: bool) -> bool:
        """Give a temporary file its final name; return False if that is taken, and must not be replaced.

        The caller has given it its permissions, and removes the temporary file.
        """
        path = self._path_of(name)
        if replace:
            os.replace(temporary, path)  # noqa: PTH105 - as for `_create_temporary`
            return True
        try:
            os.link(temporary, path)  # fails if the name is taken; a rename would replace the file
        except FileExistsError:
            return False
        except OSError:
            return self._publish_without_links(temporary, path)
        return True

    def _publish_without_links(self, temporary: str, path: str) -> bool:
        """Do so on a file system without hard links: reserve the name with an empty file, then replace that."""
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        except FileExistsError:
            return False
        try:
            Path(temporary).replace(path)
        except BaseException:
            Path(path).unlink()
            raise
        return True

    def set_permissions(self, path: str, status: os.stat_result) -> None:
        """Give a temporary file the permissions that files have here.

        Args:
            path: Where it is.
            status: What the system says of it.
        """
        mode = self.file_permissions_mode
        if mode is not None and mode != stat.S_IMODE(status.st_mode):
            os.chmod(path, mode)  # noqa: PTH101 - as for `_create_temporary`
        location_group = os.stat(self.location).st_gid  # noqa: PTH116 - beside chown
        if status.st_gid != location_group:
            with contextlib.suppress(PermissionError):
                os.chown(path, -1, location_group)

    def _sweep(self, directory: str) -> None:
        """Remove what killed processes left in a directory, when this process first writes there."""
        if directory in self._swept:
            return
        if len(self._swept) >= _MAX_SWEPT:
            self._swept.clear()
        self._swept.add(directory)
        oldest = time.time() - ABANDONED_AFTER
        # Whatever forbids to look or to remove is no reason not to save.
        with contextlib.suppress(OSError), os.scandir(directory) as entries:
            abandoned = [entry for entry in entries if entry.name.startswith(TEMPORARY_PREFIX)]
            for entry in abandoned:
                with contextlib.suppress(OSError):
                    # Not the time of modification: an uploaded file that was moved here has brought its own.
                    if entry.stat(follow_symlinks=False).st_ctime < oldest:
                        Path(entry.path).unlink()

    def listdir(self, path: str) -> tuple[list[str], list[str]]:
        directories, files = super().listdir(path)
        return directories, [name for name in files if not is_temporary(name)]

    def browse(self, name: str) -> Directory:
        """Return what a directory holds, with the sizes of the files; ``""`` is the root.

        Links are followed, as Django does when it opens a file, but not to a directory above. A directory that is missing
        holds nothing.

        Raises:
            FileNotFoundError: The directory of the master copy is missing.
            OSError: The directory cannot be read.
        """
        found = Directory()
        path = self.path(name)
        try:
            # The system finds files by a descriptor sooner than by a path.
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
            try:
                with os.scandir(descriptor) as entries:
                    self._describe(entries, path, found)
            finally:
                os.close(descriptor)
        except (FileNotFoundError, NotADirectoryError):
            self._require_location()
        others = Directory.of(found.directories, found.files).others
        found.others = {name: why for name, why in (found.others | others).items() if not is_temporary(name)}
        return found

    def _describe(self, entries: "Iterator[os.DirEntry[str]]", path: str, found: Directory) -> None:
        for entry in entries:
            try:
                status = entry.stat()
                if stat.S_ISREG(status.st_mode):
                    found.files[entry.name] = status.st_size
                elif not stat.S_ISDIR(status.st_mode):
                    found.others[entry.name] = "it is neither a file nor a directory"
                elif entry.is_symlink() and self._is_above(status, path):
                    found.others[entry.name] = "it links to a directory above it"
                else:
                    found.directories.add(entry.name)
            except FileNotFoundError:
                if entry.is_symlink():  # else it was deleted a moment ago
                    found.others[entry.name] = "it links to what is not there"
            except OSError as error:  # such as a link to itself
                found.others[entry.name] = (error.strerror or str(error)).lower()

    def _is_above(self, status: os.stat_result, directory: str) -> bool:
        """Tell whether a directory is this one, or one above it in the master copy, whatever links led there."""
        root = Path(self.location)
        for path in (Path(directory), *Path(directory).parents):
            if os.path.samestat(status, path.stat()):
                return True
            if path == root:
                break
        return False

    def _require_location(self) -> None:
        if not os.path.isdir(self.location):  # noqa: PTH112 - a string, as Django has it
            raise FileNotFoundError(f"{self.location} is missing; is it mounted? Nothing is deleted on its account")

    def delete(self, name: str) -> None:
        """Delete a file, if it is there.

        Raises:
            IsADirectoryError: The name is that of a directory.
        """
        path = Path(self.path(name))
        if path.is_dir() and not path.is_symlink():
            raise IsADirectoryError(f"{name!r} is a directory, and only files can be deleted")
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            path.unlink()

    def snapshot(self, name: str) -> "Snapshot | None":
        """Open the file of a name; return None if there is no file.

        Args:
            name: In canonical form.

        Raises:
            FileNotFoundError: The directory of the master copy is missing. It may be a file system that is not mounted,
                and must not be taken for the deletion of everything.
        """
        descriptor = self._opened(name)
        if descriptor is None:
            return None
        try:
            return Snapshot(descriptor)
        except IsADirectoryError:
            return None

    def fingerprint(self, name: str) -> Fingerprint | None:
        """Return the state of a name's file: any change of the file changes it; None if there is no file."""
        # Not stat: NFS serves that from a cache, and looks again when a file is opened.
        descriptor = self._opened(name)
        if descriptor is None:
            return None
        try:
            return _fingerprint(os.fstat(descriptor))
        except IsADirectoryError:
            return None
        finally:
            os.close(descriptor)

    def _opened(self, name: str) -> int | None:
        try:
            return os.open(self._path_of(name), os.O_RDONLY)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            self._require_location()
            return None

    def require_mounted(self, name: str) -> None:
        """Raise unless the master copy has a file, or at least other files.

        Raises:
            FileNotFoundError: The directory of the master copy is missing or empty, as a mount point is without its file
                system.
        """
        if self.fingerprint(name) is None:
            self.require_files()

    def require_files(self) -> None:
        """Raise unless the master copy has any files or directories.

        Raises:
            FileNotFoundError: As for `require_mounted`.
        """
        with os.scandir(self.location) as entries:
            if next(entries, None) is None:
                raise FileNotFoundError(f"{self.location} is empty; is it mounted? Nothing is deleted on its account")


class Snapshot:
    """A file of the master copy, held open, and the state that it had when it was opened.

    Args:
        descriptor: Of the file, which is closed with this.

    Attributes:
        status: What the system said of it then.
        fingerprint: The state. As long as the file is open, no other one can have the same.

    Raises:
        IsADirectoryError: It is a directory.
    """

    __slots__ = ("_content", "_descriptors", "_holders", "fingerprint", "status")

    def __init__(self, descriptor: int) -> None:
        # Lists, as threads may take from them without a lock, which could be held at a fork.
        self._descriptors = [descriptor]
        self._holders = [None]
        self._content: bytes | None = None
        self.status = os.fstat(descriptor)
        self.fingerprint = _fingerprint(self.status)

    def content(self) -> "bytes | SnapshotReader":
        """Return the content of a small file, or what reads that of a larger one."""
        if self._content is None:
            size = self.fingerprint[2]
            content = self.read(size, 0) if size <= SMALL_SIZE else None
            if content is None or len(content) != size:
                return SnapshotReader(self)
            self._content = content
        return self._content

    def read(self, size: int, position: int) -> bytes:
        """Return bytes from a position on: none at the end, and else perhaps less than wanted.

        Raises:
            ValueError: The file is closed.
        """
        if not self._descriptors:
            raise ValueError("the snapshot is closed")
        return os.pread(self._descriptors[0], size, position)

    def share(self) -> Self:
        """Return this for another holder, who closes it too."""
        self._holders.append(None)
        return self

    def close(self) -> None:
        """Close the file, once all holders have done so."""
        self._holders.pop()
        if not self._holders:
            self._close()

    def _close(self) -> None:
        if self._descriptors:
            with contextlib.suppress(IndexError):
                os.close(self._descriptors.pop())

    __del__ = _close

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def _fingerprint(status: os.stat_result) -> Fingerprint:
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


class SnapshotReader(io.RawIOBase):
    """Reads a snapshot; several may do so at once, each from a position of its own.

    Args:
        snapshot: What to read; not closed by this.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        super().__init__()
        self._snapshot = snapshot
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._snapshot.fingerprint[2]}[whence]
        self._position = start + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def read(self, size: int = -1, /) -> bytes:
        if size < 0:
            return self.readall()
        block = self._snapshot.read(size, self._position)
        self._position += len(block)
        return block


# What the replications of one action have opened already, by the master copy and the name.
_shared: ContextVar[dict[tuple[int, str], Snapshot] | None] = ContextVar("resto_snapshots", default=None)


@contextlib.contextmanager
def sharing_snapshots(*known: tuple[MasterCopy, str, Snapshot]) -> Iterator[None]:
    """Let `shared_snapshot` open each file once, as long as this lasts, or the one within which it is.

    Args:
        *known: What is open already, and closed at the end.
    """
    if not known and _shared.get() is not None:
        yield
        return
    snapshots = {(id(master), name): snapshot for master, name, snapshot in known}
    token = _shared.set(snapshots)
    try:
        yield
    finally:
        _shared.reset(token)
        for snapshot in snapshots.values():
            snapshot.close()


def shared_snapshot(master: MasterCopy, name: str) -> Snapshot | None:
    """Return what `MasterCopy.snapshot` does, or did a moment ago for another host."""
    shared = _shared.get()
    if shared is None:
        return master.snapshot(name)
    snapshot = shared.get((id(master), name))
    if snapshot is None:
        snapshot = master.snapshot(name)
        if snapshot is None:
            return None
        shared[id(master), name] = snapshot
    return snapshot.share()


def plain_file(content: "File[Any]") -> IO[bytes] | None:
    """Return the file of the operating system that content is, if it is nothing else than that, to be read by descriptor.

    A subclass may read something else than what is in the file, and so may other kinds of files: that of `gzip`, for example.
    """
    file: Any = getattr(content, "file", None)
    if type(content) not in (File, TemporaryUploadedFile):
        return None
    if type(file) is tempfile._TemporaryFileWrapper:  # noqa: SLF001 - it has no other name
        file = file.file
    raw = file.raw if type(file) in (io.BufferedReader, io.BufferedRandom) else file
    if type(raw) is not io.FileIO:
        return None
    if type(file) is io.BufferedRandom:
        file.flush()
    status = os.fstat(file.fileno())
    # Files of /proc, among others, have a content and no size.
    is_plain = file.readable() and stat.S_ISREG(status.st_mode) and status.st_size > 0
    return file if is_plain else None


def _write_all(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _copy(source: IO[bytes], descriptor: int) -> bool:
    """Let the system copy a file, which may not have to move a byte; return False if it cannot."""
    position, size = 0, os.fstat(source.fileno()).st_size
    while position < size:
        try:
            copied = os.copy_file_range(source.fileno(), descriptor, size - position, position)
        except OSError as error:
            # Such as from another file system, before Linux 5.3. A full disk is another matter.
            if position == 0 and error.errno != errno.ENOSPC:
                return False
            raise
        if not copied:
            break  # it has become shorter
        position += copied
    return True


def _remove(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)  # noqa: PTH108 - as for `_create_temporary`


def _make_directory(path: Path, mode: int | None) -> None:
    """Create a directory and those above it, each with this mode, or as the umask wants.

    ``os.makedirs`` applies its mode to the last directory only.
    """
    if path.is_dir():
        return
    _make_directory(path.parent, mode)
    try:
        path.mkdir(0o777 if mode is None else mode)
    except FileExistsError:
        if not path.is_dir():  # else somebody else has just made it
            raise
        return
    if mode is not None:
        # The group that a directory hands down stays as it was inherited.
        path.chmod(mode | path.stat().st_mode & stat.S_ISGID)
