"""Metrics from a process that is no web server."""

import socket
import threading
import time

import pytest
import requests

from resto.exceptions import ConfigurationError
from resto.metrics import serving as module
from resto.metrics.serving import parse_address, serving
from sites.workshop.site import wait_until


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


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setattr(module, "MOST", 3)


@pytest.fixture
def connect(url):
    """A function: somebody connects, and sends as much as is given."""
    opened = []

    def connect(sent):
        connection = socket.create_connection(parse_address(url.split("/")[2]))
        opened.append(connection)
        connection.sendall(sent)
        return connection

    yield connect
    for connection in opened:
        connection.close()


def serving_threads():
    """Those of this server, and of others that tests have left."""
    return {thread for thread in threading.enumerate() if "process_request_thread" in thread.name}


@pytest.mark.parametrize("sent", [b"", b"GET /metrics HTTP/1.0\r\nHost: x\r\nA: "])
def test_those_who_send_no_request_keep_nobody_out(few, url, connect, sent, capfd):
    """The oldest has to go for somebody new, and there are never more threads than that."""
    before = serving_threads()
    idle = [connect(sent) for _ in range(10)]
    assert requests.get(url).status_code == 200
    wait_until(lambda: len(serving_threads() - before) <= 3)
    assert idle[0].recv(1) == b""
    assert capfd.readouterr().err == ""


def test_nobody_stays_for_long(monkeypatch, url, connect):
    """Also who sends a byte now and then."""
    monkeypatch.setattr(module, "LONGEST", 0.2)
    slow = connect(b"GET /")
    slow.settimeout(60)
    with pytest.raises(OSError, match=r"reset by peer|Broken pipe"):
        drip(slow)


def drip(connection):
    """Send a byte now and then, for ever."""
    while True:
        connection.sendall(b"x")
        time.sleep(0.02)


def test_port_that_is_taken(url):
    with (
        pytest.raises(ConfigurationError, match=r"cannot be served on .* port \d+: Address already in use"),
        serving(parse_address(url.split("/")[2])),
    ):
        pass
