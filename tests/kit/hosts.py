"""Hosts that are dictionaries, for tests of what storages do with any transport and executor."""

from django.core.files.storage import storages

from resto.exceptions import ConfigurationError, TransportError
from resto.executors import Executor
from resto.storage import DistributedStorage
from resto.transports import Transport


class MemoryTransport(Transport):
    """Hosts that are dictionaries; one whose address starts with "bad" fails."""

    def __init__(self, base_url, *, timeout=2, color="red", broken=False):
        super().__init__(base_url, timeout=timeout)
        if broken:
            raise ConfigurationError("it is broken")
        self.color = color
        self.files = {}

    def _check(self, host, name, action):
        if host.startswith("bad"):
            raise TransportError(host, name, action, "something went wrong")

    def open(self, host, name):
        raise NotImplementedError

    def exists(self, host, name):
        self._check(host, name, "exists")
        return (host, name) in self.files

    def size(self, host, name):
        self._check(host, name, "size")
        return len(self.files[host, name])

    def create(self, host, name, content):
        self._check(host, name, "upload")
        existed = self.exists(host, name)
        self.files[host, name] = content if isinstance(content, bytes) else content.read()
        return existed

    def delete(self, host, name):
        self._check(host, name, "delete")
        return self.files.pop((host, name), None) is not None


class SubmitOnlyExecutor(Executor):
    supports_run = False

    def run(self, jobs):
        raise NotImplementedError

    def submit(self, jobs):
        pass


def make(hosts=("one", "two"), storage_class=DistributedStorage, **options):
    return storage_class(hosts, "/media/", **{"transport": MemoryTransport, "executor": "inline"} | options)


def try_hosts(storage):
    """Let a storage know what its hosts do with directories, so that deletions are one request."""
    for host in storage.hosts:
        storage.transport_for(host).try_directories(host)


def lagging_storage(settings, servers, **others):
    """A storage that goes on without hosts that fail, as the default one, beside others; all have these servers for hosts."""
    settings.RESTO_MEDIA_HOSTS = [server.url for server in servers]
    default = {"BACKEND": "resto.storage.HybridStorage", "OPTIONS": {"fatal_exceptions": False}}
    settings.STORAGES = {"default": default} | {name: {"BACKEND": backend} for name, backend in others.items()}
    return storages["default"]
