"""What a drain leaves alone; how it does that is tried with `test_drain`, and with each kind of directory and host."""

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages

from resto.record import leases
from resto.repair.refusals import LOOKED_EACH, refused_hosts_of, refused_storages, usable_storage


pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("identities_apply")]


@pytest.fixture
def servers(resto_server_factory):
    return [resto_server_factory() for _ in range(2)]


@pytest.fixture
def storage(settings, media_root, servers):
    options = {"hosts": [server.url for server in servers], "transport": "webdav", "executor": "inline"}
    settings.STORAGES = {
        "default": {"BACKEND": "resto.storage.HybridStorage", "OPTIONS": options},
        "broken": {"BACKEND": "resto.storage.HybridStorage", "OPTIONS": {"timeout": "soon"}},
        "local": {"BACKEND": "django.core.files.storage.InMemoryStorage"},
    }
    storages["default"].save("a", ContentFile(b"content"))
    return storages["default"]


def test_storage_is_refused_with_the_reason_and_the_others_are_not(storage, media_root):
    assert refused_storages([]) == {}
    media_root.rename(media_root.with_name("away"))
    assert list(refused_storages([])) == ["default"]
    assert "Is it mounted?" in refused_storages([])["default"]


def test_host_is_looked_at_once_in_a_while_if_something_is_pending(storage, servers, monkeypatch):
    now = [leases.monotonic()]
    monkeypatch.setattr(leases, "monotonic", lambda: now[0])
    servers[0].delete_file(".resto.host")
    assert refused_hosts_of([], [], (), watches=False) == {}
    assert list(refused_hosts_of([], [], (), watches=True)) == [("default", servers[0].url)]
    asked = len(servers[0].requests)
    refused_hosts_of([], [], (), watches=True)
    assert len(servers[0].requests) == asked
    now[0] += LOOKED_EACH
    refused_hosts_of([], [], (), watches=True)
    assert len(servers[0].requests) > asked


def test_hosts_of_a_refused_storage_are_not_looked_at(storage, servers):
    asked = len(servers[0].requests)
    assert refused_hosts_of([], [], ["default"], watches=True) == {}
    assert len(servers[0].requests) == asked


def test_storage_is_usable_if_it_stands_in_the_settings_with_sound_options(storage):
    assert usable_storage("default") is storage
    assert usable_storage("missing") is None
    with pytest.raises(Exception, match="timeout"):
        usable_storage("broken")
