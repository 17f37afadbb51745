"""Requests on their way over a connection, bit by bit, as the host takes them."""

import socket
import ssl
from collections.abc import Iterator
from http.client import RemoteDisconnected
from typing import Generic, Protocol, TypeVar

from resto.clock import monotonic
from resto.courses import Arrival
from resto.sensitive import sensitive_variables
from resto.transports.answers import FIRST_SIZE, LAST_CHANCE, is_head, without_interim
from resto.transports.bodies import Straight
from resto.transports.failures import STALE, broken, endless
from resto.transports.limits import MAX_UNWANTED, AtWorkError, last_deadline
from resto.transports.messages import Request


__all__ = ["WOULD_BLOCK", "Begun", "Line"]

# What a socket says where somebody else would wait.
WOULD_BLOCK = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Line(Protocol):
    """What a request goes over.

    Attributes:
        sock: Does not wait.
        descriptor: That of the socket.
        timeout: Seconds that the host may stay silent.
        largest: How many bytes are sent at a time; None for any number.
    """

    sock: socket.socket
    descriptor: int
    timeout: float
    largest: int | None

    def close(self) -> None:
        """Close it, if it is not closed yet."""


L = TypeVar("L", bound=Line)


class Begun(Generic[L]):
    """A request on its way over a connection, bit by bit, as the host takes it; and what has come of the answer.

    Args:
        connection: Serves nothing else meanwhile.
        pieces: What to send.
        asked: The method and the target.
        follower: As below.

    Attributes:
        connection: As given.
        asked: As given.
        heard: What has arrived of the answer.
        is_sent: Whether the host has taken the whole request.
        deadline: Until when to wait for the rest of the answer, by `resto.clock.monotonic`.
        last: Until when, if there were interim answers since the host has taken anything; None if there were none.
        follower: Another request, of which the pieces are the last ones; None if there is none.
        is_follower: Whether this was sent behind another request, before that had its answer.
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
        "follower",
        "heard",
        "is_follower",
        "is_sent",
        "last",
    )

    def __init__(
        self,
        connection: L,
        pieces: Iterator[bytes | Straight],
        asked: tuple[str, str],
        follower: Request | None = None,
    ) -> None:
        self.connection = connection
        self.asked = asked
        self.follower = follower
        self.is_follower = False
        self._pieces = pieces
        self._rest: bytes | memoryview | Straight = b""
        self._is_left = True  # that the host may still take
        self._has_answered = self.is_sent = False
        self.heard = b""
        self._interim_size = 0
        self.deadline: float = 0
        self.last: float | None = None
        self.error: Exception | None = None

    @classmethod
    def of_sent(cls, connection: L, request: Request, heard: bytes, *, is_whole: bool = True) -> "Begun[L]":
        """Return a request of which nothing is left to be sent.

        Args:
            connection: Over which it was sent.
            request: What was sent.
            heard: What has arrived of the answer.
            is_whole: Whether it was sent as a whole, behind another one; if not, the host has refused the body.
        """
        begun = cls(connection, iter(()), (request.method, request.target))
        begun.is_sent = begun.is_follower = is_whole
        begun._is_left = False
        begun.deadline = monotonic() + connection.timeout
        return begun.after(heard or None)

    def after(self, said: bytes | None) -> "Begun[L]":
        """Return this, of which the host has said something already; None if it has not."""
        if said is not None:
            self._has_answered, self.heard = True, without_interim(said)
        return self

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
                if type(rest) is Straight:
                    rest.send_to(sock)
                    any_sent = True
                    continue
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
                self.deadline, self.last = monotonic() + self.connection.timeout, None
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
