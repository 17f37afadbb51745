"""Files that are brought back, under their temporary names."""

import os
from datetime import UTC, datetime

import pytest

from resto.master.restoring import begin_restored, give_up_restored, publish_restored
from resto.names import is_temporary, restored_name


MOMENT = datetime(2020, 5, 17, 12, tzinfo=UTC)


def bring(master, name, content=b"content"):
    descriptor = begin_restored(master, name)
    os.write(descriptor, content)
    return publish_restored(master, name, descriptor, MOMENT)


@pytest.fixture(autouse=True)
def _root(media_root):
    media_root.mkdir()


@pytest.mark.usefixtures("links")
def test_file_appears_when_it_is_whole(master, media_root):
    assert bring(master, "d/e/a") == ""
    assert (media_root / "d/e/a").read_bytes() == b"content"
    assert (media_root / "d/e/a").stat().st_mtime == MOMENT.timestamp()
    assert [path.name for path in (media_root / "d/e").iterdir()] == ["a"]


def test_temporary_name_follows_from_the_name():
    assert restored_name("d/a") == restored_name("d/a") != restored_name("d/b")
    assert restored_name("d/a").startswith("d/.resto-restore-")
    assert is_temporary(restored_name("a"))


def test_nothing_begins_where_something_is(master, media_root):
    (media_root / "a").write_bytes(b"here")
    assert begin_restored(master, "a") is None
    assert [path.name for path in media_root.iterdir()] == ["a"]


@pytest.mark.usefixtures("links")
def test_nothing_is_replaced(master, media_root):
    descriptor = begin_restored(master, "a")
    (media_root / "a").write_bytes(b"here")
    assert publish_restored(master, "a", descriptor, None) == "it was saved meanwhile"
    assert (media_root / "a").read_bytes() == b"here"
    assert [path.name for path in media_root.iterdir()] == ["a"]


@pytest.mark.usefixtures("links")
def test_nothing_comes_back_that_was_deleted(master, media_root):
    descriptor = begin_restored(master, "a")
    master.delete("a")
    assert publish_restored(master, "a", descriptor, None) == "it was deleted meanwhile"
    assert [*media_root.iterdir()] == []


def test_published_file_that_a_killed_restore_has_two_names_for_is_not_written_to(master, media_root):
    (media_root / "a").write_bytes(b"content")
    os.link(media_root / "a", media_root / restored_name("a"))
    assert begin_restored(master, "a") is None
    assert (media_root / "a").read_bytes() == b"content"


def test_given_up_it_leaves_nothing(master, media_root):
    os.close(begin_restored(master, "a"))
    give_up_restored(master, "a")
    assert [*media_root.iterdir()] == []
