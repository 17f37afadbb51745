"""The directory of the master copy, held open: every access goes through its descriptor, wherever its path leads by then."""

import contextlib
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Self

from django.core.exceptions import SuspiciousFileOperation


__all__ = ["Root", "make_root"]

_OF_FILE_SYSTEMS = "lost+found"


class Root:
    """An open directory, and what is done with files in it. All names are relative to it, in canonical form.

    Not kept beyond one action: its file system could not be unmounted, and once it is moved to another disk, this would lead past it.

    Args:
        path: Of the directory.

    Attributes:
        descriptor: Of the directory.
        path: Where it was, for messages.

    Raises:
        FileNotFoundError: It is missing.
        NotADirectoryError: It is none.
    """

    __slots__ = ("descriptor", "path")

    def __init__(self, path: str) -> None:
        self.path = path
        self.descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        os.close(self.descriptor)

    def open(self, name: str, flags: int, mode: int = 0o666) -> int:
        """Open a file, and return its descriptor.

        Raises:
            SuspiciousFileOperation: The name leads out of the directory.
            OSError: As for `os.open`.
        """
        _require_within(name)
        return os.open(name, flags, mode, dir_fd=self.descriptor)

    def open_directory(self, name: str) -> int:
        """Open a directory below, or this one again, and return its descriptor."""
        _require_within(name)
        return os.open(name or ".", os.O_RDONLY | os.O_DIRECTORY, dir_fd=self.descriptor)

    def status(self, name: str, *, follows: bool = True) -> os.stat_result:
        """Return what the system says of a file, or of a link unless that is followed."""
        _require_within(name)
        return os.stat(name, dir_fd=self.descriptor, follow_symlinks=follows)

    def has(self, name: str) -> bool:
        """Return whether there is something of a name, be it a link that leads nowhere."""
        try:
            self.status(name, follows=False)
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True

    def is_link(self, name: str) -> bool:
        """Return whether there is a link of a name, wherever it leads."""
        try:
            return stat.S_ISLNK(self.status(name, follows=False).st_mode)
        except (FileNotFoundError, NotADirectoryError):
            return False

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        _require_within(name)
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            os.unlink(name, dir_fd=self.descriptor)

    def publish(self, temporary: str, name: str, *, replace: bool) -> bool:
        """Give a temporary file its final name; return False if that is taken, and must not be replaced.

        The caller has given it its permissions, and removes the temporary name.
        """
        _require_within(name)
        root = self.descriptor
        if replace:
            os.replace(temporary, name, src_dir_fd=root, dst_dir_fd=root)
            return True
        try:
            # Fails if the name is taken; a rename would replace the file.
            os.link(temporary, name, src_dir_fd=root, dst_dir_fd=root)
        except FileExistsError:
            return False
        except FileNotFoundError:
            raise
        except OSError:
            return self._publish_without_links(temporary, name)
        return True

    def _publish_without_links(self, temporary: str, name: str) -> bool:
        """Do so on a file system without hard links: reserve the name with an empty file, then replace that."""
        try:
            os.close(self.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return False
        try:
            os.replace(temporary, name, src_dir_fd=self.descriptor, dst_dir_fd=self.descriptor)
        except BaseException:
            os.unlink(name, dir_fd=self.descriptor)
            raise
        return True

    def set_permissions(self, name: str, status: os.stat_result, mode: int | None) -> None:
        """Give a temporary file the permissions that files have here.

        Args:
            name: Of the file.
            status: What the system says of it.
            mode: Permission bits; None to leave them.
        """
        if mode is not None and mode != stat.S_IMODE(status.st_mode):
            os.chmod(name, mode, dir_fd=self.descriptor)
        group = os.fstat(self.descriptor).st_gid
        if status.st_gid != group:
            with contextlib.suppress(PermissionError):
                os.chown(name, -1, group, dir_fd=self.descriptor)

    def keep_permissions(self, name: str, status: os.stat_result) -> None:
        """Give a temporary file the owner, the group and the permissions of the file that it is about to replace.

        Where it cannot have the group, what that may do is what everybody may do.

        Args:
            name: Of the temporary file.
            status: What the system says of the file.
        """
        mode, has = stat.S_IMODE(status.st_mode), self.status(name)
        if status.st_uid != has.st_uid:
            with contextlib.suppress(PermissionError):
                os.chown(name, status.st_uid, -1, dir_fd=self.descriptor)
        if status.st_gid != has.st_gid:
            try:
                os.chown(name, -1, status.st_gid, dir_fd=self.descriptor)
            except PermissionError:
                mode &= ~stat.S_IRWXG | (mode & stat.S_IRWXO) << 3
        if mode != stat.S_IMODE(has.st_mode):  # not every file system takes any
            os.chmod(name, mode, dir_fd=self.descriptor)

    def make_directory(self, name: str, mode: int | None) -> None:
        """Create a directory and those above it, each with this mode, or as the umask wants.

        ``os.makedirs`` applies its mode to the last directory only.

        Raises:
            FileExistsError: Something else has the name.
        """
        if not name or self.is_directory(name):
            return
        self.make_directory(name.rpartition("/")[0], mode)
        try:
            os.mkdir(name, 0o777 if mode is None else mode, dir_fd=self.descriptor)
        except FileExistsError:
            if not self.is_directory(name):  # else somebody else has just made it
                raise
            return
        if mode is not None:
            # The group that a directory hands down stays as it was inherited.
            os.chmod(name, mode | self.status(name).st_mode & stat.S_ISGID, dir_fd=self.descriptor)

    def is_directory(self, name: str) -> bool:
        """Return whether there is a directory of a name, or a link to one."""
        try:
            return stat.S_ISDIR(self.status(name).st_mode)
        except (FileNotFoundError, NotADirectoryError):
            return False

    def remove_older(self, directory: str, is_meant: Callable[[str], bool], oldest: float) -> None:
        """Remove files of a directory whose names are meant, and that have not changed since a time.

        Whatever forbids to look or to remove is left as it is.

        Args:
            directory: Its name.
            is_meant: Tells which names are.
            oldest: Seconds since the epoch.
        """
        with contextlib.suppress(OSError):
            descriptor = self.open_directory(directory)
            try:
                _remove_older(descriptor, is_meant, oldest)
            finally:
                os.close(descriptor)

    def directories(self, directory: str) -> list[str]:
        """Return the names of the directories in a directory, without links; none if it cannot be listed."""
        with contextlib.suppress(OSError):
            descriptor = self.open_directory(directory)
            try:
                with os.scandir(descriptor) as entries:
                    found = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
            finally:
                os.close(descriptor)
            return [f"{directory}/{name}" if directory else name for name in found]
        return []

    def is_empty(self) -> bool:
        """Return whether there is nothing, or nothing but what each new file system has."""
        with os.scandir(self.descriptor) as entries:
            return all(entry.name == _OF_FILE_SYSTEMS for entry in entries)


def make_root(path: Path, mode: int | None) -> None:
    """Create the directory of a master copy and those above it; see `Root.make_directory`."""
    if not path.is_dir():
        with Root("/") as root:
            root.make_directory(str(path).lstrip("/"), mode)


def _remove_older(descriptor: int, is_meant: Callable[[str], bool], oldest: float) -> None:
    with os.scandir(descriptor) as entries:
        for entry in [entry for entry in entries if is_meant(entry.name)]:
            with contextlib.suppress(OSError):
                # Not the time of modification: an uploaded file that was moved here has brought its own.
                if entry.stat(follow_symlinks=False).st_ctime < oldest:
                    os.unlink(entry.name, dir_fd=descriptor)


def _require_within(name: str) -> None:
    if name.startswith("/") or "/../" in f"/{name}/":
        raise SuspiciousFileOperation(f"{name!r} leads out of the master copy")
