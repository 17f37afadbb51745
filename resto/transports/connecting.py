"""Connecting to a host, without waiting for it: whoever has others to talk to does so meanwhile.

Only to look up the address of a name takes a thread: the system cannot do so in passing.
"""

import errno
import math
import os
import socket
import ssl
from typing import Any

from resto.clock import monotonic
from resto.courses import Arrival, Course
from resto.hosts import HostURL
from resto.transports.failures import connect_problem, refused
from resto.transports.keeping import keep_alive
from resto.transports.messages import NoAnswerError


__all__ = ["Connector"]

# What each socket is told, besides. A request leaves at once, even if an answer to an earlier piece of it is still to come.
OPTIONS = ((socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),)

# Seconds for which the addresses of a name are believed: as long as many connections are made together.
LOOKED_UP_FOR = 5

# The kind of a socket, and where it connects to.
Address = tuple[socket.AddressFamily, Any]


class Connector:
    """Connects to one host.

    Args:
        url: Where the host is.
        timeout: Seconds that the host may stay silent.
        ssl_context: How certificates are verified; used for ``https`` only.
    """

    def __init__(self, url: HostURL, timeout: float, ssl_context: ssl.SSLContext | None) -> None:
        self._url = url
        self._timeout = timeout
        self._ssl_context = ssl_context
        self._known: tuple[float, list[Address]] = (-math.inf, [])

    def connect(self) -> Course[socket.socket]:
        """Return a socket that is connected, and does not wait.

        Raises:
            NoAnswerError: The host cannot be reached.
        """
        addresses = self._addresses(socket.AI_NUMERICHOST)
        if not addresses:
            yield None
            addresses = self._addresses()
        if not addresses:
            raise NoAnswerError("its name cannot be resolved", ambiguous=False)
        sock = yield from self._reached(addresses)
        if self._url.scheme != "https":
            return sock
        try:
            return (yield from self._encrypted(sock))
        except OSError as error:
            raise NoAnswerError(connect_problem(error, self._timeout), ambiguous=False) from error

    def _addresses(self, flags: int = 0) -> list[Address]:
        """Return where the host is; nothing if that is not known.

        Args:
            flags: Of `socket.getaddrinfo`.
        """
        until, addresses = self._known
        if monotonic() < until:
            return addresses
        try:
            found = socket.getaddrinfo(self._url.peer, self._url.port, type=socket.SOCK_STREAM, flags=flags)
        except (OSError, UnicodeError):
            return []
        addresses = [(family, address) for family, _, _, _, address in found]
        self._known = monotonic() + LOOKED_UP_FOR, addresses
        return addresses

    def _reached(self, addresses: list[Address]) -> Course[socket.socket]:
        """Return a socket that is connected to the first address where somebody listens."""
        for number, (family, address) in enumerate(addresses, 1):
            try:
                return (yield from self._connected(family, address))
            except OSError as error:
                if number == len(addresses):
                    self._known = (-math.inf, [])  # it may be elsewhere by now
                    raise refused(error, self._timeout) from error
        raise AssertionError

    def _connected(self, family: socket.AddressFamily, address: Any) -> Course[socket.socket]:
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.settimeout(0)
            keep_alive(sock)
            for option in OPTIONS:
                sock.setsockopt(*option)
            deadline = monotonic() + self._timeout
            _require(sock.connect_ex(address), errno.EINPROGRESS)
            while not _is_connected(sock):
                yield _arrival(sock, deadline, takes_more=True)
        except BaseException:
            sock.close()
            raise
        return sock

    def _encrypted(self, sock: socket.socket) -> Course[socket.socket]:
        """Return a socket in the place of a connected one, over which TLS is spoken; the certificate is that of the host."""
        context = self._ssl_context or ssl.create_default_context()
        encrypted = sock
        try:
            name = self._url.hostname.rstrip(".")
            encrypted = context.wrap_socket(sock, server_hostname=name, do_handshake_on_connect=False)
            deadline = monotonic() + self._timeout
            while (takes_more := _shakes_hands(encrypted)) is not None:
                yield _arrival(encrypted, deadline, takes_more=takes_more)
        except BaseException:
            encrypted.close()
            raise
        return encrypted


def _arrival(sock: socket.socket, deadline: float, *, takes_more: bool) -> Arrival:
    if monotonic() >= deadline:
        raise TimeoutError
    return Arrival(sock.fileno(), deadline, takes_more)


def _is_connected(sock: socket.socket) -> bool:
    _require(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
    try:
        sock.getpeername()
    except OSError as error:
        _require(error.errno or 0, errno.ENOTCONN)
        return False
    return True


def _require(number: int, *others: int) -> None:
    if number not in (0, *others):
        raise OSError(number, os.strerror(number))


def _shakes_hands(sock: ssl.SSLSocket) -> bool | None:
    """Do what can be done of a handshake; return whether the rest waits for room to send something, and None at the end."""
    try:
        sock.do_handshake()
    except ssl.SSLWantReadError:
        return False
    except ssl.SSLWantWriteError:
        return True
    return None
