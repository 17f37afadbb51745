"""Hosts whose directories are on this machine: files are read there, as long as nothing is pending for them.

A look at the record decides, made after a read has begun and before the directory is read: whoever looks afterwards may have
read what was repaired in between, and whoever does not look reads what a host has missed. The look may be older by as much as
`RESTO_NEAR_LAG` says, and then reads lag by as much.

A directory is believed if its `.resto.host` is the one that the record knows of the host, seen through the descriptor through
which the file is read.
"""

import io
import os
import stat
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from math import inf
from pathlib import Path
from typing import Any, Protocol

from resto.exceptions import ConfigurationError
from resto.master.identity import Seal, seal_from
from resto.names import HOST_IDENTITY
from resto.plugins import identity
from resto.record import leases
from resto.record.lag import Lag, lag_of
from resto.record.rows import Row
from resto.record.truth import LeftOut
from resto.settings import get_setting
from resto.storage.host_identity import host_identity_at
from resto.transports import Directory, Transport
from resto.transports.beneath import Beneath


__all__ = ["Addressed", "NearHosts", "Neighbour", "hosts_named", "near_directories", "wrong_settings"]


class Addressed(Protocol):
    """What is asked of a storage about the addresses of its hosts."""

    @property
    def hosts(self) -> tuple[str, ...]:
        """The addresses of the hosts."""

    def transport_for(self, host: str) -> Transport:
        """Return the transport that speaks to a host."""

    def host_identities(self) -> Mapping[str, str]:
        """Return what all spellings of each host have in common."""


class Neighbour(Addressed, Protocol):
    """What is asked of a storage whose hosts may be near."""

    @property
    def alias(self) -> str | None:
        """The alias under which ``STORAGES`` has a storage like this one; None if it has none."""

    def record_alias(self) -> str | None:
        """Return the alias under which changes are recorded; None where nothing is recorded."""

    def rows_of(self, name: str) -> Sequence[Row]:
        """Return all rows of a name."""

    def known_hosts(self) -> LeftOut:
        """Return which hosts are left out, and what each host is known by."""


@dataclass(frozen=True, slots=True)
class _Seen:
    lag: Lag
    until: float


@dataclass(frozen=True, slots=True)
class _Near:
    setting: object
    alias: str
    directories: Sequence[tuple[str, str]]


_NOTHING = _Near(None, "", ())


class _Looks:
    """What was seen last of what near hosts may lack, by storages and hosts. Shared by the threads of a process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: dict[tuple[str, str], _Seen] = {}
        self._last_change = object()

    def at_present(self, alias: str, host: str) -> Lag | None:
        """Return what a host may lack, as a look has found that still holds; None if none does."""
        seen = self._seen.get((alias, host))
        return seen.lag if seen is not None and leases.monotonic() < seen.until else None

    def look(self, alias: str, host: str, seconds: float) -> Lag:
        """Look at what a host may lack, unless another thread is faster; that holds for so many seconds.

        Raises:
            ConfigurationError: A table is missing.
            DatabaseError: The record cannot be read.
        """
        with self._lock:
            lag = self.at_present(alias, host)
            if lag is None:
                change, now = self._last_change, leases.monotonic()
                lag = lag_of(alias, [host])
                if change is self._last_change:  # else it may have overtaken this look
                    self._seen[alias, host] = _Seen(lag, now + seconds)
            return lag

    def forget(self) -> None:
        """Look again before the next read: this process has changed a name."""
        self._last_change = object()
        self._seen.clear()


_looks = _Looks()


def _forget_the_parents_looks() -> None:
    global _looks
    _looks = _Looks()  # the lock of the old one may be held by a thread that the child does not have


os.register_at_fork(after_in_child=_forget_the_parents_looks)


class NearHosts:
    """The hosts of a storage that are near. Reads what nothing is pending for; all else is for whoever asks hosts.

    Args:
        storage: Whose hosts they are.
    """

    def __init__(self, storage: Neighbour) -> None:
        self._storage = storage
        self._near = _NOTHING
        self._proven: dict[str, tuple[Seal, str]] = {}

    def forget(self) -> None:
        """Look anew which hosts are near."""
        self._near = _NOTHING

    def note_change(self) -> None:
        """Take note that a change of this process was recorded."""
        if get_setting("NEAR"):
            _looks.forget()

    def read(self, action: str, name: str) -> Any:
        """Return what a near host has that has missed nothing of a name; None if hosts must be asked.

        Args:
            action: ``"download"``, ``"size"`` or ``"modified_time"``.
            name: The file's name, in canonical form.

        Raises:
            ConfigurationError: A table is missing.
            DatabaseError: The record cannot be read.
        """
        near = self._found()
        for host, path in near.directories:
            if not self._lags(near.alias, host, name):
                found = self._read(host, path, name, _ACTIONS[action])
                if found is not None:
                    return found
        return None

    def listing(self, hosts: Sequence[str], name: str) -> tuple[str, tuple[list[str], list[str]]] | None:
        """Return which near host has listed a directory, and the directories and files in it; None if hosts must be asked.

        Args:
            hosts: Those that would be asked.
            name: Of the directory; ``""`` is the root.
        """
        for host, path in self._found().directories:
            if host in hosts:
                with suppress(OSError), Beneath(path) as root:
                    found = _listed(root, name) if self._is_proven(host, path, root.descriptor) else None
                    if found is not None:
                        return host, (sorted(found.directories), sorted(found.files))
        return None

    def is_believed(self, host: str, path: str) -> bool:
        """Return whether a directory is that of a host, as far as it and the record say.

        Args:
            host: The host as it stands in the settings.
            path: Of the directory.

        Raises:
            ConfigurationError: A table is missing.
            DatabaseError: The record cannot be read.
        """
        try:
            with Beneath(path) as root:
                return self._is_proven(host, path, root.descriptor)
        except OSError:
            return False

    def _found(self) -> _Near:
        """Return the hosts that are near, each with its directory."""
        setting = get_setting("NEAR")
        if not setting:
            return _NOTHING
        if self._near.setting is not setting:
            directories = [] if wrong_settings() else [*near_directories(self._storage)]
            self._near = _Near(setting, self._storage.alias or "", directories)
        return self._near

    def _lags(self, alias: str, host: str, name: str) -> bool:
        """Look whether a host may have missed anything of a name, as it may have if nothing is recorded."""
        seconds = get_setting("NEAR_LAG")
        lag = _looks.at_present(alias, host) if seconds else None
        if lag is None:
            if self._storage.record_alias() is None:
                return True
            if not seconds:
                return any(row.host == host for row in self._storage.rows_of(name))
            lag = _looks.look(alias, host, seconds)
        return lag.has(host, name)

    def _read(self, host: str, path: str, name: str, read: Callable[[int, os.stat_result], Any]) -> Any:
        """Return what a function makes of a file of a near directory; None if there is no such file, or it is not believed."""
        try:
            root = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        except OSError:
            return None
        try:
            if not self._is_proven(host, path, root):
                return None
            descriptor = os.open(name, os.O_RDONLY | os.O_NONBLOCK, dir_fd=root)
        except OSError:
            return None
        finally:
            os.close(root)
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            os.close(descriptor)
            return None
        return read(descriptor, status)

    def _is_proven(self, host: str, path: str, root: int) -> bool:
        """Tell whether an open directory is that of a host, as the record knows it, and the host counts."""
        known = self._storage.known_hosts()
        wanted = known.identities.get(host)
        if wanted is None or (known.periods and host in known.hosts(self._storage.hosts)):
            return False
        seal = seal_from(os.stat(HOST_IDENTITY, dir_fd=root))
        proven = self._proven.get(path)
        if proven is None or proven[0] != seal:
            found = host_identity_at(root)
            if found is None:
                return False
            # Taken before: if it has changed since, it is read again next time.
            proven = self._proven[path] = seal, found.id
        return proven[1] == wanted


def wrong_settings() -> str | None:
    """Return what is wrong with `RESTO_NEAR` or `RESTO_NEAR_LAG`, a sentence fragment; None if nothing is."""
    directories, lag = get_setting("NEAR"), get_setting("NEAR_LAG")
    if not isinstance(directories, Mapping):
        return f"RESTO_NEAR must be a mapping, not of type {type(directories).__name__}"
    for url, path in directories.items():
        if not isinstance(url, str) or not isinstance(path, str | os.PathLike) or not _is_absolute(Path(path)):
            return f"RESTO_NEAR maps {url!r} to {path!r}"
    if isinstance(lag, bool) or not isinstance(lag, int | float) or not 0 <= lag < inf:
        return f"RESTO_NEAR_LAG is {lag!r}"
    return None


def _is_absolute(path: Path) -> bool:
    return path.is_absolute() and "\0" not in str(path)  # for which the system has another error than those of files


def near_directories(storage: Neighbour) -> Iterator[tuple[str, str]]:
    """Yield the hosts of a storage that `RESTO_NEAR` names, however they are spelled, each with its directory.

    Args:
        storage: Which one.
    """
    for url, path in get_setting("NEAR").items():
        for host in hosts_named(storage, url):
            yield host, os.fspath(path)


def hosts_named(storage: Addressed, url: str) -> list[str]:
    """Return the hosts of a storage that a URL names, however they are spelled: one, or none.

    Args:
        storage: Which one.
        url: As it stands in `RESTO_NEAR`.
    """
    found, identities = [], storage.host_identities()
    for host in storage.hosts:
        with suppress(ConfigurationError):  # its transport cannot reach such a host
            if identity(storage.transport_for(host), url) == identities[host]:
                found.append(host)
    return found


def _listed(root: Beneath, name: str) -> Directory | None:
    """Return what is in a directory; None if there are links, of which a server may make something else."""
    found = Directory()
    with root.directory(name) as descriptor, os.scandir(descriptor) as entries:
        for entry in entries:
            if entry.is_symlink():
                return None
            found.add(entry.name, None, is_directory=entry.is_dir(follow_symlinks=False))
    return found


def _opened(descriptor: int, status: os.stat_result) -> io.BufferedReader:
    return open(descriptor, "rb")


def _size(descriptor: int, status: os.stat_result) -> int:
    os.close(descriptor)
    return status.st_size


def _modified(descriptor: int, status: os.stat_result) -> datetime:
    os.close(descriptor)
    return datetime.fromtimestamp(status.st_mtime, UTC)


_ACTIONS: Mapping[str, Callable[[int, os.stat_result], Any]] = {
    "download": _opened,
    "size": _size,
    "modified_time": _modified,
}
