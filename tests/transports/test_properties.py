import io
from datetime import UTC, datetime
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.multistatus import DIRECTORY, FILE, MISSING, entry, listing
from resto.transports.limits import LimitedStream, LongAnswerError
from resto.transports.messages import Response
from resto.transports.properties import (
    PROPFIND_FILE_BODY,
    PROPFIND_KIND_BODY,
    Properties,
    parse_properties,
    properties_of,
)


SIZE = "<D:getcontentlength>5</D:getcontentlength>"
DATE = "<D:getlastmodified>Sun, 06 Nov 1994 08:49:37 GMT</D:getlastmodified>"
MOMENT = datetime(1994, 11, 6, 8, 49, 37, tzinfo=UTC)
GONE = "<D:status>HTTP/1.1 404 Not Found</D:status>"


def parse(text):
    return parse_properties(io.BytesIO(text.encode()))


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        (PROPFIND_KIND_BODY, ["resourcetype"]),
        (PROPFIND_FILE_BODY, ["resourcetype", "getcontentlength", "getlastmodified"]),
    ],
)
def test_no_more_is_asked_for_than_is_wanted(body, wanted):
    tags = [element.tag.removeprefix("{DAV:}") for element in ElementTree.fromstring(body).iter()]
    assert tags == ["propfind", "prop", *wanted]


def test_of_a_file():
    assert parse(listing(entry("/a"))) == Properties(False, 5, MOMENT)


@pytest.mark.parametrize("size", ["", "x", "-5", "5.0", "9" * 5000])
def test_what_is_not_said_is_none(size):
    text = listing(entry("/a", f"<D:resourcetype/><D:getcontentlength>{size}</D:getcontentlength>"))
    assert parse(text) == Properties(False, None, None)


def test_properties_that_were_refused_do_not_count():
    refused = f"<D:propstat><D:prop>{SIZE}{DATE}</D:prop><D:status>HTTP/1.1 403 Forbidden</D:status></D:propstat>"
    assert parse(listing(entry("/a", "<D:resourcetype/>", refused))) == Properties(False, None, None)


@pytest.mark.parametrize(
    ("text", "is_collection"),
    [
        (listing(entry("/a", DIRECTORY)), True),
        (listing(entry("/a", FILE)), False),
        (listing(entry("/a", "<D:resourcetype></D:resourcetype>", MISSING)), False),
        (listing(entry("/a", "<D:resourcetype><D:collection/><D:other/></D:resourcetype>", MISSING)), True),
        (listing(entry("/a", "<D:getetag/>")), None),
        (listing(entry("/a", "<D:getetag/>", MISSING.replace("getetag", "resourcetype"))), None),
    ],
)
def test_kind(text, is_collection):
    assert parse(text).is_collection is is_collection


@pytest.mark.parametrize(
    "text",
    [
        listing(f"<D:response><D:href>/a</D:href>{GONE}</D:response>"),
        listing(entry("/a", more=GONE)),
        listing(entry("/a", FILE), entry("/b", FILE)),
        listing(),
        "<html>",
        "",
        '<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>',
        listing(entry("/a", FILE), head='<?xml version="1.0" encoding="nobody-knows"?>'),
    ],
)
def test_what_is_not_about_one_resource_says_nothing(text):
    assert parse(text) is None


@given(st.text(alphabet="<>/DAV:collection resourcetype=\"'&;", max_size=200))
def test_what_is_no_listing_has_no_properties(text):
    assert parse(f"{listing(entry('/a', DIRECTORY))[:-1]}{text}") is None or text.strip() == ">"


def test_an_answer_about_one_resource_is_short():
    stream = LimitedStream(io.BytesIO(listing(entry("/" + "a" * 1000)).encode()), 100, "it is too long")
    with pytest.raises(LongAnswerError):
        parse_properties(stream)


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (207, listing(entry("/a")), Properties(False, 5, MOMENT)),
        (200, listing(entry("/a")), None),
        (207, listing(entry("/" + "a" * 100_000)), None),
    ],
    ids=["fine", "200", "long"],
)
def test_answers_are_closed(status, body, expected):
    stream = io.BytesIO(body.encode())
    assert properties_of(Response(status, "", {}, stream)) == expected
    assert stream.closed


def test_an_answer_without_a_body_says_nothing():
    assert properties_of(Response(404, "", {})) is None
