"""HTTP itself: kept-alive connections, framing, what is cut short."""

import socket
import ssl
import struct
import threading
from contextlib import suppress

import pytest
import trustme

from resto.testing import TestHttpServer


PATIENCE = 10  # seconds


def test_connection_is_kept_alive(server, connect):
    client = connect(server)
    for method, path in [("PUT", "/a"), ("GET", "/a"), ("GET", "/missing"), ("DELETE", "/a")]:
        client.request(method, path, b"data" if method == "PUT" else None)
        client.getresponse().read()
    assert [request.connection for request in server.requests] == [1, 1, 1, 1]
    assert [request.status for request in server.requests] == [201, 200, 404, 204]


def test_connections_are_numbered(server, call):
    call(server, "GET", "/a")
    call(server, "GET", "/a")
    assert [request.connection for request in server.requests] == [1, 2]


def test_refused_body_does_not_disturb_the_next_request(server, connect):
    server.readonly = True
    client = connect(server)
    client.request("PUT", "/a", b"x" * 200_000)
    assert client.getresponse().read() is not None
    server.readonly = False
    client.request("PUT", "/a", b"data")
    assert client.getresponse().status == 201
    assert [request.connection for request in server.requests] == [1, 1]


@pytest.mark.parametrize("head", [b"HTTP/1.0\r\n\r\n", b"HTTP/1.1\r\nConnection: close\r\n\r\n"])
def test_connection_is_closed_when_asked(server, raw, read_all, head):
    server.create_file("a", b"data")
    data = read_all(raw(server, b"GET /a " + head))
    assert data.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\nConnection: close\r\n" in data
    assert data.endswith(b"\r\n\r\ndata")


def test_answers_to_pipelined_requests(server, raw, read_all):
    server.create_file("a", b"data")
    one = b"GET /a HTTP/1.1\r\nHost: x\r\n"
    data = read_all(raw(server, one + b"\r\n" + one + b"Connection: close\r\n\r\n"))
    assert data.count(b"HTTP/1.1 200 OK") == 2


@pytest.mark.parametrize(
    "sent",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/2\r\n\r\n",
        b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 300 + b"\r\n",
        b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 150 + b"\r\n",
        b"PUT /a HTTP/1.1\r\nContent-Length: x\r\n\r\ndata",
        b"PUT /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
    ],
)
def test_bad_request(server, raw, read_all, sent):
    assert read_all(raw(server, sent)).startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert server.files == {}


def test_request_cut_in_its_head_is_not_carried_out(server, raw, read_all):
    server.create_file("a", b"data")
    sock = raw(server, b"DELETE /a HTTP/1.1\r\nHost: x\r\n")
    sock.shutdown(socket.SHUT_WR)
    assert read_all(sock) == b""
    assert server.files == {"a": b"data"}
    assert server.requests == []


@pytest.mark.parametrize("in_folder", [False, True])
@pytest.mark.parametrize(
    ("in_place", "left"),
    [(False, {"a": b"a long old content"}), (True, {"a": b"ne"})],
)
def test_upload_cut_by_the_client(make_server, raw, read_all, tmp_path, in_folder, in_place, left):
    server = make_server(root=tmp_path if in_folder else None, in_place=in_place)
    server.create_file("a", b"a long old content")
    sock = raw(server, b"PUT /a HTTP/1.1\r\nContent-Length: 3\r\n\r\nne")
    sock.shutdown(socket.SHUT_WR)
    assert read_all(sock) == b""
    assert server.files == left
    assert [path.name for path in tmp_path.iterdir()] == (["a"] if in_folder else [])
    assert server.requests[0].status is None
    assert server.requests[0].body_size == 2


def test_upload_is_visible_only_in_place(make_server, raw, read_all, call):
    """What was received so far can be read while the rest is on its way."""
    for in_place, seen in [(True, 200), (False, 404)]:
        server = make_server(in_place=in_place)
        sock = raw(server, b"PUT /a HTTP/1.1\r\nExpect: 100-continue\r\nConnection: close\r\nContent-Length: 3\r\n\r\n")
        assert sock.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert call(server, "GET", "/a").status == seen
        sock.sendall(b"new")
        assert read_all(sock).startswith(b"HTTP/1.1 201 ")
        assert server.files == {"a": b"new"}


def test_in_place_server_says_so(make_server, call):
    assert call(make_server(in_place=True), "OPTIONS", "/").headers["Server"] == "in-place"


def test_expect_of_a_refused_upload(server, raw, read_all):
    server.readonly = True
    sock = raw(server, b"PUT /a HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
    data = read_all(sock)
    assert data.startswith(b"HTTP/1.1 403 Forbidden\r\n")
    assert b"\r\nConnection: close\r\n" in data


def test_answer_arrives_although_the_client_goes_on_sending(server, raw, read_all):
    """A client that does not wait for 100 gets the refusal nevertheless, not a reset."""
    server.readonly = True
    sock = raw(server, b"PUT /a HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 300000\r\n\r\n" + b"x" * 300_000)
    assert read_all(sock).startswith(b"HTTP/1.1 403 Forbidden\r\n")


def test_https(make_server):
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    server = make_server(ssl_context=context)
    assert server.url.startswith("https://127.0.0.1:")
    with (
        socket.create_connection(server.address.split(":"), timeout=PATIENCE) as sock,
        trusting.wrap_socket(sock, server_hostname="127.0.0.1") as client,
    ):
        client.sendall(b"PUT /a HTTP/1.1\r\nContent-Length: 4\r\n\r\ndata")
        assert client.recv(4096).startswith(b"HTTP/1.1 201 Created\r\n")
        server.stop()
        assert client.recv(4096) == b""
    assert server.files == {"a": b"data"}


def test_client_without_tls(make_server, raw, read_all):
    server = make_server(ssl_context=ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
    sock = raw(server, b"GET / HTTP/1.1\r\n\r\n")
    with suppress(ConnectionResetError):
        assert not read_all(sock).startswith(b"HTTP")
    assert server.requests == []


def test_client_that_resets_before_it_is_accepted(raw, read_all):
    """The server goes on with the next client."""
    server = TestHttpServer(ssl_context=ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
    sock = raw(server, b"x")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()
    with server, suppress(ConnectionResetError):
        assert not read_all(raw(server, b"GET / HTTP/1.1\r\n\r\n")).startswith(b"HTTP")


def test_file_that_shrinks_while_it_is_sent(make_server, raw, read_all, tmp_path):
    """The connection is closed, so that the client sees less than was announced."""
    server = make_server(root=tmp_path)
    server.create_file("a", b"x" * 30_000_000)
    sock = raw(server, b"GET /a HTTP/1.1\r\n\r\n")
    assert sock.recv(1).startswith(b"H")
    with (tmp_path / "a").open("r+b") as file:
        file.truncate(0)
    assert len(read_all(sock)) < 30_000_000


def test_two_servers_at_once(make_server, call):
    one, two = make_server(), make_server()
    threads = [
        threading.Thread(target=call, args=[server, "PUT", f"/{number}", b"x"])
        for server in (one, two)
        for number in range(10)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert one.files == two.files == {str(number): b"x" for number in range(10)}


def test_server_class_is_not_collected():
    assert TestHttpServer.__test__ is False
