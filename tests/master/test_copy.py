"""The master copy: files appear whole or not at all."""

import errno
import os
import stat
import threading
from contextlib import closing
from pathlib import Path

import pytest
from django.core.exceptions import SuspiciousFileOperation
from django.core.files import File
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage
from django.core.files.uploadedfile import TemporaryUploadedFile

from kit.disk import fail_with, mode_of, store
from resto.master.copy import MasterCopy
from resto.master.root import Root


# Storing.


def test_store_leaves_the_file_alone_in_its_directory(master, media_root, links):
    assert store(master, "a/b.txt") == "a/b.txt"
    assert [path.name for path in media_root.rglob("*")] == ["a", "b.txt"]
    assert (media_root / "a" / "b.txt").read_bytes() == b"content"


def test_store_takes_the_alternative_when_the_name_is_taken(master, media_root, links):
    for name in ("a", "b"):
        store(master, name, b"old")
    alternatives = iter("bc")

    assert store(master, "a", b"new", lambda name: next(alternatives)) == "c"
    assert {path.name: path.read_bytes() for path in media_root.iterdir()} == {"a": b"old", "b": b"old", "c": b"new"}


def test_store_replaces_with_allow_overwrite(media_root):
    master = MasterCopy(allow_overwrite=True)
    store(master, "a", b"old")

    assert store(master, "a", b"new") == "a"
    assert {path.name: path.read_bytes() for path in media_root.iterdir()} == {"a": b"new"}


@pytest.mark.parametrize("overwrites", [True, False])
def test_store_tells_the_state_of_its_own_file(media_root, links, overwrites):
    master = MasterCopy(allow_overwrite=overwrites)

    name, written = master.store("a", ContentFile(b"content"), None)

    with written:
        assert written.fingerprint == master.fingerprint(name)
        assert written.content() == b"content"


def test_store_reports_what_stands_in_the_way(master, media_root):
    store(master, "a")

    with pytest.raises(FileExistsError, match="a exists and is not a directory"):
        store(master, "a/b")
    with pytest.raises(NotADirectoryError):  # as Django has it
        store(master, "a/b/c")


class BrokenContent(File):
    def __init__(self):
        super().__init__(None, "x")

    def chunks(self, chunk_size=None):
        yield b"some"
        raise KeyboardInterrupt


def test_nothing_is_left_when_the_content_breaks_off(master, media_root):
    with pytest.raises(KeyboardInterrupt):
        master.store("a", BrokenContent(), None)

    assert list(media_root.iterdir()) == []


def test_nothing_is_left_when_the_file_cannot_get_its_name(master, media_root, monkeypatch):
    monkeypatch.setattr(os, "link", fail_with(errno.EPERM))
    monkeypatch.setattr(os, "replace", fail_with(errno.EIO))

    with pytest.raises(OSError, match="Input/output error"):
        store(master, "a")
    assert list(media_root.iterdir()) == []


@pytest.fixture
def upload(media_root, settings):
    """A temporary file of an upload, on the file system of the master copy."""
    media_root.mkdir()
    settings.FILE_UPLOAD_TEMP_DIR = media_root.parent
    with TemporaryUploadedFile("a", "text/plain", 7, None) as content:
        content.write(b"content")
        content.flush()
        yield content


def inode_of(path):
    return Path(path).stat().st_ino


def store_upload(master, upload, name="a"):
    master.store(name, upload, None)[1].close()


def test_a_temporary_upload_is_not_copied(master, media_root, upload):
    store_upload(master, upload)
    assert inode_of(media_root / "a") == inode_of(upload.temporary_file_path())


def test_a_temporary_upload_is_copied_from_another_file_system(master, media_root, upload, monkeypatch):
    link = os.link

    def link_within(source, target, **descriptors):
        if source == upload.temporary_file_path():
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        link(source, target, **descriptors)

    monkeypatch.setattr(os, "link", link_within)
    store_upload(master, upload)
    assert inode_of(media_root / "a") != inode_of(upload.temporary_file_path())


def test_a_temporary_upload_stays_as_it_was(master, media_root, upload, links):
    for name in ("a", "b", "c"):
        store_upload(master, upload, name)
        assert (media_root / name).read_bytes() == b"content"
    assert len({inode_of(media_root / name) for name in ("a", "b", "c")}) == 3
    assert Path(upload.temporary_file_path()).read_bytes() == b"content"
    assert sorted(path.name for path in media_root.iterdir()) == ["a", "b", "c"]


@pytest.mark.parametrize("setting", [None, 0o640])
def test_a_temporary_upload_has_the_mode_that_it_has_when_it_is_moved(
    master, media_root, upload, settings, links, setting
):
    settings.FILE_UPLOAD_PERMISSIONS = setting
    store_upload(master, upload)
    assert mode_of(media_root / "a") == (setting or 0o600)


def test_writers_of_one_name_all_keep_their_content(master, media_root, links):
    barrier = threading.Barrier(8)
    names = {}

    def write(number):
        barrier.wait()
        numbers = iter(range(100))
        name = store(master, "a", b"%d" % number, lambda name: f"a{next(numbers)}")
        names[name] = b"%d" % number

    threads = [threading.Thread(target=write, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(names) == 8
    assert {path.name: path.read_bytes() for path in media_root.iterdir()} == names


def test_readers_never_see_a_part_of_a_file(media_root):
    master = MasterCopy(allow_overwrite=True)
    versions = [bytes([number]) * 300_000 for number in range(3)]
    store(master, "a", versions[0])
    seen = set()
    done = threading.Event()

    def read():
        while not done.is_set():
            seen.add((media_root / "a").read_bytes())

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(150):
        store(master, "a", versions[number % 3])
    done.set()
    reader.join()

    assert seen <= set(versions)


# Permissions.


def test_file_gets_the_mode_of_the_setting(master, media_root, settings, umask, links):
    settings.FILE_UPLOAD_PERMISSIONS = 0o640

    store(master, "a")

    assert mode_of(media_root / "a") == 0o640


def test_file_gets_the_mode_of_the_umask_without_a_setting(master, media_root, settings, links):
    settings.FILE_UPLOAD_PERMISSIONS = None
    before = os.umask(0o027)
    try:
        store(master, "a")
    finally:
        os.umask(before)

    assert mode_of(media_root / "a") == 0o640


@pytest.mark.skipif(os.getuid() != 0, reason="only root may give files to any group")
def test_file_gets_the_group_of_the_location(master, media_root):
    media_root.mkdir()
    os.chown(media_root, -1, 12345)

    store(master, "a")

    assert (media_root / "a").stat().st_gid == 12345


@pytest.mark.skipif(os.getuid() != 0, reason="only root may give directories to any group")
def test_file_keeps_its_group_where_that_cannot_be_changed(master, media_root, monkeypatch):
    media_root.mkdir()
    os.chown(media_root, -1, 12345)
    monkeypatch.setattr(os, "chown", fail_with(errno.EPERM))

    store(master, "a")

    assert (media_root / "a").stat().st_gid == os.getgid()


# Deleting and looking.


def test_delete(master, media_root):
    store(master, "a")

    master.delete("a")

    assert list(media_root.iterdir()) == []


@pytest.mark.parametrize("name", ["missing", "missing/a"])
def test_delete_of_what_is_missing_does_nothing(master, name):
    store(master, "file")

    master.delete(name)
    with pytest.raises(NotADirectoryError):  # as Django has it
        master.delete("file/a")

    assert master.listdir("") == ([], ["file"])


def test_delete_of_a_directory_is_refused(master):
    store(master, "a/b")

    with pytest.raises(IsADirectoryError, match="'a' is a directory"):
        master.delete("a")
    assert master.exists("a/b")


def test_delete_does_not_take_a_link_to_a_directory_for_one(master, media_root):
    """As Django does: what is below would be gone, too."""
    store(master, "a/b")
    (media_root / "link").symlink_to("a")

    with pytest.raises(NotADirectoryError):
        master.delete("link")

    assert sorted(master.listdir("")[0]) == ["a", "link"]


def test_delete_removes_an_empty_directory(master, media_root):
    (media_root / "a" / "b").mkdir(parents=True)

    with pytest.raises(IsADirectoryError, match="'a' is a directory that is not empty") as caught:
        master.delete("a")
    assert caught.value.errno == errno.EISDIR
    master.delete("a/b")

    assert master.listdir("") == (["a"], [])
    assert master.listdir("a") == ([], [])


def test_listdir_leaves_out_temporary_files(master):
    store(master, "a")
    with master.open_beside("b", "wb").file:
        assert master.listdir("") == ([], ["a"])


def test_location_follows_the_settings(master, tmp_path, settings):
    store(master, "a")
    settings.MEDIA_ROOT = tmp_path / "other"

    store(master, "a")

    assert (tmp_path / "other" / "a").exists()


# What is no file of the master copy.


@pytest.mark.parametrize("name", ["../settings.py", "d/../../settings.py", "../d/a"])
@pytest.mark.parametrize("act", ["snapshot", "fingerprint", "delete", "open_beside", "store"])
def test_nothing_leads_out_of_the_master_copy(master, media_root, act, name):
    media_root.mkdir()
    (media_root.parent / "settings.py").write_bytes(b"SECRET_KEY")
    arguments = {"open_beside": ["wb"], "store": [ContentFile(b""), None]}.get(act, [])
    with pytest.raises(SuspiciousFileOperation):
        getattr(master, act)(name, *arguments)
    assert (media_root.parent / "settings.py").read_bytes() == b"SECRET_KEY"


@pytest.mark.parametrize("act", ["snapshot", "fingerprint"])
def test_pipes_and_devices_are_not_waited_for(master, media_root, act):
    media_root.mkdir()
    os.mkfifo(media_root / "pipe")
    (media_root / "zeros").symlink_to("/dev/zero")
    for name in ("pipe", "zeros"):
        with pytest.raises(OSError, match="a pipe or a device"):
            getattr(master, act)(name)


@pytest.mark.parametrize("links", [True, False], ids=["links", "no links"], indirect=True)
def temporary_upload(content):
    upload = TemporaryUploadedFile("a", "text/plain", len(content), None)
    upload.write(content)
    upload.seek(0)
    return upload


@pytest.mark.parametrize("setting", [None, 0o600, 0o644])
@pytest.mark.parametrize("was", [None, 0o600, 0o640, 0o666])
@pytest.mark.parametrize("kind", [ContentFile, temporary_upload])
def test_file_that_is_replaced_has_the_mode_that_it_has_with_django(tmp_path, settings, umask, kind, was, setting):
    settings.FILE_UPLOAD_PERMISSIONS = setting
    modes = []
    for storage_class in (FileSystemStorage, MasterCopy):
        storage = storage_class(tmp_path / storage_class.__name__, allow_overwrite=True)
        path = Path(storage.path("a"))
        if was is not None:
            path.parent.mkdir()
            path.write_bytes(b"old")
            path.chmod(was)
        content = kind(b"new")
        with closing(content):
            if storage_class is MasterCopy:
                store_upload(storage, content)
            else:
                storage.save("a", content)
        modes.append(mode_of(path))
    assert modes[0] == modes[1]


@pytest.mark.parametrize("mode", [None, 0o600, 0o640, 0o644, 0o666, 0o444])
def test_nobody_reads_a_temporary_file_who_may_not_read_the_file(media_root, settings, umask, links, mode, monkeypatch):
    settings.FILE_UPLOAD_PERMISSIONS = mode
    master, modes = MasterCopy(), []
    original = Root.set_permissions

    def watch(root, name, status, final):
        modes.append(stat.S_IMODE(status.st_mode))
        original(root, name, status, final)

    monkeypatch.setattr(Root, "set_permissions", watch)
    store(master, "a")
    readers, final = 0o444, mode_of(media_root / "a")
    assert modes[0] & readers & ~final == 0


@pytest.mark.parametrize("act", ["snapshot", "fingerprint"])
def test_file_that_is_saved_while_it_is_looked_for_is_not_there_yet(master, media_root, monkeypatch, act):
    media_root.mkdir()
    opened = Root.open

    def open_first(root, name, *args):
        try:
            return opened(root, name, *args)
        finally:
            monkeypatch.setattr(Root, "open", opened)
            store(master, "a")

    monkeypatch.setattr(Root, "open", open_first)
    assert getattr(master, act)("a") is None
    assert (media_root / "a").exists()


@pytest.mark.parametrize("act", ["snapshot", "fingerprint"])
def test_link_to_what_is_not_there_is_no_deletion(master, media_root, act):
    media_root.mkdir()
    (media_root / "a").symlink_to("missing")
    with pytest.raises(FileNotFoundError, match="a link to what is not there; is it mounted"):
        getattr(master, act)("a")
