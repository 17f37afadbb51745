"""The wire over requests; and the law that both wires tell the same about the same weather."""

import contextlib
import io
import pickle
import threading
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from requests.adapters import HTTPAdapter
from requests.auth import HTTPDigestAuth
from urllib3.response import HTTPResponse

from kit.clock import Clock, stop_clock
from kit.wires import GET, HEAD, chain, connections, put, read
from resto.courses import finish
from resto.exceptions import HostUnavailableError, TransportError
from resto.hosts import parse_url
from resto.transports.bodies import Body, UnreadableBodyError
from resto.transports.credentials import ReactiveAuthenticator
from resto.transports.keeping import LEAST
from resto.transports.messages import NoAnswerError, Request
from resto.transports.requests_wire import RequestsWire


LARGE = 3_000_000


@pytest.fixture
def shared_wire():
    """Make wires that use one session."""
    with contextlib.ExitStack() as stack:

        def make(url, session, timeout=20):
            wire = RequestsWire(parse_url(url, ""), timeout, lambda: session, None)
            return stack.enter_context(contextlib.closing(wire))

        yield make


# Connections


def test_connections_are_kept_alive(requests_wire, resto_server):
    sender = requests_wire(resto_server.url)
    assert [finish(sender.exchange(request)).status for request in (put(), put(LARGE), HEAD)] == [201, 204, 200]
    assert connections(resto_server) == [1, 1, 1]


def test_connections_are_kept_alive_across_threads(requests_wire, resto_server):
    """Servers that use a thread for each request would open one connection after the other."""
    sender = requests_wire(resto_server.url)
    for _ in range(3):
        thread = threading.Thread(target=lambda: finish(sender.exchange(HEAD)))
        thread.start()
        thread.join()
    assert connections(resto_server) == [1, 1, 1]


def test_requests_at_the_same_time_have_sessions_of_their_own(requests_wire, resto_server):
    sender = requests_wire(resto_server.url)
    together = threading.Barrier(4, timeout=5)
    resto_server.on_request = lambda method, path: together.wait()
    threads = [threading.Thread(target=lambda: finish(sender.exchange(HEAD))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(connections(resto_server)) == [1, 2, 3, 4]


def test_connections_are_not_used_after_being_idle_for_long(requests_wire, resto_server, monkeypatch):
    clock = Clock()
    stop_clock(monkeypatch, clock)
    sender = requests_wire(resto_server.url)
    finish(sender.exchange(put()))
    clock.pass_(LEAST + 1)
    finish(sender.exchange(HEAD))
    assert connections(resto_server) == [1, 2]


def test_a_closed_wire_can_be_used_again(requests_wire, resto_server):
    sender = requests_wire(resto_server.url)
    finish(sender.exchange(put()))
    sender.close()
    assert finish(sender.exchange(HEAD)).status == 200
    assert connections(resto_server) == [1, 2]


@pytest.mark.parametrize("size", [100_000, LARGE])
def test_a_dropped_connection_is_replaced_once(requests_wire, resto_server, size):
    resto_server.create_file("a", b"old")
    sender = requests_wire(resto_server.url)
    finish(sender.exchange(HEAD))
    resto_server.drop_idle = True
    assert finish(sender.exchange(put(size))).status == 204
    assert [(request.connection, request.body_size) for request in resto_server.requests] == [(1, 0), (2, size)]


def test_a_request_that_is_not_idempotent_is_not_sent_again(requests_wire, resto_server):
    sender = requests_wire(resto_server.url)
    finish(sender.exchange(HEAD))
    resto_server.drop_idle = True
    with pytest.raises(NoAnswerError, match="broke before an answer") as info:
        finish(sender.exchange(put(idempotent=False)))
    assert info.value.ambiguous
    assert len(resto_server.requests) == 1


@pytest.mark.parametrize("size", [100_000, LARGE])
def test_a_new_connection_that_is_dropped_is_an_error(requests_wire, resto_server, size):
    resto_server.reset_after = 50_000
    with pytest.raises(NoAnswerError) as info:
        finish(requests_wire(resto_server.url).exchange(put(size)))
    assert info.value.ambiguous
    assert len(resto_server.requests) == 1
    assert not resto_server.files


def test_a_replaced_connection_that_is_dropped_is_an_error(requests_wire, resto_server):
    sender = requests_wire(resto_server.url)
    finish(sender.exchange(HEAD))
    resto_server.drop_idle = resto_server.drop_answer = True
    with pytest.raises(NoAnswerError, match="broke before an answer") as info:
        finish(sender.exchange(put()))
    assert info.value.ambiguous
    assert len(resto_server.requests) == 2


def test_a_body_that_cannot_be_read_a_second_time_is_an_error(requests_wire, resto_server):
    class Once(io.BytesIO):
        def read(self, size=-1):
            block = super().read(size)
            self.truncate(0)
            return block

    sender = requests_wire(resto_server.url)
    finish(sender.exchange(HEAD))
    resto_server.drop_idle = True
    with pytest.raises(UnreadableBodyError):
        finish(sender.exchange(Request("PUT", "/a", body=Body(Once(b"content")))))
    assert len(resto_server.requests) == 1


def test_a_course_that_may_take_its_time_has_done_nothing_yet(requests_wire, resto_server):
    sender = requests_wire(resto_server.url)
    finish(sender.exchange(HEAD))
    for request in (HEAD, Request("HEAD", "/a", delay=60)):
        course = sender.exchange(request)
        assert next(course) is None
        course.close()
    finish(sender.exchange(HEAD))
    assert connections(resto_server) == [1, 1]


def test_unread_answers_are_never_mistaken_for_others(requests_wire, resto_server):
    resto_server.create_file("a", bytes(300_000))
    sender = requests_wire(resto_server.url)
    answer = finish(sender.exchange(GET))
    answer.stream.read(10)
    answer.stream.close()
    assert finish(sender.exchange(HEAD)).status == 200
    assert connections(resto_server) == [1, 2]


@pytest.mark.parametrize(("size", "reused"), [(50_000, True), (1_000_000, False)])
def test_bodies_that_nobody_wants_are_read_if_they_are_small(requests_wire, resto_server, size, reused):
    resto_server.create_file("a", bytes(size))
    sender = requests_wire(resto_server.url)
    assert finish(sender.exchange(Request("GET", "/a"))).stream is None
    finish(sender.exchange(HEAD))
    assert connections(resto_server) == ([1, 1] if reused else [1, 2])


def test_an_interim_answer_never_passes_for_the_final_one(shared_wire):
    """Not even over an adapter that takes it for one."""

    class OneAnswer(HTTPAdapter):
        def send(self, request, **options):
            answer = requests.Response()
            answer.status_code, answer.raw = 102, HTTPResponse()
            return answer

    session = requests.Session()
    session.mount("http://", OneAnswer())
    with pytest.raises(NoAnswerError, match="cannot be understood") as info:
        finish(shared_wire("http://media-1/", session).exchange(HEAD))
    assert info.value.ambiguous


def test_an_answer_that_is_not_http_is_ambiguous(requests_wire, script):
    def handle(peer):
        peer.head()
        peer.say(b"SSH-2.0-server\r\n\r\n")

    with pytest.raises(NoAnswerError, match="cannot be understood") as info:
        finish(requests_wire(script(handle).url).exchange(put(0)))
    assert info.value.ambiguous


# Sessions


def test_requests_go_through_the_session(shared_wire, resto_server):
    session = requests.Session()
    session.headers["X-Site"] = "1"
    session.auth = ("user", "password")
    finish(shared_wire(resto_server.url, session).exchange(HEAD))
    headers = resto_server.requests[0].headers
    assert (headers["X-Site"], headers["Accept-Encoding"]) == ("1", "identity")
    assert headers["Authorization"].startswith("Basic ")


def test_a_shared_session_can_be_used_by_many_threads(shared_wire, resto_server):
    sender = shared_wire(resto_server.url, requests.Session())
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(finish(sender.exchange(HEAD)).status)) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [404] * 16


class Elsewhere(requests.adapters.BaseAdapter):
    """An adapter that has no connections."""

    def __init__(self, error=None):
        super().__init__()
        self.error = error

    def send(self, request, **options):
        if self.error:
            raise self.error
        answer = requests.Response()
        answer.status_code, answer.raw = 200, io.BytesIO()
        answer.raw.read = lambda size, decode_content: b""
        return answer

    def close(self):
        pass


def test_adapters_of_the_site_are_used(shared_wire):
    session = requests.Session()
    session.mount("http://", Elsewhere())
    assert finish(shared_wire("http://elsewhere/", session).exchange(HEAD)).status == 200


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        (requests.ConnectionError(ConnectionResetError()), "broke before an answer"),
        (requests.exceptions.ChunkedEncodingError(), "requests failed: ChunkedEncodingError"),
        (ValueError("s3cret"), "requests failed: ValueError"),
        (OSError("s3cret"), "requests failed: OSError"),
        (RuntimeError(OSError("s3cret")), "requests failed: OSError"),
    ],
    ids=["reset", "requests", "other", "OSError", "OSError within"],
)
def test_adapters_may_fail_as_they_like(shared_wire, error, problem):
    session = requests.Session()
    session.mount("http://", Elsewhere(error))
    with pytest.raises(NoAnswerError, match=problem) as info:
        finish(shared_wire("http://elsewhere/", session).exchange(HEAD))
    assert info.value.ambiguous
    assert chain(info.value) == [info.value]


class Unhelpful(requests.Session):
    def get_adapter(self, url):
        raise requests.exceptions.InvalidSchema("s3cret")


@pytest.mark.parametrize("error", [ValueError("s3cret"), AttributeError("s3cret"), OverflowError("s3cret")], ids=repr)
def test_bodies_may_fail_as_they_like(shared_wire, error):
    def fail(size, decode_content):
        raise error

    class Failing(Elsewhere):
        def send(self, request, **options):
            answer = super().send(request, **options)
            answer.raw.read = fail
            return answer

    session = requests.Session()
    session.mount("http://", Failing())
    answer = finish(shared_wire("http://elsewhere/", session).exchange(GET))
    with pytest.raises(NoAnswerError, match="its answer broke off") as info:
        read(answer)
    assert chain(info.value) == [info.value]


def test_sessions_may_have_no_adapter(shared_wire):
    with pytest.raises(NoAnswerError, match="requests failed: InvalidSchema") as info:
        finish(shared_wire("http://elsewhere/", Unhelpful()).exchange(HEAD))
    assert chain(info.value) == [info.value]


def no_session():
    raise RuntimeError("s3cret")


@pytest.mark.parametrize(
    ("create", "problem"),
    [(no_session, "RuntimeError"), (lambda: None, "it is of type NoneType"), (dict, "it is of type dict")],
)
def test_a_factory_of_sessions_that_fails_sends_nothing(resto_server, create, problem):
    wire = RequestsWire(parse_url(resto_server.url, ""), 5, create, None)
    with pytest.raises(NoAnswerError, match=f"no session can be made: {problem}$") as info:
        finish(wire.exchange(put()))
    assert not info.value.ambiguous
    assert chain(info.value) == [info.value]
    assert resto_server.requests == []


def no_auth():
    raise RuntimeError("s3cret")


def test_a_factory_of_auth_objects_that_fails_sends_nothing(resto_server):
    url = parse_url(resto_server.url, "")
    wire = RequestsWire(url, 5, requests.Session, ReactiveAuthenticator(no_auth))
    with pytest.raises(NoAnswerError, match=r"the request cannot be authenticated: RuntimeError$") as info:
        finish(wire.exchange(put()))
    assert not info.value.ambiguous
    assert chain(info.value) == [info.value]
    assert resto_server.requests == []


@pytest.mark.parametrize(
    ("knob", "value"),
    [("refuse", True), ("drop_answer", True), ("hang", True), ("wrong_length", 5), ("reset_after", 0)],
)
@pytest.mark.parametrize("warm", [False, True], ids=["new connection", "kept connection"])
def test_what_fails_does_not_hold_the_request(resto_server, transport, knob, value, warm):
    """Its headers have the credential, and Django is not the only one that mails all of an error."""
    session = requests.Session()
    session.auth = ("user", "s3cret")
    sender = transport(timeout=0.3, session=session)
    resto_server.create_file("a", b"content")
    if warm:
        sender.exists(resto_server.url, "a")
    setattr(resto_server, knob, value)
    with pytest.raises(TransportError) as info:
        sender.content(resto_server.url, "a")
    found = chain(info.value)
    assert [type(error) for error in found] == [HostUnavailableError, NoAnswerError]
    held = repr([(vars(error), error.args) for error in found]) + repr(pickle.dumps(info.value))
    assert "s3cret" not in held
    assert b64encode(b"user:s3cret").decode() not in held


def test_proxies_of_the_session_are_used(shared_wire, resto_server):
    session = requests.Session()
    session.proxies = {"http": resto_server.url}
    finish(shared_wire("http://media.invalid/", session).exchange(HEAD))
    assert [request.path for request in resto_server.requests] == ["http://media.invalid/a"]


@pytest.mark.parametrize("session", [requests.Session(), None], ids=["shared", "own"])
def test_neither_proxies_nor_netrc_of_the_environment_are_used(
    shared_wire, requests_wire, resto_server, monkeypatch, tmp_path, session
):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login s3cret password s3cret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9/")
    wire = shared_wire(resto_server.url, session) if session else requests_wire(resto_server.url)
    assert finish(wire.exchange(HEAD)).status == 404
    assert resto_server.requests[0].headers["Authorization"] is None


def test_digest_reacts_and_sends_the_whole_body_again(requests_wire, script):
    bodies = []

    def handle(peer):
        while head := peer.head():
            bodies.append(peer.body(int(head[1]["content-length"])))
            if "authorization" in head[1]:
                peer.say(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")
            else:
                challenge = b'Digest realm="media", nonce="abc", qop="auth", algorithm=MD5'
                peer.say(b"HTTP/1.1 401 No\r\nContent-Length: 0\r\nWWW-Authenticate: " + challenge + b"\r\n\r\n")

    server = script(handle)
    sender = requests_wire(server.url, auth=HTTPDigestAuth("user", "password"))
    content = bytes(range(256)) * 8000
    assert finish(sender.exchange(Request("PUT", "/a", body=Body(io.BytesIO(content))))).status == 201
    assert bodies == [content, content]
    assert len(server.received) == 1


def test_cookies_are_neither_kept_nor_sent_back(requests_wire, script):
    """A host could fill the memory with them, answer by answer."""
    cookies = []

    def handle(peer):
        number = 0
        while head := peer.head():
            cookies.append(head[1].get("cookie"))
            number += 1
            challenge = b'WWW-Authenticate: Digest realm="a", nonce="b", qop="auth"\r\n'
            status = b"200 OK\r\n" if "authorization" in head[1] else b"401 No\r\n" + challenge
            peer.say(b"HTTP/1.1 %sContent-Length: 0\r\nSet-Cookie: c%d=1\r\n\r\n" % (status, number))

    sender = requests_wire(script(handle).url, auth=HTTPDigestAuth("user", "password"))
    for _ in range(3):
        assert finish(sender.exchange(HEAD)).status == 200
    assert cookies[0] is None
    assert cookies[-1] is None


# The law

WEATHER = {
    "fair": {},
    **{
        f"refuse {status}": {"refuse_code": status}
        for status in (202, 301, 401, 403, 404, 405, 410, 413, 418, 500, 507)
    },
    **{f"override {status}": {"override_code": status} for status in (200, 202, 204, 403, 404, 500)},
    "readonly": {"readonly": True},
    "disk full": {"disk_full": True},
    "redirect": {"redirect": "http://127.0.0.1:9/"},
    "locked": {"locked": 1},
    "reset at once": {"reset_after": 0},
    "reset": {"reset_after": 100_000},
    "no answer": {"drop_answer": True},
    "dropped": {"drop_idle": True},
    "dropped, then no answer": {"drop_idle": True, "drop_answer": True},
    "hang": {"hang": True},
    "slow": {"delay": 0.05},
    "longer": {"wrong_length": 1000},
    "shorter": {"wrong_length": -1000},
    "truncated": {"truncate_upload": 1000},
    "refused": {"refuse": True},
}
CONTENT = bytes(300_000)
ACTIONS = {
    "create": lambda transport, url: transport.create(url, "a.txt", CONTENT),
    "create a large one": lambda transport, url: transport.create(url, "a.txt", bytes(1_500_000)),
    "content": lambda transport, url: transport.content(url, "a.txt"),
    "size": lambda transport, url: transport.size(url, "a.txt"),
    "exists": lambda transport, url: transport.exists(url, "a.txt"),
    "delete": lambda transport, url: transport.delete(url, "a.txt"),
    "listdir": lambda transport, url: transport.listdir(url, ""),
}


def tell(transport, server, action, weather, warm):
    """Return what a transport says about an action in some weather, and what the server has then."""
    server.create_file("a.txt", CONTENT)
    if warm:
        transport.exists(server.url, "b.txt")
    for knob, value in weather.items():
        setattr(server, knob, value)
    try:
        result = action(transport, server.url)
    except TransportError as error:
        result = type(error), str(error), getattr(error, "ambiguous", None), getattr(error, "status", None)
    server.heal()
    return result, len(server.files.get("a.txt", b"")), len(server.requests)


@pytest.mark.parametrize("warm", [False, True], ids=["new connection", "kept connection"])
@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("weather", WEATHER)
def test_both_wires_tell_the_same(resto_server_factory, transport, weather, action, warm):
    def told_by(options):
        server = resto_server_factory()
        sender = transport("webdav", timeout=0.2 if weather == "hang" else 20, **options)
        result, *state = tell(sender, server, ACTIONS[action], WEATHER[weather], warm)
        if "large" in action or weather == "hang":
            # requests does not announce bodies: when a connection breaks, no answer has begun, and it may try again.
            # A busy machine may need longer to notice a request than a client waits for the answer.
            state = state[:1]
        return str(result).replace(server.address, "ADDRESS"), state

    with ThreadPoolExecutor(2) as pool:  # they wait at the same time
        ours, theirs = pool.map(told_by, ({}, {"session": requests.Session}))
    assert ours == theirs
