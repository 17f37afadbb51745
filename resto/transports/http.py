"""The transport over plain HTTP: PUT, GET, HEAD and DELETE (RFC 9110, section 9.3).

Statuses are interpreted one by one, never by their class: "202 Accepted" is no proof that a file was stored.
"""

import io
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Self, TypedDict, TypeVar, cast

from django.utils.module_loading import import_string

from resto.courses import Course, as_method, finish
from resto.exceptions import ConfigurationError
from resto.hosts import HostURL, parse_url
from resto.names import is_temporary
from resto.sensitive import sensitive_variables
from resto.transports import deletion, looks, steps
from resto.transports.acquaintance import Acquaintance, AttentiveWire, try_directories
from resto.transports.base import Directory, Transport, Trial
from resto.transports.begun import Begun
from resto.transports.bodies import BLOCK_SIZE, Body, UnreadableBodyError, is_rewindable
from resto.transports.connection import Connection
from resto.transports.credentials import Authenticator, ReactiveAuthenticator, authenticator
from resto.transports.downloads import Download, download, download_part, unavailable
from resto.transports.limits import MAX_DOWNLOAD, MAX_LISTING, LongAnswerError, checked_limit
from resto.transports.listings import parse_autoindex
from resto.transports.messages import NoAnswerError, Request, Response, Steps, Stream, Wire, run_steps
from resto.transports.parts import FilePart, Version
from resto.transports.plain import PLAIN_SIZE, GoingOn, plainly
from resto.transports.steps import Action
from resto.transports.wire import ConnectionWire


__all__ = ["HttpOptions", "HttpTransport"]

T = TypeVar("T")


class HttpOptions(TypedDict, total=False):
    """The options of `HttpTransport`, which its subclasses take too."""

    auth: Any
    auth_scheme: str | None
    ca_bundle: str | None
    client_cert: str | tuple[str, str] | None
    session: Any
    max_listing: int
    max_download: int


class HttpTransport(Transport):
    """Reads and writes files over plain HTTP.

    The server makes missing directories by itself, as nginx does with ``create_full_put_path on``; for others there is
    the WebDAV transport. Redirects are not followed; proxies and netrc files of the environment are not used.

    Args:
        base_url: Where files are served from; hosts that are no full URLs take its scheme and path.
        timeout: Seconds that a host may stay silent: while connecting, and at each read or write.
        auth: Name of a credential in ``RESTO_SECRETS``; or, not recommended, the credential itself: ``(user,
            password)``, ``{header: value}``, or an auth object of requests. A string is always a name.
        auth_scheme: ``"basic"`` (the default) or ``"digest"``, for a user and a password.
        ca_bundle: Path of a PEM file with the certificates of the authorities to trust instead of the system's.
        client_cert: Path of a PEM file with a client certificate and its key, or the two paths.
        session: A `requests.Session`, or a callable that makes one, or its dotted path. Requests then go through it.
        max_listing: Bytes that a host may send as the listing of one directory.
        max_download: Bytes of the largest file that is downloaded.

    Raises:
        ConfigurationError: The options do not fit together, or name what does not exist.
    """

    supports_modified_time = True
    supports_parts = True
    _has_propfind = False

    @sensitive_variables()
    def __init__(
        self,
        base_url: str,
        *,
        timeout: float = 2,
        auth: Any = None,
        auth_scheme: str | None = None,
        ca_bundle: str | None = None,
        client_cert: str | tuple[str, str] | None = None,
        session: Any = None,
        max_listing: int = MAX_LISTING,
        max_download: int = MAX_DOWNLOAD,
    ) -> None:
        super().__init__(base_url, timeout=timeout)
        self.has_literal_credentials = auth is not None and not isinstance(auth, str)
        self._authenticator = authenticator(auth, auth_scheme)
        self._ca_bundle = _existing(ca_bundle, "ca_bundle")
        certificate = [client_cert] if isinstance(client_cert, str) else client_cert or []
        self._client_cert = [path for path in certificate if _existing(path, "client_cert")]
        self._session = _session_factory(session, has_certificates=bool(ca_bundle or client_cert))
        self._max_listing = checked_limit(max_listing, "max_listing")
        self._max_download = checked_limit(max_download, "max_download")
        self._wires: dict[str, tuple[HostURL, Wire]] = {}
        self._acquaintances: dict[str, Acquaintance] = {}
        self._lists: dict[str, bool] = {}
        self._context: ssl.SSLContext | None = None
        if ca_bundle or client_cert:
            self._ssl_context()  # so that what cannot be loaded is found before anything is written

    def identify(self, host: str) -> str:
        return str(parse_url(host, self.base_url))

    def public_url(self, host: str) -> str | None:
        return self.identify(host)

    def close(self) -> None:
        for _, wire in list(self._wires.values()):
            wire.close()

    def without_credentials(self) -> Self | None:
        if self._session is not None:
            return None  # it may have some of its own
        if self._authenticator is None and not self._client_cert:
            return self
        other = copy(self)
        other._authenticator, other._client_cert = None, []  # noqa: SLF001 - of the same class
        other._context, other._wires = None, {}  # noqa: SLF001 - as above
        return other

    def exposes_credentials(self, host: str) -> bool:
        url, authenticator = parse_url(host, self.base_url), self._authenticator
        return authenticator is not None and authenticator.shows_secret and url.scheme == "http" and not url.is_loopback

    @as_method
    def open(self, host: str, name: str) -> Course[BinaryIO]:
        action = self._action(host, name, "download")
        stream = yield from self._perform(action, download(action, self._max_download))
        return io.BufferedReader(Download(action, stream), BLOCK_SIZE)

    @as_method
    def open_part(
        self, host: str, name: str, start: int, end: int | None, version: Version | None = None
    ) -> Course[FilePart]:
        action = self._action(host, name, "download")
        stream, told = yield from self._perform(action, download_part(action, start, end, version, self._max_download))
        return FilePart(io.BufferedReader(Download(action, stream), BLOCK_SIZE), told)

    @as_method
    def exists(self, host: str, name: str) -> Course[bool]:
        action = self._action(host, name, "exists")
        return self._plainly(host, name, "HEAD", steps.EXISTS, partial(self._perform, action, steps.exists(action)))

    @as_method
    def size(self, host: str, name: str) -> Course[int]:
        action = self._action(host, name, "size")
        return self._perform(action, looks.size(action, has_propfind=self._has_propfind))

    @as_method
    def modified_time(self, host: str, name: str) -> Course[datetime]:
        action = self._action(host, name, "modified_time")
        return self._perform(action, looks.modified_time(action, has_propfind=self._has_propfind))

    @as_method
    def age(self, host: str, name: str) -> Course[timedelta]:
        action = self._action(host, name, "modified_time")
        return self._perform(action, looks.age(action, has_propfind=self._has_propfind))

    @as_method
    def browse(self, host: str, name: str) -> Course[Directory | None]:
        """Return what a directory holds, where the host lists it as JSON (nginx: ``autoindex_format json``)."""
        action = self._action(host, name, "listdir")
        return self._perform(action, self._browse(action))

    def _browse(self, action: Action) -> Steps[Directory | None]:
        known = self._lists.get(action.host)
        if known is False:
            return None
        response = yield Request("GET", steps.collection(action.target), stream=True)
        if response.status == 200:
            directory = _json_listing(action, response, self._max_listing)
            if directory is not None:
                self._lists[action.host] = True
            return directory
        steps.close_stream(response)
        # Of a host that has never listed anything, Apache for example, this says nothing about the directory.
        if response.status in steps.ABSENT:
            if known:
                raise action.missing()
            return None
        if known or response.status not in steps.LISTS_NOT:
            raise action.unexpected(response, "GET")
        self._lists[action.host] = False
        return None

    @as_method
    def create(self, host: str, name: str, content: bytes | BinaryIO) -> Course[bool]:
        ordinary = partial(self._create, host, name, content)
        at_hand = content if isinstance(content, bytes) else getattr(content, "at_hand", None)
        if at_hand is not None and len(at_hand) <= PLAIN_SIZE and self._stores_at_once(host):
            return self._plainly(host, name, "PUT", steps.STORED, ordinary, {}, at_hand)
        return ordinary(None)

    def _create(self, host: str, name: str, content: bytes | BinaryIO, begun: Begun[Connection] | None) -> Course[bool]:
        action = self._action(host, name, "upload")
        if not is_rewindable(content):
            yield None  # it is read to its end first
        try:
            body = Body(content)
        except UnreadableBodyError as error:
            raise action.failed(str(error)) from error
        try:
            sequence, is_followed = self._upload(action, body), body.size > steps.VERIFY_SIZE
            return (yield from self._perform(action, sequence, begun, is_followed=is_followed))
        finally:
            body.close()

    @as_method
    def delete(self, host: str, name: str) -> Course[bool]:
        ordinary, trial = partial(self._delete, host, name), self.trial(host)
        if trial is None or not trial.spares:
            return ordinary(None)  # it looks first whether that is a file
        return self._plainly(host, name, "DELETE", deletion.DELETED, ordinary, steps.OF_ONE_FILE)

    def _delete(self, host: str, name: str, begun: Begun[Connection] | None) -> Course[bool]:
        action = self._action(host, name, "delete")
        known, is_begun = self._acquaintance(host), begun is not None
        sequence = deletion.delete(action, known, has_propfind=self._has_propfind, is_on_its_way=is_begun)
        return self._perform(action, sequence, begun)

    def remove_directory(self, host: str, name: str) -> bool:
        """Remove a directory with a temporary name.

        Raises:
            ValueError: It has another name, so that it may be one of the site.
        """
        if not is_temporary(name):
            raise ValueError(f"{name!r} is not a temporary name")
        action = self._action(host, name, "delete")
        finish(self._perform(action, deletion.remove_directory(action)))
        return True

    def try_directories(self, host: str) -> Trial | None:
        action, known = deletion.trial_of(self._action(host, "", "delete")), self._acquaintance(host)
        finish(self._perform(action, try_directories(action, known)))
        if known.trial is None:
            raise action.failed(known.problem)
        return known.trial

    def trial(self, host: str) -> Trial | None:
        return self._acquaintance(host).trial

    def believe(self, host: str, trial: Trial) -> None:
        self._acquaintance(host).hear(trial)

    def _upload(self, action: Action, body: Body) -> Steps[bool]:
        response = yield from steps.put(action.target, body, is_checked=True)
        return (yield from looks.settle(action, response, body, has_propfind=self._has_propfind))

    def _acquaintance(self, host: str) -> Acquaintance:
        known = self._acquaintances.get(host)
        return self._acquaintances.setdefault(host, Acquaintance()) if known is None else known

    def _stores_at_once(self, host: str) -> bool:
        """Whether it is known without a question that a small upload begins with the PUT of the file."""
        return True

    def _server_product(self, action: Action) -> str | None:
        return self._acquaintance(action.host).product

    def _action(self, host: str, name: str, kind: str) -> Action:
        url, _ = self._wires.get(host) or self._wire(host)
        return Action(kind, host, name, url)

    def _plainly(self, host: str, *request: Any) -> Course[Any]:
        _, wire = self._wires.get(host) or self._wire(host)
        return plainly(wire, self._acquaintance(host), *request)

    def _perform(
        self, action: Action, sequence: Steps[T], begun: Begun[Connection] | None = None, *, is_followed: bool = False
    ) -> Course[T]:
        wire = self._wires[action.host][1]
        if begun is not None or (is_followed and isinstance(wire, ConnectionWire)):
            wire = GoingOn(cast("ConnectionWire", wire), begun)
        try:
            return (yield from run_steps(sequence, AttentiveWire(wire, self._acquaintance(action.host))))
        except NoAnswerError as error:
            raise unavailable(action, error) from error
        except UnreadableBodyError as error:
            raise action.failed(str(error)) from error
        finally:
            if isinstance(wire, GoingOn):
                wire.end()

    def _wire(self, host: str) -> tuple[HostURL, Wire]:
        url = parse_url(host, self.base_url)
        context = self._ssl_context() if url.scheme == "https" else None
        wire = _created_wire(url, self.timeout, self._authenticator, self._session, context)
        # Two threads may do so at the same time, and one wire is kept. A lock could be held at a fork.
        return self._wires.setdefault(host, (url, wire))

    def _ssl_context(self) -> ssl.SSLContext:
        self._context = self._context or _created_context(self._ca_bundle, self._client_cert)
        return self._context


def _created_wire(
    url: HostURL,
    timeout: float,
    authenticator: Authenticator | None,
    create_session: Callable[[], Any] | None,
    context: ssl.SSLContext | None,
) -> Wire:
    if create_session is None and not isinstance(authenticator, ReactiveAuthenticator):
        return ConnectionWire(url, timeout, authenticator, context)
    from resto.transports.requests_wire import RequestsWire, create_session_factory  # only for those who use it

    return RequestsWire(url, timeout, create_session or create_session_factory(context), authenticator)


def _json_listing(action: Action, response: Response, limit: int) -> Directory | None:
    """Return what a directory holds, if this is what the answer says, and not a page for people."""
    stream = cast("Stream", response.stream)  # a wire gives the stream of a 200 to who asks for it
    try:
        media_type = (response.headers.get("Content-Type") or "").partition(";")[0].strip().lower()
        is_json = media_type == "application/json"
        return parse_autoindex(steps.limited_listing(stream, limit)) if is_json else None
    except NoAnswerError as error:
        raise unavailable(action, error) from error
    except LongAnswerError as error:
        raise action.failed(str(error)) from error
    except (ValueError, RecursionError):
        return None
    finally:
        stream.close()


def _created_context(ca_bundle: str | None, client_cert: list[str]) -> ssl.SSLContext:
    with _loading("ca_bundle", "a PEM file with certificates"):
        context = ssl.create_default_context(cafile=ca_bundle)
    if client_cert:
        with _loading("client_cert", "a PEM file with a certificate and its key, not encrypted"):
            # Without a password, OpenSSL would ask for that of an encrypted key on the terminal.
            context.load_cert_chain(client_cert[0], client_cert[-1], password="")
    return context


@contextmanager
def _loading(option: str, wanted: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        problem = f"{option} cannot be loaded: {error.strerror or error}"
        raise ConfigurationError(problem, f"It must name {wanted}.", code="E008") from error


def _existing(path: str | None, option: str) -> str | None:
    if path is not None and not Path(path).is_file():
        raise ConfigurationError(f"{option} names a file that does not exist: {str(path)!r}", code="E008")
    return path


def _session_factory(session: Any, *, has_certificates: bool) -> Callable[[], Any] | None:
    if session is not None and has_certificates:
        problem = "ca_bundle and client_cert have no effect on a session"
        raise ConfigurationError(problem, "Set the session's own 'verify' and 'cert'.", code="E008")
    if isinstance(session, str):
        try:
            session = import_string(session)
        except ImportError as error:
            raise ConfigurationError(f"session cannot be imported: {error}", code="E008") from error
    makes_something_else = isinstance(session, type) and not hasattr(session, "prepare_request")
    if session is None or (callable(session) and not makes_something_else):
        return cast("Callable[[], Any] | None", session)
    if not hasattr(session, "prepare_request"):
        raise ConfigurationError("session must be a requests.Session or a callable that makes one", code="E008")
    return lambda: session
