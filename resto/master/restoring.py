"""Files that are brought back to the master copy: under a temporary name until they are whole, which a deletion removes first.

That name follows from the file's own. Who deletes the file meanwhile takes the temporary one away, and it cannot be published
any more; nor does it ever replace a file.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from resto.master.copy import MasterCopy
from resto.master.root import Root
from resto.names import restored_name


__all__ = ["Whole", "begin_restored", "give_up_restored", "publish_restored"]

_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL


@dataclass(frozen=True, slots=True)
class Whole:
    """A file that has been brought as a whole, and has its temporary name.

    Attributes:
        name: That it should have, in canonical form.
        descriptor: Of the temporary file.
        modified: When the file was modified last; None if that is not known.
    """

    name: str
    descriptor: int
    modified: datetime | None


def begin_restored(master: MasterCopy, names: Sequence[str]) -> dict[str, int | OSError | None]:
    """Make the temporary files of names in one directory.

    Args:
        master: The master copy.
        names: In canonical form.

    Returns:
        Name -> the descriptor of its temporary file; None if the master copy has something of that name; why it cannot be made,
        such as where a directory of its name would have to be.

    Raises:
        OSError: None can be made.
        ConfigurationError: The directory is not the master copy.
    """
    begun: dict[str, int | OSError | None] = {}
    try:
        with master.proven.changing(names[0]) as root:
            for name in names:
                try:
                    begun[name] = _begun(master, root, name)
                except OSError as error:
                    begun[name] = error
    except BaseException:
        for descriptor in begun.values():
            if isinstance(descriptor, int):
                os.close(descriptor)
        raise
    return begun


def _begun(master: MasterCopy, root: Root, name: str) -> int | None:
    temporary, will = restored_name(name), master.file_permissions_mode
    mode = (0o666 if will is None else will) & 0o666 | 0o600
    # That of a restore which was killed. It may be one with the file that it has published, and must not be written to.
    root.remove(temporary)
    try:
        descriptor = root.open(temporary, _FLAGS, mode)
    except FileNotFoundError:
        root.make_directory(temporary.rpartition("/")[0], master.directory_permissions_mode)
        descriptor = root.open(temporary, _FLAGS, mode)
    # Only now: what is deleted from here on takes the temporary file away.
    if not root.has(name):
        return descriptor
    os.close(descriptor)
    root.remove(temporary)
    return None


def publish_restored(master: MasterCopy, files: Sequence[Whole]) -> dict[str, str | OSError]:
    """Give temporary files in one directory their final names, and close them.

    Args:
        master: The master copy.
        files: Which ones.

    Returns:
        Name -> an empty string, or why it was not to be published: what has happened to the file meanwhile, or what has failed.

    Raises:
        OSError: None can be published.
        ConfigurationError: The directory is not the master copy.
    """
    published: dict[str, str | OSError] = {}
    statuses: dict[str, os.stat_result] = {}
    for file in files:
        try:
            statuses[file.name] = _closed(file)
        except OSError as error:
            published[file.name] = error
    with master.proven.changing(files[0].name) as root:
        for name, status in statuses.items():
            try:
                published[name] = _published(master, root, name, status)
            except OSError as error:
                published[name] = error
    return published


def _closed(file: Whole) -> os.stat_result:
    try:
        if file.modified is not None:
            os.utime(file.descriptor, (file.modified.timestamp(), file.modified.timestamp()))
        return os.fstat(file.descriptor)
    finally:
        os.close(file.descriptor)  # readers on other machines see what was written when it is closed, with NFS


def _published(master: MasterCopy, root: Root, name: str, status: os.stat_result) -> str:
    temporary = restored_name(name)
    try:
        root.set_permissions(temporary, status, master.file_permissions_mode)
        return "" if root.publish(temporary, name, replace=False) else "it was saved meanwhile"
    except FileNotFoundError:
        return "it was deleted meanwhile"
    finally:
        root.remove(temporary)


def give_up_restored(master: MasterCopy, name: str) -> None:
    """Remove the temporary file of a name, if it is there."""
    master.discard(restored_name(name))
