"""Files that are brought back to the master copy: under a temporary name until they are whole, which a deletion removes first.

That name follows from the file's own. Who deletes the file meanwhile takes the temporary one away, and it cannot be published
any more; nor does it ever replace a file.
"""

import os
from datetime import datetime

from resto.master.copy import MasterCopy
from resto.names import restored_name


__all__ = ["begin_restored", "give_up_restored", "publish_restored"]

_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL


def begin_restored(master: MasterCopy, name: str) -> int | None:
    """Make the temporary file of a name, and return its descriptor; None if the master copy has something of that name.

    Args:
        master: The master copy.
        name: In canonical form.

    Raises:
        OSError: It cannot be made, such as where a directory of its name would have to be.
        ConfigurationError: The directory is not the master copy.
    """
    temporary, will = restored_name(name), master.file_permissions_mode
    mode = (0o666 if will is None else will) & 0o666 | 0o600
    with master.proven.changing(name) as root:
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


def publish_restored(master: MasterCopy, name: str, descriptor: int, modified: datetime | None) -> str:
    """Give a temporary file its final name, and close it; return why that was not possible, or an empty string.

    Args:
        master: The master copy.
        name: In canonical form.
        descriptor: Of the temporary file, which is whole.
        modified: When the file was modified last; None if that is not known.

    Raises:
        OSError: It cannot be written.
        ConfigurationError: The directory is not the master copy.
    """
    temporary = restored_name(name)
    try:
        if modified is not None:
            os.utime(descriptor, (modified.timestamp(), modified.timestamp()))
        status = os.fstat(descriptor)
    finally:
        os.close(descriptor)  # readers on other machines see what was written when it is closed, with NFS
    with master.proven.changing(name) as root:
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
