"""Whatever a host sends, however long, slow or deep: it takes neither the memory nor the time of this machine."""

import contextlib
import io
import json
import pickle
import time
import tracemalloc
from http.client import HTTPException

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.clock import Clock, stop_clock
from kit.memory import little_memory
from kit.wires import GET, Dripping, put
from resto.clock import monotonic
from resto.courses import finish
from resto.exceptions import ConfigurationError, HostUnavailableError, TransportError
from resto.hosts import parse_url
from resto.transports import heads, limits
from resto.transports.answers import Received, read_answer
from resto.transports.downloads import download
from resto.transports.limits import MAX_TEXT, PIECE_SIZE, LimitedStream, LongAnswerError, Patience
from resto.transports.listings import parse_autoindex
from resto.transports.messages import NoAnswerError, Request, Response, run_steps
from resto.transports.multistatus import parse_directory, parse_members
from resto.transports.requests_answers import LimitedAnswer
from resto.transports.steps import Action


MIB = 1024 * 1024
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

# Seconds that a test may take in which a host would go on for ever: many times what is needed, whatever else runs.
FOREVER = 10


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    stop_clock(monkeypatch, clock)
    return clock


def exhaust(stream):
    while stream.read(PIECE_SIZE):
        pass


@contextlib.contextmanager
def little_time():
    started = time.monotonic()
    yield
    assert time.monotonic() - started < FOREVER


# Time: a body that is wanted.


def begun_by_connections(sock):
    source = Received(sock, b"", monotonic() + sock.gettimeout(), sock.gettimeout())
    return read_answer(source, "GET"), source


def begun_by_requests(sock):
    answer = LimitedAnswer(sock, method="GET")
    answer.begin()
    return answer, answer


BOTH = pytest.mark.parametrize("begun", [begun_by_connections, begun_by_requests])
DRIPS = st.lists(st.tuples(st.floats(0, 3), st.integers(1, 3 * PIECE_SIZE)), max_size=60)


@BOTH
@given(drips=DRIPS)
def test_each_piece_of_a_body_has_its_time(begun, drips):
    """The time that a host takes is bounded by what it brings, and one that brings enough is never given up."""
    with pytest.MonkeyPatch.context() as patch:
        clock = Clock()
        stop_clock(patch, clock)
        total = sum(size for _, size in drips)
        head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % total
        sock = Dripping(clock, [(0, head), *((seconds, bytes(size)) for seconds, size in drips)])
        answer, source = begun(sock)
        started, got, is_late = clock(), 0, False
        try:
            while got < total:
                source.begin_piece(2)
                got += len(answer.read(min(PIECE_SIZE, total - got)))
        except TimeoutError:
            is_late = True
        assert clock() - started <= (got // PIECE_SIZE + 1) * limits.PATIENCE * 2
        if is_late:
            longest = max(seconds for seconds, _ in drips)
            assert longest > 2 or sum(seconds for seconds, _ in drips) > limits.PATIENCE * 2


@BOTH
def test_a_byte_a_second_is_too_little(clock, begun):
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
    answer, source = begun(Dripping(clock, [(0, head), *[(1, b"x")] * 1000]))
    source.begin_piece(2)
    with pytest.raises(TimeoutError, match="it sent less than 65536 bytes in 60 s"):
        answer.read(PIECE_SIZE)
    assert clock() - 1000 <= 61


@BOTH
@pytest.mark.parametrize("beside", [b"0\r\n", b"1;", b"1\r\nx\r\n"], ids=["trailers", "the size of a chunk", "chunks"])
def test_what_is_beside_a_body_is_no_body(clock, begun, beside):
    """A host may send as much of it as it likes, as quickly as it likes."""
    unit = b"1\r\nx\r\n" if beside.endswith(b"x\r\n") else b"x" * 1000 if beside == b"1;" else b"a: b\r\n" * 10
    answer, source = begun(Dripping(clock, [(0, CHUNKED + beside), *[(0.1, unit)] * 1000]))
    source.begin_piece(2)
    with pytest.raises((TimeoutError, HTTPException)):
        answer.read(PIECE_SIZE)
    assert clock() - 1000 <= 61


@BOTH
def test_who_reads_slowly_does_not_make_the_host_late(clock, begun):
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"
    answer, source = begun(Dripping(clock, [(0, head), *[(1, b"x")] * 100]))
    for _ in range(100):
        clock.pass_(3600)
        source.begin_piece(2)
        assert answer.read(1) == b"x"


@BOTH
@given(pieces=st.lists(st.floats(0.01, 1.9), min_size=1, max_size=50))
def test_all_of_a_head_has_one_timeout(begun, pieces):
    with pytest.MonkeyPatch.context() as patch:
        clock = Clock()
        stop_clock(patch, clock)
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nServer: " + b"x" * len(pieces) + b"\r\n\r\n"
        started, last = clock(), len(pieces) - 1
        parts = [(s, head[n : n + 1] if n < last else head[n:]) for n, s in enumerate(pieces)]
        if sum(pieces) < 1.99:
            assert begun(Dripping(clock, parts))[0].status == 200
        elif sum(pieces) > 2.01:
            with pytest.raises(TimeoutError):
                begun(Dripping(clock, parts))
        assert clock() - started <= 2.01


@BOTH
@given(pauses=st.lists(st.floats(0.01, 2.5), min_size=1, max_size=40), final=st.booleans())
def test_interim_answers_are_signs_of_life(begun, pauses, final):
    """Each of them gives the host a timeout more, up to ten in all."""
    with pytest.MonkeyPatch.context() as patch:
        clock = Clock()
        stop_clock(patch, clock)
        interim = b"HTTP/1.1 102 Processing\r\nX: 1\r\n\r\n"
        answers = [(pause, interim) for pause in pauses]
        if final:
            answers[-1] = pauses[-1], b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"
        started, is_alive = clock(), max(pauses) < 1.99 and sum(pauses) < 19.9
        if final and is_alive:
            assert begun(Dripping(clock, answers))[0].status == 201
        elif is_alive:
            with pytest.raises(HTTPException):
                begun(Dripping(clock, answers))
        elif max(pauses) > 2.01 or sum(pauses) > 20.01:
            with pytest.raises(TimeoutError):
                begun(Dripping(clock, answers))
        assert clock() - started <= 20.01


def test_patience_says_what_is_wrong(clock):
    patience = Patience(clock() + 5, 2)
    assert patience.left() == 5
    patience.begin_piece(2)
    assert patience.left() == 2
    clock.pass_(59)
    assert patience.left() == 1
    clock.pass_(1)
    with pytest.raises(limits.SlowAnswerError):
        patience.left()


# Time: over the wires.


def at_work(peer, times, pause=0.1):
    """Give so many interim answers, and then an answer."""
    with contextlib.suppress(OSError):
        for number in range(times):
            peer.say(b"HTTP/1.1 103 Early Hints\r\nX: %d\r\n\r\n" % number)
            time.sleep(pause)
        peer.say(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")


@pytest.mark.parametrize("size", [7, heads.EXPECT_SIZE + 1])
def test_a_host_that_says_that_it_is_at_work_has_more_time(any_wire, script, size):
    def handle(peer):
        _, headers = peer.head()
        if "expect" in headers:
            peer.say(b"HTTP/1.1 100 Continue\r\n\r\n")
        peer.body(size)
        at_work(peer, 6, 0.2)

    assert finish(any_wire(script(handle).url, 1).exchange(put(size))).status == 201


@pytest.mark.parametrize("size", [7, heads.EXPECT_SIZE + 1])
def test_a_host_that_is_at_work_for_ever_is_given_up(any_wire, script, size):
    def handle(peer):
        peer.head()
        peer.body(size)
        at_work(peer, 1000, 0.01)

    started = time.monotonic()
    # On a busy machine, there may be no interim answer within a timeout.
    with pytest.raises(
        NoAnswerError, match=r"within 1 s, although it said that it was at work|within 0\.1 s$"
    ) as caught:
        finish(any_wire(script(handle).url, 0.1).exchange(put(size)))
    assert (caught.value.ambiguous, caught.value.is_late) == (True, True)
    assert time.monotonic() - started < FOREVER


def test_bytes_that_never_are_an_interim_answer_are_no_sign_of_life(any_wire, script):
    def handle(peer):
        peer.head()
        with contextlib.suppress(OSError):
            peer.say(b"HTTP/1.1 102 Processing\r\n")
            while True:
                peer.say(b"X: 1\r\n")
                time.sleep(0.05)

    with pytest.raises(NoAnswerError, match=r"no answer within"):
        finish(any_wire(script(handle).url, 0.2).exchange(put()))


@pytest.mark.parametrize("size", [1000, 3 * PIECE_SIZE])
def test_a_body_that_drips_is_given_up(any_wire, script, monkeypatch, size):
    monkeypatch.setattr(limits, "PATIENCE", 2)

    def handle(peer):
        peer.head()
        peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        with contextlib.suppress(OSError):
            while True:
                peer.say(b"x")
                time.sleep(0.05)

    with (
        little_time(),
        contextlib.closing(finish(any_wire(script(handle).url, 0.5).exchange(GET)).stream) as stream,
        pytest.raises(NoAnswerError, match=r"too slowly: it sent less than 65536 bytes in 1 s"),
    ):
        stream.read()


def transports():
    return {
        "connections": {},
        "session": {"session": requests.Session},
        "digest": {"auth": ("user", "password"), "auth_scheme": "digest"},
    }


ACTIONS = {
    "create": lambda transport, url: transport.create(url, "a.txt", b"content"),
    "create a large one": lambda transport, url: transport.create(url, "a.txt", bytes(1_500_000)),
    "content": lambda transport, url: transport.content(url, "a.txt"),
    "size": lambda transport, url: transport.size(url, "a.txt"),
    "exists": lambda transport, url: transport.exists(url, "a.txt"),
    "modified_time": lambda transport, url: transport.modified_time(url, "a.txt"),
    "delete": lambda transport, url: transport.delete(url, "a.txt"),
    "listdir": lambda transport, url: transport.listdir(url, ""),
    "browse": lambda transport, url: transport.browse(url, ""),
}


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("options", transports())
def test_no_action_is_held_by_a_head_that_drips(resto_server, transport, options, action):
    resto_server.create_file("a.txt", b"content")
    resto_server.drip_head = 0.1
    sender = transport("webdav", timeout=0.3, **transports()[options])
    with little_time(), pytest.raises(HostUnavailableError, match=r"no answer within 0\.3 s") as caught:
        ACTIONS[action](sender, resto_server.url)
    assert caught.value.host == resto_server.url


@pytest.mark.parametrize("fault", ["endless", "drip_body"])
@pytest.mark.parametrize("options", transports())
def test_no_action_is_held_by_a_body_that_nobody_wants(resto_server, transport, options, fault):
    resto_server.create_file("a.txt", b"content")
    resto_server.refuse_code = 403
    setattr(resto_server, fault, 0.1)
    sender = transport("webdav", timeout=0.3, **transports()[options])
    for action in ACTIONS.values():
        with little_time(), little_memory(), pytest.raises(TransportError):
            action(sender, resto_server.url)


@pytest.mark.parametrize("options", transports())
def test_a_file_without_an_end_is_given_up(resto_server, transport, options):
    resto_server.create_file("a.txt", bytes(10_000))
    resto_server.endless = True
    sender = transport("http", max_download=3 * MIB, **transports()[options])
    with (
        sender.open(resto_server.url, "a.txt") as stream,
        little_memory(),
        pytest.raises(TransportError, match="more than max_download allows, 3145728 bytes") as caught,
    ):
        exhaust(stream)
    assert (caught.value.host, caught.value.name, caught.value.action) == (resto_server.url, "a.txt", "download")
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


# Sizes.

ACTION = Action("download", "h", "a", parse_url("http://h/", ""))


class Body(io.BytesIO):
    """A body that knows how much was read of it."""

    def __init__(self, *args):
        super().__init__(*args)
        self.taken = 0

    def read(self, size=-1, /):
        block = super().read(size)
        self.taken += len(block)
        return block


class OneAnswer:
    def __init__(self, response):
        self._response = response

    def exchange(self, request):
        return self._response
        yield


def downloaded(body, headers, limit):
    """Return what a download brings, as a host announces it."""
    response = Response(200, "OK", headers, body)
    stream = finish(run_steps(download(ACTION, limit), OneAnswer(response)))
    return b"".join(iter(lambda: stream.read(100), b""))


@given(st.integers(0, 2000), st.integers(0, 2000) | st.none(), st.integers(1, 2000))
def test_a_download_is_whole_or_an_error(size, announced, limit):
    body = Body(bytes(size))
    headers = {"Transfer-Encoding": "chunked"} if announced is None else {"Content-Length": str(announced)}
    most = limit if announced is None else announced
    if announced is not None and announced > limit:
        with pytest.raises(TransportError, match=f"{announced} bytes, which is more than max_download allows: {limit}"):
            downloaded(body, headers, limit)
        assert (body.taken, body.closed) == (0, True)
    elif size > most:
        with pytest.raises(LongAnswerError):
            downloaded(body, headers, limit)
    else:
        assert len(downloaded(body, headers, limit)) == size
    assert body.taken <= most + 100


@given(st.binary(max_size=300), st.integers(1, 300), st.integers(-1, 100).filter(bool))
def test_a_limited_stream_is_what_it_limits(content, limit, size):
    stream = LimitedStream(io.BytesIO(content), limit, "too long")
    blocks = [stream.read()] if size < 0 and len(content) <= limit else iter(lambda: stream.read(size), b"")
    if len(content) <= limit:
        assert b"".join(blocks) == content
    else:
        with pytest.raises(LongAnswerError, match="too long"):
            list(blocks)


@pytest.mark.parametrize("option", ["max_listing", "max_download"])
@pytest.mark.parametrize("value", [0, -1, 1.5, "1", None, True])
def test_a_limit_is_a_number_of_bytes(transport, option, value):
    with pytest.raises(ConfigurationError, match=option) as caught:
        transport("webdav", **{option: value})
    assert caught.value.code == "E008"


# Listings.

JSON_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
XML_HEAD = b"HTTP/1.1 207 Multi\r\nContent-Type: application/xml\r\nTransfer-Encoding: chunked\r\n\r\n"
XML_ENTRY = b"<response><href>/%d</href><propstat><prop/></propstat></response>"
JSON_ENTRY = b'{"name": "%d", "type": "file", "size": 1},\n'


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


def listing_for_ever(head, start, entry):
    def handle(peer):
        while peer.head():
            peer.say(head, chunk(start))
            with contextlib.suppress(OSError):
                number = 0
                while True:
                    peer.say(chunk(b"".join(entry % (number + more) for more in range(1000))))
                    number += 1000

    return handle


LISTINGS = {
    "http": (JSON_HEAD, b"[", JSON_ENTRY),
    "webdav": (XML_HEAD, b'<multistatus xmlns="DAV:">', XML_ENTRY),
}


@pytest.mark.parametrize("options", transports())
@pytest.mark.parametrize("kind", LISTINGS)
def test_a_listing_without_an_end_is_an_error(transport, script, kind, options):
    server = script(listing_for_ever(*LISTINGS[kind]))
    sender = transport(kind, max_listing=MIB // 4, **transports()[options])
    for _ in range(2):
        with (
            little_memory(),
            little_time(),
            pytest.raises(TransportError, match="max_listing allows, 262144") as caught,
        ):
            sender.browse(server.url, "some/folder")
        assert (caught.value.host, caught.value.name) == (server.url, "some/folder")
        assert not isinstance(caught.value, HostUnavailableError)
        assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


@pytest.mark.parametrize("kind", LISTINGS)
def test_a_listing_may_be_as_long_as_its_limit(transport, script, kind):
    if kind == "http":
        body = b'[{"name": "a", "type": "file", "size": 1}]'
    else:
        entry = b"<response><href>%s</href><propstat><prop>%s</prop></propstat></response>"
        root = entry % (b"/", b"<resourcetype><collection/></resourcetype>")
        file = entry % (b"/a", b"<resourcetype/><getcontentlength>1</getcontentlength>")
        body = b'<multistatus xmlns="DAV:">' + root + file + b"</multistatus>"

    def handle(peer):
        while peer.head():
            peer.say(LISTINGS[kind][0], chunk(body), b"0\r\n\r\n")

    server = script(handle)
    assert transport(kind, max_listing=len(body)).browse(server.url, "").files == {"a": 1}
    with pytest.raises(TransportError, match="max_listing"):
        transport(kind, max_listing=len(body) - 1).browse(server.url, "")


@pytest.mark.parametrize("kind", LISTINGS)
def test_a_name_without_an_end_is_an_error(transport, script, kind):
    head, start, _ = LISTINGS[kind]
    begun = {"http": b'[{"name": "', "webdav": start + b"<response><href>"}[kind]

    def handle(peer):
        while peer.head():
            peer.say(head, chunk(begun))
            with contextlib.suppress(OSError):
                while True:
                    peer.say(chunk(b"x" * 65536))

    with little_memory(), pytest.raises(TransportError, match="longer than 65536 characters"):
        transport(kind).browse(script(handle).url, "")


class Repeated:
    """A body that says the same again and again, with numbers in it if it has places for them."""

    def __init__(self, start, unit, size, *, read_size=None):
        self._unread = start
        self._unit = unit
        self._left = size
        self._number = 0
        self._read_size = read_size
        self.taken = 0

    def read(self, size=-1, /):
        size = min(size, self._left, self._read_size or size)
        while len(self._unread) < size:
            self._unread += b"".join(self._unit.replace(b"#", b"%x" % (self._number + n)) for n in range(1000))
            self._number += 1000
        block, self._unread = self._unread[:size], self._unread[size:]
        self._left -= len(block)
        self.taken += len(block)
        return block

    def close(self):
        pass


XML = '<multistatus xmlns="DAV:">'
RESPONSE = "<response><href>/d/#</href></response>"
HOSTILE_XML = st.lists(
    st.sampled_from(
        [
            *("<a>", "<b/>", "<a#/>", "<a x#=''/>", "<a x#='' y#='' z#=''/>", "<a xmlns:x#='a'/>", "<a xmlns:x='a#'/>"),
            *("<!--x-->", "<!-- </ /> -->", "<?x y?>", "text", " ", "&#160;", "<![CDATA[</]]>", "/>", "=", RESPONSE),
            *("<propstat>", "</propstat>", "<status>", "</status>", "</a>", "<href>", "<getetag>x</getetag>"),
        ]
    ),
    min_size=1,
    max_size=6,
).map("".join)
HOSTILE_JSON = st.lists(
    st.sampled_from(
        [
            *(
                "[",
                "]",
                "{",
                "}",
                ",",
                "[],",
                "{},",
                '"a",',
                "1.5,",
                "9",
                "null,",
                " ",
                "\n",
                '"',
                ":",
                '"name":',
                "é",
                "\\",
            ),
            *('{"name":"#","type":"file"},', '{"name":"#","type":"directory"},', '{"name":"#","type":"other"},'),
            *('{"name":"/#","type":"file"},', '{"name":"a","type":"file","size":[', '{"name":"'),
        ]
    ),
    min_size=1,
    max_size=4,
).map("".join)
ENCODINGS = st.sampled_from(["utf-8", "utf-8", "utf-8-sig", "utf-16", "latin-1"])
SIZE = MIB // 2

# What a parser may need at once, whatever comes; and how many times what it has read, for names that are all different.
AT_ONCE = 6 * MIB
TIMES = 6


def peak_of(parse, body):
    tracemalloc.start()
    try:
        with contextlib.suppress(ValueError, LongAnswerError, RecursionError):
            parse(body)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@settings(max_examples=settings.default.max_examples // 2)
@given(HOSTILE_XML, st.sampled_from(["", "<a>", "<response>", "<a ", "<!--", "<href>"]), ENCODINGS)
def test_no_multistatus_takes_much_more_memory_than_its_size(unit, start, encoding):
    declared = "" if encoding != "latin-1" else '<?xml version="1.0" encoding="iso-8859-1"?>'
    encoded = (declared + XML + start).encode(encoding, "replace")
    more = unit.encode("utf-16-le" if encoding == "utf-16" else encoding.removesuffix("-sig"), "replace")
    if encoding == "utf-16":
        more = more.replace("#".encode("utf-16-le"), "a".encode("utf-16-le"))
    for parse in (parse_directory, parse_members):
        body = Repeated(encoded, more, SIZE)
        assert peak_of(lambda stream, parse=parse: parse(stream, ""), body) < AT_ONCE + TIMES * body.taken


@pytest.mark.parametrize(
    "unit",
    [
        *(b"<a>", b"<a><a><b/>", b"<a><b/>", b"<a>" + RESPONSE.encode(), b"<a#/>", b"<a x#=''/>", b"<a xmlns:x#='a'/>"),
        *(b"<a xmlns:x='a#'/>", b"<a><!-- </ -->", b"<a><![CDATA[</]]><b/>", b"<!--x-->", b" "),
    ],
    ids=repr,
)
def test_multistatus_that_would_keep_the_parser_growing(unit):
    """They are refused after little of them, and not only because they are too long."""
    body = Repeated(XML.encode(), unit, 20 * MIB)
    with pytest.raises((ValueError, LongAnswerError), match=r"nested|names of elements|longer than"):
        parse_directory(body, "")
    assert body.taken <= 4 * PIECE_SIZE


@pytest.mark.parametrize(
    "start",
    ["<a x='", "<a ", "<a xmlns='", "</a", "<!--", "<?x ", "<![CDATA[", "&", "<href>&#", "<!DOCTYPE ", "<!DOCTYPE a ["],
)
def test_what_has_no_end_is_not_read_again_and_again(start):
    """Versions of expat before 2.6.0 begin anew with each block that does not bring the end of it."""
    body = Repeated((XML + start).encode(), b"x", 20 * MIB)
    with pytest.raises((ValueError, LongAnswerError)):
        parse_directory(body, "")
    assert body.taken <= 4 * PIECE_SIZE


@pytest.mark.parametrize("before", range(8))
def test_elements_are_counted_in_pieces_of_any_size(before):
    """Wherever a block ends: each is as long as what is said again and again, and so it is cut at the same place each time."""
    body = Repeated(XML.encode() + b" " * before, b"<a><b/>", PIECE_SIZE, read_size=7 if before else 1)
    with pytest.raises(ValueError, match="nested too deeply"):
        parse_directory(body, "")


def test_elements_are_counted_in_any_encoding():
    body = Repeated(XML.encode("utf-16"), "<a><b/>".encode("utf-16-le"), 20 * MIB)
    with pytest.raises(ValueError, match="nested too deeply"):
        parse_directory(body, "")
    assert body.taken <= 4 * PIECE_SIZE


@pytest.mark.parametrize("element", ["href", "getetag"])
def test_a_text_has_its_limit_to_the_character(element):
    def parsed(size):
        text = {"href": "/a", "getetag": "t"} | {element: "/" + "x" * (size - 1)}
        root = "<response><href>/</href><propstat><prop><resourcetype><collection/></resourcetype></prop></propstat></response>"
        file = f"<href>{text['href']}</href><propstat><prop><resourcetype/><getetag>{text['getetag']}</getetag></prop></propstat>"
        return parse_members(io.BytesIO(f"{XML}{root}<response>{file}</response></multistatus>".encode()), "")

    parsed(MAX_TEXT)
    with pytest.raises(LongAnswerError, match="longer than 65536"):
        parsed(MAX_TEXT + 1)


def test_an_entry_in_json_has_its_limit_to_the_character():
    entry = b'{"name": "a", "type": "file", "size": 1%s}'
    room = MAX_TEXT - len(entry) + 2
    assert parse_autoindex(io.BytesIO(b"[%s]" % (entry % (b" " * room)))).files == {"a": 1}
    with pytest.raises(LongAnswerError, match="longer than 65536"):
        parse_autoindex(io.BytesIO(b"[%s]" % (entry % (b" " * (room + 1)))))


def test_a_page_for_people_is_not_read_on():
    body = Repeated(b"<html>", b"x", 20 * MIB)
    with pytest.raises(ValueError, match="not a list"):
        parse_autoindex(body)
    assert body.taken <= PIECE_SIZE


@given(st.integers(1, 200), st.integers(1, 70_000))
def test_what_is_unusual_is_read_all_the_same(depth, size):
    """Beside what servers say, a listing may hold anything, within the limits."""
    odd = "<x>" * depth + "</x>" * depth + "<!--x-->" * 50 + "<y z='='/>"
    file = f"<response><href>/a</href><propstat><prop><resourcetype/><n>{'n' * size}</n></prop></propstat></response>"
    root = "<response><href>/</href><propstat><prop><resourcetype><collection/></resourcetype></prop></propstat></response>"
    text = f"{XML}{root}{odd}{file}</multistatus>".encode()
    stream = Repeated(text, b"", len(text), read_size=1000)
    if size > MAX_TEXT:
        with contextlib.suppress(LongAnswerError):
            assert parse_directory(stream, "").files == {"a": None}
    else:
        with contextlib.suppress(*[ValueError] if depth > 60 else []):
            assert parse_directory(stream, "").files == {"a": None}


@settings(max_examples=settings.default.max_examples // 2)
@given(HOSTILE_JSON, st.sampled_from(["", "[", "[[", '[{"name":"', '[{"name":"a","type":"file","x":[']))
def test_no_json_takes_much_more_memory_than_its_size(unit, start):
    body = Repeated(start.encode(), unit.encode(), SIZE)
    assert peak_of(parse_autoindex, body) < AT_ONCE + TIMES * body.taken


@pytest.mark.parametrize(
    "unit", [b"[", b"[],", b"{},", b"1.5,", b'"ab",', b"x", b" ", b'{"name":"a","type":"file","x":[[],']
)
def test_json_that_is_no_listing_is_not_read_on(unit):
    body = Repeated(b"[", unit, 20 * MIB)
    with pytest.raises((ValueError, LongAnswerError, RecursionError)):
        parse_autoindex(body)
    assert body.taken <= 4 * PIECE_SIZE


@given(
    st.lists(st.text(min_size=1, max_size=5), unique=True, max_size=30),
    st.integers(1, 200),
    st.sampled_from(["", " ", "\n\t"]),
)
def test_json_may_come_in_pieces_of_any_size(names, read_size, space):
    entries = [json.dumps({"name": name, "type": "file", "size": 1}, ensure_ascii=False) for name in names]
    text = f"{space}[{space}{f'{space},{space}'.join(entries)}{space}]{space}".encode()
    whole = parse_autoindex(io.BytesIO(text))
    assert parse_autoindex(Repeated(text, b"", len(text), read_size=read_size)) == whole
    assert whole.files.keys() | whole.others.keys() == set(names)
    for cut in (text[:-1] if not space else text.rstrip()[:-1], text + b"x", text.replace(b"[", b"", 1)):
        if names:
            with pytest.raises(ValueError):  # noqa: PT011 - json's, or that of the codec
                parse_autoindex(io.BytesIO(cut))


def test_a_request_that_wants_a_body_gets_all_of_it_at_once(any_wire, resto_server):
    resto_server.create_file("a", bytes(300_000))
    with contextlib.closing(
        finish(any_wire(resto_server.url).exchange(Request("GET", "/a", stream=True))).stream
    ) as stream:
        assert len(stream.read()) == 300_000
