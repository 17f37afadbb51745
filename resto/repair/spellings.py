"""Which spellings of a name a host takes for one, as its disk does: those of macOS, of Windows, and of ZFS if told so."""

from resto.names import accented_names, temporary_name
from resto.transports import Transport


__all__ = ["shows_as_well", "takes_cases_for_one", "takes_forms_for_one"]


def takes_cases_for_one(transport: Transport, host: str) -> bool:
    """Return whether a host takes upper and lower case for one. It is tried with a temporary file.

    Raises:
        TransportError: It cannot be tried.
    """
    name = temporary_name("")
    return _is_one(transport, host, name, name.swapcase())


def takes_forms_for_one(transport: Transport, host: str) -> bool:
    """Return whether a host takes both forms of Unicode for one, those of letters with accents. It is tried in the same way.

    Raises:
        TransportError: It cannot be tried.
    """
    return _is_one(transport, host, *accented_names())


def shows_as_well(transport: Transport, host: str, name: str) -> bool:
    """Return whether a host has a file under a name that it was not given; some say of whatever they are asked that it is there."""
    return transport.exists(host, name) and not transport.exists(host, temporary_name(""))


def _is_one(transport: Transport, host: str, name: str, other: str) -> bool:
    transport.create(host, name, b"resto")
    try:
        return shows_as_well(transport, host, other)
    finally:
        transport.delete(host, name)
