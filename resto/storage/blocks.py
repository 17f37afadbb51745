"""Files of hosts of which only that is fetched which is read: block by block, and what is read in order as a stream.

Within one host, a version of the file is held (`Transport.open_part`). Between hosts nothing that they say of a version can be
compared: one takes the place of another only if it has a file of the same size, and the blocks that are still at hand, fetched anew from
there, are the same bytes.
"""

import io
import os
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import IO, Any, BinaryIO, cast

from resto.exceptions import RemoteFileChangedError, TransportError
from resto.executors import Job
from resto.outcomes import Outcome
from resto.storage.files import spool
from resto.storage.reading import first_answer
from resto.storage.stretches import BLOCK_SIZE, Place, Stretch, require_whole
from resto.transports import FilePart, Transport, Version


__all__ = ["FIRST_SIZE", "Asking", "BlockFile", "open_blocks"]

# Bytes that are fetched as the file is opened: a small one is there as a whole then, and so is the head of a large one.
FIRST_SIZE = 4 * BLOCK_SIZE

# Blocks that stay at hand.
_KEPT = 32

# Whoever reads on gets more with each request, by this factor, and from so many blocks on all that is left.
_GROWTH = 8
_MOST = 64

# Blocks that are read and left aside to get further in a stream, rather than to begin another one.
_SKIPPED = 4


@dataclass(frozen=True, slots=True)
class Asking:
    """How the hosts of a storage are asked for one file.

    Attributes:
        name: The file's name.
        transport_for: Returns the transport of a host.
        job: Returns the job that calls a function of a host and the name, if the breaker of the host lets it.
        report: Told what each host said.
        believed: Returns the hosts that have missed nothing of the name at this moment, in the order in which they are to be asked.
        all_hosts: Of the storage.
    """

    name: str
    transport_for: Callable[[str], Transport]
    job: Callable[[Callable[[str, str], Any], str], Job]
    report: Callable[[Outcome], None]
    believed: Callable[[], Sequence[str]]
    all_hosts: Sequence[str]


def open_blocks(
    transport_for: Callable[[str], Transport], asking: Callable[[str], Asking], host: str, name: str
) -> IO[bytes]:
    """Return a file of a host, to be closed. Its beginning is fetched now, and all of it if the host gives no parts.

    Args:
        transport_for: Returns the transport of a host.
        asking: Returns how a file is asked for from then on.
        host: The host as it stands in the settings.
        name: The file's name.

    Raises:
        TransportError: The host does not bring it.
    """
    transport = transport_for(host)
    if not _gives_parts(transport):
        return spool(transport.open(host, name))
    part = transport.open_part(host, name, 0, FIRST_SIZE)
    if part.version is None:
        return spool(part.stream)
    if part.version.size <= FIRST_SIZE:
        return _small_file(host, name, part.stream, part.version.size)
    return io.BufferedReader(BlockFile(asking(name), host, part), BLOCK_SIZE)


def _small_file(host: str, name: str, stream: BinaryIO, size: int) -> IO[bytes]:
    """Return a file of which all is there: blocks would cost what reading it does."""
    with stream:
        content = stream.read(size)
    require_whole(host, name, content, size)
    return io.BufferedReader(io.BytesIO(content))  # which cannot be written to


def _gives_parts(transport: Transport) -> bool:
    """Tell whether parts of files are read as whole files are."""
    return transport.supports_parts and _reads_parts_as_files(type(transport))


@lru_cache(maxsize=16)
def _reads_parts_as_files(kind: type[Transport]) -> bool:
    """Tell whether a kind of transport makes of parts what it makes of files.

    A subclass that makes something else of what hosts have, such as one that decrypts it, does so in `open`, and may know nothing of
    `open_part`.
    """
    whole, parts = (
        next(n for n, one in enumerate(kind.__mro__) if name in vars(one)) for name in ("open", "open_part")
    )
    return parts <= whole


class BlockFile(io.RawIOBase):
    """A file of a host, which is fetched as it is read, in bounded memory; never a mixture of two versions.

    If the host fails, another one takes its place that has the same file, as far as that can be told.

    Args:
        asking: How the file is asked for.
        host: The host as it stands in the settings.
        part: Its first `FIRST_SIZE` bytes, from there; it has more.

    Raises:
        TransportError: The host does not bring its beginning.
    """

    def __init__(self, asking: Asking, host: str, part: FilePart) -> None:
        super().__init__()
        self._asking = asking
        self._place = Place(host, part.version)
        self._size = cast("Version", part.version).size
        self._position = 0
        self._kept: OrderedDict[int, bytes] = OrderedDict()
        self._length = self._next = FIRST_SIZE // BLOCK_SIZE
        beginning = Stretch(self._place, asking.name, part.stream, self._size, 0, self._next)
        self._stretch: Stretch | None = None
        try:
            while beginning.number < beginning.end:
                self._keep(beginning.number, beginning.take())
        finally:
            beginning.close()

    # As any file that can be read.

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to a position, in bytes, and return it; nothing is fetched."""
        position = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        if position < 0:
            raise ValueError(f"negative seek position {position}")
        self._position = position
        return position

    def tell(self) -> int:
        """Return the position, in bytes."""
        return self._position

    def readinto(self, buffer: Any) -> int:
        """Read up to as many bytes as the buffer takes, and return how many; none at the end only.

        Raises:
            RemoteFileChangedError: The file is another one by now.
            RemoteFileNotFoundError: No host has it any more.
            ReplicationError: The host has failed, and no other one can take its place.
        """
        if self.closed:
            raise ValueError("I/O operation on closed file.")
        size = min(len(buffer), self._size - self._position)
        if size <= 0:
            return 0
        number, offset = divmod(self._position, BLOCK_SIZE)
        piece = self._block(number, _blocks_of(self._position + size))[offset : offset + size]
        buffer[: len(piece)] = piece
        self._position += len(piece)
        return len(piece)

    def readall(self) -> bytes:
        """Read what is left."""
        left = io.BytesIO()  # a list of blocks would take twice the memory, and time for it
        while self._position < self._size:
            number, offset = divmod(self._position, BLOCK_SIZE)
            self._position += left.write(self._block(number, _blocks_of(self._size))[offset:])
        return left.getvalue()

    def close(self) -> None:
        """Close the file, and the connection over which it comes."""
        if not self.closed:
            self._leave_stretch()
            self._place.close()
        super().close()

    # Blocks.

    def _block(self, number: int, end: int) -> bytes:
        """Return a block, of those up to another one that are about to be read."""
        block = self._kept.get(number)
        if block is not None:
            self._kept.move_to_end(number)
            return block
        try:
            return self._fetched(number, end)
        except RemoteFileChangedError:
            self._leave_stretch()
            raise

    def _fetched(self, number: int, end: int) -> bytes:
        stretch = self._stretch
        if stretch is not None and stretch.number <= number < min(stretch.end, stretch.number + _SKIPPED):
            try:
                return self._taken(stretch, number)
            except TransportError:
                self._leave_stretch()  # the host may have waited for too long: it is asked once more
        return self._begun(number, self._wanted_end(number, end))

    def _wanted_end(self, number: int, end: int) -> int:
        """Return up to which block is asked for: the more, the longer all are read in their order."""
        last, length = _blocks_of(self._size), 1
        if number == self._next:
            length = self._length * _GROWTH
            if length > _MOST:
                return last
        self._length = max(length, end - number)
        return min(number + self._length, last)

    def _begun(self, number: int, end: int) -> bytes:
        """Return a block from a new stream, of the host or of one that takes its place."""
        self._leave_stretch()

        def jobs() -> Iterator[Job]:
            begin = partial(self._begin, number=number, end=end)
            yield self._asking.job(begin, self._place.host)
            for host in self._asking.believed():
                if host != self._place.host:
                    yield self._asking.job(partial(self._move, begin), host)

        def report(outcome: Outcome) -> None:
            self._asking.report(outcome)
            if isinstance(outcome.error, RemoteFileChangedError):
                raise outcome.error

        block: bytes = first_answer("download", self._asking.name, jobs(), report, self._asking.all_hosts)
        return block

    def _begin(self, host: str, name: str, *, number: int, end: int) -> bytes:
        self._stretch = self._opened(self._place, number, end)
        self._next = end
        try:
            return self._taken(self._stretch, number)
        except TransportError:
            self._leave_stretch()
            raise

    def _opened(self, place: Place, number: int, end: int) -> Stretch:
        """Return the stream of some blocks."""
        start, name = number * BLOCK_SIZE, self._asking.name
        stream: BinaryIO | IO[bytes]
        if place.whole is not None:
            place.whole.seek(start)
            stream = place.whole
        else:
            transport = self._asking.transport_for(place.host)
            until = end * BLOCK_SIZE if end * BLOCK_SIZE < self._size else None
            stream = transport.open_part(place.host, name, start, until, place.version).stream
        return Stretch(place, name, stream, self._size, number, end)

    def _taken(self, stretch: Stretch, number: int) -> bytes:
        while True:
            block = stretch.take()
            self._keep(stretch.number - 1, block)
            if stretch.number == stretch.end:
                self._leave_stretch()
            if stretch.number > number:
                return block

    def _keep(self, number: int, block: bytes) -> None:
        self._kept[number] = block
        if len(self._kept) > _KEPT:
            self._kept.popitem(last=False)

    def _leave_stretch(self) -> None:
        stretch, self._stretch = self._stretch, None
        if stretch is not None:
            stretch.close()

    # Another host.

    def _move(self, begin: Callable[[str, str], bytes], host: str, name: str) -> bytes:
        """Let another host take the place of the one that has failed, if it has the same file, and return a block from there."""
        place = self._same_file(host, name)
        before, self._place = self._place, place
        before.close()
        return begin(host, name)

    def _same_file(self, host: str, name: str) -> Place:
        transport = self._asking.transport_for(host)
        place = Place(host, None)
        try:
            for first, end in _in_rows(sorted(self._kept)):
                self._require_same(place, transport, name, first, end)
        except BaseException:
            place.close()
            raise
        return place

    def _require_same(self, place: Place, transport: Transport, name: str, first: int, end: int) -> None:
        """Raise unless a host has the blocks that are at hand, some of which come one after the other."""
        if place.whole is None and place.version is None:
            stretch = self._introduced(place, transport, name, first, end)
        else:
            stretch = self._opened(place, first, end)
        try:
            is_same = all(stretch.take() == self._kept[number] for number in range(first, end))
        finally:
            stretch.close()
        if not is_same:
            raise self._differs(place.host)

    def _introduced(self, place: Place, transport: Transport, name: str, first: int, end: int) -> Stretch:
        """Return the stream of some blocks of a host that was not asked before, if it has a file of the same size."""
        start = first * BLOCK_SIZE
        if _gives_parts(transport):
            part = transport.open_part(place.host, name, start, end * BLOCK_SIZE)
        else:
            part = FilePart(transport.open(place.host, name), None)
        place.version = part.version
        if part.version is None:
            place.whole = spool(part.stream)
            is_same_size = place.whole.seek(0, os.SEEK_END) == self._size
            place.whole.seek(start)
        else:
            is_same_size = part.version.size == self._size
        stretch = Stretch(place, name, place.whole or part.stream, self._size, first, end)
        if not is_same_size:
            stretch.close()
            raise self._differs(place.host)
        return stretch

    def _differs(self, host: str) -> TransportError:
        problem = "it has another file of this name than the one that is being read"
        return TransportError(host, self._asking.name, "download", problem)


def _blocks_of(size: int) -> int:
    return -(-size // BLOCK_SIZE)


def _in_rows(numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield where numbers that come one after the other begin and end."""
    first = 0
    for place, number in enumerate(numbers):
        if place + 1 == len(numbers) or numbers[place + 1] != number + 1:
            yield numbers[first], number + 1
            first = place + 1
