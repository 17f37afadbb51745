"""One connection to a host: sends a request over it, and receives the answer.

Which connection a request goes over, and whether it goes over another one when this one turns out to be closed, is for the
wire (`resto.transports.wire`).
"""

import io
import itertools
import select
import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from http.client import HTTPException, RemoteDisconnected
from typing import cast

from resto.clock import monotonic
from resto.courses import Arrival, Course
from resto.sensitive import sensitive_variables
from resto.transports.answers import (
    FIRST_SIZE,
    Received,
    missing_of_short,
    parse_plain,
    read_answer,
    split_plain,
    without_interim,
)
from resto.transports.begun import WOULD_BLOCK, Begun
from resto.transports.bodies import Body, Straight
from resto.transports.failures import STALE, broken, too_late
from resto.transports.heads import Heads, is_announced, is_large
from resto.transports.idle import IdlePool
from resto.transports.keeping import kept_for
from resto.transports.messages import Request, Response
from resto.transports.steps import STORED
from resto.transports.streams import AnswerStream


__all__ = ["Connection", "joined"]

# A body up to this size leaves in one piece with the headers; joining larger ones costs more than it saves.
JOIN_SIZE = 16 * 1024

# Seconds to wait for permission to send an announced body; servers may not give it.
EXPECT_WAIT = 1

# TLS writes all that it is given within one timeout, so that this asks for a minimum speed. Less costs more of the processor.
TLS_SEND_SIZE = 64 * 1024


class Connection:
    """Sends requests to one host, one at a time.

    Args:
        sock: Connected; it does not wait.
        heads: Writes the heads of the requests.
        timeout: Seconds that the host may stay silent.

    Attributes:
        sock: As given.
        descriptor: That of the socket.
        timeout: As given.
        lasts: For how many seconds it can be idle; 0 before the first answer.
        largest: How many bytes are sent at a time; None for any number.
    """

    __slots__ = ("_heads", "_is_proven", "_poller", "descriptor", "largest", "lasts", "sock", "timeout")

    def __init__(self, sock: socket.socket, heads: Heads, timeout: float) -> None:
        self.sock = sock
        self._heads = heads
        self.timeout = timeout
        self.lasts: float = 0
        self._is_proven = False  # that the host stores large bodies that come over it
        self.largest = TLS_SEND_SIZE if isinstance(sock, ssl.SSLSocket) else None
        self.descriptor = sock.fileno()
        self._poller = select.poll()
        self._poller.register(self.descriptor, select.POLLIN)

    def close(self) -> None:
        """Close it, if it is not closed yet."""
        self.sock.close()

    def is_silent(self) -> bool:
        """Tell whether the connection is alive, and nothing has arrived over it.

        This takes a tenth of the time of urllib3's ``is_connected``.
        """
        return not self._poller.poll(0)

    def rest(self, idle: IdlePool["Connection"]) -> None:
        """Wait among others for the next request."""
        self.sock.settimeout(0)
        idle.give(self)

    def exchange(
        self, request: Request, idle: IdlePool["Connection"], begun: "Begun[Connection] | None" = None
    ) -> Course[Response]:
        """Send a request and return the answer; close the connection, unless it can be used again, or something follows.

        Args:
            request: What to send.
            idle: Where the connection waits for the next one.
            begun: The same request, if it is on its way.

        Raises:
            OSError: One of `STALE`: the connection was closed before anything was answered.
            NoAnswerError: There was no answer for another reason.
        """
        try:
            begun = begun or self._begin(request)
            while not begun.has_head():
                yield begun.arrival()
            received, rest, is_sent, follower = begun.heard, b"", begun.is_sent, begun.follower
            if is_sent and (request.stream or follower):
                received = yield from self._receive_short(received, begun.deadline)
            if follower:
                received, rest = split_plain(received)
            plain = parse_plain(received, request.method)
            if plain is None:
                yield None  # the rest may not have arrived
                source = Received(self.sock, received + rest, begun.deadline, self.timeout, begun.last)
                return self._answered_at_length(request, source, idle if is_sent and not follower else None)
        except BaseException as error:
            self._give_up(error, idle)
            raise
        response, body, will_close = plain
        self._learn(request, response)
        response.stream = io.BytesIO(body) if request.stream else None
        if will_close or not is_sent:
            self.close()
        elif follower is None:
            self.rest(idle)
        else:
            response.behind = Begun.of_sent(self, follower, rest)
        return response

    def _begin(self, request: Request) -> "Begun[Connection]":
        """Return a request that can be sent; if its body is to be announced, the host was asked."""
        follower = None
        if self._is_proven:
            # The host takes large bodies, and keeps connections: it is neither asked, nor waited for.
            request, follower = replace(request, is_announced=False), request.followed_by
        elif is_announced(request):
            return self._announced(request)
        pieces = itertools.chain(self._pieces(request), () if follower is None else self._pieces(follower))
        return Begun(self, pieces, (request.method, request.target), follower)

    @sensitive_variables()  # the head
    def _announced(self, request: Request) -> "Begun[Connection]":
        """Announce a body that the host may refuse to receive, and wait for what it says, if it does; return what is left to be done."""
        sock, asked = self.sock, (request.method, request.target)
        sock.settimeout(self.timeout)
        with suppress(*STALE):  # it may have answered all the same
            sock.sendall(self._heads.of(request))
        sock.settimeout(min(self.timeout, EXPECT_WAIT))
        try:
            first = sock.recv(FIRST_SIZE)
        except TimeoutError:
            first = None
        finally:
            sock.settimeout(0)
        if first == b"":
            raise RemoteDisconnected("closed without an answer")
        heard = without_interim(first or b"")
        # Of a status that has not arrived as a whole nothing is known: it may be an interim one.
        if heard[9:10] not in (b"", b"1"):
            return Begun.of_sent(self, request, heard, is_whole=False)
        return Begun(self, self._body(cast("Body", request.body)), asked).after(first)

    def _receive_short(self, received: bytes, deadline: float) -> Course[bytes]:
        """Return what has arrived of an answer with the rest of it, if that is short and comes in time.

        A thread that waits for it costs more than a small file itself.
        """
        missing = missing_of_short(received)
        while missing:
            try:
                more = self.sock.recv(missing)
            except WOULD_BLOCK:
                if monotonic() >= deadline:
                    break
                yield Arrival(self.descriptor, deadline)
                continue
            except STALE:
                break  # whoever reads on finds the end
            if not more:
                break
            received, missing = received + more, missing - len(more)
        return received

    def _answered_at_length(self, request: Request, source: Received, idle: IdlePool["Connection"] | None) -> Response:
        try:
            answer = read_answer(source, request.method)
        except STALE as error:
            # Not that of a connection which was closed while it was idle: the host had begun to answer.
            raise broken(error) from error
        except (OSError, HTTPException):
            raise
        except Exception as error:
            raise broken(error) from error
        stream = AnswerStream(answer, source, self.timeout, self, None if answer.will_close else idle)
        response = Response(answer.status, answer.reason, answer.headers, stream if request.stream else None)
        self._learn(request, response)
        if not (request.stream and answer.status in (200, 206, 207)):
            stream.drain()
        return response

    def _pieces(self, request: Request) -> Iterator[bytes | Straight]:
        """Return what is to be sent: head and body in one piece, if the body is small."""
        head, body = self._heads.of(request), request.body
        if body is None:
            return iter((head,))
        if isinstance(body.content, bytes):
            return iter(joined(head, body.content))
        if body.size > JOIN_SIZE:
            return itertools.chain((head,), self._body(body))
        return iter((head + b"".join(body.blocks()),))

    def _body(self, body: Body) -> Iterator[bytes | Straight]:
        """Return what is to be sent of a large body: TLS has to read it."""
        return body.blocks() if self.largest or isinstance(body.content, bytes) else iter((Straight(body),))

    def _learn(self, request: Request, response: Response) -> None:
        self.lasts = self.lasts or kept_for(response.headers)
        if is_large(request.body):
            self._is_proven = response.status in STORED

    def _give_up(self, error: BaseException, idle: IdlePool["Connection"]) -> None:
        """Close after something went wrong, and tell what, unless it was stale or not the connection's fault.

        Args:
            error: What it was.
            idle: Connections of which others may wait as long for nothing, where all have died in silence.

        Raises:
            NoAnswerError: What went wrong.
        """
        self.close()
        if isinstance(error, TimeoutError):
            idle.clear()
            raise too_late(self.timeout, error) from error
        if isinstance(error, OSError | HTTPException) and not isinstance(error, STALE):
            raise broken(error) from error


def joined(head: bytes, content: bytes) -> tuple[bytes, ...]:
    """Return head and body in one piece, if the body is small; else in two."""
    return (head + content,) if len(content) <= JOIN_SIZE else (head, content)
