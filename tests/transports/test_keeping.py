"""What a server says of its connections, or is known to do, and what the system does for them."""

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resto.transports.answers import Fields
from resto.transports.keeping import LEAST, MOST, keep_alive, kept_for


@pytest.mark.parametrize(
    ("fields", "seconds"),
    [
        ("", LEAST),
        ("Server: nginx/1.22.1\r\n", 64),
        ("Server: NGINX\r\n", 64),
        ("Server: Caddy\r\n", 120),
        ("Server: Apache/2.4.57 (Debian)\r\n", LEAST),
        ("Server: Apache\r\nKeep-Alive: timeout=5, max=100\r\n", 4),
        ("Server: nginx\r\nKeep-Alive: timeout=20\r\n", 19),
        ("Server: nginx\r\nKeep-Alive: max=20\r\n", 64),
        ("keep-alive: max=5 , TIMEOUT = 20 , more\r\n", 19),
        ("Keep-Alive: timeout=1\r\n", 0.5),
        ("Keep-Alive: timeout=0\r\n", 0),
        ("Keep-Alive: timeout=999999999\r\n", MOST),
        ("Keep-Alive: timeout=-3\r\n", LEAST),
        ("Keep-Alive: timeout=\r\n", LEAST),
        ("Keep-Alive: idle_timeout=90\r\n", LEAST),
        ("Keep-Alive: timeout=1e9\r\n", LEAST),
    ],
)
def test_how_long_a_connection_is_kept(fields, seconds):
    assert kept_for(Fields(fields.encode())) == seconds


@given(st.integers(0, 10**9 - 1))
def test_never_as_long_as_the_server_does(seconds):
    kept = kept_for({"Keep-Alive": f"timeout={seconds}"})
    assert 0 <= kept <= MOST
    assert kept < seconds or kept == seconds == 0


def test_less_than_the_shortest_timeout_of_a_server():
    assert LEAST < 5  # Apache's


def test_idle_connections_are_looked_after():
    with socket.socket() as sock:
        keep_alive(sock)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        seconds = [
            sock.getsockopt(socket.IPPROTO_TCP, option)
            for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
        ]
    assert seconds == [15, 5, 3]
