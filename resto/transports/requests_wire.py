"""The wire over requests: for its ecosystem of authentication and adapters, at several times the price in CPU."""

import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from http.client import HTTPException
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError, ReadTimeoutError

from resto.courses import Course
from resto.hosts import HostURL
from resto.sensitive import sensitive_variables
from resto.transports import keeping
from resto.transports.answers import DRAIN_SIZE
from resto.transports.bodies import BLOCK_SIZE, Body, BodyFile, UnreadableBodyError
from resto.transports.credentials import (
    Authenticator,
    HeaderAuthenticator,
    ReactiveAuthenticator,
    RequestsAuthenticator,
)
from resto.transports.failures import (
    STALE,
    broke_off,
    broken,
    cannot_prepare,
    connect_problem,
    endless,
    no_session,
    too_late,
)
from resto.transports.heads import checked_headers
from resto.transports.idle import IdlePool
from resto.transports.limits import PIECE_SIZE
from resto.transports.messages import NoAnswerError, Request, Response
from resto.transports.requests_answers import EndlessAnswerError, LimitedAnswer, limit_answers


__all__ = ["RequestsWire", "create_session_factory"]

# A body up to this size is handed over as bytes.
_MEMORY_SIZE = 1024 * 1024

# Answers whose bodies may be wanted.
_WITH_CONTENT = frozenset({HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT, HTTPStatus.MULTI_STATUS})

Auth = Callable[[requests.PreparedRequest], requests.PreparedRequest]


@dataclass(frozen=True, slots=True)
class _Client:
    """A session and what authenticates its requests, for one request at a time."""

    session: requests.Session
    auth: Auth | None

    @property
    def lasts(self) -> float:
        return keeping.LEAST  # what hosts say of their connections is not looked at

    def close(self) -> None:
        self.session.close()


class RequestsWire:
    """Sends requests to one host with sessions of requests, as many as there are requests at the same time.

    Proxies and netrc files of the environment are not used; those set on a session are.

    Args:
        url: Where the host is.
        timeout: Seconds that the host may stay silent.
        create_session: Makes a session, or returns one that threads may share.
        authenticator: Proves who sends the requests; None leaves it to the session.
    """

    def __init__(
        self,
        url: HostURL,
        timeout: float,
        create_session: Callable[[], requests.Session],
        authenticator: Authenticator | None,
    ) -> None:
        self._root = url.origin
        self._headers = {"Host": url.netloc} if url.zone else {}
        self._timeout = timeout
        self._create_session = create_session
        self._authenticator = authenticator
        self._idle: IdlePool[_Client] = IdlePool()

    def close(self) -> None:
        self._idle.clear()

    def exchange(self, request: Request) -> Course[Response]:
        """Send a request and return the answer, in one step: requests cannot send without waiting.

        Raises:
            NoAnswerError: There was none.
        """
        yield None
        if request.delay:
            time.sleep(request.delay)  # the host said that it is busy, and will not say when it no longer is
        client = (None if request.is_fresh else self._idle.take()) or self._new_client()
        try:
            return self._send(client, request)
        finally:
            self._idle.give(client)

    @sensitive_variables()
    def _new_client(self) -> _Client:
        try:
            session = self._create_session()
        except Exception as error:  # noqa: BLE001 - a factory is the site's code, and may fail as it likes
            problem = type(error).__name__
        else:
            if hasattr(session, "prepare_request"):
                return self._authenticated(session)
            problem = f"it is of type {type(session).__name__}"
        raise no_session(problem)  # not within `except`: the error would stay with it, as its context

    def _authenticated(self, session: requests.Session) -> _Client:
        try:
            return _Client(session, _create_auth(self._authenticator))
        except Exception as error:  # noqa: BLE001 - as above
            failure = cannot_prepare(error)
        raise failure

    @sensitive_variables()  # urllib3 and http.client hold headers in the variables of theirs
    def _send(self, client: _Client, request: Request) -> Response:
        prepared = self._prepare(client, request)
        opened = _count_connections(client.session, prepared)
        try:
            return self._exchange(client.session, prepared, request)
        except (NoAnswerError, UnreadableBodyError):
            raise
        except Exception as error:  # noqa: BLE001 - adapters, auth objects and hooks fail as they like
            reused = opened is not None and opened == _count_connections(client.session, prepared)
            failure = None if request.idempotent and reused and _is_stale(error) else _translated(error, self._timeout)
        if failure is not None:
            # Not within `except`: the error would stay with it, and it has the request, whose headers hold the credential.
            raise failure
        # The connection was closed, before anything was answered; others that wait may be closed, too.
        client.close()
        try:
            return self._exchange(client.session, self._prepare(client, request), request)
        except (NoAnswerError, UnreadableBodyError):
            raise
        except Exception as error:  # noqa: BLE001 - as above
            failure = _translated(error, self._timeout)
        raise failure

    def _prepare(self, client: _Client, request: Request) -> requests.PreparedRequest:
        message = requests.Request(
            request.method,
            self._root + request.target,
            headers=self._headers | dict(request.headers),
            data=_data(request.body),
        )
        try:
            # An auth object keeps `prepare_request` from looking for one in a netrc file.
            message.auth = client.auth or client.session.auth or _no_auth
            prepared = client.session.prepare_request(message)
            prepared.headers["Accept-Encoding"] = "identity"
            if not request.is_announced:
                prepared.headers.pop("Expect", None)  # a session may have it
            checked_headers(prepared.headers)
        except UnreadableBodyError:
            raise
        except Exception as error:  # noqa: BLE001 - as above
            failure = cannot_prepare(error)
        else:
            return prepared
        raise failure

    def _exchange(self, session: requests.Session, prepared: requests.PreparedRequest, request: Request) -> Response:
        with suppress(AttributeError):  # an adapter of another kind limits its answers by itself, or not at all
            limit_answers(_pool(session, prepared))
        answer = session.send(
            prepared,
            stream=True,
            timeout=self._timeout,
            allow_redirects=False,
            proxies=session.proxies,
            verify=session.verify,
            cert=session.cert,
        )
        stream = _AnswerStream(answer, self._timeout)
        if answer.status_code < HTTPStatus.OK:
            # An interim answer, over an adapter of another kind: the final one is still to come.
            stream.close()
            raise broken(HTTPException())
        wanted = request.stream and answer.status_code in _WITH_CONTENT
        if not wanted:
            stream.drain()
        return Response(answer.status_code, answer.reason, answer.headers, stream if wanted else None)


def _create_auth(authenticator: Authenticator | None) -> Auth | None:
    if isinstance(authenticator, ReactiveAuthenticator):
        return authenticator.create_auth()
    if isinstance(authenticator, RequestsAuthenticator):
        return authenticator.auth
    if isinstance(authenticator, HeaderAuthenticator):
        return _HeaderAuth(authenticator.headers)
    return None


class _HeaderAuth:
    def __init__(self, headers: dict[str, str]) -> None:
        self._headers = headers

    def __call__(self, prepared: requests.PreparedRequest) -> requests.PreparedRequest:
        prepared.headers.update(self._headers)
        return prepared


def create_session_factory(ssl_context: ssl.SSLContext | None) -> Callable[[], requests.Session]:
    """Return a factory of plain sessions, which verify certificates as the default wire does."""

    def create_session() -> requests.Session:
        session = requests.Session()
        session.trust_env = False
        # A host could make up new ones with each answer, and the session would keep them all.
        session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        if ssl_context is not None:
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
    def __init__(self, answer: requests.Response, timeout: float) -> None:
        self._answer = answer
        self._timeout = timeout

    def read(self, size: int = -1, /) -> bytes:
        if size < 0:
            return b"".join(iter(partial(self.read, PIECE_SIZE), b""))
        # What requests itself relies on, for cookies.
        original = getattr(self._answer.raw, "_original_response", None)
        if isinstance(original, LimitedAnswer):
            original.begin_piece(self._timeout)
        return self._read(min(size, PIECE_SIZE))

    def _read(self, size: int) -> bytes:
        try:
            return self._answer.raw.read(size, decode_content=False)
        except ReadTimeoutError as error:
            cause = error.__cause__
            failure = broke_off(cause if isinstance(cause, TimeoutError) else TimeoutError())
        except Exception as error:  # noqa: BLE001 - what urllib3 and `http.client` raise of what a host makes up
            failure = broke_off(error)
        raise failure  # not within `except`, as above: the error has the connections, and what proves who uses a proxy

    def drain(self) -> None:
        with suppress(NoAnswerError):  # nobody wanted the body
            self._read(DRAIN_SIZE)
        self.close()

    def close(self) -> None:
        self._answer.close()


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


def _count_connections(session: requests.Session, prepared: requests.PreparedRequest) -> int | None:
    """Return how many connections a session has opened to a host so far; None if its adapter cannot tell."""
    try:
        return int(_pool(session, prepared).num_connections)
    except Exception:  # noqa: BLE001 - nor is there a reason why it should
        return None


def _pool(session: requests.Session, prepared: requests.PreparedRequest) -> Any:
    """Return the connections of a session to a host."""
    adapter: Any = session.get_adapter(str(prepared.url))
    return adapter.get_connection_with_tls_context(prepared, session.verify, proxies=session.proxies, cert=session.cert)


def _root(error: BaseException) -> BaseException:
    """Return the error below those that requests and urllib3 wrap around it."""
    while True:
        inner = [arg for arg in (getattr(error, "reason", None), *error.args) if isinstance(arg, BaseException)]
        if not inner:
            return error
        error = inner[-1]


def _is_stale(error: Exception) -> bool:
    return isinstance(_root(error), STALE)


def _translated(error: Exception, timeout: float) -> NoAnswerError:
    root = _root(error)
    if isinstance(root, NewConnectionError | ConnectTimeoutError | ssl.SSLCertVerificationError):
        return NoAnswerError(connect_problem(root, timeout), ambiguous=False)
    if isinstance(root, TimeoutError | ReadTimeoutError):
        return too_late(timeout, root.__cause__ or root)
    if isinstance(root, EndlessAnswerError):
        return endless()
    # Of an error that is neither's own, from a hook for example, the text may hold the credential.
    is_own = isinstance(error, requests.RequestException | HTTPError) and not isinstance(
        root, requests.RequestException
    )
    if is_own and isinstance(root, OSError | HTTPException):
        return broken(root)
    return NoAnswerError(f"requests failed: {type(root).__name__}", ambiguous=True)
