"""What the tests of wires and connections have in common: requests, scripts of servers, and ways to go through a course."""

import contextlib
import io

import pytest

from resto.courses import finish
from resto.transports import heads
from resto.transports.bodies import Body
from resto.transports.messages import Request


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CREATED = b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"
GET = Request("GET", "/a", stream=True)
HEAD = Request("HEAD", "/a")
LARGE = heads.EXPECT_SIZE + 1

WARM = pytest.mark.parametrize("warm", [False, True], ids=["new connection", "kept connection"])
TLS = pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])


def put(size=7, **options):
    return Request("PUT", "/a", body=Body(bytes(size)), **options)


def answering(*answers):
    """Return a script that gives these answers in turn, over any number of connections."""
    rest = list(answers)

    def handle(peer):
        while rest and (head := peer.head()):
            if head[0].startswith("PUT"):
                peer.body(int(head[1]["content-length"]))
            peer.say(rest.pop(0))

    return handle


def after(handle):
    """Return a script that answers one request to which there is nothing to be said, and then does something."""

    def handle_all(peer):
        while (head := peer.head())[0].startswith("GET"):
            peer.say(OK)
        return handle(peer, head[1])

    return handle_all


def connections(server):
    return [request.connection for request in server.requests]


def read(answer):
    with contextlib.closing(answer.stream) as stream:
        return stream.read()


def warmed(sender, *, warm=True):
    """Let a wire have an idle connection, if it shall."""
    if warm:
        finish(sender.exchange(Request("GET", "/a")))
    return sender


def watched(course, see):
    """Return the course, and let somebody see whatever it waits for."""
    try:
        while True:
            arrival = next(course)
            see(arrival)
            yield arrival
    except StopIteration as stop:
        return stop.value


def chain(error):
    """Return an error, and all that are its cause or its context, shown or not."""
    found = [error]
    for one in found:
        found += [more for more in {one.__cause__, one.__context__} - {None} if more not in found]
    return found


def hurried(course):
    """Finish a course without ever waiting for what it waits for."""
    try:
        while True:
            next(course)
    except StopIteration as stop:
        return stop.value


class Dripping:
    """A socket over which pieces of an answer arrive, each after a while."""

    def __init__(self, clock, pieces, timeout=2.0):
        self._clock = clock
        self._pieces = list(pieces)
        self._timeout = timeout
        self._unread = b""

    def settimeout(self, timeout):
        self._timeout = timeout

    def gettimeout(self):
        return self._timeout

    def recv_into(self, buffer):
        if not self._unread:
            if not self._pieces:
                return 0
            seconds, self._unread = self._pieces.pop(0)
            self._clock.pass_(seconds if self._timeout is None else min(seconds, self._timeout))
            if self._timeout is not None and seconds > self._timeout:
                raise TimeoutError
        size = min(len(self._unread), len(buffer))
        buffer[:size], self._unread = self._unread[:size], self._unread[size:]
        return size

    def makefile(self, mode):
        return io.BufferedReader(_Raw(self))


class _Raw(io.RawIOBase):
    def __init__(self, sock):
        self._sock = sock

    def readable(self):
        return True

    def readinto(self, buffer):
        return self._sock.recv_into(buffer)
