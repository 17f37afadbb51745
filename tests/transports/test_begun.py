"""Requests on their way, step by step: what goes over connections in earnest is tested with these."""

import socket

import pytest

from kit.clock import Clock, stop_clock
from kit.wires import CREATED
from resto.transports.begun import Begun
from resto.transports.connection import Connection


TIMEOUT = 1
INTERIM = b"HTTP/1.1 102 Processing\r\n\r\n"


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    stop_clock(monkeypatch, clock)
    return clock


def test_what_a_host_says_while_it_takes_a_body_shortens_no_wait_for_its_answer(clock):
    """However long it takes that body: an interim answer is no promise until when all is done."""
    ours, theirs = socket.socketpair()
    ours.settimeout(0)
    with ours, theirs:
        begun = Begun(Connection(ours, None, TIMEOUT), iter([bytes(5_000_000)]), ("PUT", "/a"))
        assert not begun.has_head()
        began = clock()
        theirs.sendall(INTERIM)
        while not begun.is_sent:
            theirs.recv(1024**2)
            clock.pass_(0.9)
            assert not begun.has_head()
        assert clock() - began > 10 * TIMEOUT
        for _ in range(3):
            theirs.sendall(INTERIM)
            assert not begun.has_head()
            clock.pass_(0.9)
        theirs.sendall(CREATED)
        assert begun.has_head()
        assert begun.heard == CREATED
