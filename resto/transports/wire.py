"""The default wire: requests over kept-alive connections of urllib3, answers read by `http.client`.

urllib3's own request path costs several times the CPU; its documented connection classes do the connecting, TLS and the
verification of certificates.
"""

import socket
import ssl
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse, RemoteDisconnected

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError, NameResolutionError, NewConnectionError

from resto.hosts import HostURL
from resto.outcomes import Arrival
from resto.transports.bodies import Body
from resto.transports.credentials import Authenticator, HeaderAuthenticator, RequestsAuthenticator, is_header
from resto.transports.idle import IdlePool
from resto.transports.messages import NoAnswerError, Request, Response, Sent, Stream


__all__ = ["DRAIN_SIZE", "STALE", "ConnectionWire", "broken", "cannot_prepare", "checked_headers", "connect_problem"]

# A body up to this size leaves in one piece with the headers; joining larger ones costs more than it saves.
JOIN_SIZE = 16 * 1024

# A body above this size is announced (RFC 9110, section 10.1.1), so that a host which refuses it need not receive it.
EXPECT_SIZE = 1024 * 1024

# Seconds to wait for permission to send an announced body; servers may not give it.
EXPECT_WAIT = 1

# Seconds for an answer to which whoever collects it comes too late: it may have arrived long ago.
LAST_CHANCE = 0.001

# The body of an answer that nobody wants is read up to this size, to keep the connection.
DRAIN_SIZE = 64 * 1024

# TLS writes all that it is given within one timeout; more than this would ask for a minimum speed.
TLS_SEND_SIZE = 16 * 1024

# What a connection does that was closed by the host.
STALE = (RemoteDisconnected, BrokenPipeError, ConnectionResetError, ConnectionAbortedError, ssl.SSLEOFError)

_GO_ON = b"HTTP/1.1 100"

Connection = HTTPConnection | HTTPSConnection


class ConnectionWire:
    """Sends requests to one host over connections of its own.

    Args:
        url: Where the host is.
        timeout: Seconds that the host may stay silent.
        authenticator: Proves who sends the requests.
        ssl_context: How certificates are verified; used for ``https`` only.
    """

    def __init__(
        self, url: HostURL, timeout: float, authenticator: Authenticator | None, ssl_context: ssl.SSLContext | None
    ) -> None:
        self._url = url
        self._timeout = timeout
        self._auth = authenticator.auth if isinstance(authenticator, RequestsAuthenticator) else None
        self._ssl_context = ssl_context
        self._idle: IdlePool[Connection] = IdlePool()
        fixed = {"Host": url.netloc, "User-Agent": "resto", "Accept-Encoding": "identity"}
        if isinstance(authenticator, HeaderAuthenticator):
            fixed = _merged(fixed, authenticator.headers)
        self._fixed_headers = fixed
        self._fixed_lines = _lines(fixed)

    def close(self) -> None:
        self._idle.clear()

    def send(self, request: Request) -> Response:
        """Send a request and return the answer.

        Raises:
            NoAnswerError: There was none.
        """
        if request.delay:
            time.sleep(request.delay)  # the host said that it is busy, and will not say when it no longer is
        connection = self._take()
        if connection is not None:
            try:
                return self._exchange(connection, request)
            except STALE as error:
                # It was closed, before anything was answered: servers do so to idle connections.
                if not request.idempotent:
                    raise broken(error) from error
        return self._send_over_new_connection(request)

    def _send_over_new_connection(self, request: Request) -> Response:
        connection = self._connect()
        try:
            return self._exchange(connection, request)
        except STALE as error:
            raise broken(error) from error

    def begin(self, request: Request) -> Sent | None:
        """Send a request without waiting, if a connection is idle and the body is small; None if nothing was sent."""
        if request.delay or (request.body is not None and request.body.size > JOIN_SIZE):
            return None
        connection = self._take()
        if connection is None:
            return None
        try:
            sent = self._send_joined(connection, request)
        except OSError as error:
            connection.close()
            raise broken(error) from error
        except BaseException:
            connection.close()
            raise
        arrival = Arrival(connection.sock.fileno(), time.monotonic() + self._timeout)

        def receive() -> Response:
            try:
                return self._receive(
                    connection, request, lambda: (self._begin_until(arrival.deadline, connection, request), sent)
                )
            except STALE as error:
                if not request.idempotent:
                    raise broken(error) from error
            return self._send_over_new_connection(request)

        return Sent(receive, arrival)

    def _take(self) -> Connection | None:
        """Return an idle connection that the host has not closed."""
        while (connection := self._idle.take()) is not None:
            if connection.is_connected:
                break
            connection.close()
        return connection

    def _connect(self) -> Connection:
        url = self._url
        connection: Connection
        if url.scheme == "https":
            connection = HTTPSConnection(url.hostname, url.port, timeout=self._timeout, ssl_context=self._ssl_context)
        else:
            connection = HTTPConnection(url.hostname, url.port, timeout=self._timeout)
        try:
            connection.connect()
        except (OSError, HTTPError) as error:
            connection.close()
            raise NoAnswerError(connect_problem(error, self._timeout), ambiguous=False) from error
        return connection

    def _exchange(self, connection: Connection, request: Request) -> Response:
        return self._receive(connection, request, lambda: self._send_and_begin(connection, request))

    def _receive(
        self, connection: Connection, request: Request, begin: Callable[[], tuple[HTTPResponse, bool]]
    ) -> Response:
        """Return an answer that has begun to arrive, and keep the connection if it can be used again.

        Args:
            connection: Where the request went.
            request: What was sent.
            begin: Reads the head of the answer; returns it, and whether the whole request was sent.
        """
        try:
            answer, sent = begin()
        except TimeoutError as error:
            connection.close()
            raise NoAnswerError(f"no answer within {self._timeout:g} s", ambiguous=True) from error
        except STALE:
            connection.close()
            raise
        except (OSError, HTTPException) as error:
            connection.close()
            raise broken(error) from error
        except BaseException:
            connection.close()
            raise
        stream = _AnswerStream(answer, connection, self._idle if sent and not answer.will_close else None)
        response = Response(answer.status, answer.reason, answer.headers, stream if request.stream else None)
        if not (request.stream and answer.status in (200, 207)):
            stream.drain()
        return response

    def _send_and_begin(self, connection: Connection, request: Request) -> tuple[HTTPResponse, bool]:
        sock, body = connection.sock, request.body
        if body is None or body.size <= JOIN_SIZE:
            sent = self._send_joined(connection, request)
        elif body.size <= EXPECT_SIZE:
            sent = _send(sock, [self._head(request)]) and _send(sock, body.blocks())
        else:
            return self._send_announced(sock, self._head(request), body, request.method)
        answer = HTTPResponse(sock, method=request.method)
        return _begin(answer), sent

    def _send_joined(self, connection: Connection, request: Request) -> bool:
        body = b"".join(request.body.blocks() if request.body else ())
        return _send(connection.sock, [self._head(request) + body])

    def _begin_until(self, deadline: float, connection: Connection, request: Request) -> HTTPResponse:
        # Whoever collects the answers of several hosts may come late to this one: they all share the time.
        connection.sock.settimeout(max(deadline - time.monotonic(), LAST_CHANCE))
        answer = _begin(HTTPResponse(connection.sock, method=request.method))
        connection.sock.settimeout(self._timeout)
        return answer

    def _send_announced(self, sock: socket.socket, head: bytes, body: Body, method: str) -> tuple[HTTPResponse, bool]:
        _send(sock, [head])
        answer = HTTPResponse(sock, method=method)
        sock.settimeout(min(self._timeout, EXPECT_WAIT))
        try:
            first = _peek(answer)
        except TimeoutError:
            answer = HTTPResponse(sock, method=method)  # a reader that timed out cannot be used again
            first = _GO_ON
        finally:
            sock.settimeout(self._timeout)
        # Of a status that has not arrived as a whole nothing is known: it may be an interim one.
        try:
            sent = first[9:10] in (b"", b"1") and _send(sock, body.blocks())
        except BaseException:
            answer.close()  # else the socket stays open, and the file locked, as long as somebody keeps the error
            raise
        return _begin(answer), sent

    def _head(self, request: Request) -> bytes:
        headers = dict(request.headers)
        if request.body is not None:
            headers["Content-Length"] = str(request.body.size)
            if request.body.size > EXPECT_SIZE:
                headers["Expect"] = "100-continue"
        if self._auth is None:
            return b"%s %s HTTP/1.1\r\n%s%s\r\n" % (
                request.method.encode(),
                request.target.encode(),
                self._fixed_lines,
                _lines(headers),
            )
        return self._authenticated_head(request, headers)

    def _authenticated_head(self, request: Request, headers: dict[str, str]) -> bytes:
        from requests import PreparedRequest  # whoever made the auth object has imported requests
        from requests.structures import CaseInsensitiveDict

        prepared = PreparedRequest()
        prepared.method = request.method
        prepared.url = f"{self._url.scheme}://{self._url.netloc}{request.target}"
        prepared.headers = CaseInsensitiveDict(_merged(self._fixed_headers, headers))
        prepared.body = request.body.content if request.body else None  # type: ignore[assignment]  # files are allowed
        try:
            prepared = self._auth(prepared)  # type: ignore[misc]  # only called when there is one
            lines = _lines(checked_headers(prepared.headers))
            return b"%s %s HTTP/1.1\r\n%s\r\n" % (request.method.encode(), prepared.path_url.encode(), lines)
        except Exception as error:  # noqa: BLE001 - an auth object is the site's code, and may fail as it likes
            raise cannot_prepare(error) from None


class _AnswerStream(Stream):
    """The body of an answer; never ends early in silence, and gives its connection back when it is read to its end."""

    def __init__(self, answer: HTTPResponse, connection: Connection, idle: IdlePool[Connection] | None) -> None:
        self._answer = answer
        self._connection = connection
        self._idle = idle
        self._closed = False

    def read(self, size: int = -1, /) -> bytes:
        try:
            block = self._answer.read(None if size < 0 else size)
        except (OSError, HTTPException) as error:
            self._abandon()
            problem = "it stopped answering" if isinstance(error, TimeoutError) else "its answer broke off"
            raise NoAnswerError(problem, ambiguous=True) from error
        if not block and size and self._answer.length:
            self._abandon()
            raise NoAnswerError("its answer broke off", ambiguous=True)
        return block

    def drain(self) -> None:
        with suppress(NoAnswerError):  # nobody wanted the body
            self.read(DRAIN_SIZE)
        self.close()

    def _abandon(self) -> None:
        self._idle = None  # the connection is of no use any more
        self._connection.close()

    def close(self) -> None:
        if self._closed:
            return  # the connection may serve another request already
        self._closed = True
        # At the end of its body, `http.client` closes an answer by itself.
        if self._idle is not None and (self._answer.isclosed() or self._answer.length == 0):
            self._answer.close()
            self._idle.give(self._connection)
        else:
            self._answer.close()
            self._connection.close()


def _send(sock: socket.socket, blocks: Iterable[bytes]) -> bool:
    """Send blocks; return False if the host stopped listening, in which case it may have answered all the same."""
    limit = TLS_SEND_SIZE if isinstance(sock, ssl.SSLSocket) else None
    for block in blocks:
        rest = memoryview(block)
        while rest:
            try:
                # Not sendall: that one counts the timeout from the first byte to the last.
                rest = rest[sock.send(rest[:limit]) :]
            except STALE:
                return False
    return True


def _begin(answer: HTTPResponse) -> HTTPResponse:
    """Read the head of an answer.

    Raises:
        OSError: Nothing was answered.
        NoAnswerError: The answer broke off.
    """
    _peek(answer)
    try:
        _begin_final(answer)
    except STALE as error:
        answer.close()
        # Not that of a connection which was closed while it was idle: the host had begun to answer.
        raise broken(error) from error
    except BaseException:
        answer.close()
        raise
    return answer


def _peek(answer: HTTPResponse) -> bytes:
    """Wait for the first bytes of an answer, and return them without taking them.

    Raises:
        OSError: There will be none.
    """
    try:
        first = answer.fp.peek(1)
    except OSError:
        answer.close()
        raise
    if not first:
        answer.close()
        raise RemoteDisconnected("closed without an answer")
    return first


def _begin_final(answer: HTTPResponse) -> None:
    """Read the head of the first answer that is not an interim one (RFC 9110, section 15.2)."""
    answer.begin()
    while answer.status < HTTPStatus.OK:
        # Of these, `http.client` skips 100 by itself; any other one would pass for the final answer.
        answer.headers = None  # type: ignore[assignment]  # makes `begin` read another head
        answer.begin()


def _lines(headers: Mapping[str, str]) -> bytes:
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode("ascii")


def _merged(headers: dict[str, str], more: Mapping[str, str]) -> dict[str, str]:
    """Return headers with others added, which replace those of the same name in any case."""
    names = {name.lower() for name in more}
    return {name: value for name, value in headers.items() if name.lower() not in names} | dict(more)


def checked_headers(headers: Mapping[str, str | bytes]) -> dict[str, str]:
    """Return headers as text, all of them fit to be sent.

    Raises:
        ValueError: One contains a line break, or something else that would end it early.
    """
    texts = {name: value.decode("latin-1") if isinstance(value, bytes) else value for name, value in headers.items()}
    for name, value in texts.items():
        if not is_header(name, value):
            raise ValueError(f"header {name!r}")
    return texts


def cannot_prepare(error: Exception) -> NoAnswerError:
    """Return the error for a request that could not be made; not with its text, which may hold the credential."""
    return NoAnswerError(f"the request cannot be authenticated: {type(error).__name__}", ambiguous=False)


def connect_problem(error: Exception, timeout: float) -> str:
    """Return why no connection was made, a sentence fragment."""
    cause = error.__cause__ or error
    if isinstance(cause, TimeoutError):
        return f"no connection within {timeout:g} s"
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {cause.verify_message}"
    if isinstance(cause, ssl.SSLError):
        return f"TLS failed: {cause.reason or cause}"
    if isinstance(error, NameResolutionError):
        return "its name cannot be resolved"
    if isinstance(error, NewConnectionError) and isinstance(cause, OSError):
        return (cause.strerror or str(cause)).lower()
    return f"no connection: {cause}"


def broken(error: Exception) -> NoAnswerError:
    """Return the error for a connection that was made, but brought no answer."""
    if isinstance(error, STALE):
        return NoAnswerError("the connection broke before an answer", ambiguous=True)
    if isinstance(error, ssl.SSLError):
        return NoAnswerError(f"TLS failed: {error.reason or error}", ambiguous=True)
    if isinstance(error, OSError):
        return NoAnswerError(f"the connection broke: {(error.strerror or str(error)).lower()}", ambiguous=True)
    return NoAnswerError(f"its answer cannot be understood: {type(error).__name__}", ambiguous=True)
