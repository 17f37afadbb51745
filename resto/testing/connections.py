"""One connection to the test server: requests are read, answers written, faults of the wire injected."""

from __future__ import annotations

import io
import socket
import struct
import threading
from contextlib import closing, suppress
from email.utils import formatdate
from http import HTTPStatus
from http.client import HTTPException, parse_headers
from io import BufferedReader
from typing import TYPE_CHECKING

from resto.testing.actions import Answer, Request
from resto.testing.bodies import PIECE_SIZE, BadRequestError, Body, BodyCutError
from resto.testing.exchanges import Exchange, HangUpError
from resto.testing.faults import NO_FAULTS, Faults


if TYPE_CHECKING:
    import ssl

    from resto.testing.service import Service


# Closing with this drops what was not sent yet and makes the client see a reset: on, 0 seconds.
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)

_LONGEST_LINE = 64 * 1024  # bytes; the limit of http.client, too
_MOST_LINES = 200  # of one head


class Connection:
    """Serve one client until it leaves, or a fault or `abort` ends it.

    Args:
        service: Whose files and faults to use.
        sock: The accepted socket; closed by `serve`.
        number: How many connections the server has accepted, this one included.
        ssl_context: Makes it a TLS connection; the handshake is left to `serve`.
    """

    def __init__(self, service: Service, sock: socket.socket, number: int, ssl_context: ssl.SSLContext | None) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = sock
        if ssl_context is not None:
            self._socket = ssl_context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        self._service = service
        self._number = number
        # Keeps `abort` from shutting down a file descriptor that was closed and used anew.
        self._closing = threading.Lock()

    def serve(self) -> None:
        """Answer requests, and close the connection in the end."""
        try:
            # The stream does the handshake with its first read.
            with self._socket.makefile("rb") as stream:
                self._serve_stream(stream)
        except (HangUpError, OSError):
            pass  # the client left, or is to see a closed connection
        except BodyCutError:
            with suppress(OSError):
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        finally:
            with self._closing:
                self._socket.close()

    def abort(self) -> None:
        """Make every read and write of `serve` fail, so that it ends. Called by other threads."""
        with self._closing, suppress(OSError):
            # Not SSLSocket.shutdown(), which pulls the TLS state from under the serving thread.
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def _serve_stream(self, stream: BufferedReader) -> None:
        try:
            while self._serve_one(stream):
                # Seen before it is read: enough to know its method.
                head = stream.peek(1).partition(b" ")[0].decode("latin-1")
                faults = self._service.faults_for(head)
                if head and faults.drop_idle:
                    raise HangUpError
                if head and faults.forget_idle:
                    _discard(stream)
                    return
        except BadRequestError as error:
            self._send(Answer.text(400, str(error)), 400, {"Connection": "close"})
        # Closing at once would reset the connection if the client is still sending, and the answer
        # could be lost: wait until it has seen the end.
        socket.socket.shutdown(self._socket, socket.SHUT_WR)
        _discard(stream)

    def _serve_one(self, stream: BufferedReader) -> bool:
        """Serve one request; return whether another one may follow."""
        request, closes = self._read_head(stream)
        body = Body(stream, request.headers)
        self._service.requests.append(request)
        exchange = Exchange(self._service, request, body)
        try:
            if request.headers.get("Expect", "").lower() == "100-continue":
                # A refused body may come or not: the next request could not be told from it.
                closes |= exchange.is_refused
                if not exchange.is_refused:
                    self._socket.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
                    exchange.receive()
            else:
                exchange.receive()
            answer = exchange.carry_out()
        finally:
            exchange.abandon()
        with closing(answer.body):
            return self._reply(exchange, request, answer, closes=closes)

    def _read_head(self, stream: BufferedReader) -> tuple[Request, bool]:
        """Read a request up to its body, and whether the client wants no other one."""
        words = _read_line(stream).decode("latin-1").split()
        if len(words) != 3 or words[2] not in {"HTTP/1.0", "HTTP/1.1"}:
            raise BadRequestError("not a request line")
        lines = []
        while line := _read_line(stream).rstrip(b"\r\n"):
            lines.append(line + b"\r\n")
            if len(lines) > _MOST_LINES:
                raise BadRequestError("too many headers")
        try:
            headers = parse_headers(io.BytesIO(b"".join(lines)))
        except HTTPException as error:
            raise BadRequestError(repr(error)) from None
        closes = words[2] == "HTTP/1.0" or "close" in headers.get("Connection", "").lower()
        return Request(words[0], words[1], headers, self._number), closes

    def _reply(self, exchange: Exchange, request: Request, answer: Answer, *, closes: bool) -> bool:
        """Send an answer as the faults want it; return whether another request may follow."""
        faults = exchange.faults
        faults.wait_delay()
        if faults.drop_answer:
            raise HangUpError
        status = faults.override_code or answer.status
        length = 0 if request.method == "HEAD" or status in {204, 304} else answer.length
        cut = None if request.method == "PUT" else faults.reset_after
        if cut == 0 and not length:
            raise BodyCutError
        request.status = status
        self._service.log.append((request.method, request.path, status))
        if faults.endless and length and cut is None:
            self._send_endlessly(answer, status, faults)
            return False
        extra = {}
        if faults.wrong_length and request.method in {"GET", "HEAD"}:
            extra["Content-Length"] = str(max(0, answer.length + faults.wrong_length))
            closes = True
        if closes:
            extra["Connection"] = "close"
        is_cut = cut is not None and length >= cut
        self._send(answer, status, extra, cut if is_cut else length, faults)
        if is_cut:
            raise BodyCutError
        return not closes

    def _send(
        self,
        answer: Answer,
        status: int,
        extra: dict[str, str],
        length: int | None = None,
        faults: Faults = NO_FAULTS,
    ) -> None:
        """Write the head and as many bytes of the body as wanted, or all of them."""
        if status not in {204, 304}:
            extra = {"Content-Length": str(answer.length)} | extra
        rest = answer.length if length is None else length
        data = self._drip(self._head(answer, status, extra), faults, body=False)
        while True:
            piece = answer.body.read(min(rest, PIECE_SIZE))
            rest -= len(piece)
            self._write_body(data, piece, faults)
            data = b""
            if not rest:
                return
            if not piece:
                raise HangUpError  # the file has shrunk meanwhile

    def _send_endlessly(self, answer: Answer, status: int, faults: Faults) -> None:
        """Write the head, and the body over and over."""
        body = answer.body.read(answer.length)
        chunk = b"%x\r\n%s\r\n" % (len(body), body)
        more = chunk * max(1, PIECE_SIZE // len(chunk))
        data = self._drip(self._head(answer, status, {"Transfer-Encoding": "chunked"}), faults, body=False)
        while faults.endless:
            self._write_body(data, more, faults)
            data = b""
        self._socket.sendall(b"0\r\n\r\n")

    def _write_body(self, head: bytes, piece: bytes, faults: Faults) -> None:
        """Write a piece of a body, and before the first one what is left of the head, at once with it if nothing drips."""
        if head and piece and faults.drip_body:
            self._socket.sendall(head)
            head = b""
        self._socket.sendall(head + self._drip(piece, faults, body=True))

    def _head(self, answer: Answer, status: int, extra: dict[str, str]) -> bytes:
        headers = {"Server": self._service.software, "Date": formatdate(usegmt=True), **answer.headers} | extra
        lines = [f"HTTP/1.1 {status} {_phrase(status)}", *(f"{key}: {value}" for key, value in headers.items())]
        return "\r\n".join([*lines, "", ""]).encode("latin-1", errors="replace")

    def _drip(self, data: bytes, faults: Faults, *, body: bool) -> bytes:
        """Write bytes one by one, as long as the faults want it, and return the rest."""
        sent = 0
        while sent < len(data) and faults.wait_drip(body=body):
            self._socket.sendall(data[sent : sent + 1])
            sent += 1
        return data[sent:]


def _discard(stream: BufferedReader) -> None:
    """Wait until the client leaves, whatever it sends."""
    while stream.read1(PIECE_SIZE):
        pass


def _read_line(stream: BufferedReader) -> bytes:
    line = stream.readline(_LONGEST_LINE)
    if len(line) == _LONGEST_LINE:
        raise BadRequestError("line too long")
    if not line.endswith(b"\n"):
        raise HangUpError  # the client left
    return line


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Forced"
