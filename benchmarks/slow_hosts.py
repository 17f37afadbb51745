"""Hosts that answer each request after a while, as those at the end of a long line do. They keep files in memory.

python -m benchmarks.slow_hosts NUMBER SECONDS
"""

import asyncio
import re
import sys


__all__: list[str] = []

_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)


class SlowHost(asyncio.Protocol):
    """One connection. Requests that come meanwhile wait for their turn."""

    def __init__(self, files: dict[bytes, bytes], delay: float) -> None:
        self._files = files
        self._delay = delay
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, rest = self._received.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        size = int(length[1]) if length else 0
        if end and len(rest) >= size:
            self._received = rest[size:]
            method, target, _ = head.split(b" ", 2)
            asyncio.get_running_loop().call_later(self._delay, self._answer, method, target, rest[:size])

    def _answer(self, method: bytes, target: bytes, body: bytes) -> None:
        status, content = b"404 Not Found", b""
        if method == b"PUT":
            status = b"204 No Content" if target in self._files else b"201 Created"
            self._files[target] = body
        elif method == b"DELETE" and self._files.pop(target, None) is not None:
            status = b"204 No Content"
        elif method in (b"GET", b"HEAD") and target in self._files:
            status, content = b"200 OK", self._files[target]
        length = b"" if status.startswith(b"204") else b"Content-Length: %d\r\n" % len(content)
        sent = b"" if method == b"HEAD" else content
        assert isinstance(self._transport, asyncio.WriteTransport)
        self._transport.write(b"HTTP/1.1 %b\r\nServer: slow\r\n%b\r\n%b" % (status, length, sent))


async def serve(number: int, delay: float) -> None:
    """Serve until somebody ends it, and print the addresses."""
    loop = asyncio.get_running_loop()
    files: list[dict[bytes, bytes]] = [{} for _ in range(number)]
    servers = [await loop.create_server(lambda mine=mine: SlowHost(mine, delay), "127.0.0.1", 0) for mine in files]
    print(*(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/" for server in servers), flush=True)
    await asyncio.gather(*(server.serve_forever() for server in servers))


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), float(sys.argv[2])))
