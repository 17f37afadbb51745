"""What several storages of a site have in common that each should have for itself: hosts, and directories inside each other.

What one of them saves would replace, on the hosts, what another one has saved; and what one compares would remove it.
"""

import os
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import unquote

from resto.exceptions import ConfigurationError
from resto.hosts import stand_in
from resto.record import identities
from resto.storage.layout import layout
from resto.transports import Directory


__all__ = [
    "Reserved",
    "SharedHost",
    "nested_directories",
    "place_of",
    "problem_of_shared",
    "shared_hosts",
    "taken_hosts",
]

_REMEDY = "Give STORAGES[{alias!r}] hosts, or a folder on each host, of its own, with the option 'hosts'."

_NESTED_HINT = "Give STORAGES[{alias!r}] a directory that is not inside of this one, and folders of its own on hosts."


@dataclass(frozen=True, slots=True)
class SharedHost:
    """A host of a storage that is one of another storage, too, or lies in one, or has one in it.

    Attributes:
        alias: Of the storage.
        host: The host as its settings have it.
        other: The alias of the other storage.
        other_host: The host as the settings of that one have it.
        inside: The directory of one host in which the other one lies, if they are not the same; empty if they are.
        is_outer: Whether the other one lies in this one.
    """

    alias: str
    host: str
    other: str
    other_host: str
    inside: str = ""
    is_outer: bool = False


def shared_hosts(alias: str) -> list[SharedHost]:
    """Return the hosts of a storage that belong to other storages, too, however they are spelled: those with another directory, or without one.

    Args:
        alias: Of the storage.
    """
    if stand_in() is not None:  # all hosts are what a test has put there
        return []
    found = layout()
    if alias not in found.places:
        return []
    _, place = found.places[alias]
    shared = [
        _compared(SharedHost(alias, one.host, other.alias, other.host), one.identity, other.identity)
        for one in found.hosts(alias)
        for other in found.beside(one)
        if found.places[other.alias][1] != place
    ]
    order = {alias: number for number, alias in enumerate(found.places)}
    return sorted((one for one in shared if one is not None), key=lambda one: order[one.other])


def _compared(shared: SharedHost, identity: str, other: str) -> SharedHost | None:
    if identity == other:
        return shared
    outer, inner = sorted((identity.rstrip("/") + "/", other.rstrip("/") + "/"), key=len)
    if not inner.startswith(outer):
        return None
    inside = unquote(inner.removeprefix(outer)).strip("/")
    return replace(shared, inside=inside, is_outer=len(identity) < len(other))


def problem_of_shared(shared: SharedHost) -> ConfigurationError:
    """Return what is wrong with a host that has the files of another storage, and what to do about it.

    Args:
        shared: Which one.
    """
    problem = f"{shared.host} has the files of STORAGES[{shared.other!r}]"
    return ConfigurationError(problem, _REMEDY.format(alias=shared.alias), "E025")


def taken_hosts(alias: str) -> dict[str, SharedHost]:
    """Return which hosts of a storage belong to another one, by their addresses: the record knows that one already.

    Args:
        alias: Of the storage.

    Raises:
        DatabaseError: The record cannot be read.
    """
    shared = [one for one in shared_hosts(alias) if not one.inside]
    begun = {one.storage for one in identities.find([*{one.other for one in shared}]) if one.identity} if shared else ()
    return {one.host: one for one in reversed(shared) if one.other in begun}


def place_of(alias: str) -> str | None:
    """Return the real path of the master copy of a storage; None if it has none, or cannot be used.

    Args:
        alias: Of the storage.
    """
    _, place = layout().places.get(alias, (None, alias))
    return None if place == alias else place


def nested_directories(location: str) -> dict[str, str]:
    """Return the directories below one in which storages of ``STORAGES`` have their master copies, each with the alias.

    Args:
        location: The path of the directory around them.
    """
    place = os.path.realpath(location)
    return {os.path.relpath(inner, place): alias for alias, inner in layout().below(place).items()}


class Reserved:
    """The directories of one storage in which others keep their files, here or on the hosts: no file of it may be there.

    Args:
        alias: Of the storage around them; None if it has none.
        location: The path of its master copy; None if it has none.
    """

    def __init__(self, alias: str | None, location: str | None) -> None:
        nested = [] if alias is None else [shared for shared in shared_hosts(alias) if shared.is_outer]
        self._aliases = {shared.inside: shared.other for shared in nested}
        self._location = location
        self._elsewhere: dict[str, str] = {}
        if location is not None:
            self._aliases |= nested_directories(location)
            real = os.path.realpath(location)
            # Those without a directory have their alias in its place.
            self._elsewhere = {
                place: other for other, (_, place) in layout().places.items() if place not in (real, other)
            }

    def require_free(self, name: str) -> None:
        """Raise if a name is in one of them.

        Args:
            name: In canonical form.

        Raises:
            ConfigurationError: It is.
        """
        for directory, alias in self._aliases.items():
            if f"{name}/".startswith(f"{directory}/"):
                problem = f"{name!r} is where STORAGES[{alias!r}] keeps its files"
                raise ConfigurationError(problem, _NESTED_HINT.format(alias=alias), "E026")

    def leave_out(self, name: str, found: Directory) -> Directory:
        """Return what a directory holds, without those of other storages, whatever links lead there.

        Args:
            name: Of the directory.
            found: What it holds.
        """
        if self._aliases or self._elsewhere:
            found.others |= self.within(name)
            for part in [*found.directories]:
                alias = self._alias_of(f"{name}/{part}" if name else part)
                if alias is not None:
                    found.others[part] = _reason(alias)
            found.directories -= found.others.keys()
        return found

    def within(self, name: str) -> dict[str, str]:
        """Return the last parts of the names of those that are in a directory, each with why nothing is done there.

        Args:
            name: Of the directory.
        """
        splits = [(*directory.rpartition("/"), alias) for directory, alias in self._aliases.items()]
        return {part: _reason(alias) for above, _, part, alias in splits if above == name}

    def _alias_of(self, path: str) -> str | None:
        with suppress(OSError):
            status = (Path(self._location or "") / path).stat()
            for place, alias in self._elsewhere.items():
                with suppress(FileNotFoundError):
                    if os.path.samestat(status, Path(place).stat()):
                        return alias
        return None


def _reason(alias: str) -> str:
    return f"STORAGES[{alias!r}] keeps its files there"
