"""Files that are brought back, under their temporary names."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from resto.exceptions import ConfigurationError
from resto.master.identity import ReplacedMeanwhileError
from resto.master.restoring import Whole, begin_restored, give_up_restored, publish_restored
from resto.names import is_temporary, restored_name


MOMENT = datetime(2020, 5, 17, 12, tzinfo=UTC)


def begin(master, name):
    return begin_restored(master, [name])[name]


def publish(master, name, descriptor, modified=None):
    return publish_restored(master, [Whole(name, descriptor, modified)])[name]


def bring(master, name, content=b"content"):
    descriptor = begin(master, name)
    os.write(descriptor, content)
    return publish(master, name, descriptor, MOMENT)


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
    assert begin(master, "a") is None
    assert [path.name for path in media_root.iterdir()] == ["a"]


@pytest.mark.usefixtures("links")
def test_nothing_is_replaced(master, media_root):
    descriptor = begin(master, "a")
    (media_root / "a").write_bytes(b"here")
    assert publish(master, "a", descriptor) == "it was saved meanwhile"
    assert (media_root / "a").read_bytes() == b"here"
    assert [path.name for path in media_root.iterdir()] == ["a"]


@pytest.mark.usefixtures("links")
def test_nothing_comes_back_that_was_deleted(master, media_root):
    descriptor = begin(master, "a")
    master.delete("a")
    assert publish(master, "a", descriptor) == "it was deleted meanwhile"
    assert [*media_root.iterdir()] == []


def test_published_file_that_a_killed_restore_has_two_names_for_is_not_written_to(master, media_root):
    (media_root / "a").write_bytes(b"content")
    os.link(media_root / "a", media_root / restored_name("a"))
    assert begin(master, "a") is None
    assert (media_root / "a").read_bytes() == b"content"


def test_given_up_it_leaves_nothing(master, media_root):
    os.close(begin(master, "a"))
    give_up_restored(master, "a")
    assert [*media_root.iterdir()] == []


def test_one_name_of_several_may_fail(master, media_root):
    (media_root / restored_name("d/a")).mkdir(parents=True)
    (media_root / "d/b").write_bytes(b"here")
    begun = begin_restored(master, ["d/a", "d/b", "d/c"])
    assert isinstance(begun["d/a"], OSError)
    assert begun["d/b"] is None
    assert publish(master, "d/c", begun["d/c"]) == ""


@pytest.mark.usefixtures("links")
def test_file_that_cannot_be_closed_leaves_the_others_alone(master, media_root):
    begun = begin_restored(master, ["a", "b"])
    os.close(begun["a"])
    published = publish_restored(master, [Whole(name, begun[name], None) for name in ("a", "b")])
    assert isinstance(published["a"], OSError)
    assert published["b"] == ""


def test_nothing_stays_open_where_the_directory_proves_to_be_another_one(master, media_root, monkeypatch):
    def prove(root, name, proof, *, is_save=False):
        proved.append(name)
        if len(proved) == 2:
            raise ConfigurationError("it is another one")

    proved = []
    monkeypatch.setattr(master.proven, "prove", prove)
    opened = Path("/proc/self/fd")
    before = len([*opened.iterdir()])
    with pytest.raises(ReplacedMeanwhileError):
        begin_restored(master, ["a", "b"])
    assert len([*opened.iterdir()]) == before
