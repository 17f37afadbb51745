"""A long line to hosts of this machine: whatever is sent arrives half a round trip later, at both ends.

python -m benchmarks.line SECONDS ADDRESS...

Linux can delay what goes from one network namespace to another (tc-netem(8)), but not every kernel has that, nor lets
everybody do it. This takes its place everywhere. A client connects at once, and its first bytes wait for the round trip that
connecting takes. The line is as broad as the machine allows, and loses nothing.
"""

import asyncio
import selectors
import sys
from collections import deque
from collections.abc import Sequence


__all__: list[str] = []


class Direction(asyncio.Protocol):
    """Takes what comes in at one end of a connection, and gives it to the other end after a while.

    Attributes:
        other: What gives back, at the other end.
    """

    other: "Direction"

    def __init__(self, delay: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._delay = delay
        self._earliest = 0.0
        self._under_way: deque[tuple[float, bytes]] = deque()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def wait_for_connection(self) -> None:
        """Let nothing leave before the round trip of connecting is over."""
        self._earliest = self._loop.time() + 2 * self._delay

    def data_received(self, data: bytes) -> None:
        self._send(data)

    def eof_received(self) -> bool:
        self._send(b"")
        return True

    def connection_lost(self, error: Exception | None) -> None:
        self._send(b"")

    def _send(self, data: bytes) -> None:
        arrival = max(self._loop.time(), self._earliest) + self._delay
        self._under_way.append((arrival, data))
        if len(self._under_way) == 1:
            self._loop.call_at(arrival, self._arrive)

    def _arrive(self) -> None:
        while self._under_way and self._under_way[0][0] <= self._loop.time():
            _, data = self._under_way.popleft()
            if data:
                self.other.transport.write(data)
            else:
                self.other.transport.close()
        if self._under_way:
            self._loop.call_at(self._under_way[0][0], self._arrive)


class Entrance(Direction):
    """The end at which a client connects: it has the server connected as well."""

    def __init__(self, address: str, delay: float) -> None:
        super().__init__(delay)
        self._address = address

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.wait_for_connection()
        self.transport.pause_reading()
        self._connecting = self._loop.create_task(self._connect())

    async def _connect(self) -> None:
        host, _, port = self._address.rpartition(":")
        _, self.other = await self._loop.create_connection(lambda: Direction(self._delay), host, int(port))
        self.other.other = self
        self.transport.resume_reading()


async def serve(seconds: float, addresses: Sequence[str]) -> None:
    """Serve until somebody ends it, and print an address for each."""
    loop = asyncio.get_running_loop()
    servers = [
        await loop.create_server(lambda address=address: Entrance(address, seconds / 2), "127.0.0.1", 0)
        for address in addresses
    ]
    print(*(f"127.0.0.1:{server.sockets[0].getsockname()[1]}" for server in servers), flush=True)
    await asyncio.gather(*(server.serve_forever() for server in servers))


def _new_loop() -> asyncio.AbstractEventLoop:
    # It waits by the microsecond; others wait by the millisecond, which is longer than a short line.
    return asyncio.SelectorEventLoop(selectors.SelectSelector())


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=_new_loop) as runner:
        runner.run(serve(float(sys.argv[1]), sys.argv[2:]))
