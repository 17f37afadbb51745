"""Media servers that ask the others for what they lack, set up as the documentation shows.

127.0.0.1 is in @WRITERS@, other addresses of the loopback network are not; the servers ask each other from such a one.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from django.utils.encoding import filepath_to_uri

from kit.fleet import KINDS, OUTSIDER, start_fleet
from kit.servers import MediaServer, require
from resto.repair.probe import probe_hosts
from sites.workshop.site import wait_until


# What they say to the last one that is asked.
LAST = {"nginx-fallback": "1", "apache-fallback": "2"}

NAMES = ["a.txt", "b/é ?&=%+#'(1).txt", "100%25.txt", "A B/c d.txt"]


@pytest.fixture(scope="module", params=KINDS)
def fleet(request):
    with ExitStack() as stack:
        yield start_fleet(stack, request.param)


@pytest.fixture
def folder(fleet):
    """A folder of a test's own, on all servers."""
    name = f"f{os.urandom(6).hex()}"
    for server in fleet:
        (server.root / name).mkdir()
        server.give_to_server(server.root / name)
    return name


def quoted(name):
    return filepath_to_uri(name).replace("'", "%27")


def get(server, path, source=OUTSIDER, method="GET", **headers):
    return server.request(method, f"/{quoted(path)}", headers=headers, source=source)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("where", [0, 1, 2])
def test_file_of_one_is_shown_by_all(fleet, folder, name, where):
    fleet[where].write(f"{folder}/{name}", name.encode())
    for server in fleet:
        answer = get(server, f"{folder}/{name}")
        assert (answer.status, answer.body) == (200, name.encode())
        assert answer.headers["Content-Type"].startswith("text/plain")
        assert (answer.headers.get("Cache-Control") == "no-store") == (server is not fleet[where])
        head = get(server, f"{folder}/{name}", method="HEAD")
        assert (head.status, head.body) == (200, b"")
        part = get(server, f"{folder}/{name}", Range="bytes=1-2")
        assert (part.status, part.body) == (206, name.encode()[1:3])


def test_each_shows_its_own_file(fleet, folder):
    for number, server in enumerate(fleet):
        server.write(f"{folder}/a.txt", b"%d" % number)
    assert [get(server, f"{folder}/a.txt").body for server in fleet] == [b"0", b"1", b"2"]


def test_file_that_nobody_has_is_missing(fleet, folder):
    for server in fleet:
        for method in ("GET", "HEAD"):
            assert get(server, f"{folder}/a.txt", method=method).status == 404


def test_to_application_servers_each_answers_for_itself(fleet, folder):
    fleet[1].write(f"{folder}/a.txt", b"content")
    for method in ("GET", "HEAD"):
        answers = [get(server, f"{folder}/a.txt", "127.0.0.1", method).status for server in fleet]
        assert answers == [404, 200, 404]


def test_nobody_is_asked_twice(fleet, folder):
    """Whoever asks for the others, or says so, gets what this server has."""
    fleet[1].write(f"{folder}/a.txt", b"content")
    answers = [get(server, f"{folder}/a.txt", **{"X-Resto-Fallback": LAST[server.name]}) for server in fleet]
    assert [answer.status for answer in answers] == [404, 200, 404]
    assert {answer.headers["Cache-Control"] for answer in answers} == {"no-store"}


def test_only_reads_are_passed_on(fleet, folder):
    fleet[1].write(f"{folder}/a.txt", b"content")
    for method in ("PUT", "DELETE", "MKCOL", "MOVE", "COPY", "PROPFIND", "POST", "OPTIONS"):
        for name in ("a.txt", "b.txt"):
            headers = {"Destination": f"{fleet[0].url}{folder}/c.txt"}
            answer = fleet[0].request(method, f"/{folder}/{name}", b"", headers, source=OUTSIDER)
            assert answer.status in {403, 405, 501}, method
    assert fleet[0].request("DELETE", f"/{folder}/a.txt").status == 404
    assert [path.name for server in fleet for path in (server.root / folder).iterdir()] == ["a.txt"]


@pytest.mark.parametrize("name", [".resto.host", ".resto.master"])
def test_identity_of_another_one_is_not_shown(fleet, folder, name):
    fleet[1].write(f"{folder}/{name}", b"id")
    assert [get(server, f"{folder}/{name}").status for server in fleet] == [404] * 3


def test_nothing_is_kept(fleet, folder):
    path = fleet[1].write(f"{folder}/a.bin", os.urandom(4 * 1024**2))
    assert get(fleet[0], f"{folder}/a.bin").body == path.read_bytes()
    assert [*fleet[0].folder.rglob("a.bin")] == []
    assert [
        path for path in (fleet[0].folder / "tmp").rglob("*") if path.is_file() and path.stat().st_size > 100_000
    ] == []
    path.unlink()
    assert get(fleet[0], f"{folder}/a.bin").status == 404


def test_headers_are_there_once(fleet, folder):
    fleet[1].write(f"{folder}/a.html", b"<script>alert(1)</script>")
    for server in fleet:
        answer = get(server, f"{folder}/a.html")
        assert answer.headers.get_all("X-Content-Type-Options") == ["nosniff"]
        assert len(answer.headers.get_all("Content-Security-Policy")) == 1


def test_one_that_is_down_is_passed_by(fleet, folder):
    """Its files are not missing: nobody knows."""
    fleet[2].write(f"{folder}/a.txt", b"content")
    fleet[1].stop()
    try:
        for _ in range(4):
            assert get(fleet[0], f"{folder}/a.txt").body == b"content"
            missing = get(fleet[0], f"{folder}/b.txt").status
            assert missing in ({502, 503} if fleet[0].name == "nginx-fallback" else {404, 502, 503})
    finally:
        fleet[1].start()
    fleet[1].write(f"{folder}/c.txt", b"content")
    for server in fleet:  # Apache asks it again after a second
        wait_until(lambda server=server: get(server, f"{folder}/c.txt").status == 200)
    assert get(fleet[0], f"{folder}/b.txt").status == 404


def test_each_of_the_others_is_asked_once(start_server, resto_server_factory):
    others = [resto_server_factory() for _ in range(2)]
    second, third = (other.address for other in others)
    server = start_server("nginx-fallback", second=second, third=third)
    for _ in range(3):
        assert get(server, "a.txt?b=c", method="HEAD").status == 404
    for other in others:
        assert [(request.method, request.path) for request in other.requests] == [("HEAD", "/a.txt%3Fb%3Dc")] * 3
        assert {request.headers["X-Resto-Fallback"] for request in other.requests} == {"1"}


def test_servers_that_are_application_servers_ask_each_other():
    """They answer each other as they answer resto, and show to others no more than that."""
    with ExitStack() as stack:
        as_writers = {"proxy_pass http://others;": "proxy_pass http://others;"}
        servers = start_fleet(stack, "nginx-fallback", as_writers)
        servers[1].write("a.txt", b"content")
        servers[1].write(".resto.host", b"id")
        assert [get(server, "a.txt").body for server in servers] == [b"content"] * 3
        assert [get(server, ".resto.host").status for server in servers] == [404] * 3


# The probe, from the address of an application server.


def probe(servers, settings):
    options = {"hosts": [server.url for server in servers], "transport": "webdav"}
    settings.STORAGES = {"default": {"BACKEND": "resto.storage.DistributedStorage", "OPTIONS": options}}
    return [one.problem for one in probe_hosts()]


def test_probe_finds_nothing_wrong(fleet, settings):
    assert probe(fleet, settings) == ["", "", ""]


@pytest.mark.parametrize(
    ("kind", "edit"),
    [
        ("nginx-fallback", ("GET1 1;", "~^(GET|HEAD)[01]$ 1;")),
        ("apache-fallback", ("# One line for each address, as above.\nRewriteCond expr \"! -R '@WRITERS@'\"\n", "")),
    ],
)
def test_probe_finds_servers_that_answer_for_each_other(kind, edit, settings):
    with ExitStack() as stack:
        problems = probe(start_fleet(stack, kind, dict([edit])), settings)
    assert all("A file that was written here only is shown by" in problem for problem in problems)
    assert all("does a fallback or a balancer answer there" in problem for problem in problems)


# A balancer.


@pytest.fixture(scope="module")
def balanced():
    """Three servers that ask nobody, and what is before them."""
    require("haproxy")
    with ExitStack() as stack:
        servers = [stack.enter_context(MediaServer("nginx-dav")) for _ in range(3)]
        places = dict(
            zip(("first", "second", "third"), (f"127.0.0.1:{server.port}" for server in servers), strict=True)
        )
        yield stack.enter_context(MediaServer("haproxy", **places)), servers


@pytest.mark.parametrize("where", [0, 1, 2])
def test_balancer_shows_what_any_server_has(balanced, where):
    """However often it is asked, by several at once."""
    balancer, servers = balanced
    name = f"{os.urandom(6).hex()}.txt"
    servers[where].write(name, b"content")
    with ThreadPoolExecutor(4) as pool:
        answers = [*pool.map(lambda number: get(balancer, name), range(200))]
    assert {(answer.status, answer.body) for answer in answers} == {(200, b"content")}
    assert get(balancer, "missing.txt").status == 404


@pytest.mark.parametrize("name", NAMES)
def test_balancer_passes_names_and_methods_on(balanced, name):
    balancer, servers = balanced
    servers[1].write(name, name.encode())
    for _ in range(4):
        assert get(balancer, name).body == name.encode()
        assert get(balancer, name, method="HEAD").status == 200
        assert get(balancer, name, Range="bytes=1-2").body == name.encode()[1:3]


def test_balancer_only_reads(balanced):
    """Also for application servers: the servers take it for one."""
    balancer, servers = balanced
    servers[1].write("a.txt", b"content")
    for method in ("PUT", "DELETE", "MKCOL", "MOVE", "PROPFIND", "POST"):
        assert balancer.request(method, "/a.txt").status == 405
    assert (servers[1].root / "a.txt").read_bytes() == b"content"


@pytest.mark.parametrize("name", [".resto.host", "%2eresto.host", ".resto.maste%72"])
def test_balancer_does_not_show_identities(balanced, name):
    """Not even from an address to which the servers tell them."""
    balancer, servers = balanced
    for server in servers:
        server.write(".resto.host", b"id")
        server.write(".resto.master", b"id")
    assert {balancer.request("GET", f"/{name}").status for _ in range(4)} == {404}


def test_balancer_passes_by_a_server_that_is_down(balanced):
    balancer, servers = balanced
    servers[0].write("down.txt", b"content")
    servers[1].stop()
    try:
        assert {get(balancer, "down.txt").status for _ in range(8)} == {200}
    finally:
        servers[1].start()
