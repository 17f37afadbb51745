"""A relay before a server, which counts what goes over the wire, whether whoever has asked for it reads it or not."""

import contextlib
import selectors
import socket
import threading


class Relay:
    """Passes on what comes over each connection, both ways.

    Args:
        url: Of the server.

    Attributes:
        url: Of the relay.
        sent: Bytes that the server has sent, heads included.
        requests: How many the server got.
    """

    def __init__(self, url):
        scheme, _, rest = url.partition("://")
        address, slash, path = rest.partition("/")
        host, _, port = address.rpartition(":")
        self._target = host, int(port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"{scheme}://127.0.0.1:{self._listener.getsockname()[1]}{slash}{path}"
        self.forget()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._sockets = []

    def forget(self):
        """Begin to count anew."""
        self.sent = self.requests = 0

    def __enter__(self):
        self._threads[0].start()
        return self

    def __exit__(self, *exc_info):
        _shut_down(self._listener)
        self._threads[0].join()  # so that no connection comes any more
        _shut_down(*self._sockets)
        for thread in self._threads:
            thread.join()
        for sock in (self._listener, *self._sockets):
            sock.close()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._target)
                self._sockets += [client, server]
                self._threads.append(threading.Thread(target=self._pass_on, args=[client, server], daemon=True))
                self._threads[-1].start()

    def _pass_on(self, client, server):
        with contextlib.suppress(OSError), selectors.DefaultSelector() as selector:
            selector.register(client, selectors.EVENT_READ, server)
            selector.register(server, selectors.EVENT_READ, client)
            while True:
                for key, _ in selector.select():
                    piece = key.fileobj.recv(64 * 1024)
                    if not piece:
                        raise ConnectionError
                    if key.fileobj is server:
                        self.sent += len(piece)
                    else:
                        self.requests += piece.count(b" HTTP/1.1\r\n")
                    key.data.sendall(piece)
        _shut_down(client, server)


def _shut_down(*sockets):
    for sock in sockets:
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
