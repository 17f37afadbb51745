"""Whether a host has the very content that it should have, byte by byte: equal sizes prove nothing."""

import os
from typing import BinaryIO

from resto.courses import Course, course_of, waiting
from resto.exceptions import HostUnavailableError, TransportError
from resto.transports.base import Transport


__all__ = ["has_same_content", "holds"]

# How much is read of a file at a time.
_BLOCK = 64 * 1024


def holds(transport: Transport, host: str, name: str, content: BinaryIO) -> Course[bool]:
    """Tell whether a host has a file with this content, which is read there only if its size is right.

    Args:
        transport: Speaks to the host.
        host: The host as it stands in the settings.
        name: The file's name.
        content: What it should be; is rewound.

    Raises:
        HostUnavailableError: The host does not answer.
    """
    content.seek(0, os.SEEK_END)
    try:
        if (yield from course_of(transport.size, host, name)) != content.tell():
            return False
        return (yield from waiting(_has_same, transport, host, name, content))
    except HostUnavailableError:
        raise
    except TransportError:
        return False  # that it cannot be told is no proof
    finally:
        content.seek(0)


def _has_same(transport: Transport, host: str, name: str, content: BinaryIO) -> bool:
    content.seek(0)
    with transport.open(host, name) as stream:
        return has_same_content(content, stream)


def has_same_content(one: BinaryIO, other: BinaryIO) -> bool:
    """Tell whether two streams bring the same from here to their ends."""
    while block := one.read(_BLOCK):
        if _read_fully(other, len(block)) != block:
            return False
    return not other.read(1)


def _read_fully(stream: BinaryIO, size: int) -> bytes:
    """Read so many bytes, or to the end; a stream may return less at a time."""
    blocks = []
    while size and (block := stream.read(size)):
        blocks.append(block)
        size -= len(block)
    return b"".join(blocks)
