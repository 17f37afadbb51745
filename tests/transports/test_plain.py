"""Actions that are one request go without steps, and nobody can tell that from what is sent, or from what becomes of it."""

import io

import pytest
import requests

from kit.wires import TLS, answering
from resto.courses import course_of, finish
from resto.exceptions import HostUnavailableError, UnexpectedStatusCode
from resto.testing.transport_contract.tools import AtHand
from resto.transports import acquaintance, http
from resto.transports.base import Trial
from resto.transports.plain import PLAIN_SIZE


SERVER = b"Server: nginx\r\n"
OK = b"HTTP/1.1 200 OK\r\n" + SERVER + b"Content-Length: 0\r\n\r\n"
DATED = OK.replace(SERVER, SERVER + b"Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n")
CREATED = b"HTTP/1.1 201 Created\r\n" + SERVER + b"Content-Length: 0\r\n\r\n"
REPLACED = b"HTTP/1.1 204 No Content\r\n" + SERVER + b"\r\n"
MISSING = b"HTTP/1.1 404 Not Found\r\n" + SERVER + b"Content-Length: 2\r\n\r\nno"
WITH_A_PAGE = b"HTTP/1.1 201 Created\r\n" + SERVER + b"Content-Type: text/html\r\nContent-Length: 7\r\n\r\n<html/>"
REFUSED = b"HTTP/1.1 403 Forbidden\r\n" + SERVER + b"Content-Length: 0\r\n\r\n"
LOCKED = b"HTTP/1.1 423 Locked\r\n" + SERVER + b"Content-Length: 0\r\n\r\n"
MOVED = b"HTTP/1.1 301 Moved\r\n" + SERVER + b"Location: /a/\r\nContent-Length: 0\r\n\r\n"
CLOSING = b"HTTP/1.1 201 Created\r\n" + SERVER + b"Content-Length: 0\r\nConnection: close\r\n\r\n"
LOWER_CASE = b"HTTP/1.1 201 Created\r\nserver: nginx\r\ncontent-length: 0\r\n\r\n"
CHUNKED = b"HTTP/1.1 201 Created\r\n" + SERVER + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
INTERIM = b"HTTP/1.1 102 Processing\r\n\r\n"


def saying(*answers, log=None):
    """Return a script that first tells which server it is, then gives these answers in turn, over any number of connections."""
    rest = [CREATED, *answers]

    def handle(peer):
        while rest and (head := peer.head()):
            if log is not None:
                log.append(head)
            peer.body(int(head[1].get("content-length", 0)) if head[0].startswith("PUT") else 0)
            answer = rest.pop(0)
            if answer is None:
                return
            peer.say(*answer) if isinstance(answer, tuple) else peer.say(answer)
            if answer == CLOSING:
                return

    return handle


def know(one, url):
    """Let a transport have an answer to an upload, and know that the server spares directories."""
    one.create(url, "warm-up", b"")
    seen = one._acquaintance(url)
    seen.take(Trial(True, "301", (seen._look,), acquaintance.clock()), is_certain=True)


@pytest.fixture
def known(transport, script):
    """A transport that has talked to a server, which gives some answers from then on; the server, and its requests."""

    def make(*answers, kind="http", **options):
        log = []
        if kind == "webdav":
            options["publish"] = "put"
        server = script(saying(*answers, log=log))
        one = transport(kind, **options)
        know(one, server.url)
        log.clear()
        return one, server.url, log

    return make


@pytest.fixture
def without_steps(monkeypatch):
    def refuse(*args):
        raise AssertionError("this took steps")

    monkeypatch.setattr(http, "run_steps", refuse)


ACTIONS = {"PUT": ("create", b"content"), "DELETE": ("delete",), "HEAD": ("exists",)}


def act(one, method, url):
    name, *arguments = ACTIONS[method]
    return getattr(one, name)(url, "a b.txt", *arguments)


@pytest.mark.parametrize("kind", ["http", "webdav"])
@pytest.mark.parametrize(
    ("method", "answer", "expected"),
    [
        ("PUT", CREATED, False),
        ("PUT", REPLACED, True),
        ("PUT", WITH_A_PAGE, False),
        ("DELETE", REPLACED, True),
        ("DELETE", OK, True),
        ("DELETE", MISSING, False),
        ("HEAD", OK, True),
        ("HEAD", MISSING.partition(b"no")[0], False),
    ],
)
def test_expected_answers_need_no_steps(known, kind, method, answer, expected, request):
    one, url, log = known(answer, kind=kind)
    request.getfixturevalue("without_steps")
    assert act(one, method, url) is expected
    assert [line for line, _ in log] == [f"{method} /a%20b.txt HTTP/1.1"]


@TLS
@pytest.mark.parametrize("size", [0, 1, 20_000, PLAIN_SIZE])
def test_bodies_arrive_whole(transport, resto_server_factory, server_context, ca_bundle, request, size, tls):
    server = resto_server_factory(ssl_context=server_context if tls else None)
    one, content = transport(ca_bundle=ca_bundle if tls else None), bytes(range(256)) * (size // 256 + 1)
    know(one, server.url)
    request.getfixturevalue("without_steps")
    assert one.create(server.url, "a", content[:size]) is False
    assert server.get_file("a") == content[:size]


ANSWERS = {"PUT": CREATED, "DELETE": REPLACED, "HEAD": OK}


@pytest.mark.parametrize("kind", ["http", "webdav"])
@pytest.mark.parametrize("method", ACTIONS)
def test_what_is_sent_is_what_steps_send(known, kind, method):
    look = [DATED] if method == "DELETE" else []  # without steps it goes over a connection that the host has kept
    one, url, log = known(ANSWERS[method], *look, ANSWERS[method], kind=kind, auth=("user", "secret"))
    act(one, method, url)
    with pytest.MonkeyPatch.context() as patch:
        [(_, wire)] = one._wires.values()
        patch.setattr(wire, "is_ordinary", False)
        act(one, method, url)
    assert log[0] == log[-1]
    assert "authorization" in log[0][1]


# What is out of the ordinary is for the steps, and nothing is sent twice.


@pytest.mark.parametrize(
    ("answers", "expected", "sent"),
    [
        ([LOCKED, CREATED], False, 2),
        ([(INTERIM, CREATED)], False, 1),
        ([(CREATED[:20], CREATED[20:])], False, 1),
        ([CHUNKED], False, 1),
        ([LOWER_CASE], False, 1),
        ([CLOSING], False, 1),
        ([None, CREATED], False, 2),
    ],
    ids=["locked", "interim", "in pieces", "chunked", "lower case", "closing", "closed meanwhile"],
)
def test_other_answers_are_for_the_steps(known, answers, expected, sent):
    one, url, log = known(*answers, OK)
    assert act(one, "PUT", url) is expected
    assert len(log) == sent
    assert act(one, "HEAD", url) is True  # whatever became of the connection


def test_a_refusal_is_what_steps_make_of_it(known):
    one, url, log = known(REFUSED)
    with pytest.raises(UnexpectedStatusCode, match="PUT was answered 403 Forbidden"):
        act(one, "PUT", url)
    assert len(log) == 1


def test_a_directory_exists(known):
    one, url, log = known(MOVED.replace(b"/a/", b"/a%20b.txt/"))
    assert act(one, "HEAD", url) is True
    assert len(log) == 1


def test_a_silent_host_is_given_its_time(known):
    one, url, _ = known((), OK, timeout=0.3)
    course = course_of(one.create, url, "a", b"content")
    assert next(course) is not None
    assert next(course) is not None  # too early: it goes on waiting
    with pytest.raises(HostUnavailableError, match="no answer within") as caught:
        finish(course)
    assert caught.value.ambiguous


def test_whoever_gives_up_leaves_no_answer_to_others(transport, resto_server):
    one, url = transport(), resto_server.url
    know(one, url)
    course = course_of(one.create, url, "a", b"content")
    next(course)
    course.close()
    assert one.exists(url, "b") is False
    assert {request.connection for request in resto_server.requests} == {1, 2}


def test_parents_are_made_when_they_turn_out_to_be_missing(transport, resto_server):
    one, url = transport("webdav", publish="put"), resto_server.url
    know(one, url)
    assert one.create(url, "new/a", b"content") is False
    assert [method for method, _, _ in resto_server.log] == ["PUT", "PUT", "MKCOL", "PUT"]


# Which actions that are.


def takes_steps(one, url, content):
    """Tell whether an upload takes steps."""
    seen = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(one, "_upload", lambda *args: seen.append(args) or iter(()))
        course = course_of(one.create, url, "a", content)
        next(course, None)
        course.close()
    return bool(seen)


@pytest.mark.parametrize(
    ("content", "steps"),
    [
        (b"content", False),
        (bytes(PLAIN_SIZE + 1), True),
        (io.BytesIO(b"content"), True),
        (AtHand(b"content"), False),
        (AtHand(bytes(PLAIN_SIZE + 1)), True),
    ],
    ids=["small", "large", "file", "at hand", "large at hand"],
)
def test_small_bodies_in_memory_need_no_steps(known, content, steps):
    one, url, _ = known(OK)
    assert takes_steps(one, url, content) is steps


@pytest.mark.parametrize(
    ("kind", "publish", "product", "steps"),
    [
        ("http", None, b"unheard", False),
        ("webdav", "auto", b"nginx", False),
        ("webdav", "auto", b"unheard", True),
        ("webdav", "put", b"unheard", False),
        ("webdav", "move", b"nginx", True),
    ],
)
def test_what_is_moved_takes_steps(transport, script, kind, publish, product, steps):
    answer = OK.replace(b"nginx", product)
    server = script(answering(answer, answer))
    one = transport(kind) if publish is None else transport(kind, publish=publish)
    one.exists(server.url, "warm-up")
    assert takes_steps(one, server.url, b"content") is steps


class Signing:
    """An auth object, which has to see each request."""

    def __call__(self, request):
        return request


@pytest.mark.parametrize("options", [{"auth": Signing()}, {"session": requests.Session}], ids=["auth", "session"])
def test_auth_objects_and_sessions_take_steps(transport, resto_server, options):
    one, url = transport(**options), resto_server.url
    know(one, url)
    assert takes_steps(one, url, b"content")


def test_a_host_that_looks_otherwise_is_looked_at(known):
    other = CREATED.replace(b"nginx", b"rclone/v1.60")
    one, url, log = known(other, CREATED.replace(b"Server", b"Via: 1.1 proxy\r\nServer"), OK, kind="webdav")
    assert act(one, "PUT", url) is False
    assert one._acquaintance(url).product == "rclone"
    assert one.trial(url) is None  # it is not believed any more
    assert act(one, "PUT", url) is False
    assert one._acquaintance(url)._look == "nginx; 1.1 proxy; "
    assert len(log) == 2


def test_a_host_of_which_nothing_is_known_takes_steps(transport, resto_server):
    assert takes_steps(transport(), resto_server.url, b"content")
