"""The bundled transports keep their contract, over both wires, on every kind of server."""

import contextlib

import pytest
import requests

from kit.kinds import KINDS
from kit.servers import PASSWORD, USERNAME
from resto.testing import TransportContract
from resto.transports.http import HttpTransport
from resto.transports.webdav import WebDAVTransport


TRANSPORTS = {"http": HttpTransport, "webdav": WebDAVTransport}

# What speaks to one of each family of servers, and to those that want TLS or Digest; the others are for `make long`.
WITH_REQUESTS = ("nginx", "nginx-no-parents", "nginx-https", "apache-digest", "lighttpd", "rclone")
WAYS = [
    *(pytest.param((kind, "webdav", "connections"), id=f"{kind}-webdav-connections") for kind in KINDS),
    *(
        pytest.param(
            (kind, "http", "requests"),
            id=f"{kind}-http-requests",
            marks=() if kind in WITH_REQUESTS else pytest.mark.long,
        )
        for kind in KINDS
    ),
]

# Servers that show an upload under its final name only when it is whole.
PUBLISH_ATOMICALLY = {"nginx", "apache2", "lighttpd"}


@pytest.fixture
def build():
    """Make transports, with a credential."""
    with contextlib.ExitStack() as stack:

        def make(transport, wire, **options):
            certificates = options.pop("ca_bundle", True), options.pop("client_cert", None)

            def create_session():
                session = requests.Session()
                session.verify, session.cert = certificates
                return session

            if wire == "requests":
                options["session"] = create_session
            elif certificates[1]:
                options["ca_bundle"], options["client_cert"] = certificates
            made = TRANSPORTS[transport]("/", **{"timeout": 10, "auth": (USERNAME, PASSWORD)} | options)
            return stack.enter_context(contextlib.closing(made))

        yield make


class TestOnEveryServer(TransportContract):
    # What has nothing to do with the server is tested below.
    test_constructor_takes_what_storages_give = None
    test_constructor_touches_no_network = None
    test_flags_are_booleans = None
    test_host_has_an_identity = None
    test_unreachable_host_is_an_error = None
    test_silent_host_is_an_error = None
    test_hosts_of_one_server_share_no_file = None
    test_errors_can_be_pickled = None
    test_forked_child_may_use_it = None
    test_close_is_not_the_end = None

    secret = PASSWORD
    max_examples = 4

    @pytest.fixture(params=WAYS)
    def transport_and_host(self, request, media_servers, build):
        kind, *way = request.param
        server = media_servers(kind)
        self.makes_directories = way[0] == "webdav" or server.kind.makes_parents
        self.replaces_at_once = server.kind.program in PUBLISH_ATOMICALLY
        options = {"auth_scheme": server.kind.auth}
        if server.kind.tls:
            options |= {"ca_bundle": str(server.ca), "client_cert": str(server.client_certificate)}
        transport = build(*way, **options)
        if not server.kind.propfind:
            transport.supports_listdir = transport.supports_scan = False  # which is an error in both cases
        return transport, server.new_folder()[0]


class TestWhereHeadDoesNotTell(TestOnEveryServer):
    """It tells no size behind Apache, and ASGIWebDAV says that each file has 0 bytes."""

    secret = None
    # SabreDAV misspells some names in its listings, ASGIWebDAV takes "%20" for a space.
    test_any_name_is_a_name = None
    test_names_are_taken_literally = None

    @pytest.fixture(params=["connections", pytest.param("requests", marks=pytest.mark.long)])
    def wire(self, request):
        return request.param

    @pytest.fixture(params=["apache-sabredav", "asgiwebdav"])
    def transport_and_host(self, request, media_servers, build, wire):
        self.makes_directories, self.replaces_at_once = True, False
        return build("webdav", wire, auth=None), media_servers(request.param).new_folder()[0]


class TestOnTheTestServer(TransportContract):
    unreachable_host = "http://127.0.0.1:1/"
    secret = PASSWORD

    @pytest.fixture(params=["http-connections", "webdav-requests", "webdav in place-connections"])
    def transport_and_host(self, request, build, resto_server_factory, tmp_path):
        kind, _, wire = request.param.partition("-")
        transport, _, in_place = kind.partition(" ")
        self.replaces_at_once = not in_place
        options = {"webdav": transport == "webdav", "in_place": bool(in_place), "root": tmp_path / "files"}
        url = resto_server_factory(**options).url
        self.host_with_path = f"{url}a%20path/of%20its%20own/"
        (tmp_path / "files/a path/of its own").mkdir(parents=True)  # the transports make none above the host's
        silent = resto_server_factory(**options)
        silent.hang, self.silent_host = True, silent.url
        limits = {"timeout": 0.3} if "silent_host" in request.node.name else {}  # each action waits for it
        return build(transport, wire, **limits), url
