"""How many bytes hosts are sent: of each file that one has stored, whichever way it took."""

from contextlib import suppress

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages

from resto import traffic
from resto.record.chosen import make_due
from resto.repair.drain import drain
from resto.repair.sync import SyncOptions, synchronize


pytestmark = pytest.mark.django_db


@pytest.fixture
def sent():
    """The host and the size of each file that one has stored."""
    found = []
    note = lambda *pair: found.append(pair)  # noqa: E731 - the same each time
    traffic.watch(note)
    traffic.watch(note)  # which changes nothing
    yield found
    traffic.WATCHERS.remove(note)
    assert note not in traffic.WATCHERS


@pytest.fixture
def servers(resto_server_factory):
    return [resto_server_factory(webdav=False) for _ in range(2)]


@pytest.fixture
def storage(request, settings, media_root, servers):
    settings.RESTO_MEDIA_HOSTS = [server.url for server in servers]
    backend = getattr(request, "param", "HybridStorage")
    settings.STORAGES = {
        "default": {"BACKEND": f"resto.storage.{backend}", "OPTIONS": {"fatal_exceptions": False}},
    }
    return storages["default"]


@pytest.mark.parametrize("size", [0, 5, 3_000_000])
@pytest.mark.parametrize("storage", ["HybridStorage", "DistributedStorage"], indirect=True)
def test_save(storage, servers, sent, size):
    storage.save("a", ContentFile(b"x" * size))
    assert sorted(sent) == sorted((server.url, size) for server in servers)
    storage.delete("a")
    assert len(sent) == 2


@pytest.mark.parametrize("storage", ["HybridStorage", "DistributedStorage"], indirect=True)
def test_what_a_host_has_missed_counts_when_it_has_it(storage, servers, sent):
    servers[1].refuse = True
    with suppress(OSError):
        storage.save("a", ContentFile(b"12345"))
    assert sent == [(servers[0].url, 5)]
    servers[1].refuse = False
    make_due()
    assert drain().done == 1
    assert sent == [(servers[0].url, 5), (servers[1].url, 5)]


def test_comparison(storage, servers, sent):
    storage.save("a", ContentFile(b"12345"))
    servers[0].delete_file("a")
    sent.clear()
    synchronize(storage, SyncOptions(), lambda event: None)
    assert sent == [(servers[0].url, 5)]


def test_whoever_counts_and_fails_is_logged(storage, servers, sent, caplog):
    """The file is there, and others are told."""

    def fail(host, size):
        raise OSError("no space left")

    traffic.WATCHERS.insert(0, fail)
    try:
        storage.save("a", ContentFile(b"12345"))
    finally:
        traffic.WATCHERS.remove(fail)
    assert sorted(sent) == sorted((server.url, 5) for server in servers)
    assert "failed in fail." in caplog.text
    assert "no space left" in caplog.text
