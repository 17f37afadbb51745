"""How a directory becomes the master copy because somebody says so, as it is; whatever is killed in between is completed.

Its identity file is replaced first, and says whose hosts are to follow until they do. In the other order, only the record would
know the identity, and refuse all directories.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from resto.exceptions import ConfigurationError
from resto.master.identity import new_identity, read_identity, replace_identity
from resto.master.root import Root
from resto.record import identities
from resto.record.identities import MASTER
from resto.storage.belief import Belief, marked_anew
from resto.storage.verdict import matching


__all__ = ["adopt", "alone", "end_adoption", "is_being_adopted"]


@contextmanager
def alone(location: str) -> Iterator[None]:
    """Keep others from adopting a directory at the same moment: they wait until the context ends, or its process.

    Where directories cannot be locked, as on NFS, nobody waits.

    Args:
        location: Its path.

    Raises:
        OSError: It cannot be read.
    """
    with Root(location) as root:
        with suppress(OSError):
            fcntl.flock(root.descriptor, fcntl.LOCK_EX)
        yield


def adopt(location: str, belief: Belief) -> tuple[str, str]:
    """Let a directory be the master copy from now on, as it is, and no other one; `end_adoption` once its hosts follow.

    Args:
        location: Its path.
        belief: Of its storage.

    Returns:
        The id that the directory had, and that of the master copy whose place it takes; empty where there was none.

    Raises:
        FileNotFoundError: It is missing.
        OSError: It cannot be written to.
        ConfigurationError: Nothing is recorded.
        DatabaseError: It cannot be recorded.
    """
    aliases = belief.aliases()
    if not aliases:
        raise ConfigurationError(
            "nothing is recorded of this storage", "Add it to STORAGES, and 'resto' to INSTALLED_APPS."
        )
    with Root(location) as root:
        before = read_identity(root.descriptor)
        row = matching(identities.find(aliases), before)
        former = None if before is None else before.former
        if former is None:
            former = "" if before is None else before.identity.id, "" if row is None else row.identity
            replace_identity(root.descriptor, new_identity(), former)
        found = read_identity(root.descriptor)
    assert found is not None  # noqa: S101 - it was just written
    if row is None or row.identity != found.identity.id:
        # That of whoever has done the same meanwhile.
        identities.put(aliases[0] if row is None else row.storage, MASTER, *found.identity)
    belief.forget()
    return former


def is_being_adopted(location: str) -> bool:
    """Return whether the adoption of a directory has begun, and not come to its end.

    Args:
        location: Its path.

    Raises:
        OSError: It cannot be read.
    """
    with Root(location) as root:
        found = read_identity(root.descriptor)
    return found is not None and found.former is not None


def end_adoption(location: str, belief: Belief) -> None:
    """Let the directory say no more that it is being adopted: who adopts it again means another adoption.

    Args:
        location: Its path.
        belief: Of its storage.

    Raises:
        OSError: It cannot be written to.
        DatabaseError: The record cannot be used.
    """
    with Root(location) as root:
        found = read_identity(root.descriptor)
        known = matching(identities.find(belief.aliases()), found)
        if found is not None and known is not None and found.identity == (known.identity, known.mark):
            marked_anew(root.descriptor, found, known)
    belief.forget()
