"""Answers that come over requests, with the limits that they lack there: of time for all of a head, and of size for a body."""

import io
import socket
from functools import cache
from http.client import HTTPException, HTTPResponse
from typing import Any

from resto.clock import monotonic
from resto.transports.chunks import AnswerReader, begin_final, end_head
from resto.transports.limits import MAX_UNWANTED, Patience
from resto.transports.steps import path_of_url


__all__ = ["EndlessAnswerError", "LimitedAnswer", "limit_answers"]


class EndlessAnswerError(HTTPException):
    """Nobody wants so much of an answer."""


class LimitedAnswer(HTTPResponse):
    """An answer whose head, and a body that nobody wants, have one timeout in all: that of the socket.

    Where requests would read on, whatever comes: for an auth object that reads the page of a refusal, for example. The body is
    never decompressed, as nothing but ``identity`` was asked for: a little of it may stand for more than the memory holds.

    Args:
        sock: What it comes from.
        *args: As for `HTTPResponse`.
        **kwargs: As for `HTTPResponse`.
    """

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self._arriving = _Arriving(self.fp.detach(), sock)
        self.fp = AnswerReader(self._arriving, self._arriving.go_on)

    def begin(self) -> None:
        """Read the head, past those of interim answers."""
        begin_final(self, super().begin)
        del self.headers["Content-Encoding"]
        if path_of_url(self.headers.get("Location")) is None:
            del self.headers["Location"]  # requests fails, as it looks also at redirects that it shall not follow
        end_head(self)

    def begin_piece(self, timeout: float) -> None:
        """Wait for the next piece of a body that is wanted, as `Patience.begin_piece`."""
        self._arriving.begin_piece(timeout)


class _Arriving(io.RawIOBase):
    """What arrives over a socket, in its time."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket) -> None:
        super().__init__()
        self._raw = raw  # not the socket alone: that one may be closed as soon as nothing reads from it
        self._sock = sock
        timeout = sock.gettimeout()
        # An adapter may want to wait for ever.
        self._patience = None if timeout is None else Patience(monotonic() + timeout, timeout)
        self._room: float = MAX_UNWANTED

    def begin_piece(self, timeout: float) -> None:
        self._room = float("inf")  # whoever wants it counts
        if self._patience is not None:
            self._patience.begin_piece(timeout)

    def go_on(self) -> None:
        if self._patience is not None:
            self._patience.go_on()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self._patience is None:
            size = self._raw.readinto(buffer)
        else:
            size = self._patience.wait_for(self._sock, self._raw.readinto, buffer)
        self._room -= size or 0
        if self._room < 0:
            raise EndlessAnswerError
        return size

    def close(self) -> None:
        if not self.closed:
            self._raw.close()
        super().close()


def limit_answers(pool: Any) -> None:
    """Let the connections that a pool of urllib3 opens from now on bring nothing but `LimitedAnswer`."""
    pool.ConnectionCls = _limiting(pool.ConnectionCls)


@cache
def _limiting(connection: type[Any]) -> type[Any]:
    if issubclass(connection.response_class, LimitedAnswer):
        return connection
    return type(connection.__name__, (connection,), {"response_class": LimitedAnswer})
