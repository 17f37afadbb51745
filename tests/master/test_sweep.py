"""Temporary files that killed processes have left are removed, but not those in use."""

import errno
import os
import signal
import subprocess
import sys

import pytest

from kit.disk import fail_with, store
from resto.master import sweep
from resto.master.root import Root
from resto.master.sweep import ABANDONED_AFTER, sweep_all
from resto.names import restored_name, temporary_name


KILLED_WRITER = """
import sys
from django.conf import settings
from django.core.exceptions import SuspiciousFileOperation
from django.core.files import File
settings.configure(MEDIA_ROOT=sys.argv[1])
from resto.master.copy import MasterCopy

class Endless(File):
    def chunks(self, chunk_size=None):
        yield b"some"
        print("writing", flush=True)
        sys.stdin.read()

MasterCopy().store("a", Endless(None, "a"), None)
"""


@pytest.fixture
def killed_writer(media_root):
    """The directory of a writer that was killed in the middle of a file."""
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED_WRITER, str(media_root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with process:
        process.stdout.readline()
        os.kill(process.pid, signal.SIGKILL)
    return media_root


def test_killed_writer_leaves_a_temporary_file_that_is_not_listed(killed_writer, master):
    assert [path.name.startswith(".resto-") for path in killed_writer.iterdir()] == [True]
    assert master.listdir("") == ([], [])
    assert not master.exists("a")


def test_abandoned_temporary_file_is_swept_after_a_day(killed_writer, master, later):
    later(ABANDONED_AFTER + 60)

    store(master, "b")

    assert [path.name for path in killed_writer.iterdir()] == ["b"]


def test_temporary_file_that_may_be_in_use_is_not_swept(killed_writer, master, later):
    later(ABANDONED_AFTER - 60)

    store(master, "b")

    assert len(list(killed_writer.iterdir())) == 2


def test_moved_upload_with_an_old_date_is_not_swept(master, media_root):
    """Another process, which writes there for the first time, must not take it for abandoned."""
    media_root.mkdir()
    temporary = media_root / temporary_name("")
    temporary.write_bytes(b"")
    os.utime(temporary, (0, 0))

    store(master, "a")

    assert temporary.exists()


@pytest.mark.parametrize("name", [".resto-note.txt", ".resto-0123456789abcdef.txt", ".resto-"])
def test_what_only_begins_as_a_temporary_name_is_not_swept(master, media_root, later, name):
    """It may be a file of the site."""
    media_root.mkdir()
    (media_root / name).write_bytes(b"")
    left = [media_root / temporary_name(""), media_root / restored_name("a")]
    for path in left:
        path.write_bytes(b"half")
    later(ABANDONED_AFTER + 60)

    store(master, "a")

    assert (media_root / name).exists()
    assert not any(path.exists() for path in left)


def test_a_directory_is_swept_once(master, media_root, monkeypatch):
    store(master, "a")
    scanned = []
    with monkeypatch.context() as patch:  # pytest needs it to remove the directory
        patch.setattr(os, "scandir", lambda path: scanned.append(path))
        store(master, "b")

    assert scanned == []


def test_sweeping_remembers_a_bounded_number_of_directories(master, monkeypatch):
    monkeypatch.setattr(sweep, "_MAX_SWEPT", 2)
    for name in ("a/x", "b/x", "c/x"):
        store(master, name)

    assert len(master._sweep._swept) == 1


@pytest.mark.parametrize("attribute", ["scandir", "unlink"])
def test_sweeping_that_fails_does_not_keep_anybody_from_saving(killed_writer, master, monkeypatch, later, attribute):
    later(ABANDONED_AFTER + 60)
    with monkeypatch.context() as patch:
        patch.setattr(os, attribute, fail_with(errno.EACCES))
        beside = master.open_beside("b", "wb")
    beside.file.close()
    master.discard_beside(beside)

    assert len(list(killed_writer.iterdir())) == 1


def test_all_directories_are_swept_but_links_are_not_followed(master, media_root, later, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    for directory in (media_root, media_root / "a" / "b", elsewhere):
        directory.mkdir(parents=True, exist_ok=True)
        (directory / ".resto-0123456789abcdef").write_bytes(b"half")
        (directory / "file").write_bytes(b"whole")
    (media_root / "a" / "link").symlink_to(elsewhere)
    checked = []
    with Root(str(media_root)) as root:
        sweep_all(root, lambda: checked.append(1))
        assert (media_root / ".resto-0123456789abcdef").exists()
        later(ABANDONED_AFTER + 60)
        sweep_all(root, lambda: checked.append(1))
    assert len(checked) == 6
    assert [path.name for path in sorted(media_root.rglob("*"))] == ["a", "b", "file", "link", "file"]
    assert len(list(elsewhere.iterdir())) == 2


def test_sweeping_all_goes_on_where_a_directory_cannot_be_read(media_root, monkeypatch):
    media_root.mkdir()
    with monkeypatch.context() as patch, Root(str(media_root)) as root:
        patch.setattr(os, "scandir", fail_with(errno.EACCES))
        sweep_all(root, lambda: None)
