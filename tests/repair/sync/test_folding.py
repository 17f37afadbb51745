"""Names that differ by their spelling only, on hosts that take them for one."""

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


# Two forms of Unicode.

COMPOSED, DECOMPOSED = "caf\u00e9", "cafe\u0301"
OTHER_FORM = "the host takes both forms of Unicode for one, those of letters with accents, and has %a in its place: rename one of them"


@pytest.fixture
def one_form(resto_server_factory):
    return resto_server_factory(folds_forms=True)


@pytest.mark.parametrize("checksum", [False, True])
def test_a_host_that_folds_forms_has_one_of_two_files_and_the_other_is_named(
    make, one_form, server, media_root, checksum
):
    write(media_root, {COMPOSED: b"composed", DECOMPOSED: b"and decomposed", "other": b"1"})
    storage = make(one_form, server)
    compare(storage)
    assert one_form.files == {DECOMPOSED: b"and decomposed", "other": b"1"}
    assert server.files.keys() == {COMPOSED, DECOMPOSED, "other"}

    report, events = compare(storage, checksum=checksum)

    assert told(events) == [(COMPOSED, "failed", OTHER_FORM % DECOMPOSED)]
    assert [host.agrees for host in report.hosts] == [False, True]
    assert report.hosts[0].repaired == 0


@pytest.mark.parametrize("delete", [False, True])
def test_a_host_that_makes_another_form_of_names_has_them(make, one_form, media_root, delete):
    one_form.create_file(f"{DECOMPOSED}/{DECOMPOSED}", b"1")
    write(media_root, {f"{COMPOSED}/{COMPOSED}": b"1", f"{COMPOSED}/other": b"2"})
    storage = make(one_form)
    options = {"delete": delete, "max_delete": 100}
    assert found(compare(storage, **options)[1]) == [("missing", f"{COMPOSED}/other", "repaired")]
    assert one_form.files == {f"{DECOMPOSED}/{DECOMPOSED}": b"1", f"{DECOMPOSED}/other": b"2"}
    report, events = compare(storage, **options)
    assert (report.agrees, events) == (True, [])

    (media_root / COMPOSED / COMPOSED).write_bytes(b"new")
    compare(storage, **options)
    assert one_form.files[f"{DECOMPOSED}/{DECOMPOSED}"] == b"new"


def test_a_host_that_tells_forms_apart_has_the_wrong_one(make, server, media_root):
    server.create_file(DECOMPOSED, b"1")
    write(media_root, {COMPOSED: b"1"})
    compare(make(server), delete=True, max_delete=100)
    assert server.files == {COMPOSED: b"1"}


def test_a_host_that_folds_both_is_tried_for_both(make, resto_server_factory, media_root):
    both = resto_server_factory(folds_case=True, folds_forms=True)
    write(media_root, {"\u00c9": b"upper", "e\u0301": b"lower", "\u00e9": b"lower too"})
    report, events = compare(make(both))
    assert both.files == {"e\u0301": b"lower"}
    assert {name: state for name, state, _ in told(events)} == {
        "e\u0301": "repaired",
        "\u00c9": "failed",
        "\u00e9": "failed",
    }
    assert not report.agrees


@pytest.mark.parametrize("is_first", [False, True])
def test_hosts_without_a_master_copy_have_one_file_in_two_forms(resto_server_factory, is_first):
    exact, folding = resto_server_factory(), resto_server_factory(folds_forms=True)
    exact.create_file(COMPOSED, b"1")
    folding.create_file(DECOMPOSED, b"1")
    hosts = [folding.url, exact.url] if is_first else [exact.url, folding.url]
    report, events = compare(DistributedStorage(hosts, "/media/", transport="webdav"))
    assert (report.agrees, events) == (True, [])


def test_forms_are_not_tried_if_nothing_shall_change(make, one_form, media_root):
    one_form.create_file(DECOMPOSED, b"1")
    write(media_root, {COMPOSED: b"1"})
    _, events = compare(make(one_form), dry_run=True)
    assert found(events) == [("extra", DECOMPOSED, "found"), ("missing", COMPOSED, "found")]
    assert not any(request.method == "PUT" for request in one_form.requests)
