"""Every method over real sockets, with the files in memory and on disk."""

import errno
from xml.etree import ElementTree

import pytest

from resto.testing.actions import answer_for, unquote_path
from resto.transports.http import HttpTransport
from resto.transports.webdav import WebDAVTransport


@pytest.fixture(params=["memory", "folder"])
def dav(request, make_server, tmp_path):
    return make_server(root=None if request.param == "memory" else tmp_path, webdav=True)


@pytest.fixture(params=["memory", "folder"])
def plain(request, make_server, tmp_path):
    return make_server(root=None if request.param == "memory" else tmp_path, webdav=False)


def hrefs(answer):
    return [element.text for element in ElementTree.fromstring(answer.content).iter("{DAV:}href")]


def test_get(dav, call):
    dav.create_file("d/a.txt", b"content")
    answer = call(dav, "GET", "/d/a.txt")
    assert (answer.status, answer.content) == (200, b"content")
    assert answer.headers["Content-Length"] == "7"
    assert answer.headers["Content-Type"] == "text/plain"
    assert answer.headers["Last-Modified"].endswith("GMT")
    assert answer.headers["ETag"].startswith('"')
    assert answer.headers["Server"] == "resto-testing"


def test_head(dav, call):
    dav.create_file("a.txt", b"content")
    answer = call(dav, "HEAD", "/a.txt")
    assert (answer.status, answer.content) == (200, b"")
    assert answer.headers["Content-Length"] == "7"
    assert answer.headers["ETag"] == call(dav, "GET", "/a.txt").headers["ETag"]


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "PROPFIND"])
@pytest.mark.parametrize("path", ["/missing", "/missing/deep", "/a.txt/below"])
def test_missing(dav, call, method, path):
    dav.create_file("a.txt", b"")
    assert call(dav, method, path, headers={"Depth": "0"}).status == 404


def test_get_of_a_large_file(dav, call):
    content = bytes(range(256)) * 2000
    dav.create_file("a.bin", content)
    assert call(dav, "GET", "/a.bin").content == content


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_get_directory(dav, call, method):
    dav.create_file("é/a.txt", b"")
    answer = call(dav, method, "/%C3%A9")
    assert (answer.status, answer.headers["Location"]) == (301, "/%C3%A9/")
    assert call(dav, method, "/%C3%A9/").status == 403
    assert call(dav, method, "/").status == 403
    assert call(dav, method, "/%C3%A9/a.txt/").status == 404


@pytest.mark.parametrize(
    ("wanted", "status", "content", "content_range"),
    [
        ("bytes=2-5", 206, b"2345", "bytes 2-5/10"),
        ("bytes=7-", 206, b"789", "bytes 7-9/10"),
        ("bytes=-4", 206, b"6789", "bytes 6-9/10"),
        ("bytes=-40", 206, b"0123456789", "bytes 0-9/10"),
        ("bytes=8-40", 206, b"89", "bytes 8-9/10"),
        ("bytes=10-", 416, b"", "bytes */10"),
        ("bytes=-0", 416, b"", "bytes */10"),
        ("bytes=5-2", 200, b"0123456789", None),
        ("bytes=0-1,4-5", 200, b"0123456789", None),
        ("bytes=-", 200, b"0123456789", None),
        ("lines=1-2", 200, b"0123456789", None),
    ],
)
def test_range(dav, call, wanted, status, content, content_range):
    dav.create_file("a", b"0123456789")
    answer = call(dav, "GET", "/a", headers={"Range": wanted})
    assert (answer.status, answer.content, answer.headers["Content-Range"]) == (status, content, content_range)


def test_range_of_another_version(dav, call):
    call(dav, "PUT", "/a", b"0123456789")
    told = call(dav, "GET", "/a").headers
    for condition in (told["ETag"], told["Last-Modified"]):
        answer = call(dav, "GET", "/a", headers={"Range": "bytes=2-5", "If-Range": condition})
        assert (answer.status, answer.content) == (206, b"2345")
    answer = call(dav, "GET", "/a", headers={"Range": "bytes=2-5", "If-Range": '"another"'})
    assert (answer.status, answer.content) == (200, b"0123456789")


def test_range_of_an_empty_file(dav, call):
    dav.create_file("a", b"")
    assert call(dav, "GET", "/a", headers={"Range": "bytes=0-0"}).status == 200


def test_put(dav, call):
    assert call(dav, "PUT", "/a.txt", b"one").status == 201
    assert call(dav, "PUT", "/a.txt", b"two").status == 204
    assert dav.files == {"a.txt": b"two"}


def test_put_empty(dav, call):
    assert call(dav, "PUT", "/a.txt", b"").status == 201
    assert dav.files == {"a.txt": b""}


def test_put_chunked(dav, call):
    answer = call(dav, "PUT", "/a.txt", iter([b"one", b"two"]), encode_chunked=True)
    assert answer.status == 201
    assert dav.files == {"a.txt": b"onetwo"}


def test_put_without_framing(dav, call, raw, read_all):
    dav.create_file("a", b"old")
    sock = raw(dav, b"PUT /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert read_all(sock).startswith(b"HTTP/1.1 411 ")
    assert dav.files == {"a": b"old"}


@pytest.mark.parametrize("path", ["/missing/a", "/f/a", "/d", "/d/", "/new/", "/"])
def test_put_conflict(dav, call, path):
    dav.create_file("f", b"")
    dav.create_file("d/x", b"")
    assert call(dav, "PUT", path, b"data").status == 409
    assert dav.files == {"f": b"", "d/x": b""}


def test_put_whose_parent_vanishes_meanwhile(make_server, call, tmp_path):
    server = make_server(root=tmp_path)
    call(server, "MKCOL", "/d/")
    server.on_request = lambda method, path: (tmp_path / "d").rmdir()
    assert call(server, "PUT", "/d/a", b"data").status == 409
    assert list(tmp_path.iterdir()) == []


def test_plain_put_makes_parents(plain, call):
    assert call(plain, "PUT", "/a/b/c", b"data").status == 201
    assert plain.files == {"a/b/c": b"data"}
    assert call(plain, "PUT", "/a/b/c/d", b"data").status == 409


@pytest.mark.parametrize("transport", [HttpTransport, WebDAVTransport])
def test_server_without_an_argument_goes_with_any_transport(make_server, transport):
    server, transport = make_server(), transport("/media/")
    transport.create(server.url, "a/b/c", b"data")
    transport.create(server.url, "a/b/c", b"more")
    assert server.files == {"a/b/c": b"more"}
    transport.close()


@pytest.mark.parametrize("method", ["OPTIONS", "MKCOL", "PROPFIND", "MOVE"])
def test_plain_server_knows_no_webdav(plain, call, method):
    answer = call(plain, method, "/a")
    assert answer.status == 405
    assert answer.headers["Allow"] == "GET, HEAD, PUT, DELETE"


def test_unknown_method(dav, call):
    assert call(dav, "POST", "/a", b"data").status == 405


@pytest.mark.parametrize("path", ["/../a", "/a/../b", "/a//b", "/%2e%2e/a", "/a%00b", "/./a", "*", "http://h/a"])
def test_unusable_path(dav, call, path):
    assert call(dav, "PUT", path, b"data").status == 400
    assert dav.files == {}


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/%C3%A9.txt", "é.txt"),
        ("/a%20b%3F%23%25", "a b?#%"),
        ("/a?x=1", "a"),
        ("/a%2Fb", "a/b"),
    ],
)
def test_name_is_unquoted(dav, call, path, name):
    dav.create_file("a/keep" if "/" in name else "keep", b"")
    assert call(dav, "PUT", path, b"data").status == 201
    assert dav.get_file(name) == b"data"


def test_unquote_path_of_raw_bytes():
    assert unquote_path("/é".encode().decode("latin-1")) == "/é"
    assert unquote_path("/%FF") == "/\udcff"


def test_name_that_is_not_utf8(dav, call):
    assert call(dav, "PUT", "/%FF", b"data").status == 201
    assert hrefs(call(dav, "PROPFIND", "/", headers={"Depth": "1"})) == ["/", "/%FF"]


def test_name_too_long(make_server, call, tmp_path):
    server = make_server(root=tmp_path)
    assert call(server, "PUT", "/" + "a" * 300, b"data").status == 414


def test_delete(dav, call):
    dav.create_file("a", b"")
    assert call(dav, "DELETE", "/a").status == 204
    assert call(dav, "DELETE", "/a").status == 404
    assert dav.files == {}


@pytest.mark.parametrize(
    ("path", "depth", "status"),
    [("/d", None, 409), ("/d", "0", 409), ("/d/", None, 409), ("/d/", "0", 400), ("/", None, 409), ("/d/f/", "0", 400)],
)
def test_delete_never_wipes_a_tree(dav, call, path, depth, status):
    dav.create_file("d/f", b"")
    assert call(dav, "DELETE", path, headers={"Depth": depth} if depth else {}).status == status
    assert dav.files == {"d/f": b""}


def test_delete_takes_no_empty_directory_for_a_file(dav, call):
    call(dav, "MKCOL", "/d/")
    assert call(dav, "DELETE", "/d").status == 409
    assert call(dav, "DELETE", "/d/", headers={"Depth": "0"}).status == 400
    assert call(dav, "PROPFIND", "/d/", headers={"Depth": "0"}).status == 207


def test_delete_removes_an_empty_directory_if_that_is_meant(dav, call):
    call(dav, "MKCOL", "/d/")
    assert call(dav, "DELETE", "/d/").status == 204
    assert call(dav, "PROPFIND", "/d/", headers={"Depth": "0"}).status == 404


@pytest.fixture(params=["memory", "folder"])
def rough(request, make_server, tmp_path):
    """A server that spares no directory."""
    root = None if request.param == "memory" else tmp_path
    server = make_server(root=root, deletes_trees=True, dates_directories=True)
    for name in ("d/a", "d/e/b", "dd", "c"):
        server.create_file(name, b"content")
    return server


@pytest.mark.parametrize(("path", "depth"), [("/d", "0"), ("/d", None), ("/d/", "0"), ("/d/", None)])
def test_a_tree_may_be_deleted(rough, call, path, depth):
    assert call(rough, "DELETE", path, headers={"Depth": depth} if depth else {}).status == 204
    assert set(rough.files) == {"dd", "c"}
    assert call(rough, "HEAD", "/d").status == 404


def test_the_root_stays(rough, call):
    assert call(rough, "DELETE", "/").status == 409
    assert len(rough.files) == 4


def test_a_tree_may_be_replaced(rough, call):
    destination = {"Destination": f"{rough.url}d"}
    assert call(rough, "MOVE", "/c", headers={**destination, "Overwrite": "F"}).status == 412
    assert len(rough.files) == 4
    assert call(rough, "MOVE", "/c", headers=destination).status == 204
    assert set(rough.files) == {"d", "dd"}


@pytest.mark.parametrize("path", ["/d", "/d/"])
def test_directories_may_look_like_files(rough, call, path):
    answer = call(rough, "HEAD", path)
    assert (answer.status, answer.headers["Content-Length"]) == (200, "0")
    assert answer.headers["Last-Modified"].endswith("GMT")


def test_options(dav, call):
    answer = call(dav, "OPTIONS", "*")
    assert (answer.status, answer.headers["DAV"]) == (200, "1")
    assert "PROPFIND" in answer.headers["Allow"]


def test_mkcol(dav, call):
    assert call(dav, "MKCOL", "/d/").status == 201
    assert call(dav, "MKCOL", "/d/e").status == 201
    assert call(dav, "PUT", "/d/e/f", b"").status == 201


@pytest.mark.parametrize("path", ["/d", "/d/", "/f", "/"])
def test_mkcol_existing(dav, call, path):
    dav.create_file("d/x", b"")
    dav.create_file("f", b"")
    assert call(dav, "MKCOL", path).status == 405


def test_mkcol_missing_parent(dav, call):
    assert call(dav, "MKCOL", "/missing/d/").status == 409


def test_mkcol_with_body(dav, call):
    assert call(dav, "MKCOL", "/d/", b"<x/>").status == 415
    assert call(dav, "PROPFIND", "/d/", headers={"Depth": "0"}).status == 404


def test_propfind(dav, call):
    dav.create_file("d/é.txt", b"12345")
    dav.create_file("d/sub/x", b"")
    answer = call(dav, "PROPFIND", "/d/", headers={"Depth": "1"})
    assert answer.status == 207
    assert answer.headers["Content-Type"].startswith("application/xml")
    assert hrefs(answer) == ["/d/", "/d/sub/", "/d/%C3%A9.txt"]
    assert [e.text for e in ElementTree.fromstring(answer.content).iter("{DAV:}getcontentlength")] == ["5"]


def test_propfind_depth_0(dav, call):
    dav.create_file("d/a", b"")
    assert hrefs(call(dav, "PROPFIND", "/d", headers={"Depth": "0"})) == ["/d/"]


@pytest.mark.parametrize("depth", ["0", "1"])
def test_propfind_of_a_file(dav, call, depth):
    dav.create_file("d/a", b"")
    assert hrefs(call(dav, "PROPFIND", "/d/a", headers={"Depth": depth})) == ["/d/a"]
    assert call(dav, "PROPFIND", "/d/a/", headers={"Depth": depth}).status == 404


@pytest.mark.parametrize("headers", [{}, {"Depth": "infinity"}])
def test_propfind_infinity(dav, call, headers):
    assert call(dav, "PROPFIND", "/", headers=headers).status == 403


def move(call, server, source, target, overwrite=None):
    headers = {"Destination": server.url + target}
    if overwrite:
        headers["Overwrite"] = overwrite
    return call(server, "MOVE", f"/{source}", headers=headers).status


def test_move(dav, call):
    dav.create_file("a", b"a")
    assert move(call, dav, "a", "b%20c", "F") == 201
    assert dav.files == {"b c": b"a"}


@pytest.mark.parametrize("overwrite", ["T", None])
def test_move_over(dav, call, overwrite):
    dav.create_file("a", b"a")
    dav.create_file("b", b"b")
    assert move(call, dav, "a", "b", overwrite) == 204
    assert dav.files == {"b": b"a"}


@pytest.mark.parametrize(
    ("source", "target", "status"),
    [
        ("a", "b", 412),
        ("missing", "c", 404),
        ("a", "missing/c", 409),
        ("a", "d", 409),
        ("a", "d/", 409),
        ("a", "../c", 409),
        ("d", "c", 409),
        ("d/", "c", 409),
        ("a", "a", 403),
    ],
)
def test_move_refused(dav, call, source, target, status):
    files = {"a": b"a", "b": b"b", "d/x": b"x"}
    for name, content in files.items():
        dav.create_file(name, content)
    assert move(call, dav, source, target, "F") == status
    assert dav.files == files


@pytest.mark.parametrize(
    ("destination", "status"),
    [(None, 400), ("/b", 400), ("http://[/b", 400), ("http://127.0.0.1:9/b", 502)],
)
def test_move_to_elsewhere(dav, call, destination, status):
    dav.create_file("a", b"a")
    assert call(dav, "MOVE", "/a", headers={"Destination": destination} if destination else {}).status == status
    assert dav.files == {"a": b"a"}


@pytest.mark.parametrize(
    ("number", "status"),
    [(errno.ENOSPC, 507), (errno.EACCES, 403), (errno.EROFS, 403), (errno.EIO, 500), (errno.ENAMETOOLONG, 414)],
)
def test_answer_for_trouble_of_the_system(number, status):
    answer = answer_for(OSError(number, "trouble"))
    assert answer.status == status
    assert b"trouble" in answer.body.read()
