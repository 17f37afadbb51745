"""The identity of a host: a file like any other, of which only what resto has written is believed."""

import io
import os

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kit.hosts import MemoryTransport
from resto.exceptions import TransportError
from resto.names import HOST_IDENTITY
from resto.storage.host_identity import (
    HostIdentity,
    hashed_owner,
    host_identity_in,
    new_host_id,
    read_host_identity,
    write_host_identity,
)
from resto.transports.webdav import WebDAVTransport


IDS = st.text("0123456789abcdef", min_size=1, max_size=32)
SOUND = b"id a\nowner m\n"

# What other files begin with, or almost: none of them is an id.
ELSE = st.sampled_from(
    [b"<!doctype html>", b"id", b"id ", b" id a", b"ID a", b"identity a", b"owner m", b"\xff\xfe", b""]
)

transport = WebDAVTransport("/")


@pytest.fixture
def server(resto_server_factory, tmp_path):
    return resto_server_factory(root=tmp_path)


@given(st.builds(HostIdentity, IDS, IDS))
def test_what_is_written_is_read_again_from_elsewhere_and_on_the_host(server, tmp_path, identity):
    write_host_identity(transport, server.url, identity)
    assert read_host_identity(transport, server.url) == identity
    assert host_identity_in(str(tmp_path)) == identity


@given(st.lists(ELSE | st.binary(max_size=50).map(b"x".__add__), max_size=9).map(b"\n".join))
@example(SOUND + bytes(1_000))
def test_anything_else_is_no_identity_on_either_side(server, tmp_path, content):
    server.create_file(HOST_IDENTITY, content)
    found = read_host_identity(transport, server.url)
    assert found == host_identity_in(str(tmp_path))
    assert found.id == ""


@given(st.integers(0, 3_000))
@example(1_000 - len(SOUND))
@example(1_001 - len(SOUND))
def test_file_that_is_too_large_is_none_whatever_it_says(server, tmp_path, more):
    server.create_file(HOST_IDENTITY, SOUND + b"x" * more)
    found = read_host_identity(transport, server.url)
    assert found == host_identity_in(str(tmp_path))
    assert (found.id == "a") is (len(SOUND) + more <= 1_000)


class Slow(io.RawIOBase):
    """A stream that gives some bytes at a time, and counts them; it may have no end."""

    def __init__(self, content, sizes, *, is_endless=False):
        super().__init__()
        self._content, self._sizes, self._is_endless = io.BytesIO(content), sizes, is_endless
        self.given = 0

    def read(self, size=-1, /):
        size = min(size, self._sizes[self.given % len(self._sizes)])
        block = self._content.read(size) or b"x" * size * self._is_endless
        self.given += len(block)
        return block


class Streaming(MemoryTransport):
    """Gives one stream, whatever it is asked for."""

    def __init__(self, stream):
        super().__init__("/")
        self._stream = stream

    def open(self, host, name):
        return self._stream


SIZES = st.lists(st.integers(1, 2_000), min_size=1, max_size=5)


@given(SIZES)
def test_it_is_read_to_its_end_however_little_comes_at_a_time(sizes):
    assert read_host_identity(Streaming(Slow(SOUND, sizes)), "one") == HostIdentity("a", "m")


@given(SIZES)
def test_no_more_is_read_than_an_identity_has(sizes):
    stream = Slow(SOUND, sizes, is_endless=True)
    assert read_host_identity(Streaming(stream), "one") == HostIdentity("", "")
    assert stream.given == 1_001


def test_ids_and_owners_are_what_the_laws_are_stated_for(server):
    identity = HostIdentity(new_host_id(), hashed_owner("secret"))
    write_host_identity(transport, server.url, identity)
    assert read_host_identity(transport, server.url) == identity
    assert new_host_id() != identity.id
    assert hashed_owner("secret") == identity.owner != hashed_owner("another")
    assert "secret" not in server.get_file(HOST_IDENTITY).decode()


def test_host_that_does_not_tell_is_not_one_without_an_identity(server):
    assert read_host_identity(transport, server.url) is None
    server.refuse_code = 500
    with pytest.raises(TransportError, match="500"):
        read_host_identity(transport, server.url)


def test_host_that_takes_an_identity_and_gives_back_another(server):
    server.on_applied = lambda method, path: method in ("PUT", "MOVE") and server.create_file(HOST_IDENTITY, SOUND)
    with pytest.raises(TransportError, match="does not give back its file"):
        write_host_identity(transport, server.url, HostIdentity("b", "m"))


def test_directory_of_no_host(tmp_path):
    assert host_identity_in(str(tmp_path / "missing")) is None
    assert host_identity_in(str(tmp_path)) is None
    (tmp_path / HOST_IDENTITY).mkdir()
    assert host_identity_in(str(tmp_path)) is None


def test_pipe_of_that_name_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / HOST_IDENTITY)
    assert not (host_identity_in(str(tmp_path)) or HostIdentity("", "")).id
