"""One table of cases, for every kind of server and both transports. What a server cannot do is told here, case by case."""

import contextlib
import io
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from resto.exceptions import RemoteFileNotFoundError, TransportError, UnexpectedStatusCode
from resto.transports.base import Transport
from resto.transports.http import HttpTransport
from resto.transports.webdav import WebDAVTransport
from servers import KINDS


TRANSPORTS = {"http": HttpTransport, "webdav": WebDAVTransport}

# What a server answers to a PUT whose directory is missing; the others make it.
MISSING_PARENT = {
    "nginx-no-parents": 500,
    "apache": 409,
    "apache-digest": 409,
    "lighttpd": 409,
    "rclone": 409,
    "rclone-1.60": 404,
    "wsgidav": 409,
}

# Servers that say 201 to a PUT, new or not. Where WebDAV uploads are moved, the move tells.
NEVER_REPLACES = {("rclone", "http"), ("rclone-1.60", "http")}

# What servers make of a HEAD for the name of a directory: these deny it, or answer in a way that could mean anything.
DENIES_DIRECTORY = {"apache", "apache-digest"}
BLURS_DIRECTORY = {"rclone-1.60", "wsgidav"}

# Servers that leave names with a leading dot out of listings.
HIDES_DOTS = {"nginx-dav", "nginx-https"}

ODD_NAMES = [
    "space in it.txt",
    " leading and trailing ",
    "é.txt",
    "日本語.txt",
    "emoji 😀.txt",
    "100%.txt",
    "%41.txt",
    "%2541.txt",
    "%2e%2e%2fetc",
    "a#b.txt",
    "a?b.txt",
    "a?b=c&d",
    "a+b.txt",
    "a&b;c.txt",
    "a:b@c=d.txt",
    'it\'s "quoted".txt',
    "<tag>.txt",
    "a|b*c.txt",
    "[a]{b}^`.txt",
    "~tilde",
    ".leading-dot",
    "trailing-dot.",
    "...",
    "&amp;.txt",
    "CON",
    "index.html",
    "x" * 236 + ".txt",
]


@dataclass
class Site:
    """A private folder on a server, and the transport to reach it."""

    kind: str
    name: str
    transport: Transport
    url: str

    @property
    def lists(self):
        return self.name == "webdav" and KINDS[self.kind].propfind

    def create(self, name, content):
        return self.transport.create(self.url, name, content)

    def content(self, name):
        return self.transport.content(self.url, name)

    def exists(self, name):
        return self.transport.exists(self.url, name)

    def size(self, name):
        return self.transport.size(self.url, name)

    def delete(self, name):
        return self.transport.delete(self.url, name)


def options_for(server):
    if server.kind.tls:
        return {
            "ca_bundle": str(server.ca),
            "client_cert": str(server.client_certificate),
            "auth": server.credentials,
            "auth_scheme": "basic",
        }
    if server.kind.auth:
        return {"auth": server.credentials, "auth_scheme": server.kind.auth}
    return {}


@pytest.fixture(params=TRANSPORTS)
def transport_name(request):
    return request.param


@pytest.fixture(params=KINDS)
def site(request, media_servers, transport_name):
    server = media_servers(request.param)
    transport = TRANSPORTS[transport_name]("/", timeout=10, **options_for(server))
    with contextlib.closing(transport):
        yield Site(request.param, transport_name, transport, server.new_folder()[0])


def replaced(site):
    return (site.kind, site.name) not in NEVER_REPLACES


def a_new_file(site):
    assert site.create("a.txt", b"content") is False
    assert site.content("a.txt") == b"content"


def over_an_old_file(site):
    site.create("a.txt", b"a longer content")
    assert site.create("a.txt", b"new") is replaced(site)
    assert site.content("a.txt") == b"new"


def an_empty_file(site):
    site.create("a.txt", b"")
    assert site.exists("a.txt") is True
    assert site.size("a.txt") == 0
    assert site.content("a.txt") == b""


def over_a_file_with_nothing(site):
    site.create("a.txt", b"content")
    site.create("a.txt", b"")
    assert site.content("a.txt") == b""


def three_megabytes(site):
    content = bytes(range(256)) * 12_000
    assert site.create("a.bin", io.BytesIO(content)) is False
    assert site.size("a.bin") == len(content)
    assert site.content("a.bin") == content
    assert site.create("a.bin", content[::-1]) is replaced(site)
    assert site.content("a.bin") == content[::-1]


def a_text_that_could_be_compressed(site):
    site.create("a.txt", b"a" * 20_000)
    assert site.size("a.txt") == 20_000
    assert site.content("a.txt") == b"a" * 20_000


def missing_directories(site):
    for size in (7, 2_000_000):
        name = f"{size}/b/c/d.txt"
        if site.name == "http" and site.kind in MISSING_PARENT:
            with pytest.raises(UnexpectedStatusCode) as info:
                site.create(name, bytes(size))
            assert info.value.status == MISSING_PARENT[site.kind]
        else:
            assert site.create(name, bytes(size)) is False
            assert site.content(name) == bytes(size)


def a_file_that_exists(site):
    assert site.exists("a.txt") is False
    site.create("a.txt", b"content")
    assert site.exists("a.txt") is True


def a_size(site):
    site.create("a.txt", b"content")
    assert site.size("a.txt") == 7


def a_time(site):
    site.create("a.txt", b"content")
    modified = site.transport.modified_time(site.url, "a.txt")
    assert abs(datetime.now(UTC) - modified) < timedelta(minutes=1)


def a_stream(site):
    content = bytes(range(256)) * 4000
    site.create("a.bin", content)
    with site.transport.open(site.url, "a.bin") as stream:
        assert stream.read(1000) == content[:1000]
        assert b"".join(iter(lambda: stream.read(50_000), b"")) == content[1000:]


def a_stream_that_is_not_read_to_its_end(site):
    site.create("a.bin", bytes(2_000_000))
    site.create("b.txt", b"content")
    with site.transport.open(site.url, "a.bin") as stream:
        stream.read(10)
    assert site.content("b.txt") == b"content"


def a_missing_file(site):
    for method in ("open", "content", "size", "modified_time"):
        with pytest.raises(RemoteFileNotFoundError):
            getattr(site.transport, method)(site.url, "missing.txt")
    with pytest.raises(RemoteFileNotFoundError):
        site.content("missing/missing.txt")


def a_deletion(site):
    site.create("a.txt", b"content")
    site.create("b.txt", b"content")
    assert site.delete("a.txt") is True
    assert site.delete("a.txt") is False
    assert site.exists("a.txt") is False
    assert site.exists("b.txt") is True


def a_deletion_of_what_never_was(site):
    assert site.delete("missing.txt") is False


def a_directory_is_never_deleted(site):
    in_directory(site)
    site.exists("a.txt")  # now it is known which server this is, and a file need not be asked for before
    with pytest.raises(TransportError):
        site.delete("d")
    assert site.content("d/a.txt") == b"content"


def a_directory_is_not_a_file(site):
    in_directory(site)
    if site.kind in BLURS_DIRECTORY:
        with pytest.raises(TransportError):
            site.exists("d")
    else:
        assert site.exists("d") is (site.kind not in DENIES_DIRECTORY)
    for read in (site.size, site.content):
        with pytest.raises(TransportError):
            read("d")
    with pytest.raises(TransportError):
        site.create("d", b"new")
    assert site.content("d/a.txt") == b"content"


def a_file_is_not_a_directory(site):
    site.create("a.txt", b"content")
    with pytest.raises(TransportError):
        site.create("a.txt/b.txt", b"new")
    assert site.content("a.txt") == b"content"


def in_directory(site):
    """Store d/a.txt, whatever the transport can do."""
    if site.name == "http" and site.kind in MISSING_PARENT:
        dav = WebDAVTransport("/", timeout=10, **dict(auth_of(site)))
        with contextlib.closing(dav):
            dav.create(site.url, "d/a.txt", b"content")
    else:
        site.create("d/a.txt", b"content")


def auth_of(site):
    if KINDS[site.kind].auth == "digest":
        from servers import PASSWORD, USERNAME

        yield from {"auth": (USERNAME, PASSWORD), "auth_scheme": "digest"}.items()


def odd_names(site):
    for name in ODD_NAMES:
        assert site.create(name, name.encode()) is False, name
    for name in ODD_NAMES:
        assert site.exists(name), name
        assert site.size(name) == len(name.encode()), name
        assert site.content(name) == name.encode(), name
        assert site.create(name, b"new") is replaced(site), name
    if site.lists:
        visible = [name for name in ODD_NAMES if not (name.startswith(".") and site.kind in HIDES_DOTS)]
        directories, files = site.transport.listdir(site.url, "")
        assert (directories, sorted(files)) == ([], sorted(visible))
    for name in ODD_NAMES:
        assert site.delete(name) is True, name
        assert not site.exists(name), name


def odd_directories(site):
    names = ["a b/%41#?.txt", "é 日本/😀&;.txt", "+%2F+/a=b.txt"]
    if site.name == "http" and site.kind in MISSING_PARENT:
        return  # there are no directories
    for name in names:
        site.create(name, name.encode())
        assert site.content(name) == name.encode()
    if site.lists:
        assert sorted(entry.name for entry in site.transport.scan(site.url, "")) == sorted(names)
    for name in names:
        assert site.delete(name)


def a_listing(site):
    if not site.lists:
        with pytest.raises(TransportError, match=r"cannot do this|PROPFIND was answered 405"):
            site.transport.listdir(site.url, "")
        return
    assert site.transport.listdir(site.url, "") == ([], [])
    for name in ("a.txt", "b.txt", "d/c.txt", "d/e/f.txt"):
        site.create(name, b"content")
    directories, files = site.transport.listdir(site.url, "")
    assert (directories, sorted(files)) == (["d"], ["a.txt", "b.txt"])
    assert site.transport.listdir(site.url, "d") == (["e"], ["c.txt"])
    with pytest.raises(RemoteFileNotFoundError):
        site.transport.listdir(site.url, "missing")
    with pytest.raises(TransportError):
        site.transport.listdir(site.url, "a.txt")


def a_scan(site):
    if not site.lists:
        with pytest.raises(TransportError, match=r"cannot do this|PROPFIND was answered 405"):
            list(site.transport.scan(site.url, ""))
        return
    expected = {"a.txt": 1, "d/b.txt": 22, "d/e/c.txt": 333, "empty.txt": 0}
    for name, size in expected.items():
        site.create(name, bytes(size))
    entries = list(site.transport.scan(site.url, ""))
    assert {entry.name: entry.size for entry in entries} == expected
    assert all(datetime.now(UTC) - entry.modified < timedelta(minutes=1) for entry in entries)
    assert sorted(entry.name for entry in site.transport.scan(site.url, "d")) == ["d/b.txt", "d/e/c.txt"]


def a_temporary_directory(site):
    if site.name == "http" and site.kind in MISSING_PARENT:
        with pytest.raises(UnexpectedStatusCode):
            site.create(".resto-1/a.txt", b"content")
    else:
        site.create(".resto-1/a.txt", b"content")
        assert site.transport.remove_directory(site.url, ".resto-1") is True
        assert site.exists(".resto-1/a.txt") is False
    assert site.transport.remove_directory(site.url, ".resto-1") is True
    assert site.exists(".resto-1") is False


CASES = [
    a_new_file,
    over_an_old_file,
    an_empty_file,
    over_a_file_with_nothing,
    three_megabytes,
    a_text_that_could_be_compressed,
    missing_directories,
    a_file_that_exists,
    a_size,
    a_time,
    a_stream,
    a_stream_that_is_not_read_to_its_end,
    a_missing_file,
    a_deletion,
    a_deletion_of_what_never_was,
    a_directory_is_never_deleted,
    a_directory_is_not_a_file,
    a_file_is_not_a_directory,
    odd_names,
    odd_directories,
    a_listing,
    a_scan,
    a_temporary_directory,
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_table(site, case):
    case(site)


def test_credentials_are_needed_where_they_are_asked_for(media_servers, transport_name):
    for kind in ("nginx-https", "apache-digest"):
        server = media_servers(kind)
        options = {"ca_bundle": str(server.ca)} if server.kind.tls else {}
        with contextlib.closing(TRANSPORTS[transport_name]("/", timeout=10, **options)) as transport:
            with pytest.raises(UnexpectedStatusCode, match="credentials") as info:
                transport.create(server.new_folder()[0], "a.txt", b"content")
            assert info.value.status == 401
