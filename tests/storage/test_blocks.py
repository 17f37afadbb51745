"""Files of hosts that are read block by block: what is fetched, what becomes of it when hosts fail, and never a mixture."""

import io
import os
import zipfile
from dataclasses import dataclass, field

import pytest
from django.core.files.images import get_image_dimensions
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from kit.contracts import fails
from kit.relay import Relay
from resto.exceptions import (
    HostUnavailableError,
    RemoteFileChangedError,
    RemoteFileNotFoundError,
    ReplicationError,
)
from resto.executors import Job
from resto.storage import DistributedStorage, blocks, stretches
from resto.storage.blocks import FIRST_SIZE, Asking, BlockFile, open_blocks
from resto.storage.stretches import BLOCK_SIZE
from resto.transports import FilePart, Transport, Version


@dataclass
class Shelf:
    """A host that is a variable.

    Attributes:
        content: Of its file; None if it has none.
        number: Of its version.
        is_down: Whether it gives no answer.
        gives_parts: Whether it gives anything but the whole file.
        room: Bytes after which its next stream breaks off, or ends.
        is_silent: Whether it ends then as if that were all.
    """

    content: bytes | None
    number: int = 0
    is_down: bool = False
    gives_parts: bool = True
    room: int | None = None
    is_silent: bool = False

    def take_room(self):
        room, self.room = self.room, None
        return room


class Stream(io.RawIOBase):
    def __init__(self, content, room, failure):
        super().__init__()
        self._file, self._room, self._failure = io.BytesIO(content), room, failure

    def readable(self):
        return True

    def readinto(self, buffer):
        size = len(buffer) if self._room is None else min(len(buffer), self._room)
        if not size and len(buffer) and self._failure:
            raise self._failure
        block = self._file.read(size)
        buffer[: len(block)] = block
        self._room = None if self._room is None else self._room - len(block)
        return len(block)


class ShelfTransport(Transport):
    """Reads from hosts that are variables."""

    supports_parts = True

    def __init__(self, shelves):
        super().__init__("/")
        self.shelves = shelves
        self.asked = []

    def open(self, host, name):
        return self._stream(host, name, self._find(host, name).content)

    def _find(self, host, name):
        shelf = self.shelves[host]
        self.asked.append(host)
        if shelf.is_down:
            raise HostUnavailableError(host, name, "download", "it is down")
        if shelf.content is None:
            raise RemoteFileNotFoundError(host, name, "download", "it is not there")
        return shelf

    def _stream(self, host, name, content):
        shelf = self.shelves[host]
        failure = None if shelf.is_silent else HostUnavailableError(host, name, "download", "it broke off")
        return io.BufferedReader(Stream(content, shelf.take_room(), failure), 16)

    def open_part(self, host, name, start, end, version=None):
        shelf = self._find(host, name)
        if not shelf.gives_parts and version is None:
            return FilePart(self.open(host, name), None)
        told = Version(len(shelf.content), str(shelf.number))
        if version is not None and not told.is_same_as(version):
            raise RemoteFileChangedError(host, name, "download", "it was replaced")
        return FilePart(self._stream(host, name, shelf.content[start:end]), told)

    exists = size = create = delete = None


ShelfTransport.__abstractmethods__ = frozenset()


@dataclass
class Hosts:
    """Two hosts, and whoever reads from the first one."""

    content: bytes
    believed: list = field(default_factory=lambda: ["one", "two"])
    reported: list = field(default_factory=list)

    def __post_init__(self):
        self.shelves = {"one": Shelf(self.content), "two": Shelf(self.content)}
        self.transport = ShelfTransport(self.shelves)

    def open(self):
        def job(call, host):
            return Job("download", host, "a", lambda: call(host, "a"))

        def asking(name):
            return Asking(name, lambda host: transport, job, report, lambda: self.believed, ["one", "two"])

        report, transport = self.reported.append, self.transport
        return open_blocks(lambda host: transport, asking, "one", "a")


def pattern(size):
    """Bytes of which no two blocks are the same."""
    return b"".join(number.to_bytes(4) for number in range(-(-size // 4)))[:size]


def other(content):
    """Return a content with no byte in common."""
    return bytes(255 - byte for byte in content)


# The law.

WHERE = st.sampled_from(["one", "two"])
STEPS = st.one_of(
    st.tuples(st.just("seek"), st.integers(-100, 2100), st.sampled_from([os.SEEK_SET, os.SEEK_CUR, os.SEEK_END])),
    st.tuples(st.just("read"), st.integers(0, 300) | st.none()),
    st.tuples(st.just("down"), WHERE, st.booleans()),
    st.tuples(st.just("cut"), WHERE, st.integers(0, 200), st.booleans()),
    st.tuples(st.just("replace"), WHERE, st.sampled_from(["all", "longer", "shorter", "none"])),
    st.tuples(st.just("believe"), st.sampled_from([[], ["one"], ["two"], ["two", "one"]])),
)
SIZES = st.fixed_dictionaries(
    {
        "BLOCK_SIZE": st.integers(1, 64),
        "first": st.integers(1, 4),
        "_KEPT": st.integers(4, 9),
        "_MOST": st.integers(1, 9),
    }
)


SMALL = {"BLOCK_SIZE": 10, "first": 1, "_KEPT": 4, "_MOST": 1}
IN_THE_MIDDLE = [("seek", 1000, os.SEEK_SET), ("read", 20)]


class Law:
    """Whatever is done to a file, and to its hosts, what is read is the file that was opened, or there is an error."""

    @example(2000, SMALL, True, [("replace", "one", "all"), *IN_THE_MIDDLE])
    @example(2000, SMALL, True, [("replace", "two", "all"), ("down", "one", True), *IN_THE_MIDDLE])
    @example(2000, SMALL, True, [("cut", "one", 5, True), *IN_THE_MIDDLE])
    @given(size=st.integers(0, 2000), sizes=SIZES, parts=st.booleans(), steps=st.lists(STEPS, max_size=15))
    def test_file_is_read_as_it_was(self, size, sizes, parts, steps):
        hosts = Hosts(pattern(size))
        hosts.shelves["two"].gives_parts = parts
        with pytest.MonkeyPatch.context() as patch:
            for name, value in sizes.items():
                if name != "first":
                    patch.setattr(blocks, name, value)
            patch.setattr(stretches, "BLOCK_SIZE", sizes["BLOCK_SIZE"])
            patch.setattr(blocks, "FIRST_SIZE", sizes["first"] * sizes["BLOCK_SIZE"])
            with hosts.open() as file:
                self._follow(file, hosts, steps)

    def _follow(self, file, hosts, steps):
        model, may_fail = io.BytesIO(hosts.content), False
        for kind, *rest in steps:
            if kind == "seek":
                self._seek(file, model, *rest)
            elif kind == "read":
                may_fail = self._read(file, model, *rest, may_fail=may_fail)
            elif kind != "believe":
                may_fail = True
                _break(hosts, kind, *rest)
            else:
                hosts.believed = rest[0]
            raw = getattr(file, "raw", None)
            assert not isinstance(raw, BlockFile) or len(raw._kept) <= blocks._KEPT

    def _seek(self, file, model, offset, whence):
        start = {os.SEEK_SET: 0, os.SEEK_CUR: model.tell(), os.SEEK_END: len(model.getvalue())}[whence]
        model.seek(max(0, start + offset))
        try:
            assert file.seek(offset, whence) == model.tell()
        except (ValueError, OSError):
            assert start + offset < 0
            file.seek(0)

    def _read(self, file, model, size, *, may_fail):
        place = model.tell()
        expected = model.read(size)
        try:
            found = file.read(size)
        except OSError:
            assert may_fail
            model.seek(place)
            file.seek(place)
        else:
            assert found == expected
        return may_fail


def _break(hosts, kind, host, *how):
    shelf = hosts.shelves[host]
    if kind == "down":
        [shelf.is_down] = how
    elif kind == "cut":
        shelf.room, shelf.is_silent = how
    else:
        contents = {
            "all": other(hosts.content),
            "longer": other(hosts.content) + b"more",
            "shorter": hosts.content[:-1],
            "none": None,
        }
        shelf.content, shelf.number = contents[how[0]], shelf.number + 1


LAW = Law()


def test_law():
    LAW.test_file_is_read_as_it_was()


def without_a_version(patch):
    real = ShelfTransport.open_part
    patch.setattr(
        ShelfTransport,
        "open_part",
        lambda self, host, name, start, end, version=None: real(self, host, name, start, end),
    )


def without_a_look_at_the_other_host(patch):
    def require_same(self, place, transport, name, first, end):
        place.version = transport.open_part(place.host, name, 0, 1).version
        place.whole = None if place.version else io.BytesIO(transport.shelves[place.host].content)

    patch.setattr(BlockFile, "_require_same", require_same)


def without_a_look_whether_all_has_come(patch):
    for module in (blocks, stretches):
        patch.setattr(module, "require_whole", lambda host, name, block, wanted: None)


MUTANTS = [without_a_version, without_a_look_at_the_other_host, without_a_look_whether_all_has_come]


@pytest.mark.parametrize("mutate", MUTANTS)
def test_law_needs_each_rule(monkeypatch, request, mutate):
    mutate(monkeypatch)
    assert fails(LAW, "test_file_is_read_as_it_was", request)


# Where it goes on.

LARGE = pattern(40 * BLOCK_SIZE)


@pytest.fixture
def hosts():
    return Hosts(LARGE)


def read_in_the_middle(file):
    file.seek(20 * BLOCK_SIZE)
    return file.read(10)


def test_other_host_takes_the_place_of_one_that_fails(hosts):
    with hosts.open() as file:
        hosts.shelves["one"].is_down = True
        assert read_in_the_middle(file) == LARGE[20 * BLOCK_SIZE :][:10]
        assert [(outcome.host, outcome.ok) for outcome in hosts.reported] == [("one", False), ("two", True)]
        hosts.shelves["one"].is_down = False
        file.seek(30 * BLOCK_SIZE)
        assert file.read(10) == LARGE[30 * BLOCK_SIZE :][:10]
        assert hosts.transport.asked[-1] == "two"  # it stays there


@pytest.mark.parametrize("gives_parts", [True, False])
@pytest.mark.parametrize(
    "content", [other(LARGE), LARGE + b"!", LARGE[:-1], LARGE[:FIRST_SIZE] + other(LARGE[FIRST_SIZE:])]
)
def test_other_host_with_another_file_does_not(hosts, content, gives_parts):
    with hosts.open() as file:
        read_in_the_middle(file)
        hosts.shelves["one"].is_down = True
        hosts.shelves["two"] = hosts.transport.shelves["two"] = Shelf(content, gives_parts=gives_parts)
        file.seek(30 * BLOCK_SIZE)
        with pytest.raises(
            ReplicationError, match="two: it has another file of this name than the one that is being read"
        ):
            file.read(10)


def test_host_with_pending_changes_does_not(hosts):
    with hosts.open() as file:
        hosts.shelves["one"].is_down = True
        hosts.believed = ["one"]
        with pytest.raises(ReplicationError, match=r"one: it is down .*not asked, as changes are pending there: two"):
            read_in_the_middle(file)
        assert hosts.transport.asked == ["one", "one"]


def test_file_that_is_nowhere_any_more(hosts):
    with hosts.open() as file:
        hosts.shelves["one"].content = hosts.shelves["two"].content = None
        with pytest.raises(RemoteFileNotFoundError):
            read_in_the_middle(file)
        file.seek(0)
        assert file.read(FIRST_SIZE) == LARGE[:FIRST_SIZE]  # which is here


def test_file_that_changes_is_an_error_although_another_host_has_the_old_one(hosts):
    with hosts.open() as file:
        hosts.shelves["one"].number += 1
        for _ in range(2):
            with pytest.raises(RemoteFileChangedError):
                read_in_the_middle(file)


def test_stream_that_breaks_off_is_asked_for_once_more(hosts):
    """A server gives up whoever reads too slowly."""
    with hosts.open() as file:
        assert file.read(FIRST_SIZE) == LARGE[:FIRST_SIZE]
        hosts.shelves["one"].room = 2 * BLOCK_SIZE
        assert file.read() == LARGE[FIRST_SIZE:]
    assert {outcome.ok for outcome in hosts.reported} == {True}
    assert {*hosts.transport.asked} == {"one"}


def test_subclass_that_makes_something_else_of_files_is_asked_for_whole_ones(hosts):
    class Shouting(ShelfTransport):
        def open(self, host, name):
            with super().open(host, name) as stream:
                return io.BytesIO(stream.read().upper())

    content = b"shout" * BLOCK_SIZE
    hosts.shelves["one"].content = content
    hosts.transport = Shouting(hosts.shelves)
    with hosts.open() as file:
        assert file.read() == content.upper()


def test_transport_without_parts_is_asked_for_whole_files(hosts):
    hosts.transport.supports_parts = False
    with hosts.open() as file:
        assert file.read() == LARGE
    assert hosts.transport.asked == ["one"]


def test_what_fails_as_the_file_is_opened_fails_there(hosts):
    hosts.shelves["one"].room = FIRST_SIZE - 1
    with pytest.raises(HostUnavailableError):
        hosts.open()


# What goes over the wire.

GIGABYTE = 1024**3


@pytest.fixture
def relay(media_servers):
    """A relay before nginx, and the directory that this serves."""
    url, folder = media_servers("nginx").new_folder()
    with Relay(url) as relay:
        yield relay, folder


def storage_of(relay):
    return DistributedStorage([relay.url], "/media/", timeout=10)


@pytest.mark.parametrize("place", [0, GIGABYTE - 64 * 1024, GIGABYTE - 64 * 1024 - 5])
def test_end_of_a_large_file_is_read_without_the_rest(relay, place):
    relay, folder = relay
    with (folder / "large.bin").open("wb") as file:
        file.truncate(GIGABYTE)
        file.seek(place)
        file.write(b"here" * 16 * 1024)
    with storage_of(relay).open("large.bin") as file:
        assert file.size == GIGABYTE
        file.seek(place)
        assert file.read(64 * 1024) == b"here" * 16 * 1024
    assert relay.requests <= 3
    assert relay.sent <= 256 * 1024


@pytest.mark.parametrize(
    "read",
    [
        lambda file: file.read(),
        lambda file: b"".join(file.chunks()),
        lambda file: b"".join(iter(lambda: file.read(1000), b"")),
    ],
    ids=["at once", "chunks", "bit by bit"],
)
def test_file_that_is_read_in_order_comes_as_a_stream(relay, read):
    relay, folder = relay
    content = os.urandom(5_000_000)
    (folder / "a").write_bytes(content)
    with storage_of(relay).open("a") as file:
        assert read(file) == content
    assert relay.requests <= 3
    assert relay.sent <= len(content) + 2000


@pytest.mark.parametrize(("size", "requests"), [(0, 1), (1, 1), (FIRST_SIZE, 1), (FIRST_SIZE + 1, 2)])
def test_small_file_is_there_with_the_first_answer(relay, size, requests):
    relay, folder = relay
    (folder / "a").write_bytes(pattern(size))
    with storage_of(relay).open("a") as file:
        assert (file.read(), file.size) == (pattern(size), size)
    assert relay.requests == requests


def test_directory_of_a_zip_takes_little(relay):
    """As docs/choosing-a-storage.md says."""
    relay, folder = relay
    with zipfile.ZipFile(folder / "a.zip", "w") as archive:
        for number in range(1000):
            archive.writestr(f"photos/{number}.jpg", bytes(20_000))
    with storage_of(relay).open("a.zip") as file, zipfile.ZipFile(file) as archive:
        assert len(archive.namelist()) == 1000
        assert 20_000_000 < file.size < 20_200_000
    assert relay.requests == 3
    assert relay.sent < 220_000


@pytest.mark.parametrize(("kind", "options"), [("png", {"compress_level": 0}), ("jpeg", {"quality": 95})])
def test_dimensions_of_an_image_take_little(relay, kind, options):
    """As docs/choosing-a-storage.md says."""
    relay, folder = relay
    Image.effect_noise((2000, 1500), 100).save(folder / f"a.{kind}", **options)
    with storage_of(relay).open(f"a.{kind}") as file:
        assert get_image_dimensions(file) == (2000, 1500)
        assert file.size > 1_000_000
    assert relay.requests == 1
    assert relay.sent < 132_000
