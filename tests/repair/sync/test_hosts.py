"""Hosts that do not list, that fail, and that do not answer."""

import threading

import pytest

from kit.comparison import compare, found, write
from kit.documents import ROOT, load_module
from resto.exceptions import UnexpectedStatusCode
from resto.plugins import get_plugin_manager
from resto.repair.sync import Notice, hosts
from resto.storage import DistributedStorage, HybridStorage
from resto.transports import Directory
from resto.transports.webdav import WebDAVTransport


# Hosts that do not list.


def test_a_host_that_does_not_list_is_asked_for_each_file(make, plain_server, media_root):
    storage = make(plain_server, transport="http")
    write(media_root, {"a": b"1", "d/b": b"22", "d/c": b"3"})
    plain_server.create_file("a", b"1")
    plain_server.create_file("d/b", b"2")
    plain_server.create_file("extra", b"")

    report, events = compare(storage, delete=True)

    assert found(events) == [("different", "d/b", "repaired"), ("missing", "d/c", "repaired")]
    assert plain_server.files == {"a": b"1", "d/b": b"22", "d/c": b"3", "extra": b""}
    assert report.agrees
    assert report.hosts[0].unlisted == 2


def test_nginx_that_does_not_list_is_asked_for_each_file(start_server, media_root):
    server = start_server("nginx", {"autoindex on;": "autoindex off;"})
    url, path = server.new_folder()
    write(media_root, {"a": b"1", "d/b": b"2"})
    server.write(f"{path.name}/a", b"1")

    report, events = compare(HybridStorage([url], "/media/"))

    assert found(events) == [("missing", "d/b", "repaired")]
    assert report.agrees
    assert report.hosts[0].unlisted == 2


def test_webdav_without_propfind_does_the_same(make, plain_server, media_root):
    storage = make(plain_server)
    write(media_root, {"a": b"1"})

    report, _ = compare(storage)

    assert plain_server.files == {"a": b"1"}
    assert report.agrees


class ReluctantTransport(WebDAVTransport):
    """Does not tell what some names are."""

    unknown = ("ext", "secret")

    def browse(self, host, name):
        found = super().browse(host, name)
        for part in self.unknown:
            if part in found.directories or part in found.files:
                found.directories.discard(part)
                found.files.pop(part, None)
                found.others[part] = "the host answers 503 for it"
        return found


def test_what_a_host_does_not_tell_of_is_asked_for(make, server, media_root):
    storage = make(server, transport=ReluctantTransport)
    write(media_root, {"a": b"1", "ext/b": b"2", "secret": b"3"})
    for name in ("a", "ext/b", "secret", "extra"):
        server.create_file(name, b"1")
    server.create_file("ext/extra", b"1")

    _, events = compare(storage, delete=True, max_delete=100)

    assert found(events) == [("extra", "ext/extra", "repaired"), ("extra", "extra", "repaired")]
    assert server.files == {"a": b"1", "ext/b": b"1", "secret": b"1"}
    notices = [(event.name, event.reason) for event in events if isinstance(event, Notice)]
    assert notices == [(part, "the host answers 503 for it") for part in ("ext", "secret")]


class ClosedTransport(ReluctantTransport):
    """Does not list what it does not tell of."""

    def browse(self, host, name):
        if name in self.unknown:
            raise UnexpectedStatusCode(host, name, "listdir", 403, "PROPFIND was answered 403")
        return super().browse(host, name)


def test_what_a_host_does_not_let_be_looked_at_is_reported_and_left_alone(make, server, media_root):
    storage = make(server, transport=ClosedTransport)
    write(media_root, {"a": b"1", "ext/b": b"2"})
    for name in ("a", "ext/b"):
        server.create_file(name, b"1")

    report, events = compare(storage, delete=True)

    (problem,) = report.hosts[0].problems
    assert "ext cannot be listed: PROPFIND was answered 403" in problem
    assert not report.agrees
    assert found(events) == []


@pytest.mark.parametrize("storage_class", [DistributedStorage, HybridStorage])
def test_hosts_that_list_names_only_are_compared(storage_class, media_root, tmp_path):
    """With the transport of the docs, which has `listdir`, and no `browse`."""
    transport = load_module(ROOT / "docs" / "write-a-transport.md", "resto_folder").FolderTransport
    folders = [tmp_path / "media-1", tmp_path / "media-2"]
    storage = storage_class([str(folder) for folder in folders], "/media/", transport=transport)
    for root in [*folders, media_root]:
        write(root, {"a": b"1", "d/b": b"12", "d/c": b"3"})
    (folders[0] / "a").unlink()
    (folders[1] / "d" / "b").write_bytes(b"1")

    report, events = compare(storage)

    assert {event.name for event in events} == {"a", "d/b"}
    assert report.problems == []


class TupleTransport(WebDAVTransport):
    """Does not keep its promise of a `Directory`."""

    answer = (["d"], ["a"])

    def browse(self, host, name):
        return self.answer if host == self.bad else super().browse(host, name)


@pytest.mark.parametrize(
    "answer",
    [
        (["d"], ["a"]),
        True,
        Directory(["d"], {"a": 1}),
        Directory({"d"}, ["a"]),
        Directory({b"d"}, {}),
        Directory({".."}, {}),
        Directory(set(), {"a/b": 1}),
    ],
    ids=repr,
)
def test_listing_that_is_none_stops_the_host_and_no_other(resto_server_factory, media_root, monkeypatch, answer):
    bad, good = resto_server_factory(), resto_server_factory()
    monkeypatch.setattr(TupleTransport, "answer", answer)
    monkeypatch.setattr(TupleTransport, "bad", bad.url, raising=False)
    storage = HybridStorage([bad.url, good.url], "/media/", transport=TupleTransport)
    write(media_root, {"a": b"1"})

    report, _ = compare(storage)

    assert report.hosts[0].problems == ["/: the transport TupleTransport returned no Directory with names"]
    assert report.hosts[1].agrees
    assert good.files == {"a": b"1"}


# Hosts that fail.


@pytest.mark.parametrize("fault", ["refuse", "hang", "refuse_code"])
@pytest.mark.parametrize("storage_class", [HybridStorage, DistributedStorage])
def test_a_host_that_fails_does_not_stop_the_others(resto_server_factory, media_root, fault, storage_class):
    good, bad, other = [resto_server_factory() for _ in range(3)]
    hosts = [good.url, {"url": bad.url, "timeout": 0.3 if fault == "hang" else 5}, other.url]
    master = {f"{number}/{number}": b"1" for number in range(40)}
    write(media_root, master)
    if storage_class is DistributedStorage:
        for name, content in master.items():
            good.create_file(name, content)
    storage = storage_class(hosts, "/media/", transport="webdav")
    setattr(bad, fault, 403 if fault == "refuse_code" else True)

    report, events = compare(storage)

    bad.heal()
    assert [host.agrees for host in report.hosts] == [True, False, True]
    assert not report.agrees
    assert report.hosts[1].problems
    assert len(bad.requests) < 30
    if storage_class is HybridStorage:
        assert good.files == other.files == master
    else:
        assert [event.sizes for event in events] == [{good.url: 1, other.url: None}] * 40


def test_a_host_that_dies_meanwhile_is_given_up(make, resto_server_factory, media_root):
    servers = [resto_server_factory() for _ in range(2)]
    storage = make(*servers)
    master = {f"{number:03}": b"1" for number in range(200)}
    write(media_root, master)

    def die(method, path):
        if method == "PUT":
            servers[0].refuse = True

    servers[0].on_request = lambda method, path: threading.Thread(target=die, args=(method, path)).start()
    report, _events = compare(storage)

    assert servers[1].files == master
    assert report.hosts[1].agrees
    assert "does not answer, and was given up" in report.hosts[0].problems[0]
    assert report.hosts[0].failed < 100


@pytest.mark.parametrize("storage_class", [HybridStorage, DistributedStorage])
def test_content_that_cannot_be_read_is_a_failure(resto_server_factory, media_root, storage_class):
    servers = [resto_server_factory() for _ in range(2)]
    storage = storage_class([server.url for server in servers], "/media/", transport="webdav")
    write(media_root, {"a": b"1"})
    for server in servers:
        server.create_file("a", b"1")
    servers[0].fault_methods, servers[0].refuse_code = {"GET"}, 500

    report, events = compare(storage, checksum=True)

    assert found(events) == [("unknown", "a", "failed")]
    assert [host.agrees for host in report.hosts] == [False, True]


def test_observers_are_told_of_questions_and_repairs(make, server, media_root, monkeypatch):
    told = []
    monkeypatch.setattr(get_plugin_manager(), "notify", told.append)
    storage = make(server)
    write(media_root, {"a": b""})
    compare(storage)
    assert [(outcome.action, outcome.name, outcome.ok) for outcome in told] == [
        ("listdir", "", True),
        ("repair", "a", True),
    ]


# Hosts that are busy.


@pytest.fixture
def slept(monkeypatch):
    """How long was waited; who waits does not, here."""
    slept = []
    monkeypatch.setattr(hosts, "sleep", slept.append)
    return slept


@pytest.mark.parametrize(
    ("kind", "refused"), [(HybridStorage, "PUT"), (HybridStorage, "PROPFIND"), (DistributedStorage, "PROPFIND")]
)
def test_a_host_that_wants_to_be_asked_later_is(resto_server_factory, media_root, slept, monkeypatch, kind, refused):
    servers = [resto_server_factory(), resto_server_factory()]
    storage = kind([server.url for server in servers], "/media/", transport="webdav")
    tree = {f"{number:02}": b"1" for number in range(50)}
    write(media_root, tree)
    for name in tree:
        servers[0].create_file(name, b"1")
    busy = servers[1]
    busy.refuse_code, busy.retry_after, busy.fault_methods = 503, "30", {refused}
    monkeypatch.setattr(hosts, "sleep", lambda seconds: (slept.append(seconds), busy.heal()))

    report, _ = compare(storage)

    assert slept == [30]
    assert report.hosts[1].problems == []
    if kind is HybridStorage:
        assert busy.files == tree
        assert report.agrees


@pytest.mark.parametrize("refused", ["PUT", "PROPFIND"])
def test_a_host_that_is_busy_for_too_long_is_given_up(make, server, media_root, slept, refused):
    storage = make(server)
    write(media_root, {"a": b"1", "b": b"1"})
    server.refuse_code, server.retry_after, server.fault_methods = 429, "400", {refused}

    report, _ = compare(storage)

    assert slept == [400]
    assert "it wants to be left alone for 400 s, after 400 s before, and was given up" in report.hosts[0].problems
    assert not report.agrees
