import io
import threading

import pytest

from kit.kinds import KINDS
from resto.courses import course_of, finish
from resto.exceptions import (
    ConfigurationError,
    HostUnavailableError,
    RemoteDirectoryError,
    RemoteFileNotFoundError,
    TransportError,
)
from resto.transports import Directory, steps, webdav
from resto.transports.steps import path_of
from resto.transports.webdav import WebDAVTransport


DAV_KINDS = [kind for kind, spec in KINDS.items() if spec.propfind and not spec.auth]
MAKES_NOTHING = [kind for kind in DAV_KINDS if not KINDS[kind].makes_parents]
SMALL, LARGE = b"content", bytes(webdav.ASK_FIRST_SIZE + 1)


def methods(server, *wanted):
    return [(method, path) for method, path, _ in server.log if not wanted or method in wanted]


def temporaries(server):
    return [name for name in server.files if ".resto-" in name]


@pytest.fixture
def in_place(resto_server_factory):
    """A server that writes uploads under their final name from the first byte."""
    return resto_server_factory(in_place=True)


# Collections


def test_collections_are_made_when_they_are_missing(transport, resto_server):
    dav = transport("webdav", publish="put")
    assert dav.create(resto_server.url, "a b/c/d.txt", SMALL) is False
    assert methods(resto_server) == [
        ("PUT", "/a%20b/c/d.txt"),
        ("MKCOL", "/a%20b/"),
        ("MKCOL", "/a%20b/c/"),
        ("PUT", "/a%20b/c/d.txt"),
    ]
    assert resto_server.files == {"a b/c/d.txt": SMALL}


def test_collections_are_made_before_a_large_body(transport, resto_server):
    transport("webdav", publish="put").create(resto_server.url, "a/b/c.txt", LARGE)
    assert [method for method, _ in methods(resto_server)] == ["MKCOL", "MKCOL", "PUT", "HEAD"]


def test_collections_are_remembered_for_each_host(transport, resto_server_factory):
    servers = [resto_server_factory(), resto_server_factory()]
    dav = transport("webdav", publish="put")
    for server in servers:
        for name in ("a/b/1.txt", "a/b/2.txt", "a/3.txt"):
            dav.create(server.url, name, LARGE)
        assert [method for method, _ in methods(server, "MKCOL", "PUT")] == ["MKCOL", "MKCOL", "PUT", "PUT", "PUT"]


def test_collections_that_vanished_are_made_again(transport, tmp_path, resto_server_factory):
    server = resto_server_factory(root=tmp_path / "root")
    dav = transport("webdav", publish="put")
    dav.create(server.url, "a/b/1.txt", LARGE)
    (tmp_path / "root/a").rename(tmp_path / "elsewhere")
    assert dav.create(server.url, "a/b/2.txt", LARGE) is False
    assert dav.create(server.url, "a/b/3.txt", SMALL) is False
    assert (tmp_path / "root/a/b/2.txt").stat().st_size == len(LARGE)


def test_files_at_the_top_need_no_collection(transport, resto_server):
    transport("webdav", publish="put").create(resto_server.url, "a.txt", SMALL)
    assert methods(resto_server) == [("PUT", "/a.txt")]


def test_memory_of_collections_is_bounded(transport, resto_server, monkeypatch):
    monkeypatch.setattr(webdav, "MAX_REMEMBERED_COLLECTIONS", 3)
    dav = transport("webdav", publish="put")
    for number in range(10):
        dav.create(resto_server.url, f"{number}/a.txt", SMALL)
    assert len(dav._collections[resto_server.url]) <= 4


@pytest.mark.parametrize("code", [400, 401, 413, 507])
def test_other_refusals_make_no_collection(transport, resto_server, code):
    resto_server.refuse_code = code
    with pytest.raises(TransportError):
        transport("webdav", publish="put").create(resto_server.url, "a/b.txt", SMALL)
    assert methods(resto_server, "MKCOL") == []


def test_a_collection_that_cannot_be_made_is_an_error(transport, resto_server):
    resto_server.fault_methods = {"MKCOL"}
    resto_server.refuse_code = 507
    with pytest.raises(TransportError, match="MKCOL was answered 507"):
        transport("webdav", publish="put").create(resto_server.url, "a/b.txt", SMALL)


@pytest.mark.parametrize("code", sorted(webdav.COLLECTION_MAYBE_THERE - {201}))
def test_the_second_put_decides(transport, resto_server, monkeypatch, code):
    """Whatever the answer to MKCOL, another client may have made the collection meanwhile."""
    monkeypatch.setattr(steps, "LOCK_DELAYS", (0,))
    resto_server.fault_methods = {"MKCOL"}
    resto_server.override_code = code
    assert transport("webdav", publish="put").create(resto_server.url, "a/b/c.txt", SMALL) is False


def test_a_collection_that_somebody_else_makes_is_waited_for(transport, resto_server):
    resto_server.fault_methods = {"MKCOL"}
    resto_server.locked = 2
    transport("webdav", publish="put").create(resto_server.url, "a/b/c.txt", SMALL)
    assert [status for method, _, status in resto_server.log if method == "MKCOL"] == [423, 423, 201, 201]


@pytest.mark.parametrize("kind", DAV_KINDS)
def test_clients_that_make_the_same_collections_at_once_all_succeed(media_servers, kind):
    url, path = media_servers(kind).new_folder()
    together = threading.Barrier(6, timeout=10)
    problems = []

    def work(number):
        dav = WebDAVTransport("/", timeout=10)
        try:
            dav.exists(url, "warm")
            together.wait()
            dav.create(url, f"a/b/c/d/{number}.txt", SMALL)
        except Exception as error:  # noqa: BLE001 - told by the main thread
            problems.append(error)
        finally:
            dav.close()

    threads = [threading.Thread(target=work, args=[number]) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems
    assert sorted(file.name for file in (path / "a/b/c/d").iterdir()) == [f"{number}.txt" for number in range(6)]


# Publishing


@pytest.mark.parametrize(
    ("publish", "kind", "moves"),
    [
        ("put", "atomic", False),
        ("move", "atomic", True),
        ("auto", "atomic", False),
        ("put", "in place", False),
        ("move", "in place", True),
        ("auto", "in place", True),
    ],
)
def test_uploads_are_published(transport, resto_server_factory, publish, kind, moves):
    server = resto_server_factory(in_place=kind == "in place")
    dav = transport("webdav", publish=publish)
    assert dav.create(server.url, "a/b.txt", SMALL) is False
    assert dav.create(server.url, "a/b.txt", b"new") is True
    assert bool(methods(server, "MOVE")) is moves
    assert server.files == {"a/b.txt": b"new"}


@pytest.mark.parametrize(
    ("kind", "moves"),
    [
        ("nginx", False),
        ("nginx-dav", False),
        ("nginx-no-parents", False),
        ("apache", False),
        ("lighttpd", False),
        ("rclone", True),
        ("rclone-1.60", True),
        ("wsgidav", True),
    ],
)
def test_auto_knows_the_servers(media_servers, transport, kind, moves):
    url, _ = media_servers(kind).new_folder()
    dav = transport("webdav", timeout=10)
    dav.create(url, "a.txt", SMALL)
    action = dav._action(url, "b.txt", "upload")
    with pytest.raises(StopIteration) as info:
        next(dav._moves(action))
    assert info.value.value is moves


def test_publish_is_one_of_three():
    with pytest.raises(ConfigurationError, match="'auto', 'put' or 'move', not 'copy'"):
        WebDAVTransport("/", publish="copy")


@pytest.mark.parametrize("size", [100_000, 2_000_000])
@pytest.mark.parametrize("cut", [0, 1, 50_000])
def test_a_cut_upload_leaves_no_broken_file(transport, in_place, size, cut):
    in_place.create_file("a.txt", b"old")
    in_place.reset_after = cut
    in_place.fault_methods = {"PUT"}
    dav = transport("webdav")
    for name in ("a.txt", "new.txt"):
        with pytest.raises(HostUnavailableError):
            dav.create(in_place.url, name, bytes(size))
    assert {name: content for name, content in in_place.files.items() if ".resto-" not in name} == {"a.txt": b"old"}
    in_place.heal()
    assert dav.listdir(in_place.url, "") == ([], ["a.txt"])
    assert [entry.name for entry in dav.scan(in_place.url, "")] == ["a.txt"]


@pytest.mark.parametrize("kind", ["rclone", "rclone-1.60", "wsgidav"])
def test_a_cut_upload_leaves_no_broken_file_on_real_servers(media_servers, transport, kind):
    """The connection is cut by a file that becomes shorter while it is sent."""
    url, _ = media_servers(kind).new_folder()
    dav = transport("webdav", timeout=10)
    dav.create(url, "a.txt", b"old")
    for name in ("a.txt", "new.txt"):
        with pytest.raises(TransportError, match="became shorter"):
            dav.create(url, name, Shrinking(bytes(3_000_000)))
    assert dav.listdir(url, "") == ([], ["a.txt"])
    assert dav.content(url, "a.txt") == b"old"


class Shrinking(io.BytesIO):
    """A file that somebody makes empty while it is read."""

    def read(self, size=-1):
        block = super().read(size)
        self.truncate(0)
        return block


@pytest.mark.parametrize(
    ("faults", "problem"),
    [
        ({"fault_methods": {"MOVE"}, "refuse_code": 500}, "MOVE was answered 500"),
        ({"fault_methods": {"MOVE"}, "refuse_code": 403}, "MOVE was answered 403"),
        ({"truncate_upload": 3}, "it stored 3 of 7 bytes"),
        ({"fault_methods": {"PUT"}, "override_code": 202}, "PUT was answered 202"),
        ({"fault_methods": {"PUT"}, "disk_full": True}, "PUT was answered 507"),
    ],
)
def test_refused_uploads_leave_nothing(transport, in_place, faults, problem):
    dav = transport("webdav")
    dav.exists(in_place.url, "a.txt")
    for knob, value in faults.items():
        setattr(in_place, knob, value)
    with pytest.raises(TransportError, match=problem):
        dav.create(in_place.url, "a.txt", SMALL)
    assert in_place.files == {}


def test_an_upload_that_cannot_be_read_leaves_nothing(transport, in_place):
    with pytest.raises(TransportError, match="became shorter"):
        transport("webdav").create(in_place.url, "a.txt", Shrinking(bytes(3_000_000)))
    assert in_place.files == {}


def test_the_error_of_an_upload_is_the_first_one(transport, in_place):
    dav = transport("webdav", timeout=0.3)
    dav.exists(in_place.url, "a.txt")
    in_place.truncate_upload = 3
    in_place.on_request = lambda method, path: setattr(in_place, "drop_answer", method == "DELETE")
    with pytest.raises(TransportError, match="stored 3 of 7"):
        dav.create(in_place.url, "a.txt", SMALL)


def interrupted(dav, server, name="a.txt"):
    """Begin an upload, and interrupt it when the server has stored it."""
    stored = threading.Event()
    server.on_applied = lambda method, path: stored.set() if method == "PUT" else None
    server.fault_methods, server.delay = {"PUT"}, 60
    course = course_of(dav.create, server.url, name, SMALL)
    assert next(course) is not None
    assert stored.wait(10)
    course.close()
    server.heal()


def test_what_was_interrupted_is_tidied_up(transport, in_place):
    dav = transport("webdav")
    dav.exists(in_place.url, "a.txt")
    interrupted(dav, in_place)
    assert len(temporaries(in_place)) == 1
    dav.tidy_up()
    assert temporaries(in_place) == []
    in_place.log.clear()
    dav.tidy_up()
    assert in_place.log == []


def test_what_had_done_nothing_is_not_tidied_up(transport, in_place):
    """An executor hands over what has to wait until a name is looked up."""
    dav, url = transport("webdav", publish="move"), in_place.url.replace("127.0.0.1", "localhost")
    course = course_of(dav.create, url, "a.txt", SMALL)
    assert next(course) is None
    course.close()
    dav.create(url, "a.txt", SMALL)
    in_place.log.clear()
    dav.tidy_up()
    assert in_place.log == []


def test_a_host_that_is_gone_is_not_waited_for_again_and_again(transport, in_place):
    dav = transport("webdav", timeout=0.5)
    for name in ("a.txt", "b.txt", "c.txt"):
        dav.exists(in_place.url, "a.txt")
        interrupted(dav, in_place, name)
    in_place.hang = True
    in_place.requests.clear()
    dav.tidy_up()
    assert len(in_place.requests) == 1


@pytest.mark.parametrize("kind", [*DAV_KINDS, "testing"])
@pytest.mark.parametrize("publish", ["put", "move"])
def test_an_upload_never_replaces_a_directory(media_servers, transport, in_place, kind, publish):
    url = in_place.url if kind == "testing" else media_servers(kind).new_folder()[0]
    dav = transport("webdav", timeout=10, publish=publish)
    dav.create(url, "d/a.txt", SMALL)
    with pytest.raises(TransportError):
        dav.create(url, "d", b"new")
    assert dav.content(url, "d/a.txt") == SMALL
    assert dav.listdir(url, "") == (["d"], [])


def test_a_second_move_may_fail(transport, in_place):
    in_place.create_file("a.txt", b"old")
    moves = []

    def refuse_second(method, path):
        moves.append(method)
        in_place.readonly = moves.count("MOVE") == 2 and method == "PROPFIND"

    in_place.fault_methods = {"MOVE"}
    in_place.on_request = refuse_second
    with pytest.raises(TransportError, match="MOVE was answered 403"):
        transport("webdav").create(in_place.url, "a.txt", SMALL)
    assert in_place.get_file("a.txt") == b"old"


def test_locked_names_are_tried_again(transport, in_place):
    dav = transport("webdav")
    dav.exists(in_place.url, "a.txt")
    in_place.fault_methods = {"MOVE"}
    in_place.locked = 2
    assert dav.create(in_place.url, "a.txt", SMALL) is False
    assert [status for method, _, status in in_place.log if method == "MOVE"] == [423, 423, 201, 201]


def test_wsgidav_stores_directly_what_it_cannot_move(media_servers, transport):
    url, _ = media_servers("wsgidav").new_folder()
    dav = transport("webdav", timeout=10)
    dav.create(url, "a?b;c.txt", SMALL)
    assert dav.content(url, "a?b;c.txt") == SMALL


def test_that_uploads_are_moved_says_nothing_of_directories(transport, resto_server):
    dav = transport("webdav", publish="move")
    assert dav.try_directories(resto_server.url).spares
    resto_server.create_file("a.txt", SMALL)
    before = len(methods(resto_server))
    dav.delete(resto_server.url, "a.txt")
    assert methods(resto_server)[before:] == [("DELETE", "/a.txt")]


@pytest.mark.parametrize("dates", [False, True], ids=["", "dates directories"])
@pytest.mark.parametrize("publish", ["put", "move"])
def test_no_directory_is_deleted_or_replaced(transport, resto_server_factory, publish, dates):
    server = resto_server_factory(in_place=True, deletes_trees=True, dates_directories=dates)
    dav = transport("webdav", publish=publish)
    for name in ("d", "e"):
        server.create_file(f"{name}/a.txt", SMALL)
        server.create_file(f"{name}.txt", SMALL)
        with pytest.raises(RemoteDirectoryError):
            dav.delete(server.url, name)
        with pytest.raises(TransportError):
            dav.create(server.url, name, b"new")
        assert dav.delete(server.url, f"{name}.txt") is True
    assert server.files == {"d/a.txt": SMALL, "e/a.txt": SMALL}


def test_a_page_of_a_balancer_does_not_tell_how_uploads_are_published(transport, in_place):
    """Of a server that writes in place, behind a balancer that says 502 while it is down."""
    dav = transport("webdav")
    in_place.software, in_place.override_code = "nginx", 502
    with pytest.raises(TransportError, match="502"):
        dav.create(in_place.url, "a.txt", SMALL)
    in_place.heal()
    in_place.software = "rclone/v1.75.2"
    dav.create(in_place.url, "a.txt", SMALL)
    assert methods(in_place, "MOVE")


# Listing


def test_listdir_asks_for_one_directory(transport, resto_server):
    resto_server.create_file("a b/c.txt", SMALL)
    resto_server.create_file("a b/d/e.txt", SMALL)
    assert transport("webdav").listdir(resto_server.url, "a b") == (["d"], ["c.txt"])
    (request,) = resto_server.requests
    assert (request.method, request.path, request.headers["Depth"]) == ("PROPFIND", "/a%20b/", "1")
    assert request.headers["Content-Type"] == "application/xml"


def test_the_root_can_be_listed(transport, resto_server):
    dav = transport("webdav")
    assert dav.listdir(resto_server.url, "") == ([], [])
    resto_server.create_file("a.txt", SMALL)
    assert dav.listdir(resto_server.url, "") == ([], ["a.txt"])


@pytest.mark.parametrize("name", ["missing", "a.txt"])
def test_only_directories_can_be_listed(transport, resto_server, name):
    resto_server.create_file("a.txt", SMALL)
    with pytest.raises(RemoteFileNotFoundError):
        transport("webdav").listdir(resto_server.url, name)


@pytest.mark.parametrize("code", [200, 301, 401, 403, 405, 500])
def test_a_listing_that_is_refused_is_an_error(transport, resto_server, code):
    resto_server.override_code = code
    dav = transport("webdav")
    with pytest.raises(TransportError, match=f"PROPFIND was answered {code}"):
        dav.listdir(resto_server.url, "")
    resto_server.heal()
    assert dav.listdir(resto_server.url, "") == ([], [])
    assert {request.connection for request in resto_server.requests} <= {1, 2}


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"<html>", "cannot be understood: ExpatError"),
        (b'<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>', "cannot be understood: it has a document type"),
        (b"<x/>", "cannot be understood: it names nothing"),
    ],
    ids=["HTML", "entities", "nothing"],
)
def test_a_listing_that_is_none_is_an_error(transport, script, body, problem):
    def handle(peer):
        head = peer.head()
        peer.body(int(head[1]["content-length"]))
        peer.say(b"HTTP/1.1 207 Multi-Status\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

    with pytest.raises(TransportError, match=problem):
        transport("webdav").listdir(script(handle).url, "")


def test_a_listing_that_is_cut_is_an_error(transport, resto_server):
    for number in range(200):
        resto_server.create_file(f"{number}.txt", b"")
    resto_server.reset_after = 30_000
    with pytest.raises(HostUnavailableError, match="broke off"):
        transport("webdav").listdir(resto_server.url, "")


def test_scan_goes_through_all_directories(transport, resto_server):
    files = {"a.txt": b"1", "d/b.txt": b"22", "d/e/f/c.txt": b"333", "x y/é.txt": b""}
    for name, content in files.items():
        resto_server.create_file(name, content)
    dav = transport("webdav")
    entries = {entry.name: entry for entry in dav.scan(resto_server.url, "")}
    assert {name: entry.size for name, entry in entries.items()} == {name: len(body) for name, body in files.items()}
    assert all(entry.modified.tzinfo and entry.etag for entry in entries.values())
    assert sorted(entry.name for entry in dav.scan(resto_server.url, "d")) == ["d/b.txt", "d/e/f/c.txt"]


def test_scan_is_lazy(transport, resto_server):
    resto_server.create_file("a.txt", b"")
    for number in range(5):
        resto_server.create_file(f"{number}/b.txt", b"")
    next(transport("webdav").scan(resto_server.url, ""))
    assert len(resto_server.requests) <= 2


def test_scan_of_what_is_missing_is_an_error(transport, resto_server):
    with pytest.raises(RemoteFileNotFoundError):
        next(transport("webdav").scan(resto_server.url, "missing"))


# Directories with the sizes of files


def test_browse_tells_what_is_in_a_directory(transport, resto_server):
    for name, size in {"a.txt": 1, "d/b.txt": 22, ".resto-0123": 3, "d/e/c.txt": 4}.items():
        resto_server.create_file(name, bytes(size))
    dav = transport("webdav")
    assert dav.browse(resto_server.url, "d") == Directory({"e"}, {"b.txt": 22})
    directory = dav.browse(resto_server.url, "")
    assert (directory.directories, directory.files, [*directory.others]) == ({"d"}, {"a.txt": 1}, [".resto-0123"])
    with pytest.raises(RemoteFileNotFoundError):
        dav.browse(resto_server.url, "missing")
    with pytest.raises(TransportError):
        dav.browse(resto_server.url, "a.txt")


OWN = {"nginx": "scan.0123456789", "lighttpd": "notes.1.2~", "Apache": ".davfs.tmpAbCdEf"}


@pytest.mark.parametrize("software", OWN)
def test_a_file_of_the_site_may_be_called_like_what_a_server_leaves(transport, resto_server, software):
    resto_server.software, name = software, OWN[software]
    resto_server.create_file(f"d/{name}", b"12345")
    resto_server.create_file("d/a.txt", b"1")
    dav = transport("webdav")
    assert dav.browse(resto_server.url, "d").files == {name: 5, "a.txt": 1}
    assert sorted(dav.listdir(resto_server.url, "d")[1]) == sorted([name, "a.txt"])
    assert sorted(entry.name for entry in dav.scan(resto_server.url, "d")) == sorted([f"d/{name}", "d/a.txt"])
    assert methods(resto_server, "HEAD") == [("HEAD", f"/d/{path_of(name)}")] * 3


@pytest.mark.parametrize("software", OWN)
def test_what_a_server_has_for_the_time_of_an_upload_is_not_listed(transport, resto_server, software):
    resto_server.software, name = software, OWN[software]
    dav = transport("webdav")
    for listed in (
        lambda: list(dav.browse(resto_server.url, "").files),
        lambda: dav.listdir(resto_server.url, "")[1],
        lambda: [entry.name for entry in dav.scan(resto_server.url, "")],
    ):
        resto_server.create_file(name, b"1")
        resto_server.on_applied = lambda method, path: method == "PROPFIND" and resto_server.delete_file(name)
        assert listed() == []


def test_scan_does_not_leave_out_what_the_server_does_not_tell_of(transport, script):
    page = (
        b'<multistatus xmlns="DAV:"><response><href>/</href><propstat><prop><resourcetype><collection/></resourcetype>'
        b"</prop></propstat></response><response><href>/d/</href><status>HTTP/1.1 503 Oops</status></response></multistatus>"
    )

    def handle(peer):
        while peer.head():
            peer.say(b"HTTP/1.1 207 Multi-Status\r\nContent-Length: %d\r\n\r\n%s" % (len(page), page))

    with pytest.raises(TransportError, match="of 'd', the host answers 503 for it"):
        list(transport("webdav").scan(script(handle).url, ""))


def test_a_listing_begins_once_a_connection_is_there(transport, resto_server):
    resto_server.create_file("d/b.txt", b"1")
    dav, url = transport("webdav"), resto_server.url.replace("127.0.0.1", "localhost")  # which has to be looked up
    assert next(course_of(dav.browse, url, "")) is None
    dav.exists(url, "d/b.txt")
    for name in ("d", "missing"):
        course = course_of(dav.browse, url, name)
        assert next(course) is not None
        if name == "d":
            assert finish(course) == Directory(set(), {"b.txt": 1})
        else:
            with pytest.raises(RemoteFileNotFoundError):
                finish(course)


def test_browse_without_propfind_is_that_of_plain_http(transport, resto_server_factory):
    plain = resto_server_factory(webdav=False)
    dav = transport("webdav")
    assert dav.browse(plain.url, "") is None
    assert methods(plain) == [("PROPFIND", "/"), ("GET", "/")]
    plain.refuse_code = 500
    with pytest.raises(TransportError):
        dav.browse(plain.url, "")
