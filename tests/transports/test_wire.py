"""Which connection a request goes over, and when it goes over another one."""

import socket
import ssl
import threading
import time
from contextlib import closing
from dataclasses import replace

import pytest

from kit.clock import Clock, stop_clock
from kit.wires import GET, HEAD, LARGE, OK, TLS, answering, connections, put, read, watched
from resto.courses import finish
from resto.testing import TestHttpServer
from resto.transports.keeping import LEAST
from resto.transports.messages import NoAnswerError, Request


# Connections


def test_connections_are_kept_alive(connection_wire, resto_server):
    sender = connection_wire(resto_server.url)
    assert [finish(sender.exchange(request)).status for request in (put(), GET.__class__("GET", "/a"), HEAD)] == [
        201,
        200,
        200,
    ]
    assert connections(resto_server) == [1, 1, 1]


def test_tls_connections_are_kept_alive(connection_wire, resto_server_factory, server_context, client_context):
    server = resto_server_factory(ssl_context=server_context)
    sender = connection_wire(server.url, context=client_context)
    assert [finish(sender.exchange(request)).status for request in (put(), put(LARGE), HEAD)] == [201, 204, 200]
    assert connections(server) == [1, 1, 1]


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    stop_clock(monkeypatch, clock)
    return clock


@pytest.mark.parametrize(
    ("software", "seconds"), [("resto-testing", LEAST), ("nginx/1.22.1", 60)], ids=["any server", "nginx"]
)
@pytest.mark.parametrize("large", [False, True])
def test_connections_are_used_again_within_the_time_for_which_a_server_keeps_them(
    connection_wire, resto_server, clock, software, seconds, large
):
    resto_server.software = software
    sender = connection_wire(resto_server.url)
    finish(sender.exchange(put(LARGE if large else 1)))
    clock.pass_(seconds)
    finish(sender.exchange(HEAD))
    clock.pass_(seconds + 15)
    finish(sender.exchange(HEAD))
    assert connections(resto_server) == [1, 1, 2]


@pytest.mark.parametrize(("kind", "seconds"), [("nginx", 64), ("apache", 4), ("lighttpd", 4)])
def test_real_servers_keep_connections_for_as_long(connection_wire, media_servers, clock, kind, seconds):
    sender = connection_wire(media_servers(kind).new_folder()[0])

    def asked_over():
        finish(sender.exchange(HEAD))
        [(_, connection)] = sender.idle._waiting
        return connection

    connection = asked_over()
    clock.pass_(seconds)
    assert asked_over() is connection
    clock.pass_(seconds + 1)
    assert asked_over() is not connection


@pytest.mark.parametrize("body", [b"ok", bytes(100_000)], ids=["short", "long"])
def test_what_a_server_says_of_its_connections_is_believed(connection_wire, script, clock, body):
    head = b"HTTP/1.1 200 OK\r\nKeep-Alive: timeout=20, max=100\r\nContent-Length: %d\r\n\r\n" % len(body)
    server = script(answering(*[head + body] * 3))
    sender = connection_wire(server.url)
    for pause in (19, 19.5, 0):
        assert read(finish(sender.exchange(GET))) == body
        clock.pass_(pause)
    assert [received.count(b"GET") for received in server.received] == [2, 1]


def test_all_connections_that_have_died_in_silence_cost_one_timeout(connection_wire, resto_server):
    """As behind a firewall that has forgotten them."""
    sender, all_under_way = connection_wire(resto_server.url, 0.2), threading.Barrier(3)
    resto_server.on_request = lambda method, path: all_under_way.wait(5)
    threads = [threading.Thread(target=finish, args=[sender.exchange(HEAD)]) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    resto_server.on_request, resto_server.forget_idle = None, True
    with pytest.raises(NoAnswerError, match="no answer within"):
        finish(sender.exchange(put()))
    assert [finish(sender.exchange(HEAD)).status, len(resto_server.requests)] == [404, 4]


def test_the_system_looks_after_idle_connections(connection_wire, resto_server):
    sender = connection_wire(resto_server.url)
    finish(sender.exchange(HEAD))
    with closing(sender.idle.take()) as connection:
        assert connection.sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


def test_a_closed_wire_can_be_used_again(connection_wire, resto_server):
    sender = connection_wire(resto_server.url)
    finish(sender.exchange(put()))
    sender.close()
    assert finish(sender.exchange(HEAD)).status == 200
    assert connections(resto_server) == [1, 2]


def test_a_connection_over_which_a_server_spoke_unasked_is_dropped(connection_wire, script):
    spoken = threading.Event()

    def handle(peer):
        peer.head()
        peer.say(OK)
        if peer.number == 1:
            peer.say(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
            spoken.set()
        peer.head()

    server = script(handle)
    sender = connection_wire(server.url)
    finish(sender.exchange(Request("GET", "/a")))
    assert spoken.wait(5)
    assert finish(sender.exchange(Request("GET", "/a"))).status == 200
    assert len(server.received) == 2


def test_a_request_may_want_a_new_connection(any_wire, resto_server):
    sender = any_wire(resto_server.url)
    finish(sender.exchange(HEAD))
    finish(sender.exchange(replace(HEAD, is_fresh=True)))
    finish(sender.exchange(HEAD))
    assert [request.connection for request in resto_server.requests][:2] == [1, 2]
    assert len(resto_server.requests) == 3


def test_a_dropped_connection_is_replaced_once(connection_wire, resto_server):
    resto_server.create_file("a", b"old")
    sender = connection_wire(resto_server.url)
    finish(sender.exchange(HEAD))
    resto_server.drop_idle = True
    assert finish(sender.exchange(put(100_000))).status == 204
    assert [(request.connection, request.body_size) for request in resto_server.requests] == [(1, 0), (2, 100_000)]


def test_a_request_that_is_not_idempotent_is_not_sent_again(connection_wire, resto_server):
    sender = connection_wire(resto_server.url)
    finish(sender.exchange(HEAD))
    resto_server.drop_idle = True
    with pytest.raises(NoAnswerError, match="broke before an answer") as info:
        finish(sender.exchange(Request("MOVE", "/a", {"Destination": f"{resto_server.url}b"}, idempotent=False)))
    assert info.value.ambiguous
    assert len(resto_server.requests) == 1


def test_a_new_connection_that_is_dropped_is_an_error(connection_wire, resto_server):
    resto_server.reset_after = 50_000
    with pytest.raises(NoAnswerError, match="broke before an answer") as info:
        finish(connection_wire(resto_server.url).exchange(put(100_000)))
    assert info.value.ambiguous
    assert len(resto_server.requests) == 1
    assert not resto_server.files


def test_nothing_is_sent_again_once_an_answer_has_begun(connection_wire, script):
    def handle(peer):
        peer.head()
        peer.say(OK)
        if peer.head():
            peer.say(b"HTTP/1.1 102 Processing\r\n\r\n")

    server = script(handle)
    sender = connection_wire(server.url)
    finish(sender.exchange(Request("GET", "/a")))
    with pytest.raises(NoAnswerError) as info:
        finish(sender.exchange(Request("GET", "/a")))
    assert info.value.ambiguous
    assert len(server.received) == 1


def test_nothing_is_sent_again_once_a_body_was_asked_for(connection_wire, script):
    def handle(peer):
        peer.head()
        peer.say(OK)
        peer.head()
        peer.say(b"HTTP/1.1 100 Continue\r\n\r\n")
        peer.body(10)

    server = script(handle)
    sender = connection_wire(server.url)
    finish(sender.exchange(Request("GET", "/a")))
    with pytest.raises(NoAnswerError, match="broke before an answer"):
        finish(sender.exchange(put(LARGE)))
    assert len(server.received) == 1


def test_delays_are_waited_for(any_wire, resto_server):
    start = time.monotonic()
    finish(any_wire(resto_server.url).exchange(Request("HEAD", "/a", delay=0.1)))
    assert time.monotonic() - start >= 0.1


# Addresses


def test_hosts_may_have_ipv6_addresses(any_wire, resto_server_factory):
    try:
        server = resto_server_factory("::1")
    except OSError:
        pytest.skip("no IPv6 here")
    assert finish(any_wire(server.url).exchange(put())).status == 201
    assert server.requests[0].headers["Host"] == server.address


def test_zones_of_ipv6_addresses_stay_on_this_machine(connection_wire, resto_server_factory):
    """Not over requests: urllib3 takes no zone that is a number, and a loopback has no other one."""
    try:
        server = resto_server_factory("::1")
    except OSError:
        pytest.skip("no IPv6 here")
    url = server.url.replace("::1", "::1%251")
    assert finish(connection_wire(url).exchange(put())).status == 201
    assert server.requests[0].headers["Host"] == server.address


def test_ipv6_addresses_may_have_certificates(any_wire, resto_server_factory, authority, client_context):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("::1").configure_cert(context)
    try:
        server = resto_server_factory("::1", ssl_context=context)
    except OSError:
        pytest.skip("no IPv6 here")
    assert finish(any_wire(server.url, context=client_context).exchange(put())).status == 201


# Courses


@pytest.mark.parametrize("request_", [put(LARGE), Request("HEAD", "/a", delay=60)], ids=["large", "delayed"])
def test_a_course_that_may_take_its_time_has_done_nothing_yet(connection_wire, resto_server, request_):
    sender = connection_wire(resto_server.url)
    finish(sender.exchange(HEAD))
    course = sender.exchange(request_)
    assert next(course) is None
    course.close()
    finish(sender.exchange(HEAD))
    assert connections(resto_server) == [1, 1]


@TLS
def test_a_new_connection_needs_nobody_who_may_wait(
    connection_wire, resto_server_factory, server_context, client_context, tls
):
    server = resto_server_factory(ssl_context=server_context if tls else None)
    sender = connection_wire(server.url, context=client_context)
    arrivals = []
    finish(watched(sender.exchange(HEAD), arrivals.append))
    server.drop_idle = True
    assert finish(watched(sender.exchange(put()), arrivals.append)).status == 201
    assert None not in arrivals
    assert connections(server) == [1, 2]


def test_connections_that_were_closed_are_not_tried(connection_wire):
    with TestHttpServer() as server:
        sender = connection_wire(server.url)
        finish(sender.exchange(HEAD))
        server.stop()
        assert sender._take() is None
