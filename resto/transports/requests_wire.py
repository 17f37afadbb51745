"""The wire over requests: for its ecosystem of authentication and adapters, at several times the price in CPU."""

import ssl
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError, ProtocolError, ReadTimeoutError

from resto.hosts import HostURL
from resto.transports.bodies import BLOCK_SIZE, Body, BodyFile
from resto.transports.messages import NoAnswerError, Request, Response


__all__ = ["RequestsWire", "create_session_factory"]

# A body up to this size is handed over as bytes.
_MEMORY_SIZE = 1024 * 1024

Auth = Callable[[requests.PreparedRequest], requests.PreparedRequest]


class RequestsWire:
    """Sends requests to one host with a session of requests for each thread.

    Proxies and netrc files of the environment are not used; those set on a session are.

    Args:
        url: Where the host is.
        timeout: Seconds that the host may stay silent.
        create_session: Makes a session for a thread, or returns one that threads may share.
        create_auth: Makes an auth object for a session; None leaves authentication to the session.
    """

    def __init__(
        self,
        url: HostURL,
        timeout: float,
        create_session: Callable[[], requests.Session],
        create_auth: Callable[[], Auth] | None,
    ) -> None:
        self._root = f"{url.scheme}://{url.netloc}"
        self._timeout = timeout
        self._create_session = create_session
        self._create_auth = create_auth
        self._local = threading.local()
        self._sessions: list[requests.Session] = []
        self._finalizer = weakref.finalize(self, _close_all, self._sessions)

    def close(self) -> None:
        self._local = threading.local()
        _close_all(self._sessions)

    def send(self, request: Request) -> Response:
        """Send a request and return the answer.

        Raises:
            NoAnswerError: There was none.
        """
        if request.delay:
            time.sleep(request.delay)  # the host said that it is busy, and will not say when it no longer is
        try:
            return self._send(request)
        except requests.ConnectionError as error:
            if not (request.idempotent and _is_stale(error)):
                raise _translated(error, self._timeout) from error
        except requests.RequestException as error:
            raise _translated(error, self._timeout) from error
        try:
            return self._send(request)
        except requests.RequestException as error:
            raise _translated(error, self._timeout) from error

    def begin(self, request: Request) -> None:
        """Return None: requests cannot send without waiting."""

    def _send(self, request: Request) -> Response:
        session, auth = self._session()
        message = requests.Request(
            request.method, self._root + request.target, headers=dict(request.headers), data=_data(request.body)
        )
        # An auth object keeps `prepare_request` from looking for one in a netrc file.
        message.auth = auth or session.auth or _no_auth
        prepared = session.prepare_request(message)
        prepared.headers["Accept-Encoding"] = "identity"
        answer = session.send(
            prepared,
            stream=True,
            timeout=self._timeout,
            allow_redirects=False,
            proxies=session.proxies,
            verify=session.verify,
            cert=session.cert,
        )
        wanted = request.stream and answer.status_code in (200, 207)
        stream = _AnswerStream(answer)
        if not wanted:
            stream.drain()
        return Response(answer.status_code, answer.reason, answer.headers, stream if wanted else None)

    def _session(self) -> tuple[requests.Session, Auth | None]:
        try:
            return self._local.session, self._local.auth
        except AttributeError:
            self._local.session = session = self._create_session()
            self._local.auth = auth = self._create_auth() if self._create_auth else None
            self._sessions.append(session)
            return session, auth


def create_session_factory(ssl_context: ssl.SSLContext) -> Callable[[], requests.Session]:
    """Return a factory of plain sessions, which verify certificates as the default wire does."""

    def create_session() -> requests.Session:
        session = requests.Session()
        session.trust_env = False
        session.mount("https://", _ContextAdapter(ssl_context))
        return session

    return create_session


class _ContextAdapter(HTTPAdapter):
    """Verifies certificates by a given context instead of by the bundle that comes with requests."""

    def __init__(self, ssl_context: ssl.SSLContext) -> None:
        self._ssl_context = ssl_context
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs, ssl_context=self._ssl_context)

    def build_connection_pool_key_attributes(self, request: Any, verify: Any, cert: Any = None) -> Any:
        host, pool = super().build_connection_pool_key_attributes(request, verify, cert)
        # requests would load its own bundle into the context.
        pool.pop("ca_certs", None)
        return host, pool | {"ssl_context": self._ssl_context}

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """Leave it to the context."""


class _AnswerStream:
    def __init__(self, answer: requests.Response) -> None:
        self._answer = answer

    def read(self, size: int = -1, /) -> bytes:
        try:
            return self._answer.raw.read(None if size < 0 else size, decode_content=False)
        except HTTPError as error:
            raise _translated(error, None) from error

    def drain(self) -> None:
        try:
            self._answer.raw.drain_conn()
        finally:
            self.close()

    def close(self) -> None:
        self._answer.close()


def _close_all(sessions: list[requests.Session]) -> None:
    while sessions:
        sessions.pop().close()


def _no_auth(prepared: requests.PreparedRequest) -> requests.PreparedRequest:
    return prepared


def _data(body: Body | None) -> Any:
    if body is None:
        return None
    if body.size <= _MEMORY_SIZE:
        # requests announces no length for an empty file object.
        return b"".join(body.blocks())
    return _Rewindable(body)


class _Rewindable(BodyFile):
    """A body that requests streams: it asks for an iterator, and for no more than it can send."""

    def read(self, size: int | None = -1, /) -> bytes:
        # urllib3 reads 16 KiB at a time, too little to be fast.
        return super().read(max(size, BLOCK_SIZE) if size and size > 0 else -1) or b""


def _is_stale(error: requests.ConnectionError) -> bool:
    cause = error.args[0] if error.args else None
    return isinstance(cause, ProtocolError) and any(isinstance(arg, ConnectionError) for arg in cause.args)


def _translated(error: Exception, timeout: float | None) -> NoAnswerError:
    limit = f" within {timeout:g} s" if timeout else ""
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return NoAnswerError(f"no connection{limit}", ambiguous=False)
    if isinstance(error, requests.exceptions.SSLError):
        return NoAnswerError("TLS failed, or its certificate is not trusted", ambiguous=False)
    if isinstance(error, requests.Timeout | ReadTimeoutError):
        return NoAnswerError(f"no answer{limit}", ambiguous=True)
    if isinstance(error, requests.ConnectionError) and not _is_stale(error):
        return NoAnswerError("no connection", ambiguous=False)
    return NoAnswerError("the connection broke before an answer", ambiguous=True)
