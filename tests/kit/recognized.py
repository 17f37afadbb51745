"""Sites whose hosts are recognized: a pytest plugin, and what the record and the hosts say."""

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages

from resto.models import Host
from resto.repair.status import host_statuses
from resto.storage import own_hosts, recognition
from resto.storage.host_identity import read_host_identity


@pytest.fixture
def two_servers(resto_server_factory):
    return [resto_server_factory() for _ in range(2)]


@pytest.fixture
def begin(settings, media_root, two_servers, identities_apply):
    """A function: kind, hosts and options of a storage -> it, as a process that has just started has it."""

    def begin(kind="Hybrid", hosts=None, **options):
        settings.RESTO_MEDIA_HOSTS = [server.url for server in two_servers] if hosts is None else hosts
        options = {"transport": "webdav", "executor": "thread", "fatal_exceptions": False} | options
        settings.STORAGES = {"default": {"BACKEND": f"resto.storage.{kind}Storage", "OPTIONS": options}}
        recognition._verdicts.clear()
        own_hosts.forget()
        return storages["default"]

    return begin


def save(storage, name):
    return storage.save(name, ContentFile(name.encode()))


def wipe(server):
    for name in list(server.files):
        server.delete_file(name)


def identity(server, storage):
    return read_host_identity(storage.transport_for(server.url), server.url)


def states():
    return {host.host: host.state for host in Host.objects.exclude(host="")}


def problems():
    return [status.identity_problem for status in host_statuses()]
