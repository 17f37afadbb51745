"""The faults of the wire, and how faults are limited and healed."""

import http.client
import threading
import time

import pytest

from resto.testing.faults import NO_FAULTS, Faults


PATIENCE = 10  # seconds
KNOBS = {
    "fault_methods": {"PUT"},
    "override_code": 500,
    "refuse_code": 500,
    "retry_after": "30",
    "readonly": True,
    "disk_full": True,
    "locked": 5,
    "redirect": "http://example.com/",
    "reset_after": 1,
    "delay": 5.0,
    "drop_answer": True,
    "drop_idle": True,
    "forget_idle": True,
    "wrong_length": 1,
    "truncate_upload": 1,
    "endless": True,
    "drip_head": 5.0,
    "drip_body": 5.0,
    "hang": True,
    "refuse": True,
}


@pytest.fixture
def stocked(server):
    server.create_file("a", b"0123456789")
    return server


@pytest.fixture
def in_background(call):
    """Send a request in a thread; the returned function waits for the status, or the error."""
    threads = []

    def send(*args):
        results = []

        def run():
            try:
                results.append(call(*args).status)
            except (OSError, http.client.HTTPException) as error:
                results.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        threads.append(thread)

        def wait():
            thread.join(PATIENCE)
            return results[0]

        return wait

    yield send
    for thread in threads:
        thread.join(PATIENCE)


@pytest.fixture
def arrived(server):
    """Set when a request was read."""
    event = threading.Event()
    server.on_request = lambda method, path: event.set()
    return event


def test_every_knob_is_healed(server):
    sound = {knob: getattr(server, knob) for knob in KNOBS}
    for knob, value in KNOBS.items():
        setattr(server, knob, value)
    assert {knob: getattr(server, knob) for knob in KNOBS} == KNOBS
    server.heal()
    assert {knob: getattr(server, knob) for knob in KNOBS} == sound


def test_every_knob_is_known_here():
    assert set(Faults.__annotations__) | {"hang", "refuse"} == set(KNOBS)


def test_heal_keeps_files_and_log(stocked, call):
    call(stocked, "GET", "/a")
    stocked.heal()
    assert stocked.log == [("GET", "/a", 200)]
    assert stocked.has_file("a")


def test_faults_are_limited_to_methods(stocked, call):
    stocked.refuse_code = 500
    stocked.fault_methods = {"PUT", "DELETE"}
    assert call(stocked, "PUT", "/a", b"x").status == 500
    assert call(stocked, "GET", "/a").status == 200
    stocked.fault_methods = set()
    assert call(stocked, "PUT", "/a", b"x").status == 204


@pytest.mark.parametrize("knob", [knob for knob in KNOBS if knob not in {"fault_methods", "refuse"}])
def test_each_fault_is_limited_to_methods(stocked, call, knob):
    setattr(stocked, knob, KNOBS[knob])
    stocked.fault_methods = {"MOVE"}
    assert call(stocked, "GET", "/a").content == b"0123456789"
    assert call(stocked, "PUT", "/b", b"data").status == 201
    assert stocked.get_file("b") == b"data"


def test_no_faults_are_none():
    fresh = Faults()
    assert {knob: getattr(NO_FAULTS, knob) for knob in Faults.__annotations__} == {
        knob: getattr(fresh, knob) for knob in Faults.__annotations__
    }


@pytest.mark.parametrize("cut", [0, 4, 10])
def test_reset_in_the_answer(stocked, raw, cut):
    stocked.reset_after = cut
    sock = raw(stocked, b"GET /a HTTP/1.1\r\n\r\n")
    data = bytearray()

    def read_on():
        while True:
            data.extend(sock.recv(1))

    with pytest.raises(ConnectionResetError):
        read_on()
    head, _, body = data.partition(b"\r\n\r\n")
    assert b"Content-Length: 10" in head
    assert body == b"0123456789"[:cut]


def test_answer_shorter_than_the_reset(stocked, call):
    stocked.reset_after = 11
    assert call(stocked, "GET", "/a").content == b"0123456789"


@pytest.mark.parametrize(("in_place", "left"), [(False, {}), (True, {"b": b"0123"})])
def test_reset_in_an_upload(make_server, call, in_place, left):
    server = make_server(in_place=in_place)
    server.reset_after = 4
    with pytest.raises((ConnectionResetError, BrokenPipeError)):
        call(server, "PUT", "/b", b"0123456789")
    server.stop()
    assert server.files == left
    assert server.log == []


def test_reset_of_an_answer_without_body(stocked, call):
    stocked.reset_after = 0
    with pytest.raises(ConnectionResetError):
        call(stocked, "DELETE", "/a")
    assert stocked.files == {}


def test_drop_answer(stocked, call):
    stocked.drop_answer = True
    with pytest.raises(http.client.RemoteDisconnected):
        call(stocked, "DELETE", "/a")
    assert stocked.files == {}
    assert stocked.log == []
    assert stocked.requests[0].status is None


def test_drop_idle(stocked, connect):
    stocked.drop_idle = True
    client = connect(stocked)
    client.request("GET", "/a")
    assert client.getresponse().read() == b"0123456789"
    client.request("DELETE", "/a")
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        client.getresponse()
    client.close()
    client.request("GET", "/a")
    assert client.getresponse().status == 200
    assert [(request.method, request.connection) for request in stocked.requests] == [("GET", 1), ("GET", 2)]


def test_forget_idle(stocked, connect):
    stocked.forget_idle = True
    client = connect(stocked)
    client.request("GET", "/a")
    assert client.getresponse().read() == b"0123456789"
    client.request("DELETE", "/a")
    client.sock.settimeout(0.05)
    with pytest.raises(TimeoutError):
        client.getresponse()
    client.close()
    client.request("GET", "/a")
    assert client.getresponse().status == 200
    assert [(request.method, request.connection) for request in stocked.requests] == [("GET", 1), ("GET", 2)]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_length_too_large(stocked, connect, method):
    stocked.wrong_length = 3
    client = connect(stocked)
    client.request(method, "/a")
    answer = client.getresponse()
    assert answer.headers["Content-Length"] == "13"
    assert answer.headers["Connection"] == "close"
    if method == "GET":
        with pytest.raises(http.client.IncompleteRead):
            answer.read()


def test_length_too_small(stocked, raw, read_all):
    stocked.wrong_length = -3
    head, _, body = read_all(raw(stocked, b"GET /a HTTP/1.1\r\n\r\n")).partition(b"\r\n\r\n")
    assert b"Content-Length: 7" in head
    assert body == b"0123456789"


def test_delay_comes_before_the_answer(stocked, call):
    stocked.delay = 0.05
    before = time.monotonic()
    call(stocked, "GET", "/a")
    assert time.monotonic() - before >= 0.05


def test_delay_comes_after_the_action(stocked, in_background):
    stocked.delay = 1000
    applied = threading.Event()
    stocked.on_applied = lambda method, path: applied.set()
    wait = in_background(stocked, "DELETE", "/a")
    assert applied.wait(PATIENCE)
    assert stocked.files == {}
    assert stocked.log == []
    stocked.heal()
    assert wait() == 204


def test_endless_body(stocked, connect):
    stocked.endless = True
    client = connect(stocked)
    client.request("GET", "/a")
    answer = client.getresponse()
    assert answer.headers["Transfer-Encoding"] == "chunked"
    assert "Content-Length" not in answer.headers
    assert answer.read(1_000_000) == b"0123456789" * 100_000
    stocked.heal()
    rest = answer.read()
    assert rest == b"0123456789" * (len(rest) // 10)


@pytest.mark.parametrize(
    ("method", "path", "body"), [("HEAD", "/a", None), ("PUT", "/b", b""), ("GET", "/empty", None)]
)
def test_what_has_no_body_ends(stocked, call, method, path, body):
    stocked.create_file("empty", b"")
    stocked.endless = True
    assert call(stocked, method, path, body).content == b""


def test_endless_body_ends_when_the_client_leaves(stocked, raw):
    stocked.endless = True
    raw(stocked, b"GET /a HTTP/1.1\r\n\r\n").close()
    stocked.stop()


@pytest.mark.parametrize(("knob", "at_once"), [("drip_head", b""), ("drip_body", b"\r\n\r\n")])
def test_answer_that_drips(stocked, raw, read_all, knob, at_once):
    """A byte comes after a while, and the others as soon as it is healed."""
    setattr(stocked, knob, 0.05)
    before = time.monotonic()
    sock = raw(stocked, b"GET /a HTTP/1.1\r\nConnection: close\r\n\r\n")
    data = sock.recv(1)
    while not data.endswith(at_once + b"0" if at_once else b"H"):
        data += sock.recv(1)
    assert time.monotonic() - before >= 0.05
    setattr(stocked, knob, 1000)
    sock.settimeout(0.2)
    with pytest.raises(TimeoutError):
        [sock.recv(1) for _ in range(5)]
    sock.settimeout(PATIENCE)
    stocked.heal()
    assert read_all(sock).endswith(b"9")


@pytest.mark.parametrize(("knob", "value"), [("delay", 1000), ("hang", True), ("drip_head", 1000), ("drip_body", 1000)])
def test_stop_interrupts(stocked, in_background, arrived, knob, value):
    setattr(stocked, knob, value)
    wait = in_background(stocked, "GET", "/a")
    assert arrived.wait(PATIENCE)
    stocked.stop()
    broken = (http.client.RemoteDisconnected, http.client.IncompleteRead, ConnectionResetError)
    assert isinstance(wait(), broken)


def heal(server):
    server.heal()


def end_hang(server):
    server.hang = False


@pytest.mark.parametrize("end", [heal, end_hang])
def test_hanging_request_is_never_carried_out(stocked, in_background, arrived, call, end):
    stocked.hang = True
    wait = in_background(stocked, "PUT", "/a", b"new")
    assert arrived.wait(PATIENCE)
    assert stocked.requests[0].body_size == 3
    end(stocked)
    assert isinstance(wait(), http.client.RemoteDisconnected)
    assert stocked.files == {"a": b"0123456789"}
    assert stocked.log == []
    assert call(stocked, "GET", "/a").status == 200


def test_take_lock_counts_down():
    faults = Faults()
    faults.locked = 1
    assert [faults.take_lock(), faults.take_lock()] == [True, False]
