"""Servers and clients for the tests of the test server."""

import http.client
import socket
from contextlib import ExitStack, closing

import pytest

from resto.testing import TestHttpServer


PATIENCE = 10  # seconds; how long a test waits for what must happen


@pytest.fixture
def make_server():
    with ExitStack() as servers:
        yield lambda **options: servers.enter_context(TestHttpServer(**options))


@pytest.fixture
def server(make_server):
    return make_server()


@pytest.fixture
def connect():
    """Open a kept-alive connection to a server."""
    with ExitStack() as connections:

        def open_connection(server):
            client = http.client.HTTPConnection(server.address, timeout=PATIENCE)
            return connections.enter_context(closing(client))

        yield open_connection


@pytest.fixture
def call(connect):
    """Send one request on a connection of its own; return the answer, its body read."""

    def send(server, method, path, body=None, headers=None, **options):
        client = connect(server)
        client.request(method, path, body, headers or {}, **options)
        answer = client.getresponse()
        answer.content = answer.read()
        client.close()
        return answer

    return send


@pytest.fixture
def raw():
    """Open a socket to a server, send bytes, and return it."""
    with ExitStack() as sockets:

        def send(server, data):
            host, port = server.address.split(":")
            sock = sockets.enter_context(socket.create_connection((host, int(port)), timeout=PATIENCE))
            sock.sendall(data)
            return sock

        yield send


@pytest.fixture
def read_all():
    """Read from a socket until the server closes."""

    def read(sock):
        data = b""
        while piece := sock.recv(65536):
            data += piece
        return data

    return read
