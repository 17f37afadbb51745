"""The contract of transports, as tests that every transport passes."""

import inspect
import io
import itertools
import logging
import os
import pickle
import secrets
import signal
import socket
import threading
import time
import traceback
import tracemalloc
import unicodedata
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any, BinaryIO, NoReturn, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resto.courses import Arrival, Course, course_of, finish
from resto.exceptions import HostUnavailableError, RemoteFileNotFoundError, TransportError
from resto.names import MAX_PART_BYTES, problem_of_part, temporary_name
from resto.transports import Directory, Entry, Transport


__all__ = ["TransportContract"]

# What a transport holds in memory is measured with a file of this size, in bytes, of which it may hold half.
_LARGE = 4 * 1024 * 1024

# Names that a transport may take for one another, or for something else than a name.
_ODD_NAMES = (
    *("a", "a b", "a%20b", "a+b", "%2e%2e%2fa", "a?b", "a#b", "a&b;c=d:e@f", "'\"<>&amp;|*[]{}^`~"),
    *(".a", "a.", " a ", "é日本😀", "x" * (MAX_PART_BYTES - 9)),
)

# Composed (NFC): some servers store the other forms of Unicode under these.
_PARTS = (
    st.text(st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="/\\"), min_size=1, max_size=20)
    .map(lambda text: unicodedata.normalize("NFC", text))
    .filter(lambda part: problem_of_part(part) is None)
)

# Sizes at which transports that work block by block are likely to go wrong.
_SIZES = st.sampled_from([0, 1, 8191, 8192, 65_536, 65_537, 262_144, 300_001]) | st.integers(0, 400_000)


class TransportContract:
    """What every `resto.transports.Transport` promises, as tests.

    Subclass it in a test module, under a name that starts with ``Test``, and override one fixture::

        import pytest
        from resto.testing import TransportContract


        class TestMyTransport(TransportContract):
            unreachable_host = "127.0.0.1:1"

            @pytest.fixture
            def transport_and_host(self):
                transport = MyTransport("/media/", timeout=2)
                yield transport, "127.0.0.1:8080"
                transport.close()

    The host must be there, and take files. It need not be empty: every test stores files under names of its own.
    A test that does not apply to a host is left out by ``test_scan_finds_every_file = None``.

    Attributes:
        unreachable_host: A host that gives no answer; without one, the tests of such hosts are skipped.
        secret: A credential that the transport was given; without one, nobody looks whether it shows.
        makes_directories: Whether the host takes names that contain a ``/``.
        keeps_files_in_memory: Whether the host is a part of this process and has no disk. Then it cannot be told how
            much the transport itself holds in memory.
        replaces_at_once: Whether who reads a file while it is replaced gets the old or the new one, whole. Transports
            need not promise that.
        max_examples: How many examples `hypothesis` looks at in each test.
        patience: Seconds after which a test gives up waiting for what must happen.
    """

    unreachable_host: str | None = None
    secret: str | None = None
    makes_directories: bool = True
    keeps_files_in_memory: bool = False
    replaces_at_once: bool = False
    max_examples: int = 10
    patience: float = 10.0

    @pytest.fixture
    def transport_and_host(self) -> Any:
        """Return a transport, and a host that it can reach. To be overridden."""
        raise NotImplementedError(
            f"{type(self).__name__} must override the fixture 'transport_and_host', and return a transport and a host"
        )

    # How it is made.

    def test_constructor_takes_what_storages_give(self, transport_and_host: tuple[Transport, str]) -> None:
        """It is built as ``Transport(base_url, *, timeout, **options)``, and tells both as attributes."""
        transport, _ = transport_and_host
        assert isinstance(transport, Transport), "a transport must be a subclass of resto.transports.Transport"
        inspect.signature(type(transport)).bind_partial("/media/", timeout=2.0)
        assert transport.timeout > 0, "the attribute 'timeout' must tell the seconds that a host may stay silent"
        assert hasattr(transport, "base_url")

    def test_constructor_touches_no_network(
        self, transport_and_host: tuple[Transport, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It neither connects nor resolves names, nor evaluates a lazy ``base_url``."""
        transport, _ = transport_and_host
        try:
            arguments = inspect.signature(type(transport)).bind(_Lazy(), timeout=2.0)
        except TypeError:
            return  # it needs options, which only the fixture knows
        with monkeypatch.context() as network:
            network.setattr(socket.socket, "connect", _refuse_network)
            network.setattr(socket, "getaddrinfo", _refuse_network)
            type(transport)(*arguments.args, **arguments.kwargs).close()

    def test_flags_are_booleans(self, transport_and_host: tuple[Transport, str]) -> None:
        """What it can do is known without asking a host."""
        transport, _ = transport_and_host
        for flag in ("supports_listdir", "supports_modified_time", "supports_scan", "has_literal_credentials"):
            assert isinstance(getattr(transport, flag), bool), f"{flag} must be True or False"

    def test_host_has_an_identity(self, transport_and_host: tuple[Transport, str]) -> None:
        """It is a string, always the same, and another one for another host."""
        transport, host = transport_and_host
        identity = transport.identify(host)
        assert isinstance(identity, str)
        assert transport.identify(host) == identity
        if self.unreachable_host is not None:
            assert transport.identify(self.unreachable_host) != identity

    # Files.

    def test_new_file_can_be_read(self, transport_and_host: tuple[Transport, str]) -> None:
        """`create` says that there was none before; then the file exists, with its size and content."""
        transport, host = transport_and_host
        name = _new("new.txt")
        assert transport.create(host, name, b"content") is False, "create must return False: there was no such file"
        assert transport.exists(host, name) is True
        assert transport.size(host, name) == 7
        assert transport.content(host, name) == b"content"

    def test_create_replaces_a_file(self, transport_and_host: tuple[Transport, str]) -> None:
        """Nothing of the old content is left, also when the new one is shorter, or empty."""
        transport, host = transport_and_host
        name = _new("replaced.txt")
        transport.create(host, name, b"an old content, which is longer")
        for content in (b"new", b"", b"newer"):
            assert isinstance(transport.create(host, name, content), bool)
            assert transport.content(host, name) == content
            assert transport.size(host, name) == len(content)

    def test_any_content_comes_back(self, transport_and_host: tuple[Transport, str]) -> None:
        """Byte by byte, for any size, given as bytes or as a file."""
        transport, host = transport_and_host
        name = _new("any.bin")

        @self._examples
        @given(st.binary(max_size=100), _SIZES, st.booleans())
        def comes_back(start: bytes, size: int, as_file: bool) -> None:  # noqa: FBT001 - drawn
            content = start + bytes(range(256)) * (size // 256) + b"\xff" * (size % 256)
            transport.create(host, name, io.BytesIO(content) if as_file else content)
            assert transport.size(host, name) == len(content)
            assert transport.content(host, name) == content

        comes_back()

    def test_any_name_is_a_name(self, transport_and_host: tuple[Transport, str]) -> None:
        """Whatever `resto.names.clean_name` allows: a file is stored, read and deleted under it."""
        transport, host = transport_and_host
        names = st.lists(_PARTS, min_size=1, max_size=3 if self.makes_directories else 1)

        @self._examples
        @given(names)
        def is_a_name(parts: list[str]) -> None:
            name = _new("/".join(parts), self._separator)
            content = name.encode()
            assert transport.exists(host, name) is False
            assert transport.create(host, name, content) is False
            assert transport.exists(host, name) is True
            assert transport.size(host, name) == len(content)
            assert transport.content(host, name) == content
            directory, _, last = name.rpartition("/")
            if transport.supports_listdir and not last.startswith("."):  # which may be hidden
                assert last in transport.listdir(host, directory)[1], "a listing must tell names as they were given"
            assert transport.delete(host, name) is True
            assert transport.exists(host, name) is False

        is_a_name()

    def test_names_are_taken_literally(self, transport_and_host: tuple[Transport, str]) -> None:
        """Names that look alike once they are encoded, decoded or cut off are those of different files."""
        transport, host = transport_and_host
        directory = _new("")
        names = [f"{directory}{self._separator}{name}" for name in _ODD_NAMES]
        for name in names:
            assert transport.create(host, name, name.encode()) is False, f"{name!r} was taken for another name"
        for name in names:
            assert transport.content(host, name) == name.encode(), f"{name!r} was taken for another name"
        if transport.supports_listdir and self.makes_directories:
            assert {*_ODD_NAMES} - {*transport.listdir(host, directory)[1]} <= {".a"}  # which may be hidden
        for name in names:
            assert transport.delete(host, name) is True, f"{name!r} was taken for another name"

    def test_names_may_be_deep(self, transport_and_host: tuple[Transport, str]) -> None:
        """Directories are made when a file needs them, of any size."""
        if not self.makes_directories:
            return
        transport, host = transport_and_host
        top = _new("")
        for name, size in ((f"{top}/b/c/d/e.txt", 7), (f"{top}/b/c.txt", 8), (f"{top}/f/g/h.bin", 2_000_000)):
            assert transport.create(host, name, bytes(size)) is False
        assert transport.size(host, f"{top}/b/c/d/e.txt") == 7
        assert transport.size(host, f"{top}/b/c.txt") == 8
        assert transport.size(host, f"{top}/f/g/h.bin") == 2_000_000

    def test_delete_removes_one_file(self, transport_and_host: tuple[Transport, str]) -> None:
        """`delete` says whether the file was there; no other one is touched."""
        transport, host = transport_and_host
        name, other = _new("deleted.txt"), _new("other.txt")
        transport.create(host, name, b"content")
        transport.create(host, other, b"content")
        assert transport.delete(host, name) is True
        assert transport.exists(host, name) is False
        assert transport.delete(host, name) is False, "a second delete must return False"
        assert transport.content(host, other) == b"content"

    def test_directory_is_never_harmed(self, transport_and_host: tuple[Transport, str]) -> None:
        """Neither `delete` nor `create` with its name touches what is in it. Both may fail."""
        if not self.makes_directories:
            return
        transport, host = transport_and_host
        directory = _new("directory")
        transport.create(host, f"{directory}/a.txt", b"content")
        with suppress(TransportError):
            assert transport.delete(host, directory) is False, "delete must not say that it deleted a directory"
        assert transport.content(host, f"{directory}/a.txt") == b"content"
        with suppress(TransportError):
            transport.create(host, directory, b"new")
        assert transport.content(host, f"{directory}/a.txt") == b"content"

    def test_file_is_never_made_a_directory(self, transport_and_host: tuple[Transport, str]) -> None:
        """`create` with a name below that of a file leaves the file alone. It may fail."""
        transport, host = transport_and_host
        name = _new("file.txt")
        transport.create(host, name, b"content")
        with suppress(TransportError):
            transport.create(host, f"{name}/b.txt", b"new")
        assert transport.content(host, name) == b"content"

    def test_directory_is_removed_with_all_that_is_in_it(self, transport_and_host: tuple[Transport, str]) -> None:
        """`remove_directory` does so, or returns False; it refuses the names of the site's own directories."""
        if not self.makes_directories:
            return
        transport, host = transport_and_host
        directory, other = temporary_name(""), _new("other")
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

    # Files that are not there.

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
                with _failure(RemoteFileNotFoundError, host, name, method):
                    getattr(transport, method)(host, name)

    def test_absent_file_can_be_deleted(self, transport_and_host: tuple[Transport, str]) -> None:
        """`delete` says that it was not there; that is no failure."""
        transport, host = transport_and_host
        for name in self._absent():
            assert transport.delete(host, name) is False

    # Streams.

    def test_upload_begins_at_the_start(self, transport_and_host: tuple[Transport, str]) -> None:
        """A file is sent whole, wherever it stands, and stays open, so that it can be sent to the next host."""
        transport, host = transport_and_host
        name, file = _new("file.bin"), io.BytesIO(b"0123456789")
        for _ in range(2):
            file.seek(4)
            transport.create(host, name, file)
            assert not file.closed, "create must not close the file"
            assert transport.content(host, name) == b"0123456789", "a file must be sent from its start"

    def test_upload_takes_a_pipe(self, transport_and_host: tuple[Transport, str]) -> None:
        """A file that can be read only once is sent, too."""
        transport, host = transport_and_host
        name = _new("pipe.bin")
        transport.create(host, name, _file(100_000, can_seek=False))
        assert transport.content(host, name) == bytes(100_000)

    def test_upload_of_what_cannot_be_read_fails(self, transport_and_host: tuple[Transport, str]) -> None:
        """It does not pass for stored; and not for the fault of the host, which would not be asked for a while."""
        transport, host = transport_and_host
        try:
            transport.create(host, _new("broken.bin"), _file(3_000_000, is_broken=True))
        except HostUnavailableError as error:
            raise AssertionError("the file cannot be read, and the host is blamed") from error
        except Exception:  # noqa: BLE001 - whatever describes it best
            return
        raise AssertionError("create must raise when it cannot read the file to its end")

    def test_upload_is_a_stream(self, transport_and_host: tuple[Transport, str]) -> None:
        """`create` never holds a whole file in memory."""
        transport, host = transport_and_host
        name = _new("large.bin")
        transport.create(host, _new("warm.bin"), b"up")
        with self._bounded_memory():
            transport.create(host, name, _file(_LARGE))
        assert transport.size(host, name) == _LARGE

    def test_download_is_a_stream(self, transport_and_host: tuple[Transport, str]) -> None:
        """`open` never holds a whole file in memory."""
        transport, host = transport_and_host
        name = _new("large.bin")
        transport.create(host, name, _file(_LARGE))
        with self._bounded_memory(), transport.open(host, name) as stream:
            assert sum(map(len, _pieces(stream, 65_536, _LARGE))) == _LARGE

    def test_stream_can_be_read_piece_by_piece(self, transport_and_host: tuple[Transport, str]) -> None:
        """Up to its end, where it returns nothing, as often as it is asked."""
        transport, host = transport_and_host
        name, content = _new("pieces.bin"), bytes(range(256)) * 1000
        transport.create(host, name, content)
        with transport.open(host, name) as stream:
            assert stream.read(0) == b""
            first = stream.read(1000)
            assert 0 < len(first) <= 1000
            rest = b"".join(_pieces(stream, 50_000, len(content)))
            assert first + rest == content
            assert stream.read(10) == b""
        assert stream.closed

    def test_stream_may_be_left_unread(self, transport_and_host: tuple[Transport, str]) -> None:
        """What nobody has read of it does not turn up in the next answer; and it may be closed twice."""
        transport, host = transport_and_host
        large, small = _new("large.bin"), _new("small.txt")
        transport.create(host, large, bytes(2_000_000))
        transport.create(host, small, b"content")
        stream = transport.open(host, large)
        stream.read(10)
        assert transport.content(host, small) == b"content", "another file must be readable beside an open stream"
        stream.close()
        stream.close()
        assert transport.content(host, small) == b"content"

    # Failures.

    def test_unreachable_host_is_an_error(self, transport_and_host: tuple[Transport, str]) -> None:
        """Every method raises `HostUnavailableError`, soon: in particular, no file passes for absent or deleted."""
        transport, _ = transport_and_host
        host = self._unreachable()
        for method, *arguments in self._actions(transport):
            started = time.monotonic()
            with _failure(HostUnavailableError, host, "a.txt", method) as caught:
                _act(transport, method, host, "a.txt", *arguments)
            assert isinstance(caught[0].ambiguous, bool)
            assert time.monotonic() - started <= 3 * transport.timeout + 1, f"{method} took longer than the timeout"

    def test_errors_can_be_pickled(self, transport_and_host: tuple[Transport, str]) -> None:
        """Workers of task queues, and logs, hand them over to other processes."""
        transport, host = transport_and_host
        for error in self._errors(transport, host):
            copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - made here
            assert type(copy) is type(error)
            assert (str(copy), repr(copy), vars(copy)) == (str(error), repr(error), vars(error))

    def test_secret_never_shows(
        self, transport_and_host: tuple[Transport, str], caplog: pytest.LogCaptureFixture
    ) -> None:
        """Neither in an error, its traceback or its pickle, nor in the log, nor where the transport is printed."""
        if self.secret is None:
            pytest.skip(f"{type(self).__name__} has no 'secret'")
        transport, host = transport_and_host
        shown = [repr(transport), str(transport)]
        with caplog.at_level(logging.DEBUG):
            transport.create(host, _new("secret.txt"), b"content")
            for error in self._errors(transport, host):
                shown += [repr(error), repr(vars(error)), *traceback.format_exception(error)]
                shown.append(pickle.dumps(error).decode("latin-1"))
        shown += [repr(vars(record)) for record in caplog.records]
        assert self.secret not in "\n".join([*shown, caplog.text]), "the secret shows"

    def test_stranger_is_one_more_transport(self, transport_and_host: tuple[Transport, str]) -> None:
        """`without_credentials` returns one that has none, for the same hosts; or None."""
        transport, host = transport_and_host
        stranger = transport.without_credentials()
        if stranger is None:
            return
        assert isinstance(stranger, Transport)
        assert stranger.identify(host) == transport.identify(host)
        assert stranger is not transport or self.secret is None, "it has the credentials of the transport"
        stranger.close()
        transport.create(host, _new("stranger.txt"), b"content")

    # Courses.

    def test_course_is_the_action(self, transport_and_host: tuple[Transport, str]) -> None:
        """A method that is a course ends the same for whoever begins it anew, and goes on with it too early."""
        transport, host = transport_and_host
        name = _new("course.bin")
        assert _hurry(transport, "create", host, name, b"content") is False, "there was no such file"
        for content in (io.BytesIO(b"another content"), _file(100_000, can_seek=False)):
            assert isinstance(_hurry(transport, "create", host, name, content), bool)
        assert transport.content(host, name) == bytes(100_000)
        assert _hurry(transport, "exists", host, name) is True
        assert _hurry(transport, "size", host, name) == 100_000
        assert _hurry(transport, "browse", host, "") == transport.browse(host, "")
        if transport.supports_modified_time:
            modified = _hurry(transport, "modified_time", host, name)
            assert abs(transport.modified_time(host, name) - modified) < timedelta(minutes=15)
        assert _hurry(transport, "delete", host, name) is True
        assert _hurry(transport, "delete", host, name) is False
        assert _hurry(transport, "exists", host, name) is False
        with _failure(RemoteFileNotFoundError, host, name, "size"):
            _hurry(transport, "size", host, name)

    def test_course_may_be_given_up(self, transport_and_host: tuple[Transport, str]) -> None:
        """After any step; its answer does not pass for that of another action."""
        transport, host = transport_and_host
        name = _new("kept.txt")
        transport.create(host, name, b"content")
        for steps in (1, 2, 3):
            other = _new("other.txt")
            transport.create(host, other, b"another content")
            for method, *arguments in (("size",), ("exists",), ("delete",), ("create", bytes(300_000))):
                course = course_of(getattr(transport, method), host, other, *arguments)
                for _ in range(steps):
                    next(course, None)
                course.close()
                assert transport.size(host, name) == 7, f"this is the answer to a {method} that was given up"
                assert transport.content(host, name) == b"content"

    # Threads and processes.

    def test_threads_may_share_it(self, transport_and_host: tuple[Transport, str]) -> None:
        """Several threads act on different files at once, and each gets what belongs to it."""
        transport, host = transport_and_host
        together = threading.Barrier(4, timeout=self.patience)

        def live(number: int) -> None:
            name, content = _new(f"{number}.bin"), bytes([number]) * (50_000 + number)
            together.wait()
            for _ in range(2):
                transport.create(host, name, content)
                assert transport.size(host, name) == len(content)
                assert transport.content(host, name) == content
                assert transport.delete(host, name) is True

        _in_threads([lambda number=number: live(number) for number in range(4)])  # type: ignore[misc]  # a default

    def test_forked_child_may_use_it(self, transport_and_host: tuple[Transport, str]) -> None:
        """At the same time as its parent: servers make their workers in this way."""
        transport, host = transport_and_host
        names = _new("parent.bin"), _new("child.bin")
        for name in names:
            transport.create(host, name, name.encode() * 1000)

        def is_read(name: str) -> bool:
            return all(transport.content(host, name) == name.encode() * 1000 for _ in range(3))

        child = _fork(lambda: is_read(names[1]), self.patience)
        assert is_read(names[0])
        assert os.waitpid(child, 0)[1] == 0, "a forked child could not read a file, or read another one"

    def test_close_is_not_the_end(self, transport_and_host: tuple[Transport, str]) -> None:
        """`close` releases what the transport holds; afterwards it can be used, and closed, again."""
        transport, host = transport_and_host
        name = _new("closed.txt")
        transport.create(host, name, b"content")
        for _ in range(2):
            transport.close()
            transport.close()
            assert transport.content(host, name) == b"content"

    def test_readers_see_whole_files(self, transport_and_host: tuple[Transport, str]) -> None:
        """Where `replaces_at_once` says so: while a file is replaced, there is the old one or the new one."""
        if not self.replaces_at_once:
            return
        transport, host = transport_and_host
        name = _new("replaced.bin")
        # Of one size: Apache asks for it before it opens the file, and what it opens may be the other one.
        versions = [b"a" * 300_000, b"b" * 300_000]
        transport.create(host, name, versions[0])
        done = threading.Event()

        def write() -> None:
            for content in itertools.cycle(reversed(versions)):
                if done.is_set():
                    return
                transport.create(host, name, content)

        def read() -> None:
            try:
                for _ in range(30):
                    content = transport.content(host, name)
                    assert content in versions, "a reader saw neither the old file nor the new one"
            finally:
                done.set()

        _in_threads([write, read])

    # What it may be able to do.

    def test_modified_time_is_recent(self, transport_and_host: tuple[Transport, str]) -> None:
        """It is aware, and that of the upload, give or take a quarter of an hour; without the flag, it is an error."""
        transport, host = transport_and_host
        name = _new("new.txt")
        transport.create(host, name, b"content")
        if not transport.supports_modified_time:
            with _failure(TransportError, host, name, "modified_time"):
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
            with _failure(TransportError, host, top, "listdir"):
                transport.listdir(host, top)
            return
        directories, found = transport.listdir(host, "")
        if not self.makes_directories:
            assert set(files) <= set(found)
            return
        assert top in directories
        assert [sorted(names) for names in transport.listdir(host, top)] == [["é d#?%"], ["a #?%.txt", "empty.txt"]]
        absent = _new("absent")
        with _failure(RemoteFileNotFoundError, host, absent, "listdir"):
            transport.listdir(host, absent)
        with _failure(TransportError, host, f"{top}/empty.txt", "listdir"):
            transport.listdir(host, f"{top}/empty.txt")

    def test_scan_finds_every_file(self, transport_and_host: tuple[Transport, str]) -> None:
        """Below a directory, at any depth, with its size or None, one by one; without the flag, it is an error."""
        transport, host = transport_and_host
        top, files = self._tree(transport, host)
        if not transport.supports_scan:
            with _failure(TransportError, host, top, "scan"):
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
        absent = _new("absent")
        with _failure(RemoteFileNotFoundError, host, absent, "browse"):
            transport.browse(host, absent)

    # What the tests need.

    def _examples(self, test: Callable[..., None]) -> Callable[..., None]:
        return settings(max_examples=self.max_examples, deadline=None)(test)

    @property
    def _separator(self) -> str:
        return "/" if self.makes_directories else "-"

    def _absent(self) -> list[str]:
        return [_new("absent.txt"), *[_new("absent/absent.txt")] * self.makes_directories]

    def _tree(self, transport: Transport, host: str) -> tuple[str, dict[str, int]]:
        """Store some files; return the directory, or how their names begin, and their sizes by name."""
        top = _new("tree")
        sizes = {"a #?%.txt": 5, "empty.txt": 0}
        if self.makes_directories:
            sizes |= {"é d#?%/b.txt": 22, "é d#?%/e/c.txt": 7}
        files = {f"{top}{self._separator}{name}": size for name, size in sizes.items()}
        for name, size in files.items():
            transport.create(host, name, bytes(size))
        return top, files

    def _actions(self, transport: Transport) -> list[tuple[Any, ...]]:
        optional = [
            *[("modified_time",)] * transport.supports_modified_time,
            *[("listdir",)] * transport.supports_listdir,
            *[("scan",)] * transport.supports_scan,
        ]
        return [("create", b"content"), ("delete",), ("exists",), ("size",), ("content",), ("open",), *optional]

    def _errors(self, transport: Transport, host: str) -> Iterator[TransportError]:
        """Yield errors of all kinds that can be had."""
        hosts = [host] if self.unreachable_host is None else [host, self.unreachable_host]
        for one in hosts:
            for method, *arguments in self._actions(transport):
                if one == host and method in ("create", "scan"):
                    continue
                try:
                    _act(transport, method, one, _new("absent.txt"), *arguments)
                except TransportError as error:
                    yield error

    def _unreachable(self) -> str:
        if self.unreachable_host is None:
            pytest.skip(f"{type(self).__name__} has no 'unreachable_host'")
        return self.unreachable_host

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


class _Lazy:
    """Stands for a URL that is not known yet."""

    def __str__(self) -> NoReturn:
        raise AssertionError("a lazy base_url must not be evaluated before the first use")


class _Zeros(io.RawIOBase):
    """A file of zeros that takes no memory."""

    def __init__(self, size: int, *, can_seek: bool = True, is_broken: bool = False) -> None:
        super().__init__()
        self._size = size
        self._position = 0
        self._can_seek = can_seek
        self._is_broken = is_broken  # in its second half

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self._can_seek

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if not self._can_seek:
            raise io.UnsupportedOperation("seek")
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        self._position = start + offset
        return self._position

    def tell(self) -> int:
        return self.seek(0, os.SEEK_CUR)

    def readinto(self, buffer: Any) -> int:
        if self._is_broken and self._position >= self._size / 2:
            raise OSError("the disk is broken")
        count = min(len(buffer), self._size - self._position)
        buffer[:count] = bytes(count)
        self._position += count
        return count


def _file(size: int, **kinds: bool) -> BinaryIO:
    return cast("BinaryIO", io.BufferedReader(_Zeros(size, **kinds)))


def _new(name: str, separator: str = "-") -> str:
    """Return a name that nobody has used."""
    return f"{secrets.token_hex(4)}{separator}{name}" if name else secrets.token_hex(4)


def _refuse_network(*args: Any, **kwargs: Any) -> NoReturn:
    raise AssertionError("the constructor must not use the network")


# What the errors of a method call the action, where it has another name.
_ACTIONS = {"create": "upload", "open": "download", "content": "download", "browse": "listdir"}


@contextmanager
def _failure(kind: type[Exception], host: str, name: str, method: str) -> Iterator[list[Any]]:
    """Make sure that a method raises an error of a kind, which tells host, name and action; yield a list with it."""
    caught: list[Any] = []
    try:
        yield caught
    except kind as error:
        caught.append(error)
    except Exception as error:
        raise AssertionError(f"{method} must raise {kind.__name__}, not {error!r}") from error
    if not caught:
        raise AssertionError(f"{method} must raise {kind.__name__}")
    told = caught[0].host, caught[0].name, caught[0].action
    assert told == (host, name, _ACTIONS.get(method, method)), f"{method} must tell the host, name and action"


def _pieces(stream: BinaryIO, size: int, most: int) -> Iterator[bytes]:
    """Read a stream to its end, which comes after so many bytes, if ever."""
    while piece := stream.read(size):
        assert len(piece) <= size, "a stream must not return more than it is asked for"
        most -= len(piece)
        assert most >= 0, "a stream must end where the file does"
        yield piece


def _act(transport: Transport, method: str, host: str, name: str, *arguments: Any) -> None:
    result = getattr(transport, method)(host, name, *arguments)
    if method == "open":
        with result:
            result.read()
    elif method == "scan":
        list(result)


def _hurry(transport: Transport, method: str, host: str, name: str, *arguments: Any) -> Any:
    """Carry out an action as those do who have others under way, and too early."""
    call = getattr(transport, method)
    course = course_of(call, host, name, *arguments)
    try:
        if _step(course, transport) is None:
            course.close()  # it has done nothing
            course = course_of(call, host, name, *arguments)
        for _ in range(3):
            _step(course, transport)
    except StopIteration as stop:
        return stop.value
    return finish(course)


def _step(course: Course[Any], transport: Transport) -> Arrival | None:
    arrival = next(course)
    if arrival is not None:
        assert isinstance(arrival, Arrival), "a course must yield an Arrival, or None"
        latest = time.monotonic() + 3 * transport.timeout + 1
        assert arrival.deadline <= latest, "a course waits longer than the timeout: is its deadline by time.monotonic?"
    return arrival


def _in_threads(functions: list[Callable[[], None]]) -> None:
    """Run functions at the same time; raise what the first of them to fail has raised."""
    problems: list[BaseException] = []

    def run(function: Callable[[], None]) -> None:
        try:
            function()
        except BaseException as error:  # noqa: BLE001 - raised below
            problems.append(error)

    threads = [threading.Thread(target=run, args=[function]) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if problems:
        raise problems[0]


def _fork(is_right: Callable[[], bool], patience: float) -> int:
    """Start a child that tells by its status whether something is right; return its process id."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python warns of threads that the child does not have
        child = os.fork()
    if child:
        return child
    status = 1
    try:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, patience)
        status = 0 if is_right() else 2
    finally:
        os._exit(status)
