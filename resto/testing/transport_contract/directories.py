"""Directories: made when a file needs them, and never harmed."""

import json
import time
from contextlib import suppress
from dataclasses import asdict, replace

from resto.exceptions import TransportError
from resto.names import is_temporary, temporary_name
from resto.testing.transport_contract.base import TransportSuite
from resto.testing.transport_contract.tools import new_name
from resto.transports import Directory, Transport, Trial


class Directories(TransportSuite):
    """What the directories of names are to files, and the other way round."""

    def test_names_may_be_deep(self, transport_and_host: tuple[Transport, str]) -> None:
        """Directories are made when a file needs them, of any size."""
        if not self.makes_directories:
            return
        transport, host = transport_and_host
        top = new_name("")
        for name, size in ((f"{top}/b/c/d/e.txt", 7), (f"{top}/b/c.txt", 8), (f"{top}/f/g/h.bin", 2_000_000)):
            assert transport.create(host, name, bytes(size)) is False
        assert transport.size(host, f"{top}/b/c/d/e.txt") == 7
        assert transport.size(host, f"{top}/b/c.txt") == 8
        assert transport.size(host, f"{top}/f/g/h.bin") == 2_000_000

    def test_directory_is_never_harmed(self, transport_and_host: tuple[Transport, str]) -> None:
        """Neither `delete` nor `create` with its name touches what is in it. Both may fail."""
        if not self.makes_directories:
            return
        transport, host = transport_and_host
        directory = new_name("directory")
        transport.create(host, f"{directory}/a.txt", b"content")
        with suppress(TransportError):
            assert transport.delete(host, directory) is False, "delete must not say that it deleted a directory"
        assert transport.content(host, f"{directory}/a.txt") == b"content"
        with suppress(TransportError):
            transport.create(host, directory, b"new")
        assert transport.content(host, f"{directory}/a.txt") == b"content"

    def test_empty_directory_is_not_deleted(self, transport_and_host: tuple[Transport, str]) -> None:
        """Where the last file of a directory leaves it there, `delete` with its name does so, too. It may fail."""
        if not self.makes_directories:
            return
        transport, host = transport_and_host
        directory = new_name("directory")
        name = f"{directory}/sub/a.txt"
        transport.create(host, name, b"content")
        transport.delete(host, name)
        before = _browsed(transport, host, directory)
        for one in (f"{directory}/sub", directory):
            with suppress(TransportError):
                assert transport.delete(host, one) is False, "delete must not say that it deleted a directory"
        assert _browsed(transport, host, directory) == before, "delete must not delete an empty directory"

    def test_trial_is_true_and_leaves_nothing(self, transport_and_host: tuple[Transport, str]) -> None:
        """What `try_directories` has found out, `trial` returns; directories are safe, and none is left."""
        if not self.makes_directories:
            return
        transport, host = transport_and_host
        directory = new_name("directory")
        transport.create(host, f"{directory}/a.txt", b"content")
        trial = None
        with suppress(TransportError):  # the host refuses
            trial = transport.try_directories(host)
        assert transport.trial(host) == trial
        for name in (directory, new_name("none")):
            with suppress(TransportError):
                assert transport.delete(host, name) is False
        assert transport.content(host, f"{directory}/a.txt") == b"content"
        listed = transport.browse(host, "")
        left = [] if listed is None else [name for name in (*listed.directories, *listed.others) if is_temporary(name)]
        assert left == []

    def test_trial_can_be_told_to_other_processes(self, transport_and_host: tuple[Transport, str]) -> None:
        """A `Trial` is kept as JSON, and `believe` takes it."""
        transport, host = transport_and_host
        told = Trial(spares=False, tells="", looks=("a look",), tried=time.time())
        transport.believe(host, told)
        believed = transport.trial(host)
        assert believed in (told, None), "believe must take what is told, or leave it"
        transport.believe(host, replace(told, tried=told.tried - 10))
        assert transport.trial(host) == believed, "what is older must not replace what is newer"
        with suppress(TransportError):
            transport.try_directories(host)
        trial = transport.trial(host)
        if trial is not None:
            values = json.loads(json.dumps(asdict(trial)))
            assert Trial(values["spares"], values["tells"], tuple(values["looks"]), values["tried"]) == trial

    def test_file_is_never_made_a_directory(self, transport_and_host: tuple[Transport, str]) -> None:
        """`create` with a name below that of a file leaves the file alone. It may fail."""
        transport, host = transport_and_host
        name = new_name("file.txt")
        transport.create(host, name, b"content")
        with suppress(TransportError):
            transport.create(host, f"{name}/b.txt", b"new")
        assert transport.content(host, name) == b"content"

    def test_directory_is_removed_with_all_that_is_in_it(self, transport_and_host: tuple[Transport, str]) -> None:
        """`remove_directory` does so, or returns False; it refuses the names of the site's own directories."""
        if not self.makes_directories:
            return
        transport, host = transport_and_host
        directory, other = temporary_name(""), new_name("other")
        with suppress(TransportError):  # the host refuses
            if transport.remove_directory(host, directory):
                transport.create(host, f"{directory}/a.txt", b"content")
                transport.create(host, f"{directory}/b/c.txt", b"content")
                assert transport.remove_directory(host, directory) is True
                assert transport.exists(host, f"{directory}/a.txt") is False
                assert transport.exists(host, f"{directory}/b/c.txt") is False
        transport.create(host, f"{other}/a.txt", b"content")
        with suppress(ValueError):
            assert transport.remove_directory(host, other) is False
        assert transport.content(host, f"{other}/a.txt") == b"content"


def _browsed(transport: Transport, host: str, name: str) -> Directory | None:
    """Return what is in a directory; None if it is not there, or cannot be listed."""
    try:
        return transport.browse(host, name)
    except TransportError:
        return None
