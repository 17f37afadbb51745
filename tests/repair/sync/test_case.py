"""Names that differ by upper and lower case only, on hosts that take them for one."""

import pytest

from kit.comparison import compare, found, write
from resto.names import is_temporary
from resto.repair.sync import Difference
from resto.storage import DistributedStorage, HybridStorage
from resto.transports.webdav import WebDAVTransport


BOTH = {"Photo.jpg": b"upper", "photo.jpg": b"and lower", "other.jpg": b"1"}
IN_PLACE = "the host does not tell upper from lower case, and has %r in its place: rename one of them"


@pytest.fixture
def folding(resto_server_factory):
    return resto_server_factory(folds_case=True)


def told(events):
    return [(event.name, event.state, event.problem) for event in events if isinstance(event, Difference)]


@pytest.mark.parametrize("webdav", [True, False])
def test_a_host_that_folds_case_has_one_of_two_files_and_the_other_is_named(media_root, resto_server_factory, webdav):
    folding, exact = resto_server_factory(folds_case=True, webdav=webdav), resto_server_factory(webdav=webdav)
    write(media_root, BOTH)
    transport = "webdav" if webdav else "http"
    storage = HybridStorage([folding.url, exact.url], "/media/", transport=transport)
    compare(storage)
    assert folding.files == {"Photo.jpg": b"upper", "other.jpg": b"1"}
    assert exact.files == BOTH

    report, events = compare(storage)

    assert told(events) == [("photo.jpg", "failed", IN_PLACE % "Photo.jpg")]
    assert events[0].host == folding.url
    assert [host.agrees for host in report.hosts] == [False, True]
    assert report.hosts[0].repaired == 0


def test_whatever_such_a_host_has_it_is_sent_once(make, folding, media_root):
    write(media_root, BOTH)
    folding.create_file("photo.jpg", b"?")
    storage = make(folding)
    _, events = compare(storage, checksum=True)
    assert found(events) == [
        ("different", "photo.jpg", "repaired"),
        ("missing", "Photo.jpg", "failed"),
        ("missing", "other.jpg", "repaired"),
    ]
    assert found(compare(storage, checksum=True)[1]) == [("missing", "Photo.jpg", "failed")]


def test_a_file_that_such_a_host_spells_otherwise_is_named(make, folding, media_root):
    write(media_root, {"Photo.jpg": b"1"})
    folding.create_file("photo.jpg", b"1")
    storage = make(folding)
    report, events = compare(storage)
    assert found(events) == [("extra", "photo.jpg", "kept"), ("missing", "Photo.jpg", "failed")]
    assert not report.agrees

    report, _ = compare(storage, delete=True, max_delete=100)
    assert folding.files == {"Photo.jpg": b"1"}
    assert report.agrees


@pytest.mark.parametrize("delete", [False, True])
def test_a_directory_that_such_a_host_cannot_have_is_not_looked_into(make, folding, media_root, delete):
    write(media_root, {"Photos/a": b"1", "photos/b": b"2", "photos/c/d": b"3", "other/e": b"4"})
    storage = make(folding)
    options = {"delete": delete, "max_delete": 100}
    for _ in range(2):
        _, events = compare(storage, **options)
        assert folding.files == {"Photos/a": b"1", "other/e": b"4"}
    assert told(events) == [("photos", "failed", IN_PLACE % "Photos")]


def test_what_differs_by_more_than_case_takes_no_request_more(make, server, media_root):
    write(media_root, {"a": b"1", "B/c": b"2"})
    compare(make(server))
    assert not [request for request in server.requests if request.path.startswith("/.resto-")]


def test_nothing_is_tried_if_nothing_shall_change(make, folding, media_root):
    write(media_root, BOTH)
    report, events = compare(make(folding), dry_run=True)
    assert {event.name for event in events} == BOTH.keys()
    assert not report.agrees
    assert not any(request.method == "PUT" for request in folding.requests)


@pytest.mark.parametrize("answer", [OSError(), True], ids=["refuses", "says yes to anything"])
def test_a_host_that_cannot_be_tried_is_taken_for_one_that_tells_case(make, folding, media_root, answer):
    class Untried(WebDAVTransport):
        def exists(self, host, name):
            if isinstance(answer, Exception) and is_temporary(name.lower()):
                raise answer
            return answer

    write(media_root, BOTH)
    _, events = compare(make(folding, transport=Untried))
    assert {event.state for event in events} == {"repaired"}


def test_hosts_without_a_master_copy_name_it_too(resto_server_factory):
    folding, exact = resto_server_factory(folds_case=True), resto_server_factory()
    for name, content in {**BOTH, "Photos/a": b"1", "photos/b": b"2"}.items():
        exact.create_file(name, content)
    for name in ("Photo.jpg", "other.jpg", "Photos/a"):
        folding.create_file(name, exact.files[name])
    storage = DistributedStorage([folding.url, exact.url], "/media/", transport="webdav")

    report, events = compare(storage)

    assert sorted(told(events)) == [
        ("photo.jpg", "failed", IN_PLACE % "Photo.jpg"),
        ("photos", "failed", IN_PLACE % "Photos"),
    ]
    assert not report.agrees
