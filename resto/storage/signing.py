"""URLs of private files, which media servers show for a while to whoever has one: each is signed with a secret that they share.

The name of the secret is in the URL, so that a server that knows two of them takes URLs of both: that is how a secret is changed.
"""

import hashlib
import hmac
import math
import re
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Protocol
from urllib.parse import unquote_to_bytes, urlencode, urlsplit, urlunsplit

from django.utils.module_loading import import_string

from resto.exceptions import ConfigurationError
from resto.names import canonical_name, clean_directory
from resto.sensitive import sensitive_variables
from resto.settings import get_credential


__all__ = ["Sign", "Signing", "for_lighttpd", "for_nginx", "signing_of"]

# Seconds: how long a URL is good unless it is said, and at most.
EXPIRE, LONGEST = 3600, 86_400

# Also a part of a URL, and of the configuration of a server.
_KEY = re.compile("[A-Za-z0-9_-]+")

# What means itself between quotes in the configuration of any server. 22 such characters are 128 random bits.
_SECRET = re.compile("[A-Za-z0-9_-]{22,}")
_HOW_TO_MAKE = "Make one with: openssl rand -hex 32"
_HINT = "See docs/private-files.md for what there is."

clock = time.time  # injected by tests


class Sign(Protocol):
    """Signs a URL."""

    def __call__(self, url: str, *, expires: int, key: str, secret: str) -> str:
        """Return a URL that shows the same file until it expires.

        Args:
            url: Without a query and a fragment; its host is missing if that of the site is meant.
            expires: When it is good no more, in seconds since the epoch.
            key: The name of the secret in ``RESTO_SECRETS``.
            secret: What the media servers know, too.
        """
        ...


@sensitive_variables()
def for_nginx(url: str, *, expires: int, key: str, secret: str) -> str:
    """Return a URL as nginx takes it with ``secure_link``; see `Sign`, and ``docs/servers/nginx-private.conf``."""
    path = unquote_to_bytes(urlsplit(url).path)
    digest = hashlib.md5(b"%d%s %s" % (expires, path, secret.encode())).digest()  # noqa: S324 - the module knows no other
    return f"{url}?{urlencode({'md5': _in_url(digest), 'expires': expires, 'key': key})}"


@sensitive_variables()
def for_lighttpd(url: str, *, expires: int, key: str, secret: str, longest: int = LONGEST) -> str:
    """Return a URL as lighttpd takes it; see `Sign`, and ``docs/servers/lighttpd-private.lua``.

    It is one of ``mod_secdownload`` with HMAC and SHA-256.

    Args:
        url: As for `Sign`.
        expires: As for `Sign`.
        key: As for `Sign`; what the path begins with.
        secret: As for `Sign`.
        longest: How old what is in the URL may be for the server, in seconds.
    """
    parts = urlsplit(url)
    since = f"/{expires - longest:x}"
    digest = hmac.digest(secret.encode(), since.encode() + unquote_to_bytes(parts.path), "sha256")
    return urlunsplit(parts._replace(path=f"/{key}/{_in_url(digest)}{since}{parts.path}"))


def _in_url(digest: bytes) -> str:
    return urlsafe_b64encode(digest).rstrip(b"=").decode()


class Signing:
    """Signs the URLs of the private files of a storage.

    Args:
        sign: ``"nginx"``, ``"lighttpd"``, or the dotted path of a `Sign`.
        key: The name of the secret in ``RESTO_SECRETS``.
        private: Directories whose files are private; all files are if there are none.
        expire: Seconds for which URLs are good unless it is said.
        longest: Seconds for which they are good at most. It is a part of URLs for lighttpd, which has to know it, too.

    Raises:
        ConfigurationError: One of these is of no use.
    """

    @sensitive_variables()
    def __init__(self, sign: str, *, key: str, private: Any = (), expire: int = EXPIRE, longest: int = LONGEST) -> None:
        self.expire, self.longest = _seconds("expire", expire), _seconds("longest", longest)
        if self.expire > self.longest:
            raise _wrong(f"expire is {expire!r}, and longest {longest!r}", "No URL is good for longer than 'longest'.")
        self._key, self._secret = _key_and_secret(key)
        self._private = _directories(private)
        self._name = sign
        self._sign = partial(for_lighttpd, longest=self.longest) if sign == "lighttpd" else _function(sign)

    def covers(self, name: str) -> bool:
        """Return whether a file is private; what is the name of no file is.

        Args:
            name: The file's name.
        """
        if not self._private:
            return True
        canonical = canonical_name(name)
        return canonical is None or canonical.startswith(self._private)

    @sensitive_variables()
    def signed(self, url: str, expire: float | None = None) -> str:
        """Return the URL of a private file.

        Args:
            url: Where it is.
            expire: Seconds for which it is good.

        Raises:
            ValueError: That is not a positive number, or more than ``longest``; or it cannot be signed.
        """
        seconds = self.expire if expire is None else expire
        if not _is_number(seconds) or not 0 < seconds <= self.longest:
            raise ValueError(f"expire must be a number of seconds up to {self.longest}, not {seconds!r}")
        try:
            return self._sign(url, expires=math.ceil(clock() + seconds), key=self._key, secret=self._secret)
        except Exception as error:  # noqa: BLE001 - it is the site's code, and may fail as it likes
            # Without its text, which may hold the secret.
            raise ValueError(f"{self._name!r} could not sign a URL: {type(error).__name__}") from None


@sensitive_variables()  # what is given as the name of a secret may be one itself
def signing_of(sign: Any, options: Any) -> Signing | None:
    """Return what signs the URLs of a storage; None if they are not signed.

    Args:
        sign: As for `Signing`; None if they are not.
        options: The other arguments of `Signing`.

    Raises:
        ConfigurationError: As for `Signing`.
    """
    if not isinstance(options, Mapping):
        raise _wrong(f"sign_options must be a mapping, not {type(options).__name__}", "Write {'key': name, ...}.")
    if sign is None:
        if options:
            raise _wrong("sign_options are given without sign", "Set 'sign' to 'nginx' or 'lighttpd', too.")
        return None
    if not isinstance(sign, str):
        raise _wrong(
            f"sign must be a string, not {type(sign).__name__}", "It is 'nginx', 'lighttpd', or a dotted path."
        )
    unknown = options.keys() - {"key", "private", "expire", "longest"}
    if unknown or "key" not in options:
        problem = f"an unknown name {min(map(str, unknown))!r}" if unknown else "no name 'key'"
        raise _wrong(f"sign_options have {problem}", "They have 'key', and may have 'private', 'expire', 'longest'.")
    return Signing(sign, **options)


def _function(sign: str) -> Sign:
    if sign == "nginx":
        return for_nginx
    try:
        function: Callable[..., str] = import_string(sign)
    except ImportError as error:
        hint = "It is 'nginx', 'lighttpd', or the dotted path of a function."
        raise _wrong(f"sign is {sign!r}, which cannot be imported", hint) from error
    if not callable(function):
        raise _wrong(f"sign is {sign!r}, which is not callable", _HINT)
    return function


@sensitive_variables()  # what is given as a name may be the secret itself
def _key_and_secret(name: Any) -> tuple[str, str]:
    if not isinstance(name, str):
        raise _wrong(f"the key of sign_options must be a name, not of type {type(name).__name__}", _HINT)
    secret = get_credential(name, option="key", code="E032")
    if not _KEY.fullmatch(name):
        problem = "the name of the key that signs URLs has other characters than letters, digits, '-' and '_'"
        raise _wrong(problem, "It stands in URLs.")
    if not isinstance(secret, str):
        raise _wrong("the key that signs URLs is no string", _HOW_TO_MAKE)
    if not _SECRET.fullmatch(secret):
        problem = (
            "the key that signs URLs is shorter than 22 characters, or has others than letters, digits, '-' and '_'"
        )
        raise _wrong(problem, _HOW_TO_MAKE)
    return name, secret


def _directories(values: Any) -> tuple[str, ...]:
    if isinstance(values, str) or not isinstance(values, list | tuple):
        raise _wrong(f"private must be a list of directories, not {type(values).__name__}", "Write ['invoices/'].")
    return tuple(f"{_directory(value)}/" for value in values)


def _directory(value: Any) -> str:
    try:
        cleaned = clean_directory(value) if isinstance(value, str) else ""
    except Exception as error:
        raise _wrong(f"private has {value!r}, which is no directory of the storage", "Write ['invoices/'].") from error
    if not cleaned:
        raise _wrong(f"private has {value!r}, which is no directory of the storage", "Leave it out if all are private.")
    return cleaned


def _seconds(option: str, value: Any) -> int:
    if not isinstance(value, int) or not _is_number(value) or value < 1:
        raise _wrong(f"{option} of sign_options must be a whole number of seconds, not {value!r}", "Write 3600.")
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _wrong(problem: str, hint: str) -> ConfigurationError:
    return ConfigurationError(problem, hint, "E032")
