"""How requests prove who sends them. Secrets come from ``RESTO_SECRETS`` by name, and never show in a repr."""

from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from resto.exceptions import ConfigurationError
from resto.sensitive import sensitive_variables
from resto.settings import get_credential


__all__ = [
    "Authenticator",
    "HeaderAuthenticator",
    "ReactiveAuthenticator",
    "RequestsAuthenticator",
    "authenticator",
    "is_header",
]

_HINT = "A credential is (user, password), a bearer token, {header: value}, or an auth object of requests."
_HINT_OF_EMPTY = "Is the variable of the environment set, and the file filled, that RESTO_SECRETS takes it from?"
_HINT_OF_LINE = "If it is read from a file, take read_text().strip()."
_HEADER_NAME_CHARACTERS = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")

_QUOTES = frozenset('"\\')
_FRAMING_HEADERS = frozenset({"connection", "content-length", "expect", "transfer-encoding"})


class Authenticator(Protocol):
    """Proves who sends a request."""

    @property
    def shows_secret(self) -> bool:
        """Whether whoever sees a request can send others in its name."""
        ...


class HeaderAuthenticator:
    """Adds the same headers to every request."""

    shows_secret = True

    @sensitive_variables()
    def __init__(self, headers: Mapping[str, str]) -> None:
        for name, value in headers.items():
            _check_header(name, value)
        self.headers = dict(headers)


class RequestsAuthenticator:
    """Applies an auth object of requests that needs to see the request only, and never the answer.

    Args:
        auth: The object.
        shows_secret: As for `Authenticator`: one that signs requests does not.
    """

    def __init__(self, auth: Callable[[Any], Any], *, shows_secret: bool) -> None:
        self.auth = auth
        self.shows_secret = shows_secret


class ReactiveAuthenticator:
    """Makes auth objects of requests that react to answers, as for Digest, NTLM or Kerberos; one for each host."""

    shows_secret = False

    def __init__(self, create_auth: Callable[[], Callable[[Any], Any]]) -> None:
        self.create_auth = create_auth


@sensitive_variables()
def authenticator(auth: Any, scheme: str | None) -> Authenticator | None:
    """Return what authenticates the requests of a transport.

    Args:
        auth: A name in ``RESTO_SECRETS``, or a literal credential.
        scheme: ``"digest"`` or ``"basic"`` (the default) for a user and a password.

    Raises:
        ConfigurationError: There is no such name, or the credential is of no known form.
    """
    if auth is None:
        if scheme is not None:
            hint = "Name a credential of RESTO_SECRETS with 'auth', or leave auth_scheme out."
            raise ConfigurationError("auth_scheme is given without auth", hint, code="E008")
        return None
    credential = get_credential(auth, option="auth") if isinstance(auth, str) else auth
    if scheme not in (None, "basic", "digest"):
        raise ConfigurationError(f"auth_scheme must be 'basic' or 'digest', not {scheme!r}", code="E008")
    if isinstance(credential, tuple | list):
        return _for_user(credential, scheme or "basic")
    if scheme is not None:
        raise ConfigurationError(f"auth_scheme {scheme!r} needs a credential (user, password)", _HINT, code="E008")
    if isinstance(credential, str):
        _require_text("the token", credential)
        return HeaderAuthenticator({"Authorization": f"Bearer {credential}"})
    if isinstance(credential, Mapping):
        return HeaderAuthenticator(credential)
    if callable(credential):
        return _for_requests_auth(credential)
    raise ConfigurationError(
        f"a credential of type {type(credential).__name__} is of no known form", _HINT, code="E008"
    )


@sensitive_variables()
def _for_user(credential: tuple[Any, ...] | list[Any], scheme: str) -> Authenticator:
    if len(credential) != 2 or not all(isinstance(part, str) for part in credential):
        raise ConfigurationError("a credential must be two strings, user and password", _HINT, code="E008")
    user, password = credential
    _require_text("the user", user)
    _require_text("the password", password)
    try:
        token = b64encode(f"{user}:{password}".encode()).decode()
    except UnicodeEncodeError:
        # Such text comes from an environment whose encoding is another one.
        raise ConfigurationError("the user or the password cannot be encoded as UTF-8", code="E008") from None
    if scheme == "digest":
        from requests.auth import HTTPDigestAuth  # imported only by those who use it

        if not is_header("username", user) or not _QUOTES.isdisjoint(user):
            # requests puts it between quotes as it is.
            raise ConfigurationError("a user name for Digest must be printable ASCII, without quotes", code="E008")
        return ReactiveAuthenticator(lambda: HTTPDigestAuth(user, password))
    if ":" in user:
        raise ConfigurationError("a user name must not contain ':' (RFC 7617)", code="E008")
    return HeaderAuthenticator({"Authorization": f"Basic {token}"})


@sensitive_variables()
def _require_text(what: str, text: str) -> None:
    """Raise if a secret is empty, as where a variable is not set, or ends as a line of a file does."""
    if not text:
        raise ConfigurationError(f"{what} in the credential is empty", _HINT_OF_EMPTY, code="E008")
    if text.endswith(("\n", "\r")):
        raise ConfigurationError(f"{what} in the credential ends with the end of a line", _HINT_OF_LINE, code="E008")
    if any(character < " " or character == "\x7f" for character in text):  # RFC 7617, section 2
        raise ConfigurationError(f"{what} in the credential has control characters", _HINT_OF_LINE, code="E008")


@sensitive_variables()
def _for_requests_auth(auth: Callable[[Any], Any]) -> Authenticator:
    from requests import PreparedRequest  # whoever made the auth object has imported requests

    probe = PreparedRequest()
    probe.prepare(method="HEAD", url="http://localhost/")
    try:
        probe = auth(probe)
        headers = dict(probe.headers)
    except Exception as error:  # noqa: BLE001 - an auth object is the site's code, and may fail as it likes
        # Without the text of the error, which may hold the credential.
        problem = f"the auth object {type(auth).__name__} failed: {type(error).__name__}"
        raise ConfigurationError(problem, code="E008") from None
    for name, value in headers.items():
        if not is_header(name, value.decode("latin-1") if isinstance(value, bytes) else value):
            problem = (
                f"the auth object {type(auth).__name__} makes header {name!r} with a value that is not printable ASCII"
            )
            raise ConfigurationError(problem, code="E008")
    if probe.hooks["response"]:
        return ReactiveAuthenticator(lambda: auth)
    return RequestsAuthenticator(auth, shows_secret=_has_open_scheme(headers))


def _has_open_scheme(headers: Mapping[str, str | bytes]) -> bool:
    """Tell whether headers hold a secret itself (RFC 7617, RFC 6750)."""
    values = [value for name, value in headers.items() if name.lower() == "authorization"]
    texts = [value.decode("latin-1") if isinstance(value, bytes) else value for value in values]
    return any(text.partition(" ")[0].lower() in ("basic", "bearer") for text in texts)


def is_header(name: object, value: object) -> bool:
    """Tell whether a name and a value make one header, and nothing but that header."""
    return (
        isinstance(name, str)
        and bool(name)
        and _HEADER_NAME_CHARACTERS.issuperset(name)
        and isinstance(value, str)
        and value.isascii()
        and value.isprintable()
    )


@sensitive_variables()
def _check_header(name: object, value: object) -> None:
    if not is_header(name, ""):
        raise ConfigurationError("a key of the credential is not the name of an HTTP header", _HINT, code="E008")
    if str(name).lower() in _FRAMING_HEADERS:
        raise ConfigurationError(f"header {name!r} cannot be set: it frames the request", _HINT, code="E008")
    if not is_header(name, value):
        raise ConfigurationError(f"the value of header {name!r} must be printable ASCII", _HINT, code="E008")
