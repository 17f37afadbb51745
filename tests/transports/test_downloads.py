"""Downloads: what is taken for a file, for a part of it, and for that of another version; all else is an error."""

import io
import itertools
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.contracts import fails
from kit.steps import ACTION, run
from resto.exceptions import RemoteFileChangedError, RemoteFileNotFoundError, TransportError, UnexpectedStatusCode
from resto.testing import TestHttpServer
from resto.transports import Version, downloads
from resto.transports.downloads import download, download_part
from resto.transports.http import HttpTransport
from resto.transports.limits import MAX_DOWNLOAD
from resto.transports.messages import Response


class FakeStream:
    closed = False

    def read(self, size=-1):
        return b""

    def close(self):
        self.closed = True


# Whole files.


@pytest.mark.parametrize("status", [201, 204, 206, 301, 304, 400, 401, 403, 405, 416, 500, 503])
def test_only_three_statuses_answer_a_download(status):
    with pytest.raises(UnexpectedStatusCode) as info:
        run(download(ACTION), status)
    assert info.value.status == status


@pytest.mark.parametrize("status", [404, 410])
def test_a_missing_file_cannot_be_read(status):
    with pytest.raises(RemoteFileNotFoundError) as info:
        run(download(ACTION), status)
    assert (info.value.host, info.value.name, info.value.action) == ("media-1", "a b/c.txt", "upload")


@pytest.mark.parametrize(
    "headers", [{"Content-Length": "0"}, {"Content-Length": "5"}, {"Transfer-Encoding": "Chunked"}], ids=str
)
def test_download_returns_the_stream(headers):
    stream = FakeStream()
    result, requests = run(download(ACTION), (200, headers, stream))
    assert requests[0].stream
    assert not stream.closed
    result.close()
    assert stream.closed


@pytest.mark.parametrize(
    "headers",
    [{}, {"Content-Length": "x"}, {"Content-Length": "-1"}, {"Content-Length": "5, 6"}, {"Transfer-Encoding": "gzip"}],
    ids=str,
)
def test_a_download_whose_end_cannot_be_known_is_an_error(headers):
    """http.client reads such an answer to the end of the connection, whole or not."""
    stream = FakeStream()
    with pytest.raises(TransportError, match="where the file ends"):
        run(download(ACTION), (200, headers, stream))
    assert stream.closed


# Parts of files.


def part(start, end, version, *answers, limit=MAX_DOWNLOAD):
    """Return what steps bring of a part, which version that is of, and the requests."""
    (stream, told), requests = run(download_part(ACTION, start, end, version, limit), *answers)
    return stream.read(), told, requests


def partial_content(content, first, last, size, **headers):
    told = {"Content-Range": f"bytes {first}-{last}/{size}", "Content-Length": str(len(content)), **headers}
    return 206, told, io.BytesIO(content)


TAG = Version(10, '"tag"')
TIME = Version(10, "", "Sun, 06 Nov 1994 08:49:37 GMT")


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        ({"ETag": '"tag"', "Last-Modified": TIME.modified}, Version(10, '"tag"', TIME.modified)),
        ({"ETag": 'W/"tag"', "Last-Modified": TIME.modified}, TIME),
        ({"ETag": '"tag"'}, TAG),
    ],
    ids=["both", "weak tag", "tag"],
)
def test_part_tells_its_version(headers, told):
    content, version, requests = part(0, 4, None, partial_content(b"0123", 0, 3, 10, **headers))
    assert (content, version) == (b"0123", told)
    assert [dict(request.headers) for request in requests] == [{"Range": "bytes=0-3"}]


def test_part_is_asked_for_on_condition_of_its_version():
    """A tag is strong enough for that. Times are compared: If-Range takes only those that a tag could not be weaker than."""
    _, _, [by_tag] = part(2, None, TAG, partial_content(b"23456789", 2, 9, 10, ETag=TAG.tag))
    _, _, [by_time] = part(2, 5, TIME, partial_content(b"234", 2, 4, 10, **{"Last-Modified": TIME.modified}))
    assert dict(by_tag.headers) == {"Range": "bytes=2-", "If-Range": '"tag"'}
    assert dict(by_time.headers) == {"Range": "bytes=2-4"}


def whole():
    return 200, {"Content-Length": "10", "ETag": '"tag"'}, io.BytesIO(b"0123456789")


@pytest.mark.parametrize(
    "answer",
    [
        partial_content(b"0123", 0, 3, 10),
        partial_content(b"0123", 0, 3, 10, ETag='W/"weak"'),
        partial_content(b"1234", 1, 4, 10, ETag='"tag"'),
        partial_content(b"01234", 0, 3, 10, ETag='"tag"'),
        partial_content(b"01", 0, 1, 10, ETag='"tag"'),
        (206, {"Content-Length": "4", "ETag": '"tag"'}, io.BytesIO(b"0123")),
        (206, {"Content-Range": "bytes 0-3/*", "Content-Length": "4", "ETag": '"tag"'}, io.BytesIO(b"0123")),
        (206, {"Content-Range": "bytes 0-3/10", "Transfer-Encoding": "chunked", "ETag": '"tag"'}, io.BytesIO(b"0123")),
        (416, {"Content-Range": "bytes */0"}),
    ],
    ids=["no version", "weak", "another part", "too long", "too short", "no range", "no size", "no length", "416"],
)
def test_whole_file_is_read_where_a_part_cannot_be_told(answer):
    content, version, requests = part(0, 4, None, answer, whole())
    assert (content, version) == (b"0123456789", None)
    assert "Range" not in requests[1].headers


def test_host_that_knows_no_ranges_gives_the_whole_file():
    content, version, requests = part(0, 4, None, (200, {"Content-Length": "10"}, io.BytesIO(b"0123456789")))
    assert (content, version, len(requests)) == (b"0123456789", None, 1)


@pytest.mark.parametrize(("start", "end"), [(0, 1), (5, 6), (9, 10), (9, 20), (3, None), (2, 7)])
def test_part_is_taken_of_the_whole_file_of_that_version(start, end):
    content, version, requests = part(start, end, TAG, whole())
    assert (content, version, len(requests)) == (b"0123456789"[start:end], TAG, 1)


def test_no_range_ends_beyond_a_file_of_a_known_size():
    _, _, [request] = part(2, 30, TAG, partial_content(b"23456789", 2, 9, 10, ETag=TAG.tag))
    assert request.headers["Range"] == "bytes=2-9"


@pytest.mark.parametrize("told", ["bytes */10", "*/10"])
def test_whole_file_is_read_where_no_part_may_end_beyond_it(told):
    assert part(4, 30, None, (416, {"Content-Range": told}), whole())[:2] == (b"0123456789", None)


@pytest.mark.parametrize("status", [404, 410])
@pytest.mark.parametrize("version", [None, TAG])
def test_missing_file_has_no_parts(status, version):
    with pytest.raises(RemoteFileNotFoundError):
        part(0, 4, version, status)


@pytest.mark.parametrize("version", [None, TAG])
def test_part_after_the_end_is_an_error(version):
    with pytest.raises(TransportError) as caught:
        part(20, 24, version, (416, {"Content-Range": "bytes */10"}))
    assert isinstance(caught.value, RemoteFileChangedError) is (version is not None)


def test_file_that_is_too_long_has_no_parts_either():
    stream = FakeStream()
    with pytest.raises(TransportError, match="the file has 10 bytes, which is more than max_download allows: 9"):
        part(0, 4, None, (*partial_content(b"0123", 0, 3, 10, ETag='"tag"')[:2], stream), limit=9)
    assert stream.closed


CHANGED = "it has another file of this name by now"


@pytest.mark.parametrize(
    ("version", "answer", "problem"),
    [
        (TAG, partial_content(b"23", 2, 3, 10, ETag='"other"'), CHANGED),
        (TAG, partial_content(b"23", 2, 3, 10), CHANGED),
        (TAG, partial_content(b"23", 2, 3, 11, ETag='"tag"'), CHANGED),
        (TIME, partial_content(b"23", 2, 3, 10, **{"Last-Modified": "Mon, 07 Nov 1994 08:49:37 GMT"}), CHANGED),
        (TIME, partial_content(b"23", 2, 3, 11, **{"Last-Modified": TIME.modified}), CHANGED),
        (TAG, (200, {"Content-Length": "10", "ETag": '"other"'}, io.BytesIO(b"x" * 10)), CHANGED),
        (TAG, partial_content(b"12", 1, 2, 10, ETag='"tag"'), "not the part of the file that was asked for"),
        (TAG, 500, "GET was answered 500"),
    ],
    ids=["tag", "no tag", "size", "time", "size and time", "200", "another part", "500"],
)
def test_part_that_is_not_certain_to_be_that_of_the_version_is_an_error(version, answer, problem):
    with pytest.raises(TransportError, match=problem) as caught:
        part(2, 4, version, answer)
    assert isinstance(caught.value, RemoteFileChangedError) is (problem is CHANGED)


# The law, and what it is good for.

OLD, NEW = b"abcdefghij", b"ABCDEFGHIJ"


@dataclass
class Server:
    """A server whose file is replaced at some time by one of the same size, and that may do with ranges as it likes.

    Attributes:
        kind: What it does with them.
        is_replaced: Whether it has the new file.
        says: The headers that tell the versions apart, by their names.
    """

    kind: str
    is_replaced: bool = False
    says: frozenset[str] = field(default_factory=frozenset)

    def answer(self, request):
        content = NEW if self.is_replaced else OLD
        told = {
            "ETag": f'"{content[:1].decode()}"',
            "Last-Modified": f"Sun, 06 Nov 1994 08:49:3{self.is_replaced:d} GMT",
        }
        told = {name: value for name, value in told.items() if name in self.says}
        condition = request.headers.get("If-Range")
        first, _, last = request.headers.get("Range", "").removeprefix("bytes=").partition("-")
        if self.kind == "ignores" or not first or condition not in (None, told.get("ETag")):
            return 200, told | {"Content-Length": str(len(content))}, io.BytesIO(content)
        start, end = int(first), int(last) + 1 if last else len(content)
        end = min(end, len(content))
        if self.kind == "shifts" and start:
            start, end = start - 1, end - 1
        elif self.kind == "cuts":
            end = max(start + 1, end - 1)
        return partial_content(content[start:end], start, end - 1, len(content), **told)


def ask(server, start, end, version):
    """Return what a server brings of a part, or of the whole file."""
    steps = download_part(ACTION, start, end, version, MAX_DOWNLOAD)
    asked, answers = [], []
    while True:
        try:
            request = steps.send(answers.pop()) if answers else next(steps)
        except StopIteration as stop:
            return stop.value[0].read(), stop.value[1], asked
        asked.append(request)
        status, headers, stream = server.answer(request)
        answers.append(Response(status, "", headers, stream))


KINDS = ["honest", "ignores", "shifts", "cuts"]
SAYS = [frozenset(), frozenset({"ETag"}), frozenset({"Last-Modified"}), frozenset({"ETag", "Last-Modified"})]

# All servers, and those that answer behind the same address from then on: versions have the same names there.
SERVERS = [
    (Server(first, says=says), Server(later, is_replaced, says))
    for first, says, later, is_replaced in itertools.product(KINDS, SAYS, KINDS, [False, True])
]
PLACES = st.tuples(st.integers(0, 9), st.none() | st.integers(1, 12)).filter(lambda it: it[1] is None or it[0] < it[1])


class Law:
    """What is read in parts, of whatever server, is one version of the file."""

    @given(places=st.lists(PLACES, min_size=1, max_size=2))
    def test_parts_are_those_of_one_version(self, places):
        for server, later in SERVERS:
            content, version, _ = ask(server, 0, 3, None)
            assert content == (OLD if version is None else OLD[:3])
            for start, end in places if version is not None else ():
                try:
                    content, told, [request] = ask(later, start, end, version)
                except TransportError:
                    assert later.is_replaced or later.kind != "honest"
                    continue
                assert (content, told) == (OLD[start:end], version)
                assert request.headers.get("If-Range", "") == version.tag


LAW = Law()


def test_law():
    LAW.test_parts_are_those_of_one_version()


def without_condition(patch):
    def request(method, target, headers, **options):
        headers.pop("If-Range", None)
        return real(method, target, headers, **options)

    real = downloads.Request
    patch.setattr(downloads, "Request", request)


def without_a_look_at_the_range(patch):
    patch.setattr(downloads, "_version_told", lambda response, start, end: downloads._version_of(response, len(OLD)))


def without_a_look_at_the_version(patch):
    patch.setattr(Version, "is_same_as", lambda self, other: True)


def with_any_version(patch):
    patch.setattr(Version, "is_known", True)


MUTANTS = [without_condition, without_a_look_at_the_range, without_a_look_at_the_version, with_any_version]


@pytest.mark.parametrize("mutate", MUTANTS)
def test_law_needs_each_rule(monkeypatch, request, mutate):
    mutate(monkeypatch)
    assert fails(LAW, "test_parts_are_those_of_one_version", request)


# The streams.


@pytest.fixture
def transport():
    transport = HttpTransport("/", timeout=10)
    yield transport
    transport.close()


def test_part_is_asked_for_over_one_connection(transport):
    """Also where the last part was not read to its end: that one costs its connection."""
    content = bytes(range(256)) * 4096
    with TestHttpServer() as server:
        server.create_file("a", content)
        first = transport.open_part(server.url, "a", 0, 1000)
        assert first.stream.read() == content[:1000]
        for start in (5000, 100_000):
            with transport.open_part(server.url, "a", start, start + 1000, first.version).stream as stream:
                assert stream.read() == content[start : start + 1000]
        assert {request.connection for request in server.requests} == {1}


def test_part_of_a_replaced_file_is_refused(transport):
    with TestHttpServer() as server:
        server.create_file("a", b"0123456789")
        version = transport.open_part(server.url, "a", 0, 4).version
        server.create_file("a", b"0123456789")
        with pytest.raises(RemoteFileChangedError) as caught:
            transport.open_part(server.url, "a", 4, 8, version)
        assert (caught.value.host, caught.value.name, caught.value.action) == (server.url, "a", "download")
        assert server.requests[-1].status == 200  # not even a part of it came


def test_part_that_breaks_off_is_an_error(transport):
    with TestHttpServer() as server:
        server.create_file("a", bytes(200_000))
        server.reset_after = 100_000
        with transport.open_part(server.url, "a", 0, 150_000).stream as stream, pytest.raises(TransportError):
            stream.read()
