"""The bodies of answers that arrive over connections which are kept alive."""

from contextlib import suppress
from functools import partial
from http.client import HTTPResponse
from typing import Any, Protocol

from resto.transports.answers import DRAIN_SIZE, Received
from resto.transports.failures import broke_off
from resto.transports.idle import IdlePool
from resto.transports.limits import PIECE_SIZE
from resto.transports.messages import NoAnswerError, Stream


__all__ = ["AnswerStream"]


class Line(Protocol):
    """What an answer arrives over."""

    def rest(self, idle: IdlePool[Any], /) -> None: ...
    def close(self) -> None: ...


class AnswerStream(Stream):
    """The body of an answer; never ends early in silence, and gives its connection back when it is read to its end."""

    def __init__(
        self,
        answer: HTTPResponse,
        source: Received,
        timeout: float,
        connection: Line,
        idle: IdlePool[Any] | None,
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
        """Read what is left, if it is little, so that the connection can be used again; close it if not."""
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
            self._connection.rest(self._idle)
        else:
            self._answer.close()
            self._connection.close()
