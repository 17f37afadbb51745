"""Files of the master copy that a storage has opened."""

import errno
import gc
import io
import os
import stat
import subprocess
import sys
from contextlib import closing, nullcontext, suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, storages
from hypothesis import given
from hypothesis import strategies as st

from kit.disk import fail_with
from resto.master.copy import MasterCopy
from resto.models import Pending
from resto.record.changes import Change
from resto.storage.opened import MasterFile, Writing


class Hosts:
    """A storage that records nothing, and whose hosts always follow."""

    hosts = ()

    def __init__(self, followed):
        self.followed = followed

    def open_lease(self, name, hosts, *, present):
        return None

    def execute(self, func, name):
        self.followed.append(name)
        return []


@pytest.fixture
def master(media_root):
    media_root.mkdir()
    return MasterCopy()


@pytest.fixture
def published():
    return []


@pytest.fixture
def open_file(master, published):
    def start(name, mode):
        return Writing(master, name, mode, Change(Hosts(published), present=True), None)

    return lambda name, mode: MasterFile(master.path(name), mode, partial(start, name))


@pytest.mark.parametrize(
    ("mode", "after"),
    [
        ("wb", b"new"),
        ("w+b", b"new"),
        ("w", b"new"),
        ("ab", b"beforenew"),
        ("a", b"beforenew"),
        ("a+b", b"beforenew"),
        ("r+b", b"newore"),
        ("r+", b"newore"),
    ],
)
def test_master_file_is_written_in_each_mode(open_file, media_root, published, mode, after):
    (media_root / "a").write_bytes(b"before")

    with open_file("a", mode) as file:
        file.write(b"new" if "b" in mode else "new")
        file.flush()
        assert (media_root / "a").read_bytes() == b"before"
        assert published == []

    assert {path.name: path.read_bytes() for path in media_root.iterdir()} == {"a": after}
    assert published == ["a"]


@pytest.mark.parametrize("mode", ["wb", "w+b", "w", "ab", "a", "xb", "x", "x+b"])
def test_master_file_makes_a_new_file(open_file, media_root, mode):
    with open_file("a/b", mode) as file:
        file.write(b"new" if "b" in mode else "new")
        assert not (media_root / "a" / "b").exists()

    assert (media_root / "a" / "b").read_bytes() == b"new"


def test_master_file_for_updating_must_exist(open_file, media_root):
    with pytest.raises(FileNotFoundError, match="No such file or directory: 'a'"):
        open_file("a", "r+b")
    assert list(media_root.iterdir()) == []


def test_master_file_for_exclusive_creation_must_not_exist(open_file, media_root):
    (media_root / "a").write_bytes(b"before")

    with pytest.raises(FileExistsError, match="File exists: 'a'"):
        open_file("a", "xb")


def test_master_file_for_exclusive_creation_does_not_replace_what_came_since(open_file, media_root, published):
    file = open_file("a", "xb")
    (media_root / "a").write_bytes(b"theirs")

    with pytest.raises(FileExistsError, match="'a' was saved by somebody else while it was open"):
        file.close()

    assert {path.name: path.read_bytes() for path in media_root.iterdir()} == {"a": b"theirs"}
    assert (published, file.closed) == ([], True)


@pytest.mark.parametrize("mode", ["wb", "ab", "r+b", "xb"])
def test_master_file_is_no_directory(open_file, media_root, mode):
    (media_root / "a").mkdir()

    with pytest.raises(IsADirectoryError, match="/a'"):
        open_file("a", mode)
    assert [path.name for path in media_root.iterdir()] == ["a"]


def test_nothing_is_left_of_a_master_file_in_an_impossible_mode(open_file, media_root):
    with pytest.raises(ValueError, match="mode"):
        open_file("a", "wr")
    assert list(media_root.iterdir()) == []


def test_nothing_is_left_of_a_master_file_that_cannot_be_read(open_file, media_root, monkeypatch):
    (media_root / "a").write_bytes(b"before")

    monkeypatch.setattr("shutil.copyfileobj", fail_with(errno.EIO))
    with pytest.raises(OSError, match="Input/output error"):
        open_file("a", "r+b")
    assert [path.name for path in media_root.iterdir()] == ["a"]


def test_nothing_is_left_of_a_master_file_that_cannot_be_published(open_file, media_root, published, monkeypatch):
    (media_root / "a").write_bytes(b"before")
    file = open_file("a", "wb")
    file.write(b"new")

    monkeypatch.setattr(os, "replace", fail_with(errno.EIO))
    with pytest.raises(OSError, match="Input/output error"):
        file.close()
    assert {path.name: path.read_bytes() for path in media_root.iterdir()} == {"a": b"before"}
    assert published == []


def test_master_file_is_published_once(open_file, published):
    file = open_file("a", "wb")
    file.close()
    file.close()

    assert published == ["a"]


def test_master_file_rewinds_when_it_is_opened_again(open_file):
    with open_file("a", "w+b") as file:
        file.write(b"content")

        assert file.open().read() == b"content"


def test_master_file_has_the_mode_of_the_setting(open_file, media_root, settings):
    settings.FILE_UPLOAD_PERMISSIONS = 0o604

    open_file("a", "wb").close()

    assert (media_root / "a").stat().st_mode & 0o777 == 0o604


@pytest.mark.parametrize("setting", [None, 0o600, 0o644])
@pytest.mark.parametrize("was", [0o600, 0o640, 0o644])
@pytest.mark.parametrize("mode", ["ab", "r+b", "wb"])
def test_nobody_reads_a_file_meanwhile_who_might_not_read_it_before(
    open_file, media_root, settings, mode, was, setting
):
    settings.FILE_UPLOAD_PERMISSIONS = setting
    (media_root / "a").write_bytes(b"salary list")
    (media_root / "a").chmod(was)
    file = open_file("a", mode)
    (temporary,) = media_root.glob(".resto-*")
    readers, during = 0o444, temporary.stat().st_mode
    file.close()
    final = (media_root / "a").stat().st_mode
    assert during & readers & ~was == 0
    assert during & readers & ~final == 0
    assert final & 0o777 == was


def test_file_that_is_made_private_while_it_is_open_stays_so(open_file, media_root):
    (media_root / "a").write_bytes(b"salary list")
    with open_file("a", "ab") as file:
        file.write(b", and more")
        (media_root / "a").chmod(0o600)

    assert (media_root / "a").stat().st_mode & 0o777 == 0o600


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_file_that_is_written_keeps_its_owner_and_group(open_file, media_root):
    (media_root / "a").write_bytes(b"")
    os.chown(media_root / "a", 1234, 4321)

    open_file("a", "ab").close()
    with open_file("a", "ab") as file:
        file.write(b"more")

    status = (media_root / "a").stat()
    assert (status.st_uid, status.st_gid) == (1234, 4321)


# A file of the master copy that is not written to its end.


@pytest.fixture
def written(media_root):
    """Open the file "a", which holds "old", for writing; and what its closing calls."""
    media_root.mkdir()
    (media_root / "a").write_bytes(b"old")
    calls, master = [], MasterCopy()

    def start(mode):
        return Writing(master, "a", mode, Change(Hosts(calls), present=True), None)

    return MasterFile(master.path("a"), "wb", start), calls


class FullDisk(io.BytesIO):
    def write(self, data):
        raise OSError(28, "No space left on device")

    def writelines(self, lines):
        raise OSError(28, "No space left on device")

    def flush(self):
        raise OSError(28, "No space left on device")


def assert_unchanged(media_root, calls):
    assert calls == []
    assert [(path.name, path.read_bytes()) for path in media_root.iterdir()] == [("a", b"old")]


def test_exception_in_a_with_block_leaves_the_file_as_it_was(written, media_root):
    file, calls = written
    file.write(b"half")
    with pytest.raises(ZeroDivisionError), file:
        raise ZeroDivisionError
    assert_unchanged(media_root, calls)


@pytest.mark.parametrize(
    "write",
    [lambda file: file.write(b"x"), lambda file: file.writelines([b"x"]), lambda file: file.flush()],
    ids=["write", "writelines", "flush"],
)
def test_write_that_fails_leaves_the_file_as_it_was(written, media_root, write):
    file, calls = written
    file.file.close()
    file.file = FullDisk()
    with pytest.raises(OSError, match="No space left"):
        write(file)
    file.close()
    assert_unchanged(media_root, calls)


def test_pieces_that_are_written_are_published(written, media_root):
    file, calls = written
    with file:
        file.writelines([b"n", b"e"])
        assert file.write(b"w") == 1
        file.flush()
    assert calls == ["a"]
    assert (media_root / "a").read_bytes() == b"new"


# What is no file.


@pytest.fixture(params=["pipe", "device", "link to a device"])
def odd(request, media_root):
    """Something of the name "a" that is neither a file nor a directory."""
    path = media_root / "a"
    if request.param == "pipe":
        os.mkfifo(path)
    elif request.param == "link to a device":
        path.symlink_to("/dev/zero")
    elif os.geteuid() == 0:
        os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(1, 5))
    else:
        pytest.skip("only root may make devices")
    return path


@pytest.mark.parametrize("mode", ["rb", "r", "r+b", "ab", "wb", "xb"])
def test_what_is_neither_a_file_nor_a_directory_is_not_opened(open_file, odd, media_root, mode):
    with pytest.raises(OSError, match="a pipe or a device"):
        open_file("a", mode)
    assert [path.name for path in media_root.iterdir()] == ["a"]


# How writing may end. Each is called with a file that is open for writing, and ends with an exception.


class BrokenError(Exception):
    pass


def in_a_with_block(file):
    with file:
        file.write(b"half")
        raise BrokenError


def in_closing(file):
    with closing(file):
        file.write(b"half")
        raise BrokenError


def in_a_text_wrapper(file):
    with io.TextIOWrapper(file) as text:
        text.write("half")
        raise BrokenError


def in_a_buffer(file):
    with io.BufferedWriter(file) as buffer:
        buffer.write(b"half")
        raise BrokenError


def in_a_finally_clause(file):
    try:
        file.write(b"half")
        raise BrokenError
    finally:
        file.close()


def in_an_except_clause(file):
    try:
        file.write(b"half")
        raise BrokenError
    except BrokenError:
        file.close()
        raise


def with_nobody_who_closes(file):
    file.write(b"half")
    raise BrokenError


def with_nobody_who_closes_the_wrapper(file):
    io.TextIOWrapper(file).write("half")
    raise BrokenError


def opened_again(file):
    try:
        file.write(b"half")
        raise BrokenError
    finally:
        file.open("rb").close()


BROKEN = [
    in_a_with_block,
    in_closing,
    in_a_text_wrapper,
    in_a_buffer,
    in_a_finally_clause,
    in_an_except_clause,
    with_nobody_who_closes,
    with_nobody_who_closes_the_wrapper,
    opened_again,
]


@pytest.mark.parametrize("end", BROKEN)
def test_what_an_exception_has_cut_off_is_not_published(open_file, media_root, published, caplog, end):
    (media_root / "a").write_bytes(b"whole")
    with suppress(BrokenError):
        end(open_file("a", "wb"))
    gc.collect()  # the traceback holds the file
    assert {path.name: path.read_bytes() for path in media_root.iterdir()} == {"a": b"whole"}
    assert published == []
    if end is not in_a_with_block:  # of which the exception itself tells
        assert "stays as it was" in caplog.text


@pytest.mark.parametrize("end", [io.TextIOWrapper, io.BufferedWriter, lambda file: file])
def test_what_nobody_closes_is_not_published(open_file, media_root, published, caplog, end):
    file = end(open_file("a", "wb"))
    file.write("half" if end is io.TextIOWrapper else b"half")
    del file
    gc.collect()
    assert (list(media_root.iterdir()), published) == ([], [])
    assert "it was never closed, and what was written is lost" in caplog.text


def test_what_is_detached_from_the_file_below_is_lost_and_said_so(open_file, media_root, published, caplog):
    file = open_file("a", "wb")
    file.write(b"whole")
    file.file.detach().close()
    del file
    gc.collect()
    assert (list(media_root.iterdir()), published) == ([], [])
    assert "it was never closed, and what was written is lost" in caplog.text


@pytest.mark.parametrize("wrap", [io.TextIOWrapper, io.BufferedWriter, closing])
def test_what_is_closed_by_a_wrapper_is_published(open_file, media_root, published, caplog, wrap):
    with wrap(open_file("a", "wb")) as file:
        file.write("whole" if wrap is io.TextIOWrapper else b"whole")
    assert (media_root / "a").read_bytes() == b"whole"
    assert (published, caplog.text) == (["a"], "")


def test_file_may_be_written_because_of_an_exception(open_file, media_root, published):
    """It was there when the file was opened."""
    try:
        raise BrokenError
    except BrokenError:
        file = open_file("a", "wb")
        file.write(b"report")
        file.close()
    assert (media_root / "a").read_bytes() == b"report"
    assert published == ["a"]


def test_second_exception_cuts_off_what_was_written_because_of_the_first(open_file, media_root):
    with suppress(KeyError):
        try:
            raise BrokenError
        except BrokenError:
            with closing(open_file("a", "wb")) as file:
                file.write(b"half a report")
                raise KeyError from None
    assert list(media_root.iterdir()) == []


def test_end_of_the_process_publishes_nothing(tmp_path):
    """A name of the module keeps the file until the process ends."""
    program = f"""
import logging
from django.conf import settings
settings.configure(MEDIA_ROOT={str(tmp_path)!r})
from resto.storage import HybridStorage
logging.basicConfig()
file = HybridStorage(["127.0.0.1:9"]).open("a", "wb")
file.write(b"half")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not (tmp_path / "a").exists()
    assert "never closed" in done.stderr


def test_opened_file_that_is_saved_elsewhere_is_copied_by_the_system(open_file, master, media_root, monkeypatch):
    copied = []
    copy = os.copy_file_range
    monkeypatch.setattr(os, "copy_file_range", lambda *args: copied.append(copy(*args)) or copied[-1])
    (media_root / "a").write_bytes(b"content")
    with open_file("a", "rb") as file:
        master.store("b", file, None)[1].close()
    assert (media_root / "b").read_bytes() == b"content"
    assert sum(copied) == 7


# Files that are opened again.


MODES = ["rb", "r+b", "wb", "w+b", "ab", "a+b"]
STEPS = st.tuples(
    st.sampled_from(MODES),
    st.none() | st.integers(0, 8),
    st.lists(st.binary(max_size=3), max_size=3),
)


@given(steps=st.lists(STEPS, max_size=5))
def test_file_that_is_opened_again_and_again_is_as_django_has_it(steps):
    """And each change is published, whatever the file was opened for first."""
    with TemporaryDirectory() as ours, TemporaryDirectory() as theirs:
        master, published = MasterCopy(ours), []
        for directory in (ours, theirs):
            Path(directory, "a").write_bytes(b"before")

        def start(mode):
            return Writing(master, "a", mode, Change(Hosts(published), present=True), None)

        files = MasterFile(master.path("a"), "rb", start), FileSystemStorage(theirs).open("a")
        for mode, position, pieces in steps:
            read = []
            for file in files:
                file.close()
                file.open(mode)
                if position is not None:
                    file.seek(position)
                read.append(file.read() if file.readable() else None)
                if mode != "rb":
                    file.writelines(pieces)
            assert read[0] == read[1]
        for file in files:
            file.close()
        assert Path(ours, "a").read_bytes() == Path(theirs, "a").read_bytes()
        assert published == ["a" for mode, _, _ in steps if mode != "rb"]
        assert [path.name for path in Path(ours).iterdir()] == ["a"]


@pytest.mark.parametrize(("first", "then"), [("rb", "wb"), ("rb", "ab"), ("wb", "rb"), ("wb", "r+b"), ("r", "rb")])
def test_file_that_is_still_open_is_closed_before_it_is_opened_in_another_mode(
    open_file, media_root, published, first, then
):
    (media_root / "a").write_bytes(b"before")
    file = open_file("a", first)
    if first == "wb":
        file.write(b"new")
    with file.open(then):
        assert (set(file.mode), published) == (set(then), ["a"] * (first == "wb"))
        assert (media_root / "a").read_bytes() == (b"new" if first == "wb" else b"before")


@pytest.mark.parametrize(("first", "then"), [("r+b", "rb"), ("w+", "r"), ("rb", "rb"), ("wb", "wb"), ("ab", None)])
def test_file_is_only_rewound_if_it_can_already_do_what_is_wanted(open_file, media_root, published, first, then):
    (media_root / "a").write_bytes(b"before")
    with open_file("a", first) as file:
        file.seek(3)
        assert file.open(then).tell() == 0
        assert (set(file.mode), published) == (set(first), [])


@pytest.mark.parametrize("plus", ["", "+"])
@pytest.mark.parametrize("kind", ["b", "", "t"])
@pytest.mark.parametrize("how", ["r", "w", "a", "x"])
def test_mode_is_as_django_has_it(open_file, media_root, tmp_path, how, kind, plus):
    """Also where it is opened once more in the same way."""
    modes = []
    (tmp_path / "theirs").mkdir()
    for directory, opened in (
        (media_root, open_file),
        (tmp_path / "theirs", FileSystemStorage(tmp_path / "theirs").open),
    ):
        for mode in {f"{how}{kind}{plus}", f"{how}{plus}{kind}"}:
            if how != "x":
                (directory / "a").write_bytes(b"before")
            with opened("a", mode) as file:
                modes.append(file.mode)
            if how != "x":
                with file.open() as file:
                    modes.append(file.mode)
            modes.append((directory / "a").read_bytes())
            (directory / "a").unlink()
    assert modes[: len(modes) // 2] == modes[len(modes) // 2 :]


def test_size_of_a_file_that_is_opened_again_is_that_of_the_new_content(open_file, media_root):
    (media_root / "a").write_bytes(b"before")
    file = open_file("a", "rb")
    assert file.size == 6
    file.open("wb")
    file.write(b"new")
    with file.open("rb"):
        assert (file.size, file.read()) == (3, b"new")


def test_file_that_is_gone_cannot_be_opened_again(open_file, media_root):
    (media_root / "a").write_bytes(b"before")
    file = open_file("a", "rb")
    file.close()
    (media_root / "a").unlink()
    with pytest.raises(FileNotFoundError):
        file.open()
    file.open("wb").close()
    assert (media_root / "a").read_bytes() == b""


# Files that somebody else deletes or saves while they are open.


@pytest.mark.parametrize("mode", ["r+b", "rb+", "r+", "ab", "a+b", "a", "wb", "w+b", "w"])
def test_file_that_is_deleted_while_it_is_open_stays_deleted(open_file, media_root, published, caplog, mode):
    """As with Django: nothing is raised, and what was written is gone."""
    (media_root / "a").write_bytes(b"before")
    file = open_file("a", mode)
    file.write(b"new" if "b" in mode else "new")
    (media_root / "a").unlink()
    file.close()
    assert (list(media_root.iterdir()), published) == ([], [])
    assert "a was deleted while it was open, and what was written is lost." in caplog.text


@pytest.mark.parametrize("mode", ["r+b", "ab", "a+b", "wb", "w+b"])
def test_file_of_somebody_else_is_not_replaced(open_file, media_root, published, mode):
    (media_root / "a").write_bytes(b"before")
    file = open_file("a", mode)
    file.write(b"new")
    (media_root / "a").unlink()
    (media_root / "a").write_bytes(b"theirs")
    with pytest.raises(FileExistsError, match="'a' was saved by somebody else") as info:
        file.close()
    assert (info.value.errno, file.closed, published) == (errno.EEXIST, True, [])
    assert {path.name: path.read_bytes() for path in media_root.iterdir()} == {"a": b"theirs"}


@pytest.mark.parametrize("mode", ["r+b", "ab"])
@pytest.mark.parametrize("theirs", [None, b"theirs"])
def test_nothing_is_lost_of_a_file_in_which_nothing_was_written(open_file, media_root, published, caplog, mode, theirs):
    (media_root / "a").write_bytes(b"before")
    file = open_file("a", mode)
    (media_root / "a").unlink()
    if theirs is not None:
        (media_root / "a").write_bytes(theirs)
    file.close()
    assert [path.read_bytes() for path in media_root.iterdir()] == ([] if theirs is None else [theirs])
    assert (published, caplog.text) == ([], "")


class Opened:
    """A file that is open, and what is known of it: the version that it was opened as, and the content then and now."""

    def __init__(self, file, mode, version, content):
        self.file, self.mode, self.version, self.content = file, mode, version, content or b""
        self.written = b"" if "w" in mode else self.content

    def write(self, piece):
        self.file.seek(0, os.SEEK_END)
        self.file.write(piece)
        self.written += piece


STEPS_OF_SEVERAL = st.lists(
    st.tuples(st.just("open"), st.integers(0, 1), st.sampled_from(["r+b", "ab", "a+b", "wb", "w+b"]))
    | st.tuples(st.sampled_from(["write", "close"]), st.integers(0, 1), st.none())
    | st.tuples(st.sampled_from(["delete", "save"]), st.none(), st.none()),
    max_size=12,
)


@given(steps=STEPS_OF_SEVERAL)
def test_closing_brings_nothing_back_and_replaces_nothing_of_others(steps):
    """It publishes only in the place of what was opened, or after what others have appended to that."""
    with TemporaryDirectory() as directory:
        master, published, path = MasterCopy(directory), [], Path(directory, "a")
        opened, version = {}, 0

        def start(mode):
            return Writing(master, "a", mode, Change(Hosts(published), present=True), None)

        def close(one):
            before, is_refused = path.read_bytes() if path.exists() else None, False
            if before is None:
                after = one.written if one.version is None else None
            elif one.version == version:
                after = one.written
            elif "a" in one.mode and before.startswith(one.content):
                after = before + one.written[len(one.content) :]
            else:
                after, is_refused = before, one.written != one.content
            with pytest.raises(FileExistsError) if is_refused else nullcontext():
                one.file.close()
            assert (path.read_bytes() if path.exists() else None) == after

        for count, (step, number, mode) in enumerate([*steps, ("close", 0, None), ("close", 1, None)]):
            before = len(published)
            if step == "delete":
                master.delete("a")
                version += 1
            elif step == "save" and not path.exists():
                path.write_bytes(b"saved %d" % count)
                version += 1
            elif step == "open" and number not in opened and (path.exists() or mode != "r+b"):
                content = path.read_bytes() if path.exists() else None
                file = MasterFile(str(path), mode, start)
                opened[number] = Opened(file, mode, None if content is None else version, content)
            elif step == "write" and number in opened:
                opened[number].write(b"written %d" % count)
            elif step == "close" and number in opened:
                close(opened.pop(number))
            version += len(published) - before
        assert {path.name for path in Path(directory).iterdir()} <= {"a"}


@pytest.mark.django_db
@pytest.mark.parametrize("theirs", [None, b"theirs"])
def test_nothing_is_recorded_of_what_is_not_published(settings, resto_server_factory, media_root, theirs):
    options = {"hosts": [resto_server_factory().url]}
    settings.STORAGES = {"default": {"BACKEND": "resto.storage.HybridStorage", "OPTIONS": options}}
    storage = storages["default"]
    storage.save("a", ContentFile(b"before"))
    file = storage.open("a", "wb")
    file.write(b"new")
    storage.delete("a")
    if theirs is not None:
        storage.save("a", ContentFile(theirs))
    with pytest.raises(FileExistsError) if theirs else nullcontext():
        file.close()
    assert Pending.objects.count() == 0
