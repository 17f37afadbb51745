"""Cables between boxes that can be cut: each address is that of a gate, which passes on what comes, or nothing."""

import asyncio
import threading


class Network:
    """The gates of a test, in a thread of their own."""

    def __init__(self):
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._gates = []

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *exc_info):
        for gate in self._gates:
            self.call(gate.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def call(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(60)

    def gate(self, address, target):
        """Open a gate.

        Args:
            address: The IP address that it gets; its port is any.
            target: Address and port of what is behind it.
        """
        gate = Gate(self, target)
        self._gates.append(gate)
        gate.address = address, self.call(gate.open(address))
        return gate


class Gate:
    """Passes on connections, until it is cut: then they end, and new ones are taken, and get no answer.

    Attributes:
        address: IP address and port.
        connections: How many have come.
    """

    def __init__(self, network, target):
        self._network, self._target = network, target
        self._server, self._ends, self._is_cut = None, set(), False
        self.address, self.connections = None, 0

    @property
    def url(self):
        host, port = self.address
        return f"http://{host}:{port}/"

    def cut(self):
        self._network.call(self._change(is_cut=True))

    def heal(self):
        self._network.call(self._change(is_cut=False))

    async def _change(self, *, is_cut):
        self._is_cut = is_cut
        for writer in [*self._ends]:
            writer.transport.abort()

    async def open(self, address):
        self._server = await asyncio.start_server(self._pass_on, address, 0)
        return self._server.sockets[0].getsockname()[1]

    async def close(self):
        self._server.close()
        await self._change(is_cut=True)
        while self._ends:
            await asyncio.sleep(0.001)

    async def _pass_on(self, reader, writer):
        self.connections += 1
        self._ends.add(writer)
        other = None
        try:
            if self._is_cut:
                await reader.read()  # until somebody gives up
                return
            there, other = await asyncio.open_connection(*self._target)
            self._ends.add(other)
            await asyncio.gather(_pump(reader, other), _pump(there, writer))
        except OSError:
            pass  # nobody is there, or not any more
        finally:
            for end in filter(None, (writer, other)):
                self._ends.discard(end)
                end.transport.abort()


async def _pump(source, target):
    while data := await source.read(65_536):
        target.write(data)
        await target.drain()
    if target.can_write_eof():
        target.write_eof()
