"""A directory of this machine, held open for one action: whatever is done goes through its descriptor, and never above it."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Self


__all__ = ["Beneath"]

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW

# What stands for "there is no such file" where it is looked for; a name may be longer than the file system takes.
_ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG})


class Beneath:
    """An open directory, and what is below it. No link is followed, so that none leads out; the directory itself may be one.

    Not kept beyond one action, as it would keep its file system from being unmounted.

    Args:
        path: Of the directory.

    Attributes:
        descriptor: Of the directory.
        may_have_changed: Whether what was to be done to a file has begun: an error of a disk that is gone leaves open what came of it.

    Raises:
        OSError: It is missing, or no directory.
    """

    __slots__ = ("descriptor", "may_have_changed")

    def __init__(self, path: str) -> None:
        self.descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        self.may_have_changed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        os.close(self.descriptor)

    @contextmanager
    def directory(self, name: str, *, makes: bool = False, syncs: bool = False) -> Iterator[int]:
        """Open a directory below, or this one, and yield its descriptor.

        Args:
            name: In canonical form; ``""`` for this one.
            makes: Whether it is made, with those above it, if it is missing.
            syncs: Whether those that are made are on the disk when this returns.

        Raises:
            OSError: It is missing, or is no directory, or a link.
        """
        parts = name.split("/") if name else []
        for part in parts:
            _require_part(part)
        descriptor = os.open(".", _DIRECTORY, dir_fd=self.descriptor)
        try:
            for part in parts:
                below = _opened(part, descriptor, makes=makes, syncs=syncs)
                os.close(descriptor)
                descriptor = below
            yield descriptor
        finally:
            os.close(descriptor)

    def status(self, name: str) -> os.stat_result | None:
        """Return what the system says of a file or directory; None if there is none.

        Args:
            name: In canonical form.

        Raises:
            OSError: It is neither, but a link or a device; or it cannot be said.
        """
        parent, _, part = name.rpartition("/")
        try:
            with self.directory(parent) as descriptor:
                return plain_status(part, descriptor)
        except OSError as error:
            if error.errno in _ABSENT:
                return None
            raise

    def above(self) -> Iterator[os.stat_result]:
        """Yield what the system says of this directory, and of those above it where it really is, as far as they may be looked at."""
        path, status, below = ".", os.fstat(self.descriptor), None
        with suppress(PermissionError):
            while below is None or not os.path.samestat(status, below):
                yield status
                path, below = f"{path}/..", status
                status = os.stat(path, dir_fd=self.descriptor)

    def has_above(self, height: int, part: str) -> bool:
        """Return whether there is a file in a directory above, as far as that may be looked at.

        Args:
            height: How many directories above; 0 for this one.
            part: The name of the file.
        """
        try:
            os.stat("../" * height + part, dir_fd=self.descriptor, follow_symlinks=False)
        except (FileNotFoundError, PermissionError):
            return False
        return True

    def open(self, name: str) -> int | None:
        """Open a file for reading, and return its descriptor; None if there is no such file.

        Args:
            name: In canonical form.

        Raises:
            OSError: It is a link or a device, or cannot be opened.
        """
        parent, _, part = name.rpartition("/")
        try:
            with self.directory(parent) as descriptor:
                status = plain_status(part, descriptor)
                if stat.S_ISDIR(status.st_mode):
                    return None
                return os.open(part, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=descriptor)
        except OSError as error:
            if error.errno in _ABSENT:
                return None
            raise


def plain_status(part: str, directory: int) -> os.stat_result:
    """Return what the system says of a file or directory in an open directory.

    Args:
        part: Its name there.
        directory: The descriptor of the directory.

    Raises:
        OSError: There is none; or it is a link, or a device.
    """
    _require_part(part)
    status = os.stat(part, dir_fd=directory, follow_symlinks=False)
    if stat.S_ISLNK(status.st_mode):
        raise OSError(errno.ELOOP, "it is a link, and none is followed")
    if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
        raise OSError(errno.EINVAL, "it is neither a file nor a directory")
    return status


def _opened(part: str, parent: int, *, makes: bool, syncs: bool) -> int:
    try:
        return os.open(part, _DIRECTORY, dir_fd=parent)
    except NotADirectoryError:
        plain_status(part, parent)  # says that it is a link, if it is one
        raise
    except FileNotFoundError:
        if not makes:
            raise
    with suppress(FileExistsError):  # somebody else has just made it
        os.mkdir(part, dir_fd=parent)
    if syncs:
        os.fsync(parent)
    return os.open(part, _DIRECTORY, dir_fd=parent)


def _require_part(part: str) -> None:
    if part in ("", ".", "..") or "/" in part or "\0" in part:
        raise OSError(errno.EINVAL, "such a name leads out of the directory")
