import io
from http.client import parse_headers

import pytest

from resto.testing.bodies import BadRequestError, Body, BodyCutError


def make_body(head, sent):
    return Body(io.BufferedReader(io.BytesIO(sent)), parse_headers(io.BytesIO(head + b"\r\n")))


def test_content_length():
    body = make_body(b"Content-Length: 3\r\n", b"abcGET / HTTP/1.1")
    assert b"".join(body) == b"abc"
    assert body.size == 3
    assert body.is_framed


def test_no_body():
    body = make_body(b"", b"GET / HTTP/1.1")
    assert b"".join(body) == b""
    assert not body.is_framed


def test_chunked():
    stream = io.BufferedReader(io.BytesIO(b"2\r\nab\r\n1;ext=1\r\nc\r\n0\r\nTrailer: x\r\n\r\nnext"))
    body = Body(stream, parse_headers(io.BytesIO(b"Transfer-Encoding: chunked\r\n\r\n")))
    assert b"".join(body) == b"abc"
    assert stream.read() == b"next"


@pytest.mark.parametrize("sent", [b"x\r\n", b"-1\r\n", b"1\r\nabc\r\n"])
def test_bad_chunks(sent):
    with pytest.raises(BadRequestError):
        list(make_body(b"Transfer-Encoding: chunked\r\n", sent))


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: x\r\n",
        b"Content-Length: -1\r\n",
        b"Content-Length: 1\r\nContent-Length: 1\r\n",
        b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: gzip, chunked\r\n",
    ],
)
def test_bad_framing(head):
    with pytest.raises(BadRequestError):
        make_body(head, b"")


@pytest.mark.parametrize(
    ("head", "sent"),
    [
        (b"Content-Length: 3\r\n", b"ab"),
        (b"Transfer-Encoding: chunked\r\n", b"3\r\nab"),
        (b"Transfer-Encoding: chunked\r\n", b"2\r\nab\r\n"),
    ],
)
def test_cut_by_client(head, sent):
    with pytest.raises(ConnectionResetError):
        list(make_body(head, sent))


@pytest.mark.parametrize("cut_after", [0, 2, 3])
def test_cut_by_server(cut_after):
    body = make_body(b"Content-Length: 3\r\n", b"abc")
    body.cut_after = cut_after
    with pytest.raises(BodyCutError):
        list(body)
    assert body.size == cut_after


def test_body_shorter_than_cut():
    body = make_body(b"Content-Length: 3\r\n", b"abc")
    body.cut_after = 4
    assert b"".join(body) == b"abc"
