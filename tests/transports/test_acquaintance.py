"""What is known of a host: what a trial shows, and how long and by which looks that is believed; in the end on real servers."""

import contextlib
import io
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.kinds import DISGUISED, KINDS
from kit.servers import PASSWORD, USERNAME
from kit.steps import ACTION, DATE, PLAIN, acquainted
from resto.exceptions import TransportError
from resto.transports import acquaintance
from resto.transports.acquaintance import DAY, RETRY, Acquaintance, learn, try_directories
from resto.transports.base import Trial
from resto.transports.http import HttpTransport
from resto.transports.messages import Request, Response
from resto.transports.webdav import WebDAVTransport


NOW = 1_000_000.0
PUT, HEAD = Request("PUT", "/a"), Request("HEAD", "/a")

refusals = st.sampled_from([301, 308, 400, 403, 404, 405, 409, 501])


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until it is set."""
    times = [NOW]
    monkeypatch.setattr(acquaintance, "clock", lambda: times[0])
    return times


def answer(status, server="", **headers):
    return Response(status, "", {"Server": server, **headers})


def spared(tried=NOW, looks=(PLAIN,)):
    return Trial(spares=True, tells="301", looks=looks, tried=tried)


# What a trial shows


@dataclass
class Host:
    """A host with nothing on it, that does what it is told to with directories."""

    whole: int | None = 409  # how it refuses to delete a directory with a file in it; None: it deletes it
    empty: int | None = 409
    head: int = 301
    is_dated: bool = False
    put: int = 201
    makes_parents: bool = False
    says: bytes | None = None  # in the place of the file's content
    has_all: bool = False
    is_strange: int | None = None  # the number of a request that is answered 503
    sent: list = field(default_factory=list)
    files: dict = field(default_factory=dict)
    directories: set = field(default_factory=set)
    harmed: bool = False

    def __call__(self, request):
        self.sent.append((request.method, request.target))
        if len(self.sent) == self.is_strange:
            return Response(503, "", {})
        return getattr(self, f"_{request.method.lower()}")(request.target.removesuffix("/"), request)

    def _mkcol(self, name, request):
        if self.makes_parents:
            return Response(405, "", {})
        self.directories.add(name)
        return Response(201, "", {})

    def _put(self, name, request):
        parent = name.rpartition("/")[0]
        if self.put != 201 or (parent not in self.directories and not self.makes_parents):
            return Response(self.put if self.put != 201 else 409, "", {})
        self.directories.add(parent)
        self.files[name] = b"".join(request.body.blocks())
        return Response(201, "", {})

    def _head(self, name, request):
        if name in self.directories or self.has_all:
            return Response(200 if self.has_all else self.head, "", DATE if self.is_dated else {})
        return Response(404, "", {})

    def _get(self, name, request):
        if name not in self.files:
            return Response(404, "", {})
        return Response(200, "", DATE, io.BytesIO(self.says if self.says is not None else self.files[name]))

    def _delete(self, name, request):
        if name in self.files:
            del self.files[name]
            return Response(204, "", {})
        if name not in self.directories:
            return Response(404, "", {})
        if request.target.endswith("/"):
            self._remove(name)
            return Response(204, "", {})
        is_whole = any(file.startswith(f"{name}/") for file in self.files)
        refusal = self.whole if is_whole else self.empty
        if refusal is None:
            self.harmed = True
            self._remove(name)
        return Response(refusal or 204, "", {})

    def _remove(self, name):
        self.directories.discard(name)
        self.files = {file: body for file, body in self.files.items() if not file.startswith(f"{name}/")}


def play(sequence, host):
    """Let a host answer to steps."""
    request = next(sequence)
    try:
        while True:
            request = sequence.send(host(request))
    except StopIteration:
        return


def tried(host, known=None):
    known = known or Acquaintance()
    play(try_directories(replace(ACTION, name=".resto-1"), known), host)
    return known


@given(
    st.builds(
        Host,
        whole=refusals | st.none(),
        empty=refusals | st.none(),
        head=st.sampled_from([200, 207, 301, 403, 404, 405, 503]),
        is_dated=st.booleans(),
        makes_parents=st.booleans(),
        says=st.none() | st.just(b"a page for whatever is asked for"),
        is_strange=st.none() | st.integers(5, 12),
    )
)
def test_only_a_host_that_left_the_directory_is_believed_to_spare_them(host):
    known = tried(host)
    assert not (known.spares_directories and host.harmed)
    if host.whole and host.empty and host.says is None and host.is_strange is None:
        assert known.spares_directories
    if host.is_strange is None:
        assert host.files == {}
        assert host.directories == set()


@given(st.builds(Host, head=st.sampled_from([200, 207, 301, 403, 404, 405]), is_dated=st.booleans()))
def test_only_what_differs_from_a_directory_is_taken_for_a_file(host):
    known = tried(host)
    directory = Response(host.head, "", DATE if host.is_dated else {})
    assert not known.shows_file(directory)
    if not (host.head == 200 and host.is_dated):
        assert known.shows_file(Response(200, "", DATE))


def test_a_trial_touches_nothing_but_its_own():
    host = Host()
    tried(host)
    targets = {target.removeprefix("/media/").partition("/")[0] for _, target in host.sent}
    assert all(target.startswith(".resto-") for target in targets)
    assert [method for method, _ in host.sent] == [
        "HEAD", "MKCOL", "PUT", "HEAD", "DELETE", "GET", "DELETE", "HEAD", "DELETE", "DELETE"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("host", "problem"),
    [
        (Host(put=403), "PUT was answered 403"),
        (Host(put=507), "PUT was answered 507"),
        (Host(has_all=True), "it says that it has a file which nobody has put there"),
    ],
)
def test_a_trial_that_is_not_possible_shows_nothing(host, problem):
    with pytest.raises(TransportError, match=problem):
        tried(host)
    assert host.directories == set()
    known = Acquaintance()
    play(learn(replace(ACTION, name=".resto-1"), known), host)
    assert problem in known.problem
    assert known.trial is None
    assert not known.is_due


def test_what_is_not_certain_is_tried_again_soon(clock):
    known = tried(Host(is_strange=5))
    assert known.trial is None
    assert not known.spares_directories
    assert not known.is_due
    clock[0] += RETRY
    assert known.is_due


# What is believed


def test_a_trial_is_believed_for_a_day(clock):
    known = acquainted(None)
    assert known.is_due
    known.hear(spared())
    assert known.spares_directories
    assert not known.is_due
    clock[0] = NOW + DAY - 1
    assert known.trial == spared()
    clock[0] = NOW + DAY
    assert known.trial is None
    assert not known.spares_directories
    assert known.is_due


def test_what_cannot_be_tried_anew_is_believed_for_longer(clock):
    """Such as on a disk that is full, where deletions are needed most."""
    known = acquainted(None)
    known.hear(spared())
    clock[0] = NOW + DAY
    known.fail("its disk is full")
    assert known.spares_directories
    clock[0] += RETRY
    assert not known.spares_directories
    assert known.is_due
    known.notice(PUT, answer(201, "another"))
    known.fail("its disk is full")
    assert not known.spares_directories


def test_a_trial_of_the_future_is_not_believed(clock):
    known = acquainted(None)
    known.hear(spared(NOW + 10))
    assert not known.spares_directories
    clock[0] += 10
    known.hear(spared(NOW + 10))
    assert known.spares_directories


def test_what_is_newer_is_believed(clock):
    known = acquainted(None)
    known.hear(spared(NOW - 10))
    known.hear(Trial(spares=False, tells="", looks=(), tried=NOW - 20))
    assert known.spares_directories
    known.hear(Trial(spares=False, tells="", looks=(), tried=NOW - 5))
    assert not known.spares_directories


@pytest.mark.parametrize("header", ["Server", "Via", "DAV"])
@pytest.mark.parametrize("request_", [PUT, Request("DELETE", "/a")], ids=lambda request: request.method)
def test_a_write_that_is_answered_otherwise_is_a_doubt(clock, header, request_):
    known = acquainted(None)
    known.hear(spared())
    known.notice(request_, Response(204, "", {}))
    assert known.spares_directories
    known.notice(request_, Response(204, "", {header: "another"}))
    assert not known.spares_directories
    assert known.trial is None
    assert known.is_due
    known.hear(spared())  # the record still says so
    assert not known.spares_directories
    clock[0] += 1
    known.hear(spared(NOW + 1))
    assert known.spares_directories


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 500, 502, 503])
def test_an_error_page_tells_nothing(status):
    known = acquainted()
    known.notice(HEAD, answer(200, "rclone/v1"))
    known.notice(PUT, answer(status, "nginx"))
    assert known.product == "rclone"
    assert known.spares_directories


def test_reading_tells_which_server_it_is_and_no_more():
    known = acquainted()
    known.notice(HEAD, answer(404, "nginx"))
    assert known.product == "nginx"
    known.notice(HEAD, answer(200, "Apache/2"))
    assert known.product == "apache"
    assert known.spares_directories


def test_a_host_with_several_looks_is_soon_known_by_all_of_them(clock):
    known = acquainted(None)
    known.hear(spared(looks=("a; ; ",)))
    for name in "bc":
        known.notice(PUT, answer(201, name))
        assert not known.spares_directories
        known.take(spared(looks=(f"{name}; ; ",)), is_certain=True)
    for name in "abc":
        known.notice(PUT, answer(201, name))
        assert known.spares_directories


def test_looks_are_few_and_short():
    known = acquainted(None)
    for number in range(100):
        known.take(spared(looks=(f"{number}; ; ",)), is_certain=True)
    assert len(known._trial.looks) == acquaintance._MAX_LOOKS
    assert len(acquaintance._look_of(answer(200, "x" * 10_000))) < 1_000


def test_another_outcome_forgets_the_looks_of_before(clock):
    known = acquainted(None)
    known.take(spared(looks=("a; ; ",)), is_certain=True)
    known.take(replace(spared(looks=("b; ; ",)), spares=False), is_certain=True)
    assert known.trial.looks == ("b; ; ",)


# Real servers


# What distinguishes their answer to HEAD for a directory from that for a file.
TELLS = {
    "nginx": "301",
    "nginx-dav": "301",
    "nginx-no-parents": "301",
    "nginx-https": "301",
    "apache": "404",
    "apache-digest": "404",
    "lighttpd": "301",
    "rclone": "405",
    "rclone-1.60": "405",
    "wsgidav": "403",
    "nginx-sabredav": "undated",
    "apache-sabredav": "undated",
    "nginx-rclone": "405",
    "asgiwebdav": "",
}

DELETES_DIRECTORIES = {"rclone", "rclone-1.60", *DISGUISED}


@pytest.fixture(params=["http", "webdav"])
def reached(request):
    """A function that returns a transport to a server."""
    with contextlib.ExitStack() as stack:

        def make(server, **options):
            if server.kind.tls:
                options |= {"ca_bundle": str(server.ca), "client_cert": str(server.client_certificate)}
            if server.kind.auth:
                options |= {"auth": (USERNAME, PASSWORD), "auth_scheme": server.kind.auth}
            cls = {"http": HttpTransport, "webdav": WebDAVTransport}[request.param]
            return stack.enter_context(contextlib.closing(cls("/", timeout=10, **options)))

        yield make


@pytest.mark.parametrize("kind", [*KINDS, *DISGUISED])
def test_what_servers_do_with_directories_is_found_out(media_servers, reached, kind):
    server = media_servers(kind)
    url, folder = server.new_folder()
    trial = reached(server).try_directories(url)
    assert (trial.spares, trial.tells) == (kind not in DELETES_DIRECTORIES, TELLS[kind])
    assert [*folder.iterdir()] == []


@pytest.mark.parametrize("kind", DISGUISED)
@pytest.mark.parametrize("is_tried", [False, True])
def test_no_directory_is_deleted_or_replaced_whatever_stands_behind_the_name(media_servers, reached, kind, is_tried):
    server = media_servers(kind)
    url, folder = server.new_folder()
    transport = reached(server)
    for name in ("d", "d/e"):
        assert server.request("MKCOL", f"/{folder.name}/{name}/").status == 201
    for name in ("a.txt", "d/a.txt", "d/e/a.txt"):
        assert server.request("PUT", f"/{folder.name}/{name}", b"content").status == 201
    if is_tried:
        transport.try_directories(url)
    for name in ("d", "d/e"):
        with pytest.raises(TransportError):
            transport.delete(url, name)
        with pytest.raises(TransportError):
            transport.create(url, name, b"content")
    assert {str(path.relative_to(folder)) for path in folder.rglob("*.txt")} == {"a.txt", "d/a.txt", "d/e/a.txt"}
    if TELLS[kind] or isinstance(transport, WebDAVTransport):
        assert transport.delete(url, "d/e/a.txt") is True
        with pytest.raises(TransportError):
            transport.delete(url, "d/e")
        assert (folder / "d/e").is_dir()
    else:
        with pytest.raises(TransportError, match="not certain"):
            transport.delete(url, "d/e/a.txt")


@pytest.mark.parametrize("kind", DISGUISED)
def test_a_move_replaces_no_directory(media_servers, kind):
    server = media_servers(kind)
    url, folder = server.new_folder()
    server.request("MKCOL", f"/{folder.name}/d/")
    server.request("PUT", f"/{folder.name}/d/a.txt", b"content")
    transport = WebDAVTransport("/", timeout=10, publish="move")
    with contextlib.closing(transport), pytest.raises(TransportError):
        transport.create(url, "d", b"new")
    assert server.request("GET", f"/{folder.name}/d/a.txt").body == b"content"


@pytest.mark.parametrize("fault", [{"override_code": 202}, {"drop_answer": True}], ids=["accepted", "lost"])
def test_a_trial_that_is_broken_off_leaves_nothing(resto_server_factory, fault):
    server = resto_server_factory(webdav=False)
    server.fault_methods = {"PUT"}
    for name, value in fault.items():
        setattr(server, name, value)
    with pytest.raises(TransportError):
        HttpTransport("/").try_directories(server.url)
    assert server.files == {}
    assert {method for method, _, _ in server.log} >= {"DELETE"}
