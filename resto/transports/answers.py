"""Answers to requests: plain ones are read here, and all others by `http.client`, which takes ten times as long.

An answer is plain if it has arrived as a whole, with its body, in the form that all servers use: HTTP/1.1, well-formed
header fields, and no transfer coding (RFC 9112). That of nearly every upload, deletion and question is.
"""

import io
import re
import socket
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from http.client import HTTPResponse
from typing import Any, cast


__all__ = ["FIRST_SIZE", "Fields", "PlainAnswer", "is_head", "parse_plain", "read_answer", "without_interim"]

# Bytes of an answer that are asked for first: a head, and the page that comes with an error.
FIRST_SIZE = 4096

# Bytes of a head after which it is for `http.client` to judge whether it is one.
MAX_HEAD = 65_536

_NAME = b"HTTP/"
_END = b"\r\n\r\n"
_STATUS = re.compile(rb"HTTP/1\.1 ([2-5][0-9]{2})( [\t -~]*)?\r\n")  # not 1xx: another answer follows
_INTERIM = re.compile(rb"HTTP/1\.[01] 1[0-9]{2}[^\r\n]*\r\n(?:[^\r\n]+\r\n)*\r\n")
_LENGTH = re.compile(rb"\ncontent-length:[\t ]*([0-9]{1,18})[\t ]*\r")
_CONNECTION = re.compile(rb"\nconnection:([^\r]*)\r")
_LINES = re.compile(
    rb"\n(?:[a-z][^\r\n: \t]*:[^\r\n]*\r\n)*\r\n"
)  # no folded ones (RFC 9112, section 5.2), nor half ones
_CODING = b"\ntransfer-encoding"


class Fields(Mapping[str, str]):
    """Header fields, looked up without regard to case, and only taken apart when somebody looks.

    Args:
        lines: The fields as they were sent, each with its line break.
    """

    def __init__(self, lines: bytes) -> None:
        self._lines = lines
        self._values: dict[str, str] | None = None

    def _parsed(self) -> dict[str, str]:
        if self._values is None:
            self._values = {}
            for line in self._lines.decode("latin-1").split("\r\n")[:-1]:
                name, _, value = line.partition(":")
                self._values.setdefault(name.lower(), value.strip(" \t"))
        return self._values

    def __getitem__(self, name: str) -> str:
        return self._parsed()[name.lower()]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._parsed()

    def __iter__(self) -> Iterator[str]:
        return iter(self._parsed())

    def __len__(self) -> int:
        return len(self._parsed())


class PlainAnswer:
    """An answer of which nothing is left to be read.

    Attributes:
        status: HTTP status code.
        reason: What the server says beside it.
        headers: The header fields.
        will_close: Whether the server closes the connection now.
    """

    __slots__ = ("headers", "reason", "status", "will_close")

    def __init__(self, status: int, reason: str, headers: Fields, *, will_close: bool) -> None:
        self.status = status
        self.reason = reason
        self.headers = headers
        self.will_close = will_close


def parse_plain(received: bytes, method: str) -> PlainAnswer | None:
    """Return an answer, if it is plain; None if `read_answer` must find out what it is.

    Args:
        received: What has arrived of it.
        method: Of the request.
    """
    end = received.find(_END) + len(_END)
    start = _STATUS.match(received)
    if start is None or end < len(_END):
        return None
    fields = received[start.end() - 1 : end].lower()
    status = int(start[1])
    size = 0 if method == "HEAD" or status in (204, 304) else _body_size(fields)
    if size is None or len(received) != end + size or not _LINES.fullmatch(fields):
        return None
    connection = _CONNECTION.search(fields)
    will_close = connection is not None and b"close" in connection[1]
    headers = Fields(received[start.end() : end - 2])
    return PlainAnswer(status, (start[2] or b"")[1:].decode(), headers, will_close=will_close)


def _body_size(fields: bytes) -> int | None:
    """Return how long a body is; None unless the fields say so once and for all."""
    if _CODING in fields or fields.count(b"\ncontent-length") != 1:
        return None
    length = _LENGTH.search(fields)
    return None if length is None else int(length[1])


def without_interim(received: bytes) -> bytes:
    """Return what has arrived without the interim answers at its beginning (RFC 9110, section 15.2), as far as they are whole."""
    while (interim := _INTERIM.match(received)) is not None:
        received = received[interim.end() :]
    return received


def is_head(received: bytes) -> bool:
    """Return whether the head of an answer has arrived, or what cannot be one."""
    is_whole = b"\n\r\n" in received or b"\n\n" in received
    return is_whole or not received.startswith(_NAME[: len(received)]) or len(received) > MAX_HEAD


def read_answer(sock: socket.socket, method: str, received: bytes) -> HTTPResponse:
    """Read the head of an answer that is not plain, past interim ones (RFC 9110, section 15.2).

    Args:
        sock: Where the rest of it comes from.
        method: Of the request.
        received: What has arrived of it.

    Raises:
        OSError: The connection broke.
        HTTPException: It is not HTTP.
    """
    answer = HTTPResponse(cast("socket.socket", _Received(sock, received)), method=method)
    try:
        answer.begin()
        while answer.status < HTTPStatus.OK:
            # Of these, `http.client` skips 100 by itself; any other one would pass for the final answer.
            answer.headers = None  # type: ignore[assignment]  # makes `begin` read another head
            answer.begin()
    except BaseException:
        answer.close()
        raise
    return answer


class _Received(io.RawIOBase):
    """What has arrived of an answer, and then what comes, as the socket that `http.client` wants."""

    def __init__(self, sock: socket.socket, received: bytes) -> None:
        super().__init__()
        self._sock = sock
        self._rest = memoryview(received)

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._rest:
            return self._sock.recv_into(buffer)
        size = min(len(self._rest), len(buffer))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size
