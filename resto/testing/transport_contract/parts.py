"""Parts: files that are read from any place on, where `supports_parts` says so."""

from hypothesis import given
from hypothesis import strategies as st

from resto.exceptions import RemoteFileChangedError, RemoteFileNotFoundError, TransportError
from resto.testing.transport_contract.base import TransportSuite
from resto.testing.transport_contract.tools import failure, new_name, require_content
from resto.transports import FilePart, Transport, Version


_CONTENT = bytes(range(256)) * 800


class Parts(TransportSuite):
    """What works with the flag, and is an error without it."""

    def test_part_is_that_of_the_file(self, transport_and_host: tuple[Transport, str]) -> None:
        """From where it begins up to where it ends, and no further; the version tells how large the file is."""
        transport, host = transport_and_host
        name = new_name("large.bin")
        version = self._store(transport, host, name)
        if version is None:
            return
        size = len(_CONTENT)

        def read(start: int, length: int | None, *, is_known: bool) -> None:
            end = None if length is None else start + length
            part = transport.open_part(host, name, start, end, version if is_known else None)
            with part.stream as stream:
                found = stream.read()
            if part.version is None:
                assert not is_known, "a part of a known version must be that part"
                require_content(found, _CONTENT, "a file without a version must be the whole file")
                return
            assert part.version.is_same_as(version), "a file that stays has one version"
            assert part.version.size == size
            require_content(found, _CONTENT[start:end], "a part must be that of the file")

        starts, lengths = st.integers(0, size - 1), st.none() | st.integers(1, size + 10)
        self._examples(given(start=starts, length=lengths, is_known=st.booleans())(read))()

    def test_part_of_another_version_is_refused(self, transport_and_host: tuple[Transport, str]) -> None:
        """A file that was replaced is not the one of which there is a part already; nor is one that was deleted."""
        transport, host = transport_and_host
        name = new_name("large.bin")
        version = self._store(transport, host, name)
        if version is None:
            return
        transport.create(host, name, _CONTENT[::-1] + b"!")
        with failure(RemoteFileChangedError, host, name, "open_part"):
            self._read(transport.open_part(host, name, 1000, 2000, version))
        transport.delete(host, name)
        with failure(RemoteFileNotFoundError, host, name, "open_part"):
            self._read(transport.open_part(host, name, 1000, 2000, version))

    def test_part_of_an_absent_file(self, transport_and_host: tuple[Transport, str]) -> None:
        """It is not there, and neither is the file."""
        transport, host = transport_and_host
        if not transport.supports_parts:
            return
        name = new_name("absent.txt")
        with failure(RemoteFileNotFoundError, host, name, "open_part"):
            self._read(transport.open_part(host, name, 0, 100))

    def test_part_of_a_small_file(self, transport_and_host: tuple[Transport, str]) -> None:
        """A part may end after the file, which may be empty; it brings what there is."""
        transport, host = transport_and_host
        if not transport.supports_parts:
            return
        for content in (b"", b"content"):
            name = new_name("small.txt")
            transport.create(host, name, content)
            part = transport.open_part(host, name, 0, 100)
            assert part.version is None or part.version.size == len(content)
            require_content(self._read(part), content)

    def test_parts_are_announced(self, transport_and_host: tuple[Transport, str]) -> None:
        """Without the flag, it is an error to ask for one."""
        transport, host = transport_and_host
        name = new_name("file.txt")
        transport.create(host, name, b"content")
        if not transport.supports_parts:
            with failure(TransportError, host, name, "open_part"):
                self._read(transport.open_part(host, name, 0, 100))
            return
        part = transport.open_part(host, name, 0, 100)
        assert isinstance(part, FilePart)
        require_content(self._read(part), b"content")

    def _store(self, transport: Transport, host: str, name: str) -> Version | None:
        """Store a file, and return which version that is; None if no parts of it can be read."""
        if not transport.supports_parts:
            return None
        transport.create(host, name, _CONTENT)
        part = transport.open_part(host, name, 0, 1000)
        if part.version is None:
            require_content(self._read(part), _CONTENT, "without a version, the whole file must come")
            return None
        require_content(self._read(part), _CONTENT[:1000])
        assert part.version.is_known, "a version must tell more than a size"
        return part.version

    def _read(self, part: FilePart) -> bytes:
        with part.stream as stream:
            return stream.read()
