"""What `http.client` and urllib3 read line by line, and believe: it is looked at before they do.

Of bodies that come in chunks (RFC 9112, section 7.1) that is the size of each chunk.
http.client and urllib3 take for a size what `int` does. Of one that is negative they read to the end of the connection at
once, past all limits; and for one that is huge they ask for the memory before anything has come. Of the head, it is the length of the body.
"""

import io
import re
from collections.abc import Callable
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse

from resto.transports.limits import PIECE_SIZE


__all__ = ["AnswerReader", "ChunkSizeError", "CutHeadError", "LengthsError", "begin_final", "end_head"]

# Zeros apart, no size has more digits than a file could. The space before an extension is allowed, if not liked.
_SIZE = re.compile(rb"0*([0-9A-Fa-f]{1,15})(?:[ \t]*;[^\r\n]*)?\r?\n")


_INTERIM = re.compile(rb"HTTP/1\.[01] +1[0-9]{2}\b")


class CutHeadError(HTTPException):
    """The connection has ended within the head of an answer."""


class ChunkSizeError(HTTPException):
    """Where the size of a chunk should be, there is something else."""


class LengthsError(HTTPException):
    """A body has one length, and the head of an answer announces several (RFC 9112, section 6.3)."""


class AnswerReader(io.BufferedReader):
    """What `http.client` and urllib3 read an answer from.

    Both read the size of a chunk as a line, and nothing else within a body.

    Args:
        raw: Where it comes from.
        go_on: Called when an interim answer begins.
    """

    def __init__(self, raw: io.RawIOBase, go_on: Callable[[], None]) -> None:
        super().__init__(raw)
        self._go_on = go_on
        self._is_in_head, self._has_begun = True, False
        self._expects_size = False

    def end_head(self, *, has_chunks: bool) -> None:
        """Take note that the head is over.

        Args:
            has_chunks: Whether each line from now on is the size of a chunk, up to the one of the last chunk.
        """
        self._is_in_head, self._expects_size = False, has_chunks

    def readline(self, size: int | None = -1, /) -> bytes:
        """Return the next line.

        Raises:
            CutHeadError: It ends too early, which `http.client` takes for the end of the head.
            ChunkSizeError: It should be the size of a chunk, and is not.
        """
        line = super().readline(size)
        if self._expects_size:
            digits = _SIZE.fullmatch(line)
            if digits is None:
                raise ChunkSizeError
            self._expects_size = digits[1].strip(b"0") != b""
        elif self._is_in_head:
            if not line.endswith(b"\n") and (line or self._has_begun):
                raise CutHeadError
            self._has_begun = line not in (b"\r\n", b"\n")  # else another head comes, after an interim one
            if _INTERIM.match(line):
                self._go_on()
        return line

    def read(self, size: int | None = -1, /) -> bytes:
        """Return so many bytes, if there are, without asking for the memory of all of them first."""
        if size is None or size <= PIECE_SIZE:
            return super().read(size)
        pieces = []
        while size > 0 and (piece := super().read(min(size, PIECE_SIZE))):
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)


def begin_final(answer: HTTPResponse, begin: Callable[[], None]) -> None:
    """Read the head of an answer, past those of interim ones (RFC 9110, section 15.2).

    Args:
        answer: Of which nothing was read yet.
        begin: Reads the next head; of interim ones, `http.client` skips 100 by itself, and any other would pass for the final one.
    """
    begin()
    while answer.status < HTTPStatus.OK:
        answer.headers = None  # type: ignore[assignment]  # makes `begin` read another head
        begin()


def end_head(answer: HTTPResponse) -> None:
    """Let the sizes of chunks be checked, if the body of an answer has them, whether it is for `http.client` or urllib3.

    Args:
        answer: Of which the head was read.

    Raises:
        LengthsError: It announces several lengths, of which `http.client` believes the first.
    """
    if len({length.strip(" \t") for length in answer.headers.get_all("Content-Length", ())}) > 1:
        raise LengthsError
    codings = ",".join(answer.headers.get_all("Transfer-Encoding", ()))
    if isinstance(answer.fp, AnswerReader):
        answer.fp.end_head(has_chunks="chunked" in codings.lower())
