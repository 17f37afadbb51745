from xml.etree import ElementTree

from resto.testing.files import Entry
from resto.testing.multistatus import format_multistatus


FILE = Entry(is_directory=False, size=12, modified=0, etag='"1-c"')
DIRECTORY = Entry(is_directory=True, size=0, modified=0, etag="")


def parse(content):
    return ElementTree.fromstring(content).findall("{DAV:}response")


def text(response, tag):
    return response.findtext(f".//{{DAV:}}{tag}")


def test_file():
    [response] = parse(format_multistatus([("d/a.txt", FILE)]))
    assert text(response, "href") == "/d/a.txt"
    assert text(response, "getcontentlength") == "12"
    assert text(response, "getlastmodified") == "Thu, 01 Jan 1970 00:00:00 GMT"
    assert text(response, "getetag") == '"1-c"'
    assert text(response, "status") == "HTTP/1.1 200 OK"
    assert response.find(".//{DAV:}resourcetype") is not None
    assert response.find(".//{DAV:}collection") is None


def test_directory():
    [response] = parse(format_multistatus([("d", DIRECTORY)]))
    assert text(response, "href") == "/d/"
    assert response.find(".//{DAV:}resourcetype/{DAV:}collection") is not None
    assert text(response, "getcontentlength") is None


def test_top_directory():
    [response] = parse(format_multistatus([("", DIRECTORY)]))
    assert text(response, "href") == "/"


def test_href_is_percent_encoded():
    [response] = parse(format_multistatus([("é <&>?#%.txt", FILE)]))
    assert text(response, "href") == "/%C3%A9%20%3C%26%3E%3F%23%25.txt"


def test_order_is_kept():
    responses = parse(format_multistatus([("", DIRECTORY), ("b", FILE), ("a", FILE)]))
    assert [text(response, "href") for response in responses] == ["/", "/b", "/a"]
