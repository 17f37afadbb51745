"""Life and death of a server."""

import gc
import socket
import threading
import warnings

import pytest

from resto.testing import TestHttpServer


PATIENCE = 10  # seconds


def test_address_and_url(server):
    host, port = server.address.split(":")
    assert host == "127.0.0.1"
    assert int(port) > 0
    assert server.url == f"http://{server.address}/"


def test_address_with_ipv6():
    try:
        server = TestHttpServer("::1")
    except OSError:
        pytest.skip("no IPv6")
    with server:
        assert server.url.startswith("http://[::1]:")


def test_port_can_be_chosen(server):
    with pytest.raises(OSError, match="in use"):
        TestHttpServer(port=int(server.address.split(":")[1]))


def test_listens_from_construction(raw, read_all):
    """A client that comes before the server is started is served then."""
    server = TestHttpServer()
    sock = raw(server, b"GET /a HTTP/1.1\r\nConnection: close\r\n\r\n")
    with server:
        assert read_all(sock).startswith(b"HTTP/1.1 404 ")


def test_run_serves_in_the_calling_thread(call):
    server = TestHttpServer()
    thread = threading.Thread(target=server.run)
    thread.start()
    assert call(server, "PUT", "/a", b"data").status == 201
    server.stop()
    thread.join(PATIENCE)
    assert not thread.is_alive()


def test_start_returns_the_server():
    server = TestHttpServer()
    assert server.start() is server
    server.stop()


def test_start_only_once(server):
    with pytest.raises(RuntimeError, match="once"):
        server.start()
    server.stop()
    with pytest.raises(RuntimeError, match="once"):
        server.start()


def test_run_after_stop_returns():
    server = TestHttpServer()
    server.stop()
    server.run()


def test_stop_is_idempotent(server):
    server.stop()
    server.stop()
    server.heal()
    server.refuse = True


@pytest.mark.parametrize("in_folder", [False, True])
def test_files_can_be_read_after_stop(make_server, tmp_path, in_folder):
    server = make_server(root=tmp_path if in_folder else None)
    server.create_file("d/a", b"data")
    server.stop()
    assert server.files == {"d/a": b"data"}


def count_threads(server):
    # Not all that there are: those of another test's server may be about to end.
    return sum(thread.name.startswith(f"resto-testing {server.address}") for thread in threading.enumerate())


def test_stop_leaves_nothing_behind(connect, raw):
    with warnings.catch_warnings():
        warnings.simplefilter("error", ResourceWarning)
        server = TestHttpServer().start()
        idle = connect(server)
        idle.request("GET", "/a")
        idle.getresponse().read()
        silent = raw(server, b"")
        half = raw(server, b"PUT /a HTTP/1.1\r\nContent-Length: 10\r\n\r\n123")
        # Answered after the others: all of them have been accepted.
        last = connect(server)
        last.request("GET", "/a")
        last.getresponse().read()
        assert count_threads(server) == 5
        server.stop()
        assert count_threads(server) == 0
        assert idle.sock.recv(1) == silent.recv(1) == half.recv(1) == b""
        with pytest.raises(ConnectionRefusedError):
            connect(server).connect()
        del server
        gc.collect()


def test_stop_says_which_hook_blocks(server, raw, monkeypatch):
    monkeypatch.setattr("resto.testing.server._STOP_TIMEOUT", 0.01)
    blocked, release = threading.Event(), threading.Event()

    def block(method, path):
        blocked.set()
        release.wait(PATIENCE)

    server.on_request = block
    raw(server, b"GET / HTTP/1.1\r\n\r\n")
    assert blocked.wait(PATIENCE)
    [thread] = [thread for thread in threading.enumerate() if "#1" in thread.name and server.address in thread.name]
    with pytest.raises(RuntimeError, match="blocked in a hook"):
        server.stop()
    release.set()
    thread.join(PATIENCE)


def test_hook_may_stop_the_server(server, raw, read_all):
    server.on_request = lambda method, path: server.stop()
    assert read_all(raw(server, b"GET / HTTP/1.1\r\n\r\n")) == b""


def test_refuse_and_come_back(server, call, connect):
    address = server.address
    server.refuse = True
    for _ in range(3):
        with pytest.raises(ConnectionRefusedError):
            connect(server).connect()
    server.refuse = False
    assert server.address == address
    assert call(server, "GET", "/").status == 403


def test_refuse_reserves_the_port(server):
    server.refuse = True
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind(("127.0.0.1", int(server.address.split(":")[1])))


def test_refuse_closes_open_connections(server, connect):
    client = connect(server)
    client.request("GET", "/a")
    client.getresponse().read()
    server.refuse = True
    assert client.sock.recv(1) == b""


def test_refuse_before_start(connect, call):
    server = TestHttpServer()
    server.refuse = True
    with server:
        with pytest.raises(ConnectionRefusedError):
            connect(server).connect()
        server.heal()
        assert call(server, "GET", "/").status == 403


def test_stop_while_refusing(server):
    server.refuse = True
    server.stop()
    server.heal()
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", int(server.address.split(":")[1])))
