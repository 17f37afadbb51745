"""Hosts as they stand in the settings, and the URLs that they stand for. Nothing here touches the network."""

import re
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from os import PathLike
from typing import Any, Protocol
from urllib.parse import SplitResult, quote, unquote, urlsplit

from django.utils.functional import Promise

from resto.exceptions import ConfigurationError
from resto.hostnames import invalid, parse_hostname, shown_address


__all__ = [
    "NO_HOSTS",
    "Host",
    "HostURL",
    "StandIn",
    "parse_hosts",
    "parse_timeout",
    "parse_url",
    "parse_written_url",
    "put_in_place",
    "require_base_url",
    "stand_in",
]

# In place of a list: there are no hosts on purpose, such as where a site is developed.
NO_HOSTS = "none"

_DEFAULT_PORTS = {"http": 80, "https": 443}

# Colons and what else may stand in the address, without the brackets that tell it from a port.
_IPV6 = re.compile(r"[0-9A-Fa-f:.]*(?:::|[A-Fa-f])[0-9A-Fa-f:.]*")

# As other programs write a socket of the file system; a server of this name has a port, or no colon.
_SOCKET = re.compile(r"(?:http\+|https?://)?unix:(?![0-9]|/?$)", re.IGNORECASE)

# Between hosts that are written as one text, and what comes before or after a secret in an address.
_SEPARATOR, _SECRET = re.compile(r"[\s,;]+"), re.compile("[@?#]")

_HALF_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")

_BASE_URL_HINT = "Set MEDIA_URL, or the option 'base_url', to '/media/' or 'https://example.com/media/'."


@dataclass(frozen=True, slots=True)
class Host:
    """One media server, as configured.

    Attributes:
        address: What the settings call it, such as ``"media-1:8080"`` or ``"https://media-1.example.com/media/"``.
        options: Options for this host alone: ``transport``, ``transport_options``, those of the transport, and ``timeout``.
    """

    address: str
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)  # may hold a credential


@dataclass(frozen=True, slots=True)
class HostURL:
    """The URL below which one host keeps its files.

    Attributes:
        scheme: ``"http"`` or ``"https"``.
        hostname: Without brackets and port, ASCII.
        port: TCP port.
        path: Percent-encoded; starts and ends with ``/``.
        zone: Of an IPv6 address that is known on one link only: by which interface of this machine it is reached, such as ``"eth0"``.
    """

    scheme: str
    hostname: str
    port: int
    path: str
    zone: str = ""

    @property
    def netloc(self) -> str:
        """The host and, unless it is the scheme's own, the port, as the Host header has them (RFC 9110, section 7.2).

        A zone is nobody's concern but this machine's (RFC 6874, section 4).
        """
        return self._netloc(self.hostname)

    @property
    def origin(self) -> str:
        """Scheme, host and port of a URL, with the zone."""
        return f"{self.scheme}://{self._netloc(f'{self.hostname}%25{self.zone}' if self.zone else self.hostname)}"

    @property
    def peer(self) -> str:
        """What is connected to: the hostname, or the address with its zone, as the operating system has it."""
        return f"{self.hostname}%{self.zone}" if self.zone else self.hostname

    def _netloc(self, hostname: str) -> str:
        hostname = f"[{hostname}]" if ":" in hostname else hostname
        return hostname if self.port == _DEFAULT_PORTS[self.scheme] else f"{hostname}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether what is sent there stays on this machine, as far as the hostname tells."""
        try:
            return ip_address(self.hostname).is_loopback
        except ValueError:
            return self.hostname == "localhost" or self.hostname.endswith(".localhost")  # RFC 6761, section 6.3

    def __str__(self) -> str:
        return f"{self.origin}{self.path}"


class StandIn(Protocol):
    """What is reached in place of the hosts of all storages, as tests want it."""

    def hosts(self) -> tuple[Host, ...]:
        """Return the hosts of a storage that has none."""

    def url(self, address: str, base_url: str) -> HostURL:
        """Return the URL that is used in place of that of a host; as for `parse_url`."""


_stand_in: StandIn | None = None


def stand_in() -> StandIn | None:
    """Return what is in place of all hosts; None outside of tests."""
    return _stand_in


def put_in_place(new: StandIn | None) -> StandIn | None:
    """Let something be in place of all hosts, or nothing; return what has been before.

    Transports that exist already may go on as before.
    """
    global _stand_in
    before, _stand_in = _stand_in, new
    return before


def parse_hosts(values: str | Iterable[str | Mapping[str, Any]]) -> tuple[Host, ...]:
    """Return the hosts that a setting lists.

    Args:
        values: Addresses, or mappings ``{"url": address, **options for this host}``; or ``"none"``, which is none on purpose.

    Raises:
        ConfigurationError: The list is empty, or one is neither.
    """
    if _stand_in is not None and (values == NO_HOSTS or not values):
        return _stand_in.hosts()
    if values == NO_HOSTS:
        return ()
    if isinstance(values, str | bytes | Mapping | Iterator) or not isinstance(values, Iterable):
        problem = f"hosts must be a list, not of type {type(values).__name__}"
        raise ConfigurationError(problem, _hint_of_list(values), code="E003")
    # No generator: reports of exceptions do not know who has called one, and whether its variables are sensitive.
    hosts = tuple(map(_parse_host, values))
    if not hosts:
        hint = f"Set RESTO_MEDIA_HOSTS, or the option 'hosts'; to {NO_HOSTS!r} if there are none on purpose."
        raise ConfigurationError("no hosts", hint, code="E002")
    return hosts


def _hint_of_list(values: object) -> str:
    if isinstance(values, str) and values.strip().lower() == NO_HOSTS:
        return f"Did you mean {NO_HOSTS!r}?"
    if isinstance(values, PathLike) or (isinstance(values, str) and values.startswith("/")):
        return f"Did you mean location={str(values)!r}? The first argument is a list of hosts, and not the directory, as with Django's storage."
    if isinstance(values, str) and values.strip():
        # What holds a secret is not taken apart: a part of it would not be known for one.
        listed = [values] if _SECRET.search(values) else [one for one in _SEPARATOR.split(values) if one]
        return f"Did you mean [{', '.join(map(shown_address, listed))}]? One host stands in a list, too; {NO_HOSTS!r} says that there are none on purpose."
    if isinstance(values, Iterator):
        return "It is looked at more than once: make it a list."
    return f"Set RESTO_MEDIA_HOSTS, or the option 'hosts', to a list of addresses, or to {NO_HOSTS!r}."


def _parse_host(value: str | Mapping[str, Any]) -> Host:
    options: dict[str, Any] = {}
    address: object = value
    if isinstance(value, Mapping):
        options = dict(value)
        address = options.pop("url", None)
    if isinstance(value, Mapping) and not isinstance(address, str | None):
        raise ConfigurationError(f"the url of a host must be a string, not {type(address).__name__}", code="E003")
    if not isinstance(address, str) or not address:
        hint = 'A host is an address, or {"url": address, **options}.'
        kind = (
            f"a host with the keys {', '.join(map(str, options))}"
            if options
            else f"a host of type {type(value).__name__}"
        )
        raise ConfigurationError(f"{kind} has no address", hint, code="E003")
    if address == NO_HOSTS:
        hint = (
            f"Let hosts be {NO_HOSTS!r}, if there are none on purpose. A server of this name is 'http://{NO_HOSTS}/'."
        )
        raise ConfigurationError(f"{NO_HOSTS!r} stands in the place of the list of hosts, not in it", hint, code="E003")
    return Host(address, options)


def parse_url(address: str, base_url: str) -> HostURL:
    """Return the URL that is used for a host: the one that its address stands for, but for tests that put another in its place.

    Args:
        address: As for `parse_written_url`.
        base_url: As for `parse_written_url`.

    Raises:
        ConfigurationError: As for `parse_written_url`.
    """
    return parse_written_url(address, base_url) if _stand_in is None else _stand_in.url(address, base_url)


def parse_written_url(address: str, base_url: str) -> HostURL:
    """Return the URL that an address stands for.

    Args:
        address: A full URL, or ``"hostname:port"``, to which the scheme and path of ``base_url`` are added.
        base_url: Where files are served from; without a scheme, it is ``http``.

    Raises:
        ConfigurationError: The URL has a query, fragment or user information, or is not one of HTTP.
    """
    if "@" in address:
        raise ConfigurationError(
            f"the URL of host {shown_address(address)} contains user information",
            "Put the credentials into RESTO_SECRETS and name them in the transport option 'auth'.",
            code="E003",
        )
    if "?" in address or "#" in address:
        raise invalid(address, "it must not contain a query or fragment")
    if _SOCKET.match(address):
        hint = (
            "Name the host 'http://media-1/', and give the transport option 'session' a session of requests whose adapter for "
            "this name goes over the socket."
        )
        raise ConfigurationError(
            f"host {shown_address(address)} is a socket of the file system, which takes the option 'session'",
            hint,
            code="E003",
        )
    # Parsers of URLs drop newlines and tabs in silence.
    if not address.isprintable() or address != address.strip():
        raise invalid(address, "it contains white space or control characters")
    if "://" in address:
        return _parse_full(address, address)
    if "/" in address or " " in address:
        raise invalid(address, "it is neither a full URL nor 'hostname:port'")
    base = _split_base(str(base_url))
    return _parse_full(address, f"{base.scheme or 'http'}://{address}/{base.path.lstrip('/')}")


def require_base_url(value: object) -> None:
    """Raise unless files can be served from there. A lazy string is not looked into.

    Args:
        value: ``base_url``, or ``MEDIA_URL``.

    Raises:
        ConfigurationError: It is no string, or no URL, or has a query or fragment.
    """
    if not isinstance(value, str | Promise):
        problem = f"base_url must be a string, not of type {type(value).__name__}"
        raise ConfigurationError(problem, _BASE_URL_HINT, code="E003")
    if isinstance(value, str):
        _split_base(value)


def _split_base(base_url: str) -> SplitResult:
    try:
        base = urlsplit(base_url)
    except ValueError:
        raise ConfigurationError("base_url is not a URL", _BASE_URL_HINT, code="E003") from None
    if base.query or base.fragment:
        raise ConfigurationError("base_url must not contain a query or fragment", _BASE_URL_HINT, code="E003")
    return base


def _parse_full(address: str, full: str) -> HostURL:
    try:
        url = urlsplit(full)
        port = url.port
        hostname, zone = parse_hostname(address, url)
    except ValueError:
        raise _malformed(address, full) from None
    if url.scheme == "file":
        hint = f'Write {{"url": {shown_address(address)}, "transport": "directory"}}.'
        raise ConfigurationError(
            f"invalid host {shown_address(address)}: it is a directory, and no server", hint, code="E003"
        )
    if url.scheme not in _DEFAULT_PORTS:
        raise invalid(address, "it must start with http:// or https://")
    if not hostname or port == 0:
        raise invalid(address, "it needs a hostname, and a port between 1 and 65535 if any")
    _require_plain_path(address, url.path)
    path = quote(url.path, safe="/%:@!$&'()*+,;=-._~")
    path = path if path.endswith("/") else path + "/"
    return HostURL(url.scheme, hostname, port or _DEFAULT_PORTS[url.scheme], path, zone)


def _require_plain_path(address: str, path: str) -> None:
    if _HALF_ESCAPE.search(path):
        raise invalid(address, "a % in its path is not followed by two hexadecimal digits; % itself is %25")
    if any(unquote(part) in (".", "..") for part in path.split("/")):
        raise invalid(address, "its path must not have parts that are '.' or '..'")


def parse_timeout(value: object) -> float:
    """Return a timeout, in seconds.

    Raises:
        ConfigurationError: It is not a positive number, or it is one of centuries.
    """
    # What is longer overflows a clock of the operating system, at the first request.
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= threading.TIMEOUT_MAX:
        raise ConfigurationError(
            f"the timeout must be a positive number, not {value!r}",
            "Give the option 'timeout' in seconds.",
            code="E005",
        )
    return float(value)


def _malformed(address: str, full: str) -> ConfigurationError:
    netloc = full.partition("://")[2].partition("/")[0]
    if netloc.count(":") > 1 and _IPV6.fullmatch(netloc):
        problem = f"invalid host {shown_address(address)}: an IPv6 address stands in brackets"
        return ConfigurationError(problem, "Write '[2001:db8::1]:8080' or 'https://[2001:db8::1]/media/'.", code="E003")
    return invalid(address, "it is not a URL")
