"""How requests prove who sends them. Secrets come from ``RESTO_CREDENTIALS`` by name, and never show in a repr."""

from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from resto.exceptions import ConfigurationError
from resto.settings import get_setting


__all__ = ["Authenticator", "HeaderAuthenticator", "ReactiveAuthenticator", "RequestsAuthenticator", "authenticator"]

_HINT = "A credential is (user, password), a bearer token, {header: value}, or an auth object of requests."
_HEADER_NAME_CHARACTERS = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")


class Authenticator(Protocol):
    """Proves who sends a request."""


class HeaderAuthenticator:
    """Adds the same headers to every request."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        for name, value in headers.items():
            _check_header(name, value)
        self.headers = dict(headers)


class RequestsAuthenticator:
    """Applies an auth object of requests that needs to see the request only, and never the answer."""

    def __init__(self, auth: Callable[[Any], Any]) -> None:
        self.auth = auth


class ReactiveAuthenticator:
    """Makes auth objects of requests that react to answers, as for Digest, NTLM or Kerberos; one for each host."""

    def __init__(self, create_auth: Callable[[], Callable[[Any], Any]]) -> None:
        self.create_auth = create_auth


def authenticator(auth: Any, scheme: str | None) -> Authenticator | None:
    """Return what authenticates the requests of a transport.

    Args:
        auth: A name in ``RESTO_CREDENTIALS``, or a literal credential.
        scheme: ``"digest"`` or ``"basic"`` (the default) for a user and a password.

    Raises:
        ConfigurationError: There is no such name, or the credential is of no known form.
    """
    if auth is None:
        if scheme is not None:
            raise ConfigurationError("auth_scheme is given without auth", _HINT, code="E008")
        return None
    credential = _look_up(auth) if isinstance(auth, str) else auth
    if scheme not in (None, "basic", "digest"):
        raise ConfigurationError(f"auth_scheme must be 'basic' or 'digest', not {scheme!r}", code="E008")
    if isinstance(credential, tuple | list):
        return _for_user(credential, scheme or "basic")
    if scheme is not None:
        raise ConfigurationError(f"auth_scheme {scheme!r} needs a credential (user, password)", _HINT, code="E008")
    if isinstance(credential, str):
        return HeaderAuthenticator({"Authorization": f"Bearer {credential}"})
    if isinstance(credential, Mapping):
        return HeaderAuthenticator(credential)
    if callable(credential):
        return _for_requests_auth(credential)
    raise ConfigurationError(
        f"a credential of type {type(credential).__name__} is of no known form", _HINT, code="E008"
    )


def _look_up(name: str) -> Any:
    credentials = get_setting("CREDENTIALS")
    try:
        return credentials[name]
    except KeyError:
        known = ", ".join(sorted(credentials)) or "none"
        raise ConfigurationError(
            f"RESTO_CREDENTIALS has no credential named {name!r}", f"It has: {known}.", code="E008"
        ) from None


def _for_user(credential: tuple[Any, ...] | list[Any], scheme: str) -> Authenticator:
    if len(credential) != 2 or not all(isinstance(part, str) for part in credential):
        raise ConfigurationError("a credential must be two strings, user and password", _HINT, code="E008")
    user, password = credential
    if scheme == "digest":
        from requests.auth import HTTPDigestAuth  # imported only by those who use it

        return ReactiveAuthenticator(lambda: HTTPDigestAuth(user, password))
    if ":" in user:
        raise ConfigurationError("a user name must not contain ':' (RFC 7617)", code="E008")
    token = b64encode(f"{user}:{password}".encode()).decode()
    return HeaderAuthenticator({"Authorization": f"Basic {token}"})


def _for_requests_auth(auth: Callable[[Any], Any]) -> Authenticator:
    from requests import PreparedRequest  # whoever made the auth object has imported requests

    probe = PreparedRequest()
    probe.prepare(method="HEAD", url="http://localhost/")
    try:
        auth(probe)
    except Exception as error:
        raise ConfigurationError(f"the auth object {type(auth).__name__} failed: {error}", code="E008") from error
    if probe.hooks["response"]:
        return ReactiveAuthenticator(lambda: auth)
    return RequestsAuthenticator(auth)


def _check_header(name: object, value: object) -> None:
    if not isinstance(name, str) or not name or not _HEADER_NAME_CHARACTERS.issuperset(name):
        raise ConfigurationError(f"{name!r} is not the name of an HTTP header", _HINT, code="E008")
    if not isinstance(value, str) or not value.isprintable() or not value.isascii():
        raise ConfigurationError(f"the value of header {name!r} must be printable ASCII", _HINT, code="E008")
