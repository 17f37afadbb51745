"""The master copy: where each file is, and how it appears there when it is complete."""

import contextlib
import errno
import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from django.core.files.storage import FileSystemStorage

from resto.exceptions import os_error
from resto.master.beside import Became, Beside, open_beside
from resto.master.identity import Believer, Proof, seal_of
from resto.master.listing import browse
from resto.master.proven import ProvenDirectory
from resto.master.root import Root
from resto.master.snapshots import Fingerprint, Snapshot, fingerprint_at, snapshot_at
from resto.master.sweep import Sweep
from resto.master.writing import write_content
from resto.names import is_ordinary, is_temporary, restored_name, temporary_name
from resto.transports import Directory


if TYPE_CHECKING:
    from django.core.files import File


__all__ = ["MasterCopy"]


class MasterCopy(FileSystemStorage):
    """Local files that appear under their names only when they are complete.

    Each file is written under a temporary name beside its final one, and then linked or renamed: nobody ever reads, or
    replicates, half a file. `FileSystemStorage` writes in place.

    Whatever is written, sent or removed is in the directory that a believer takes for the master copy, which each access opens
    once. Reading for the site, as Django's API has it, goes by path, and on in any case.

    Attributes:
        proven: The directory, for whoever changes or looks at a file in another way.
    """

    def __init__(
        self,
        location: Any = None,
        file_permissions_mode: int | None = None,
        directory_permissions_mode: int | None = None,
        *,
        allow_overwrite: bool = False,
        believer: Believer | None = None,
    ) -> None:
        super().__init__(location, None, file_permissions_mode, directory_permissions_mode, allow_overwrite)
        self._replaces = allow_overwrite
        self.proven = ProvenDirectory(self, believer)
        self._sweep = Sweep()

    # Writing.

    def store(
        self,
        name: str,
        content: "File[Any]",
        alternative: Callable[[str], str],
        announced: Callable[[str], str] = lambda name: name,
    ) -> tuple[str, Snapshot]:
        """Write a new file, and return its name and what was written, to be closed.

        Args:
            name: The name that the file should have.
            content: What to write, at any position, text or bytes. It stays as it was: see `remove_upload`.
            alternative: Returns another name, for the case that somebody else has just taken this one.
            announced: Called with each name just before the file may get it; returns that name, or another one.

        Raises:
            ConfigurationError: The directory is not the master copy, and nothing was written.
            ReplacedMeanwhileError: It has ceased to be meanwhile.
        """
        proof, written = Proof(), None
        try:
            with (
                self.proven.changing(name, proof, makes=True) as root,
                self._temporary(root, name, kept := self._kept(root, name, content)) as (temporary, descriptor),
            ):
                write_content(root, temporary, descriptor, content)
                # Now: once the file has its name, somebody else may replace it.
                written = Snapshot(root.open(temporary, os.O_RDONLY), proof)
                status = written.status
                if kept is not None:
                    root.keep_permissions(temporary, kept)
                    status = written.present_status()
                root.set_permissions(temporary, status, self.file_permissions_mode)
                name = announced(name)
                while not root.publish(temporary, name, replace=self._replaces):
                    name = announced(alternative(name))
        except BaseException:
            if written is not None:
                written.close()
            raise
        return name, written

    def _kept(self, root: Root, name: str, content: "File[Any]") -> os.stat_result | None:
        """Return what the system says of a file that Django would write into, so that it kept its permissions; None if it would not."""
        is_moved = hasattr(content, "temporary_file_path")
        if self._replaces and self.file_permissions_mode is None and not is_moved:
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                return root.status(name)
        return None

    @contextlib.contextmanager
    def _temporary(self, root: Root, name: str, kept: os.stat_result | None) -> Iterator[tuple[str, int]]:
        temporary, descriptor = self._create_temporary(root, name, is_private=kept is not None)
        try:
            yield temporary, descriptor
        finally:
            root.remove(temporary)

    def _create_temporary(self, root: Root, name: str, *, is_private: bool) -> tuple[str, int]:
        """Create an empty temporary file beside where a name's file is, and the directories for it; return its name, and a descriptor.

        Args:
            root: The directory.
            name: In canonical form.
            is_private: Whether nobody else may open it, until it has the permissions of a file that it is about to replace.
        """
        will = 0o666 if self.file_permissions_mode is None else self.file_permissions_mode
        mode = 0o600 if is_private else will & 0o666 | 0o600
        temporary = temporary_name(name)
        directory = temporary.rpartition("/")[0]
        self._sweep.of(root, directory)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        try:
            try:
                return temporary, root.open(temporary, flags, mode)
            except FileNotFoundError:
                root.make_directory(directory, self.directory_permissions_mode)
                return temporary, root.open(temporary, flags, mode)
        except (FileExistsError, NotADirectoryError) as error:
            if not root.has(directory):
                raise  # something above it is a file
            problem = f"{self.location}/{directory} exists and is not a directory."
            raise os_error(FileExistsError, errno.EEXIST, problem) from error

    def open_beside(self, name: str, mode: str) -> Beside:
        """Open a temporary file in a writing mode, with the present content of a name's file where the mode keeps it.

        Args:
            name: In canonical form.
            mode: As for the builtin `open`.

        Returns:
            The file, for `publish_beside` or `discard_beside`.

        Raises:
            FileExistsError: There is a file, and the mode is for exclusive creation.
            FileNotFoundError: There is none, and the mode is for updating.
            ConfigurationError: The directory is not the master copy.
        """
        with self.proven.changing(name, makes=True) as root:
            return open_beside(root, name, mode, self._create_temporary)

    def publish_beside(self, name: str, beside: Beside) -> Became:
        """Give what was written its final name, unless the file of that name is not the one any more that was opened.

        Raises:
            ConfigurationError: The directory is not the master copy, and nothing was changed.
            ReplacedMeanwhileError: It has ceased to be meanwhile.
        """
        with self.proven.changing(name) as root:
            return beside.publish(root, self.file_permissions_mode, self._create_temporary)

    def discard_beside(self, beside: Beside) -> None:
        """Remove what was written, unless it is published."""
        try:
            with Root(str(self.location)) as root:
                beside.discard(root)
        except FileNotFoundError:
            beside.discard(None)

    def discard(self, temporary: str) -> None:
        """Remove a temporary file, if it is there."""
        with contextlib.suppress(FileNotFoundError), Root(str(self.location)) as root:
            root.remove(temporary)

    def delete(self, name: str) -> None:
        """Delete a file or an empty directory, if it is there.

        Raises:
            IsADirectoryError: The name is that of a directory which is not empty.
            NotADirectoryError: What should be its directory is a file.
            ConfigurationError: The directory is not the master copy, and nothing was deleted.
            ReplacedMeanwhileError: It has ceased to be meanwhile.
        """
        try:
            with self.proven.changing(name) as root:
                # First of all: a restore that finds it no more brings nothing back.
                root.remove(restored_name(name))
                if root.is_directory(name):
                    _remove_directory(root, name)
                else:
                    os.unlink(name, dir_fd=root.descriptor)
        except FileNotFoundError:
            pass  # whoever removes it from hosts says so

    # Looking.

    def path(self, name: str) -> str:
        return os.path.join(self.location, name) if is_ordinary(name) else super().path(name)  # noqa: PTH118 - a Path is slow

    def snapshot(self, name: str, proof: Proof | None = None) -> Snapshot | None:
        """Open the file of a name; return None if there is no file.

        Args:
            name: In canonical form.
            proof: Of the action that this belongs to.

        Raises:
            FileNotFoundError: The directory of the master copy is missing. It may be a file system that is not mounted,
                and must not be taken for the deletion of everything.
            ConfigurationError: It is not the master copy.
        """
        with self.proven.looking(name, proof) as root:
            return snapshot_at(root, name, proof)

    def fingerprint(self, name: str, proof: Proof | None = None) -> Fingerprint | None:
        """Return the state of a name's file: any change of the file changes it; None if there is no file.

        Args:
            name: As for `snapshot`.
            proof: As for `snapshot`.

        Raises:
            FileNotFoundError: As for `snapshot`.
            ConfigurationError: As for `snapshot`.
        """
        with self.proven.looking(name, proof) as root:
            return fingerprint_at(root, name)

    def require_mounted(self, name: str) -> None:
        """Raise unless the master copy has a file, or at least other files; one that has an identity may be empty.

        Raises:
            FileNotFoundError: Its directory is missing or empty, as a mount point is without its file system.
            ConfigurationError: It is not the master copy.
        """
        if self.fingerprint(name) is None:
            self.require_files()

    def require_files(self) -> None:
        """Raise, as `require_mounted` does, unless the master copy has an identity, or any files or directories."""
        with self.proven.looking("", None) as root:
            if seal_of(root.descriptor) is None and root.is_empty():
                problem = f"{self.location} is empty; is it mounted? Nothing is deleted on its account"
                raise os_error(FileNotFoundError, errno.ENOENT, problem)

    def listdir(self, path: str) -> tuple[list[str], list[str]]:
        directories, files = super().listdir(path)
        return directories, [name for name in files if not is_temporary(name)]

    def browse(self, name: str, *, is_proven: bool = True) -> Directory:
        """Return what a directory holds, with the sizes of the files; ``""`` is the root.

        Links are followed, as Django does when it opens a file, but not to a directory above. A directory that is missing
        holds nothing.

        Args:
            name: Of the directory.
            is_proven: Whether it has to be in the master copy; if not, nothing may be done about what it lacks.

        Raises:
            FileNotFoundError: The directory of the master copy is missing.
            ConfigurationError: It is not the master copy.
            OSError: The directory cannot be read.
        """
        with self.proven.looking(f"{name}/") if is_proven else self.proven.opened() as root:
            try:
                return browse(root, str(self.location), name)
            except (FileNotFoundError, NotADirectoryError):
                return Directory()


def _remove_directory(root: Root, name: str) -> None:
    try:
        os.rmdir(name, dir_fd=root.descriptor)
    except OSError as error:
        if error.errno != errno.ENOTEMPTY:
            raise
        problem = f"{name!r} is a directory that is not empty; only files and empty directories can be deleted"
        raise os_error(IsADirectoryError, errno.EISDIR, problem) from None
