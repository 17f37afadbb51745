"""The files that storages open, and the content that they send."""

import gzip
import io
import tempfile
import threading
from contextlib import closing
from pathlib import Path

import pytest
from django.core.files import File
from django.core.files.base import ContentFile
from django.core.files.uploadedfile import TemporaryUploadedFile

from resto.master.copy import MasterCopy
from resto.storage.files import SPOOL_SIZE, ContentReader, RemoteFile, SharedContent, spool


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


def test_shared_content_is_all_text_or_all_bytes():
    content = File(io.BytesIO())
    content.chunks = lambda: iter(["text", b"bytes"])
    with pytest.raises(TypeError, match="a chunk of the content must be str, not bytes"):
        SharedContent(content)


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
