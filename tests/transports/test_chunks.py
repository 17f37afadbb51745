"""Sizes of chunks are numbers, or the answer is broken: for `http.client`, for urllib3, and for whoever uses the transports."""

import contextlib
import io
import socket
import string
import time
from functools import partial
from http.client import HTTPException

import pytest
import requests
from hypothesis import example, given, settings
from hypothesis import strategies as st
from urllib3 import HTTPHeaderDict
from urllib3.exceptions import ProtocolError
from urllib3.response import HTTPResponse

from kit.memory import little_memory
from resto.exceptions import TransportError
from resto.transports.answers import Received, read_answer
from resto.transports.chunks import AnswerReader
from resto.transports.limits import PIECE_SIZE
from resto.transports.requests_answers import LimitedAnswer
from resto.transports.webdav import WebDAVTransport


MIB = 1024 * 1024
HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
HEX = frozenset(string.hexdigits.encode())

WRONG_SIZES = [
    *(
        b"-1",
        b"-5",
        b"-0",
        b"+1",
        b"0x1",
        b"0X1",
        b"1_0",
        b" 1",
        b"\t1",
        b"1 ",
        b"",
        b"g",
        b"1 1",
        b"1,1",
        b"\xb2",
        b"1\r",
    ),
    *(b"\x001", b"1\x00", b";a", b"f" * 16, b"f" * 5000, b"-" + b"f" * 5000),
]


# What reads the body of an answer.


def by_connections(sock):
    return iter(partial(read_answer(Received(sock, b"", time.monotonic() + 10, 10), "GET").read, 7), b"")


def by_requests(sock):
    answer = LimitedAnswer(sock, method="GET")
    answer.begin()
    return iter(partial(answer.read, 7), b"")


def by_urllib3(sock):
    """Do as requests does where an auth object wants the page of a refusal."""
    answer = LimitedAnswer(sock, method="GET")
    answer.begin()
    headers = HTTPHeaderDict(answer.headers.items())
    return HTTPResponse(answer, headers, original_response=answer, preload_content=False).stream(7)


READERS = pytest.mark.parametrize("read", [by_connections, by_requests, by_urllib3])


def what_comes(read, body, head=HEAD):
    """Return what is read of an answer; None if it is broken."""
    near, far = socket.socketpair()
    with near, far:
        near.settimeout(10)
        far.sendall(head + body)
        far.shutdown(socket.SHUT_WR)
        try:
            return b"".join(read(near))
        except (ProtocolError, HTTPException):
            return None


def meant(body):
    """Return what a body in chunks says (RFC 9112, section 7.1); None if it is none."""
    content = b""
    while True:
        line, end, body = body.partition(b"\n")
        digits, _, extension = line.removesuffix(b"\r").partition(b";")
        digits = digits.rstrip(b" \t") if b";" in line else digits
        if not (end and digits and HEX.issuperset(digits)) or b"\r" in extension or len(digits.lstrip(b"0")) > 15:
            return None
        size = int(digits, 16)
        if not size:
            return content
        if len(body) < size + 2:
            return None
        content, body = content + body[:size], body[size + 2 :]


def chunk(size, content, extension=b""):
    return b"%s%s\r\n%s\r\n" % (size, extension, content)


WHOLE = st.builds(
    lambda content, zeros, extension: chunk(b"0" * zeros + b"%X" % len(content), content, extension),
    st.binary(min_size=1, max_size=40),
    st.integers(0, 30),
    st.binary(max_size=20).map(lambda text: b";" + text.translate(None, b"\r\n")) | st.just(b"") | st.just(b" ;a"),
)
LINES = st.one_of(
    st.sampled_from(WRONG_SIZES), st.integers(-(2**70), 2**70).map(lambda n: b"%x" % n), st.binary(max_size=9)
)
FRAMES = st.lists(WHOLE | LINES.map(lambda line: chunk(line, b"ab")), max_size=4).map(b"".join)
ENDS = st.sampled_from(
    [b"0\r\n\r\n", b"0\n\n", b"00;a=b\r\nTrailer: -1\r\n\xff\r\n\r\n", b"", b"0", b"\r\n", b"-0\r\n\r\n"]
)


@READERS
@given(FRAMES, ENDS)
@example(b"2\r\n[]\r\n-2\r\n", b"")
@example(b"-1\r\n" + b"x" * 100, b"")
def test_a_body_is_what_its_chunks_say_or_broken(read, frames, end):
    assert what_comes(read, frames + end) == meant(frames + end)


@READERS
@pytest.mark.parametrize("size", WRONG_SIZES)
def test_what_is_no_number_is_no_size(read, size):
    assert what_comes(read, chunk(b"1", b"x") + chunk(size, b"x") + b"0\r\n\r\n") is None


@READERS
def test_sizes_may_have_zeros_and_extensions(read):
    body = chunk(b"A", b"0123456789") + chunk(b"0" * 1000 + b"1", b"a", b' ;x="y"') + b"0;z\r\nDigest: -1\r\n\r\n"
    assert what_comes(read, body) == b"0123456789a"


@pytest.mark.parametrize("codings", [b"gzip, chunked", b"chunked\r\nTransfer-Encoding: chunked", b"CHUNKED"])
def test_urllib3_reads_chunks_where_others_do_not(codings):
    assert what_comes(by_urllib3, b"-5\r\nabc", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: %s\r\n\r\n" % codings) is None


def test_a_body_without_chunks_has_lines():
    reader = AnswerReader(io.BytesIO(b"-1\nab"), list)
    reader.end_head(has_chunks=False)
    assert (reader.readline(), reader.readline(1), reader.read()) == (b"-1\n", b"a", b"b")


@given(st.integers(0, 3 * PIECE_SIZE), st.none() | st.integers(-1, 4 * PIECE_SIZE) | st.just(2**62))
def test_no_more_memory_is_taken_than_comes(size, asked):
    content = bytes(size)
    reader = AnswerReader(io.BytesIO(content), list)
    assert len(reader.read(asked)) == (size if asked is None or asked < 0 else min(size, asked))


# Over the wires.

OPTIONS = {
    "connections": {},
    "session": {"session": requests.Session},
    "digest": {"auth": ("user", "password"), "auth_scheme": "digest"},
}
ACTIONS = {
    "create": lambda transport, url: transport.create(url, "a.txt", b"content"),
    "content": lambda transport, url: transport.content(url, "a.txt"),
    "size": lambda transport, url: transport.size(url, "a.txt"),
    "exists": lambda transport, url: transport.exists(url, "a.txt"),
    "modified_time": lambda transport, url: transport.modified_time(url, "a.txt"),
    "delete": lambda transport, url: transport.delete(url, "a.txt"),
    "browse": lambda transport, url: transport.browse(url, ""),
    "scan": lambda transport, url: list(transport.scan(url, "")),
}
CHALLENGE = b'WWW-Authenticate: Digest realm="a", nonce="b", qop="auth"\r\n'
STATUSES = {
    "a file": b"200 OK\r\n",
    "a listing in JSON": b"200 OK\r\nContent-Type: application/json\r\n",
    "a listing": b"207 Multi\r\nContent-Type: application/xml\r\n",
    "a success": b"201 Created\r\n",
    "a refusal": b"403 No\r\n",
    "a redirect": b"301 No\r\nLocation: /a/\r\n",
    "a challenge": b"401 No\r\n" + CHALLENGE,
}


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("status", STATUSES)
def test_no_size_fills_the_memory(transport, script, options, status):
    """Whether anybody wants the body, or not."""

    def handle(peer):
        while peer.head():
            size = sizes[0]
            peer.say(b"HTTP/1.1 ", STATUSES[status], b"Transfer-Encoding: chunked\r\n\r\n", size, b"\r\n")
            with contextlib.suppress(OSError):
                for _ in range(1000):  # enough to be seen, if somebody takes it all
                    peer.say(bytes(PIECE_SIZE))

    sizes = [b""]
    url = script(handle).url
    senders = [transport(kind, max_listing=MIB, max_download=MIB, **OPTIONS[options]) for kind in ("http", "webdav")]
    for sizes[0] in (b"-1", b"-5", b"f" * 15, b"f" * 16, b"f" * 5000):
        for sender, action in (
            (senders[0], "content"),
            (senders[0], "browse"),
            (senders[1], "browse"),
            (senders[1], "create"),
        ):
            with little_memory(), contextlib.suppress(TransportError):
                ACTIONS[action](sender, url)


HOSTILE_FIELDS = st.lists(
    st.sampled_from(
        [
            b"Content-Type: multipart/x; boundary*" + b"9" * 5000 + b"*=x",
            b"Content-Type: application/json",
            b"Content-Length: 2",
            b"Content-Length: -1",
            b"Content-Length: " + b"9" * 5000,
            b"Content-Length: " + b"9" * 4000,
            b"Last-Modified: Mon, 01 Jan 0001 00:00:00 GMT",
            b"Last-Modified: Mon, 01 Jan 2026 00:00:00 +99999999999999",
            b"Location: http://[",
            b"Location: //[x]/",
            b"Location: http://h:port/",
            b"Location: /\xe9/",
            b"Set-Cookie: a=b; Max-Age=" + b"9" * 5000 + b"; Domain=[; Path=\xff",
            b"Content-Encoding: gzip",
            b"Connection: close",
            b"Server: \xff/\xff",
            CHALLENGE.strip(),
            b"WWW-Authenticate: Digest realm",
            b"no field",
        ]
    )
    | st.binary(max_size=20).map(lambda text: text.translate(None, b"\r\n")),
    max_size=3,
).map(lambda fields: b"".join(field + b"\r\n" for field in fields))
CODES = st.sampled_from(
    [b"200", b"200", b"207", b"201", b"204", b"206", b"301", b"304", b"308", b"401", b"404", b"405", b"999"]
)
CODINGS = st.sampled_from([b"chunked"] * 4 + [b"gzip, chunked", b"chunked, chunked", b"identity"]).map(
    lambda coding: b"Transfer-Encoding: %s\r\n" % coding
)


@pytest.fixture
def hostile(script):
    """Return a server, and the list that holds what it says, whatever it is asked."""

    def handle(peer):
        if peer.head():
            peer.say(said[0])

    said = [b""]
    return script(handle).url, said


@pytest.mark.parametrize("options", OPTIONS)
@settings(max_examples=80)
@given(CODES, HOSTILE_FIELDS, CODINGS | st.just(b""), FRAMES, ENDS, st.sampled_from(list(ACTIONS)))
@example(
    b"200",
    b"Content-Type: application/json\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"2\r\n[]\r\n-2\r\n",
    b"",
    "browse",
)
@example(b"200", b"", b"Transfer-Encoding: chunked\r\n", b"-5\r\n", b"", "content")
@example(b"207", b"", b"Transfer-Encoding: chunked\r\n", b"-5\r\n", b"", "scan")
@example(b"201", b"Content-Type: multipart/x; boundary*" + b"9" * 5000 + b"*=x\r\n", b"", b"", b"", "create")
@example(b"301", b"Location: http://[\r\n", b"", b"", b"", "exists")
@example(b"301", b"Location: //[x]/\r\n", b"", b"", b"", "delete")
def test_a_transport_promises_its_errors(hostile, options, code, fields, coding, frames, end, action):
    """Whatever a host says, an action succeeds or raises a `TransportError`."""
    url, said = hostile
    said[0] = b"HTTP/1.1 " + code + b" x\r\n" + fields + coding + b"\r\n" + frames + end
    with (
        contextlib.closing(WebDAVTransport("/media/", timeout=10, **OPTIONS[options])) as sender,
        contextlib.suppress(TransportError),
    ):
        ACTIONS[action](sender, url)


@pytest.mark.parametrize("location", [b"http://[", b"//[x]/", b"http://h:port/", b"/\xe9/"])
@pytest.mark.parametrize("options", OPTIONS)
def test_a_redirect_to_nowhere_is_an_answer(hostile, transport, options, location):
    url, said = hostile
    said[0] = b"HTTP/1.1 301 x\r\nContent-Length: 0\r\nLocation: " + location + b"\r\n\r\n"
    with pytest.raises(TransportError, match="HEAD was answered 301"):
        transport("http", **OPTIONS[options]).exists(url, "a")


# Heads.


@pytest.mark.parametrize("read", [by_connections, by_requests])
@pytest.mark.parametrize("interim", [b"", b"HTTP/1.1 102 Processing\r\nX: y\r\n\r\n"])
def test_no_head_is_believed_that_is_cut_off(read, interim):
    """Else a size of 5000 bytes might be one of 5."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n"
    for cut in range(1, len(head) + 1):
        near, far = socket.socketpair()
        with near, far:
            near.settimeout(10)
            far.sendall(interim + head[:cut])
            far.shutdown(socket.SHUT_WR)
            with contextlib.nullcontext() if cut == len(head) else pytest.raises(HTTPException):
                read(near)


@pytest.mark.parametrize("lengths", [(b"2", b"3"), (b"3", b"2"), (b"3", b"x"), (b"3", b"3 ", b"2")])
@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("action", ["content", "size"])
def test_no_answer_is_believed_that_announces_several_lengths(hostile, transport, options, lengths, action):
    url, said = hostile
    fields = b"".join(b"Content-Length: %s\r\n" % length for length in lengths)
    said[0] = b"HTTP/1.1 200 x\r\nLast-Modified: Mon, 01 Jan 2026 00:00:00 GMT\r\n" + fields + b"\r\nabc"
    with pytest.raises(TransportError, match="several lengths"):
        getattr(transport("http", **OPTIONS[options]), action)(url, "a")


def test_a_length_that_is_announced_twice_is_one(hostile, transport):
    url, said = hostile
    said[0] = b"HTTP/1.1 200 x\r\nContent-Length: 3\r\ncontent-length:  3\r\n\r\nabc"
    assert transport("http").content(url, "a") == b"abc"
