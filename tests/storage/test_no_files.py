"""Names that no file can have leave nothing in the record."""

import errno
import os
from contextlib import nullcontext

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages

from kit.record import pending_for
from resto.exceptions import RemoteDirectoryError, ReplicationError
from resto.record import leases, opening
from resto.repair.drain import Drained, drain
from resto.storage import DistributedStorage, HybridStorage


pytestmark = pytest.mark.django_db

TOO_LONG = "x" * 300
LONG_PATH = "/".join(["x" * 200] * 25)
LONG_URL = "/".join(["é" * 100] * 15)  # of 9,000 bytes


@pytest.fixture(params=["HybridStorage", "AsyncStorage", "DistributedStorage"])
def storage(request, settings, media_root, resto_server_factory, clock):
    settings.RESTO_TRANSPORT = "webdav"
    settings.RESTO_MEDIA_HOSTS = [resto_server_factory().url for _ in range(2)]
    settings.STORAGES = {"default": {"BACKEND": f"resto.storage.{request.param}"}}
    return storages["default"]


only_with_a_master_copy = pytest.mark.parametrize("storage", ["HybridStorage", "AsyncStorage"], indirect=True)
only_without = pytest.mark.parametrize("storage", ["DistributedStorage"], indirect=True)


@pytest.fixture
def clock(monkeypatch):
    clock = [leases.clock()]
    monkeypatch.setattr(leases, "clock", lambda: clock[0])
    return clock


@pytest.mark.parametrize("fatal", [True, False])
def test_delete_of_a_directory(storage, settings, fatal):
    settings.RESTO_FATAL_EXCEPTIONS = fatal
    storage.save("album/photo.jpg", ContentFile(b"1"))
    before = pending_for()
    for name in ("album", "album/"):
        with pytest.raises(IsADirectoryError, match=r"'album' is a directory.* only files") as caught:
            storage.delete(name)
        assert caught.value.errno == errno.EISDIR
    assert pending_for() == before
    assert storage.exists("album/photo.jpg")


@only_without
def test_delete_of_a_directory_while_a_host_is_down(storage, settings, resto_server_factory):
    storage.save("album/photo.jpg", ContentFile(b"1"))
    down = resto_server_factory()
    down.refuse = True
    settings.RESTO_MEDIA_HOSTS = [*settings.RESTO_MEDIA_HOSTS, down.url]
    settings.STORAGES = dict(settings.STORAGES)
    with pytest.raises(IsADirectoryError):
        storages["default"].delete("album")
    assert pending_for() == []


@only_without
def test_file_that_another_host_had_is_remembered(storage, settings, resto_server_factory):
    """What was deleted somewhere must not come back from a host that was down."""
    storage.save("album/photo.jpg", ContentFile(b"1"))
    up, down = (resto_server_factory() for _ in range(2))
    up.create_file("album", b"a file")
    down.refuse = True
    settings.RESTO_MEDIA_HOSTS = [*settings.RESTO_MEDIA_HOSTS, up.url, down.url]
    settings.STORAGES = dict(settings.STORAGES)
    with pytest.raises(IsADirectoryError):
        storages["default"].delete("album")
    assert pending_for() == [(down.url, "album", False)]


@only_without
def test_old_row_of_a_directory_is_settled_by_a_drain(storage, caplog):
    storage.save("album/photo.jpg", ContentFile(b"1"))
    opening.open_change("default", storage.hosts, "album", present=False).release(0)
    assert drain() == Drained(failed=2)
    assert pending_for() == []
    assert "a directory" in caplog.text


@pytest.mark.parametrize("name", [TOO_LONG, LONG_PATH], ids=["part", "path"])
def test_delete_of_a_name_that_is_too_long(storage, name):
    storage.save("a", ContentFile(b"1"))
    before = pending_for()
    with pytest.raises(OSError, match="too long"):
        storage.delete(name)
    assert pending_for() == before


def test_save_of_a_path_that_is_too_long(storage):
    storage.save("a", ContentFile(b"1"))
    before = pending_for()
    with pytest.raises(OSError, match="too long"):
        storage.save(LONG_PATH, ContentFile(b"1"), max_length=9_999)
    assert pending_for() == before


@only_with_a_master_copy
def test_publishing_a_name_that_is_too_long(storage):
    storage.save("a", ContentFile(b"1"))
    before = pending_for()
    with pytest.raises(OSError, match="too long"):
        storage.publish(TOO_LONG)
    assert pending_for() == before


@pytest.mark.parametrize("kind", ["nginx-dav", "apache", "lighttpd", "rclone"])
@pytest.mark.parametrize("storage", ["HybridStorage", "DistributedStorage"], indirect=True)
def test_delete_on_real_servers(storage, settings, media_servers, kind):
    """Each says otherwise that there can be no such file."""
    settings.RESTO_MEDIA_HOSTS = [media_servers(kind).new_folder()[0]]
    settings.STORAGES = dict(settings.STORAGES)
    storage = storages["default"]
    storage.save("album/photo.jpg", ContentFile(b"1"))
    with nullcontext() if isinstance(storage, DistributedStorage) else pytest.raises(NotADirectoryError):
        storage.delete("album/photo.jpg/small.jpg")
    with pytest.raises(IsADirectoryError):
        storage.delete("album")
    assert pending_for() == []
    assert storage.exists("album/photo.jpg")


@pytest.fixture
def site_of_real_servers(storage, settings, media_servers):
    def configure(*kinds, fatal):
        settings.RESTO_MEDIA_HOSTS = [media_servers(kind).new_folder()[0] for kind in kinds]
        settings.RESTO_FATAL_EXCEPTIONS = fatal
        settings.STORAGES = dict(settings.STORAGES)
        return storages["default"]

    return configure


@pytest.mark.parametrize("kind", ["nginx-dav", "apache", "lighttpd", "rclone"])
@pytest.mark.parametrize("fatal", [True, False])
@pytest.mark.parametrize("storage", ["HybridStorage", "DistributedStorage"], indirect=True)
def test_name_whose_url_is_too_long_for_a_server(storage, site_of_real_servers, fatal, kind):
    """wsgidav takes it, and does not keep it if the save was undone."""
    storage = site_of_real_servers("wsgidav", kind, fatal=fatal)
    storage.save("a", ContentFile(b"1"))
    is_kept = isinstance(storage, HybridStorage) and not fatal
    with nullcontext() if is_kept else pytest.raises(ReplicationError, match="the name is too long for the server"):
        storage.save(LONG_URL, ContentFile(b"1"), max_length=9_999)
    assert pending_for() == []
    assert storage.transport_for(storage.hosts[0]).exists(storage.hosts[0], LONG_URL) is is_kept
    storage.delete(LONG_URL)
    assert pending_for() == []
    assert not storage.transport_for(storage.hosts[0]).exists(storage.hosts[0], LONG_URL)


@pytest.mark.parametrize("present", [True, False])
@pytest.mark.parametrize("storage", ["HybridStorage"], indirect=True)
def test_old_row_of_a_url_that_is_too_long_is_settled_by_a_drain(storage, site_of_real_servers, present):
    storage = site_of_real_servers("nginx-dav", fatal=False)
    storage.save("a", ContentFile(b"1"))
    storage.save(LONG_URL, ContentFile(b"1"), max_length=9_999)
    if not present:
        storage.delete(LONG_URL)
    storage.open_lease(LONG_URL, storage.hosts, present=present).release(0)
    assert drain() == (Drained(failed=1) if present else Drained(done=1))
    assert pending_for() == []


@only_with_a_master_copy
def test_save_of_a_name_that_is_too_long_on_the_whole(storage, media_root):
    """That of the temporary file is not."""
    storage.save("a", ContentFile(b"1"))
    before = pending_for()
    room = os.pathconf(media_root, "PC_PATH_MAX") - len(f"{media_root}/") - 100
    name = "/".join(["x" * 99] * (room // 100) + ["y" * 240])
    with pytest.raises(OSError, match="too long"):
        storage.save(name, ContentFile(b"1"), max_length=9_999)
    assert pending_for() == before


@only_with_a_master_copy
def test_old_row_of_a_name_that_is_too_long_is_settled_by_a_drain(storage, media_root):
    media_root.mkdir()
    (media_root / "a").write_bytes(b"1")  # it is not empty
    storage.open_lease(TOO_LONG, storage.hosts, present=False).release(0)
    assert drain() == Drained(done=2)
    assert pending_for() == []


def test_host_that_has_a_directory_says_so(storage):
    storage.transport_for(storage.hosts[0]).create(storage.hosts[0], "album/photo.jpg", b"1")
    with pytest.raises(RemoteDirectoryError, match="that is a directory, and only files are deleted"):
        storage.transport_for(storage.hosts[0]).delete(storage.hosts[0], "album")
