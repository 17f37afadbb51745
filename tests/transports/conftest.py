"""Transports, wires, and servers that say exactly what a test wants them to say."""

import contextlib
import socket
import ssl
import threading
from contextlib import ExitStack
from functools import partial

import pytest
import trustme

from resto.hosts import parse_url
from resto.transports import connecting
from resto.transports.credentials import authenticator
from resto.transports.http import HttpTransport
from resto.transports.requests_wire import RequestsWire, create_session_factory
from resto.transports.webdav import WebDAVTransport
from resto.transports.wire import ConnectionWire


PATIENCE = 10  # seconds; how long a test waits for what must happen
TRANSPORTS = {"http": HttpTransport, "webdav": WebDAVTransport}


class Script:
    """A server that runs one function for each connection it accepts.

    Attributes:
        received: The bytes that were read over each connection, in the order of the connections.
    """

    def __init__(self, handle, ssl_context=None, receive_buffer=None):
        self._handle = handle
        self._ssl_context = ssl_context
        self.received = []
        self._listener = socket.socket()
        if receive_buffer:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._sockets = []
        self._threads[0].start()
        scheme = "http" if ssl_context is None else "https"
        self.url = f"{scheme}://127.0.0.1:{self._listener.getsockname()[1]}/"

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                self._sockets.append(sock)
                thread = threading.Thread(target=self._serve, args=[sock], daemon=True)
                self._threads.append(thread)
                thread.start()

    def _serve(self, sock):
        sock.settimeout(PATIENCE)
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            stack.enter_context(sock)
            if self._ssl_context is not None:
                sock = stack.enter_context(self._ssl_context.wrap_socket(sock, server_side=True))
                self._sockets.append(sock)  # the other one is no longer in charge
            self.received.append(bytearray())
            self._handle(Peer(sock, self.received[-1], len(self.received)))

    def close(self):
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in self._sockets:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(PATIENCE)


class Peer:
    """One connection, seen from the script."""

    def __init__(self, sock, received, number):
        self.socket = sock
        self.number = number
        self._received = received
        self._unread = b""

    def head(self):
        """Read a request up to its body; return the request line and the headers, or nothing at the end."""
        while b"\r\n\r\n" not in self._unread:
            piece = self.socket.recv(65536)
            if not piece:
                return None
            self._received += piece
            self._unread += piece
        head, _, self._unread = self._unread.partition(b"\r\n\r\n")
        line, *headers = head.decode("latin-1").split("\r\n")
        return line, {name.lower(): value.strip() for name, _, value in (header.partition(":") for header in headers)}

    def body(self, length):
        """Read so many bytes of the body."""
        while len(self._unread) < length:
            piece = self.socket.recv(65536)
            if not piece:
                raise ConnectionError("the client left")
            self._received += piece
            self._unread += piece
        body, self._unread = self._unread[:length], self._unread[length:]
        return body

    def say(self, *data):
        for piece in data:
            self.socket.sendall(piece)


@pytest.fixture
def script():
    """Start a server from a function that gets a `Peer`."""
    with ExitStack() as stack:

        def start(handle, **options):
            return stack.enter_context(contextlib.closing(Script(handle, **options)))

        yield start


@pytest.fixture
def transport():
    """Make transports that are closed in the end: ``transport("webdav", timeout=1)``."""
    with ExitStack() as stack:

        def make(kind="http", base_url="/media/", timeout=PATIENCE, **options):
            return stack.enter_context(contextlib.closing(TRANSPORTS[kind](base_url, timeout=timeout, **options)))

        yield make


def new_connection_wire(url, timeout=PATIENCE, auth=None, context=None):
    return ConnectionWire(parse_url(url, ""), timeout, authenticator(auth, None), context)


def new_requests_wire(url, timeout=PATIENCE, auth=None, context=None):
    return RequestsWire(parse_url(url, ""), timeout, create_session_factory(context), authenticator(auth, None))


WIRES = {"connections": new_connection_wire, "requests": new_requests_wire}


@pytest.fixture
def make_wire():
    """Make wires: ``make_wire("requests", url, timeout, auth, ssl_context)``."""
    with ExitStack() as stack:
        yield lambda kind, *args, **kw: stack.enter_context(contextlib.closing(WIRES[kind](*args, **kw)))


@pytest.fixture
def connection_wire(make_wire):
    """Make default wires."""
    return partial(make_wire, "connections")


@pytest.fixture
def narrow_wire(connection_wire, monkeypatch):
    """Make wires whose sockets do not hold much."""
    monkeypatch.setattr(connecting, "OPTIONS", [(socket.SOL_SOCKET, socket.SO_SNDBUF, 16_384)])
    return connection_wire


@pytest.fixture
def requests_wire(make_wire):
    """Make wires over requests."""
    return partial(make_wire, "requests")


@pytest.fixture(params=WIRES)
def any_wire(request, make_wire):
    """Make wires of all kinds."""
    return partial(make_wire, request.param)


@pytest.fixture(scope="session")
def authority():
    return trustme.CA()


@pytest.fixture(scope="session")
def server_context(authority):
    """What makes a server on 127.0.0.1 speak TLS."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


@pytest.fixture(scope="session")
def client_context(authority):
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.fixture(scope="session")
def ca_bundle(authority, tmp_path_factory):
    path = tmp_path_factory.mktemp("authority") / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return str(path)
