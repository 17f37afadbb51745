"""Plain answers are read as `http.client` reads them; what it would read in another way is left to it."""

import http.client
import itertools
import socket
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kit.clock import stop_clock
from resto.transports.answers import (
    FIRST_SIZE,
    Fields,
    Received,
    missing_of_short,
    parse_plain,
    read_answer,
    split_plain,
    usual_answer,
)


CREATED = b"HTTP/1.1 201 Created\r\nServer: nginx/1.22.1\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n"


def read_by_http_client(received, method):
    """Return what `http.client` makes of an answer after which the connection is closed; None if it fails."""
    near, far = socket.socketpair()
    with near, far:
        far.sendall(received)
        far.shutdown(socket.SHUT_WR)
        answer = http.client.HTTPResponse(near, method=method)
        try:
            answer.begin()
            body = answer.read()
        except (http.client.HTTPException, OSError, ValueError):
            return None
        rest = near.recv(1)
        return answer.status, answer.reason, answer.headers, answer.will_close, body, rest


names = st.sampled_from(
    [
        "Content-Length",
        "content-length",
        "X-Content-Length",
        "Transfer-Encoding",
        "Connection",
        "Server",
        "Via",
        "DAV",
        "Location",
        "X",
    ]
)
values = st.sampled_from(
    ["0", "2", " 2 ", "+2", "2, 2", "close", "Keep-Alive", "chunked", "identity", "", "é", "a:b", "\ta"]
)
breaks = st.sampled_from(["\r\n"] * 12 + ["\n", "\r\n ", "\r\n\t", "\r"])
fields = st.lists(
    st.tuples(names, st.sampled_from([":", ": ", " :", ""]), values, breaks).map("".join), max_size=4
).map("".join)
starts = st.sampled_from(
    ["HTTP/1.1 201 Created\r\n"] * 6
    + ["HTTP/1.1 200 OK\r\n", "HTTP/1.1 204 No Content\r\n", "HTTP/1.1 304 Not Modified\r\n", "HTTP/1.1 404 \r\n"]
    + [
        "HTTP/1.1 507\r\n",
        "HTTP/1.0 200 OK\r\n",
        "HTTP/1.1 100 Continue\r\n",
        "HTTP/1.1 20 OK\r\n",
        "HTTP/1.1 2000 OK\r\n",
        "ICY 200 OK\r\n",
    ]
)


@given(
    starts,
    fields,
    st.sampled_from([b"\r\n", b"\n", b""]),
    st.sampled_from([b"", b"ok", b"ok!"]),
    st.sampled_from(["PUT", "HEAD", "DELETE"]),
)
@example("HTTP/1.1 200 OK\r\n", "Content-Length: 2\r\n", b"\r\n", b"ok", "PUT")
def test_plain_answer_is_what_http_client_says(start, fields, end, body, method):
    received = (start + fields).encode("latin-1") + end + body
    plain, (usual, server) = parse_plain(received, method), usual_answer(received, method)
    if plain is None:
        assert usual == 0
        return
    assert usual in (0, plain[0].status)
    if usual:
        assert not plain[2]  # its connection stays open
        assert [plain[0].headers.get(name, "") for name in ("Server", "Via", "DAV")] == [server, "", ""]
    answer, _, closes = plain
    status, reason, headers, will_close, _, rest = read_by_http_client(received, method)
    assert (answer.status, answer.reason, closes) == (status, reason, will_close)
    assert rest == b""  # nothing is left that would be taken for the next answer
    for name in ("Content-Length", "Connection", "Server", "Location", "X"):
        assert answer.headers.get(name) == (headers.get(name) and headers[name].strip(" \t"))


@given(st.binary(max_size=80))
def test_anything_may_arrive(received):
    for answer in (received, b"HTTP/1.1 201 Created\r\n" + received):
        parse_plain(answer, "PUT")
        usual_answer(answer, "PUT")


@pytest.mark.parametrize("cut", range(len(CREATED)))
def test_what_has_not_arrived_as_a_whole_is_not_plain(cut):
    assert parse_plain(CREATED[:cut], "PUT") is None
    assert usual_answer(CREATED[:cut], "PUT") == (0, "")


def test_answers_of_servers_are_plain():
    """Else a test of speed would be the first to notice."""
    apache = (
        b"HTTP/1.1 204 No Content\r\nDate: Wed, 25 Nov 2026 00:53:04 GMT\r\nServer: Apache/2.4.57 (Debian)\r\n"
        b"Keep-Alive: timeout=5, max=100\r\nConnection: Keep-Alive\r\n\r\n"
    )
    assert (parse_plain(CREATED, "PUT")[0].status, parse_plain(apache, "DELETE")[0].status) == (201, 204)
    assert not parse_plain(apache, "DELETE")[2]
    assert usual_answer(CREATED, "PUT") == (201, "nginx/1.22.1")
    assert usual_answer(apache, "DELETE") == (204, "Apache/2.4.57 (Debian)")
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 123456\r\nLast-Modified: Wed, 25 Nov 2026 00:53:04 GMT\r\n\r\n"
    assert parse_plain(head, "HEAD")[0].headers["content-length"] == "123456"
    assert parse_plain(head, "GET") is None
    assert (usual_answer(head, "HEAD"), usual_answer(head, "GET")) == ((200, ""), (0, ""))


@pytest.mark.parametrize(
    ("received", "missing"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", 5),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\nab", 3),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcde", 0),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcdefg", 0),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 65537\r\n\r\n", 0),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 0),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", 0),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n", 0),
    ],
)
def test_rest_of_a_short_answer_is_known(received, missing):
    assert missing_of_short(received) == missing


def test_fields_are_looked_up_without_regard_to_case_and_the_first_counts():
    fields = Fields(b"Server: nginx\r\nX: 1\r\nserver: other\r\n")
    assert (fields["SERVER"], fields.get("missing"), "x" in fields, "y" in fields, 5 in fields) == (
        "nginx",
        None,
        True,
        False,
        False,
    )
    assert (len(fields), sorted(fields)) == (2, ["server", "x"])


@given(st.integers(0, 60), st.integers(1, 60))
def test_rest_of_an_answer_comes_from_the_socket(first, second):
    """However it was cut into pieces."""
    whole = b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
    near, far = socket.socketpair()
    with near, far:
        far.sendall(whole[first:][:second])
        far.sendall(whole[first + second :])
        answer = read_answer(Received(near, whole[:first], time.monotonic() + 10, 10), "GET")
        assert (answer.status, answer.read()) == (200, b"ok")
        answer.close()


def test_rest_of_an_answer_has_little_time_in_all(monkeypatch):
    """However often a piece of it arrives."""
    seconds = itertools.count()
    stop_clock(monkeypatch, lambda: next(seconds))
    near, far = socket.socketpair()
    with near, far:
        source = Received(near, b"ab", deadline=4, timeout=10)
        far.sendall(b"abcdef")
        assert [source.read(2) for _ in range(3)] == [b"ab", b"ab", b"cd"]
        assert near.gettimeout() == 2
        assert source.read(1) == b"e"
        with pytest.raises(TimeoutError):
            source.read(1)


def test_rest_of_an_answer_may_have_arrived_long_ago():
    near, far = socket.socketpair()
    with near, far:
        far.sendall(b"cd")
        source = Received(near, b"ab", deadline=time.monotonic() - 60, timeout=10)
        assert source.read(2) + source.read(2) == b"abcd"
        with pytest.raises(TimeoutError):
            source.read(2)


def test_who_wants_the_rest_of_an_answer_waits_for_each_piece():
    near, far = socket.socketpair()
    with near, far:
        source = Received(near, b"", deadline=time.monotonic() - 60, timeout=10)
        source.begin_piece(5)
        far.sendall(b"ab")
        assert source.read(2) == b"ab"
        assert near.gettimeout() == 5


def test_first_piece_has_room_for_a_head():
    assert FIRST_SIZE >= 4096


PAGE = b"HTTP/1.1 201 Created\r\nContent-Length: 5\r\n\r\nthere"


@pytest.mark.parametrize(
    ("answer", "is_split"),
    [
        (PAGE, True),
        (b"HTTP/1.1 204 No Content\r\n\r\n", True),
        (b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", True),
        (b"HTTP/1.1 201 Created\r\n\r\n", False),
        (b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", False),
        (b"HTTP/1.0 201 Created\r\nContent-Length: 0\r\n\r\n", False),
        (PAGE[:-1], False),
        (PAGE[:30], False),
    ],
)
def test_what_comes_behind_an_answer_is_no_part_of_it(answer, is_split):
    if is_split:
        assert split_plain(answer + PAGE) == (answer, PAGE)
    assert split_plain(answer) == (answer, b"")
