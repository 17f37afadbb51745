"""How connections are made, while somebody else is talked to."""

import contextlib
import socket

import pytest

from kit.clock import Clock, stop_clock
from kit.wires import TLS
from resto.courses import finish
from resto.hosts import parse_url
from resto.transports.connecting import LOOKED_UP_FOR, Connector
from resto.transports.messages import NoAnswerError


def connector(url, timeout=10, context=None):
    return Connector(parse_url(url, ""), timeout, context)


def connect(made):
    """Return what a course waits for until it is connected."""
    arrivals = []
    with contextlib.closing(made.connect()) as course:
        try:
            while True:
                arrivals.append(next(course))
        except StopIteration as stop:
            stop.value.close()
    return arrivals


@pytest.fixture
def full():
    """The URL of a host that accepts no connection."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        with socket.create_connection(listener.getsockname()):  # takes the only place
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/"


@pytest.fixture
def looked_up(monkeypatch):
    """The names that are looked up."""
    names, own = [], socket.getaddrinfo

    def look_up(name, port, **options):
        if not options["flags"]:
            names.append(name)
        return own(name, port, **options)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return names


def test_an_address_needs_nobody_who_may_wait(resto_server, looked_up):
    assert None not in connect(connector(resto_server.url))
    assert looked_up == []


def test_a_name_is_looked_up_by_somebody_who_may_wait_and_is_known_for_a_while(resto_server, looked_up, monkeypatch):
    clock = Clock()
    stop_clock(monkeypatch, clock)
    made = connector(resto_server.url.replace("127.0.0.1", "localhost"))
    course = made.connect()
    assert next(course) is None
    course.close()  # nothing has been done
    assert looked_up == []
    assert connect(made)[:1] == [None]
    clock.pass_(LOOKED_UP_FOR - 1)
    assert None not in connect(made)
    clock.pass_(1)
    assert connect(made)[:1] == [None]
    assert looked_up == ["localhost"] * 2


def test_a_name_that_leads_nowhere_is_looked_up_again(resto_server, looked_up):
    made = connector(resto_server.url.replace("127.0.0.1", "localhost"))
    connect(made)
    resto_server.refuse = True
    with pytest.raises(NoAnswerError, match="connection refused"):
        finish(made.connect())
    resto_server.refuse = False
    connect(made)
    assert looked_up == ["localhost"] * 2


@pytest.mark.parametrize("name", ["a..b", f"{'a' * 64}.example"])
def test_what_cannot_be_looked_up_cannot_be_resolved(name, monkeypatch):
    made = connector("http://media-1/")
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **options: name.encode("idna"))
    with pytest.raises(NoAnswerError, match="cannot be resolved"):
        finish(made.connect())


def test_all_addresses_of_a_name_are_tried(resto_server, monkeypatch):
    host, port = resto_server.address.split(":")
    found = [("127.0.0.2", int(port)), (host, int(port))]
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda *args, **options: [(socket.AF_INET, socket.SOCK_STREAM, 6, "", one) for one in found],
    )
    connect(connector("http://media-1/"))
    found.pop()
    with pytest.raises(NoAnswerError, match="connection refused"):
        finish(connector("http://media-1/").connect())


def test_a_host_that_accepts_nothing_is_waited_for_with_others(full):
    course = connector(full).connect()
    arrival = next(course)
    assert arrival.takes_more
    assert [next(course) for _ in range(50)] == [arrival] * 50  # it may be resumed early
    course.close()  # an open socket would be a warning


def test_a_host_that_accepts_nothing_is_given_up_in_time(full, monkeypatch):
    clock = Clock()
    stop_clock(monkeypatch, clock)
    course = connector(full, 2).connect()
    assert next(course).deadline == clock() + 2
    clock.pass_(2)
    with pytest.raises(NoAnswerError, match="no connection within 2 s") as info:
        next(course)
    assert not info.value.ambiguous


def test_a_host_that_does_not_speak_tls_is_given_up_in_time(script, client_context, monkeypatch):
    clock = Clock()
    stop_clock(monkeypatch, clock)
    silent = script(lambda peer: peer.head())
    course = connector(silent.url.replace("http:", "https:"), 2, client_context).connect()
    arrival = next(course)
    while arrival.takes_more:  # the connection is made at once, or soon
        arrival = next(course)
    clock.pass_(2)
    with pytest.raises(NoAnswerError, match="no connection within 2 s"):
        next(course)


@TLS
def test_who_connects_may_be_interrupted(script, client_context, full, tls):
    silent = script(lambda peer: peer.head())
    url = silent.url.replace("http:", "https:") if tls else full
    course = connector(url, context=client_context).connect()
    next(course)
    course.close()  # an open socket would be a warning


def test_requests_are_not_held_back_by_the_system(resto_server):
    with finish(connector(resto_server.url).connect()) as sock:
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert sock.gettimeout() == 0
