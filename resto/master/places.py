"""What lies below the directory of the master copy: files, and directories that are elsewhere."""

import os
import stat
from collections.abc import Iterable

from resto.names import is_temporary


__all__ = ["find_places", "has_files", "missing_places"]

_LINK, _MOUNT = "a link", "another file system"


def find_places(root: int, directory: str) -> tuple[dict[str, str], bool]:
    """Return which directories on the way to one are links, or on another device than the one above them, and what they are.

    Args:
        root: A descriptor of the master copy.
        directory: Its name.

    Returns:
        The names, and whether the directory is there.
    """
    places: dict[str, str] = {}
    above, path = os.fstat(root).st_dev, ""
    for part in directory.split("/"):
        path = f"{path}/{part}" if path else part
        try:
            status = os.stat(path, dir_fd=root)
            is_link = _is_link(path, root)
        except (FileNotFoundError, NotADirectoryError):
            return places, False
        if is_link or status.st_dev != above:
            places[path] = _LINK if is_link else _MOUNT
        above = status.st_dev
    return places, True


def missing_places(root: int, places: Iterable[str]) -> list[str]:
    """Return which directories are neither links nor on another device: what they were is not mounted.

    Args:
        root: A descriptor of the master copy.
        places: Their names.
    """
    return [path for path in places if path not in find_places(root, path)[0]]


def has_files(root: int) -> bool:
    """Return whether there is any file or link in a directory or below, but for resto's own.

    Args:
        root: A descriptor of the directory.
    """
    for _, directories, files, descriptor in os.fwalk(".", dir_fd=root):
        if any(not is_temporary(name) for name in files) or any(_is_link(name, descriptor) for name in directories):
            return True
    return False


def _is_link(name: str, root: int) -> bool:
    return stat.S_ISLNK(os.stat(name, dir_fd=root, follow_symlinks=False).st_mode)
