"""The least that a save to several hosts can cost in Python: sockets, and nothing else."""

import socket
import ssl
from collections.abc import Sequence
from typing import Self


__all__ = ["Floor"]

JOINED = 16_384  # bytes up to which copying the body behind the head is cheaper than a second call


class Floor:
    """Writes all requests, then reads all answers, in one thread, over connections that are kept alive.

    There is no local file, no URL, no time limit, and no answer is understood beyond its first line.

    Args:
        addresses: Host and port of each host.
        context: For HTTPS.
    """

    def __init__(self, addresses: Sequence[str], context: ssl.SSLContext | None = None) -> None:
        self._addresses = addresses
        self._context = context
        self._sockets = [self._connect(address) for address in addresses]
        self._content: bytes | None = None
        self._tails: list[bytes] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        for connection in self._sockets:
            connection.close()

    def save(self, name: str, content: bytes) -> None:
        """Send a new file to every host."""
        if content is not self._content:
            self._prepare(content)
        start = f"PUT /{name}".encode()
        for connection, tail in zip(self._sockets, self._tails, strict=True):
            connection.sendall(start + tail)
            if len(content) > JOINED:
                connection.sendall(content)
        for number, connection in enumerate(self._sockets):
            if self._read_answer(connection):
                connection.close()
                self._sockets[number] = self._connect(self._addresses[number])

    def _prepare(self, content: bytes) -> None:
        """Make all of the requests that does not depend on the name."""
        self._content = content
        body = content if len(content) <= JOINED else b""
        self._tails = [
            f" HTTP/1.1\r\nHost: {address}\r\nContent-Length: {len(content)}\r\n\r\n".encode() + body
            for address in self._addresses
        ]

    @staticmethod
    def _read_answer(connection: socket.socket) -> bool:
        """Return whether the host closes the connection, as nginx does after a thousand requests."""
        answer = connection.recv(4096)
        while not answer.endswith(b"\r\n\r\n"):
            received = connection.recv(4096)
            assert received, answer
            answer += received
        assert answer.startswith(b"HTTP/1.1 201 "), answer
        return b"Connection: close" in answer

    def _connect(self, address: str) -> socket.socket:
        host, _, port = address.partition(":")
        connection = socket.create_connection((host, int(port)))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self._context.wrap_socket(connection, server_hostname=host) if self._context else connection
