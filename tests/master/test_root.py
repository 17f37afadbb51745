"""The directory of the master copy, as it is written to through its descriptor."""

import errno
import os

import pytest

from kit.disk import fail_with, mode_of, store
from resto.master.root import Root


@pytest.mark.parametrize(("was", "becomes"), [(0o660, 0o600), (0o664, 0o644), (0o700, 0o700)])
def test_group_that_cannot_be_kept_may_do_what_everybody_may(tmp_path, monkeypatch, was, becomes):
    (tmp_path / "new").write_bytes(b"")
    of_others = os.stat_result((was, 0, 0, 1, os.getuid() + 1, os.getgid() + 1, 0, 0, 0, 0))
    monkeypatch.setattr(os, "chown", fail_with(errno.EPERM))

    with Root(str(tmp_path)) as root:
        root.keep_permissions("new", of_others)

    assert mode_of(tmp_path / "new") == becomes


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
    mkdir = os.mkdir

    def mkdir_second(name, mode, *, dir_fd):
        mkdir(name, 0o700, dir_fd=dir_fd)
        mkdir(name, mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "mkdir", mkdir_second)

    store(master, "a/b")

    assert mode_of(media_root / "a") == 0o700
