"""What a host has is compared byte by byte with what it should have."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resto.courses import finish
from resto.exceptions import HostUnavailableError
from resto.transports.comparison import has_same_content, holds
from resto.transports.http import HttpTransport


CONTENT = b"content" * 20_000


@pytest.fixture
def server(resto_server):
    resto_server.create_file("a", CONTENT)
    return resto_server


def look(server, content, name="a"):
    file = io.BytesIO(content)
    try:
        return finish(holds(HttpTransport("/", timeout=1), server.url, name, file))
    finally:
        assert file.tell() == 0


def test_the_same_content(server):
    assert look(server, CONTENT)


@pytest.mark.parametrize("content", [CONTENT[:-1], CONTENT + b"x", b""])
def test_another_size_is_enough_to_know(server, content):
    assert not look(server, content)
    assert [request.method for request in server.requests] == ["HEAD"]


def test_another_content_of_the_same_size(server):
    assert not look(server, CONTENT[:-1] + b"x")


def test_a_file_that_is_missing(server):
    assert not look(server, CONTENT, "b")


@pytest.mark.parametrize("method", ["HEAD", "GET"])
def test_what_cannot_be_told_is_no_proof(server, method):
    server.fault_methods = {method}
    server.refuse_code = 500
    assert not look(server, CONTENT)
    server.refuse_code, server.reset_after = None, 0
    with pytest.raises(HostUnavailableError):
        look(server, CONTENT)


class Trickle(io.BytesIO):
    """A stream that returns less than it is asked for."""

    def read(self, size=-1):
        return super().read(min(size, 3) if size > 0 else size)


@given(st.binary(max_size=20), st.binary(max_size=20))
def test_streams_are_the_same_if_their_contents_are(one, other):
    assert has_same_content(io.BytesIO(one), Trickle(other)) == (one == other)
    assert has_same_content(Trickle(one), Trickle(one))
