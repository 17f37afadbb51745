"""Drains and comparisons of a schedule."""

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages

from resto.exceptions import ConfigurationError
from resto.models import Pending, Run
from resto.workers.scheduled import drain_all, sync_all


pytestmark = pytest.mark.django_db


@pytest.fixture
def server(resto_server_factory):
    return resto_server_factory()


@pytest.fixture
def storage(settings, media_root, server, identities_apply):
    options = {"hosts": [server.url], "transport": "webdav", "fatal_exceptions": False}
    settings.STORAGES = {"default": {"BACKEND": "resto.storage.HybridStorage", "OPTIONS": options}}
    storages["default"].save("first", ContentFile(b"content"))
    server.refuse = True
    storages["default"].save("missed", ContentFile(b"content"))
    server.refuse = False
    Pending.objects.update(due=0, quiet_until=0)
    return storages["default"]


def runs():
    return [(run.kind, run.storage, run.code) for run in Run.objects.all()]


def test_drain(storage, server):
    assert drain_all() == {"sent": 1, "failed": 0}
    assert "missed" in server.files
    assert runs() == [("drain", "", 0)]


def test_drain_that_fails_is_no_error(storage, server):
    server.refuse = True
    assert drain_all() == {"sent": 0, "failed": 1}
    assert runs() == [("drain", "", 1)]


def test_sync(storage, server):
    assert sync_all() == {"default": True}
    assert "missed" in server.files
    server.create_file("extra", b"1")
    assert sync_all() == {"default": False}
    assert "extra" in server.files
    assert runs() == [("sync", "default", 0), ("sync", "default", 1)]


@pytest.mark.parametrize("call", [drain_all, sync_all])
def test_nothing_is_sent_where_the_master_copy_is_not(storage, server, media_root, call):
    media_root.rename(media_root.with_name("away"))
    asked = len(server.requests)
    with pytest.raises(ConfigurationError, match="Is it mounted"):
        call()
    assert len(server.requests) == asked


def test_a_host_that_is_another_one_gets_nothing(storage, server):
    server.delete_file(".resto.host")
    server.create_file("of others", b"1")
    server.delete_file("first")
    with pytest.raises(ConfigurationError):
        drain_all()
    assert set(server.files) == {"of others"}
