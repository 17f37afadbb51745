import html
import io
import logging
import os
import pickle
import socket
import ssl
import sys
import threading
import time
import traceback
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote

import pytest
import requests
from django.core.exceptions import SuspiciousFileOperation
from hypothesis import example, given, settings
from hypothesis import strategies as st
from requests.auth import AuthBase, HTTPBasicAuth, HTTPDigestAuth

from kit.reports import report
from kit.wires import CREATED
from resto.courses import course_of, finish
from resto.exceptions import (
    ConfigurationError,
    HostUnavailableError,
    RemoteDirectoryError,
    RemoteFileNotFoundError,
    TransportError,
    UnexpectedStatusCode,
)
from resto.names import clean_name
from resto.transports import Directory, Trial, bodies, heads, keeping
from resto.transports.http import HttpTransport
from resto.transports.requests_wire import RequestsWire
from resto.transports.wire import ConnectionWire


TESTS = Path(__file__).resolve().parent.parent

DOTTED = f"{__name__}.create_session"


def create_session():
    session = requests.Session()
    session.headers["X-Site"] = "dotted"
    return session


SESSION = requests.Session()


class Pipe(io.RawIOBase):
    """A file that can be read once."""

    def __init__(self, content):
        self._content = io.BytesIO(content)

    def readable(self):
        return True

    def readinto(self, buffer):
        return self._content.readinto(buffer)


def wire_of(transport, url):
    return type(transport._wire(url)[1])


# What it does


def test_a_file_has_a_life(transport, resto_server):
    http, url = transport(), resto_server.url
    assert http.create(url, "a.txt", b"old") is False
    assert http.create(url, "a.txt", io.BytesIO(b"content")) is True
    assert http.exists(url, "a.txt") is True
    assert http.size(url, "a.txt") == 7
    assert http.content(url, "a.txt") == b"content"
    assert http.delete(url, "a.txt") is True
    assert http.delete(url, "a.txt") is False
    assert http.exists(url, "a.txt") is False
    assert {request.connection for request in resto_server.requests} == {1}


def test_the_time_of_a_file(transport, resto_server):
    before = datetime.now(UTC).replace(microsecond=0)
    resto_server.create_file("a.txt", b"")
    assert before <= transport().modified_time(resto_server.url, "a.txt") <= datetime.now(UTC)


def test_a_stream_may_be_closed_twice(transport, resto_server):
    resto_server.create_file("a.txt", b"content")
    http = transport()
    stream = http.open(resto_server.url, "a.txt")
    assert stream.read() == b"content"
    stream.raw.close()
    stream.raw.close()
    http.exists(resto_server.url, "a.txt")
    assert [request.connection for request in resto_server.requests] == [1, 1]


def test_hosts_without_a_scheme_take_that_of_the_base_url(transport, resto_server):
    http = transport(base_url="/media/")
    http.exists(resto_server.address, "a.txt")
    assert resto_server.requests[0].path == "/media/a.txt"
    assert http.identify(resto_server.address) == f"{resto_server.url}media/"
    assert http.public_url(resto_server.address) == f"{resto_server.url}media/"


def test_a_lazy_base_url_is_evaluated_late(transport, resto_server):
    class Lazy:
        def __str__(self):
            raise AssertionError("evaluated")

    http = transport(base_url=Lazy())
    assert http.exists(resto_server.url, "a.txt") is False


def test_an_impossible_host_is_a_configuration_error(transport):
    with pytest.raises(ConfigurationError):
        transport().exists("ftp://media-1/", "a.txt")


@pytest.mark.parametrize("size", [0, 1, 100_000, 3_000_000])
@pytest.mark.parametrize("kind", [bytes, io.BytesIO, Pipe])
def test_every_upload_has_a_length(transport, resto_server, kind, size):
    transport().create(resto_server.url, "a.txt", kind(bytes(size)))
    request = next(request for request in resto_server.requests if request.method == "PUT")
    assert request.headers["Content-Length"] == str(size)
    assert request.headers["Transfer-Encoding"] is None
    assert resto_server.files == {"a.txt": bytes(size)}


# Words that are broken


@pytest.mark.parametrize("size", [300_000, 3_000_000])
def test_the_size_of_an_upload_is_checked(transport, resto_server, size):
    resto_server.truncate_upload = 1000
    with pytest.raises(TransportError, match=f"stored 1,000 of {size:,} bytes"):
        transport().create(resto_server.url, "a.txt", bytes(size))


@pytest.mark.parametrize("extra", [1, 100_000])
def test_a_download_that_is_too_short_is_an_error(transport, resto_server, extra):
    resto_server.create_file("a.txt", bytes(300_000))
    resto_server.wrong_length = extra
    with pytest.raises(HostUnavailableError, match="broke off"):
        transport().content(resto_server.url, "a.txt")


@pytest.mark.parametrize("cut", [0, 1, 150_000, 299_999])
def test_a_download_that_is_cut_is_an_error(transport, resto_server, cut):
    resto_server.create_file("a.txt", bytes(300_000))
    resto_server.reset_after = cut
    with pytest.raises(HostUnavailableError):
        transport().content(resto_server.url, "a.txt")


def announcing_session():
    session = requests.Session()
    session.headers["Expect"] = "100-continue"
    return session


@pytest.mark.parametrize("session", [None, announcing_session], ids=["connections", "requests"])
@pytest.mark.parametrize("closing", ["", "Connection: close\r\n"])
def test_a_host_that_knows_no_expectation_gets_a_large_file_all_the_same(transport, script, session, closing):
    stored = []

    def handle(peer):
        while head := peer.head():
            is_put = head[0].startswith("PUT")
            is_expecting = is_put and "expect" in head[1]
            if is_put and (session or not is_expecting):
                stored.append(len(peer.body(int(head[1]["content-length"]))))
            if is_expecting:
                peer.say(f"HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n{closing}\r\n".encode())
                if closing:
                    return
            elif is_put:
                peer.say(CREATED)
            else:
                peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: 1048577\r\n\r\n")

    sender = transport(session=session)
    assert sender.create(script(handle).url, "a.txt", bytes(1_048_577)) is False
    assert stored[-1] == 1_048_577


@pytest.mark.parametrize("kind", ["http", "webdav"])
@pytest.mark.parametrize("size", [0, 7, 300_000])
def test_a_server_may_say_200_of_a_file_that_it_has_replaced(transport, resto_server, kind, size):
    """Jetty, and webdav-server of npm."""
    sender = transport(kind)
    sender.create(resto_server.url, "a.txt", b"other")
    resto_server.fault_methods, resto_server.override_code = {"PUT"}, 200
    assert sender.create(resto_server.url, "a.txt", bytes(size)) is True
    resto_server.on_applied = lambda method, path: (
        method == "PUT" and resto_server.create_file(path.strip("/"), b"other")
    )
    with pytest.raises(TransportError, match="it stored 5 of"):
        sender.create(resto_server.url, "a.txt", bytes(size))


@pytest.mark.parametrize("cut", [0, 1, 50_000])
@pytest.mark.parametrize("size", [60_000, 2_000_000])
def test_an_upload_that_is_cut_is_an_error_and_no_file(transport, resto_server, size, cut):
    resto_server.create_file("a.txt", b"old")
    resto_server.reset_after = cut
    with pytest.raises(HostUnavailableError) as info:
        transport().create(resto_server.url, "a.txt", bytes(size))
    assert info.value.ambiguous
    assert resto_server.files == {"a.txt": b"old"}
    assert len(resto_server.requests) == 1


class Shrinking(io.BytesIO):
    """A file that somebody makes empty while it is read."""

    def read(self, size=-1):
        block = super().read(size)
        self.truncate(0)
        return block


def test_a_file_that_shrinks_while_it_is_sent_is_not_the_fault_of_the_network(transport, resto_server):
    with pytest.raises(TransportError, match="became shorter") as info:
        transport().create(resto_server.url, "a.txt", Shrinking(bytes(3_000_000)))
    assert not isinstance(info.value, HostUnavailableError)
    assert not resto_server.files


@pytest.mark.parametrize("code", [401, 413])
@pytest.mark.parametrize("size", [100_000, 5_000_000])
def test_a_refusal_that_comes_early_is_read(transport, resto_server, code, size):
    resto_server.refuse_code = code
    with pytest.raises(UnexpectedStatusCode) as info:
        transport().create(resto_server.url, "a.txt", bytes(size))
    assert info.value.status == code


@pytest.mark.parametrize("session", [None, requests.Session])
def test_redirects_are_not_followed(transport, resto_server_factory, session):
    server, target = resto_server_factory(), resto_server_factory()
    server.redirect = target.url
    http = transport(session=session)
    for act in (
        lambda: http.create(server.url, "a.txt", b"content"),
        lambda: http.delete(server.url, "a.txt"),
        lambda: http.content(server.url, "a.txt"),
        lambda: http.exists(server.url, "a.txt"),
    ):
        with pytest.raises(UnexpectedStatusCode, match=r"redirects are not followed|directory"):
            act()
    assert target.requests == []


@pytest.mark.parametrize("session", [None, requests.Session])
def test_the_environment_is_not_asked(transport, resto_server, monkeypatch, tmp_path, session):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login user password s3cret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    for variable in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9/")
    transport(session=session).create(resto_server.url, "a.txt", b"content")
    assert resto_server.requests[0].headers["Authorization"] is None


def test_a_delete_cannot_reach_a_directory(transport, resto_server):
    resto_server.create_file("a.txt", b"content")
    http = transport()
    http.delete(resto_server.url, "a.txt")
    http.delete(resto_server.url, "a.txt")
    deletes = [request for request in resto_server.requests if request.method == "DELETE"]
    assert {request.path for request in deletes if ".resto-" not in request.path} == {"/a.txt"}
    for request in deletes[:-3] + deletes[-2:]:  # without the removal of the trial's own directory
        assert request.headers["Depth"] == "0"
        assert not request.path.endswith("/")
        assert request.body_size == 0


def methods_of_the_site(server):
    """Without what is done to names of resto's own."""
    return [method for method, path, _ in server.log if ".resto-" not in path]


def test_hosts_that_delete_directories_are_asked_before_a_delete(transport, resto_server_factory):
    server = resto_server_factory(deletes_trees=True)
    server.create_file("a.txt", b"content")
    http = transport()
    http.delete(server.url, "a.txt")
    http.delete(server.url, "a.txt")
    assert methods_of_the_site(server) == ["HEAD", "DELETE", "HEAD"]


def test_hosts_that_spare_directories_are_not_asked(transport, resto_server):
    http = transport()
    for name in "abc":
        resto_server.create_file(name, b"content")
        http.delete(resto_server.url, name)
    assert methods_of_the_site(resto_server) == ["HEAD", "DELETE", "DELETE", "DELETE"]
    assert resto_server.files == {}


def test_what_another_process_has_found_out_is_believed(transport, resto_server):
    first, second = transport(), transport()
    trial = first.try_directories(resto_server.url)
    assert trial.spares
    assert second.trial(resto_server.url) is None
    second.believe(resto_server.url, trial)
    assert second.trial(resto_server.url) == trial
    before = len(resto_server.log)
    resto_server.create_file("a.txt", b"content")
    second.delete(resto_server.url, "a.txt")
    assert [method for method, _, _ in resto_server.log[before:]] == ["HEAD", "DELETE"]


def test_a_server_that_was_replaced_is_tried_again(transport, resto_server_factory):
    old = resto_server_factory()
    http, port = transport(), int(old.address.rpartition(":")[2])
    assert http.try_directories(old.url).spares
    old.stop()
    http.close()
    new = resto_server_factory(port=port, deletes_trees=True, in_place=True)
    new.create_file("d/a.txt", b"content")
    http.create(new.url, "b.txt", b"content")  # it looks otherwise
    with pytest.raises(RemoteDirectoryError):
        http.delete(new.url, "d")
    http.delete(new.url, "b.txt")
    assert http.trial(new.url).spares is False
    assert new.files == {"d/a.txt": b"content"}


def test_where_files_look_like_directories_nothing_is_deleted(transport, resto_server_factory):
    server = resto_server_factory(webdav=False, deletes_trees=True, dates_directories=True)
    server.create_file("d/a.txt", b"content")
    http = transport()
    for name in ("d", "d/a.txt"):
        with pytest.raises(TransportError, match="not certain that this is a file"):
            http.delete(server.url, name)
    assert server.files == {"d/a.txt": b"content"}


def test_a_locked_file_is_tried_again(transport, resto_server):
    resto_server.locked = 2
    assert transport().create(resto_server.url, "a.txt", b"content") is False
    assert [status for _, _, status in resto_server.log] == [423, 423, 201]


# Courses


def test_actions_begin_without_waiting_once_a_connection_is_there(transport, resto_server):
    http, url = transport(), resto_server.url.replace("127.0.0.1", "localhost")  # which has to be looked up
    assert next(course_of(http.create, url, "a.txt", b"content")) is None
    http.create(url, "a.txt", b"old")
    for method, arguments, expected in (
        (http.create, [b"content"], True),
        (http.exists, [], True),
        (http.size, [], 7),
        (http.modified_time, [], lambda: http.modified_time(url, "a.txt")),
        (http.delete, [], True),
    ):
        course = course_of(method, url, "a.txt", *arguments)
        assert next(course) is not None
        assert finish(course) == (expected() if callable(expected) else expected)
    assert {request.connection for request in resto_server.requests} == {1}


def test_a_file_that_can_be_read_once_is_left_to_whoever_may_wait(transport, resto_server):
    http, pipe = transport(), Pipe(b"content")
    http.exists(resto_server.url, "a.txt")
    course = course_of(http.create, resto_server.url, "a.txt", pipe)
    assert next(course) is None
    course.close()
    http.create(resto_server.url, "a.txt", pipe)
    assert resto_server.files == {"a.txt": b"content"}


def test_an_interrupted_upload_leaves_no_copy(transport, resto_server, monkeypatch):
    made = []

    class NotedBody(bodies.Body):
        def __init__(self, content):
            super().__init__(content)
            made.append(self.content)

    monkeypatch.setattr("resto.transports.http.Body", NotedBody)
    course = course_of(transport().create, resto_server.url, "a.txt", Pipe(b"content"))
    while not made:
        next(course)
    course.close()
    assert made[0].closed


def test_what_a_subclass_overrides_is_not_bypassed(resto_server):
    class Noting(HttpTransport):
        deleted = ()

        def delete(self, host, name):
            self.deleted += (name,)
            return super().delete(host, name)

    with closing(Noting("/media/", timeout=20)) as http:
        http.exists(resto_server.url, "a.txt")
        course = course_of(http.delete, resto_server.url, "a.txt")
        assert next(course) is None
        assert finish(course) is False
        assert http.deleted == ("a.txt",)
        assert next(course_of(http.exists, resto_server.url, "a.txt")) is not None


def test_courses_fail_as_methods_do(transport, resto_server):
    http = transport(timeout=0.2)
    http.exists(resto_server.url, "a.txt")
    resto_server.hang = True
    course = course_of(http.create, resto_server.url, "a.txt", b"content")
    next(course)
    with pytest.raises(HostUnavailableError, match="no answer") as info:
        finish(course)
    assert (info.value.action, info.value.ambiguous) == ("upload", True)


def test_no_request_of_an_action_needs_a_thread(transport, resto_server_factory):
    server = resto_server_factory(deletes_trees=True)  # whose files are asked for before they are deleted
    server.create_file("a.txt", b"content")
    http = transport()
    http.try_directories(server.url)
    assert None not in [*course_of(http.delete, server.url, "a.txt")]
    assert methods_of_the_site(server) == ["HEAD", "DELETE"]


# Which wire


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, ConnectionWire),
        ({"auth": ("user", "password")}, ConnectionWire),
        ({"auth": {"X-Key": "abc"}}, ConnectionWire),
        ({"auth": HTTPBasicAuth("user", "password")}, ConnectionWire),
        ({"auth": HTTPDigestAuth("user", "password")}, RequestsWire),
        ({"auth": ("user", "password"), "auth_scheme": "digest"}, RequestsWire),
        ({"session": requests.Session()}, RequestsWire),
        ({"session": requests.Session}, RequestsWire),
        ({"session": DOTTED}, RequestsWire),
        ({"session": "requests.Session"}, RequestsWire),
    ],
    ids=["none", "basic", "header", "stateless", "reactive", "digest", "instance", "factory", "dotted", "class"],
)
def test_requests_is_used_when_it_is_needed(transport, options, expected):
    assert wire_of(transport(**options), "http://media-1/") is expected


def test_a_session_may_be_named(transport, resto_server, monkeypatch):
    monkeypatch.setitem(sys.modules, __name__, sys.modules[create_session.__module__])
    transport(session=DOTTED).exists(resto_server.url, "a.txt")
    assert resto_server.requests[0].headers["X-Site"] == "dotted"


@pytest.mark.parametrize("session", ["resto.no_such_thing", "no_dots", 5])
def test_a_session_that_is_none_is_a_configuration_error(session):
    with pytest.raises(ConfigurationError, match="session"):
        HttpTransport("/media/", session=session)


@pytest.mark.parametrize("auth", [("user", "password"), HTTPBasicAuth("user", "password")], ids=["pair", "object"])
def test_credentials_go_through_a_session_too(transport, resto_server_factory, auth):
    server = resto_server_factory(credentials=("user", "password"))
    assert transport(session=requests.Session(), auth=auth).create(server.url, "a.txt", b"content") is False


@pytest.mark.parametrize("option", ["ca_bundle", "client_cert"])
def test_a_session_has_its_own_certificates(ca_bundle, option):
    with pytest.raises(ConfigurationError, match="no effect on a session"):
        HttpTransport("/media/", session=requests.Session(), **{option: ca_bundle})


# Without credentials


@pytest.mark.parametrize("kind", ["http", "webdav"])
def test_the_same_without_credentials(transport, resto_server_factory, kind):
    server = resto_server_factory(webdav=kind == "webdav", credentials=("user", "password"))
    known = transport(kind, auth=("user", "password"), timeout=7)
    known.create(server.url, "a.txt", b"content")
    stranger = known.without_credentials()
    assert (type(stranger), stranger.timeout) == (type(known), 7)
    with closing(stranger), pytest.raises(UnexpectedStatusCode) as info:
        stranger.delete(server.url, "a.txt")
    assert info.value.status == 401
    assert known.delete(server.url, "a.txt") is True


@pytest.mark.parametrize("auth", [HTTPDigestAuth("u", "p"), HTTPBasicAuth("u", "p"), {"X-Key": "abc"}])
def test_no_credential_is_left(transport, resto_server, auth):
    with closing(transport(auth=auth).without_credentials()) as stranger:
        assert stranger.exists(resto_server.url, "a.txt") is False
    (request,) = resto_server.requests
    assert {"authorization", "x-key"}.isdisjoint(map(str.lower, request.headers))


def test_who_has_no_credentials_stays_the_same(transport):
    http = transport()
    assert http.without_credentials() is http


def test_a_session_may_have_credentials_of_its_own(transport):
    assert transport(session=requests.Session).without_credentials() is None


# Directories


@pytest.mark.parametrize("name", ["d", "d/e", ".resto-1/d"])
def test_only_temporary_directories_are_removed(transport, resto_server, name):
    with pytest.raises(ValueError, match="not a temporary name"):
        transport().remove_directory(resto_server.url, name)
    assert resto_server.requests == []


# Certificates


@pytest.fixture
def tls_server(resto_server_factory, server_context):
    return resto_server_factory(ssl_context=server_context)


def test_certificates_are_verified(transport, tls_server):
    with pytest.raises(HostUnavailableError, match="certificate is not trusted") as info:
        transport().create(tls_server.url, "a.txt", b"content")
    assert not info.value.ambiguous


@pytest.mark.parametrize("options", [{}, {"auth": HTTPDigestAuth("u", "p")}], ids=["connections", "requests"])
def test_authorities_can_be_named(transport, tls_server, ca_bundle, options):
    http = transport(ca_bundle=ca_bundle, **options)
    http.create(tls_server.url, "a.txt", bytes(2_000_000))
    assert len(http.content(tls_server.url, "a.txt")) == 2_000_000
    with pytest.raises(HostUnavailableError, match="not trusted"):
        http.exists(tls_server.url.replace("127.0.0.1", "localhost"), "a.txt")


@pytest.fixture
def demanding_server(resto_server_factory, authority):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    return resto_server_factory(ssl_context=context)


@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize("options", [{}, {"auth": HTTPDigestAuth("u", "p")}], ids=["connections", "requests"])
def test_client_certificates_are_shown(transport, demanding_server, authority, ca_bundle, tmp_path, parts, options):
    certificate = authority.issue_cert("application.example.com")
    paths = [tmp_path / "cert.pem", tmp_path / "key.pem"]
    if parts == 1:
        certificate.private_key_and_cert_chain_pem.write_to_path(paths[0])
        client_cert = str(paths[0])
    else:
        certificate.cert_chain_pems[0].write_to_path(paths[0])
        certificate.private_key_pem.write_to_path(paths[1])
        client_cert = tuple(map(str, paths))
    http = transport(ca_bundle=ca_bundle, client_cert=client_cert, **options)
    assert http.create(demanding_server.url, "a.txt", b"content") is False


def test_without_a_client_certificate_nothing_is_stored(transport, demanding_server, ca_bundle):
    with pytest.raises(HostUnavailableError, match=r"TLS failed|connection broke"):
        transport(ca_bundle=ca_bundle).create(demanding_server.url, "a.txt", b"content")
    assert not demanding_server.files


def test_client_certificate_is_not_shown_by_who_has_no_credentials(
    transport, demanding_server, authority, ca_bundle, tmp_path
):
    path = tmp_path / "client.pem"
    authority.issue_cert("application.example.com").private_key_and_cert_chain_pem.write_to_path(path)
    http = transport(ca_bundle=ca_bundle, client_cert=str(path))
    assert http.exists(demanding_server.url, "a.txt") is False
    with (
        closing(http.without_credentials()) as stranger,
        pytest.raises(HostUnavailableError, match=r"TLS failed|connection broke"),
    ):
        stranger.create(demanding_server.url, "a.txt", b"content")


@pytest.mark.parametrize("option", ["ca_bundle", "client_cert"])
def test_certificates_must_exist(option):
    with pytest.raises(ConfigurationError, match=f"{option} names a file that does not exist"):
        HttpTransport("/media/", **{option: "/nowhere/ca.pem"})


@pytest.mark.parametrize("option", ["ca_bundle", "client_cert"])
def test_certificates_must_be_certificates(transport, tmp_path, option):
    (tmp_path / "ca.pem").write_text("not a certificate")
    with pytest.raises(ConfigurationError, match=f"{option} cannot be loaded"):
        transport(**{option: str(tmp_path / "ca.pem")})


def test_a_key_with_a_password_is_an_error_and_no_question(transport, tmp_path, authority):
    """OpenSSL would ask for it on the terminal, and wait."""
    from cryptography.hazmat.primitives import serialization as formats

    certificate = authority.issue_cert("application.example.com")
    key = formats.load_pem_private_key(certificate.private_key_pem.bytes(), None)
    locked = key.private_bytes(
        formats.Encoding.PEM, formats.PrivateFormat.PKCS8, formats.BestAvailableEncryption(b"s3cret")
    )
    (tmp_path / "both.pem").write_bytes(certificate.cert_chain_pems[0].bytes() + locked)
    with pytest.raises(ConfigurationError, match="client_cert cannot be loaded"):
        transport(client_cert=str(tmp_path / "both.pem"))


# Credentials


@pytest.mark.parametrize(
    ("credential", "expected"),
    [
        (("user", "pass:word"), "Basic dXNlcjpwYXNzOndvcmQ="),
        ("abc", "Bearer abc"),
        ({"Authorization": "Custom abc"}, "Custom abc"),
        (HTTPBasicAuth("user", "pass:word"), "Basic dXNlcjpwYXNzOndvcmQ="),
    ],
    ids=["basic", "bearer", "header", "object"],
)
def test_credentials_are_named(transport, resto_server, settings, credential, expected):
    settings.RESTO_SECRETS = {"media": credential}
    http = transport(auth="media")
    http.exists(resto_server.url, "a.txt")
    assert resto_server.requests[0].headers["Authorization"] == expected
    assert not http.has_literal_credentials


@pytest.mark.parametrize("auth", [("user", "password"), {"X-Key": "abc"}, HTTPBasicAuth("u", "p")])
def test_literal_credentials_are_flagged(auth):
    assert HttpTransport("/media/", auth=auth).has_literal_credentials
    assert not HttpTransport("/media/").has_literal_credentials


class Leaky(AuthBase):
    """An auth object whose errors tell everything."""

    def __init__(self, secret):
        self.secret = secret
        self.calls = 0

    def __call__(self, request):
        self.calls += 1
        if self.calls > 2:
            raise ValueError(self.secret)
        request.headers["X-Key"] = self.secret
        return request


WEATHER = {
    "refuse_code": 401,
    "drop_answer": True,
    "refuse": True,
    "wrong_length": 5,
    "redirect": "http://127.0.0.1:9/",
}
SECRETS = st.text(st.characters(codec="ascii", categories=["L", "N", "P"], exclude_characters="\\'\""), max_size=20)


@settings(max_examples=25)
@given(secret=SECRETS.map(lambda text: f"s3cret{text}"), knob=st.sampled_from([*WEATHER]), kind=st.integers(0, 5))
def test_credentials_never_show(resto_server_factory, caplog, secret, knob, kind):
    options = [
        {"auth": ("user", secret)},
        {"auth": ("user", secret), "auth_scheme": "digest"},
        {"auth": {"X-Key": secret}},
        {"auth": HTTPBasicAuth("user", secret)},
        {"auth": Leaky(secret)},
        {"auth": Leaky(secret), "session": requests.Session},
    ][kind]
    http = HttpTransport("/media/", timeout=0.5, **options)
    server = resto_server_factory(credentials=("other", "other"))
    setattr(server, knob, WEATHER[knob])
    shown = [repr(http), str(http)]
    with caplog.at_level(logging.DEBUG):
        for act in (http.exists, http.size, http.content, http.delete):
            try:
                act(server.url, "a.txt")
            except TransportError as error:
                shown += [repr(error), str(error), repr(vars(error)), "".join(traceback.format_exception(error))]
                shown.append(pickle.dumps(error).decode("latin-1"))
                shown.append(report(error))
    http.close()
    server.stop()
    shown.append(caplog.text)
    assert len(shown) > 8
    shown = "\n".join(shown)
    assert secret not in shown
    assert html.escape(secret) not in shown


# Names


def names():
    return st.text(max_size=60).filter(is_clean)


def is_clean(text):
    try:
        clean_name(text)
    except (ValueError, SuspiciousFileOperation):
        return False
    return True


class Recorder:
    """Accepts anything, says 404, and keeps the bytes."""

    def __init__(self):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/media/"
        self.heads = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        # One connection after the other: a transport leaves one that it has not used for a while.
        with suppress(OSError):  # it is closed
            while True:
                self._serve(self._listener.accept()[0])

    def _serve(self, sock):
        with sock:
            data = b""
            while piece := sock.recv(65536):
                data += piece
                while b"\r\n\r\n" in data:
                    head, _, data = data.partition(b"\r\n\r\n")
                    self.heads.append(head)
                    sock.sendall(b"HTTP/1.1 404 No\r\nServer: nginx\r\nContent-Length: 0\r\n\r\n")

    def close(self):
        self._listener.shutdown(socket.SHUT_RDWR)  # which ends the waiting for the next connection
        self._listener.close()
        self._thread.join(5)


@pytest.fixture(scope="module")
def recorded():
    recorder = Recorder()
    http = HttpTransport("/", timeout=20)
    http.believe(recorder.url, Trial(spares=True, tells="301", looks=(), tried=time.time()))
    yield http, recorder
    http.close()
    recorder.close()


@given(names(), st.sampled_from(["exists", "delete"]))
@example("a?b", "delete")
@example("a#b", "delete")
@example("a%2e%2e%2fb", "delete")
@example("a b\u2028c HTTP/1.1", "delete")
@example("\x85.txt", "delete")
@example("http://x/y", "exists")
@example("...", "delete")
def test_a_name_is_one_request_line_inside_the_prefix(recorded, name, method):
    http, recorder = recorded
    name = clean_name(name)
    count = len(recorder.heads)
    getattr(http, method)(recorder.url, name)
    *_, head = recorder.heads[count:]
    assert head.isascii()
    line, *headers = head.split(b"\r\n")
    assert b"\r" not in line
    assert b"\n" not in line
    verb, target, version = line.split(b" ")
    # The first deletion over a connection looks whether the file is there.
    assert verb in {"exists": [b"HEAD"], "delete": [b"DELETE", b"HEAD"]}[method]
    assert version == b"HTTP/1.1"
    assert target.startswith(b"/media/")
    assert not target.endswith(b"/")
    parts = target.removeprefix(b"/media/").split(b"/")
    assert not {b"", b".", b".."} & set(parts)
    assert not set(target) & set(b'?#\\"<> ')
    assert unquote(target.decode()).removeprefix("/media/") == name
    assert [header.partition(b":")[0].lower() for header in headers][:1] == [b"host"]


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/",
        "/etc/passwd",
        "..",
        "../a",
        "a/../../b",
        "a/..",
        "\\..\\a",
        "a\r\nX: y",
        "a\nb",
        "a\x00",
        "\ud800",
        ".",
    ],
)
def test_dangerous_names_are_refused(name):
    with pytest.raises((ValueError, SuspiciousFileOperation)):
        clean_name(name)


# Processes and threads


@pytest.mark.parametrize("options", [{}, {"session": requests.Session}], ids=["connections", "requests"])
def test_a_forked_child_has_connections_of_its_own(transport, resto_server, options, monkeypatch):
    monkeypatch.setattr(keeping, "LEAST", 600)  # on a busy machine, a child may need long
    http = transport(**options)
    http.exists(resto_server.url, "parent")
    pid = os.fork()
    if pid == 0:
        try:
            os._exit(0 if http.exists(resto_server.url, "child") is False else 2)
        finally:
            os._exit(1)
    assert os.waitpid(pid, 0)[1] == 0
    assert http.exists(resto_server.url, "parent") is False
    assert [(request.name, request.connection) for request in resto_server.requests] == [
        ("parent", 1),
        ("child", 2),
        ("parent", 1),
    ]


@pytest.mark.parametrize(
    ("options", "most"), [({}, 16), ({"session": requests.Session}, 32)], ids=["connections", "requests"]
)
def test_threads_share_a_transport(transport, resto_server, options, most):
    """A session of requests may have one answer that is being read beside the request that it sends."""
    http = transport(**options)
    failures = []

    def work(number):
        content = bytes([number]) * (10_000 + number)
        try:
            for round_ in range(5):
                name = f"{number}-{round_}"
                http.create(resto_server.url, name, content)
                assert http.content(resto_server.url, name) == content
                assert http.size(resto_server.url, name) == len(content)
        except Exception as error:  # noqa: BLE001 - told by the main thread
            failures.append(error)

    threads = [threading.Thread(target=work, args=[number]) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert len(resto_server.files) == 80
    assert max(request.connection for request in resto_server.requests) <= most


def test_a_transport_builds_one_wire_per_host(transport):
    http = transport()
    found = []
    threads = [threading.Thread(target=lambda: found.append(http._wire("media-1")[1])) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1


# Silence


@pytest.mark.parametrize("method", ["exists", "size", "content", "delete"])
def test_a_host_that_hangs_is_given_up(transport, resto_server, method):
    resto_server.hang = True
    with pytest.raises(HostUnavailableError, match=r"no answer within 0\.2 s") as info:
        getattr(transport(timeout=0.2), method)(resto_server.url, "a.txt")
    assert info.value.ambiguous


def test_a_host_that_refuses_was_not_reached(transport, resto_server):
    resto_server.refuse = True
    with pytest.raises(HostUnavailableError, match="connection refused") as info:
        transport().create(resto_server.url, "a.txt", b"content")
    assert not info.value.ambiguous


def test_a_body_is_announced_over_tls_too(transport, tls_server, ca_bundle):
    tls_server.refuse_code = 413
    http = transport(ca_bundle=ca_bundle)
    with pytest.raises(UnexpectedStatusCode):
        http.create(tls_server.url, "a.txt", bytes(heads.EXPECT_SIZE + 1))
    assert tls_server.requests[0].body_size == 0


# Listings in JSON


def listing_server(script, answers):
    """A server that gives these answers, one after the other."""

    def handle(peer):
        while peer.head():
            status, media_type, body = answers.pop(0)
            peer.say(
                f"HTTP/1.1 {status} X\r\nContent-Type: {media_type}\r\nContent-Length: {len(body)}\r\n\r\n".encode(),
                body,
            )

    return script(handle)


JSON = "application/json; charset=utf-8"
LISTING = b'[{"name": "d", "type": "directory"}, {"name": "a", "type": "file", "size": 5}]'


def test_directories_are_listed_where_the_host_does_so(transport, script):
    answers = [(200, JSON, LISTING), (404, "text/html", b""), (403, "text/html", b"")]
    server = listing_server(script, answers)
    http = transport()
    assert http.browse(server.url, "") == Directory({"d"}, {"a": 5})
    with pytest.raises(RemoteFileNotFoundError):
        http.browse(server.url, "missing")
    with pytest.raises(UnexpectedStatusCode):
        http.browse(server.url, "d ?")
    requests = bytes(server.received[0]).split(b"\r\n")
    assert [line for line in requests if line.startswith(b"GET")] == [
        b"GET / HTTP/1.1",
        b"GET /missing/ HTTP/1.1",
        b"GET /d%20%3F/ HTTP/1.1",
    ]


def test_a_listing_begins_without_waiting(transport, script):
    http = transport()
    server = listing_server(script, [(200, JSON, LISTING)] * 2)
    http.browse(server.url, "")
    course = course_of(http.browse, server.url, "d")
    assert next(course) is not None
    assert finish(course) == Directory({"d"}, {"a": 5})


def test_what_is_known_needs_no_request(transport, script):
    http = transport()
    server = listing_server(script, [(405, "text/html", b"")])
    assert http.browse(server.url, "") is None
    assert [*course_of(http.browse, server.url, "d")] == []


@pytest.mark.parametrize("status", [204, 207, 301, 403, 405])
def test_a_host_that_does_not_list_is_asked_once(transport, script, status):
    server = listing_server(script, [(status, "text/html", b"")])
    http = transport()
    assert http.browse(server.url, "") is None
    assert http.browse(server.url, "d") is None


@pytest.mark.parametrize(
    "answer", [(404, "text/html", b""), (200, "text/html", b"<html>"), (200, JSON, b"[1]"), (200, JSON, b"[" * 100_000)]
)
def test_an_answer_that_says_nothing_is_not_remembered(transport, script, answer):
    server = listing_server(script, [answer, (200, JSON, LISTING)])
    http = transport()
    assert http.browse(server.url, "") is None
    assert http.browse(server.url, "") == Directory({"d"}, {"a": 5})


@pytest.mark.parametrize("status", [401, 500, 503])
def test_a_failure_to_list_is_a_failure(transport, script, status):
    server = listing_server(script, [(status, "text/html", b"")] * 2)
    http = transport()
    for _ in range(2):
        with pytest.raises(UnexpectedStatusCode):
            http.browse(server.url, "")


def test_a_listing_that_breaks_off_is_a_failure(transport, script):
    def handle(peer):
        peer.head()
        peer.say(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n[", b"")

    with pytest.raises(HostUnavailableError):
        transport().browse(script(handle).url, "")
