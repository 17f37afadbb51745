"""A site with one host, on a server of any kind."""

import shutil
from contextlib import contextmanager

from django.core.files.base import ContentFile

from resto import health
from resto.models import Pending
from resto.names import HOST_IDENTITY, MASTER_IDENTITY
from resto.repair.drain import drain
from resto.repair.sync import SyncOptions, synchronize


class Site:
    """Saves, reads and repairs; asks the host what it has.

    Attributes:
        make_storage: Kind, hosts and options of a storage -> it, as that of the site.
        server: On which the host is.
        host: Its address.
        lists: Whether the transport tells what is in a directory of the host.
        has_directories: Whether a file may be saved in a directory that is not there.
    """

    def __init__(self, make_storage, server, transport, media_root):
        self.make_storage, self.server, self.media_root = make_storage, server, media_root
        self.host = server.new_folder()[0]
        self.lists = transport == "webdav" and server.kind.propfind
        self.has_directories = transport == "webdav" or server.kind.makes_parents

    def name(self, name):
        """Return a name in a directory, if that can be."""
        return f"some/where/{name}" if self.has_directories else name

    def hybrid(self, **options):
        return self.make_storage("Hybrid", [self.host], allow_overwrite=True, **options)

    def content(self, storage, name):
        """Return what the host has; None if that is nothing."""
        transport = storage.transport_for(self.host)
        return transport.content(self.host, name) if transport.exists(self.host, name) else None

    def put(self, storage, files):
        """Let the host have something that the site did not send."""
        for name, content in files.items():
            storage.transport_for(self.host).create(self.host, name, content)

    def master(self):
        """Return what the master copy has."""
        paths = [path for path in self.media_root.rglob("*") if path.is_file() and path.name != MASTER_IDENTITY]
        return {path.relative_to(self.media_root).as_posix(): path.read_bytes() for path in paths}

    def listed(self, storage):
        """Return which files the host lists, but for its identity."""
        found = storage.transport_for(self.host).scan(self.host, "")
        return {entry.name for entry in found if entry.name != HOST_IDENTITY}

    def require_same(self, storage):
        """Insist that the host has what the master copy has, and lists nothing else."""
        master = self.master()
        assert {name: self.content(storage, name) for name in master} == master
        if self.lists:
            assert self.listed(storage) == master.keys()

    @contextmanager
    def outage(self):
        self.server.kill()  # some wait for their clients before they stop
        yield
        self.server.start()
        health.forget()

    def drain(self):
        """Drain, and insist that nothing is left."""
        done = drain()
        assert not Pending.objects.exists(), [*Pending.objects.values_list("name", "error")]
        return done.done

    def compare(self, storage, **options):
        """Compare, and return what differs; as the host may have a percentage of files more, all of them may be removed."""
        found = []
        report = synchronize(storage, SyncOptions(max_delete=100, **options), found.append)
        assert [problem for host in report.hosts for problem in host.problems] == []
        return {difference.name: difference.state for difference in found}

    def lose_master(self):
        shutil.rmtree(self.media_root)
        self.media_root.mkdir()


def save(storage, name, content):
    """Save, and insist on the name."""
    assert storage.save(name, ContentFile(content)) == name
