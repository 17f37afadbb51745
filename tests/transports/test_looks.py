import contextlib
import io
import re
from datetime import timedelta

import pytest

from kit.steps import ACTION, DATE, listed, properties, run, sent
from resto.exceptions import RemoteDirectoryError, RemoteFileNotFoundError, TransportError, UnexpectedStatusCode
from resto.transports import looks, steps
from resto.transports.bodies import Body
from resto.transports.http import HttpTransport
from resto.transports.messages import NoAnswerError, Response
from resto.transports.webdav import WebDAVTransport


LARGE = Body(bytes(steps.VERIFY_SIZE + 1))
SIZE = {"Content-Length": "12"}
NO_PROPFIND = (405, {})
CHUNKED = {"Transfer-Encoding": "chunked"}


def size(*answers, has_propfind=True):
    return run(looks.size(ACTION, has_propfind=has_propfind), *answers)


def modified_time(*answers, has_propfind=True):
    return run(looks.modified_time(ACTION, has_propfind=has_propfind), *answers)


def verify(*answers, body=LARGE, has_propfind=True):
    """Settle that a large file was stored."""
    result, requests = run(looks.settle(ACTION, Response(201, "", {}), body, has_propfind=has_propfind), *answers)
    assert result is False
    return [request.method for request in requests]


def put_said_200(*answers, body=LARGE):
    result, requests = run(looks.settle(ACTION, Response(200, "", {}), body), *answers)
    assert result is True
    return requests


# Size


@pytest.mark.parametrize("has_propfind", [True, False])
def test_size_is_what_head_tells(has_propfind):
    result, requests = size((200, SIZE), has_propfind=has_propfind)
    assert result == 12
    assert sent(requests) == [("HEAD", ACTION.target)]


@pytest.mark.parametrize("claimed", [None, "0", "", "-1", "1, 1", "x", "1.0", "²", "٣", "9" * 5000])
def test_size_is_asked_for_where_head_tells_none_or_0(claimed):
    """Apache before a program tells none of any file, ASGIWebDAV says 0 of each."""
    head = 200, {} if claimed is None else {"Content-Length": claimed}
    result, requests = size(head, properties(7))
    assert result == 7
    assert [(request.method, request.target) for request in requests] == [
        ("HEAD", ACTION.target),
        ("PROPFIND", ACTION.target),
    ]
    assert requests[1].headers["Depth"] == "0"


@pytest.mark.parametrize("claimed", [{}, {"Content-Length": "0"}])
@pytest.mark.parametrize("body", [(), (NO_PROPFIND,), (properties(),)], ids=["http", "405", "no size"])
def test_size_is_that_of_the_answer_to_get_where_nothing_else_tells(claimed, body):
    stream = io.BytesIO(b"nobody reads this")
    result, requests = size((200, claimed), *body, (200, SIZE, stream), has_propfind=bool(body))
    assert result == 12
    assert requests[-1].method == "GET"
    assert stream.closed


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ((206, {"Content-Range": "bytes 0-0/12"}), 12),
        ((416, {"Content-Range": "bytes */0"}), 0),
        ((416, {}), 0),
    ],
)
def test_size_stands_beside_the_first_byte(answer, expected):
    result, requests = size((200, {}), answer, has_propfind=False)
    assert result == expected
    assert requests[1].headers == {"Range": "bytes=0-0"}


@pytest.mark.parametrize("total", ["bytes 0-0/*", "bytes 0-0/-5", "", "bytes 0-0/x"])
def test_a_size_beside_the_first_byte_that_is_none_is_an_error(total):
    with pytest.raises(TransportError, match="HEAD does not say how large the file is, nor does GET"):
        size((200, {}), (206, {"Content-Range": total}), has_propfind=False)


def test_a_file_of_which_there_is_a_part_is_not_empty():
    """PyWebDAV3 claims that each file has 0 bytes, and does not say of what its part is one."""
    with pytest.raises(TransportError, match="HEAD does not say how large the file is"):
        size((200, {"Content-Length": "0"}), (206, {}), has_propfind=False)


@pytest.mark.parametrize(("content", "expected"), [(b"", 0), (b"x", None)])
def test_size_of_an_answer_in_chunks_is_known_if_there_are_none(content, expected):
    answers = (200, {}), (200, CHUNKED, io.BytesIO(content))
    if expected is None:
        with pytest.raises(TransportError, match="HEAD does not say how large the file is, nor does GET"):
            size(*answers, has_propfind=False)
    else:
        assert size(*answers, has_propfind=False)[0] == expected


@pytest.mark.parametrize("get", [(200, {}, io.BytesIO()), (403, {}), (404, {})])
def test_a_size_of_0_is_believed_if_nothing_contradicts(get):
    assert size((200, {"Content-Length": "0"}), NO_PROPFIND, get)[0] == 0


def test_a_size_that_nobody_tells_is_an_error():
    with pytest.raises(TransportError, match="HEAD does not say how large the file is, nor do PROPFIND and GET"):
        size((200, {}), properties(), (403, {}))


@pytest.mark.parametrize(
    "answers",
    [[404], [410], [(200, {"Server": "WsgiDAV/4.3", "Content-Length": "0"})], [(200, DATE), listed(True)]],
    ids=["404", "410", "wsgidav", "collection"],
)
def test_a_directory_and_what_is_missing_have_no_size(answers):
    with pytest.raises(RemoteFileNotFoundError):
        size(*answers)


@pytest.mark.parametrize("question", [looks.size, looks.modified_time])
def test_only_a_success_answers(question):
    for status in (201, 204, 206, 301, 304, 400, 401, 403, 405, 416, 500, 503):
        with pytest.raises(UnexpectedStatusCode) as info:
            run(question(ACTION, has_propfind=True), status)
        assert info.value.status == status


# Time


def test_modified_time_is_what_head_tells():
    result, requests = modified_time((200, DATE))
    assert result.isoformat() == "1994-11-06T08:49:37+00:00"
    assert sent(requests) == [("HEAD", ACTION.target)]


@pytest.mark.parametrize("headers", [{}, {"Last-Modified": "yesterday"}, {"Last-Modified": ""}])
def test_modified_time_is_asked_for_where_head_tells_none(headers):
    """As lighttpd does of a name whose type it does not know."""
    result, _ = modified_time((200, headers), properties(7, DATE["Last-Modified"]))
    assert result.isoformat() == "1994-11-06T08:49:37+00:00"


def test_a_time_that_nobody_tells_is_an_error():
    for answer in (NO_PROPFIND, properties(7), properties(7, "yesterday")):
        with pytest.raises(TransportError, match="HEAD does not say when the file was modified, nor does PROPFIND"):
            modified_time((200, {}), answer)
    with pytest.raises(TransportError, match=r"HEAD does not say when .* 'webdav' can ask by PROPFIND"):
        modified_time((200, {}), has_propfind=False)


# Age


@pytest.mark.parametrize(
    ("headers", "answers"),
    [
        (DATE, []),
        ({}, [properties(7, DATE["Last-Modified"])]),
        ({"Last-Modified": "x"}, [properties(7, DATE["Last-Modified"])]),
    ],
)
def test_age_is_told_by_the_clock_of_the_host(headers, answers):
    """It may be wrong: what is being uploaded must not look as if it were left over."""
    clock = {"Date": "Sun, 06 Nov 1994 08:50:37 GMT"}
    age, _ = run(looks.age(ACTION, has_propfind=True), (200, headers | clock), *answers)
    assert age == timedelta(minutes=1)


def test_age_is_told_by_the_clock_of_this_machine_where_the_host_has_none():
    for date in ({}, {"Date": "now"}):
        age, _ = run(looks.age(ACTION, has_propfind=False), (200, DATE | date))
        assert age > timedelta(days=365 * 30)


# What was stored


@pytest.mark.parametrize(
    "answers",
    [
        [(200, {"Content-Length": str(LARGE.size)})],
        [(200, {}), properties(LARGE.size)],
        [(200, {"Content-Length": "0"}), properties(LARGE.size)],
        [500, properties(LARGE.size)],
        [405, NO_PROPFIND, (200, {"Content-Length": str(LARGE.size)}, io.BytesIO())],
        [(200, {}), NO_PROPFIND, (200, CHUNKED, io.BytesIO(b"x"))],
        [NoAnswerError("silent", ambiguous=True)],
    ],
    ids=["right", "not told", "0", "500", "405", "unknown", "silent"],
)
def test_a_stored_file_is_believed_unless_the_host_contradicts(answers):
    assert verify(*answers) == ["HEAD", "PROPFIND", "GET"][: len(answers)]


@pytest.mark.parametrize(
    ("answers", "problem"),
    [
        ([(200, {"Content-Length": "17"})], "it stored 17 of"),
        ([(200, {}), properties(17)], "it stored 17 of"),
        ([(200, {"Content-Length": "0"}), properties(0)], "it stored 0 of"),
        ([404], "does not have it"),
        ([410], "does not have it"),
        ([500, 404, 404], "not certain that it stored the whole file: HEAD was answered 500, and nothing else tells"),
        ([403, 403, 403], "HEAD was answered 403"),
    ],
)
def test_a_stored_file_that_is_not_whole_is_an_error(answers, problem):
    with pytest.raises(TransportError, match=problem):
        verify(*answers)


def test_a_directory_in_the_place_of_what_was_stored_is_an_error():
    with pytest.raises(RemoteDirectoryError, match="no file takes the place of one"):
        verify((200, {}), listed(True))


def test_a_small_file_is_not_asked_for():
    sequence = looks.settle(ACTION, Response(204, "", {}), Body(b"a"))
    with pytest.raises(StopIteration) as info:
        next(sequence)
    assert info.value.value is True


@pytest.mark.parametrize("status", [100, 202, 205, 207, 301, 304, 400, 401, 403, 404, 409, 410, 412, 417, 500, 507])
def test_an_upload_that_was_refused(status):
    with pytest.raises(UnexpectedStatusCode) as info:
        next(looks.settle(ACTION, Response(status, "", {}), Body(b"a")))
    assert info.value.status == status


@pytest.mark.parametrize("body", [LARGE, Body(b"12345"), Body(b"")], ids=lambda body: body.size)
def test_200_is_settled_by_the_size_of_the_file(body):
    requests = put_said_200((200, {"Content-Length": str(body.size)}), 404, body=body)
    assert [request.method for request in requests] == ["HEAD", "HEAD"]
    assert requests[0].target == ACTION.target
    assert "/.resto-" in requests[1].target
    put_said_200((200, {}), properties(body.size), 410, body=body)


@pytest.mark.parametrize(
    ("answers", "problem"),
    [
        ([404], "it said 200 to PUT, but does not have the file"),
        ([(200, {"Content-Length": "4"}), 404], "it stored 4 of 5 bytes"),
        ([500, 404, 404, 404], "HEAD was answered 500"),
        ([(200, {}), 405, 403, 404], "HEAD says no size"),
        ([(200, {"Content-Length": "5"}), 200], "does the server know this hostname?"),
        ([(200, {"Content-Length": "4"}), 200], "does the server know this hostname?"),
    ],
)
def test_200_without_the_file_proves_nothing(answers, problem):
    with pytest.raises(TransportError, match=re.escape(problem)):
        put_said_200(*answers, body=Body(b"12345"))


def test_hosts_without_propfind_are_not_asked_by_it():
    assert verify((200, {}), (200, {"Content-Length": str(LARGE.size)}, io.BytesIO()), has_propfind=False) == [
        "HEAD",
        "GET",
    ]


# On servers


@pytest.mark.parametrize("transport", [HttpTransport, WebDAVTransport])
@pytest.mark.parametrize("kind", ["apache", "apache-sabredav", "asgiwebdav"])
@pytest.mark.parametrize("content", [b"", b"content", bytes(300_000)], ids=len)
def test_every_file_has_its_size_and_its_time(media_servers, transport, kind, content):
    url, folder = media_servers(kind).new_folder()
    with contextlib.closing(transport("/", timeout=10)) as transport:
        transport.create(url, "a.txt", content)
        assert transport.size(url, "a.txt") == len(content)
        assert transport.modified_time(url, "a.txt").timestamp() == pytest.approx(
            (folder / "a.txt").stat().st_mtime, abs=2
        )
