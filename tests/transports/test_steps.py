"""What answers mean, without a network: steps are given answers and asked what they want."""

import pickle
from datetime import UTC, datetime, timedelta, timezone

import pytest
from django.core.exceptions import SuspiciousFileOperation
from hypothesis import given
from hypothesis import strategies as st

from kit.steps import ACTION, run, sent
from resto.exceptions import UnexpectedStatusCode
from resto.hosts import parse_url
from resto.transports import steps
from resto.transports.bodies import Body
from resto.transports.messages import Response
from resto.transports.steps import Action


LARGE = Body(bytes(steps.VERIFY_SIZE + 1))


def test_an_action_knows_its_urls():
    assert ACTION.target == "/media/a%20b/c.txt"
    assert ACTION.target_of("%?#.txt") == "/media/%25%3F%23.txt"


# Reads


@pytest.mark.parametrize(("status", "expected"), [(200, True), (404, False), (410, False)])
def test_exists(status, expected):
    result, requests = run(steps.exists(ACTION), status)
    assert result is expected
    assert sent(requests) == [("HEAD", ACTION.target)]


@pytest.mark.parametrize("status", [201, 204, 206, 301, 304, 400, 401, 403, 405, 416, 500, 503])
def test_only_three_statuses_tell_whether_a_file_exists(status):
    with pytest.raises(UnexpectedStatusCode) as info:
        run(steps.exists(ACTION), status)
    assert info.value.status == status


# Writes


@pytest.mark.parametrize(("status", "existed"), [(201, False), (204, True)])
def test_a_put_that_stored(status, existed):
    assert steps.was_stored(ACTION, Response(status, "", {})) is existed


@pytest.mark.parametrize("status", [100, 200, 202, 205, 207, 301, 304, 400, 401, 403, 404, 409, 410, 412, 500, 507])
def test_a_put_that_did_not(status):
    with pytest.raises(UnexpectedStatusCode) as info:
        steps.was_stored(ACTION, Response(status, "", {}))
    assert info.value.status == status


@pytest.mark.parametrize(
    ("product", "may_be_full"), [("nginx/1.22.1", False), ("Apache", False), ("rclone/v1.60", True), (None, True)]
)
def test_a_full_disk_is_a_guess_only_for_servers_that_say_so_by_405(product, may_be_full):
    error = ACTION.unexpected(Response(405, "", {"Server": product} if product else {}), "PUT")
    assert ("its disk is full" in error.problem) is may_be_full


def test_a_locked_file_is_tried_again_after_growing_delays():
    response, requests = run(steps.put("/t", LARGE), 423, 423, 201)
    assert response.status == 201
    assert [request.delay for request in requests] == [0, *steps.LOCK_DELAYS[:2]]
    assert all(request.body is LARGE for request in requests)


def test_an_expectation_that_fails_is_not_had_again():
    response, requests = run(steps.put("/t", LARGE), 417, 423, 201)
    assert response.status == 201
    assert [request.is_announced for request in requests] == [True, False, False]
    assert all(request.body is LARGE for request in requests)
    assert run(steps.put("/t", LARGE), 417, 417)[0].status == 417


def test_a_file_that_stays_locked_is_given_up():
    response, requests = run(steps.put("/t", LARGE), *[423] * (len(steps.LOCK_DELAYS) + 1))
    assert response.status == 423
    assert len(requests) == len(steps.LOCK_DELAYS) + 1


# Errors


@pytest.mark.parametrize("status", [*steps._HINTS, 499, 599])
@pytest.mark.parametrize("method", ["PUT", "DELETE", "HEAD", "PROPFIND"])
def test_an_unexpected_status_says_what_was_asked(method, status):
    text = str(ACTION.unexpected(Response(status, "", {}), method))
    assert f"{method} was answered {status}" in text
    assert (": " in text.partition("answered")[2]) is (status in steps._HINTS)


NOON = "Sun, 06 Nov 1994 12:00:00 GMT"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, 0),
        ({"Retry-After": "30"}, 30),
        ({"Retry-After": " 30 "}, 30),
        ({"Retry-After": "0"}, 0),
        ({"Retry-After": "-5"}, 0),
        ({"Retry-After": "soon"}, 0),
        ({"Retry-After": "999999999999999999"}, 600),
        ({"Retry-After": "9" * 5000}, 0),
        ({"Retry-After": "Sun, 06 Nov 1994 12:01:00 GMT", "Date": NOON}, 60),
        ({"Retry-After": "Sun, 06 Nov 1994 13:00:00 GMT", "Date": NOON}, 600),
        ({"Retry-After": "Sun, 06 Nov 1994 11:59:00 GMT", "Date": NOON}, 0),
        ({"Retry-After": NOON}, 0),
        ({"Retry-After": "Sun, 06 Nov 2994 12:00:00 GMT"}, 600),
    ],
)
@pytest.mark.parametrize("status", [429, 503, 500, 301])
def test_a_host_says_when_it_wants_to_be_asked_again(status, headers, expected):
    error = ACTION.unexpected(Response(status, "", headers), "PUT")
    assert error.retry_after == (expected if status in (429, 503) else 0)
    assert ("left alone for" in error.problem) is bool(error.retry_after)
    assert pickle.loads(pickle.dumps(error)).retry_after == error.retry_after


def test_a_directory_is_suspected_where_it_fits():
    assert "a directory there" in str(ACTION.unexpected(Response(409, "", {}), "DELETE"))
    assert "webdav" in str(ACTION.unexpected(Response(409, "", {}), "PUT"))
    assert "dav_ext" in str(ACTION.unexpected(Response(405, "", {}), "PROPFIND"))


# What headers say


@pytest.mark.parametrize(
    "text",
    ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"],
)
def test_http_dates_have_three_forms(text):
    assert steps.parse_http_date(text) == datetime(1994, 11, 6, 8, 49, 37, tzinfo=UTC)


@given(
    st.datetimes(
        datetime(1900, 1, 1), datetime(9999, 12, 29), timezones=st.sampled_from([UTC, timezone(timedelta(hours=2))])
    )
)
def test_dates_round_trip(moment):
    text = moment.strftime("%a, %d %b %Y %H:%M:%S %z")
    assert steps.parse_http_date(text) == moment.replace(microsecond=0)


@given(st.one_of(st.none(), st.text(), st.from_regex(r"\w+, \d+ \w+ \d+ [\d:]+ [+-]?\w*", fullmatch=True)))
def test_anything_else_is_no_date(text):
    moment = steps.parse_http_date(text)
    assert moment is None or moment.tzinfo is not None


@pytest.mark.parametrize(
    "text",
    [
        "Mon, 01 Jan 99999999999999999999 00:00:00 GMT",
        "Mon, 01 Jan 2026 00:00:00 +99999999999999",
        "Mon, 99 Jan 2026 00:00:00 GMT",
        "Fri, 31 Dec 9999 23:59:59 -2359",
        " ",
    ],
)
def test_impossible_dates_are_no_dates(text):
    assert steps.parse_http_date(text) is None


@given(
    st.text(st.characters(codec="latin-1", exclude_characters="\t\r\n"))
    | st.from_regex(r"(http:)?//[\[\]\w.]*(:\w*)?/d/?")
)
def test_a_url_that_is_none_has_no_path(text):
    path = steps.path_of_url(text)
    assert path is None or path in text.encode("latin-1").decode()


@given(st.text())
def test_naturals(text):
    number = steps.natural(text)
    assert number is None or (number >= 0 and text == text.strip() and int(text) == number)


@pytest.mark.parametrize(
    ("status", "headers", "expected"),
    [
        (301, {"Location": "/media/d/"}, True),
        (301, {"Location": "https://other.example.com/media/d/"}, True),
        (308, {"Location": "/media/d/"}, True),
        (405, {"Server": "rclone/v1.75.2"}, True),
        (207, {"Server": "Caddy"}, True),
    ],
)
def test_directory_takes_its_name(status, headers, expected):
    sequence = steps.exists(Action("exists", "media-1", "d", parse_url("http://media-1/media/", "")))
    next(sequence)
    with pytest.raises(StopIteration) as stop:
        sequence.send(Response(status, "", headers))
    assert stop.value.value is expected


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (301, {"Location": "/login/"}),
        (301, {}),
        *(
            (301, {"Location": url})
            for url in ("http://[", "//[x]/media/d/", "http://h:port/media/d/", "/media/d/\xe9")
        ),
        (405, {"Server": "nginx"}),
        (207, {"Server": "Apache"}),
        (302, {"Location": "/media/d/"}),
    ],
)
def test_other_answers_do_not_make_a_directory(status, headers):
    sequence = steps.exists(Action("exists", "media-1", "d", parse_url("http://media-1/media/", "")))
    next(sequence)
    with pytest.raises(UnexpectedStatusCode):
        sequence.send(Response(status, "", headers))


@given(st.lists(st.sampled_from(["..", "a", "", ".", "..a", "a.."]), min_size=1, max_size=5).map("/".join))
def test_no_name_leads_out_of_the_url_of_a_host(name):
    action = Action("upload", "media-1", name, parse_url("http://media-1/media/", ""))
    if ".." in name.split("/"):
        with pytest.raises(SuspiciousFileOperation, match=r"contains '\.\.'"):
            _ = action.target
    else:
        assert action.target == f"/media/{name}"
