"""How contents get into files, and directories come to be."""

import errno
import os
from pathlib import Path

import pytest
from django.core.files import File

from kit.disk import fail_with, mode_of, store


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


def test_directories_get_the_mode_of_the_setting_on_each_level(master, media_root, settings, umask):
    settings.FILE_UPLOAD_DIRECTORY_PERMISSIONS = 0o775

    store(master, "a/b/c")

    assert [mode_of(path) for path in (media_root, media_root / "a", media_root / "a/b")] == [0o775] * 3


def test_directories_get_the_mode_of_the_umask_without_a_setting(master, media_root, umask):
    store(master, "a/b/c")

    assert [mode_of(path) for path in (media_root, media_root / "a", media_root / "a/b")] == [0o755] * 3


def test_directories_that_exist_keep_their_mode(master, media_root, settings):
    settings.FILE_UPLOAD_DIRECTORY_PERMISSIONS = 0o755
    media_root.mkdir(0o700)

    store(master, "a/b")

    assert mode_of(media_root) == 0o700


@pytest.mark.parametrize("mode", [None, 0o755])
def test_directories_inherit_the_group(master, media_root, settings, umask, mode):
    settings.FILE_UPLOAD_DIRECTORY_PERMISSIONS = mode
    media_root.mkdir()
    media_root.chmod(0o2755)

    store(master, "a/b")

    assert mode_of(media_root / "a") == 0o2755


def test_directory_that_somebody_else_makes_at_the_same_time_is_used(master, media_root, settings, monkeypatch):
    settings.FILE_UPLOAD_DIRECTORY_PERMISSIONS = 0o755
    mkdir = Path.mkdir

    def mkdir_second(path, *args):
        mkdir(path, 0o700)
        mkdir(path, *args)

    monkeypatch.setattr(Path, "mkdir", mkdir_second)

    store(master, "a/b")

    assert mode_of(media_root / "a") == 0o700
