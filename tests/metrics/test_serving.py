"""Metrics from a process that is no web server."""

import socket

import pytest
import requests

from resto.exceptions import ConfigurationError
from resto.metrics.serving import parse_address, serving


pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("new_overview")]


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("9100", ("127.0.0.1", 9100)),
        ("0", ("127.0.0.1", 0)),
        ("65535", ("127.0.0.1", 65535)),
        ("0.0.0.0:9100", ("0.0.0.0", 9100)),
        ("web-1.example.com:9100", ("web-1.example.com", 9100)),
        ("[::1]:9100", ("::1", 9100)),
    ],
)
def test_address(text, address):
    assert parse_address(text) == address


@pytest.mark.parametrize(
    "text", ["", ":9100", "host", "host:", "65536", "-1", "9100 ", "user@host:9100", "::1:9100", "a/b:1", "٣"]
)
def test_what_is_no_address(text):
    with pytest.raises(ConfigurationError, match="is no address"):
        parse_address(text)


@pytest.fixture(params=["127.0.0.1", "::1"])
def url(request):
    with serving((request.param, 0)) as url:
        yield url


def test_metrics(url):
    answer = requests.get(url)
    assert answer.status_code == 200
    assert "resto_record_up 1.0" in answer.text
    assert answer.headers["Content-Type"].startswith("text/plain; version=")
    head = requests.head(url)
    assert (head.status_code, head.content) == (200, b"")
    assert requests.get(url, headers={"Accept": "application/openmetrics-text"}).text.endswith("# EOF\n")


def test_nothing_else(url):
    assert requests.get(url.replace("/metrics", "/")).status_code == 404
    assert requests.post(url).status_code == 501


def test_token(settings, url):
    """Where the site has one, it is asked for here, too."""
    settings.RESTO_SECRETS = {"metrics": "a token"}
    refused = requests.get(url)
    assert refused.status_code == 401
    assert refused.headers["WWW-Authenticate"] == "Bearer"
    assert "resto_" not in refused.text
    assert requests.get(url, headers={"Authorization": "Bearer another"}).status_code == 401
    assert requests.get(url, headers={"Authorization": "Bearer a token"}).status_code == 200


def test_it_ends():
    """Also while somebody keeps a connection and says nothing."""
    with serving(("127.0.0.1", 0)) as other:
        host, port = parse_address(other.split("/")[2])
        idle = socket.create_connection((host, port))
    with idle, pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, port))


def test_port_that_is_taken(url):
    with (
        pytest.raises(ConfigurationError, match=r"cannot be served on .* port \d+: Address already in use"),
        serving(parse_address(url.split("/")[2])),
    ):
        pass
