"""The master copy: the local files that hosts converge to."""

import contextlib
import os
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from django.core.files.move import file_move_safe
from django.core.files.storage import FileSystemStorage

from resto.names import TEMPORARY_PREFIX, is_temporary, problem_of_part, temporary_name
from resto.transports import Directory


if TYPE_CHECKING:
    from django.core.files import File


__all__ = ["Fingerprint", "MasterCopy"]

Fingerprint = tuple[int, int, int, int]

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
    ) -> tuple[str, Fingerprint]:
        """Write a new file, and return its name and its state.

        Args:
            name: The name that the file should have.
            content: What to write, at any position, text or bytes; an uploaded temporary file is moved.
            alternative: Returns another name, for the case that somebody else has just taken this one.
            announced: Called with each name just before the file may get it.
        """
        temporary = self._write_temporary(name, content)
        try:
            # Now: once the file has its name, somebody else may replace it.
            with Path(temporary).open("rb") as file:
                state = _fingerprint(file)
            announced(name)
            while not self.publish(temporary, name, replace=self._replaces):
                name = alternative(name)
                announced(name)
        finally:
            Path(temporary).unlink(missing_ok=True)
        return name, state

    def _write_temporary(self, name: str, content: "File[Any]") -> str:
        temporary = self.create_temporary(name)
        try:
            if hasattr(content, "temporary_file_path"):
                file_move_safe(content.temporary_file_path(), temporary, allow_overwrite=True)
            else:
                with Path(temporary).open("wb") as file:
                    for chunk in content.chunks():
                        file.write(chunk.encode() if isinstance(chunk, str) else chunk)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        return temporary

    def create_temporary(self, name: str) -> str:
        """Create an empty temporary file beside where a name's file is, and the directories for it; return its path."""
        directory = Path(self.path(name)).parent
        try:
            _make_directory(directory, self.directory_permissions_mode)
        except (FileExistsError, NotADirectoryError) as error:
            raise FileExistsError(f"{directory} exists and is not a directory.") from error
        self._sweep(str(directory))
        temporary = self.path(temporary_name(name))
        os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        return temporary

    def publish(self, temporary: str, name: str, *, replace: bool) -> bool:
        """Give a temporary file its final name; return False if that is taken, and must not be replaced.

        The caller removes the temporary file.
        """
        self._set_permissions(temporary)
        path = self.path(name)
        if replace:
            Path(temporary).replace(path)
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

    def _set_permissions(self, path: str) -> None:
        if self.file_permissions_mode is not None:
            Path(path).chmod(self.file_permissions_mode)
        location_group = os.stat(self.location).st_gid  # noqa: PTH116 - beside chown
        if os.stat(path).st_gid != location_group:  # noqa: PTH116 - beside chown
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
            with os.scandir(path) as entries:
                for entry in entries:
                    if not entry.name.startswith(TEMPORARY_PREFIX):
                        self._describe(entry, path, found)
        except (FileNotFoundError, NotADirectoryError):
            self._require_location()
        return found

    def _describe(self, entry: "os.DirEntry[str]", directory: str, found: Directory) -> None:
        problem = problem_of_part(entry.name)
        if problem is not None:
            found.others[entry.name] = problem
            return
        try:
            status = entry.stat()
        except FileNotFoundError:
            if entry.is_symlink():  # else it was deleted a moment ago
                found.others[entry.name] = "it links to what is not there"
            return
        except OSError as error:  # such as a link to itself
            found.others[entry.name] = (error.strerror or str(error)).lower()
            return
        if stat.S_ISREG(status.st_mode):
            found.files[entry.name] = status.st_size
        elif not stat.S_ISDIR(status.st_mode):
            found.others[entry.name] = "it is neither a file nor a directory"
        elif entry.is_symlink() and self._is_above(status, directory):
            found.others[entry.name] = "it links to a directory above it"
        else:
            found.directories.add(entry.name)

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

    @contextlib.contextmanager
    def snapshot(self, name: str) -> Iterator[tuple[IO[bytes] | None, Fingerprint | None]]:
        """Open the file of a name, and tell its state; both are None if there is no file.

        Raises:
            FileNotFoundError: The directory of the master copy is missing. It may be a file system that is not mounted,
                and must not be taken for the deletion of everything.
        """
        file = self._opened(name)
        if file is None:
            yield None, None
            return
        with file:
            yield file, _fingerprint(file)

    def fingerprint(self, name: str) -> Fingerprint | None:
        """Return the state of a name's file: any change of the file changes it; None if there is no file."""
        # Not stat: NFS serves that from a cache, and looks again when a file is opened.
        file = self._opened(name)
        if file is None:
            return None
        with file:
            return _fingerprint(file)

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

    def _opened(self, name: str) -> IO[bytes] | None:
        try:
            # Often enough that Path, and a buffer that nobody needs, can be measured.
            return open(self.path(name), "rb", buffering=0)  # noqa: PTH123 - the callers close it
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            self._require_location()
            return None


def _fingerprint(file: IO[bytes]) -> Fingerprint:
    status = os.fstat(file.fileno())
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


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
