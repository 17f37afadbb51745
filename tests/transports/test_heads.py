"""The heads of requests, as servers receive them."""

import pytest
from requests.auth import AuthBase, HTTPBasicAuth

from kit.wires import CREATED, HEAD, LARGE, answering, chain, put
from resto.courses import finish
from resto.transports import heads
from resto.transports.bodies import Body
from resto.transports.messages import NoAnswerError, Request


def test_the_head_of_a_request(connection_wire, script):
    server = script(answering(CREATED))
    finish(
        connection_wire(server.url, auth=("user", "password")).exchange(
            Request("PUT", "/media/a%20b", {"Depth": "0"}, Body(b"content"))
        )
    )
    address = server.url.removeprefix("http://").removesuffix("/")
    assert bytes(server.received[0]) == (
        b"PUT /media/a%20b HTTP/1.1\r\nHost: " + address.encode() + b"\r\nUser-Agent: resto\r\n"
        b"Accept-Encoding: identity\r\nAuthorization: Basic dXNlcjpwYXNzd29yZA==\r\n"
        b"Depth: 0\r\nContent-Length: 7\r\n\r\ncontent"
    )


def test_headers_of_a_credential_replace_those_of_the_wire(connection_wire, resto_server):
    finish(connection_wire(resto_server.url, auth={"user-agent": "site", "X-Key": "abc"}).exchange(HEAD))
    headers = resto_server.requests[0].headers
    assert headers.get_all("User-Agent") == ["site"]
    assert headers["X-Key"] == "abc"


def test_large_bodies_are_announced(connection_wire, resto_server):
    sender = connection_wire(resto_server.url)
    finish(sender.exchange(put(heads.EXPECT_SIZE)))
    finish(sender.exchange(put(LARGE)))
    assert [request.headers["Expect"] for request in resto_server.requests] == [None, "100-continue"]


# Auth objects


class Changing(AuthBase):
    """Sets a header to one value after another, the first two of which are usual."""

    def __init__(self, *values):
        self.values = ["one", "two", *values]

    def __call__(self, request):
        value = self.values.pop(0)
        if isinstance(value, Exception):
            raise value
        request.headers["Authorization"] = value
        return request


@pytest.mark.parametrize("size", [7, LARGE])
def test_stateless_auth_objects_are_applied(connection_wire, resto_server_factory, size):
    server = resto_server_factory(credentials=("user", "password"))
    assert finish(connection_wire(server.url, auth=HTTPBasicAuth("user", "password")).exchange(put(size))).status == 201
    headers = server.requests[0].headers
    assert (headers["Content-Length"], headers["User-Agent"]) == (str(size), "resto")


def test_stateless_auth_objects_see_each_request(connection_wire, resto_server):
    sender = connection_wire(resto_server.url, auth=Changing(b"three"))
    finish(sender.exchange(HEAD))
    finish(sender.exchange(HEAD))
    assert [request.headers["Authorization"] for request in resto_server.requests] == ["two", "three"]


def test_auth_objects_may_sign_the_query(connection_wire, resto_server):
    def sign(request):
        request.url += "?signature=1"
        return request

    finish(connection_wire(resto_server.url, auth=sign).exchange(Request("HEAD", "/a%3Fb%23c")))
    assert resto_server.requests[0].path == "/a%3Fb%23c?signature=1"


@pytest.mark.parametrize(
    "value", ["s3cret\r\nX-Injected: 1", "s3cret\n", "s3cret é", 5, KeyError("s3cret"), ConnectionResetError("s3cret")]
)
def test_auth_objects_that_fail_later_send_nothing(any_wire, resto_server, value):
    sender = any_wire(resto_server.url, auth=Changing(value))
    finish(sender.exchange(HEAD))
    with pytest.raises(NoAnswerError, match="cannot be authenticated") as info:
        finish(sender.exchange(put()))
    assert len(resto_server.requests) == 1
    assert not info.value.ambiguous
    assert chain(info.value) == [info.value]
