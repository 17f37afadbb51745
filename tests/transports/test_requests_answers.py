"""Answers over requests, and what an auth object reads of them."""

import contextlib
import gzip
import socket

import pytest
import requests
from requests.auth import HTTPDigestAuth
from urllib3.connection import HTTPConnection, HTTPSConnection

from kit.clock import Clock, stop_clock
from kit.memory import little_memory
from kit.wires import Dripping, put
from resto.courses import finish
from resto.hosts import parse_url
from resto.transports.limits import MAX_UNWANTED
from resto.transports.messages import NoAnswerError, Request
from resto.transports.requests_answers import EndlessAnswerError, LimitedAnswer, limit_answers
from resto.transports.requests_wire import RequestsWire


MIB = 1024 * 1024


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    stop_clock(monkeypatch, clock)
    return clock


def begun(sock):
    answer = LimitedAnswer(sock, method="GET")
    answer.begin()
    return answer


def challenging(more, body):
    """Return a script whose refusals say something, for ever if they can."""

    def handle(peer):
        while peer.head():
            peer.say(b'HTTP/1.1 401 No\r\nWWW-Authenticate: Digest realm="a", nonce="b", qop="auth"\r\n' + more)
            with contextlib.suppress(OSError):
                for piece in body():
                    peer.say(piece)

    return handle


def endless():
    while True:
        yield b"10000\r\n" + bytes(65536) + b"\r\n"


def test_a_challenge_without_an_end(requests_wire, script):
    server = script(challenging(b"Transfer-Encoding: chunked\r\n\r\n", endless))
    sender = requests_wire(server.url, 5, HTTPDigestAuth("user", "password"))
    with little_memory(), pytest.raises(NoAnswerError, match="does not end: more than 1048576 bytes"):
        finish(sender.exchange(put()))


def test_a_challenge_that_is_not_what_was_asked_for(requests_wire, script):
    """A few bytes of it would fill the memory."""
    bomb = gzip.compress(bytes(200 * MIB), 1)
    head = b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb)
    server = script(challenging(head, lambda: [bomb]))
    sender = requests_wire(server.url, 5, HTTPDigestAuth("user", "password"))
    with little_memory():
        assert finish(sender.exchange(Request("GET", "/a"))).status == 401


def test_a_session_that_was_closed_is_limited_too(script):
    """Its connections are new ones."""
    session = requests.Session()
    server = script(challenging(b"Transfer-Encoding: chunked\r\n\r\n", endless))
    sender = RequestsWire(parse_url(server.url, ""), 5, lambda: session, None)
    session.auth = HTTPDigestAuth("user", "password")
    for _ in range(2):
        with little_memory(), pytest.raises(NoAnswerError, match="does not end"):
            finish(sender.exchange(Request("GET", "/a")))
        sender.close()


def test_a_limited_answer_is_closed_with_its_socket():
    near, far = socket.socketpair()
    with far:
        near.settimeout(1)
        far.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
        answer = LimitedAnswer(near, method="GET")
        near.close()  # as http.client does when the server will close it, too
        answer.begin()
        assert answer.read() == b"hello"
        answer.close()
        assert far.recv(1) == b""


def test_what_nobody_wants_has_a_size(clock):
    head = b"HTTP/1.1 401 No\r\nContent-Length: %d\r\n\r\n" % (2 * MAX_UNWANTED)
    answer = begun(Dripping(clock, [(0, head), (0, bytes(2 * MAX_UNWANTED))]))
    with pytest.raises(EndlessAnswerError):
        answer.read()


def test_an_adapter_may_wait_for_ever(clock):
    answer = begun(Dripping(clock, [(0, b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx")], None))
    answer.begin_piece(2)
    assert answer.read(1) == b"x"


class Pool:
    def __init__(self, connection):
        self.ConnectionCls = connection


@pytest.mark.parametrize("kind", [HTTPConnection, HTTPSConnection])
def test_a_pool_is_limited_once(kind):
    pool, other = Pool(kind), Pool(kind)
    limit_answers(pool)
    limited = pool.ConnectionCls
    limit_answers(pool)
    limit_answers(other)
    assert issubclass(limited, kind)
    assert limited.response_class is LimitedAnswer
    assert pool.ConnectionCls is other.ConnectionCls is limited
    assert kind.response_class is not LimitedAnswer
