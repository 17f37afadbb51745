"""What kinds of server do differently, case by case, for both transports. What they all do is in test_contract.py."""

import contextlib
from dataclasses import dataclass

import pytest

from kit.kinds import KINDS
from resto.exceptions import RemoteDirectoryError, TransportError, UnexpectedStatusCode
from resto.names import HOST_IDENTITY
from resto.transports.base import Transport
from resto.transports.http import HttpTransport
from resto.transports.webdav import WebDAVTransport


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


@dataclass
class Site:
    """A private folder on a server, and the transport to reach it."""

    kind: str
    name: str
    transport: Transport
    url: str

    def create(self, name, content):
        return self.transport.create(self.url, name, content)

    def content(self, name):
        return self.transport.content(self.url, name)

    def exists(self, name):
        return self.transport.exists(self.url, name)

    def size(self, name):
        return self.transport.size(self.url, name)


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


def over_an_old_file(site):
    site.create("a.txt", b"a longer content")
    assert site.create("a.txt", b"new") is replaced(site)
    assert site.content("a.txt") == b"new"


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
        from kit.servers import PASSWORD, USERNAME

        yield from {"auth": (USERNAME, PASSWORD), "auth_scheme": "digest"}.items()


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


def nothing_is_below_a_file(site):
    site.create("a.txt", b"content")
    for name in ("a.txt/b.txt", "a.txt/b/c.txt"):
        assert site.transport.delete(site.url, name) is False
    assert site.content("a.txt") == b"content"


def a_directory_is_not_deleted(site):
    in_directory(site)
    if site.name == "http" and site.kind in DENIES_DIRECTORY:
        assert site.transport.delete(site.url, "d") is False  # it says that nothing is there
    else:
        with pytest.raises(TransportError):
            site.transport.delete(site.url, "d")
    assert site.content("d/a.txt") == b"content"
    site.transport.try_directories(site.url)
    with pytest.raises(TransportError if site.kind in BLURS_DIRECTORY else RemoteDirectoryError):
        site.transport.delete(site.url, "d")
    assert site.content("d/a.txt") == b"content"


CASES = [
    over_an_old_file,
    a_text_that_could_be_compressed,
    missing_directories,
    a_directory_is_not_a_file,
    a_temporary_directory,
    nothing_is_below_a_file,
    a_directory_is_not_deleted,
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


def test_host_can_be_given_an_identity(site):
    """Configurations hide it from others, and the site must be able to write and read it all the same."""
    for number in range(2):
        site.create(HOST_IDENTITY, str(number).encode())
        assert site.exists(HOST_IDENTITY)
        assert site.content(HOST_IDENTITY) == str(number).encode()
