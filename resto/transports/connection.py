"""One connection to a host: sends a request over it, and receives the answer.

Which connection a request goes over, and whether it goes over another one when this one turns out to be closed, is for the
wire (`resto.transports.wire`).
"""

import io
import itertools
import select
import socket
import ssl
from collections.abc import Iterable, Iterator
from http.client import HTTPException, RemoteDisconnected

from resto.clock import monotonic
from resto.courses import Arrival, Course
from resto.sensitive import sensitive_variables
from resto.transports.answers import (
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
from resto.transports.failures import STALE, broken, endless, too_late
from resto.transports.heads import Heads, is_announced
from resto.transports.idle import IdlePool
from resto.transports.keeping import kept_for
from resto.transports.limits import MAX_UNWANTED, AtWorkError, last_deadline
from resto.transports.messages import Request, Response
from resto.transports.streams import AnswerStream


__all__ = ["Begun", "Connection", "joined"]

# A body up to this size leaves in one piece with the headers; joining larger ones costs more than it saves.
JOIN_SIZE = 16 * 1024

# Seconds to wait for permission to send an announced body; servers may not give it.
EXPECT_WAIT = 1

# TLS writes all that it is given within one timeout, so that this asks for a minimum speed. Less costs more of the processor.
TLS_SEND_SIZE = 64 * 1024

# What a socket says where somebody else would wait.
WOULD_BLOCK = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)

_GO_ON = b"HTTP/1.1 100"


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

    __slots__ = ("_heads", "_poller", "descriptor", "largest", "lasts", "sock", "timeout")

    def __init__(self, sock: socket.socket, heads: Heads, timeout: float) -> None:
        self.sock = sock
        self._heads = heads
        self.timeout = timeout
        self.lasts: float = 0
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
        self, request: Request, idle: IdlePool["Connection"], begun: "Begun | None" = None
    ) -> Course[Response]:
        """Send a request and return the answer; close the connection, unless it can be used again.

        Args:
            request: What to send.
            idle: Where the connection waits for the next one.
            begun: The same request, if it is on its way.

        Raises:
            OSError: One of `STALE`: the connection was closed before anything was answered.
            NoAnswerError: There was no answer for another reason.
        """
        try:
            if request.body is not None and is_announced(request):
                received, is_sent, deadline = self._send_announced(request, request.body)
                last = None
            else:
                begun = begun or Begun(self, self._pieces(request), (request.method, request.target))
                while not begun.has_head():
                    yield begun.arrival()
                received, is_sent, deadline, last = begun.heard, begun.is_sent, begun.deadline, begun.last
            if request.stream and is_sent:
                received = yield from self._receive_short(received, deadline)
            plain = parse_plain(received, request.method)
            if plain is None:
                yield None  # the rest may not have arrived
                source = Received(self.sock, received, deadline, self.timeout, last)
                return self._answered_at_length(request, source, idle if is_sent else None)
        except BaseException as error:
            self._give_up(error, idle)
            raise
        response, body, will_close = plain
        self.lasts = self.lasts or kept_for(response.headers)
        response.stream = io.BytesIO(body) if request.stream else None
        if is_sent and not will_close:
            self.rest(idle)
        else:
            self.close()
        return response

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

    def _send_announced(self, request: Request, body: Body) -> tuple[bytes, bool, float]:
        """Do so with a body that the host may refuse to receive, and wait for it."""
        sock = self.sock
        sock.settimeout(self.timeout)
        _send(sock, [self._heads.of(request)], self.largest)
        sock.settimeout(min(self.timeout, EXPECT_WAIT))
        try:
            first = sock.recv(FIRST_SIZE)
        except TimeoutError:
            first = None
        finally:
            sock.settimeout(self.timeout)
        # Of a status that has not arrived as a whole nothing is known: it may be an interim one.
        may_send = first != b"" and (first or _GO_ON)[9:10] in (b"", b"1")
        is_sent = may_send and _send(sock, body.blocks(), self.largest)
        answer = sock.recv(FIRST_SIZE) if first is None else first
        if not answer:
            raise RemoteDisconnected("closed without an answer")
        return answer, is_sent, monotonic() + self.timeout

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
        self.lasts = self.lasts or kept_for(answer.headers)
        stream = AnswerStream(answer, source, self.timeout, self, None if answer.will_close else idle)
        if not (request.stream and answer.status in (200, 206, 207)):
            stream.drain()
        return Response(answer.status, answer.reason, answer.headers, stream if request.stream else None)

    def _pieces(self, request: Request) -> Iterator[bytes]:
        """Return what is to be sent: head and body in one piece, if the body is small."""
        head, body = self._heads.of(request), request.body
        if body is None:
            return iter((head,))
        if isinstance(body.content, bytes):
            return iter(joined(head, body.content))
        if body.size > JOIN_SIZE:
            return itertools.chain((head,), body.blocks())
        return iter((head + b"".join(body.blocks()),))

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


class Begun:
    """A request on its way over a connection, bit by bit, as the host takes it; and what has come of the answer.

    Args:
        connection: Serves nothing else meanwhile.
        pieces: What to send.
        asked: The method and the target.

    Attributes:
        connection: As given.
        asked: As given.
        heard: What has arrived of the answer.
        is_sent: Whether the host has taken the whole request.
        deadline: Until when to wait for the rest of the answer, by `resto.clock.monotonic`.
        last: Until when, if there were interim answers; None if there were none.
        error: What went wrong, if whoever goes on with this is to deal with it.
    """

    __slots__ = (
        "_has_answered",
        "_interim_size",
        "_is_left",
        "_pieces",
        "_rest",
        "asked",
        "connection",
        "deadline",
        "error",
        "heard",
        "is_sent",
        "last",
    )

    def __init__(self, connection: Connection, pieces: Iterator[bytes], asked: tuple[str, str]) -> None:
        self.connection = connection
        self.asked = asked
        self._pieces = pieces
        self._rest: bytes | memoryview = b""
        self._is_left = True  # that the host may still take
        self._has_answered = self.is_sent = False
        self.heard = b""
        self._interim_size = 0
        self.deadline: float = 0
        self.last: float | None = None
        self.error: Exception | None = None

    def arrival(self) -> Arrival:
        """Return what is waited for, with more to be sent or without."""
        return Arrival(self.connection.descriptor, self.deadline, self._is_left)

    @sensitive_variables()  # heads are sent, too
    def send(self) -> bool:
        """Send as much as the host takes at once; return whether that was anything."""
        any_sent, sock, largest = False, self.connection.sock, self.connection.largest
        try:
            while rest := self._rest or next(self._pieces, b""):
                self._rest = rest
                sent = sock.send(rest if largest is None else rest[:largest])
                any_sent = True
                self._rest = b"" if sent == len(rest) else memoryview(rest)[sent:]
            self._is_left, self.is_sent = False, True
        except WOULD_BLOCK:
            pass
        except STALE:
            self._is_left = False  # it may have answered all the same
        return any_sent

    def has_head(self) -> bool:
        """Send and receive what can be without waiting; return whether the head of the answer is there, and perhaps more.

        Raises:
            OSError: Nothing comes any more. It is one of `STALE` if nothing has come before.
            NoAnswerError: It broke off.
        """
        if self.error is not None:
            raise self.error
        if not self.deadline:
            self.send()
            # Whoever collects the answers of several hosts may come late to this one: they all share the time.
            self.deadline = monotonic() + self.connection.timeout
            return False
        try:
            while not (self._has_answered and is_head(self.heard)):
                if self._has_answered and monotonic() > self.deadline + LAST_CHANCE:
                    raise self._late()  # although it talks and talks
                received = self.connection.sock.recv(FIRST_SIZE)  # a host may refuse what has not arrived as a whole
                if not received:
                    break
                self._has_answered, self.heard = True, self.heard + received
                if self.heard[9:10] == b"1":
                    self._skip_interim()
        except WOULD_BLOCK:
            if self._is_left and self.send():
                self.deadline = monotonic() + self.connection.timeout
            elif monotonic() >= self.deadline:
                raise self._late() from None
            return False
        except STALE as error:
            if self._has_answered:
                raise broken(error) from error
            raise
        if not self.heard:
            closed = RemoteDisconnected("closed without an answer")
            raise broken(closed) if self._has_answered else closed  # an interim answer is one
        return True

    def _skip_interim(self) -> None:
        """Wait a while longer, if the host has given interim answers."""
        final = without_interim(self.heard)
        if final == self.heard:
            return
        self._interim_size += len(self.heard) - len(final)
        if self._interim_size > MAX_UNWANTED:
            raise endless()
        self.heard, timeout = final, self.connection.timeout
        if self.last is None:
            self.last = last_deadline(self.deadline, timeout)
        self.deadline = max(self.deadline, min(monotonic() + timeout, self.last))

    def _late(self) -> TimeoutError:
        return AtWorkError() if self.deadline == self.last else TimeoutError()


def joined(head: bytes, content: bytes) -> tuple[bytes, ...]:
    """Return head and body in one piece, if the body is small; else in two."""
    return (head + content,) if len(content) <= JOIN_SIZE else (head, content)


@sensitive_variables()
def _send(sock: socket.socket, blocks: Iterable[bytes], largest: int | None) -> bool:
    """Send blocks; return False if the host stopped listening, in which case it may have answered all the same."""
    for block in blocks:
        rest = memoryview(block)
        while rest:
            try:
                # Not sendall: that one counts the timeout from the first byte to the last.
                rest = rest[sock.send(rest[:largest]) :]
            except STALE:
                return False
    return True
