"""Where the storages of a site keep their files: found once, however many storages ask."""

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import PurePath
from typing import Any, NamedTuple

from django.apps import apps
from django.core.files.storage import storages

from resto.settings import remembered, storage_settings
from resto.storage.composition import imported_backend


__all__ = ["HostOf", "Layout", "layout"]


class HostOf(NamedTuple):
    """A host of a storage.

    Attributes:
        alias: Of the storage.
        host: As the settings have it.
        identity: What all its spellings have in common.
    """

    alias: str
    host: str
    identity: str


class _Hosts(NamedTuple):
    """The hosts of each storage, those of each identity, those inside of each identity, and which storages have the same options.

    Identities are without the slash at their end; of storages with the same options, all have the alias of the first one.
    """

    by_alias: dict[str, list[HostOf]]
    same: dict[str, list[HostOf]]
    inner: dict[str, list[HostOf]]
    like: dict[str, str | None]


class Layout:
    """The storages of resto in ``STORAGES``, with their directories and hosts.

    Args:
        places: Each storage by its alias, with the real path of its master copy, or its alias if it has none.

    Attributes:
        places: The same.
    """

    def __init__(self, places: dict[str, tuple[Any, str]]) -> None:
        self.places = places
        self._at: dict[str, dict[str, Any]] = defaultdict(dict)
        self._below: dict[str, dict[str, str]] = defaultdict(dict)
        for alias, (storage, place) in places.items():
            if place != alias:
                self._at[place][alias] = storage
                for above in PurePath(place).parents:
                    self._below[str(above)][alias] = place

    def at(self, place: str) -> dict[str, Any]:
        """Return the storages whose master copy is in a directory, by their aliases."""
        return dict(self._at.get(place, {}))

    def below(self, place: str) -> dict[str, str]:
        """Return the paths of master copies that are inside of a directory, by the aliases of their storages."""
        return dict(self._below.get(place, {}))

    def hosts(self, alias: str) -> list[HostOf]:
        """Return the hosts of a storage; none if its options are wrong, which `manage.py check` says."""
        return self._hosts.by_alias.get(alias, [])

    def beside(self, one: HostOf) -> list[HostOf]:
        """Return the hosts of other storages, not like its own, that may be a host, or lie in it, or around it.

        Args:
            one: The host.
        """
        hosts, key = self._hosts, one.identity.rstrip("/")
        around = (other for outer in _outer(key) for other in hosts.same.get(outer, ()))
        found = [*hosts.same.get(key, ()), *around, *hosts.inner.get(key, ())]
        return [other for other in found if hosts.like[other.alias] != hosts.like[one.alias]]

    @cached_property
    def _hosts(self) -> _Hosts:
        found = _Hosts({}, defaultdict(list), defaultdict(list), {})
        for alias, (storage, _) in self.places.items():
            found.like[alias] = storage.alias
            found.by_alias[alias] = [HostOf(alias, host, identity) for host, identity in _identities(storage).items()]
            for one in found.by_alias[alias]:
                key = one.identity.rstrip("/")
                found.same[key].append(one)
                for outer in _outer(key):
                    found.inner[outer].append(one)
        return found


def _identities(storage: Any) -> Mapping[str, str]:
    try:
        found: Mapping[str, str] = storage.host_identities()
    except Exception:  # noqa: BLE001 - whatever its options raise: `manage.py check` says it
        return {}
    return found


def _outer(key: str) -> Iterator[str]:
    """Yield what the identities of hosts would be that lie around one."""
    for position, character in enumerate(key):
        if character == "/":
            yield key[:position]


def layout() -> Layout:
    """Return where storages keep their files, as the settings have it that are in force."""
    return _remembered() if apps.ready else _found()  # before that some cannot be imported yet


def _found() -> Layout:
    places: dict[str, tuple[Any, str]] = {}
    for alias, parameters in storage_settings().items():
        backend = imported_backend(parameters.get("BACKEND"))
        if not (hasattr(backend, "record_alias") and hasattr(backend, "deconstruct")):  # it is not one of resto's
            continue
        try:
            storage = storages[alias]
            master = getattr(storage, "master", None)
            places[alias] = storage, alias if master is None else os.path.realpath(master.location)
        except KeyboardInterrupt:
            raise
        except BaseException:  # noqa: BLE001, S112 - whatever its options raise, SystemExit too: `manage.py check` says it
            continue
    return Layout(places)


_remembered = remembered(_found)
