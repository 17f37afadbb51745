"""What is told when no connection is made, or one brings no answer."""

import socket
import ssl
import struct

import pytest

from kit.wires import HEAD, answering, put
from resto.courses import finish
from resto.transports.messages import NoAnswerError


# Connections that are not made


def test_a_host_that_does_not_accept_is_given_up(any_wire):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        with socket.create_connection(address):  # takes the only place
            with pytest.raises(NoAnswerError, match=r"no connection within 0\.2 s") as info:
                finish(any_wire(f"http://127.0.0.1:{address[1]}/", 0.2).exchange(HEAD))
            assert not info.value.ambiguous


def test_a_host_that_refuses_is_not_ambiguous(any_wire, resto_server):
    resto_server.refuse = True
    with pytest.raises(NoAnswerError, match="connection refused") as info:
        finish(any_wire(resto_server.url).exchange(put()))
    assert not info.value.ambiguous


def test_a_hostname_that_nobody_has_is_not_ambiguous(any_wire):
    with pytest.raises(NoAnswerError, match="name cannot be resolved") as info:
        finish(any_wire("http://media.invalid/").exchange(HEAD))  # RFC 6761 reserves it
    assert not info.value.ambiguous


# TLS


def test_certificates_are_verified(any_wire, resto_server_factory, server_context):
    server = resto_server_factory(ssl_context=server_context)
    with pytest.raises(NoAnswerError, match="certificate is not trusted") as info:
        finish(any_wire(server.url, context=ssl.create_default_context()).exchange(put()))
    assert not info.value.ambiguous
    assert not server.requests


def test_hostnames_are_verified(any_wire, resto_server_factory, server_context, client_context):
    server = resto_server_factory(ssl_context=server_context)
    with pytest.raises(NoAnswerError, match=r"certificate is not trusted: .*localhost"):
        finish(any_wire(server.url.replace("127.0.0.1", "localhost"), context=client_context).exchange(put()))
    assert not server.requests


def test_a_server_without_tls_is_an_error(any_wire, resto_server, client_context):
    with pytest.raises(NoAnswerError, match="TLS failed"):
        finish(any_wire(resto_server.url.replace("http:", "https:"), context=client_context).exchange(put()))


def test_a_server_that_hangs_up_during_the_handshake_was_not_reached(connection_wire, script, client_context):
    def handle(peer):
        peer.socket.recv(10)
        peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # closing resets

    with pytest.raises(NoAnswerError, match=r"no connection: .*reset") as info:
        finish(connection_wire(script(handle).url.replace("http:", "https:"), context=client_context).exchange(put()))
    assert not info.value.ambiguous


def test_a_server_that_wants_a_certificate_is_an_error(any_wire, resto_server_factory, authority, client_context):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    server = resto_server_factory(ssl_context=context)
    with pytest.raises(NoAnswerError, match=r"TLS failed|connection broke"):
        finish(any_wire(server.url, context=client_context).exchange(HEAD))
    assert not server.requests


# Answers


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-server\r\n",
        b"HTTP/9.9 200 OK\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 101,
    ],
    ids=["SSH", "version", "status", "headers"],
)
def test_answers_that_are_not_http_are_errors(connection_wire, script, answer):
    with pytest.raises(NoAnswerError, match="cannot be understood") as info:
        finish(connection_wire(script(answering(answer)).url).exchange(HEAD))
    assert info.value.ambiguous
