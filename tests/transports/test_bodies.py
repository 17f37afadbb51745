import errno
import gzip
import io
import os
import socket
import tempfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resto.transports import bodies
from resto.transports.bodies import Body, BodyFile, Straight, UnreadableBodyError, is_rewindable, sender_of


class Pipe(io.RawIOBase):
    """A file that can be read once, a few bytes at a time."""

    def __init__(self, content, fails=False):
        self._content = io.BytesIO(content)
        self._fails = fails

    def readable(self):
        return True

    def seekable(self):
        return False

    def readinto(self, buffer):
        if self._fails:
            raise OSError("the disk is gone")
        block = self._content.read(min(len(buffer), 7))
        buffer[: len(block)] = block
        return len(block)


class Bare:
    """The least that counts as a file."""

    def __init__(self, content):
        file = io.BytesIO(content)
        self.read, self.seek, self.tell = file.read, file.seek, file.tell


@given(st.binary(max_size=3000), st.integers(1, 1000), st.sampled_from([bytes, bytearray, io.BytesIO, Pipe, Bare]))
def test_blocks_are_the_content(content, block_size, kind):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bodies, "BLOCK_SIZE", block_size)
        patch.setattr(bodies, "_SPOOL_SIZE", 100)
        body = Body(kind(content))
        assert body.size == len(content)
        assert b"".join(body.blocks()) == content
        assert b"".join(body.blocks()) == content  # again, from the start
        body.close()


@given(st.binary(max_size=500), st.lists(st.tuples(st.integers(0, 600), st.integers(1, 600)), max_size=5))
def test_a_body_file_reads_like_the_content(content, reads):
    for source in (content, io.BytesIO(content)):
        file = BodyFile(Body(source))
        for position, size in reads:
            assert file.seek(position) == file.tell() == position
            assert file.read(size) == content[position : position + size]
        assert len(file) == len(content)


def test_a_body_file_seeks_from_everywhere():
    file = BodyFile(Body(b"0123456789"))
    assert (file.seek(-4, io.SEEK_END), file.seek(1, io.SEEK_CUR), file.read()) == (6, 7, b"789")
    assert file.seekable()
    assert file.readable()


def test_content_is_sent_from_its_start():
    file = io.BytesIO(b"0123456789")
    file.read(5)
    assert b"".join(Body(file).blocks()) == b"0123456789"


def test_the_file_that_was_given_stays_open():
    file = io.BytesIO(b"content")
    Body(file).close()
    assert not file.closed


def test_a_copy_on_disk_is_closed(monkeypatch):
    monkeypatch.setattr(bodies, "_SPOOL_SIZE", 10)
    body = Body(Pipe(bytes(100)))
    body.close()
    assert body.content.closed


def test_a_copy_that_fails_is_closed(monkeypatch):
    copies = []

    def make(size):
        copies.append(tempfile.TemporaryFile())  # noqa: SIM115 - to see that it is closed
        return copies[0]

    monkeypatch.setattr(bodies.tempfile, "SpooledTemporaryFile", make)
    with pytest.raises(UnreadableBodyError, match="the disk is gone"):
        Body(Pipe(b"content", fails=True))
    assert copies[0].closed


@pytest.mark.parametrize(
    "read", [lambda body: list(body.blocks()), lambda body: BodyFile(body).read()], ids=["blocks", "file"]
)
def test_a_file_that_became_shorter_is_an_error(read, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(bytes(1000))
    with path.open("rb") as file:
        body = Body(file)
        path.write_bytes(bytes(400))
        with pytest.raises(UnreadableBodyError, match="600 bytes are missing"):
            read(body)


def straight(body, sock):
    """Send a body, which the socket can take at once."""
    going = Straight(body)
    while going:
        going.send_to(sock)


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    ours.settimeout(0)
    with ours, theirs:
        yield ours, theirs


@pytest.fixture
def sendfile(monkeypatch):
    """Count the bytes that go straight from a file to a socket."""
    sent = []
    own = os.sendfile

    def send(*args):
        sent.append(own(*args))
        return sent[-1]

    monkeypatch.setattr(os, "sendfile", send)
    return sent


class Doubled(io.BytesIO):
    """A file that is another one to whoever uses its descriptor."""

    def fileno(self):
        return 0


OPENED = {
    "buffered": (lambda path: path.open("rb"), 1000),
    "unbuffered": (lambda path: path.open("rb", buffering=0), 1000),
    "for writing, too": (lambda path: path.open("r+b"), 0),
    "compressed": (lambda path: gzip.GzipFile(path), 0),
    "another one": (lambda path: Doubled(bytes(1000)), 0),
}


@pytest.mark.parametrize(("opened", "unread"), OPENED.values(), ids=OPENED)
def test_a_file_of_the_system_goes_to_a_socket_unread(pair, sendfile, tmp_path, opened, unread):
    path = tmp_path / "file"
    path.write_bytes(gzip.compress(bytes(1000)) if opened is OPENED["compressed"][0] else bytes(1000))
    with opened(path) as file:
        file.seek(10)  # which does not matter, and stays
        straight(Body(file), pair[0])
    assert pair[1].recv(2000) == bytes(1000)
    assert sum(sendfile) == unread


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EIO])
def test_a_file_that_cannot_be_sent_unread_is_read(pair, tmp_path, monkeypatch, number):
    def fail(*args):
        raise OSError(number, os.strerror(number))

    path = tmp_path / "file"
    path.write_bytes(b"content")
    monkeypatch.setattr(os, "sendfile", fail)
    with path.open("rb") as file:
        straight(Body(file), pair[0])
    assert pair[1].recv(100) == b"content"


def test_a_socket_that_takes_no_more_is_to_be_waited_for(pair, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(bytes(10_000_000))
    with path.open("rb") as file:
        body = Body(file)
        with pytest.raises(BlockingIOError):
            straight(body, pair[0])
        pair[1].close()
        with pytest.raises(ConnectionError):
            straight(body, pair[0])


@pytest.mark.parametrize("size", [0, 400])
def test_a_file_that_became_shorter_is_an_error_halfway(pair, tmp_path, size):
    path = tmp_path / "file"
    path.write_bytes(bytes(1000))
    with path.open("rb") as file:
        body = Body(file)
        path.write_bytes(bytes(size))
        with pytest.raises(UnreadableBodyError, match=f"{1000 - size:,} bytes are missing"):
            straight(body, pair[0])


def test_a_file_that_is_closed_halfway_is_an_error(pair, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(bytes(1000))
    with path.open("rb") as file:
        body = Body(file)
    with pytest.raises(UnreadableBodyError, match="closed file"):
        straight(body, pair[0])


def test_only_what_says_so_can_be_sent_unread():
    assert sender_of(io.BytesIO()) is None
    assert sender_of(b"") is None


def test_a_file_that_became_longer_is_sent_as_announced(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"0123")
    with path.open("rb") as file:
        body = Body(file)
        path.write_bytes(b"0123456789")
        assert b"".join(body.blocks()) == b"0123"


def test_a_closed_file_cannot_be_read():
    file = io.BytesIO(b"content")
    body = Body(file)
    file.close()
    with pytest.raises(UnreadableBodyError, match="closed file"):
        list(body.blocks())


@pytest.mark.parametrize(
    ("content", "expected"),
    [(b"", True), (io.BytesIO(), True), (Pipe(b""), False), (Bare(b""), True), (object(), False)],
    ids=["bytes", "BytesIO", "pipe", "bare", "object"],
)
def test_rewindable_content_is_known(content, expected):
    assert is_rewindable(content) is expected


def test_a_file_without_a_size_is_an_error_of_the_file():
    file = io.BytesIO(b"content")
    file.close()
    file.seekable = lambda: True
    with pytest.raises(UnreadableBodyError, match="closed file"):
        Body(file)
