"""One connection to a host: sends a request over it, and receives the answer.

Which connection a request goes over, and whether it goes over another one when this one turns out to be closed, is for the
wire (`resto.transports.wire`).
"""

import io
import itertools
import socket
import ssl
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import partial
from http.client import HTTPException, HTTPResponse, RemoteDisconnected

from resto.courses import Arrival, Course
from resto.sensitive import sensitive_variables
from resto.transports.answers import (
    DRAIN_SIZE,
    FIRST_SIZE,
    LAST_CHANCE,
    Received,
    is_head,
    missing_of_short,
    parse_plain,
    read_answer,
    without_interim,
)
from resto.transports.bodies import Body
from resto.transports.failures import STALE, broke_off, broken, too_late
from resto.transports.heads import Heads, is_large
from resto.transports.idle import IdlePool
from resto.transports.limits import PIECE_SIZE
from resto.transports.messages import NoAnswerError, Request, Response, Stream


__all__ = ["Connection"]

# A body up to this size leaves in one piece with the headers; joining larger ones costs more than it saves.
JOIN_SIZE = 16 * 1024

# Seconds to wait for permission to send an announced body; servers may not give it.
EXPECT_WAIT = 1

# TLS writes all that it is given within one timeout; more than this would ask for a minimum speed.
TLS_SEND_SIZE = 16 * 1024

# What a socket says where somebody else would wait.
WOULD_BLOCK = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)

_GO_ON = b"HTTP/1.1 100"


class Connection:
    """Sends requests to one host, one at a time.

    Args:
        sock: Connected; it does not wait.
        heads: Writes the heads of the requests.
        timeout: Seconds that the host may stay silent.
    """

    __slots__ = ("_heads", "_sock", "_timeout")

    def __init__(self, sock: socket.socket, heads: Heads, timeout: float) -> None:
        self._sock = sock
        self._heads = heads
        self._timeout = timeout

    def close(self) -> None:
        """Close it, if it is not closed yet."""
        self._sock.close()

    def is_silent(self) -> bool:
        """Tell whether the connection is alive, and nothing has arrived over it; it does not wait from then on.

        This takes a third of the time of urllib3's ``is_connected``.
        """
        sock = self._sock
        if sock.gettimeout() != 0:
            sock.settimeout(0)
        try:
            socket.socket.recv(sock, 1, socket.MSG_PEEK)  # not that of TLS, which has no such flag
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def exchange(self, request: Request, idle: "IdlePool[Connection]") -> Course[Response]:
        """Send a request and return the answer; close the connection, unless it can be used again.

        Args:
            request: What to send.
            idle: Where the connection waits for the next one.

        Raises:
            OSError: One of `STALE`: the connection was closed before anything was answered.
            NoAnswerError: There was no answer for another reason.
        """
        try:
            if is_large(request.body):
                received, is_sent, deadline = self._send_announced(request, request.body)
            else:
                received, is_sent, deadline = yield from self._send_and_receive(request)
            if request.stream and is_sent:
                received = yield from self._receive_short(received, deadline)
            plain = parse_plain(received, request.method)
            if plain is None:
                yield None  # the rest may not have arrived
                source = Received(self._sock, received, deadline)
                return self._answered_at_length(request, source, idle if is_sent else None)
            if is_sent and not plain.will_close:
                idle.give(self)
            else:
                self.close()
            stream = io.BytesIO(plain.body) if request.stream else None
            return Response(plain.status, plain.reason, plain.headers, stream)
        except BaseException as error:
            self._give_up(error)
            raise

    def _send_and_receive(self, request: Request) -> Course[tuple[bytes, bool, float]]:
        """Send a request bit by bit, as the host takes it.

        Returns:
            The head of the answer and what has come with it; whether the whole request was sent; and until when to wait for
            the rest, by `time.monotonic`.
        """
        sock, heard, has_answered = self._sock, b"", False
        descriptor = sock.fileno()
        unsent = _Unsent(sock, self._pieces(request))
        unsent.send()
        # Whoever collects the answers of several hosts may come late to this one: they all share the time.
        deadline = time.monotonic() + self._timeout
        while True:
            yield Arrival(descriptor, deadline, unsent.is_left)
            try:
                while not (has_answered and is_head(heard)):
                    if has_answered and time.monotonic() > deadline + LAST_CHANCE:
                        raise TimeoutError  # although it talks and talks
                    received = sock.recv(FIRST_SIZE)  # a host may refuse what has not arrived as a whole
                    if not received:
                        break
                    has_answered, heard = True, without_interim(heard + received)
            except WOULD_BLOCK:
                if unsent.is_left and unsent.send():
                    deadline = time.monotonic() + self._timeout
                elif time.monotonic() >= deadline:
                    raise TimeoutError from None
                continue
            except STALE as error:
                if has_answered:
                    raise broken(error) from error
                raise
            if not heard:
                closed = RemoteDisconnected("closed without an answer")
                raise broken(closed) if has_answered else closed  # an interim answer is one
            return heard, unsent.is_sent, deadline

    def _receive_short(self, received: bytes, deadline: float) -> Course[bytes]:
        """Return what has arrived of an answer with the rest of it, if that is short and comes in time.

        A thread that waits for it costs more than a small file itself.
        """
        missing = missing_of_short(received)
        while missing:
            try:
                more = self._sock.recv(missing)
            except WOULD_BLOCK:
                if time.monotonic() >= deadline:
                    break
                yield Arrival(self._sock.fileno(), deadline)
                continue
            except STALE:
                break  # whoever reads on finds the end
            if not more:
                break
            received, missing = received + more, missing - len(more)
        return received

    def _send_announced(self, request: Request, body: Body) -> tuple[bytes, bool, float]:
        """Do so with a body that the host may refuse to receive, and wait for it."""
        sock = self._sock
        sock.settimeout(self._timeout)
        _send(sock, [self._heads.of(request)])
        sock.settimeout(min(self._timeout, EXPECT_WAIT))
        try:
            first = sock.recv(FIRST_SIZE)
        except TimeoutError:
            first = None
        finally:
            sock.settimeout(self._timeout)
        # Of a status that has not arrived as a whole nothing is known: it may be an interim one.
        may_send = first != b"" and (first or _GO_ON)[9:10] in (b"", b"1")
        is_sent = may_send and _send(sock, body.blocks())
        answer = sock.recv(FIRST_SIZE) if first is None else first
        if not answer:
            raise RemoteDisconnected("closed without an answer")
        return answer, is_sent, time.monotonic() + self._timeout

    def _answered_at_length(self, request: Request, source: Received, idle: "IdlePool[Connection] | None") -> Response:
        try:
            answer = read_answer(source, request.method)
        except STALE as error:
            # Not that of a connection which was closed while it was idle: the host had begun to answer.
            raise broken(error) from error
        except (OSError, HTTPException):
            raise
        except Exception as error:
            raise broken(error) from error
        stream = _AnswerStream(answer, source, self._timeout, self, None if answer.will_close else idle)
        if not (request.stream and answer.status in (200, 207)):
            stream.drain()
        return Response(answer.status, answer.reason, answer.headers, stream if request.stream else None)

    def _pieces(self, request: Request) -> Iterator[bytes]:
        """Return what is to be sent: head and body in one piece, if the body is small."""
        head, body = self._heads.of(request), request.body
        if body is None:
            return iter((head,))
        if body.size <= JOIN_SIZE:
            return iter((head + (body.content if isinstance(body.content, bytes) else b"".join(body.blocks())),))
        return itertools.chain((head,), body.blocks())

    def _give_up(self, error: BaseException) -> None:
        """Close after something went wrong, and tell what, unless it was stale or not the connection's fault.

        Raises:
            NoAnswerError: What went wrong.
        """
        self.close()
        if isinstance(error, TimeoutError):
            raise too_late(self._timeout) from error
        if isinstance(error, OSError | HTTPException) and not isinstance(error, STALE):
            raise broken(error) from error


class _Unsent:
    """What is left of a request, for a host that takes it bit by bit.

    Attributes:
        is_left: Whether anything is left that the host may still take.
        is_sent: Whether the host has taken the whole request.
    """

    __slots__ = ("_pieces", "_rest", "_size", "_sock", "is_left", "is_sent")

    def __init__(self, sock: socket.socket, pieces: Iterator[bytes]) -> None:
        self._sock = sock
        self._pieces = pieces
        self._rest: bytes | memoryview = b""
        self._size = TLS_SEND_SIZE if isinstance(sock, ssl.SSLSocket) else None
        self.is_left = True
        self.is_sent = False

    @sensitive_variables()  # heads are sent, too
    def send(self) -> bool:
        """Send as much as the host takes at once; return whether that was anything."""
        any_sent = False
        try:
            while rest := self._rest or next(self._pieces, b""):
                self._rest = rest
                sent = self._sock.send(rest[: self._size])
                any_sent = True
                self._rest = b"" if sent == len(rest) else memoryview(rest)[sent:]
            self.is_left, self.is_sent = False, True
        except WOULD_BLOCK:
            pass
        except STALE:
            self.is_left = False  # it may have answered all the same
        return any_sent


class _AnswerStream(Stream):
    """The body of an answer; never ends early in silence, and gives its connection back when it is read to its end."""

    def __init__(
        self,
        answer: HTTPResponse,
        source: Received,
        timeout: float,
        connection: Connection,
        idle: IdlePool[Connection] | None,
    ) -> None:
        self._answer = answer
        self._source = source
        self._timeout = timeout
        self._connection = connection
        self._idle = idle
        self._closed = False

    def read(self, size: int = -1, /) -> bytes:
        if size < 0:
            return b"".join(iter(partial(self.read, PIECE_SIZE), b""))
        self._source.begin_piece(self._timeout)
        return self._read(min(size, PIECE_SIZE))

    def _read(self, size: int) -> bytes:
        try:
            block = self._answer.read(size)
        except Exception as error:
            self._abandon()
            raise broke_off(error) from error
        if not block and size and self._answer.length:
            self._abandon()
            raise NoAnswerError("its answer broke off", ambiguous=True)
        return block

    def drain(self) -> None:
        with suppress(NoAnswerError):  # nobody wanted the body
            self._read(DRAIN_SIZE)
        self.close()

    def _abandon(self) -> None:
        self._idle = None  # the connection is of no use any more
        self._connection.close()

    def close(self) -> None:
        if self._closed:
            return  # the connection may serve another request already
        self._closed = True
        # At the end of its body, `http.client` closes an answer by itself.
        if self._idle is not None and (self._answer.isclosed() or self._answer.length == 0):
            self._answer.close()
            self._idle.give(self._connection)
        else:
            self._answer.close()
            self._connection.close()


@sensitive_variables()
def _send(sock: socket.socket, blocks: Iterable[bytes]) -> bool:
    """Send blocks; return False if the host stopped listening, in which case it may have answered all the same."""
    limit = TLS_SEND_SIZE if isinstance(sock, ssl.SSLSocket) else None
    for block in blocks:
        rest = memoryview(block)
        while rest:
            try:
                # Not sendall: that one counts the timeout from the first byte to the last.
                rest = rest[sock.send(rest[:limit]) :]
            except STALE:
                return False
    return True
