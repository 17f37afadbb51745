"""Snapshots: files that are held open while they are sent, and what tells that they have changed."""

import errno
import os

import pytest

from kit.disk import fail_with, store
from resto.master import snapshots
from resto.master.copy import MasterCopy
from resto.master.snapshots import shared_snapshot, sharing_snapshots


# Fingerprints.


def test_snapshot_gives_the_file_and_its_state(master):
    store(master, "a")

    with master.snapshot("a") as snapshot:
        assert snapshot.content() == b"content"
        assert snapshot.fingerprint == master.fingerprint("a")


def test_large_file_is_not_read_at_once(master):
    content = bytes(snapshots.SMALL_SIZE) + b"!"
    store(master, "a", content)

    with master.snapshot("a") as snapshot:
        file = snapshot.content()
        assert file.read() == content
    with pytest.raises(ValueError, match="closed"):
        file.read(1)


def test_file_that_has_become_shorter_is_not_passed_off_as_whole(master, media_root):
    store(master, "a")

    with master.snapshot("a") as snapshot:
        (media_root / "a").write_bytes(b"short")
        assert snapshot.content().read() == b"short"


def test_forgotten_snapshot_closes_its_file(master):
    store(master, "a")
    descriptor = os.open(os.devnull, os.O_RDONLY)
    os.close(descriptor)

    master.snapshot("a")  # gets the lowest free descriptor

    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


@pytest.mark.parametrize("name", ["missing", "missing/a", "file/a", "directory"])
def test_fingerprint_of_what_is_no_file_is_none(master, name):
    store(master, "file")
    store(master, "directory/file")

    assert master.fingerprint(name) is None


def change_time(master, path):
    os.utime(path, ns=(0, 0))


def replace_by_twin(master, path):
    """Same size, same time, another file."""
    status = path.stat()
    temporary = path.parent / "twin"
    temporary.write_bytes(b"CONTENT")
    os.utime(temporary, ns=(status.st_mtime_ns, status.st_mtime_ns))
    temporary.replace(path)


def append(master, path):
    status = path.stat()
    with path.open("ab") as file:
        file.write(b"!")
    os.utime(path, ns=(status.st_mtime_ns, status.st_mtime_ns))


@pytest.mark.parametrize("change", [change_time, replace_by_twin, append])
def test_fingerprint_changes_with_the_file(master, media_root, change):
    store(master, "a")

    with master.snapshot("a") as snapshot:
        change(master, media_root / "a")
        assert master.fingerprint("a") != snapshot.fingerprint


@pytest.mark.parametrize("name", ["a", "a/b"])
def test_missing_location_is_no_deletion(master, media_root, name):
    with pytest.raises(FileNotFoundError, match="media is missing; is it mounted"):
        master.fingerprint(name)


def test_unreadable_file_is_no_deletion(master, monkeypatch):
    store(master, "a")
    monkeypatch.setattr(os, "open", fail_with(errno.EACCES))

    with pytest.raises(PermissionError):
        master.snapshot("a")


# What several replications share.


def test_snapshot_is_shared_as_long_as_somebody_holds_it(master, media_root):
    store(master, "a")
    with sharing_snapshots():
        first, second = shared_snapshot(master, "a")[0], shared_snapshot(master, "a")[0]
        (media_root / "a").unlink()
        third = shared_snapshot(master, "a")[0]
    assert first is second is third
    first.close()
    second.close()
    assert third.content() == b"content"
    third.close()
    with pytest.raises(ValueError, match="the snapshot is closed"):
        third.read(1, 0)


def test_snapshots_of_different_names_and_masters_are_not_shared(master, tmp_path):
    other = MasterCopy(tmp_path / "other")
    for where in (master, other):
        store(where, "a", b"a")
        store(where, "b", b"b")
    with sharing_snapshots():
        snapshots = [shared_snapshot(where, name)[0] for where in (master, other) for name in ("a", "b")]
        assert len({snapshot.fingerprint for snapshot in snapshots}) == 4
        assert shared_snapshot(master, "missing")[0] is None
    for snapshot in snapshots:
        snapshot.close()


def test_nothing_is_shared_afterwards(master):
    store(master, "a")
    with sharing_snapshots(), shared_snapshot(master, "a")[0]:
        pass
    with shared_snapshot(master, "a")[0] as one, shared_snapshot(master, "a")[0] as other:
        assert one is not other


def test_large_snapshot_is_read_by_each_from_a_position_of_its_own(master):
    content = os.urandom(snapshots.SMALL_SIZE + 1)
    store(master, "a", content)
    with master.snapshot("a") as snapshot:
        one, other = snapshot.content(), snapshot.content()
        assert one.read(100) == content[:100]
        assert other.read() == content
        assert one.tell() == 100
        assert one.seek(-1, os.SEEK_CUR) == 99
        assert one.read(1) == content[99:100]
        assert one.seek(0, os.SEEK_END) == len(content)
        assert one.read(1) == b""
