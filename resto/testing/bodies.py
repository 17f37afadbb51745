"""How the body of a request is framed and read."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from collections.abc import Iterator
    from http.client import HTTPMessage
    from io import BufferedReader


PIECE_SIZE = 64 * 1024  # bytes held in memory at once


class BadRequestError(Exception):
    """The client does not speak HTTP; the text is the reason."""


class BodyCutError(Exception):
    """The wanted number of bytes was read: the connection is to be reset."""


class Body:
    """The body of one request, read once, piece by piece.

    Args:
        stream: What the client sends after the head.
        headers: The head, which says how the body ends.

    Raises:
        BadRequestError: The framing is contradictory or unknown.

    Source: RFC 9112, section 6.
    """

    def __init__(self, stream: BufferedReader, headers: HTTPMessage) -> None:
        self.size = 0
        """Bytes read so far."""
        self.cut_after: int | None = None
        """Bytes after which `BodyCutError` is raised."""
        self._stream = stream
        lengths = headers.get_all("Content-Length", [])
        coding = headers.get("Transfer-Encoding")
        self._chunked = coding is not None
        self.is_framed = self._chunked or bool(lengths)
        """Whether the client said how the body ends; without it there is none."""
        if self._chunked and (lengths or str(coding).lower() != "chunked"):
            raise BadRequestError("body framed in an unknown way, or twice")
        if len(lengths) > 1 or not all(length.isascii() and length.isdigit() for length in lengths):
            raise BadRequestError("not a Content-Length")
        self._length = int(lengths[0]) if lengths else 0

    def __iter__(self) -> Iterator[bytes]:
        self._check_cut()
        for piece in self._read_chunked() if self._chunked else self._read_exactly(self._length):
            self.size += len(piece)
            yield piece
            self._check_cut()

    def _check_cut(self) -> None:
        if self.cut_after is not None and self.size >= self.cut_after:
            raise BodyCutError

    def _read_exactly(self, length: int) -> Iterator[bytes]:
        while length:
            allowed = length if self.cut_after is None else min(length, self.cut_after - self.size)
            # read1 returns what is there: a server writing in place shows it at once.
            piece = self._stream.read1(min(allowed, PIECE_SIZE))
            if not piece:
                raise ConnectionResetError("client left in the middle of the body")
            length -= len(piece)
            yield piece

    def _read_chunked(self) -> Iterator[bytes]:
        while size := self._read_chunk_size():
            yield from self._read_exactly(size)
            if self._read_line():
                raise BadRequestError("chunk longer than announced")
        while self._read_line():
            pass  # trailers

    def _read_chunk_size(self) -> int:
        digits = self._read_line().partition(b";")[0].strip()
        if not re.fullmatch(rb"[0-9a-fA-F]{1,15}", digits):
            raise BadRequestError("not a chunk size")
        return int(digits, 16)

    def _read_line(self) -> bytes:
        line = self._stream.readline(PIECE_SIZE)
        if not line.endswith(b"\n"):
            raise ConnectionResetError("client left in the middle of the body")
        return line.rstrip(b"\r\n")
