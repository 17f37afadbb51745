"""The default wire: requests over connections that are kept alive.

urllib3 costs several times the CPU, and a thread for each connection that is made. How one is made is the affair of
`resto.transports.connecting`, and what goes over it that of `resto.transports.connection`.
"""

import ssl
import time
from collections.abc import Mapping
from dataclasses import replace

from resto.courses import Course
from resto.hosts import HostURL
from resto.transports.begun import Begun
from resto.transports.connecting import Connector
from resto.transports.connection import Connection, joined
from resto.transports.credentials import Authenticator
from resto.transports.failures import STALE, broken
from resto.transports.heads import Heads, is_large
from resto.transports.idle import IdlePool
from resto.transports.messages import NoAnswerError, Request, Response


__all__ = ["ConnectionWire"]


class ConnectionWire:
    """Sends requests to one host over connections of its own.

    Args:
        url: Where the host is.
        timeout: Seconds that the host may stay silent.
        authenticator: Proves who sends the requests.
        ssl_context: How certificates are verified; used for ``https`` only.

    Attributes:
        path: Where the host keeps its files.
        idle: Connections that wait for their next use.
        is_ordinary: Whether `begin` can send requests.
    """

    def __init__(
        self, url: HostURL, timeout: float, authenticator: Authenticator | None, ssl_context: ssl.SSLContext | None
    ) -> None:
        self._timeout = timeout
        self._heads = Heads(url, authenticator)
        self.is_ordinary = self._heads.are_ordinary
        self._connector = Connector(url, timeout, ssl_context)
        self.path = url.path
        self.idle: IdlePool[Connection] = IdlePool()
        # That one request comes behind another one, which some host, or proxy, may not understand.
        self._may_follow = True

    def close(self) -> None:
        self.idle.clear()

    def begin(
        self, method: str, target: str, headers: Mapping[str, str], content: bytes | None
    ) -> Begun[Connection] | None:
        """Return what sends a request over an idle connection; None if there is none. Nothing is sent yet.

        Args:
            method: As for `Request`.
            target: As for `Request`.
            headers: As for `Request`.
            content: The body, if there is one, which is not large.
        """
        connection = self._take()
        if connection is None:
            return None
        head = self._heads.ordinary(method, target, headers, None if content is None else len(content))
        return Begun(connection, iter((head,) if content is None else joined(head, content)), (method, target))

    def exchange(self, request: Request, begun: Begun[Connection] | None = None) -> Course[Response]:
        """Send a request and return the answer.

        It begins without waiting if the body is not large, and a connection is idle or the address of the host is known.

        Args:
            request: What to send.
            begun: The same request, if it is on its way.

        Raises:
            NoAnswerError: There was none.
        """
        if not self._may_follow and request.followed_by is not None:
            request = replace(request, followed_by=None)
        if request.delay or is_large(request.body):
            yield None
            time.sleep(request.delay)  # the host said that it is busy, and will not say when it no longer is
        connection = None if request.is_fresh else self._take() if begun is None else begun.connection
        if connection is not None:
            try:
                return (yield from connection.exchange(request, self.idle, begun))
            except STALE as error:
                # It was closed, before anything was answered: servers do so to idle connections.
                if not request.idempotent:
                    raise broken(error) from error
            except NoAnswerError:
                if begun is None or not begun.is_follower:
                    raise
            if begun is not None and begun.is_follower:
                self._may_follow = False
        connection = Connection((yield from self._connector.connect()), self._heads, self._timeout)
        try:
            return (yield from connection.exchange(request, self.idle))
        except STALE as error:
            raise broken(error) from error

    def _take(self) -> Connection | None:
        """Return an idle connection over which the host has said nothing since, not even that it is closed."""
        while (connection := self.idle.take()) is not None and not connection.is_silent():
            connection.close()
        return connection
