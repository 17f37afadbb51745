"""The walk: what is asked for ahead, how far it goes, and what is named without being compared."""

import os
import threading
from collections import Counter
from copy import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.comparison import compare, write
from resto.outcomes import Outcome
from resto.repair.sync import Disagreement, HostReport, Notice, walk
from resto.repair.sync.with_master import LOT
from resto.storage import DistributedStorage, HybridStorage
from resto.transports import Directory
from resto.transports.webdav import WebDAVTransport


# What is asked for while something else is done.


# More than what waits for the next directories.
MANY = {f"{number:03}": b"1" for number in range(LOT + 1)}


class PlainTransport(WebDAVTransport):
    """Begins nothing without waiting."""

    def begin(self, method, host, name, *args):
        return None


@pytest.mark.parametrize("transport", ["webdav", PlainTransport])
def test_next_directories_are_on_their_way_while_files_are_sent(make, server, media_root, transport):
    storage = make(server, transport=transport, timeout=20)
    write(media_root, MANY | {"d/b": b"1"})
    server.create_file("d/b", b"1")
    listed, overlaps = threading.Event(), []
    browse = storage.browse

    def browse_when_sent(name):
        assert name != "d" or overlaps
        return browse(name)

    storage.browse = browse_when_sent

    def watch(method, path):
        if method == "PROPFIND" and path.endswith("/d/"):
            listed.set()
        if method == "PUT":
            overlaps.append(listed.wait(10))

    server.on_request = watch
    report, _ = compare(storage)

    assert overlaps == [True] * len(MANY)
    assert report.agrees


def test_next_directories_are_on_their_way_while_others_are_looked_at(make, server, media_root):
    storage = make(server, timeout=20)
    names = [f"{number:02}/a" for number in range(walk.GROUP + 1)]
    write(media_root, dict.fromkeys(names, b"1"))
    for name in names:
        server.create_file(name, b"1")
    listed, overlaps = threading.Event(), []
    server.on_request = lambda method, path: listed.set() if path == f"/{walk.GROUP:02}/" else None
    browse = storage.browse

    def watch(name):
        if name == "00":
            overlaps.append(listed.wait(10))
        return browse(name)

    storage.browse = watch
    assert compare(storage)[0].agrees
    assert overlaps == [True]


@pytest.mark.parametrize("directories", [1, 3, 60])
def test_no_more_than_a_few_directories_are_asked_for_ahead(make, server, media_root, directories):
    storage = make(server)
    names = [f"{number:02}/a" for number in range(directories)]
    write(media_root, dict.fromkeys(names, b"1"))
    for name in names:
        server.create_file(name, b"1")
    asked, ahead = [], []
    server.on_request = lambda method, path: asked.append(path)
    browse = storage.browse

    def watch(name):
        seen.add(name)
        ahead.append(len(asked) - len(seen))
        return browse(name)

    seen = set()
    storage.browse = watch
    assert compare(storage)[0].agrees
    assert len(asked) == directories + 1
    assert max(ahead) <= walk.GROUP


@pytest.mark.parametrize(("fresh", "extras"), [(-1, set()), (3600, {"d/gone"})])
def test_listings_that_have_waited_long_are_asked_for_again(make, server, media_root, monkeypatch, fresh, extras):
    """The site deletes a file while others are sent, after the directory of that file was listed."""
    monkeypatch.setattr(walk, "FRESH", fresh)
    storage = make(server, timeout=20)
    write(media_root, MANY | {"d/b": b"1", "d/gone": b"1"})
    server.create_file("d/b", b"1")
    server.create_file("d/gone", b"1")
    listed = threading.Event()

    def watch(method, path):
        if method == "PROPFIND" and path.endswith("/d/"):
            listed.set()

    def delete_once_listed(method, path):
        if method == "PUT":
            assert listed.wait(10)
            (media_root / "d" / "gone").unlink(missing_ok=True)
            server.on_request = lambda method, path: server.delete_file("d/gone") if path.endswith("/d/") else None

    server.on_applied = watch
    server.on_request = delete_once_listed
    _, events = compare(storage)

    assert {event.name for event in events if event.kind == "extra"} == extras


def test_what_was_asked_for_is_waited_for_when_it_ends_early(make, server, media_root, monkeypatch):
    """A connection with an answer that nobody has read would be of no use to anyone."""
    storage = make(server)
    write(media_root, MANY | {"d/b": b"1", "e/b": b"1"})
    for name in ("d/b", "e/b"):
        server.create_file(name, b"1")
    compare(storage)
    monkeypatch.setattr(storage, "repair_each", lambda *args, **options: 1 / 0)
    for name in MANY:
        server.delete_file(name)

    with pytest.raises(ZeroDivisionError):
        compare(storage)

    transport = storage.transport_for(server.url)
    known = {request.connection for request in server.requests}
    assert transport.exists(server.url, "d/b")
    assert server.requests[-1].connection in known


# How far it goes.


@pytest.mark.parametrize("name", ["d", ".d"])
def test_a_file_is_not_looked_into_that_is_in_the_way_of_a_directory(make, server, media_root, name):
    storage = make(server)
    write(media_root, {f"{name}/a": b"1", "e/b": b"1"})
    server.create_file(name, b"in the way")
    server.create_file("e/b", b"1")

    report, _ = compare(storage, delete=True, force=True)

    assert report.agrees
    assert server.files == {f"{name}/a": b"1", "e/b": b"1"}
    assert {path for method, path, _ in server.log if method == "PROPFIND" and path.endswith("/")} == {"/", "/e/"}


def test_links_are_followed_but_not_in_circles(make, server, media_root, tmp_path):
    storage = make(server)
    write(media_root, {"d/a": b"1"})
    write(tmp_path, {"elsewhere/b": b"2", "file": b"3"})
    (media_root / "link").symlink_to(tmp_path / "elsewhere")
    (media_root / "c").symlink_to(tmp_path / "file")
    (media_root / "d" / "top").symlink_to(media_root)
    (media_root / "d" / "here").symlink_to(".")
    (tmp_path / "elsewhere" / "d").symlink_to(media_root / "d")

    report, events = compare(storage)

    assert server.files == {"d/a": b"1", "link/b": b"2", "c": b"3", "link/d/a": b"1"}
    circles = {event.name for event in events if isinstance(event, Notice)}
    assert circles == {"d/top", "d/here", "link/d/top", "link/d/here"}
    assert report.agrees


def test_links_between_two_directories_end(make, server, media_root):
    storage = make(server)
    write(media_root, {"a/x": b"1", "b/y": b"2"})
    (media_root / "a" / "b").symlink_to(media_root / "b")
    (media_root / "b" / "a").symlink_to(media_root / "a")

    report, _ = compare(storage)

    assert server.files == {"a/x": b"1", "b/y": b"2", "a/b/y": b"2", "b/a/x": b"1"}
    assert report.agrees


def test_a_host_that_leads_in_circles_does_not_keep_it_busy(make, server, media_root, monkeypatch):
    storage = make(server)
    write(media_root, {"a": b""})
    transport = storage.transport_for(server.url)
    monkeypatch.setattr(transport, "browse", lambda host, name: Directory({"d"}, {"a": 0}))

    report, _ = compare(storage)

    assert "too deep" in report.problems[0]


# Hosts that make up directories.


def inventing(transport, number=20, files=0):
    """Let a host have new directories in each directory; return what it was asked for."""
    asked = []

    def browse(host, name):
        asked.append(name)
        names = {f"{name.count('/')}-{len(asked)}-{n}" for n in range(number)}
        return Directory(names, {f"f{n}": 1 for n in range(files)})

    transport.browse = browse
    return asked


def remade(storage, server):
    """Give one host a transport of its own."""
    transport = copy(storage.transport_for(server.url))
    storage._composed().transports[server.url] = transport
    return transport


@pytest.mark.parametrize("kind", [HybridStorage, DistributedStorage])
def test_host_that_makes_up_directories_is_named_and_others_go_on(
    resto_server_factory, server, media_root, monkeypatch, kind
):
    monkeypatch.setattr(walk, "MAX_LONE", 50)
    media_root.mkdir()
    servers = [server, resto_server_factory(), resto_server_factory()]
    storage = kind([one.url for one in servers], "/media/", transport="webdav")
    tree = {f"d{number}/a": b"1" for number in range(10)}
    write(media_root, tree)
    for name in tree:
        servers[1].create_file(name, b"1")
    for name in list(tree)[:5]:
        servers[2].create_file(name, b"1")
    asked = inventing(remade(storage, server))

    report, events = compare(storage, delete=True)

    liar, good, behind = report.hosts
    most = 50 + walk.LONE_SHARE * (10 if kind is HybridStorage else 5)
    walks = 2 if kind is HybridStorage else 1  # one to count what would be removed
    assert walks * most <= len(asked) <= walks * (most + 11)
    (problem,) = liar.problems
    assert f"more than {most} directories" in problem
    assert ("the master copy lacks" if kind is HybridStorage else "no other host lists") in problem
    assert not report.agrees
    assert good.agrees
    assert good.problems == behind.problems == []
    if kind is HybridStorage:
        assert servers[2].files == tree
        assert behind.repaired == 5
    else:
        assert {event.name for event in events if isinstance(event, Disagreement)} >= set(list(tree)[5:])


@given(
    number=st.integers(0, 30),
    most=st.integers(0, 30),
    share=st.integers(0, 3),
    more=st.integers(0, 30),
    truth=st.integers(0, 5),
    together=st.booleans(),
    has_truth=st.booleans(),
)
def test_every_walk_ends(number, more, most, share, truth, together, has_truth):
    """However many directories hosts make up, and if there is a truth, even if they make up the same, or one more than another."""
    real = {f"d{n}" for n in range(truth)}
    asked = Counter()

    class Inventing(FolderlessHosts):
        def answer(self, host, name):
            asked[host] += 1
            own = "" if together else host
            made_up = {f"{own}{n}" for n in range(number + (more if host == "g" else 0))}
            return Directory(made_up | (set() if name else real))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(walk, "MAX_LONE", most)
        patch.setattr(walk, "LONE_SHARE", share)
        hosts, problems = Inventing(), []
        going = walk.Walk(
            hosts,
            lambda node: Directory() if node.name or not has_truth else Directory(set(real)),
            lambda *visited: None,
            problems,
            has_truth=has_truth,
        )
        if together and number and not has_truth:
            return  # what all have is not made up, as far as anybody can tell
        going.go("", lambda: None)
    allowed = most + share * truth
    for host in hosts.reports:
        assert asked[host] <= 1 + truth + allowed
        too_many = (number + (more if host == "g" else 0)) * (1 + truth) > allowed
        assert len(hosts.reports[host].problems) <= 1
        assert not too_many or f"more than {allowed} directories" in hosts.reports[host].problems[0]


class FolderlessHosts:
    """Two hosts as a walk knows them, without servers."""

    def __init__(self):
        self.reports = {host: HostReport(host) for host in ("g", "h")}

    def active(self):
        return list(self.reports)

    def begin_listing(self, host, name):
        outcome = Outcome("listdir", host, name, 0, self.answer(host, name))
        return lambda: outcome

    def read_listings(self, outcomes):
        return {outcome.host: outcome.value for outcome in outcomes}


def test_directories_that_only_a_host_has_are_looked_into_in_the_end(make, server, media_root):
    """When it is known how many there may be; and as many as that are."""
    storage = make(server)
    write(media_root, {"m/a": b"1", "z/a": b"1"})
    for name in ("a/x/y", "m/a", "m/n/b", "z/a"):
        server.create_file(name, b"1")
    assert compare(storage, delete=True, force=True)[0].agrees
    assert server.files == {"m/a": b"1", "z/a": b"1"}
    asked = [path for method, path, _ in server.log if method == "PROPFIND" and path.endswith("/")]
    assert set(asked[:3]) == {"/", "/m/", "/z/"}
    assert sorted(asked[3:]) == ["/a/", "/a/x/", "/m/n/"]


def test_many_directories_that_are_too_deep_are_not_all_told(make, server, media_root, monkeypatch):
    storage = make(server)
    write(media_root, {"a": b""})
    monkeypatch.setattr(walk, "MAX_DEPTH", 1)
    parts = {f"d{number}" for number in range(100)}
    transport = storage.transport_for(server.url)
    monkeypatch.setattr(transport, "browse", lambda host, name: Directory(set(parts) if not name.count("/") else set()))
    report, _ = compare(storage)
    assert len(report.problems) == walk.MAX_TOO_DEEP


# What is not compared.


def test_names_that_cannot_be_stored_are_named_with_the_reason(make, server, media_root):
    storage = make(server)
    good = {"good": b"", "back\\slash": b"", "x" * 255: b""}
    write(media_root, {**good, "new\nline": b"", "d\\..\\a": b"", ".resto-0123": b""})

    report, events = compare(storage)

    assert server.files == good
    reasons = {event.name: event.reason for event in events if isinstance(event, Notice)}
    assert reasons.keys() == {"new\nline", "d\\..\\a"}
    assert "control character" in reasons["new\nline"]
    assert report.agrees


def test_what_is_no_file_is_named(make, server, media_root):
    storage = make(server)
    write(media_root, {"d/a": b"1"})
    (media_root / "broken").symlink_to("nowhere")
    (media_root / "itself").symlink_to("itself")
    os.mkfifo(media_root / "pipe")

    _report, events = compare(storage)

    assert {event.name for event in events if isinstance(event, Notice)} == {"broken", "itself", "pipe"}
    assert server.files == {"d/a": b"1"}


def test_what_begins_as_names_of_resto_is_named_and_stays(make, server, media_root):
    storage = make(server)
    write(media_root, {"a": b""})
    server.create_file(".resto-0123", b"half")

    _report, events = compare(storage, delete=True, force=True)

    (notice,) = [event for event in events if isinstance(event, Notice)]
    assert (notice.host, notice.name) == (server.url, ".resto-0123")
    assert "for files of resto's own" in notice.reason
    assert server.has_file(".resto-0123")
