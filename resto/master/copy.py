"""The master copy: where each file is, and how it appears there when it is complete."""

import contextlib
import errno
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.core.exceptions import SuspiciousFileOperation
from django.core.files.storage import FileSystemStorage

from resto.master.listing import browse
from resto.master.snapshots import Fingerprint, Snapshot, fingerprint_of
from resto.master.writing import copy, link_over, make_directory, plain_file, remove, remove_older, write_all
from resto.names import TEMPORARY_PREFIX, is_temporary, temporary_name
from resto.transports import Directory


if TYPE_CHECKING:
    from django.core.files import File


__all__ = ["MasterCopy"]

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
    ) -> tuple[str, Snapshot]:
        """Write a new file, and return its name and what was written, to be closed.

        Args:
            name: The name that the file should have.
            content: What to write, at any position, text or bytes. It stays as it was: see `remove_upload`.
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
            remove(temporary)
        return name, written

    def _write(self, temporary: str, descriptor: int, content: "File[Any]") -> None:
        try:
            if hasattr(content, "temporary_file_path"):
                if link_over(upload := content.temporary_file_path(), temporary):
                    return
                os.fchmod(descriptor, stat.S_IMODE(os.stat(upload).st_mode))  # noqa: PTH116 - beside fchmod
            source = plain_file(content)
            if source is None or not copy(source, descriptor):
                for chunk in content.chunks():
                    write_all(descriptor, chunk.encode() if isinstance(chunk, str) else chunk)
        finally:
            os.close(descriptor)  # readers on other machines see what was written when it is closed, with NFS

    def create_temporary(self, name: str, was: int = 0o666) -> str:
        """Create an empty temporary file beside where a name's file is, and the directories for it; return its path.

        Args:
            name: In canonical form.
            was: The mode of the file that it is about to replace: nobody else may read the temporary one.
        """
        temporary, descriptor = self._create_temporary(name, was)
        os.close(descriptor)
        return temporary

    def _create_temporary(self, name: str, was: int = 0o666) -> tuple[str, int]:
        """Do so; return a descriptor of the file, too."""
        will = self.file_permissions_mode
        mode = (0o666 if will is None else will) & was & 0o666 | 0o600
        temporary = self._path_of(temporary_name(name))
        directory = os.path.dirname(temporary)  # noqa: PTH120 - a tenth of the time of Path, in every save
        self._sweep(directory)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        try:
            try:
                return temporary, os.open(temporary, flags, mode)
            except FileNotFoundError:
                make_directory(Path(directory), self.directory_permissions_mode)
                return temporary, os.open(temporary, flags, mode)
        except (FileExistsError, NotADirectoryError) as error:
            raise FileExistsError(f"{directory} exists and is not a directory.") from error

    def _path_of(self, name: str) -> str:
        """Return what `path` does, for a name in canonical form, in a tenth of the time.

        Raises:
            SuspiciousFileOperation: The name leads out of the master copy.
        """
        if "/../" in f"/{name}/":
            raise SuspiciousFileOperation(f"{name!r} contains '..'")
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
        remove_older(directory, TEMPORARY_PREFIX, time.time() - ABANDONED_AFTER)

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
        try:
            return browse(str(self.location), self.path(name))
        except (FileNotFoundError, NotADirectoryError):
            self._require_location()
            return Directory()

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

    def snapshot(self, name: str) -> Snapshot | None:
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
        descriptor = self._opened(name)  # not stat: NFS serves that from a cache, and looks again when a file is opened
        if descriptor is None:
            return None
        try:
            return fingerprint_of(os.fstat(descriptor))
        except IsADirectoryError:
            return None
        finally:
            os.close(descriptor)

    def _opened(self, name: str) -> int | None:
        try:
            # It does not wait for somebody to write into a pipe of that name.
            return os.open(self._path_of(name), os.O_RDONLY | os.O_NONBLOCK)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            pass
        except OSError as error:
            if error.errno != errno.ENAMETOOLONG:  # such a file cannot be there
                raise
        self._require_location()
        return None

    def require_mounted(self, name: str) -> None:
        """Raise unless the master copy has a file, or at least other files.

        Raises:
            FileNotFoundError: Its directory is missing or empty, as a mount point is without its file system.
        """
        if self.fingerprint(name) is None:
            self.require_files()

    def require_files(self) -> None:
        """Raise `FileNotFoundError`, as `require_mounted` does, unless the master copy has any files or directories."""
        with os.scandir(self.location) as entries:
            if next(entries, None) is None:
                raise FileNotFoundError(f"{self.location} is empty; is it mounted? Nothing is deleted on its account")
