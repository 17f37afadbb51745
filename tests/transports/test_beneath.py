"""Directories that are held open, and what is below them."""

import os
import stat
from contextlib import suppress
from pathlib import Path

import pytest

from resto.transports.beneath import Beneath, plain_status


@pytest.fixture
def beneath(tmp_path):
    (tmp_path / "root" / "d" / "e").mkdir(parents=True)
    (tmp_path / "root" / "d" / "a.txt").write_bytes(b"content")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "a.txt").write_bytes(b"outside")
    with Beneath(str(tmp_path / "root")) as found:
        yield found


def test_missing_directory_is_told(tmp_path):
    with pytest.raises(FileNotFoundError):
        Beneath(str(tmp_path / "missing"))


def test_what_is_below_goes_through_the_descriptor(beneath, tmp_path):
    """A directory that takes the place of the open one is not looked at."""
    (tmp_path / "root").rename(tmp_path / "moved")
    (tmp_path / "root").mkdir()
    assert beneath.status("d/a.txt").st_size == 7
    with beneath.directory("new/f", makes=True):
        pass
    assert (tmp_path / "moved" / "new" / "f").is_dir()


def test_what_is_above_is_where_the_directory_really_is(beneath, tmp_path):
    (tmp_path / "outside" / "link").symlink_to(tmp_path / "root")
    with Beneath(str(tmp_path / "outside" / "link")) as linked:
        assert [*linked.above()] == [*beneath.above()] == [place.stat() for place in (tmp_path / "root" / "d").parents]
        assert linked.has_above(1, "outside")
        assert not linked.has_above(0, "outside")


@pytest.mark.parametrize("name", ["missing", "missing/a.txt", "d/a.txt/b", "x" * 300, "x" * 300 + "/a"])
def test_what_is_not_there_is_none(beneath, name):
    assert beneath.status(name) is None
    assert beneath.open(name) is None


def test_directory_is_no_file(beneath):
    assert stat.S_ISDIR(beneath.status("d/e").st_mode)
    assert beneath.open("d/e") is None


def test_file_is_opened_for_reading(beneath):
    descriptor = beneath.open("d/a.txt")
    try:
        assert os.read(descriptor, 100) == b"content"
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("place", ["link", "d/link", "d/e/link"])
def test_no_link_is_followed(beneath, tmp_path, place):
    (tmp_path / "root" / place).symlink_to(tmp_path / "outside")
    for call in (
        lambda: beneath.status(f"{place}/a.txt"),
        lambda: beneath.open(place),
        lambda: beneath.directory(place).__enter__(),
        lambda: beneath.directory(f"{place}/new", makes=True).__enter__(),
    ):
        with pytest.raises(OSError, match="it is a link"):
            call()
    assert [path.name for path in (tmp_path / "outside").iterdir()] == ["a.txt"]


@pytest.mark.parametrize("part", ["", ".", "..", "a/b", "a\0"])
def test_part_is_one_of_a_path(beneath, part):
    with pytest.raises(OSError, match="leads out"):
        plain_status(part, beneath.descriptor)


def test_no_descriptor_is_left_open(beneath, tmp_path):
    (tmp_path / "root" / "link").symlink_to(tmp_path)
    before = len([*Path("/proc/self/fd").iterdir()])
    for name in ("d/e", "missing/a", "link/outside", "d/a.txt/b", "../outside"):
        with suppress(OSError), beneath.directory(name):
            pass
    assert len([*Path("/proc/self/fd").iterdir()]) == before
