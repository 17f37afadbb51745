"""Files that come, are replaced, go, and are not there."""

import io
from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from resto.exceptions import RemoteFileNotFoundError
from resto.testing.transport_contract.base import TransportSuite
from resto.testing.transport_contract.tools import AtHand, failure, new_name, require_content
from resto.transports import Transport


# Sizes at which transports that work block by block are likely to go wrong.
_SIZES = st.sampled_from([0, 1, 8191, 8192, 65_536, 65_537, 262_144, 300_001]) | st.integers(0, 400_000)


class Files(TransportSuite):
    """What a file is after each action: there, with this content, or absent."""

    def test_new_file_can_be_read(self, transport_and_host: tuple[Transport, str]) -> None:
        """`create` says that there was none before; then the file exists, with its size and content."""
        transport, host = transport_and_host
        name = new_name("new.txt")
        assert transport.create(host, name, b"content") is False, "create must return False: there was no such file"
        assert transport.exists(host, name) is True
        assert transport.size(host, name) == 7
        assert transport.content(host, name) == b"content"

    def test_create_replaces_a_file(self, transport_and_host: tuple[Transport, str]) -> None:
        """Nothing of the old content is left, also when the new one is shorter, or empty."""
        transport, host = transport_and_host
        name = new_name("replaced.txt")
        transport.create(host, name, b"an old content, which is longer")
        for content in (b"new", b"", b"newer"):
            assert isinstance(transport.create(host, name, content), bool)
            require_content(transport.content(host, name), content)
            assert transport.size(host, name) == len(content)

    def test_any_content_comes_back(self, transport_and_host: tuple[Transport, str]) -> None:
        """Byte by byte, for any size, given as bytes, as a file, or as a file that has them at hand."""
        transport, host = transport_and_host
        name = new_name("any.bin")

        @self._examples
        @given(st.binary(max_size=100), _SIZES, st.sampled_from([bytes, io.BytesIO, AtHand]))
        def comes_back(start: bytes, size: int, given_as: Callable[[bytes], Any]) -> None:
            content = start + bytes(range(256)) * (size // 256) + b"\xff" * (size % 256)
            transport.create(host, name, given_as(content))
            assert transport.size(host, name) == len(content)
            require_content(transport.content(host, name), content)

        comes_back()

    def test_delete_removes_one_file(self, transport_and_host: tuple[Transport, str]) -> None:
        """`delete` says whether the file was there; no other one is touched."""
        transport, host = transport_and_host
        name, other = new_name("deleted.txt"), new_name("other.txt")
        transport.create(host, name, b"content")
        transport.create(host, other, b"content")
        assert transport.delete(host, name) is True
        assert transport.exists(host, name) is False
        assert transport.delete(host, name) is False, "a second delete must return False"
        assert transport.content(host, other) == b"content"

    def test_absent_file_does_not_exist(self, transport_and_host: tuple[Transport, str]) -> None:
        """`exists` is False; that is no failure."""
        transport, host = transport_and_host
        for name in self._absent():
            assert transport.exists(host, name) is False

    def test_absent_file_cannot_be_read(self, transport_and_host: tuple[Transport, str]) -> None:
        """`open`, `content` and `size` raise `RemoteFileNotFoundError`, which tells host, name and action."""
        transport, host = transport_and_host
        methods = ["open", "content", "size"] + ["modified_time"] * transport.supports_modified_time
        for name in self._absent():
            for method in methods:
                with failure(RemoteFileNotFoundError, host, name, method):
                    getattr(transport, method)(host, name)

    def test_absent_file_can_be_deleted(self, transport_and_host: tuple[Transport, str]) -> None:
        """`delete` says that it was not there; that is no failure."""
        transport, host = transport_and_host
        for name in self._absent():
            assert transport.delete(host, name) is False

    def _absent(self) -> list[str]:
        return [new_name("absent.txt"), *[new_name("absent/absent.txt")] * self.makes_directories]
