"""The files that storages open, and the content that they send."""

import gzip
import io
import os
import tempfile
import threading
from contextlib import closing
from pathlib import Path

import pytest
from django.core.files import File
from django.core.files.base import ContentFile
from django.core.files.uploadedfile import TemporaryUploadedFile

from resto.master.copy import MasterCopy
from resto.storage.files import SPOOL_SIZE, ContentReader, MasterFile, RemoteFile, SharedContent, spool


SIZES = [0, 1, SPOOL_SIZE - 1, SPOOL_SIZE, SPOOL_SIZE + 1, 3 * SPOOL_SIZE]


@pytest.fixture
def spools(monkeypatch):
    """Every temporary file that is made."""
    made = []

    class Spool(tempfile.SpooledTemporaryFile):
        def __init__(self, *args):
            super().__init__(*args)
            made.append(self)

    monkeypatch.setattr(tempfile, "SpooledTemporaryFile", Spool)
    return made


def pattern(size):
    return bytes(range(251)) * (size // 251) + bytes(size % 251)


class BrokenStream(io.RawIOBase):
    def readable(self):
        return True

    def readinto(self, buffer):
        raise ConnectionResetError


# What is sent.


@pytest.mark.parametrize("size", SIZES)
def test_shared_content_is_whole_for_each_reader(size):
    content = SharedContent(ContentFile(pattern(size)))
    try:
        for _ in range(2):
            reader = content.reader()
            assert (reader if isinstance(reader, bytes) else reader.read()) == pattern(size)
        assert content.size == size
    finally:
        content.close()


def test_shared_content_that_is_small_is_sent_from_memory():
    content = SharedContent(ContentFile(pattern(SPOOL_SIZE)))

    assert isinstance(content.reader(), bytes)
    content.close()


def test_shared_content_gives_each_reader_a_position_of_its_own():
    content = SharedContent(ContentFile(pattern(2 * SPOOL_SIZE)))
    first, second = content.reader(), content.reader()

    assert first.read(1000) == second.read(1000) == pattern(2 * SPOOL_SIZE)[:1000]
    content.close()


def test_shared_content_can_be_read_by_several_threads_at_once():
    content = SharedContent(ContentFile(pattern(2 * SPOOL_SIZE)))
    copies = []

    def read():
        reader, blocks = content.reader(), []
        while block := reader.read(10_000):
            blocks.append(block)
        copies.append(b"".join(blocks))

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    content.close()

    assert copies == [pattern(2 * SPOOL_SIZE)] * 4


def test_shared_content_encodes_text():
    content = SharedContent(File(io.StringIO("é")))

    assert content.reader() == "é".encode()
    content.close()


@pytest.mark.parametrize("size", [1, SPOOL_SIZE, 2 * SPOOL_SIZE])
def test_uploaded_file_is_read_where_it_is(spools, size):
    with TemporaryUploadedFile("a", "text/plain", 0, None) as file:
        file.write(pattern(size))
        file.seek(min(5, size))
        with closing(SharedContent(file)) as content:
            reader = content.reader()
            assert (reader if isinstance(reader, bytes) else reader.read()) == pattern(size)
        assert file.tell() == min(5, size)
        assert not file.closed
    assert not spools


def test_hosts_get_the_same_of_a_file_that_somebody_writes_to(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(pattern(2 * SPOOL_SIZE))
    with path.open("rb") as file, closing(SharedContent(File(file))) as content:
        first = content.reader().read()
        path.write_bytes(b"new" * SPOOL_SIZE)
        assert content.reader().read() == first == pattern(2 * SPOOL_SIZE)


def test_file_with_a_content_and_no_size_is_read(media_root):
    with Path("/proc/self/cmdline").open("rb") as file:
        expected = file.read()
        with closing(SharedContent(File(file))) as content:
            assert content.reader() == expected
        MasterCopy().store("a", File(file), None)
    assert (media_root / "a").read_bytes() == expected


def test_what_has_just_been_written_to_an_uploaded_file_is_read(spools):
    with TemporaryUploadedFile("a", "text/plain", 0, None) as file:
        file.write(pattern(2 * SPOOL_SIZE))
        file.write(b"!")
        with closing(SharedContent(file)) as content:
            assert content.reader().read() == pattern(2 * SPOOL_SIZE) + b"!"
    assert not spools


class Shouting(File):
    def chunks(self, chunk_size=None):
        for chunk in super().chunks(chunk_size):
            yield chunk.upper()


@pytest.mark.parametrize(
    ("open_file", "expected"),
    [
        (lambda path: Shouting(path.open("rb")), b"TEXT \xc3\xa9"),
        (lambda path: File(path.open()), "text é".encode()),
        (lambda path: File(gzip.open(zipped(path))), "text é".encode()),  # noqa: SIM115 - File closes it
        (lambda path: File(io.BufferedReader(Shift(path))), b"ufyu"),
    ],
    ids=["subclass", "text", "gzip", "raw file of one's own"],
)
def test_file_that_is_more_than_a_plain_one_is_asked_for_its_content(tmp_path, media_root, open_file, expected):
    path = tmp_path / "file"
    path.write_text("text é", encoding="utf-8")
    with open_file(path) as file, closing(SharedContent(file)) as content:
        assert content.reader() == expected
    with open_file(path) as file:
        MasterCopy().store("a", file, None)
    assert (media_root / "a").read_bytes() == expected


def zipped(path):
    with gzip.open(path.with_suffix(".gz"), "wb") as file:
        file.write(path.read_bytes())
    return path.with_suffix(".gz")


class Shift(io.RawIOBase):
    """Reads something else than what its descriptor would."""

    def __init__(self, path):
        super().__init__()
        self.file = path.open("rb")
        self.rest = b"ufyu"

    def fileno(self):
        return self.file.fileno()

    def readable(self):
        return True

    def readinto(self, buffer):
        size = len(self.rest)
        buffer[:size], self.rest = self.rest, b""
        return size

    def close(self):
        self.file.close()
        super().close()


def test_shared_content_is_cleaned_up_when_the_source_breaks_off(spools):
    with pytest.raises(ConnectionResetError):
        SharedContent(File(BrokenStream()))

    assert [spool.closed for spool in spools] == [True]


def test_reader_of_closed_content_never_reads_another_file():
    """The number of the descriptor may belong to somebody else by then."""
    content = SharedContent(ContentFile(pattern(2 * SPOOL_SIZE)))
    reader = content.reader()
    content.close()

    with pytest.raises(ValueError, match="closed file"):
        reader.read()


@pytest.fixture
def reader(tmp_path):
    (tmp_path / "file").write_bytes(b"0123456789")
    with (tmp_path / "file").open("rb") as file:
        yield ContentReader(file, 10)


def test_content_reader_seeks_as_a_file_does(reader):
    assert reader.seekable()
    assert (reader.seek(3), reader.read(2), reader.tell()) == (3, b"34", 5)
    assert (reader.seek(1, io.SEEK_CUR), reader.read(2)) == (6, b"67")
    assert (reader.seek(-1, io.SEEK_END), reader.read()) == (9, b"9")
    assert reader.read() == b""


# What is downloaded.


@pytest.mark.parametrize("size", SIZES)
def test_spool_keeps_everything(size):
    with spool(io.BytesIO(pattern(size))) as file:
        assert (file.read(), file.seek(0), file.read(5)) == (pattern(size), 0, pattern(size)[:5])


def test_spool_closes_the_stream(spools):
    stream = io.BytesIO(b"content")

    spool(stream).close()

    assert stream.closed
    assert spools[0].closed


def test_spool_is_cleaned_up_when_the_stream_breaks_off(spools):
    stream = BrokenStream()

    with pytest.raises(ConnectionResetError):
        spool(stream)

    assert stream.closed
    assert spools[0].closed


def remote(content=b"line 1\nline 2\n", mode="rb"):
    return RemoteFile("a.txt", mode, lambda: spool(io.BytesIO(content)))


@pytest.mark.parametrize("size", SIZES)
def test_remote_file_knows_its_size(size):
    with remote(pattern(size)) as file:
        assert file.size == size


@pytest.mark.parametrize("size", [10, 2 * SPOOL_SIZE])
def test_remote_file_cannot_be_written(size):
    with remote(pattern(size)) as file:
        assert not file.writable()
        with pytest.raises(io.UnsupportedOperation):
            file.write(b"x")


def test_remote_file_rewinds_when_it_is_opened_again():
    with remote() as file:
        file.read()

        assert file.open().read() == b"line 1\nline 2\n"


def test_remote_file_downloads_again_when_it_was_closed():
    contents = iter([b"old", b"new"])
    file = RemoteFile("a.txt", "rb", lambda: spool(io.BytesIO(next(contents))))
    file.close()

    with file.open("rb") as again:
        assert again.read() == b"new"


def test_remote_file_opens_again_as_text(spools):
    with remote() as file:
        file.open("r")

        assert (file.read(), file.mode) == ("line 1\nline 2\n", "r")
    assert [spool.closed for spool in spools] == [True, True]


@pytest.mark.parametrize("mode", ["wb", "ab", "r+b", "xb", "w"])
def test_remote_file_does_not_open_for_writing(mode):
    with pytest.raises(io.UnsupportedOperation, match=r"'a\.txt' can only be opened for reading, not in mode"):
        remote(mode=mode)
    with remote() as file, pytest.raises(io.UnsupportedOperation):
        file.open(mode)


def test_remote_file_stays_as_it_was_when_it_cannot_be_downloaded_again():
    def broken():
        raise FileNotFoundError

    file = remote()
    file._download = broken
    with pytest.raises(FileNotFoundError):
        file.open("r")

    assert file.read() == b"line 1\nline 2\n"
    file.close()


# What is written.


@pytest.fixture
def master(media_root):
    media_root.mkdir()
    return MasterCopy()


@pytest.fixture
def published():
    return []


@pytest.fixture
def open_file(master, published):
    return lambda name, mode: MasterFile(master, name, mode, lambda: published.append(name))


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
    with pytest.raises(FileNotFoundError, match="'a' does not exist"):
        open_file("a", "r+b")
    assert list(media_root.iterdir()) == []


def test_master_file_for_exclusive_creation_must_not_exist(open_file, media_root):
    (media_root / "a").write_bytes(b"before")

    with pytest.raises(FileExistsError, match="'a' exists"):
        open_file("a", "xb")


def test_master_file_for_exclusive_creation_does_not_replace_what_came_since(open_file, media_root, published):
    file = open_file("a", "xb")
    (media_root / "a").write_bytes(b"theirs")

    with pytest.raises(FileExistsError, match="'a' exists"):
        file.close()

    assert {path.name: path.read_bytes() for path in media_root.iterdir()} == {"a": b"theirs"}
    assert (published, file.closed) == ([], True)


@pytest.mark.parametrize("mode", ["wb", "ab", "r+b", "xb"])
def test_master_file_is_no_directory(open_file, media_root, mode):
    (media_root / "a").mkdir()

    with pytest.raises(IsADirectoryError, match="'a' is a directory"):
        open_file("a", mode)
    assert [path.name for path in media_root.iterdir()] == ["a"]


def test_nothing_is_left_of_a_master_file_in_an_impossible_mode(open_file, media_root):
    with pytest.raises(ValueError, match="mode"):
        open_file("a", "wr")
    assert list(media_root.iterdir()) == []


def test_nothing_is_left_of_a_master_file_that_cannot_be_read(open_file, media_root, monkeypatch):
    (media_root / "a").write_bytes(b"before")

    def fail(*args):
        raise OSError(5, "broken disk")

    monkeypatch.setattr("shutil.copyfile", fail)
    with pytest.raises(OSError, match="broken disk"):
        open_file("a", "r+b")
    assert [path.name for path in media_root.iterdir()] == ["a"]


def test_nothing_is_left_of_a_master_file_that_cannot_be_published(open_file, media_root, published, monkeypatch):
    file = open_file("a", "wb")

    def fail(*args):
        raise OSError(5, "broken disk")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="broken disk"):
        file.close()
    assert (list(media_root.iterdir()), published) == ([], [])


def test_master_file_is_published_once(open_file, published):
    file = open_file("a", "wb")
    file.close()
    file.close()

    assert published == ["a"]


def test_master_file_rewinds_when_it_is_opened_again(open_file):
    with open_file("a", "w+b") as file:
        file.write(b"content")

        assert file.open().read() == b"content"


def test_master_file_opens_again_through_its_storage_only(open_file):
    file = open_file("a", "wb")
    file.close()

    with pytest.raises(ValueError, match="open it through its storage"):
        file.open()


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
    assert final & 0o777 == (was if setting is None else setting)


# A file of the master copy that is not written to its end.


@pytest.fixture
def written(media_root):
    """Open the file "a", which holds "old", for writing; and what its closing calls."""
    media_root.mkdir()
    (media_root / "a").write_bytes(b"old")
    calls = []
    return MasterFile(MasterCopy(), "a", "wb", lambda: calls.append("published")), calls


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
    assert calls == ["published"]
    assert (media_root / "a").read_bytes() == b"new"
