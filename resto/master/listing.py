"""Listings of directories of the master copy."""

import os
import stat
from pathlib import Path

from resto.master.root import Root
from resto.names import is_temporary
from resto.transports import Directory


__all__ = ["browse"]


def browse(root: Root, location: str, name: str) -> Directory:
    """Return what a directory holds, with the sizes of the files, but for temporary ones; see `MasterCopy.browse`.

    Args:
        root: The directory of the master copy.
        location: Its path.
        name: Of the directory.

    Raises:
        OSError: The directory is missing, or cannot be read.
    """
    found = Directory()
    descriptor = root.open_directory(name)
    try:
        with os.scandir(descriptor) as entries:
            for entry in entries:
                _describe(entry, location, name, found)
    finally:
        os.close(descriptor)
    others = Directory.of(found.directories, found.files).others
    found.others = {name: why for name, why in (found.others | others).items() if not is_temporary(name)}
    return found


def _describe(entry: "os.DirEntry[str]", location: str, name: str, found: Directory) -> None:
    try:
        status = entry.stat()
        if stat.S_ISREG(status.st_mode):
            found.files[entry.name] = status.st_size
        elif not stat.S_ISDIR(status.st_mode):
            found.others[entry.name] = "it is neither a file nor a directory"
        elif entry.is_symlink() and _is_above(status, location, name):
            found.others[entry.name] = "it links to a directory above it"
        else:
            found.directories.add(entry.name)
    except FileNotFoundError:
        if entry.is_symlink():  # else it was deleted a moment ago
            found.others[entry.name] = "it links to what is not there"
    except OSError as error:  # such as a link to itself
        found.others[entry.name] = (error.strerror or str(error)).lower()


def _is_above(status: os.stat_result, location: str, name: str) -> bool:
    """Tell whether a directory is this one, or one above it in the master copy, whatever links led there."""
    directories = [Path(name), *Path(name).parents]
    return any(os.path.samestat(status, (Path(location) / directory).stat()) for directory in directories)
