"""Names of hosts, as browsers read them and as the DNS has them; and how an address is shown that is none."""

import re
import sys
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
from ipaddress import IPv6Address
from typing import Any
from urllib.parse import SplitResult

from resto.exceptions import ConfigurationError


__all__ = ["invalid", "parse_hostname", "shown_address"]

# Underscores are not allowed in the DNS, but in the names of containers.
_HOSTNAME = re.compile(r"[a-z0-9._-]+")

_ZONE = re.compile(r"[A-Za-z0-9._~-]+")


def parse_hostname(address: str, url: SplitResult) -> tuple[str, str]:
    """Return the canonical form of a hostname or address, and its zone: two spellings of it become the same.

    Args:
        address: Of which it is a part.
        url: The address, split.

    Raises:
        ValueError: It is neither.
        ConfigurationError: It has characters that no hostname has.
    """
    hostname = url.hostname or ""
    if "[" in url.netloc:
        ip, percent, zone = hostname.partition("%")
        zone = zone.removeprefix("25")  # as it stands in URLs (RFC 6874); others write the % alone
        if percent and not _ZONE.fullmatch(zone):
            raise ValueError(zone)
        return IPv6Address(ip).compressed, zone
    # Not that of `urlsplit`: Python's lower case of a sigma depends on what follows it.
    hostname = hostname if hostname.isascii() else _in_ascii(address, url.netloc.rpartition("@")[2].partition(":")[0])
    hostname = hostname.encode("idna").decode()  # an empty or too long part is none
    if hostname and not _HOSTNAME.fullmatch(hostname):
        raise ValueError(hostname)
    return hostname, ""


def _in_ascii(address: str, hostname: str) -> str:
    """Return a hostname as the DNS has it, by UTS 46, not transitional, as browsers read it.

    Python's own codec follows IDNA 2003, to which ``faß.de`` is ``fass.de``: somebody else's, who would get files and passwords.

    Args:
        address: Of which it is a part.
        hostname: As it was written.

    Raises:
        ConfigurationError: It has characters that no hostname has.
    """
    idna = _load_idna()
    try:
        parts = idna.uts46_remap(hostname, std3_rules=False).split(".")
        return ".".join(part if part.isascii() else idna.alabel(part).decode() for part in parts)
    except idna.IDNAError as error:
        raise invalid(address, f"its name is none of a host: {str(error).lower()}") from error


def _load_idna() -> Any:
    """Import the package `idna` as it is installed, for those who have such hosts.

    A module of that name beside a script would come first, and it would say who gets files and passwords.
    """
    known = sys.modules.get("idna")
    if hasattr(known, "uts46_remap"):  # else another thread has just begun to import it
        return known
    from importlib.metadata import distribution  # takes long to import, and few need it

    spec = PathFinder.find_spec("idna", [str(distribution("idna").locate_file(""))])
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError("the package idna is not installed", name="idna")
    module = sys.modules["idna"] = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def invalid(address: str, reason: str) -> ConfigurationError:
    """Return the error that says why an address cannot be that of a host, a sentence fragment."""
    hint = "Write 'media-1:8080' or 'https://media-1.example.com/media/'."
    return ConfigurationError(f"invalid host {shown_address(address)}: {reason}", hint, code="E003")


def shown_address(address: str) -> str:
    """Quote what a person wrote, without what may be a password or a token."""
    _, at, rest = address.rpartition("@")
    shown = f"***@{rest}" if at else rest
    end = min((shown.find(mark) for mark in "?#" if mark in shown), default=len(shown))
    return repr(shown[:end] + f"{shown[end]}***" if end < len(shown) else shown)
