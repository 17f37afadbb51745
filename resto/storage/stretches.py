"""Blocks of a file of a host, as one stream brings them."""

from dataclasses import dataclass
from typing import IO, BinaryIO

from resto.exceptions import TransportError
from resto.transports import Version


__all__ = ["BLOCK_SIZE", "Place", "Stretch", "require_whole"]

BLOCK_SIZE = 32 * 1024


@dataclass(slots=True)
class Place:
    """Where blocks come from.

    Attributes:
        host: The host as it stands in the settings.
        version: Of the file there; None if the whole file is here.
        whole: The file, if it is here.
    """

    host: str
    version: Version | None
    whole: IO[bytes] | None = None

    def close(self) -> None:
        """Leave the file."""
        if self.whole is not None:
            self.whole.close()


class Stretch:
    """Blocks of a file that come one after the other, over one stream.

    Attributes:
        number: That of the next one.
        end: That of the first one that does not come any more.

    Args:
        place: Where they come from.
        name: The file's name.
        stream: Brings them.
        size: Of the file, in bytes.
        number: As the attribute.
        end: As the attribute.
    """

    def __init__(self, place: Place, name: str, stream: BinaryIO | IO[bytes], size: int, number: int, end: int) -> None:
        self._place = place
        self._name = name
        self._stream = stream
        self._size = size
        self.number = number
        self.end = end

    def take(self) -> bytes:
        """Return the next block.

        Raises:
            TransportError: It does not come.
        """
        wanted = min(BLOCK_SIZE, self._size - self.number * BLOCK_SIZE)
        block = self._stream.read(wanted)
        while len(block) < wanted and (more := self._stream.read(wanted - len(block))):
            block += more
        require_whole(self._place.host, self._name, block, wanted)
        self.number += 1
        return block

    def close(self) -> None:
        """Leave the stream."""
        if self._stream is not self._place.whole:
            self._stream.close()


def require_whole(host: str, name: str, block: bytes, wanted: int) -> None:
    """Raise unless all has come that was to come.

    Args:
        host: The host as it stands in the settings.
        name: The file's name.
        block: What has come.
        wanted: How many bytes were to come.

    Raises:
        TransportError: It is less.
    """
    if len(block) < wanted:
        raise TransportError(host, name, "download", "what it sends ends before the file does")
