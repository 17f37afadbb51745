"""Streams: what is sent and read piece by piece, with little memory."""

import io
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from resto.exceptions import HostUnavailableError
from resto.testing.transport_contract.base import TransportSuite
from resto.testing.transport_contract.tools import file_of_zeros, new_name, require_content
from resto.transports import Transport


# What a transport holds in memory is measured with a file of this size, in bytes, of which it may hold half.
_LARGE = 4 * 1024 * 1024


class Streams(TransportSuite):
    """Uploads from files of any kind, and downloads that are read as their readers like."""

    def test_upload_begins_at_the_start(self, transport_and_host: tuple[Transport, str]) -> None:
        """A file is sent whole, wherever it stands, and stays open, so that it can be sent to the next host."""
        transport, host = transport_and_host
        name, file = new_name("file.bin"), io.BytesIO(b"0123456789")
        for _ in range(2):
            file.seek(4)
            transport.create(host, name, file)
            assert not file.closed, "create must not close the file"
            assert transport.content(host, name) == b"0123456789", "a file must be sent from its start"

    def test_upload_takes_a_pipe(self, transport_and_host: tuple[Transport, str]) -> None:
        """A file that can be read only once is sent, too."""
        transport, host = transport_and_host
        name = new_name("pipe.bin")
        transport.create(host, name, file_of_zeros(100_000, can_seek=False))
        require_content(transport.content(host, name), bytes(100_000))

    def test_upload_of_what_cannot_be_read_fails(self, transport_and_host: tuple[Transport, str]) -> None:
        """It does not pass for stored; and not for the fault of the host, which would not be asked for a while."""
        transport, host = transport_and_host
        try:
            transport.create(host, new_name("broken.bin"), file_of_zeros(3_000_000, is_broken=True))
        except HostUnavailableError as error:
            raise AssertionError("the file cannot be read, and the host is blamed") from error
        except Exception:  # noqa: BLE001 - whatever describes it best
            return
        raise AssertionError("create must raise when it cannot read the file to its end")

    def test_upload_is_a_stream(self, transport_and_host: tuple[Transport, str]) -> None:
        """`create` never holds a whole file in memory."""
        transport, host = transport_and_host
        name = new_name("large.bin")
        transport.create(host, new_name("warm.bin"), b"up")
        with self._bounded_memory():
            transport.create(host, name, file_of_zeros(_LARGE))
        assert transport.size(host, name) == _LARGE

    def test_download_is_a_stream(self, transport_and_host: tuple[Transport, str]) -> None:
        """`open` never holds a whole file in memory."""
        transport, host = transport_and_host
        name = new_name("large.bin")
        transport.create(host, name, file_of_zeros(_LARGE))
        with self._bounded_memory(), transport.open(host, name) as stream:
            assert sum(map(len, _pieces(stream, 65_536, _LARGE))) == _LARGE

    def test_stream_can_be_read_piece_by_piece(self, transport_and_host: tuple[Transport, str]) -> None:
        """Up to its end, where it returns nothing, as often as it is asked."""
        transport, host = transport_and_host
        name, content = new_name("pieces.bin"), bytes(range(256)) * 1000
        transport.create(host, name, content)
        with transport.open(host, name) as stream:
            assert stream.read(0) == b""
            first = stream.read(1000)
            assert 0 < len(first) <= 1000
            rest = b"".join(_pieces(stream, 50_000, len(content)))
            require_content(first + rest, content)
            assert stream.read(10) == b""
        assert stream.closed

    def test_stream_may_be_left_unread(self, transport_and_host: tuple[Transport, str]) -> None:
        """What nobody has read of it does not turn up in the next answer; and it may be closed twice."""
        transport, host = transport_and_host
        large, small = new_name("large.bin"), new_name("small.txt")
        transport.create(host, large, bytes(2_000_000))
        transport.create(host, small, b"content")
        stream = transport.open(host, large)
        stream.read(10)
        assert transport.content(host, small) == b"content", "another file must be readable beside an open stream"
        stream.close()
        stream.close()
        assert transport.content(host, small) == b"content"

    @contextmanager
    def _bounded_memory(self) -> Iterator[None]:
        if self.keeps_files_in_memory:
            yield
            return
        was_tracing = tracemalloc.is_tracing()
        tracemalloc.start()
        try:
            tracemalloc.reset_peak()
            before, _ = tracemalloc.get_traced_memory()
            yield
            _, peak = tracemalloc.get_traced_memory()
        finally:
            if not was_tracing:
                tracemalloc.stop()
        assert peak - before < _LARGE / 2, f"{peak - before} bytes were held in memory for a file of {_LARGE}"


def _pieces(stream: BinaryIO, size: int, most: int) -> Iterator[bytes]:
    """Read a stream to its end, which comes after so many bytes, if ever."""
    while piece := stream.read(size):
        assert len(piece) <= size, "a stream must not return more than it is asked for"
        most -= len(piece)
        assert most >= 0, "a stream must end where the file does"
        yield piece
