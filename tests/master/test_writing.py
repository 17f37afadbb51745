"""How contents get into files, and directories come to be."""

import errno
import os

import pytest
from django.core.files import File

from kit.disk import fail_with


@pytest.fixture
def plain_file(tmp_path):
    """A file of the operating system, not at its beginning."""
    path = tmp_path / "file"
    path.write_bytes(b"content")
    with path.open("rb") as file:
        file.seek(3)
        yield File(file)


def test_plain_file_is_copied_by_the_system(master, media_root, plain_file, monkeypatch):
    monkeypatch.setattr(File, "chunks", None)

    master.store("a", plain_file, None)

    assert (media_root / "a").read_bytes() == b"content"


def test_plain_file_is_read_if_the_system_cannot_copy_it(master, media_root, plain_file, monkeypatch):
    monkeypatch.setattr(os, "copy_file_range", fail_with(errno.EXDEV))

    master.store("a", plain_file, None)

    assert (media_root / "a").read_bytes() == b"content"


def test_full_disk_is_told_once(master, media_root, plain_file, monkeypatch):
    monkeypatch.setattr(os, "copy_file_range", fail_with(errno.ENOSPC))

    with pytest.raises(OSError, match="No space left"):
        master.store("a", plain_file, None)

    assert list(media_root.iterdir()) == []
