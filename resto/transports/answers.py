"""Answers to requests: plain ones are read here, and all others by `http.client`, which takes ten times as long.

An answer is plain if it has arrived as a whole, with its body, in the form that all servers use: HTTP/1.1, well-formed
header fields, and no transfer coding (RFC 9112). That of nearly every upload, deletion and question is.
"""

import io
import re
import socket
from collections.abc import Iterator, Mapping
from http.client import HTTPResponse
from typing import Any, cast

from resto.clock import monotonic
from resto.transports.chunks import AnswerReader, begin_final, end_head
from resto.transports.limits import Patience
from resto.transports.messages import Response


__all__ = [
    "DRAIN_SIZE",
    "FIRST_SIZE",
    "LAST_CHANCE",
    "Fields",
    "Received",
    "is_head",
    "missing_of_short",
    "parse_plain",
    "read_answer",
    "split_plain",
    "usual_answer",
    "without_interim",
]

# Bytes of an answer that are asked for first: a head, and the page that comes with an error.
FIRST_SIZE = 4096

# The body of an answer that nobody wants is read up to this size, to keep the connection.
DRAIN_SIZE = 64 * 1024

# Bytes of a body that is not worth a thread to wait for its rest.
SHORT_SIZE = 64 * 1024

# Bytes of a head after which it is for `http.client` to judge whether it is one.
MAX_HEAD = 65_536

# Seconds for the rest of an answer to which whoever collects it comes too late: it may have arrived long ago.
LAST_CHANCE = 0.05

_NAME = b"HTTP/"
# Its status is not 1xx, as another answer follows. No field is folded (RFC 9112, section 5.2), nor half a one.
_HEAD = re.compile(rb"HTTP/1\.1 ([2-5][0-9]{2})(?: ([\t -~]*+))?\r\n((?:[A-Za-z][^\r\n: \t]*+:[^\r\n]*+\r\n)*+)\r\n")
# As nearly all servers write it, in which one look finds out everything: there is one length at most, no coding, and no end.
_OTHER_FIELDS = (
    rb"(?:(?:[ABE-RUW-Zabe-ruw-z]|Content-[ST]|Cache-|Date|Set-|Strict-|Vary)[A-Za-z-]*+: [!-~][ -~]*+\r\n"
    rb"|Connection: [Kk]eep-[Aa]live\r\n)*+"
)
_SERVER = rb"(?:Server: ([!-~][ -~]*+)\r\n%b)?+" % _OTHER_FIELDS
_USUAL = re.compile(
    rb"HTTP/1\.1 ([2-5][0-9]{2}) [ -~]*+\r\n%b%b(?:Content-Length: ([0-9]{1,18})\r\n%b)?+%b\r\n"
    % (_OTHER_FIELDS, _SERVER, _OTHER_FIELDS, _SERVER)
)
_STATUSES = {b"%d" % status: status for status in range(200, 600)}
_INTERIM = re.compile(rb"HTTP/1\.[01] 1[0-9]{2}[^\r\n]*\r\n(?:[^\r\n]+\r\n)*\r\n")
_LENGTH = re.compile(rb"\ncontent-length:[\t ]*([0-9]{1,18})[\t ]*\r")
_CONNECTION = re.compile(rb"\nconnection:([^\r]*)\r")
_WITHOUT_BODY = (204, 304)
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


def usual_answer(received: bytes, method: str) -> tuple[int, str]:
    """Return the status of a plain answer after which the connection stays open, and what it says of the server.

    That of others, and of some that are, is 0; and so it is of one that says more of the server than its Server header.

    Args:
        received: What has arrived of it.
        method: Of the request.
    """
    head = _USUAL.match(received)
    if head is None:
        return 0, ""
    status, server = _STATUSES[head[1]], head[2] or head[4]
    size = b"0" if method == "HEAD" or status in _WITHOUT_BODY else head[3]
    rest = len(received) - head.end()
    if size is None or (rest if size == b"0" else rest - int(size)):
        return 0, ""
    return status, "" if server is None else server.decode()


def parse_plain(received: bytes, method: str) -> tuple[Response, bytes, bool] | None:
    """Return an answer of which nothing is left to be read, if it is plain; None if `read_answer` must find out what it is.

    Args:
        received: What has arrived of it.
        method: Of the request.

    Returns:
        The answer, what comes after its head, and whether the server closes the connection now.
    """
    head = _HEAD.match(received)
    if head is None:
        return None
    status, fields = int(head[1]), b"\n" + head[3].lower()
    has_lengths = fields.count(b"\ncontent-length") > 1
    size = 0 if not has_lengths and (method == "HEAD" or status in _WITHOUT_BODY) else _body_size(fields)
    if size is None or len(received) != head.end() + size:
        return None
    connection = _CONNECTION.search(fields)
    will_close = connection is not None and b"close" in connection[1]
    return Response(status, (head[2] or b"").decode(), Fields(head[3])), received[head.end() :], will_close


def missing_of_short(received: bytes) -> int:
    """Return how many bytes have not arrived of an answer to GET that would be a plain one, and is short; 0 of any other.

    Args:
        received: What has arrived of it.
    """
    head = _HEAD.match(received)
    if head is None or int(head[1]) in _WITHOUT_BODY:
        return 0
    size = _body_size(b"\n" + head[3].lower())
    return 0 if size is None or size > SHORT_SIZE else max(head.end() + size - len(received), 0)


def split_plain(received: bytes) -> tuple[bytes, bytes]:
    """Return an answer that would be a plain one, and what has arrived behind it: nothing of any other.

    Args:
        received: What has arrived of both.
    """
    head = _HEAD.match(received)
    if head is None:
        return received, b""
    size = 0 if int(head[1]) in _WITHOUT_BODY else _body_size(b"\n" + head[3].lower())
    end = len(received) if size is None else head.end() + size
    return received[:end], received[end:]


def _body_size(fields: bytes) -> int | None:
    """Return how long a body is; None unless the fields say so once and for all."""
    if _CODING in fields or fields.count(b"\ncontent-length") != 1:
        return None
    length = _LENGTH.search(fields)
    return None if length is None else int(length[1])


def without_interim(received: bytes) -> bytes:
    """Return what has arrived without the interim answers at its beginning (RFC 9110, section 15.2), as far as they are whole."""
    while received[9:10] == b"1" and (interim := _INTERIM.match(received)) is not None:
        received = received[interim.end() :]
    return received


def is_head(received: bytes) -> bool:
    """Return whether the head of an answer has arrived, or what cannot be one."""
    if b"\n\r\n" in received or b"\n\n" in received:
        return True
    return not received.startswith(_NAME[: len(received)]) or len(received) > MAX_HEAD


def read_answer(source: "Received", method: str) -> HTTPResponse:
    """Read the head of an answer that is not plain, past interim ones.

    Args:
        source: Where it comes from.
        method: Of the request.

    Raises:
        OSError: The connection broke.
        HTTPException: It is not HTTP.
    """
    answer = HTTPResponse(cast("socket.socket", source), method=method)
    try:
        begin_final(answer, answer.begin)
        end_head(answer)
    except BaseException:
        answer.close()
        raise
    return answer


class Received(io.RawIOBase):
    """What has arrived of an answer, and then what comes, as the socket that `http.client` wants.

    Args:
        sock: Where the rest comes from.
        received: What has arrived.
        deadline: When to stop waiting for the rest, by `resto.clock.monotonic`.
        timeout: Seconds that the host may be silent.
        last: As for `Patience`.
    """

    def __init__(
        self, sock: socket.socket, received: bytes, deadline: float, timeout: float, last: float | None = None
    ) -> None:
        super().__init__()
        self._sock = sock
        self._rest = memoryview(received)
        self._patience = Patience(max(deadline, monotonic() + LAST_CHANCE), timeout, last)

    def begin_piece(self, timeout: float) -> None:
        """Wait from now on for one piece of the rest, as `Patience.begin_piece`, and no longer for all of it together."""
        self._patience.begin_piece(timeout)

    def makefile(self, mode: str) -> io.BufferedReader:
        """Return what reads it, as a socket does."""
        return AnswerReader(self, self._patience.go_on)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._rest:
            return self._patience.wait_for(self._sock, self._sock.recv_into, buffer)
        size = min(len(self._rest), len(buffer))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size
