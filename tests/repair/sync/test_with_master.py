"""Hosts become equal to the master copy: for any two trees, and for whatever is done to them meanwhile."""

import os
import tempfile
import threading
from pathlib import Path

import pytest
from django.core.files.base import ContentFile
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kit.comparison import PARTS, TREES, compare, found, write
from resto.executors import Executor
from resto.progress import Progress
from resto.storage import HybridStorage
from resto.testing import TestHttpServer
from resto.transports import multistatus
from sites.workshop.site import files_below


BUDGET = settings.default.max_examples


# Any two trees.


def is_in_the_way(name, host):
    """Whether a host has a directory where a file should be."""
    return any(other.startswith(f"{name}/") for other in host)


def has_a_file_above(name, host):
    return any(name.startswith(f"{other}/") for other in host)


@settings(max_examples=BUDGET)
@given(master=TREES, host=TREES, webdav=st.booleans())
@example(master={"a": b""}, host={"a/b": b""}, webdav=True)
@example(master={"a/b": b""}, host={"a": b""}, webdav=True)
@example(master={".hidden/a": b"1"}, host={".hidden/a": b"1"}, webdav=False)
def test_host_equals_the_master_copy_or_what_is_left_is_reported(master, host, webdav):
    with tempfile.TemporaryDirectory() as location, TestHttpServer(webdav=webdav) as server:
        write(location, master)
        for name, content in host.items():
            server.create_file(name, content)
        storage = HybridStorage([server.url], "/media/", location, transport="webdav" if webdav else "http")
        same_size = {name for name in master if name in host and len(master[name]) == len(host[name])}

        report, events = compare(storage, dry_run=True)
        assert server.files == host
        assert files_below(Path(location)) == master
        expected = {name for name in master if name not in same_size}
        if webdav:
            expected |= host.keys() - master.keys()
            assert report.agrees is not bool(expected)
        assert {event.name for event in events} == expected

        told = []
        report, events = compare(storage, told)
        assert (told[-1].done, told[-1].is_final) == (told[-1].total or 0, True)
        assert told[-1].done == len(master.keys() | host.keys() if webdav else master)
        blocked = {name for name in master if is_in_the_way(name, host) or has_a_file_above(name, host)}
        held = {name: content for name, content in server.files.items() if name in master}
        assert held == {name: host[name] if name in same_size else master[name] for name in master.keys() - blocked}
        assert {name: content for name, content in server.files.items() if name not in master} == {
            name: content for name, content in host.items() if name not in master
        }
        assert report.hosts[0].failed == len(blocked)

        told.clear()
        report, events = compare(storage, told, delete=True, force=True, checksum=True)
        assert (told[-1].done, told[-1].is_final) == (told[-1].total or 0, True)
        blocked = {name for name in master if is_in_the_way(name, host)}
        if webdav:
            assert server.files == {name: content for name, content in master.items() if name not in blocked}
            assert report.agrees is not bool(blocked)
            assert compare(storage)[0].agrees is not bool(blocked)


# While the site saves and deletes.


class UnorderedExecutor(Executor):
    """Keeps no lanes, as if the storage were in a process of its own."""

    def run(self, jobs):
        return [job.run() for job in jobs]

    def submit(self, jobs):
        self.run(jobs)


CHANGES = st.lists(st.tuples(st.integers(0, 6), st.sampled_from(["save", "delete"]), PARTS), max_size=6)


@settings(max_examples=BUDGET // 2)
@given(master=TREES, host=TREES, changes=CHANGES)
@example(master={}, host={"a": b""}, changes=[(1, "save", "a")])
@example(master={"a": b"1"}, host={}, changes=[(1, "delete", "a")])
def test_nothing_is_lost_that_is_saved_or_deleted_meanwhile(master, host, changes):
    """Before each request is carried out, another process of the site may change files."""
    if any(is_in_the_way(name, host) for name in [*master, *(part for _, _, part in changes)]):
        return
    if any(is_in_the_way(part, master) for _, _, part in changes):
        return
    with tempfile.TemporaryDirectory() as location, TestHttpServer(webdav=True) as server:
        write(location, {"always": b"", **master})
        for name, content in host.items():
            server.create_file(name, content)
        storage = HybridStorage([server.url], "/media/", location, transport="webdav")
        other = HybridStorage(
            [server.url],
            "/media/",
            location,
            transport="webdav",
            executor=UnorderedExecutor,
            allow_overwrite=True,
        )
        lock, requests, busy = threading.Lock(), iter(range(1000)), threading.Event()

        def change(method, path):
            if busy.is_set() or not lock.acquire(blocking=False):
                return  # it is the request of a change
            try:
                number = next(requests)
                for when, what, name in changes:
                    if when == number:
                        busy.set()
                        act(what, name)
                        busy.clear()
            finally:
                lock.release()

        def act(what, name):
            if what == "save":
                other.save(name, ContentFile(b"new content"))
            else:
                other.delete(name)

        server.on_request = change
        compare(storage, delete=True, force=True, checksum=True)
        server.on_request = None
        assert server.files == files_below(Path(location))


def test_a_file_that_is_saved_before_its_removal_stays(make, server, media_root):
    storage = make(server)
    write(media_root, {f"{number}": b"" for number in range(20)})
    server.create_file("late", b"old")
    repair_each = storage.repair_each

    def save_first(differences, **options):
        found = list(differences)
        if "late" in [name for _, name in found] and not (media_root / "late").exists():
            (media_root / "late").write_bytes(b"saved")
        return repair_each(found, **options)

    storage.repair_each = save_first
    compare(storage, delete=True, force=True)

    assert server.get_file("late") == b"saved"


# What may be removed.


def test_extra_files_stay_unless_they_are_to_be_deleted(make, server, media_root):
    storage = make(server)
    write(media_root, {"a": b"1"})
    server.create_file("extra", b"1")

    report, events = compare(storage)

    assert found(events) == [("extra", "extra", "kept"), ("missing", "a", "repaired")]
    assert not report.agrees
    assert server.files == {"a": b"1", "extra": b"1"}


@pytest.mark.parametrize(
    ("extra", "max_delete", "removed"), [(1, 10, True), (2, 10, False), (2, 20, True), (1, 0, False)]
)
def test_nothing_is_removed_if_it_would_be_too_much(make, server, media_root, extra, max_delete, removed):
    storage = make(server)
    master = {f"{number}": b"" for number in range(10 - extra)}
    write(media_root, master)
    for name in [*master, *(f"d/{number}" for number in range(extra))]:
        server.create_file(name, b"")

    report, _ = compare(storage, delete=True, max_delete=max_delete)

    assert report.agrees is removed
    assert len(server.files) == (10 - extra if removed else 10)
    assert bool(report.hosts[0].problems) is not removed
    report, _ = compare(storage, delete=True, max_delete=max_delete, force=True)
    assert server.files == master
    assert report.agrees


@pytest.mark.parametrize("prefix", ["", "d"])
def test_an_empty_master_copy_removes_nothing_unless_forced(make, server, media_root, prefix):
    storage = make(server)
    server.create_file("d/a", b"")

    report, _ = compare(storage, delete=True, max_delete=100, prefix=prefix)

    assert "empty or missing" in report.problems[0]
    assert server.files == {"d/a": b""}
    report, _ = compare(storage, delete=True, force=True, prefix=prefix)
    assert server.files == {}
    assert report.agrees


@pytest.mark.parametrize("force", [False, True])
def test_a_missing_master_copy_removes_nothing(make, server, media_root, force):
    storage = make(server)
    media_root.rmdir()
    server.create_file("a", b"")

    report, events = compare(storage, delete=True, force=force)

    assert events == []
    assert "is missing; is it mounted?" in report.problems[0]
    assert server.files == {"a": b""}


def test_a_master_copy_that_vanishes_meanwhile_removes_nothing(make, server, media_root):
    """As when a file system is unmounted: the directory is there, and empty."""
    storage = make(server)
    write(media_root, {"a": b"1", "b": b"22"})
    server.create_file("a", b"other")
    server.create_file("extra", b"")

    def unmount(method, path):
        for name in media_root.iterdir():
            name.rename(media_root.parent / name.name)
        server.on_applied = None

    # The listing of the first pass is answered.
    server.on_applied = unmount
    report, _events = compare(storage)

    assert server.files == {"a": b"other", "extra": b""}
    assert not report.agrees


def test_more_extra_files_than_were_counted_stay(make, server, media_root):
    storage = make(server)
    write(media_root, {f"{number}": b"" for number in range(9)})
    for number in range(10):
        server.create_file(f"{number}", b"")
    listings = []

    def add(method, path):
        if method == "PROPFIND" and not listings.append(path) and len(listings) == 1:
            for number in range(20, 30):
                server.create_file(f"{number}", b"")

    server.on_applied = add
    report, events = compare(storage, delete=True)

    assert not report.agrees
    assert sorted(state for _, _, state in found(events)).count("kept") == 10
    assert len(server.files) == 19


# What cannot be compared.


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_directory_that_cannot_be_read_is_not_taken_for_an_empty_one(make, server, media_root):
    storage = make(server)
    write(media_root, {"a": b"", "d/b": b""})
    compare(storage)
    (media_root / "d").chmod(0)
    try:
        report, _ = compare(storage, delete=True, force=True)
    finally:
        (media_root / "d").chmod(0o755)
    assert "cannot be read" in report.problems[0]
    assert server.files == {"a": b"", "d/b": b""}


def test_a_directory_whose_listing_fails_is_not_taken_for_an_empty_one(make, server, media_root, monkeypatch):
    storage = make(server)
    write(media_root, {"a": b"", "d/b": b""})
    compare(storage)
    browse = storage.browse

    def fail(name):
        if name == "d":
            raise PermissionError(13, "Permission denied")
        return browse(name)

    storage.browse = fail
    report, _ = compare(storage, delete=True, force=True)
    assert report.problems == ["d of the master copy cannot be read: permission denied"]
    assert server.files == {"a": b"", "d/b": b""}


def test_a_directory_in_the_way_is_not_removed(make, server, media_root):
    storage = make(server)
    write(media_root, {"a": b"", "d": b""})
    server.create_file("d/extra", b"")

    report, events = compare(storage, delete=True, force=True)

    assert found(events) == [("extra", "d/extra", "repaired"), ("missing", "a", "repaired"), ("missing", "d", "failed")]
    assert "directory of this name is in the way" in next(event.problem for event in events if event.name == "d")
    assert not report.agrees


def test_a_file_that_is_refused_is_a_failure(make, server, media_root):
    storage = make(server)
    write(media_root, {"a": b"1"})
    server.disk_full = True

    report, events = compare(storage)

    (event,) = events
    assert (event.kind, event.state) == ("missing", "failed")
    assert "507" in event.problem
    assert report.hosts[0].failed == 1
    assert not report.agrees


def test_a_host_that_refuses_questions_is_a_failure(make, plain_server, media_root):
    storage = make(plain_server, transport="http")
    write(media_root, {"a": b"1"})
    plain_server.fault_methods, plain_server.refuse_code = {"HEAD"}, 500

    report, events = compare(storage)

    assert found(events) == [("unknown", "a", "failed")]
    assert not report.agrees


# What differs in its content only.


def test_contents_of_one_size_differ(make, server, media_root):
    storage = make(server)
    large = os.urandom(200_000)
    write(media_root, {"a": b"1", "b": b"1", "large": large, "whole": large})
    for name, content in {"a": b"1", "b": b"2", "large": large[:-1] + b"x", "whole": large}.items():
        server.create_file(name, content)

    assert compare(storage)[0].agrees
    report, events = compare(storage, checksum=True)

    assert found(events) == [("different", "b", "repaired"), ("different", "large", "repaired")]
    assert server.files == {"a": b"1", "b": b"1", "large": large, "whole": large}
    assert report.agrees


def test_content_without_an_end_is_different(make, server, media_root):
    """No more is read of it than the master copy has."""
    storage = make(server)
    write(media_root, {"a": b"12345"})
    server.create_file("a", b"12345")
    server.endless, server.fault_methods = True, {"GET"}
    report, events = compare(storage, checksum=True)
    assert found(events) == [("different", "a", "repaired")]
    assert report.agrees


# How far it is.


def test_what_is_sent_counts_in_one_directory(make, resto_server_factory, media_root):
    servers = [resto_server_factory() for _ in range(2)]
    storage = make(*servers, executor="inline")
    write(media_root, {f"{number:03}": b"12" for number in range(100)})
    servers[0].create_file("000", b"12")

    told = []
    compare(storage, told)

    assert {one.total for one in told if one.done} == {100}
    assert {one.done for one in told} >= {*range(1, 101)}
    assert told[-1] == Progress(100, 100, sent_bytes=398, total_bytes=398, is_final=True)


def test_total_grows_while_a_listing_arrives(make, server, media_root, monkeypatch):
    """That of a large directory takes long, and nothing else is known before it has come."""
    monkeypatch.setattr(multistatus, "_BLOCK", 1_000)
    names = [f"{number}.txt" for number in range(100)]
    write(media_root, dict.fromkeys(names, b"1"))
    for name in names:
        server.create_file(name, b"1")
    storage = make(server)

    told = []
    compare(storage, told)

    before = [one.total for one in told if not one.done]
    assert len([*filter(None, before)]) > 5
    assert before == sorted(before)
    assert not any(one.is_final for one in told if not one.done)
    assert told[-1] == Progress(100, 100, is_final=True)


def test_total_grows_with_the_directories(make, server, media_root):
    write(media_root, {f"{directory}/{number}": b"1" for directory in range(20) for number in range(5)})
    storage = make(server)

    told = []
    compare(storage, told)

    totals = [one.total for one in told]
    assert totals == sorted(totals)
    assert len({*totals}) > 2
    assert {one.is_final for one in told if one.total < 100} == {False}
    assert told[-1] == Progress(100, 100, sent_bytes=100, total_bytes=100, is_final=True)


def test_whoever_removes_counts_first(make, server, media_root):
    write(media_root, {f"{directory}/{number}": b"1" for directory in range(20) for number in range(5)})
    server.create_file("0/old", b"old")
    storage = make(server)

    told = []
    compare(storage, told, delete=True, max_delete=100)

    assert {one.total for one in told if one.done} == {101}
    assert all(one.is_final for one in told if one.done)
    assert told[-1] == Progress(101, 101, sent_bytes=100, total_bytes=100, is_final=True)


def test_nothing_is_dealt_with_on_a_host_that_is_down(make, resto_server_factory, media_root):
    servers = [resto_server_factory() for _ in range(2)]
    storage = make(*servers)
    write(media_root, {"a": b"1", "b": b"1"})
    servers[1].refuse = True

    told = []
    report, _ = compare(storage, told)

    assert not report.agrees
    assert told[-1] == Progress(2, 2, sent_bytes=2, total_bytes=2, is_final=True)
