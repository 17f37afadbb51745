import contextlib
import io
import posixpath
import random
from datetime import UTC, datetime
from urllib.parse import quote, unquote, urlsplit
from xml.etree import ElementTree
from xml.sax.saxutils import escape

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kit.multistatus import DIRECTORY, FILE, MISSING, entry, listing
from resto.transports import Directory
from resto.transports.multistatus import (
    PROPFIND_BODY,
    PROPFIND_SIZES_BODY,
    Member,
    parse_all_members,
    parse_directory,
    parse_members,
)


def parse(text, url=""):
    return parse_members(io.BytesIO(text if isinstance(text, bytes) else text.encode()), url)


def names(*hrefs, root="/media/d/", url=""):
    return [member.name for member in parse(listing(entry(root, DIRECTORY), *map(entry, hrefs)), url)]


@pytest.mark.parametrize("body", [PROPFIND_BODY, PROPFIND_SIZES_BODY])
def test_the_question_is_xml(body):
    assert ElementTree.fromstring(body).tag == "{DAV:}propfind"


def test_the_short_question_is_shorter():
    assert b"getlastmodified" not in PROPFIND_SIZES_BODY
    assert b"getcontentlength" in PROPFIND_SIZES_BODY


def test_files_and_directories():
    text = listing(entry("/d/", DIRECTORY), entry("/d/a.txt"), entry("/d/sub/", DIRECTORY))
    moment = datetime(1994, 11, 6, 8, 49, 37, tzinfo=UTC)
    assert parse(text) == [Member("a.txt", False, 5, moment, '"1"'), Member("sub", True, None, None, None)]


def test_an_empty_directory():
    assert names() == []


def test_what_a_server_does_not_say_is_none():
    text = listing(entry("/d/", DIRECTORY), entry("/d/a", "<D:resourcetype/>"))
    assert parse(text) == [Member("a", False, None, None, None)]


@pytest.mark.parametrize("size", ["", "x", "-5", "5.0", "9" * 5000])
def test_a_size_that_is_none_is_unknown(size):
    text = listing(
        entry("/d/", DIRECTORY), entry("/d/a", f"<D:resourcetype/><D:getcontentlength>{size}</D:getcontentlength>")
    )
    assert parse(text)[0].size is None


def test_sizes_of_directories_do_not_count():
    text = listing(entry("/d/", DIRECTORY), entry("/d/s/", f"{DIRECTORY}<D:getcontentlength>5</D:getcontentlength>"))
    assert parse(text)[0].size is None


def test_properties_that_were_refused_do_not_count():
    refused = "<D:propstat><D:prop><D:getcontentlength>7</D:getcontentlength></D:prop>{}</D:propstat>"
    status = "<D:status>HTTP/1.1 403 Forbidden</D:status>"
    text = listing(entry("/d/", DIRECTORY), entry("/d/a", "<D:resourcetype/>", refused.format(status)))
    assert parse(text)[0].size is None


def test_a_status_may_be_left_out():
    text = listing(entry("/d/", DIRECTORY), entry("/d/a")).replace("<D:status>HTTP/1.1 200 OK</D:status>", "")
    assert parse(text)[0].size == 5


@pytest.mark.parametrize(
    ("prefix", "declaration"), [("", 'xmlns="DAV:"'), ("lp1:", 'xmlns:lp1="DAV:"'), ("ns0:", 'xmlns:ns0="DAV:"')]
)
def test_prefixes_do_not_matter(prefix, declaration):
    text = listing(entry("/d/", DIRECTORY), entry("/d/a"))
    text = text.replace('xmlns:D="DAV:"', declaration).replace("<D:", f"<{prefix}").replace("</D:", f"</{prefix}")
    assert [member.name for member in parse(text)] == ["a"]


def test_other_namespaces_do_not_count():
    other = '<D:resourcetype/><x:getcontentlength xmlns:x="urn:x">9</x:getcontentlength>'
    assert parse(listing(entry("/d/", DIRECTORY), entry("/d/a", other)))[0].size is None


@pytest.mark.parametrize(
    ("href", "name"),
    [
        ("/media/d/caf%c3%a9", "café"),
        ("/media/d/caf%C3%A9", "café"),
        ("/media/d/café", "café"),
        ("/media/d/a%26b&c", "a&b&c"),
        ("/media/d/a+b%20c", "a+b c"),
        ("/media/d/%2541", "%41"),
        ("/media/d/%3F%23;", "?#;"),
        ("http://media-1/media/d/a", "a"),
        ("http://media-1/media/d/a?b#c%3F", "a?b#c?"),
        ("/media/d/a?b#c", "a?b#c"),
        ("https://media-1:8443/media/d/a%2525", "a%25"),
        ("/media//d/./a", "a"),
        ("\n  /media/d/a\n", "a"),
    ],
)
def test_hrefs_are_written_in_many_ways(href, name):
    assert names(href) == [name]


def test_full_urls_may_stand_beside_paths():
    assert names("/media/d/a", root="http://media-1/media/d/") == ["a"]


def test_the_root_of_a_server_can_be_listed():
    assert names("/a", "/b", root="/") == ["a", "b"]


def test_a_proxy_may_have_rewritten_the_paths():
    """The paths are those behind the proxy; what was asked for does not matter."""
    assert names("/internal/store/a", root="/internal/store/") == ["a"]


def test_deeper_entries_are_left_out():
    """Some servers list everything, whatever the Depth."""
    assert names("/media/d/sub/deep", "/media/d/a") == ["a"]


def test_the_order_does_not_matter():
    entries = [entry("/d/", DIRECTORY), entry("/d/a"), entry("/d/b")]
    random.shuffle(entries)
    assert sorted(member.name for member in parse(listing(*entries))) == ["a", "b"]


URL = "http://media-1:8080/media/d/"


@pytest.mark.parametrize("href", ["/media/e/a", "/media/a", "/media/", "/", "/other/d/a", "/media/d/s/a", "/media/da"])
@pytest.mark.parametrize("root", ["/media/d/", "http://media-1:8080/media/d/", "http://behind/media/d/"])
def test_members_of_other_directories_are_none(href, root):
    assert names(href, "/media/d/b", root=root, url=URL) == ["b"]


@pytest.mark.parametrize(
    ("root", "href"),
    [
        ("/media/d/", "http://media-2:8080/media/d/a"),
        ("/media/d/", "http://media-1/media/d/a"),
        ("/media/d/", "http://media-2:8080/media/d/"),
        ("http://media-1:8080/media/d/", "http://media-2:8080/media/d/a"),
        ("http://media-1:8080/media/d/", "http://media-2:8080/media/d/"),
        ("http://behind/media/d/", "http://media-2:8080/media/d/a"),
    ],
)
def test_members_of_other_hosts_are_none(root, href):
    assert names(href, "/media/d/b", root=root, url=URL) == ["b"]


@pytest.mark.parametrize("href", ["http://media-1:8080/media/d/a", "HTTP://MEDIA-1:8080/media/d/a"])
def test_a_host_may_name_itself(href):
    assert names(href, "/media/d/b", url=URL) == ["b", "a"] or names(href, "/media/d/b", url=URL) == ["a", "b"]


REFUSED = "<D:response><D:href>/d/{}</D:href><D:status>HTTP/1.1 {}</D:status></D:response>"


def refused_propstat(status):
    return f"<D:response><D:href>/d/x</D:href><D:propstat><D:prop>{FILE}</D:prop><D:status>HTTP/1.1 {status}</D:status></D:propstat></D:response>"


@pytest.mark.parametrize(
    ("response", "others"),
    [
        (REFUSED.format("x", "404 Not Found"), {}),
        (REFUSED.format("x/", "410 Gone"), {}),
        (REFUSED.format("x/", "503 Service Unavailable"), {"x": "the host answers 503 for it"}),
        (REFUSED.format("x", "403 Forbidden"), {"x": "the host answers 403 for it"}),
        (REFUSED.format("x", "301 Moved Permanently"), {"x": "the host answers 301 for it"}),
        (REFUSED.format("x", "200 OK"), {"x": "the host does not say what it is"}),
        (refused_propstat("403 Forbidden"), {"x": "the host answers 403 for it"}),
        (refused_propstat("500 Oops"), {"x": "the host answers 500 for it"}),
        (refused_propstat("404 Not Found"), {"x": "the host does not say what it is"}),
        (entry("/d/x", "<D:getcontentlength>5</D:getcontentlength>"), {"x": "the host does not say what it is"}),
        (entry("/d/x", FILE, "<D:status>HTTP/1.1 503 Oops</D:status>"), {"x": "the host answers 503 for it"}),
        ("<D:response><D:href>/d/x</D:href></D:response>", {"x": "the host does not say what it is"}),
    ],
)
def test_what_is_unknown_is_never_a_file(response, others):
    text = listing(entry("/d/", DIRECTORY), entry("/d/a"), response)
    found = directory(text)
    assert ([*found.files], found.directories, found.others) == (["a"], set(), others)
    assert [member.name for member in parse(text)] == ["a"]
    if others:
        with pytest.raises(ValueError, match=rf"of 'x', {others['x']}"):
            parse_all_members(io.BytesIO(text.encode()))


def test_what_is_told_beside_a_refusal_counts():
    more = "<D:propstat><D:prop><D:getetag/></D:prop><D:status>HTTP/1.1 403 Forbidden</D:status></D:propstat>"
    text = listing(entry("/d/", DIRECTORY), entry("/d/a", "<D:resourcetype/>", more), entry("/d/b/", DIRECTORY, more))
    assert [(member.name, member.is_collection) for member in parse(text)] == [("a", False), ("b", True)]


def test_a_directory_that_is_refused_itself_is_an_error():
    with pytest.raises(ValueError, match="not about one directory"):
        parse(listing(REFUSED.format("", "403 Forbidden"), entry("/d/a")), "http://media-1/d/")


@pytest.mark.parametrize(
    "name", ["%2e%2e", "..%2F..%2Fetc", "a%2Fb", "%2Fetc", "a%5C..%5Cb", "a%00b", "a%0Ab", "%7F", "%FF%FE", "%2E"]
)
def test_names_that_lead_astray_are_left_out(name):
    """A host that was broken into must not make others delete, or store, anything anywhere."""
    assert names(f"/media/d/{name}", "/media/d/a") == ["a"]


def test_dots_in_a_path_lead_nowhere():
    with pytest.raises(ValueError, match="not about one directory"):
        names("/media/d/../../etc")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "plain text",
        "<html><body>It works!</body></html>",
        listing(),
        listing(entry("/d/", DIRECTORY))[:-9],
        listing("<D:response><D:propstat/></D:response>"),
        listing(entry("", DIRECTORY)),
        listing(entry("/f.txt")),
        listing(entry("/d/a"), entry("/d/b")),
        listing(entry("/d/", DIRECTORY), entry("/d/", DIRECTORY)),
        listing(entry("http://[/", DIRECTORY)),
        listing(head='<?xml version="1.0" encoding="no-such-encoding"?>'),
        listing(head='<?xml version="1.0" encoding="utf-16"?>'),
    ],
)
def test_what_is_no_listing_is_an_error(text):
    with pytest.raises(ValueError, match=r"."):
        parse(text)


def test_a_directory_that_does_not_name_itself_is_an_error():
    """Else its files would pass for the directory, and the listing would be empty."""
    with pytest.raises(ValueError, match="not about one directory"):
        parse(listing(entry("/d/a")))


BOMB = "".join(f'<!ENTITY e{i} "{f"&e{i - 1};" * 10}">' for i in range(1, 9))


@pytest.mark.parametrize(
    "doctype",
    [
        f'<!DOCTYPE x [<!ENTITY e0 "aaaaaaaaaa">{BOMB}]>',
        '<!DOCTYPE x [<!ENTITY e8 SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE x [<!ENTITY e8 SYSTEM "http://127.0.0.1:9/">]>',
        '<!DOCTYPE x [<!ENTITY % p SYSTEM "http://127.0.0.1:9/"> %p;]>',
        '<!DOCTYPE x SYSTEM "http://127.0.0.1:9/">',
    ],
    ids=["bomb", "file", "URL", "parameter", "definition"],
)
def test_entities_are_refused(doctype):
    text = listing(entry("/d/", DIRECTORY), entry("/d/a").replace("/d/a", "/d/&e8;"), head=doctype)
    with pytest.raises(ValueError, match="it has a document type"):
        parse(text)


@given(st.binary())
@example(b"<?xml version='1.0' encoding='x'?><a/>")
@example(b"<" * 10_000)
@example(b"<a>" * 100_000)
def test_garbage_is_a_value_error(data):
    with pytest.raises(ValueError, match=r"."):
        parse(data)


@given(st.data())
def test_a_damaged_listing_is_a_listing_or_a_value_error(data):
    whole = listing(entry("/d/", DIRECTORY), entry("/d/a%20b"), entry("/d/s/", DIRECTORY, MISSING)).encode()
    start = data.draw(st.integers(0, len(whole)))
    damaged = whole[:start] + data.draw(st.binary(max_size=5)) + whole[data.draw(st.integers(start, len(whole))) :]
    with contextlib.suppress(ValueError):
        assert all(isinstance(member, Member) for member in parse(damaged))


@given(
    st.lists(st.text(st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="/\\"), min_size=1), max_size=5)
)
def test_any_usable_name_is_found(texts):
    usable = [text for text in texts if text not in (".", "..") and not text.startswith(".resto-")]
    assert names(*(f"/media/d/{quote(text, safe='')}" for text in usable)) == usable


# Sizes only


def directory(text):
    return parse_directory(io.BytesIO(text.encode()))


def test_a_directory_has_files_and_directories():
    length = "<D:getcontentlength>7</D:getcontentlength>"
    refused = f"<D:propstat><D:prop>{length}</D:prop><D:status>HTTP/1.1 404 Not Found</D:status></D:propstat>"
    text = listing(
        entry("/d/", DIRECTORY),
        entry("/d/a%20b.txt"),
        entry("/d/unknown", "<D:resourcetype/>", refused),
        entry("/d/sub/", f"{DIRECTORY}{length}"),
        entry("/d/%0A"),
    )
    found = directory(text)
    assert (found.directories, found.files, [*found.others]) == ({"sub"}, {"a b.txt": 5, "unknown": None}, ["\n"])


def test_what_is_no_directory_is_refused():
    for text in (listing(), listing(entry("/a")), listing(entry("/d/", DIRECTORY), entry("/d", DIRECTORY)), "<x>"):
        with pytest.raises(ValueError, match=r"it |ExpatError"):
            directory(text)


def test_both_ways_of_reading_agree():
    text = listing(entry("/d/", DIRECTORY), *(entry(f"/d/{number}") for number in range(9)), entry("/d/s/", DIRECTORY))
    members = parse(text)
    found = directory(text)
    assert found.files == {member.name: member.size for member in members if not member.is_collection}
    assert found.directories == {member.name for member in members if member.is_collection}


# Any listing, in any pieces


class Pieces(io.BytesIO):
    """Gives a few bytes at a time, as the network may do."""

    def __init__(self, content, size):
        super().__init__(content)
        self.size = size

    def read(self, size=-1):
        return super().read(self.size)


def path_of(href):
    """The host, if it is named, and the parts."""
    host = urlsplit(href).netloc if "://" in href else ""
    path = posixpath.normpath(href.split("/", 3)[3] if host else href)
    return [host, *(unquote(part) for part in path.split("/") if part not in ("", "."))]


def status_in(element):
    return element.findtext("{DAV:}status", "HTTP/1.1 200").split()[1]


def read_simply(text):
    """What a listing says, by a tree of it: paths, and what each is: True for a directory, a size, or why it is not known."""
    found = []
    for response in ElementTree.fromstring(text).iterfind("{DAV:}response"):
        kind, size, refusal = None, None, "does not say what it is"
        for propstat in response.iterfind("{DAV:}propstat"):
            resource_type = propstat.find("{DAV:}prop/{DAV:}resourcetype")
            if status_in(propstat) == "200":
                if resource_type is not None:
                    kind = bool(kind) or resource_type.find("{DAV:}collection") is not None
                size = propstat.findtext("{DAV:}prop/{DAV:}getcontentlength", size)
            elif resource_type is not None and status_in(propstat) != "404":
                refusal = f"answers {status_in(propstat)} for it"
        if status_in(response) != "200":
            kind, refusal = None, f"answers {status_in(response)} for it"
        found.append((path_of(response.findtext("{DAV:}href").strip()), kind, size, refusal))
    return found


def place_simply(found, wanted):
    tops = [(path, kind) for path, kind, _, _ in found if path[1:] == wanted[1:]]
    if len(tops) > 1:
        tops = [(path, kind) for path, kind in tops if path[0] in ("", wanted[0])]
    if not tops:
        shortest = min(len(path) for path, *_ in found)
        tops = [(path, kind) for path, kind, _, _ in found if len(path) == shortest]
    if [kind for _, kind in tops] != [True]:
        return None
    top = tops[0][0]
    hosts = {"", top[0] or wanted[0]}
    directory, unknown = Directory(), {}
    # Of a member that is there twice, what is said with a URL counts.
    for path, kind, size, refusal in sorted(found, key=lambda one: one[0][0]):
        if path[1:-1] == top[1:] and path[0] in hosts and len(path) > 1:
            if kind is None:
                unknown[path[-1]] = f"the host {refusal}"
            else:
                directory.add(path[-1], None if size in (None, "") else int(size), is_directory=kind)
    directory.others = unknown | directory.others
    return directory


PLACES = ["/", "/d/", "/d/./", "//d/", "/d/s/", "/d/../", "http://media-1/d/", "http://media-1/", "http://m2/d/"]
HREFS = st.builds(
    "{}{}{}".format,
    st.sampled_from(PLACES),
    st.sampled_from(["a", "%C3%A9", "b%2Fc", "..", "", ">&"]),
    st.sampled_from(["", "/"]),
)
SPACE = st.sampled_from(["", "\n", "<!-- -->", '<x:o xmlns:x="urn:x">7</x:o>', "<o>8</o>"])
PROPERTIES = st.sampled_from(
    ["<D:getcontentlength>51</D:getcontentlength>", "<D:getcontentlength/>", DIRECTORY, "<D:resourcetype/>"]
)
STATUSES = st.sampled_from(
    ["", *(f"<D:status>HTTP/1.1 {status}</D:status>" for status in ("200 OK", "404 Not Found", "503 Oops"))]
)


URLS = st.sampled_from(["http://media-1/d/", "http://media-1/"])


@st.composite
def responses(draw):
    propstats = [
        f"<D:propstat><D:prop>{draw(SPACE)}{draw(PROPERTIES)}{draw(SPACE)}</D:prop>{draw(STATUSES)}{draw(SPACE)}</D:propstat>"
        for _ in range(draw(st.integers(0, 2)))
    ]
    more = draw(
        st.sampled_from(
            ["", "<D:status>HTTP/1.1 403 Forbidden</D:status>", "<D:location><D:href>/x</D:href></D:location>"]
        )
    )
    return f"<D:response>{draw(SPACE)}<D:href>{escape(draw(HREFS))}</D:href>{draw(SPACE)}{''.join(propstats)}{more}</D:response>"


@given(st.lists(responses(), min_size=1, max_size=6), st.sampled_from([1, 7, 1000]), st.booleans(), URLS)
def test_a_listing_says_what_a_tree_of_it_says(entries, size, begins_well, url):
    text = listing(*[entry("/d/", DIRECTORY)][: int(begins_well)], *entries)
    expected = place_simply(read_simply(text), path_of(url))
    stream = Pieces(text.encode(), size)
    if not read_simply(text) or expected is None:
        with pytest.raises(ValueError, match=r"not about one directory|names nothing"):
            parse_directory(stream, url)
    else:
        assert parse_directory(stream, url) == expected


@given(st.binary(max_size=30), st.integers(1, 30))
@example(b"a>b", 1)
def test_a_text_may_come_in_pieces(name, size):
    text = listing(entry("/d/", DIRECTORY), entry(f"/d/{quote(name, safe='')}>x"))
    assert parse_directory(Pieces(text.encode(), size), "") == directory(text)
    assert len(directory(text).files) + len(directory(text).others) == 1
