"""Hosts as they stand in the settings, and the URLs that they stand for. Nothing here touches the network."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

from resto.exceptions import ConfigurationError


__all__ = ["Host", "HostURL", "parse_hosts", "parse_timeout", "parse_url"]

_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Host:
    """One media server, as configured.

    Attributes:
        address: What the settings call it, such as ``"media-1:8080"`` or ``"https://media-1.example.com/media/"``.
        options: Options for this host alone: those of the transport, and ``timeout``.
    """

    address: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class HostURL:
    """The URL below which one host keeps its files.

    Attributes:
        scheme: ``"http"`` or ``"https"``.
        hostname: Without brackets and port, ASCII.
        port: TCP port.
        path: Percent-encoded; starts and ends with ``/``.
    """

    scheme: str
    hostname: str
    port: int
    path: str

    @property
    def netloc(self) -> str:
        """The host and, unless it is the scheme's own, the port, as the Host header has them (RFC 9110, section 7.2)."""
        hostname = f"[{self.hostname}]" if ":" in self.hostname else self.hostname
        return hostname if self.port == _DEFAULT_PORTS[self.scheme] else f"{hostname}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.netloc}{self.path}"


def parse_hosts(values: Iterable[str | Mapping[str, Any]]) -> tuple[Host, ...]:
    """Return the hosts that a setting lists.

    Args:
        values: Addresses, or mappings ``{"url": address, **options for this host}``.

    Raises:
        ConfigurationError: There is none, or one is neither.
    """
    if isinstance(values, str):
        raise ConfigurationError(f"hosts must be a list, not the string {_shown(values)}", code="E003")
    hosts = tuple(_parse_host(value) for value in values)
    if not hosts:
        raise ConfigurationError("no hosts", "Set RESTO_MEDIA_HOSTS, or the option 'hosts'.", code="E002")
    return hosts


def _parse_host(value: str | Mapping[str, Any]) -> Host:
    options: dict[str, Any] = {}
    address: object = value
    if isinstance(value, Mapping):
        options = dict(value)
        address = options.pop("url", None)
    if not isinstance(address, str) or not address:
        hint = 'A host is an address, or {"url": address, **options}.'
        raise ConfigurationError(f"a host of type {type(value).__name__} has no address", hint, code="E003")
    return Host(address, options)


def parse_url(address: str, base_url: str) -> HostURL:
    """Return the URL that an address stands for.

    Args:
        address: A full URL, or ``"hostname:port"``, to which the scheme and path of ``base_url`` are added.
        base_url: Where files are served from; without a scheme, it is ``http``.

    Raises:
        ConfigurationError: The URL has a query, fragment or user information, or is not one of HTTP.
    """
    full = address
    if "://" not in address:
        base = urlsplit(str(base_url))
        if base.query or base.fragment:
            raise ConfigurationError("base_url must not contain a query or fragment", code="E003")
        if not address.isprintable() or any(character in address for character in "/?#@ "):
            raise _invalid(address, "it is neither a full URL nor 'hostname:port'")
        full = f"{base.scheme or 'http'}://{address}{base.path or '/'}"
    return _split(address, full)


def _split(address: str, full: str) -> HostURL:
    try:
        url = urlsplit(full)
        port = url.port
        hostname = (url.hostname or "").encode("ascii" if ":" in (url.hostname or "") else "idna").decode()
    except (ValueError, UnicodeError) as error:
        raise _invalid(address, "it is not a URL") from error
    if url.scheme not in _DEFAULT_PORTS:
        raise _invalid(address, "it must start with http:// or https://")
    if url.username is not None or url.password is not None:
        raise ConfigurationError(
            f"the URL of host {hostname!r} contains user information",
            "Put the credentials into RESTO_CREDENTIALS and name them in the transport option 'auth'.",
            code="E003",
        )
    if url.query or url.fragment or full.endswith(("?", "#")):
        raise _invalid(address, "it must not contain a query or fragment")
    if not hostname or not hostname.isprintable() or " " in hostname or port == 0:
        raise _invalid(address, "it needs a hostname, and a port between 1 and 65535 if any")
    path = quote(url.path, safe="/%:@!$&'()*+,;=-._~")
    return HostURL(url.scheme, hostname, port or _DEFAULT_PORTS[url.scheme], path if path.endswith("/") else path + "/")


def parse_timeout(value: object) -> float:
    """Return a timeout, in seconds.

    Raises:
        ConfigurationError: It is not a positive, finite number.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
        raise ConfigurationError(
            f"the timeout must be a positive number, not {value!r}",
            "Give the option 'timeout' in seconds.",
            code="E005",
        )
    return float(value)


def _invalid(address: str, reason: str) -> ConfigurationError:
    hint = "Write 'media-1:8080' or 'https://media-1.example.com/media/'."
    return ConfigurationError(f"invalid host {_shown(address)}: {reason}", hint, code="E003")


def _shown(address: str) -> str:
    """Quote what a person wrote, without what may be a password."""
    scheme, separator, rest = address.rpartition("://")
    return repr(f"{scheme}{separator}***@{rest.rpartition('@')[2]}" if "@" in rest else address)
