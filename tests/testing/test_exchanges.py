"""Refusals, hooks, and the faults that concern the action."""

import threading
from pathlib import Path

import pytest


PATIENCE = 10  # seconds
FULL = Path("/dev/full")
WRITES = ["PUT", "DELETE", "MKCOL", "MOVE"]
READS = ["GET", "HEAD", "OPTIONS", "PROPFIND"]


@pytest.fixture
def stocked(server):
    server.create_file("a", b"data")
    return server


@pytest.fixture
def act(call, stocked):
    """Send a request that succeeds on the stocked server, unless a fault prevents it."""

    def send(method):
        paths = {"MKCOL": "/new/", "PUT": "/new", "PROPFIND": "/", "OPTIONS": "/"}
        headers = {"Destination": stocked.url + "new", "Depth": "0"}
        return call(stocked, method, paths.get(method, "/a"), b"data" if method == "PUT" else None, headers)

    return send


def is_untouched(server, call):
    nothing_new = call(server, "PROPFIND", "/new", headers={"Depth": "0"}).status == 404
    return nothing_new and server.files == {"a": b"data"}


@pytest.mark.parametrize("method", WRITES + READS)
def test_refuse_code(stocked, act, call, method):
    stocked.refuse_code = 503
    assert act(method).status == 503
    stocked.heal()
    assert is_untouched(stocked, call)


@pytest.mark.parametrize("method", WRITES)
def test_readonly_refuses_writes(stocked, act, call, method):
    stocked.readonly = True
    assert act(method).status == 403
    stocked.heal()
    assert is_untouched(stocked, call)


@pytest.mark.parametrize("method", READS)
def test_readonly_allows_reads(stocked, act, method):
    stocked.readonly = True
    assert act(method).status in {200, 207}


@pytest.mark.parametrize("method", ["PUT", "MKCOL"])
def test_disk_full(stocked, act, call, method):
    stocked.disk_full = True
    assert act(method).status == 507
    stocked.heal()
    assert is_untouched(stocked, call)


@pytest.mark.parametrize("method", ["DELETE", "MOVE", "GET"])
def test_disk_full_does_not_matter(stocked, act, method):
    stocked.disk_full = True
    assert act(method).status < 300


def test_locked_counts_writes_only(stocked, act):
    stocked.locked = 2
    assert [act(method).status for method in ["PUT", "GET", "DELETE", "DELETE"]] == [423, 200, 423, 204]


@pytest.mark.parametrize(
    ("redirect", "location"),
    [("http://example.com/x/", "http://example.com/x/a?q=1"), ("http://example.com/x", "http://example.com/x")],
)
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_redirect(stocked, call, redirect, location, method):
    stocked.redirect = redirect
    answer = call(stocked, method, "/a?q=1")
    assert (answer.status, answer.headers["Location"]) == (301, location)
    assert stocked.files == {"a": b"data"}


@pytest.mark.parametrize("method", WRITES)
def test_override_code_carries_out_the_action(stocked, act, method):
    stocked.override_code = 500
    assert act(method).status == 500
    stocked.heal()
    assert act(method).status in {204, 404, 405}  # it was done before
    assert stocked.log[0][2] == 500


def test_override_code_keeps_the_body(stocked, call):
    stocked.override_code = 299
    answer = call(stocked, "GET", "/a")
    assert (answer.status, answer.content) == (299, b"data")


def test_override_code_without_body_keeps_the_connection_usable(stocked, connect):
    stocked.override_code = 204
    client = connect(stocked)
    for _ in range(2):
        client.request("GET", "/a")
        answer = client.getresponse()
        assert (answer.status, answer.read()) == (204, b"")
    assert [request.connection for request in stocked.requests] == [1, 1]


def test_truncate_upload(stocked, call):
    stocked.truncate_upload = 100_000
    assert call(stocked, "PUT", "/b", b"x" * 300_000).status == 201
    assert call(stocked, "PUT", "/c", b"short").status == 201
    assert stocked.files == {"a": b"data", "b": b"x" * 100_000, "c": b"short"}


@pytest.mark.skipif(not FULL.exists(), reason="no /dev/full")
def test_disk_that_fills_up_during_an_upload(make_server, call, tmp_path, monkeypatch):
    """An error of the disk is answered, and nothing is left of the upload."""
    server = make_server(root=tmp_path)
    begin_upload = server.site.begin_upload
    with FULL.open("wb", buffering=0) as full:

        def begin_on_full_disk(request):
            upload = begin_upload(request)
            upload._file.close()
            upload._file = full
            return upload

        monkeypatch.setattr(server.site, "begin_upload", begin_on_full_disk)
        assert call(server, "PUT", "/a", b"x" * 100_000).status == 507
    assert list(tmp_path.iterdir()) == []


def test_credentials(make_server, call):
    server = make_server(credentials=("user", "pass"))
    right = {"Authorization": "Basic dXNlcjpwYXNz"}
    for headers in [{}, {"Authorization": "Basic dXNlcjp3cm9uZw=="}, {"Authorization": "Digest dXNlcjpwYXNz"}]:
        answer = call(server, "PUT", "/a", b"data", headers)
        assert answer.status == 401
        assert answer.headers["WWW-Authenticate"].startswith("Basic ")
    assert server.files == {}
    assert call(server, "PUT", "/a", b"data", right).status == 201


def test_requests_are_recorded(stocked, call):
    call(stocked, "PUT", "/b%20c", b"12345", {"X-Test": "yes"})
    [request] = stocked.requests
    assert (request.method, request.path, request.status, request.body_size) == ("PUT", "/b%20c", 201, 5)
    assert request.headers["x-test"] == "yes"
    assert request.headers["Missing"] is None
    assert stocked.log == [("PUT", "/b%20c", 201)]


def test_on_request_comes_between_reading_and_doing(stocked, act):
    seen = []
    stocked.on_request = lambda method, path: seen.append((method, path, dict(stocked.files)))
    act("PUT")
    assert seen == [("PUT", "/new", {"a": b"data"})]
    assert stocked.requests[0].body_size == 4


def test_on_request_is_called_for_refused_requests(stocked, act):
    seen = []
    stocked.refuse_code = 500
    stocked.on_request = lambda method, path: seen.append(method)
    stocked.on_applied = lambda method, path: seen.append("applied")
    act("DELETE")
    assert seen == ["DELETE"]


def test_on_applied_comes_between_doing_and_answering(stocked, act):
    seen = []
    stocked.on_applied = lambda method, path: seen.append((method, path, dict(stocked.files), stocked.log[:]))
    act("DELETE")
    assert seen == [("DELETE", "/a", {}, [])]


def test_hooks_choose_an_interleaving(stocked, call):
    """A PUT blocked after it was read lands after a DELETE that was sent later."""
    read, release = threading.Event(), threading.Event()

    def hold(method, path):
        if method == "PUT":
            read.set()
            release.wait(PATIENCE)

    stocked.on_request = hold
    thread = threading.Thread(target=call, args=[stocked, "PUT", "/a", b"late"])
    thread.start()
    assert read.wait(PATIENCE)
    assert call(stocked, "DELETE", "/a").status == 204
    assert stocked.files == {}
    release.set()
    thread.join(PATIENCE)
    assert stocked.files == {"a": b"late"}
