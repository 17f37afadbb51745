"""The identity file: whole and exclusive, read and written through a descriptor of its directory."""

import errno
import os
import pickle
import resource
import threading

import pytest

from kit.disk import fail_with, mode_of
from resto.exceptions import ConfigurationError
from resto.master import identity
from resto.master.identity import (
    Identity,
    ReplacedMeanwhileError,
    keep_identity,
    new_identity,
    read_identity,
    replace_identity,
    require_exclusive_links,
    seal_of,
)
from resto.master.root import Root


FILE = ".resto.master"
ONE, OTHER = Identity("1" * 32, "a" * 32), Identity("2" * 32, "b" * 32)


@pytest.fixture
def root(tmp_path):
    with Root(str(tmp_path)) as root:
        yield root.descriptor


def test_identity_is_read_as_it_was_written(root, tmp_path, links):
    assert (read_identity(root), seal_of(root)) == (None, None)
    keep_identity(root, ONE)
    assert read_identity(root) == (ONE, seal_of(root), None)
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def test_identity_that_is_there_stays(root, links):
    keep_identity(root, ONE)
    keep_identity(root, OTHER)
    assert read_identity(root).identity == ONE


def test_identity_is_replaced(root, tmp_path):
    keep_identity(root, ONE)
    before = seal_of(root)
    replace_identity(root, OTHER)
    assert read_identity(root).identity == OTHER
    assert seal_of(root) != before
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


@pytest.mark.parametrize("former", [("1" * 32, "2" * 32), ("", "2" * 32), ("", "")])
def test_directory_that_is_being_adopted_says_what_it_was(root, former):
    replace_identity(root, ONE, former)
    assert read_identity(root)[:2] == (ONE, seal_of(root))
    assert read_identity(root).former == former
    replace_identity(root, OTHER)
    assert read_identity(root).former is None


def test_nothing_is_left_of_an_identity_that_cannot_be_replaced(root, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", fail_with(errno.EIO))
        with pytest.raises(OSError, match="Input/output error"):
            replace_identity(root, ONE)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def little_room(request):
    """Files cannot become larger than so many bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (request.param, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("little_room", [0, 100], indirect=True, ids="{} bytes".format)
@pytest.mark.parametrize("give", [keep_identity, replace_identity, identity._keep_without_links])
@pytest.mark.usefixtures("little_room")
def test_nothing_is_left_of_an_identity_that_has_no_room(root, tmp_path, give):
    with pytest.raises(OSError, match="File too large"):
        give(root, ONE)
    assert list(tmp_path.iterdir()) == []


def test_other_users_may_read_the_identity(root, tmp_path):
    before = os.umask(0o077)
    try:
        keep_identity(root, ONE)
    finally:
        os.umask(before)
    assert mode_of(tmp_path / FILE) == 0o644


@pytest.mark.parametrize("content", [b"", b"id", b"\xff\xfe", b"mark 1\n", b"x" * 5_000])
def test_file_that_is_not_whole_has_no_identity(root, tmp_path, content):
    (tmp_path / FILE).write_bytes(content)
    assert read_identity(root).identity.id == ""


def test_the_same_content_written_again_has_another_seal(root, tmp_path):
    keep_identity(root, ONE)
    before, content = seal_of(root), (tmp_path / FILE).read_bytes()
    status = (tmp_path / FILE).stat()
    (tmp_path / FILE).unlink()
    (tmp_path / FILE).write_bytes(content)
    os.utime(tmp_path / FILE, ns=(status.st_mtime_ns, status.st_mtime_ns))
    assert seal_of(root) != before


def test_directory_is_followed_wherever_it_goes(tmp_path):
    (tmp_path / "a").mkdir()
    with Root(str(tmp_path / "a")) as root:
        (tmp_path / "a").rename(tmp_path / "b")
        (tmp_path / "a").mkdir()
        keep_identity(root.descriptor, ONE)
    assert [path.name for path in (tmp_path / "b").iterdir()] == [FILE]
    assert list((tmp_path / "a").iterdir()) == []


def test_file_that_nfs_takes_for_missing_is_looked_for_again(root, monkeypatch):
    """It does, until the directory has changed."""
    keep_identity(root, ONE)
    opened, is_stale = os.open, [True]

    def open_stale(name, flags, *args, **kwargs):
        if name == FILE and is_stale:
            raise FileNotFoundError(errno.ENOENT, "No such file or directory")
        if flags & os.O_CREAT:
            is_stale.clear()
        return opened(name, flags, *args, **kwargs)

    monkeypatch.setattr(os, "open", open_stale)
    assert read_identity(root).identity == ONE


def test_file_that_is_missing_where_nothing_can_be_written_is_missing(root, monkeypatch):
    monkeypatch.setattr(identity, "_written", fail_with(errno.EROFS))
    assert read_identity(root) is None


def test_one_of_many_is_kept(root):
    start = threading.Barrier(8)

    def keep():
        start.wait()
        keep_identity(root, new_identity())
        found.append(read_identity(root).identity)

    found = []
    threads = [threading.Thread(target=keep) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1


def test_links_that_replace_files_are_found(root, tmp_path, monkeypatch):
    require_exclusive_links(root, "/media")
    monkeypatch.setattr(os, "link", lambda source, target, **kwargs: None)
    with pytest.raises(ConfigurationError, match="the file system of /media lets a link replace a file"):
        require_exclusive_links(root, "/media")
    assert list(tmp_path.iterdir()) == []


def test_file_system_without_links_needs_none(root, monkeypatch):
    monkeypatch.setattr(os, "link", fail_with(errno.EPERM))
    require_exclusive_links(root, "/media")


def test_error_can_be_pickled():
    error = pickle.loads(pickle.dumps(ReplacedMeanwhileError("gone", "Try again.", "E019")))
    assert (str(error), error.code) == ("gone (Try again.)", "E019")
