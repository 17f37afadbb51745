"""How a master copy begins: a directory gets an identity, and the record knows it, whoever else does the same at the same time."""

from collections.abc import Sequence
from typing import Protocol

from resto.exceptions import ConfigurationError
from resto.master.identity import (
    Found,
    keep_identity,
    new_identity,
    read_identity,
    require_exclusive_links,
)
from resto.master.places import has_files
from resto.record import identities, rows
from resto.record.identities import MASTER, Known
from resto.storage.identified import Identified
from resto.storage.occupancy import are_empty, naming_storage, occupied_host
from resto.storage.sharing import problem_of_shared, taken_hosts
from resto.storage.verdict import CODE, matching
from resto.transports import Transport


__all__ = ["Mastered", "begin", "begin_anew", "complete", "is_nothing_lost", "is_untouched"]


class Mastered(Identified, Protocol):
    """What is asked of a storage with a master copy."""

    @property
    def location(self) -> str:
        """The path of the directory."""


def begin(storage: Mastered, root: int, aliases: Sequence[str]) -> tuple[Found | None, Known | None]:
    """Give an identity to a directory that has none: whoever does so at the same time, it is one in the end.

    The file comes first: an identity that only the record has would say that something is lost. That one is about to be made is
    recorded before, so that a file whose maker was killed is not taken for that of another site.

    Args:
        storage: Whose directory it is.
        root: A descriptor of the directory.
        aliases: Under which storages the record may know it.

    Returns:
        What the directory and the record say then.

    Raises:
        ConfigurationError: It has no files, and a host has some; a host belongs to another storage; or its file system is of no use.
    """
    for taken in taken_hosts(aliases[0]).values():
        raise problem_of_shared(taken)
    occupied = None if has_files(root) else occupied_host(_transports(storage))
    if occupied is not None:
        hint = (
            "Is it mounted? If its files are lost, run: manage.py resto_restore. If this is a new site, see: "
            "manage.py resto_adopt."
        )
        problem = ConfigurationError(f"{storage.location} has no files, and {occupied}", hint, CODE)
        raise naming_storage(problem, storage.location)
    require_exclusive_links(root, storage.location)
    identities.add(aliases[0], MASTER, "")
    keep_identity(root, new_identity())
    return complete(root, aliases)


def complete(root: int, aliases: Sequence[str]) -> tuple[Found | None, Known | None]:
    """Record the identity that a directory has got, unless another one is recorded by now, and read both again.

    Args:
        root: As for `begin`.
        aliases: As for `begin`.

    Returns:
        As `begin`.
    """
    found = read_identity(root)
    if found is not None:
        identities.confirm(aliases, *found.identity)
        found = read_identity(root)
    return found, matching(identities.find(aliases), found)


def is_nothing_lost(storage: Mastered, aliases: Sequence[str], root: int | None = None) -> bool:
    """Return whether nothing of what the record knows can be lost here: no host is one of before, none has a file, nothing is pending.

    So it is where a site begins anew with a database that was kept. Hosts of before may have lost their files, too.

    Args:
        storage: As for `begin`.
        aliases: As for `begin`.
        root: As for `begin`; None if the directory is missing.
    """
    if rows.pairs(aliases) or (root is not None and has_files(root)):
        return False
    are_known = any(host in identities.find_all(alias) for alias in aliases for host in storage.hosts)
    return not are_known and are_empty(_transports(storage))


def is_untouched(storage: Mastered, aliases: Sequence[str]) -> bool:
    """Return whether a storage whose directory is missing has never had files, as far as the record and the hosts know.

    Args:
        storage: As for `begin`.
        aliases: As for `begin`.
    """
    is_known = any(known.identity for alias in aliases for known in identities.find_all(alias).values())
    return not is_known and not rows.pairs(aliases) and occupied_host(_transports(storage)) is None


def begin_anew(
    storage: Mastered, root: int, aliases: Sequence[str], known: Known | None
) -> tuple[Found | None, Known | None]:
    """Let a directory take the place of a master copy of which nothing can be lost; see `is_nothing_lost`.

    Args:
        storage: As for `begin`.
        root: As for `begin`.
        aliases: As for `begin`.
        known: What the record knows; somebody else may have begun by now.

    Returns:
        As `begin`.

    Raises:
        ConfigurationError: As for `begin`.
    """
    if known is not None:
        identities.reopen(known)
    return begin(storage, root, aliases)


def _transports(storage: Mastered) -> dict[str, Transport]:
    return {host: storage.transport_for(host) for host in storage.hosts}
