"""The identity of a host: a file at its root that says which server it is, and whose; written and read as any other file."""

import hashlib
import os
import secrets
from typing import NamedTuple

from resto.exceptions import RemoteFileNotFoundError, TransportError
from resto.master.identity import MAX_SIZE, text_of, values_of
from resto.names import HOST_IDENTITY
from resto.transports import Transport


__all__ = [
    "HostIdentity",
    "hashed_owner",
    "host_identity_at",
    "host_identity_in",
    "new_host_id",
    "read_host_identity",
    "write_host_identity",
]


class HostIdentity(NamedTuple):
    """Which server it is, and whose.

    Attributes:
        id: No other host of the same owner has it, but for copies of its disk; empty in a file that is not one of resto's.
        owner: Stands for the master copy, or for the storage where there is none; what it is cannot be found out from it.
    """

    id: str
    owner: str


def new_host_id() -> str:
    """Return an id that no host has."""
    return secrets.token_hex(16)


def hashed_owner(owner: str) -> str:
    """Return what a host is told of its owner: whoever may read it must not be able to pass for the master copy.

    Args:
        owner: The id of the master copy, or of the storage.
    """
    return hashlib.sha256(f"resto owner {owner}".encode()).hexdigest()[:32]


def read_host_identity(transport: Transport, host: str) -> HostIdentity | None:
    """Ask a host for its identity; return None if it says that it has none.

    Args:
        transport: Speaks to the host.
        host: The host as it stands in the settings.

    Raises:
        TransportError: It does not tell.
    """
    try:
        with transport.open(host, HOST_IDENTITY) as stream:
            content = b""
            while len(content) <= MAX_SIZE and (block := stream.read(MAX_SIZE + 1 - len(content))):
                content += block
    except RemoteFileNotFoundError:
        return None
    return _parsed(content)


def write_host_identity(transport: Transport, host: str, identity: HostIdentity) -> None:
    """Give a host an identity, in place of the one that it may have, and read it back.

    Args:
        transport: As for `read_host_identity`.
        host: As for `read_host_identity`.
        identity: Which one.

    Raises:
        TransportError: It does not take it, or give it back.
    """
    transport.create(host, HOST_IDENTITY, _content(identity))
    if read_host_identity(transport, host) != identity:
        raise TransportError(
            host, HOST_IDENTITY, "download", "it does not give back its file .resto.host as it was sent"
        )


def host_identity_in(directory: str) -> HostIdentity | None:
    """Return the identity of the host that keeps its files in a directory of this machine; None if none does.

    Args:
        directory: Its path.
    """
    try:
        root = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return None
    try:
        return host_identity_at(root)
    finally:
        os.close(root)


def host_identity_at(directory: int) -> HostIdentity | None:
    """Return the identity of the host that keeps its files in an open directory of this machine; None if none does.

    Args:
        directory: Its descriptor.
    """
    try:
        descriptor = os.open(HOST_IDENTITY, os.O_RDONLY | os.O_NONBLOCK, dir_fd=directory)
    except OSError:
        return None
    try:
        return _parsed(os.read(descriptor, MAX_SIZE + 1))
    except OSError:  # such as a directory of that name
        return None
    finally:
        os.close(descriptor)


def _content(identity: HostIdentity) -> bytes:
    sentence = "This server is a host of a site that uses resto. Leave this file here, and do not copy it."
    return text_of(sentence, **identity._asdict())


def _parsed(content: bytes) -> HostIdentity:
    values = values_of(content) if len(content) <= MAX_SIZE else {}
    return HostIdentity(values.get("id", "")[:32], values.get("owner", "")[:32])
