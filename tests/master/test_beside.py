"""Files that are written beside the one whose place they are to take."""

import errno
from pathlib import Path

import pytest

from kit.disk import fail_with
from resto.master.copy import MasterCopy


@pytest.fixture
def master(media_root):
    media_root.mkdir()
    return MasterCopy()


@pytest.fixture
def publish(master):
    """Close and publish what was written; return what became of it."""

    def publish(beside):
        beside.file.close()
        try:
            return master.publish_beside("a", beside)
        finally:
            master.discard_beside(beside)

    return publish


def written(master, mode, content):
    beside = master.open_beside("a", mode)
    beside.file.write(content)
    return beside


@pytest.mark.parametrize("mode", ["ab", "a+b"])
@pytest.mark.parametrize("before", [None, b"", b"before", b"x" * 600_000], ids=["none", "empty", "small", "large"])
def test_all_that_several_append_is_there(master, media_root, publish, mode, before):
    if before is not None:
        (media_root / "a").write_bytes(before)
    appended = [written(master, mode, content) for content in (b"1", b"2", b"3")]
    assert [publish(beside) for beside in appended] == ["published"] * 3
    assert {path.name: path.read_bytes() for path in media_root.iterdir()} == {"a": (before or b"") + b"123"}


def test_appending_follows_what_is_appended_by_path(master, media_root, publish):
    (media_root / "a").write_bytes(b"before")
    beside = written(master, "ab", b"new")
    with (media_root / "a").open("ab") as file:
        file.write(b"theirs")
    assert publish(beside) == "published"
    assert (media_root / "a").read_bytes() == b"beforetheirsnew"


@pytest.mark.parametrize("theirs", [b"other", b"bef", b""])
def test_nothing_is_appended_to_another_file(master, media_root, publish, theirs):
    (media_root / "a").write_bytes(b"before")
    beside = written(master, "ab", b"new")
    (media_root / "a").write_bytes(theirs)
    assert publish(beside) == "replaced"
    assert {path.name: path.read_bytes() for path in media_root.iterdir()} == {"a": theirs}


def test_what_was_cut_off_while_it_was_open_for_appending_is_not_appended(master, media_root, publish):
    (media_root / "a").write_bytes(b"before")
    beside = written(master, "ab", b"")
    beside.file.truncate(2)
    beside.file.write(b"something new")
    publish(written(master, "ab", b"theirs"))
    assert publish(beside) == "replaced"
    assert (media_root / "a").read_bytes() == b"beforetheirs"


def test_file_that_became_a_directory_is_deleted(master, media_root, publish):
    (media_root / "a").write_bytes(b"before")
    beside = written(master, "r+b", b"new")
    (media_root / "a").unlink()
    (media_root / "a").mkdir()
    assert publish(beside) == "deleted"


def test_writing_the_same_again_is_no_loss(master, media_root, publish):
    (media_root / "a").write_bytes(b"before")
    beside = written(master, "r+b", b"bef")
    (media_root / "a").unlink()
    (media_root / "a").write_bytes(b"theirs")
    assert publish(beside) == "unchanged"


def test_emptying_a_file_is_a_change(master, media_root, publish):
    (media_root / "a").write_bytes(b"before")
    beside = written(master, "wb", b"")
    (media_root / "a").write_bytes(b"theirs")
    assert publish(beside) == "replaced"


def test_file_keeps_its_permissions_where_others_have_appended(master, media_root, publish, settings):
    settings.FILE_UPLOAD_PERMISSIONS = None
    (media_root / "a").write_bytes(b"")
    (media_root / "a").chmod(0o600)
    appended = [written(master, "ab", content) for content in (b"1", b"2")]
    assert [publish(beside) for beside in appended] == ["published"] * 2
    assert (media_root / "a").stat().st_mode & 0o777 == 0o600


def test_nothing_is_left_of_what_cannot_be_appended(master, media_root, publish, monkeypatch):
    appended = [written(master, "ab", content) for content in (b"1", b"2")]
    publish(appended[0])
    monkeypatch.setattr("shutil.copyfileobj", fail_with(errno.ENOSPC))
    with pytest.raises(OSError, match="No space left"):
        publish(appended[1])
    assert {path.name: path.read_bytes() for path in media_root.iterdir()} == {"a": b"1"}


def test_appending_ends_where_others_are_always_faster(master, media_root, publish, monkeypatch):
    beside = written(master, "ab", b"new")
    (media_root / "a").write_bytes(b"")
    replace = MasterCopy._create_temporary

    def create(self, *args, **kwargs):
        with (media_root / "a").open("ab") as file:
            file.write(b".")
        return replace(self, *args, **kwargs)

    monkeypatch.setattr(MasterCopy, "_create_temporary", create)
    assert publish(beside) == "replaced"
    assert b"new" not in (media_root / "a").read_bytes()


def open_files():
    return len(list(Path("/proc/self/fd").iterdir()))


def test_no_file_stays_open(master, media_root, publish):
    (media_root / "a").write_bytes(b"before")
    before = open_files()
    for mode in ("r+b", "ab", "wb"):
        other = written(master, "ab", b"theirs")
        mine = written(master, mode, b"mine")
        publish(other)
        publish(mine)
        publish(written(master, mode, b"mine"))
        with pytest.raises(FileExistsError):
            master.open_beside("a", "xb")
    assert open_files() == before
