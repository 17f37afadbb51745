"""Directories of this machine as hosts."""

import errno
import os
import re
from pathlib import Path

import pytest

from resto.exceptions import (
    ConfigurationError,
    HostUnavailableError,
    RemoteDirectoryError,
    RemoteFileChangedError,
    RemoteRefusedError,
    TransportError,
)
from resto.names import HOST_IDENTITY, MASTER_IDENTITY
from resto.record.meaning import may_still_land
from resto.storage import DistributedStorage
from resto.testing import TransportContract
from resto.transports.directory import DirectoryTransport


GIGABYTE = 1024**3


@pytest.fixture
def root(tmp_path):
    """A directory that has proven itself."""
    directory = tmp_path / "root"
    directory.mkdir()
    (directory / HOST_IDENTITY).write_bytes(b"")
    return directory


@pytest.fixture
def transport():
    return DirectoryTransport("/media/")


class TestContract(TransportContract):
    unreachable_host = "file:///srv/not-mounted/"
    replaces_at_once = True

    @pytest.fixture(params=[False, True], ids=["", "fsync"])
    def transport_and_host(self, request, root):
        below = root / "a path of its own"
        below.mkdir()
        (below / HOST_IDENTITY).write_bytes(b"")
        self.host_with_path = below.as_uri()
        return DirectoryTransport("/media/", fsync=request.param), root.as_uri()


def test_flag_that_is_none_is_refused():
    with pytest.raises(ConfigurationError, match="fsync must be True or False"):
        DirectoryTransport("/media/", fsync="no")


# What is no place for copies.


def test_media_root_is_refused(transport, root, settings):
    settings.MEDIA_ROOT = f"{root}/"
    with pytest.raises(ConfigurationError, match="is MEDIA_ROOT"):
        transport.identify(root.as_uri())


def test_media_root_is_refused_under_any_path(transport, root, settings, tmp_path):
    (tmp_path / "link").symlink_to(root)
    settings.MEDIA_ROOT = str(tmp_path / "link")
    host = root.as_uri()
    transport.identify(host)
    for act in (lambda: transport.create(host, "a.txt", b""), lambda: transport.delete(host, "a.txt")):
        with pytest.raises(RemoteRefusedError, match="is MEDIA_ROOT"):
            act()
    assert [*root.iterdir()] == [root / HOST_IDENTITY]


@pytest.mark.parametrize("media", ["", "inner", "inner/that/is/not/there/yet", "../"])
@pytest.mark.parametrize("linked", ["host", "media"])
def test_directory_inside_or_around_media_root_is_refused_under_any_path(
    transport, root, settings, tmp_path, media, linked
):
    (root / "inner").mkdir()
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "elsewhere" / "link"
    link.symlink_to(root if linked == "host" else root / media)
    host = (link if linked == "host" else root).as_uri()
    settings.MEDIA_ROOT = str(root / media if linked == "host" else link)
    for act in (lambda: transport.create(host, "a.txt", b""), lambda: transport.delete(host, "a.txt")):
        with pytest.raises(RemoteRefusedError, match=r"MEDIA_ROOT.*, which is no place for copies"):
            act()
    assert {*root.iterdir()} == {root / HOST_IDENTITY, root / "inner"}
    (root / HOST_IDENTITY).unlink()
    with pytest.raises(RemoteRefusedError, match="MEDIA_ROOT"):
        transport.exists(host, "a.txt")


@pytest.mark.parametrize("place", [".", ".."])
def test_directory_of_any_master_copy_is_refused(transport, root, place):
    file = root / place / MASTER_IDENTITY
    file.write_bytes(b"")
    with pytest.raises(RemoteRefusedError, match=rf"{re.escape(str(file.resolve()))} says that .* a master copy"):
        transport.create(root.as_uri(), "a.txt", b"")
    file.unlink()
    transport.create(root.as_uri(), "a.txt", b"")


def test_directory_without_its_identity_is_down(transport, root):
    host = root.as_uri()
    transport.create(host, "a.txt", b"content")
    (root / HOST_IDENTITY).unlink()
    for act in (
        lambda: transport.exists(host, "a.txt"),
        lambda: transport.size(host, "a.txt"),
        lambda: transport.open(host, "a.txt"),
        lambda: transport.modified_time(host, "a.txt"),
        lambda: transport.create(host, "a.txt", b"new"),
        lambda: transport.delete(host, "a.txt"),
        lambda: transport.listdir(host, ""),
        lambda: [*transport.scan(host, "")],
    ):
        with pytest.raises(HostUnavailableError, match=r"no file \.resto\.host, .* it is not mounted") as info:
            act()
        assert not info.value.ambiguous
    assert (root / "a.txt").read_bytes() == b"content"


def test_directory_can_get_an_identity(transport, root):
    host = root.as_uri()
    (root / HOST_IDENTITY).unlink()
    assert transport.exists(host, HOST_IDENTITY) is False
    assert transport.browse(host, "").files == {}
    transport.create(host, HOST_IDENTITY, b"id")
    assert transport.exists(host, "a.txt") is False


# Never above its root.


def test_links_are_not_followed(transport, root, tmp_path):
    host, outside = root.as_uri(), tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.txt").write_bytes(b"secret")
    (root / "directory").symlink_to(outside)
    (root / "file.txt").symlink_to(outside / "secret.txt")
    for name in ("directory/secret.txt", "file.txt"):
        for act in (
            lambda name=name: transport.open(host, name),
            lambda name=name: transport.exists(host, name),
            lambda name=name: transport.size(host, name),
            lambda name=name: transport.delete(host, name),
            lambda name=name: transport.create(host, name, b"new"),
        ):
            with pytest.raises(TransportError, match="link"):
                act()
    with pytest.raises(TransportError, match="link"):
        transport.create(host, "directory/new.txt", b"new")
    assert {path.name: path.read_bytes() for path in outside.iterdir()} == {"secret.txt": b"secret"}
    assert {*transport.browse(host, "").others} == {"directory", "file.txt"}


@pytest.mark.parametrize("name", ["../outside.txt", "a/../../outside.txt", "/../outside.txt", "..", "a//b"])
def test_names_do_not_lead_out(transport, root, name):
    host = root.as_uri()
    for act in (
        lambda: transport.create(host, name, b"new"),
        lambda: transport.delete(host, name),
        lambda: transport.exists(host, name),
    ):
        with pytest.raises(TransportError, match="leads out"):
            act()
    assert not (root.parent / "outside.txt").exists()


def test_pipe_is_not_waited_for(transport, root):
    os.mkfifo(root / "pipe")
    with pytest.raises(TransportError, match="neither a file nor a directory"):
        transport.open(root.as_uri(), "pipe")


# Names as the file system takes them.


def test_name_that_is_too_long_is_of_no_file(transport, root):
    host, name = root.as_uri(), "x" * 256
    assert transport.exists(host, name) is False
    assert transport.delete(host, name) is False
    with pytest.raises(TransportError, match="File name too long"):
        transport.create(host, name, b"")


def test_directory_says_that_it_is_one(transport, root):
    (root / "d").mkdir()
    for act in (lambda: transport.delete(root.as_uri(), "d"), lambda: transport.create(root.as_uri(), "d", b"")):
        with pytest.raises(RemoteDirectoryError):
            act()


# What goes wrong.


def test_failed_upload_leaves_nothing(transport, root):
    class Broken:
        def seekable(self):
            return False

        def read(self, size):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        transport.create(root.as_uri(), "d/a.txt", Broken())
    assert [*(root / "d").iterdir()] == []


def test_content_that_cannot_be_read_is_not_the_fault_of_the_host(transport, root):
    class Broken:
        def seekable(self):
            return False

        def read(self, size):
            raise OSError(errno.EIO, "the other disk is broken")

    with pytest.raises(OSError, match="the other disk is broken") as info:
        transport.create(root.as_uri(), "a.txt", Broken())
    assert not isinstance(info.value, TransportError)


@pytest.mark.parametrize(
    ("call", "number", "kind", "may_land"),
    [
        ("replace", errno.ESTALE, HostUnavailableError, True),
        ("write", errno.ESTALE, HostUnavailableError, False),
        ("replace", errno.EROFS, RemoteRefusedError, False),
        ("write", errno.ENOSPC, RemoteRefusedError, False),
    ],
)
def test_upload_may_be_carried_out_only_if_publishing_has_begun(
    transport, root, monkeypatch, call, number, kind, may_land
):
    def fail(*args, **kwargs):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(TransportError, match=os.strerror(number)) as info:
        transport.create(root.as_uri(), "a.txt", b"content")
    assert type(info.value) is kind
    assert may_still_land(info.value) is may_land
    assert [*root.iterdir()] == [root / HOST_IDENTITY]


@pytest.mark.parametrize(
    ("number", "kind", "may_land"),
    [(errno.ESTALE, HostUnavailableError, True), (errno.EACCES, RemoteRefusedError, False)],
)
def test_deletion_may_be_carried_out_only_if_the_system_does_not_tell(
    transport, root, monkeypatch, number, kind, may_land
):
    def fail(*args, **kwargs):
        raise OSError(number, os.strerror(number))

    transport.create(root.as_uri(), "a.txt", b"content")
    monkeypatch.setattr(os, "unlink", fail)
    with pytest.raises(TransportError, match=os.strerror(number)) as info:
        transport.delete(root.as_uri(), "a.txt")
    assert type(info.value) is kind
    assert may_still_land(info.value) is may_land


def test_upload_was_carried_out_if_the_directory_cannot_be_synced(root, monkeypatch):
    calls = []

    def sync(descriptor):
        calls.append(descriptor)
        if (root / "a.txt").exists():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", sync)
    with pytest.raises(TransportError, match=os.strerror(errno.ENOSPC)) as info:
        DirectoryTransport("/media/", fsync=True).create(root.as_uri(), "a.txt", b"content")
    assert len(calls) == 2
    assert may_still_land(info.value)


def test_file_that_is_cut_while_it_is_read_is_an_error(transport, root):
    (root / "a.bin").write_bytes(bytes(1_000_000))
    with transport.open(root.as_uri(), "a.bin") as stream:
        stream.read(10)
        os.truncate(root / "a.bin", 300_000)
        with pytest.raises(TransportError, match="cut short"):
            stream.read()


def test_file_that_is_replaced_in_its_place_has_changed(transport, root):
    """By a program that knows nothing of resto, and keeps the size."""
    (root / "a.bin").write_bytes(b"old")
    first = transport.open_part(root.as_uri(), "a.bin", 0, 1)
    first.stream.close()
    os.utime(root / "a.bin", (1, 1))
    with pytest.raises(RemoteFileChangedError, match="replaced"):
        transport.open_part(root.as_uri(), "a.bin", 1, 2, first.version)


def test_part_is_read_without_the_rest(root):
    content = os.urandom(300_000)
    with (root / "large.bin").open("wb") as file:
        file.truncate(GIGABYTE)
        file.seek(-len(content), os.SEEK_END)
        file.write(content)
    storage = DistributedStorage([root.as_uri()], "/media/", transport="directory")
    before = bytes_read()
    with storage.open("large.bin") as file:
        assert file.read(1000) == bytes(1000)
        file.seek(-1000, os.SEEK_END)
        assert file.read() == content[-1000:]
    assert bytes_read() - before < 1_000_000


def bytes_read():
    """How many bytes this process has read, of whatever file."""
    return int(re.search(r"rchar: (\d+)", Path("/proc/self/io").read_text())[1])


def test_upload_is_on_the_disk_if_that_is_asked_for(root, monkeypatch):
    synced = []
    monkeypatch.setattr(
        os, "fsync", lambda descriptor: synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
    )
    DirectoryTransport("/media/").create(root.as_uri(), "d/a.txt", b"content")
    assert synced == []
    DirectoryTransport("/media/", fsync=True).create(root.as_uri(), "e/a.txt", b"content")
    first, file, last = synced
    assert (first, last) == (str(root), str(root / "e"))
    assert file.startswith(f"{root}/e/.resto-")
