"""What a directory of the master copy holds."""

import os

import pytest

from kit.disk import store
from resto.transports import Directory


# What a directory holds.


def test_browse_tells_files_with_sizes_and_directories(master, media_root):
    store(master, "a", b"12345")
    store(master, "d/b", b"")
    (media_root / ".resto-0123").write_bytes(b"unfinished")
    assert master.browse("") == Directory({"d"}, {"a": 5})
    assert master.browse("d") == Directory(set(), {"b": 0})


@pytest.mark.parametrize("name", ["missing", "a", "a/b"])
def test_a_directory_that_is_missing_holds_nothing(master, name):
    store(master, "a")
    assert master.browse(name) == Directory()


def test_browse_needs_the_directory_of_the_master_copy(master):
    with pytest.raises(FileNotFoundError, match="is it mounted"):
        master.browse("d")


def test_what_can_be_no_file_of_the_master_copy_has_a_reason(master, media_root):
    store(master, "d/a")
    (media_root / "d" / "loop").symlink_to("..")
    (media_root / "d" / "broken").symlink_to("nowhere")
    (media_root / "d" / "other").symlink_to("a")
    (media_root / "d" / "new\nline").touch()
    os.mkfifo(media_root / "d" / "pipe")
    found = master.browse("d")
    assert found.files == {"a": 7, "other": 7}
    assert found.others.keys() == {"loop", "broken", "new\nline", "pipe"}
    assert found.others["loop"] == "it links to a directory above it"


def test_an_empty_master_copy_is_refused(master, media_root):
    media_root.mkdir()
    with pytest.raises(FileNotFoundError, match="is empty"):
        master.require_files()
    (media_root / "d").mkdir()
    master.require_files()
