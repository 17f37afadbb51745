"""Abilities: what a transport may be able to do, such as listings, and announces by flags."""

from datetime import UTC, datetime, timedelta

from resto.exceptions import RemoteFileNotFoundError, TransportError
from resto.testing.transport_contract.base import TransportSuite
from resto.testing.transport_contract.tools import failure, new_name
from resto.transports import Directory, Entry, Transport


class Abilities(TransportSuite):
    """What works with its flag, and is an error without it."""

    def test_modified_time_is_recent(self, transport_and_host: tuple[Transport, str]) -> None:
        """It is aware, and that of the upload, give or take a quarter of an hour; without the flag, it is an error."""
        transport, host = transport_and_host
        name = new_name("new.txt")
        transport.create(host, name, b"content")
        if not transport.supports_modified_time:
            with failure(TransportError, host, name, "modified_time"):
                transport.modified_time(host, name)
            return
        modified = transport.modified_time(host, name)
        assert modified.tzinfo is not None, "modified_time must be aware"
        assert abs(datetime.now(UTC) - modified) < timedelta(minutes=15)

    def test_listdir_tells_what_is_in_a_directory(self, transport_and_host: tuple[Transport, str]) -> None:
        """Directly, and all of it; without the flag, it is an error."""
        transport, host = transport_and_host
        top, files = self._tree(transport, host)
        if not transport.supports_listdir:
            with failure(TransportError, host, top, "listdir"):
                transport.listdir(host, top)
            return
        directories, found = transport.listdir(host, "")
        if not self.makes_directories:
            assert set(files) <= set(found)
            return
        assert top in directories
        assert [sorted(names) for names in transport.listdir(host, top)] == [["é d#?%"], ["a #?%.txt", "empty.txt"]]
        absent = new_name("absent")
        with failure(RemoteFileNotFoundError, host, absent, "listdir"):
            transport.listdir(host, absent)
        with failure(TransportError, host, f"{top}/empty.txt", "listdir"):
            transport.listdir(host, f"{top}/empty.txt")

    def test_scan_finds_every_file(self, transport_and_host: tuple[Transport, str]) -> None:
        """Below a directory, at any depth, with its size or None, one by one; without the flag, it is an error."""
        transport, host = transport_and_host
        top, files = self._tree(transport, host)
        if not transport.supports_scan:
            with failure(TransportError, host, top, "scan"):
                list(transport.scan(host, top))
            return
        scan = transport.scan(host, top if self.makes_directories else "")
        assert iter(scan) is scan, "scan must return an iterator: a list may not fit into memory"
        entries = [entry for entry in scan if entry.name.startswith(top)]
        assert all(isinstance(entry, Entry) for entry in entries)
        assert sorted(entry.name for entry in entries) == sorted(files)
        assert all(entry.size in (None, files[entry.name]) for entry in entries)
        assert all(entry.modified is None or entry.modified.tzinfo for entry in entries), "'modified' must be aware"

    def test_browse_tells_what_is_in_a_directory(self, transport_and_host: tuple[Transport, str]) -> None:
        """With the sizes of the files; or it is None."""
        transport, host = transport_and_host
        top, files = self._tree(transport, host)
        found = transport.browse(host, top if self.makes_directories else "")
        if found is None:
            return
        assert isinstance(found, Directory)
        if not self.makes_directories:
            assert all(found.files[name] in (None, size) for name, size in files.items())
            return
        assert found.directories == {"é d#?%"}
        assert set(found.files) == {"a #?%.txt", "empty.txt"}
        assert all(size in (None, files[f"{top}/{name}"]) for name, size in found.files.items())
        absent = new_name("absent")
        with failure(RemoteFileNotFoundError, host, absent, "browse"):
            transport.browse(host, absent)

    def _tree(self, transport: Transport, host: str) -> tuple[str, dict[str, int]]:
        """Store some files; return the directory, or how their names begin, and their sizes by name."""
        top = new_name("tree")
        sizes = {"a #?%.txt": 5, "empty.txt": 0}
        if self.makes_directories:
            sizes |= {"é d#?%/b.txt": 22, "é d#?%/e/c.txt": 7}
        files = {f"{top}{self._separator}{name}": size for name, size in sizes.items()}
        for name, size in files.items():
            transport.create(host, name, bytes(size))
        return top, files
