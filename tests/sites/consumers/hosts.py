"""Storages in the place of Django's, with media servers of this process, and whether those have what they should."""

import hashlib
import weakref
from collections import defaultdict
from pathlib import Path

from django.conf import settings

from resto.executors.lanes import process_lanes
from resto.names import is_temporary
from resto.storage import AsyncStorage, DistributedStorage, HybridStorage
from sites.django_suite.stand_in import modes


CLASSES = {"Hybrid": HybridStorage, "Async": AsyncStorage, "Distributed": DistributedStorage}


class Hosts:
    """Media servers on which each directory of the suite has a directory of its own.

    Args:
        kind: Which storage is in the place of Django's.
        servers: Of `resto.testing`.
    """

    def __init__(self, kind, servers):
        self._class = CLASSES[kind]
        self._servers = servers
        self._storages = defaultdict(weakref.WeakSet)
        self._named = set()

    def make_class(self):
        """Return the class that is in the place of Django's."""
        make = replicated if issubclass(self._class, HybridStorage) else distributed
        return make(self._class, self)

    def urls(self, storage, location):
        """Return the hosts of a storage, by the directory that it was given."""
        key = hashlib.sha256(str(settings.MEDIA_ROOT if location is None else location).encode()).hexdigest()[:12]
        if key not in self._storages:
            self._make_directory(key)
        self._storages[key].add(storage)
        storage.key = key
        return [f"{server.url}{key}/" for server in self._servers]

    def _make_directory(self, key):
        """A media server has its directory before there are files."""
        for server in self._servers:
            server.create_file(f"{key}/first", b"")
            server.delete_file(f"{key}/first")

    def note(self, storage, name):
        """Remember that a test has saved or deleted a name."""
        self._named.add((storage.key, str(name)))

    def begin(self):
        """Let hosts forget what no directory has any more: suites remove the directories themselves, between their tests."""
        process_lanes().wait_for_all()
        self._named.clear()
        for server in self._servers:
            server.requests.clear()
            for path in list(server.files):
                if not self._is_kept(*path.split("/", 1)):
                    server.delete_file(path)

    def _is_kept(self, key, name):
        return any(master is None or (master / name).exists() for master in self._masters(key))

    def clear(self):
        """Empty the hosts: without a master copy nobody else can tell what is left over from the tests of a class."""
        if not issubclass(self._class, HybridStorage):
            for server in self._servers:
                for path in list(server.files):
                    server.delete_file(path)

    def differences(self):
        """Return how hosts differ from the master copy, or without one from each other, in the names that a test has used."""
        process_lanes().wait_for_all()
        return sorted(filter(None, (self._difference(key, name) for key, name in self._used())))

    def _used(self):
        requested = (one.name for server in self._servers for one in server.requests if one.method in {"PUT", "DELETE"})
        paths = (name.split("/", 1) for name in requested if not is_temporary(name))
        return self._named | {(path[0], path[1]) for path in paths if len(path) == 2}

    def _difference(self, key, name):
        held = [server.files.get(f"{key}/{name}") for server in self._servers]
        masters = [_content(master / name) for master in self._masters(key) if master is not None] or held[:1]
        if any(all(one == master for one in held) for master in masters):
            return None
        return f"{name}: {_length(masters[0])} in the master copy, {', '.join(map(_length, held))} on the hosts"

    def _masters(self, key):
        return {Path(one.location) if hasattr(one, "location") else None for one in self._storages[key]}


def replicated(cls, hosts):
    """Return a class with a master copy, and Django's arguments."""

    class Replicated(noting(cls, hosts)):
        def __init__(self, location=None, base_url=None, *args, **options):
            super().__init__(
                hosts.urls(self, location), base_url, location, transport="webdav", **modes(args), **options
            )

    return Replicated


def distributed(cls, hosts):
    """Return a class without a master copy, which ignores those of Django's arguments that are about files of the machine."""

    class Distributed(noting(cls, hosts)):
        def __init__(self, location=None, base_url=None, *_args, **_options):
            super().__init__(hosts.urls(self, location), base_url, transport="webdav")

    return Distributed


def noting(cls, hosts):
    """Return a class that tells what is saved and deleted."""

    class Noting(cls):
        def save(self, name, content, max_length=None):
            saved = super().save(name, content, max_length)
            hosts.note(self, saved)
            return saved

        def delete(self, name):
            super().delete(name)
            hosts.note(self, name)

    return Noting


def _content(path):
    return path.read_bytes() if path.is_file() else None


def _length(content):
    return "nothing" if content is None else f"{len(content)} bytes"
