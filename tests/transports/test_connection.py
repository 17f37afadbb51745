"""What goes over one connection, from the first byte of a request to the last one of the answer."""

import contextlib
import gc
import http.client
import os
import select
import socket
import threading
import time
from contextlib import suppress

import pytest

from kit.clock import stop_clock
from kit.wires import (
    CREATED,
    GET,
    HEAD,
    LARGE,
    OK,
    TLS,
    WARM,
    after,
    answering,
    connections,
    hurried,
    put,
    read,
    warmed,
    watched,
)
from resto.courses import finish
from resto.transports import answers, connection, heads
from resto.transports.bodies import Body, UnreadableBodyError
from resto.transports.messages import NoAnswerError, Request
from resto.transports.plain import GoingOn


# Its end


def test_an_answer_that_closes_the_connection_is_believed(connection_wire, script):
    server = script(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", OK))
    sender = connection_wire(server.url)
    finish(sender.exchange(HEAD))
    finish(sender.exchange(Request("GET", "/a")))
    assert len(server.received) == 2


def test_an_answer_of_http_1_0_closes_the_connection(connection_wire, script):
    server = script(answering(b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", OK))
    sender = connection_wire(server.url)
    finish(sender.exchange(HEAD))
    finish(sender.exchange(Request("GET", "/a")))
    assert len(server.received) == 2


def test_unread_answers_are_never_mistaken_for_others(connection_wire, resto_server):
    resto_server.create_file("a", bytes(300_000))
    sender = connection_wire(resto_server.url)
    answer = finish(sender.exchange(GET))
    answer.stream.read(10)
    answer.stream.close()
    assert finish(sender.exchange(HEAD)).status == 200
    assert connections(resto_server) == [1, 2]


def test_an_answer_that_was_read_gives_its_connection_back(connection_wire, resto_server):
    resto_server.create_file("a", bytes(300_000))
    sender = connection_wire(resto_server.url)
    answer = finish(sender.exchange(GET))
    while answer.stream.read(65536):
        pass
    answer.stream.close()
    answer.stream.close()  # does no harm
    finish(sender.exchange(HEAD))
    finish(sender.exchange(HEAD))
    assert connections(resto_server) == [1, 1, 1]


@pytest.mark.parametrize(("size", "reused"), [(answers.DRAIN_SIZE, True), (answers.DRAIN_SIZE + 1, False)])
def test_bodies_that_nobody_wants_are_read_if_they_are_small(connection_wire, resto_server, size, reused):
    resto_server.create_file("a", bytes(size))
    sender = connection_wire(resto_server.url)
    assert finish(sender.exchange(Request("GET", "/a"))).stream is None
    finish(sender.exchange(HEAD))
    assert connections(resto_server) == ([1, 1] if reused else [1, 2])


def test_a_body_that_nobody_wants_may_break_off(connection_wire, script):
    server = script(answering(b"HTTP/1.1 201 Created\r\nContent-Length: 9\r\nConnection: close\r\n\r\nabc"))
    # the script ends, and closes the connection, after its last answer
    assert finish(connection_wire(server.url).exchange(put())).status == 201


def test_a_body_that_nobody_sends_does_not_delay_an_answer_for_long(connection_wire, script):
    def handle(peer):
        peer.head()
        peer.say(b"HTTP/1.1 201 Created\r\nContent-Length: 9\r\n\r\nabc")
        peer.head()

    assert finish(connection_wire(script(handle).url, 0.2).exchange(HEAD.__class__("DELETE", "/a"))).status == 201


def test_an_abandoned_stream_closes_its_connection(transport, resto_server):
    resto_server.create_file("a", bytes(1_000_000))
    transport().open(resto_server.url, "a").read(1)
    gc.collect()  # an unclosed socket would be a warning, and warnings are errors
    assert resto_server.requests[0].status == 200


def test_a_connection_that_failed_is_closed_even_if_the_error_is_kept(connection_wire, script):
    """Else the host would keep the file locked."""
    failed, closed = threading.Event(), threading.Event()

    def handle(peer):
        peer.head()
        failed.wait(10)
        try:
            while peer.socket.recv(65536):
                pass
        except ConnectionError:
            pass
        closed.set()

    server = script(handle, receive_buffer=4096)
    with pytest.raises(NoAnswerError) as info:
        finish(connection_wire(server.url, 0.2).exchange(put(20_000_000)))
    failed.set()
    assert closed.wait(5)
    assert info.value


# Answers


@pytest.mark.parametrize("status", [b"100 Continue", b"102 Processing", b"103 Early Hints"])
def test_interim_answers_are_skipped(connection_wire, script, status):
    server = script(answering(b"HTTP/1.1 " + status + b"\r\nX-Interim: 1\r\n\r\n" + CREATED, OK))
    sender = connection_wire(server.url)
    assert finish(sender.exchange(put())).status == 201
    assert read(finish(sender.exchange(GET))) == b"ok"
    assert len(server.received) == 1


@pytest.mark.parametrize("final", [CREATED, b""], ids=["then an answer", "then nothing"])
def test_interim_answers_may_come_before_permission(connection_wire, script, final):
    def handle(peer):
        peer.head()
        peer.say(b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n")
        peer.body(LARGE)
        peer.say(final)

    sender = connection_wire(script(handle).url)
    if final:
        assert finish(sender.exchange(put(LARGE))).status == 201
    else:
        with pytest.raises(NoAnswerError):
            finish(sender.exchange(put(LARGE)))


def test_an_answer_may_be_closed_twice(connection_wire, resto_server):
    """The connection may serve another request by then."""
    sender = connection_wire(resto_server.url)
    answer = finish(sender.exchange(GET))  # a 404, which is read and closed at once
    answer.stream.close()
    finish(sender.exchange(HEAD))
    assert connections(resto_server) == [1, 1]


def test_chunked_answers_are_read_to_their_end(connection_wire, script):
    server = script(
        answering(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", OK)
    )
    sender = connection_wire(server.url)
    stream = finish(sender.exchange(GET)).stream
    assert stream.read(2) + stream.read() == b"abcde"
    stream.close()
    finish(sender.exchange(Request("GET", "/a")))
    assert len(server.received) == 1


@pytest.mark.parametrize("size", [-1, 2, 100], ids=["all", "pieces", "more"])
@pytest.mark.parametrize(
    "answer",
    [
        b"Content-Length: 9\r\n\r\nabc",
        b"Transfer-Encoding: chunked\r\n\r\n5\r\nabc",
        b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    ],
    ids=["length", "in a chunk", "between chunks"],
)
def test_an_answer_never_ends_early_in_silence(any_wire, script, answer, size):
    def handle(peer):
        peer.head()
        peer.say(b"HTTP/1.1 200 OK\r\n" + answer)

    stream = finish(any_wire(script(handle).url).exchange(GET)).stream
    with pytest.raises(NoAnswerError, match="broke off"):
        list(iter(lambda: stream.read(size), b""))
    stream.close()


def test_an_answer_may_stop(any_wire, script):
    def handle(peer):
        peer.head()
        peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")
        peer.head()

    stream = finish(any_wire(script(handle).url, 0.2).exchange(GET)).stream
    with pytest.raises(NoAnswerError, match="stopped answering"):
        stream.read(9)
    stream.close()


# Bodies


@pytest.mark.parametrize(
    "size", [0, 1, connection.JOIN_SIZE, connection.JOIN_SIZE + 1, heads.EXPECT_SIZE, LARGE, 3_000_000]
)
def test_bodies_arrive_with_their_length(any_wire, resto_server, size):
    assert finish(any_wire(resto_server.url).exchange(put(size))).status == 201
    request = resto_server.requests[0]
    assert request.headers["Content-Length"] == str(size)
    assert request.headers["Transfer-Encoding"] is None
    assert resto_server.files == {"a": bytes(size)}


def test_a_body_that_is_refused_is_not_sent(connection_wire, resto_server):
    resto_server.refuse_code = 413
    sender = connection_wire(resto_server.url)
    assert finish(sender.exchange(put(LARGE))).status == 413
    assert resto_server.requests[0].body_size == 0
    resto_server.heal()
    assert finish(sender.exchange(put(LARGE))).status == 201
    assert connections(resto_server) == [1, 2]  # a body that was announced, and not sent, would confuse the server


def heads_of(received):
    lines = [line.lstrip(b"\0") for line in bytes(received).split(b"\r\n")]
    return [line for line in lines if line.endswith(b" HTTP/1.1") or b"Expect" in line]


@pytest.fixture
def _no_permission(monkeypatch):
    """Do not wait for that of a script, which gives none."""
    monkeypatch.setattr(connection, "EXPECT_WAIT", 0.01)


@pytest.mark.usefixtures("_no_permission")
@TLS
def test_a_connection_that_has_brought_a_large_body_is_not_asked_again(
    connection_wire, script, server_context, client_context, tls
):
    server = script(answering(*[CREATED] * 3), ssl_context=server_context if tls else None)
    sender = connection_wire(server.url, context=client_context)
    for _ in range(2):
        assert finish(sender.exchange(put(LARGE))).status == 201
    assert heads_of(server.received[0]) == [b"PUT /a HTTP/1.1", b"Expect: 100-continue", b"PUT /a HTTP/1.1"]


@pytest.mark.usefixtures("_no_permission")
def test_a_connection_over_which_a_body_was_refused_is_asked_again(connection_wire, script):
    refused = b"HTTP/1.1 507 Full\r\nContent-Length: 0\r\n\r\n"
    server = script(answering(CREATED, refused, CREATED))
    sender = connection_wire(server.url)
    statuses = [finish(sender.exchange(put(LARGE))).status for _ in range(3)]
    assert statuses == [201, 507, 201]
    assert [line for line in heads_of(server.received[0]) if b"Expect" in line] == [b"Expect: 100-continue"] * 2


@pytest.mark.usefixtures("_no_permission")
@TLS
def test_an_answer_that_comes_within_a_body_that_was_not_announced_ends_it(
    narrow_wire, script, server_context, client_context, tls
):
    done = threading.Event()

    def handle(peer):
        if peer.number == 1:
            peer.head()
            peer.body(LARGE)
            peer.say(CREATED)
            peer.head()
            peer.body(1000)
            peer.say(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
            done.wait(10)

    context = server_context if tls else None
    sender = narrow_wire(script(handle, ssl_context=context, receive_buffer=65_536).url, context=client_context)
    assert [finish(sender.exchange(put(size))).status for size in (LARGE, 20_000_000)] == [201, 413]
    assert sender.idle.take() is None
    done.set()


def followed(size=LARGE):
    return put(size, followed_by=HEAD)


STORED_PAGE = b"HTTP/1.1 201 Created\r\nContent-Length: 5\r\n\r\nthere"
HEADED = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % LARGE


@pytest.mark.usefixtures("_no_permission")
@TLS
@pytest.mark.parametrize("stored", [[CREATED], [STORED_PAGE[:-3], STORED_PAGE[-3:]]], ids=["no page", "page"])
@pytest.mark.parametrize("together", [False, True], ids=["apart", "in one piece"])
def test_a_question_follows_a_body_over_a_connection_that_has_brought_one(
    connection_wire, script, server_context, client_context, tls, stored, together
):
    """It does not wait for the answer to the body."""
    asked = []

    def handle(peer):
        peer.head()
        peer.body(LARGE)
        peer.say(CREATED)
        peer.head()
        peer.body(LARGE)
        asked.append(peer.head()[0])
        if together:
            peer.say(b"".join(stored) + HEADED)
        else:
            peer.say(*stored)
            time.sleep(0.02)  # so that it is another segment
            peer.say(HEADED)
        peer.head()
        peer.say(HEADED)

    server = script(handle, ssl_context=server_context if tls else None)
    sender = connection_wire(server.url, context=client_context)
    finish(sender.exchange(put(LARGE)))
    going_on = GoingOn(sender, None)
    assert finish(going_on.exchange(followed())).status == 201
    told = finish(going_on.exchange(HEAD))
    assert (told.status, told.headers["Content-Length"], asked) == (200, str(LARGE), ["HEAD /a HTTP/1.1"])
    going_on.end()
    assert finish(sender.exchange(HEAD)).status == 200
    assert len(server.received) == 1


def test_no_question_follows_the_first_body_over_a_connection(connection_wire, resto_server):
    sender = connection_wire(resto_server.url)
    assert finish(sender.exchange(followed())).behind is None
    assert [request.method for request in resto_server.requests] == ["PUT"]


@pytest.mark.usefixtures("_no_permission")
@pytest.mark.parametrize(
    ("said", "again"),
    [
        (CREATED, True),
        (b"HTTP/1.1 201 Created\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", True),
        (b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + HEADED, True),
        (CREATED + b"HTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n", False),
    ],
    ids=["closed", "closes", "no plain answer", "another answer"],
)
def test_a_question_that_follows_a_body_and_is_not_answered_is_asked_again(connection_wire, script, said, again):
    def handle(peer):
        if peer.number == 1:
            peer.head()
            peer.body(LARGE)
            peer.say(CREATED)
            peer.head()
            peer.body(LARGE)
            peer.say(said)
        elif peer.head():
            peer.say(HEADED)

    server = script(handle)
    sender = connection_wire(server.url)
    finish(sender.exchange(put(LARGE)))
    going_on = GoingOn(sender, None)
    assert finish(going_on.exchange(followed())).status == 201
    assert finish(going_on.exchange(HEAD)).status == (200 if again else 400)


@pytest.mark.usefixtures("_no_permission")
def test_a_host_that_does_not_answer_what_follows_a_body_is_asked_in_turn_from_then_on(connection_wire, script):
    """As a proxy that reads one request at a time."""

    def handle(peer):
        for answer in [CREATED, CREATED] if peer.number == 1 else [HEADED, CREATED, CREATED]:
            if peer.head()[0].startswith("PUT"):
                peer.body(LARGE)
            peer.say(answer)
        while peer.head():
            pass  # until the client leaves

    sender = connection_wire(script(handle).url, 0.3)
    finish(sender.exchange(put(LARGE)))
    going_on = GoingOn(sender, None)
    finish(going_on.exchange(followed()))
    assert finish(going_on.exchange(HEAD)).status == 200
    finish(sender.exchange(put(LARGE)))
    assert finish(sender.exchange(followed())).behind is None


def test_a_question_that_nobody_asks_any_more_ends_its_connection(connection_wire, resto_server):
    sender = connection_wire(resto_server.url)
    finish(sender.exchange(put(LARGE)))
    going_on = GoingOn(sender, None)
    finish(going_on.exchange(followed()))
    going_on.end()
    assert sender.idle.take() is None


def test_servers_that_give_no_permission_get_the_body_too(connection_wire, script, monkeypatch):
    monkeypatch.setattr(connection, "EXPECT_WAIT", 0.1)
    server = script(answering(CREATED, OK))
    sender = connection_wire(server.url)
    assert finish(sender.exchange(put(LARGE))).status == 201
    assert read(finish(sender.exchange(GET))) == b"ok"


def test_permission_may_come_late(connection_wire, script, monkeypatch):
    monkeypatch.setattr(connection, "EXPECT_WAIT", 0.1)

    def handle(peer):
        peer.head()
        peer.body(1000)
        peer.say(b"HTTP/1.1 100 Continue\r\n\r\n")
        peer.body(LARGE - 1000)
        peer.say(CREATED)

    assert finish(connection_wire(script(handle).url).exchange(put(LARGE))).status == 201


@pytest.mark.parametrize("cut", [4, 9, 10, 15])
def test_permission_may_come_in_pieces(connection_wire, script, cut):
    permission = b"HTTP/1.1 100 Continue\r\n\r\n"

    def handle(peer):
        peer.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer.head()
        peer.say(permission[:cut])
        peer.body(1000) if cut < 15 else None  # the rest comes when the client has seen the first piece
        peer.say(permission[cut:])
        peer.body(LARGE - 1000 if cut < 15 else LARGE)
        peer.say(CREATED)

    assert finish(connection_wire(script(handle).url).exchange(put(LARGE))).status == 201


@pytest.mark.parametrize("size", [heads.EXPECT_SIZE, 8 * heads.EXPECT_SIZE])
@pytest.mark.parametrize("status", [401, 413])
def test_an_answer_that_came_before_the_body_ended_is_read(any_wire, script, monkeypatch, status, size):
    monkeypatch.setattr(heads, "EXPECT_SIZE", 8 * heads.EXPECT_SIZE)

    def handle(peer):
        peer.head()
        peer.body(1000)
        peer.say(b"HTTP/1.1 %d No\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno" % status)

    assert finish(any_wire(script(handle).url).exchange(put(size))).status == status


@pytest.mark.parametrize("size", [1000, 900_000, 3_000_000])
def test_a_body_that_cannot_be_read_ends_the_connection(any_wire, resto_server, tmp_path, size):
    path = tmp_path / "file"
    path.write_bytes(bytes(size))
    with path.open("rb") as file:
        body = Body(file)
        path.write_bytes(bytes(size // 2))
        with pytest.raises(UnreadableBodyError):
            finish(any_wire(resto_server.url).exchange(Request("PUT", "/a", body=body)))
    assert not resto_server.files


@pytest.mark.parametrize("tls", [False, True])
def test_a_host_that_reads_slowly_is_not_silent(narrow_wire, script, server_context, client_context, monkeypatch, tls):
    """Only silence counts, however long the whole upload takes."""
    monkeypatch.setattr(heads, "EXPECT_SIZE", 10**9)
    pace = threading.Event()

    def handle(peer):
        peer.head()
        for _ in range(25):
            pace.wait(0.03)
            peer.body(18_000)
        peer.body(350_000)  # what the buffers between the two can hold
        peer.say(CREATED)

    server = script(handle, ssl_context=server_context if tls else None, receive_buffer=65_536)
    sender = narrow_wire(server.url, 0.6, context=client_context)  # else the whole body would fit
    start = time.monotonic()
    assert finish(sender.exchange(put(800_000))).status == 201
    assert time.monotonic() - start > 0.65


# Silence


def test_a_host_that_does_not_answer_is_given_up(any_wire, resto_server):
    resto_server.hang = True
    with pytest.raises(NoAnswerError, match=r"no answer within 0\.2 s") as info:
        finish(any_wire(resto_server.url, 0.2).exchange(put()))
    assert info.value.ambiguous


def test_a_host_that_does_not_read_is_given_up(any_wire, script):
    done = threading.Event()

    def handle(peer):
        peer.head()
        done.wait(10)

    server = script(handle, receive_buffer=4096)
    start = time.monotonic()
    with pytest.raises(NoAnswerError, match=r"no answer within 0\.2 s") as info:
        finish(any_wire(server.url, 0.2).exchange(put(20_000_000)))
    assert info.value.ambiguous
    assert time.monotonic() - start < 5
    done.set()


# Courses


def test_a_request_is_on_its_way_before_anybody_waits(connection_wire, resto_server):
    sender = connection_wire(resto_server.url)
    finish(sender.exchange(HEAD))
    arrived = threading.Event()
    resto_server.on_applied = lambda method, path: arrived.set()
    course = sender.exchange(put())
    assert not next(course).takes_more
    assert arrived.wait(5)
    assert finish(course).status == 201
    assert finish(sender.exchange(HEAD)).status == 200
    assert connections(resto_server) == [1, 1, 1]


@TLS
def test_a_course_may_be_resumed_before_anything_arrives(
    connection_wire, resto_server_factory, server_context, client_context, tls
):
    server = resto_server_factory(ssl_context=server_context if tls else None)
    sender = connection_wire(server.url, context=client_context)
    finish(sender.exchange(HEAD))
    released = threading.Event()
    server.on_request = lambda method, path: released.wait(5)
    course = sender.exchange(put())
    arrival = next(course)
    assert [next(course) for _ in range(50)] == [arrival] * 50
    released.set()
    assert finish(course).status == 201
    assert connections(server) == [1, 1]


def test_a_request_shares_the_time_of_others(connection_wire, resto_server, monkeypatch):
    clock = time.monotonic
    sender = connection_wire(resto_server.url, 100)
    finish(sender.exchange(HEAD))
    resto_server.hang = True
    course = sender.exchange(put())
    next(course)
    stop_clock(monkeypatch, lambda: clock() + 101)  # another host took that long
    with pytest.raises(NoAnswerError, match="no answer within"):
        finish(course)  # which would wait until the test is ended


def test_an_answer_that_came_long_ago_is_not_too_late(connection_wire, resto_server, monkeypatch):
    clock = time.monotonic
    sender = connection_wire(resto_server.url, 100)
    finish(sender.exchange(HEAD))
    course = sender.exchange(put())
    arrival = next(course)
    assert select.select([arrival.descriptor], [], [], 100)[0]
    stop_clock(monkeypatch, lambda: clock() + 101)
    assert finish(course).status == 201
    resto_server.delay = 0.1
    assert finish(sender.exchange(HEAD)).status == 200  # the connection has its timeout again


@WARM
@TLS
def test_a_body_goes_on_when_the_host_takes_more(narrow_wire, script, server_context, client_context, tls, warm):
    more = threading.Event()

    def handle(peer, headers):
        left = int(headers["content-length"])
        while left:
            more.wait(10)
            more.clear()
            peer.body(min(left, 300_000))
            left -= min(left, 300_000)
        peer.say(CREATED)

    server = script(after(handle), ssl_context=server_context if tls else None, receive_buffer=65_536)
    sender = warmed(narrow_wire(server.url, context=client_context), warm=warm)
    content, arrivals = os.urandom(1_000_000), []

    def see(arrival):
        arrivals.append(arrival)
        more.set()

    course = sender.exchange(Request("PUT", "/a", body=Body(content)))
    assert finish(watched(course, see)).status == 201
    assert server.received[0].endswith(content)
    waits = arrivals if warm else arrivals[1:]
    assert sum(arrival.takes_more for arrival in waits) >= (
        3 if warm else 2
    )  # the last part may be in a buffer already
    assert not waits[-1].takes_more
    assert (waits[-1].deadline > waits[0].deadline) or tls  # only silence counts


@WARM
@TLS
def test_a_body_may_be_hurried(narrow_wire, script, server_context, client_context, tls, warm):
    """Whoever resumes at any time, and not when a host can take more, does no harm."""

    def handle(peer, headers):
        for _ in range(10):
            peer.body(100_000)
        for start in range(0, len(CREATED), 9):
            peer.say(CREATED[start:][:9])

    server = script(after(handle), ssl_context=server_context if tls else None, receive_buffer=65_536)
    sender = warmed(narrow_wire(server.url, context=client_context), warm=warm)
    content = os.urandom(1_000_000)
    assert hurried(sender.exchange(Request("PUT", "/a", body=Body(content)))).status == 201
    assert server.received[0].endswith(content)


@WARM
@pytest.mark.parametrize("interim", [b"100 Continue", b"102 Processing\r\nX: 1"])
def test_an_interim_answer_does_not_end_a_body(narrow_wire, script, interim, warm):
    def handle(peer, headers):
        peer.say(b"HTTP/1.1 " + interim + b"\r\n\r\nHTTP/1.1 103 Early")
        peer.body(500_000)
        peer.say(b" Hints\r\n\r\n")
        peer.body(500_000)
        peer.say(CREATED)

    server = script(after(handle), receive_buffer=65_536)
    sender = warmed(narrow_wire(server.url), warm=warm)
    content = os.urandom(1_000_000)
    assert finish(sender.exchange(Request("PUT", "/a", body=Body(content)))).status == 201
    assert server.received[0].endswith(content)


@WARM
@TLS
def test_a_long_head_is_not_waited_for_when_it_is_there(
    connection_wire, script, server_context, client_context, tls, warm
):
    """TLS has all of it at once, after which nothing more arrives."""

    def handle(peer, headers):
        peer.body(7)
        peer.say(b"HTTP/1.1 201 Created\r\nX: " + b"x" * 6000 + b"\r\nContent-Length: 0\r\n\r\n")
        peer.head()

    server = script(after(handle), ssl_context=server_context if tls else None)
    sender = warmed(connection_wire(server.url, context=client_context), warm=warm)
    start = time.monotonic()
    answer = finish(sender.exchange(put()))
    assert time.monotonic() - start < 5
    assert (answer.status, len(answer.headers["X"])) == (201, 6000)


@TLS
def test_an_answer_that_trickles_in_is_not_waited_for(connection_wire, script, server_context, client_context, tls):
    """Whoever has several hosts does something else meanwhile; it has as much time as any answer."""
    more = threading.Semaphore(0)

    def handle(peer, headers):
        peer.body(7)
        for number in range(len(CREATED)):
            if not more.acquire(timeout=5):
                return
            peer.say(CREATED[number : number + 1])

    server = script(after(handle), ssl_context=server_context if tls else None)
    sender = warmed(connection_wire(server.url, context=client_context))
    arrivals = []

    def see(arrival):
        arrivals.append(arrival)
        more.release()

    assert finish(watched(sender.exchange(put()), see)).status == 201
    assert arrivals == [arrivals[0]] * len(CREATED)


@TLS
def test_a_short_file_is_not_waited_for(connection_wire, script, server_context, client_context, tls):
    """Nor is a thread needed for its rest; its connection is free as soon as it has arrived."""
    more = threading.Semaphore(0)

    def handle(peer):
        peer.head()
        peer.say(OK)
        peer.head()
        peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n")
        for piece in (b"ab", b"cd", b"ef"):
            more.acquire(timeout=5)
            peer.say(piece)
        peer.head()
        peer.say(OK)

    server = script(handle, ssl_context=server_context if tls else None)
    sender = warmed(connection_wire(server.url, context=client_context))
    arrivals = []

    def see(arrival):
        arrivals.append(arrival)
        more.release()

    answer = finish(watched(sender.exchange(GET), see))
    assert None not in arrivals
    assert next(sender.exchange(HEAD)) is not None  # over the same connection
    assert (answer.status, answer.stream.read(), answer.stream.read()) == (200, b"abcdef", b"")


@pytest.mark.parametrize("body", [b"abc", b"abcdef", b"abcdefgh"], ids=["late", "whole", "long"])
def test_a_short_file_may_come_late_or_be_another_one(connection_wire, script, body):
    """What is late has the time that a longer one has; what comes after it is never taken for another answer."""
    late = threading.Event()

    def handle(peer):
        peer.head()
        peer.say(OK)
        peer.head()
        peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n" + body)
        late.wait(5)
        peer.say(b"abcdef"[len(body) :])
        peer.head()

    sender = warmed(connection_wire(script(handle).url, 0.2))
    course = sender.exchange(GET)
    if body == b"abc":
        while next(course) is not None:
            threading.Event().wait(0.05)  # until its time is over
    late.set()
    stream = finish(course).stream
    assert stream.read() == b"abcdef"
    stream.close()


@WARM
def test_an_answer_that_never_ends_is_given_up(connection_wire, script, warm):
    """All of its head has as much time as its first byte."""

    def handle(peer, headers):
        peer.say(b"HTTP/1.1 201 Created\r\n")
        with suppress(OSError):  # it ends when nobody listens any more
            while True:
                peer.say(b"X: 1\r\n")
                threading.Event().wait(0.05)

    sender = warmed(connection_wire(script(after(handle)).url, 0.3), warm=warm)
    with pytest.raises(NoAnswerError, match=r"no answer within 0\.3 s") as info:
        finish(sender.exchange(HEAD))
    assert info.value.ambiguous


@WARM
def test_a_host_that_talks_without_a_pause_is_given_up(connection_wire, script, warm):
    def handle(peer, headers):
        with suppress(OSError):  # it ends when nobody listens any more
            while True:
                peer.say(b"HTTP/1.1 102 Processing\r\n\r\n" * 100)

    sender = warmed(connection_wire(script(after(handle)).url), warm=warm)
    with pytest.raises(NoAnswerError, match="does not end: more than 1048576 bytes that nobody wants") as info:
        finish(sender.exchange(HEAD))
    assert info.value.ambiguous


@WARM
def test_a_host_that_takes_no_more_is_given_up(narrow_wire, script, warm):
    done = threading.Event()
    server = script(after(lambda peer, headers: done.wait(10)), receive_buffer=65_536)
    sender = warmed(narrow_wire(server.url, 0.3), warm=warm)
    start = time.monotonic()
    with pytest.raises(NoAnswerError, match=r"no answer within 0\.3 s") as info:
        finish(sender.exchange(put(1_000_000)))
    assert info.value.ambiguous
    assert time.monotonic() - start < 5
    done.set()


@WARM
def test_a_body_that_is_refused_half_way_has_its_answer(narrow_wire, script, warm):
    done = threading.Event()

    def handle(peer, headers):
        peer.body(1000)
        peer.say(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        done.wait(10)

    sender = warmed(narrow_wire(script(after(handle), receive_buffer=65_536).url), warm=warm)
    assert finish(sender.exchange(put(1_000_000))).status == 413
    assert sender.idle.take() is None  # the host still waits for the rest
    done.set()


def test_a_body_that_cannot_be_read_is_not_begun(connection_wire, resto_server, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(bytes(100))
    sender = connection_wire(resto_server.url)
    finish(sender.exchange(HEAD))
    with path.open("rb") as file:
        body = Body(file)
        path.write_bytes(b"")
        with pytest.raises(UnreadableBodyError):
            next(sender.exchange(Request("PUT", "/a", body=body)))
    assert finish(sender.exchange(HEAD)).status == 404


@WARM
@TLS
@pytest.mark.parametrize(
    ("taken", "said"),
    [
        (0, b""),
        (1000, b""),
        (1000, b"HTTP/1.1 413 Too"),
        (1_000_000, b""),
        (1_000_000, b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 201 Cre"),
    ],
    ids=["before the body", "within the body", "when it is refused", "before the answer", "within the answer"],
)
def test_an_interrupted_request_ends_its_connection(
    narrow_wire, script, server_context, client_context, tls, warm, taken, said
):
    """What the host says late must not pass for the answer to another request."""
    reached, interrupted, ended = threading.Event(), threading.Event(), threading.Event()

    def handle(peer, headers):
        peer.body(taken)
        peer.say(said)
        reached.set()
        interrupted.wait(10)
        with contextlib.suppress(OSError):
            while peer.socket.recv(65_536):
                pass
        ended.set()

    server = script(after(handle), ssl_context=server_context if tls else None, receive_buffer=65_536)
    sender = warmed(narrow_wire(server.url, context=client_context), warm=warm)
    course = sender.exchange(put(1_000_000))
    while not reached.is_set():
        next(course)
    next(course)
    course.close()
    interrupted.set()
    assert ended.wait(5)
    assert sender.idle.take() is None
    assert len(server.received) == 1


@WARM
def test_who_waits_may_be_interrupted(connection_wire, resto_server, warm):
    """As by Ctrl-C."""
    sender = connection_wire(resto_server.url)
    if warm:
        finish(sender.exchange(HEAD))

    def interrupt(arrival):
        if arrival is not None:
            raise KeyboardInterrupt

    course = sender.exchange(put())
    with pytest.raises(KeyboardInterrupt):
        finish(watched(course, interrupt))
    course.close()
    assert sender.idle.take() is None


@pytest.mark.parametrize("interrupted", [False, True])
def test_the_rest_of_an_answer_is_left_to_whoever_may_wait(connection_wire, script, interrupted):
    """If nobody does, it must not pass for the answer to another request."""
    more = threading.Event()

    def handle(peer, headers):
        peer.body(7)
        peer.say(b"HTTP/1.1 507 Full\r\nContent-Length: 4\r\n\r\nfu")
        more.wait(10)
        peer.say(b"ll")
        peer.head()

    sender = warmed(connection_wire(script(after(handle)).url))
    course = sender.exchange(put())
    while next(course) is not None:
        pass
    if interrupted:
        course.close()
    more.set()
    if not interrupted:
        assert finish(course).status == 507
    assert len(sender.idle._waiting) == (not interrupted)


def test_http_client_still_has_what_the_wire_relies_on():
    """`length` is not documented."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(OK)
        answer = http.client.HTTPResponse(ours)
        answer.begin()
        assert answer.length == 2
        answer.close()
