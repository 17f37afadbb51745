import re
import socket
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit
from xml.etree import ElementTree

import pytest
import requests
from requests.auth import HTTPBasicAuth, HTTPDigestAuth

from kit import servers
from kit.documents import ROOT
from kit.kinds import BESIDES, CONFIGS, KINDS, Kind
from kit.servers import ADDRESS, PLACEHOLDER, MediaServer


PAGE = CONFIGS.parent / "set-up-a-media-server.md"
BODY = bytes(range(256)) * 8192  # 2 MiB: more than nginx takes by default
OPEN_KINDS = [kind for kind, spec in KINDS.items() if spec.auth != "digest"]  # http.client knows no Digest
PROPFIND_KINDS = [kind for kind in OPEN_KINDS if KINDS[kind].propfind]
RESTRICTED = ["nginx", "nginx-dav", "nginx-https", "apache", "lighttpd"]
ELSEWHERE = "192.0.2.1"  # an address of nobody (RFC 5737)


@pytest.fixture(params=OPEN_KINDS)
def server(request, media_servers) -> MediaServer:
    return media_servers(request.param)


@pytest.fixture
def folder(server) -> str:
    return urlsplit(server.new_folder()[0]).path


def test_put_get_head_delete(server, folder):
    name = f"{folder}caf%C3%A9 1.txt".replace(" ", "%20")
    assert server.request("PUT", name, BODY).status == 201
    assert server.request("GET", name).body == BODY
    assert int(server.request("HEAD", name).headers["Content-Length"]) == len(BODY)
    assert server.request("DELETE", name).status == 204
    assert server.request("GET", name).status == 404


def test_overwrite(server, folder):
    server.request("PUT", f"{folder}a.txt", b"old")
    assert server.request("PUT", f"{folder}a.txt", b"new").status in {201, 204}
    assert server.request("GET", f"{folder}a.txt").body == b"new"


def test_uploads_are_files_below_the_root_that_others_may_read(server):
    url, path = server.new_folder()
    server.request("PUT", f"{urlsplit(url).path}a.txt", b"content")
    assert (path / "a.txt").read_bytes() == b"content"
    assert (path / "a.txt").stat().st_mode & 0o044 == 0o044


def test_files_at_the_top_level_can_be_deleted(server):
    server.request("PUT", "/top.txt", b"content")
    assert server.request("DELETE", "/top.txt").status == 204


def test_put_into_a_missing_folder(server, folder):
    status = server.request("PUT", f"{folder}a/b/c.txt", b"content").status
    assert status == 201 if server.kind.makes_parents else status in {404, 409, 500}


def test_mkcol(server, folder):
    assert server.request("MKCOL", f"{folder}a/").status == 201
    assert server.request("PUT", f"{folder}a/b.txt", b"content").status == 201


def test_files_written_behind_the_server_can_be_changed(server, folder):
    server.write(f"{folder.strip('/')}/x/y/behind.txt", b"old")
    assert server.request("PUT", f"{folder}x/y/new.txt", b"new").status == 201


@pytest.mark.parametrize("kind", PROPFIND_KINDS)
def test_propfind(kind, media_servers):
    server = media_servers(kind)
    folder = urlsplit(server.new_folder()[0]).path
    server.request("PUT", f"{folder}a.txt", b"content")
    answer = server.request("PROPFIND", folder, headers={"Depth": "1", "Content-Type": "application/xml"})
    assert answer.status == 207
    hrefs = [element.text for element in ElementTree.fromstring(answer.body).iter("{DAV:}href")]
    assert hrefs == [folder, f"{folder}a.txt"]


def test_move(server, folder):
    server.request("PUT", f"{folder}a.txt", b"content")
    headers = {"Destination": f"{server.url}{folder[1:]}b.txt", "Overwrite": "F"}
    assert server.request("MOVE", f"{folder}a.txt", headers=headers).status in {201, 204}
    assert server.request("GET", f"{folder}a.txt").status == 404
    assert server.request("GET", f"{folder}b.txt").body == b"content"


def test_nginx_lists_as_json(media_servers):
    server = media_servers("nginx")
    server.write("listed/index.html", b"content")
    answer = server.request("GET", "/listed/")
    assert answer.headers["Content-Type"] == "application/json"
    assert b'"index.html"' in answer.body


def test_index_does_not_answer_for_its_folder(server, folder):
    server.request("PUT", f"{folder}index.html", b"the index")
    assert b"the index" not in server.request("GET", folder).body


@pytest.mark.parametrize("kind", RESTRICTED)
def test_the_root_cannot_be_deleted(kind, start_server):
    server = start_server(kind)
    server.write("a.txt", b"content")
    assert server.request("DELETE", "/").status in {403, 409}
    assert server.request("GET", "/a.txt").body == b"content"


@pytest.mark.parametrize("kind", RESTRICTED)
def test_only_application_servers_may_write(kind, start_server):
    server = start_server(kind, writers=ELSEWHERE)
    server.write("a/b.txt", b"content")
    destination = {"Destination": f"{server.url}c.txt"}
    assert server.request("PUT", "/a/b.txt", b"new").status == 403
    assert server.request("DELETE", "/a/b.txt").status == 403
    assert server.request("MKCOL", "/d/").status == 403
    assert server.request("MOVE", "/a/b.txt", headers=destination).status == 403
    assert server.request("COPY", "/a/b.txt", headers=destination).status == 403
    assert server.request("PROPFIND", "/a/", headers={"Depth": "1"}).status == 403
    assert b"b.txt" not in server.request("GET", "/a/").body
    assert server.request("GET", "/a/b.txt").body == b"content"


def put(server: MediaServer, name: str, **options: object) -> int:
    return requests.put(f"{server.url}{name}", data=b"content", timeout=10, **options).status_code


def test_https_writes_need_a_password_or_a_certificate(media_servers):
    server = media_servers("nginx-https")
    assert put(server, "a.txt", verify=server.ca) == 401
    assert put(server, "b.txt", verify=server.ca, auth=HTTPBasicAuth("media", "wrong")) == 401
    assert put(server, "c.txt", verify=server.ca, auth=HTTPBasicAuth(*server.credentials)) == 201
    assert put(server, "d.txt", verify=server.ca, cert=str(server.client_certificate)) == 201
    assert requests.get(f"{server.url}d.txt", verify=server.ca, timeout=10).content == b"content"
    with pytest.raises(requests.exceptions.SSLError):
        put(server, "e.txt")


@pytest.mark.parametrize("scheme", ["Digest", "Basic"])
def test_apache_writes_need_a_password(scheme, start_server):
    server = start_server("apache-digest", {"AuthType Digest": f"AuthType {scheme}"})
    if scheme == "Basic":
        server.use_passwords("basic")
    auth = {"Digest": HTTPDigestAuth, "Basic": HTTPBasicAuth}[scheme](*server.credentials)
    assert put(server, "a.txt") == 401
    assert put(server, "b.txt", auth=auth) == 201
    assert requests.get(f"{server.url}b.txt", timeout=10).content == b"content"
    assert requests.delete(f"{server.url}b.txt", auth=auth, timeout=10).status_code == 204


@pytest.mark.parametrize("kind", KINDS)
def test_restart_keeps_port_and_files(kind, start_server):
    server = start_server(kind)
    url = server.url
    server.write("a.txt", b"content")
    server.restart()
    assert server.url == url
    assert server.request("GET", "/a.txt").body == b"content"


@pytest.mark.parametrize("kind", KINDS)
def test_kill_ends_all_processes(kind, start_server):
    server = start_server(kind)
    server.write("a.txt", b"content")
    server.kill()
    with pytest.raises(ConnectionRefusedError):
        server.request("GET", "/")
    assert not server.running
    assert server.start().request("GET", "/a.txt").body == b"content"


def test_failed_start_shows_the_log(start_server):
    with pytest.raises(servers.ServerError, match="unknown directive"):
        start_server("nginx", {"sendfile on;": "no_such_directive;"})


def test_taken_port_is_given_up(start_server, monkeypatch):
    free_port = servers.free_port
    with socket.create_server((ADDRESS, 0)) as taken:
        ports = iter([taken.getsockname()[1], free_port()])
        monkeypatch.setattr(servers, "free_port", lambda: next(ports))
        server = start_server("lighttpd")
        assert server.port != taken.getsockname()[1]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has sockets with a name and without a file")
def test_no_two_processes_get_one_port():
    port = servers.free_port()
    program = f"from kit import servers; servers._reserve({port})"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT / "tests", capture_output=True, text=True)
    assert "Address already in use" in done.stderr


def test_missing_server_skips_or_fails(monkeypatch):
    monkeypatch.setattr(servers, "available", lambda kind: f"no {kind}")
    monkeypatch.delenv(servers.REQUIRED, raising=False)
    with pytest.raises(pytest.skip.Exception, match="no nginx"):
        servers.require("nginx")
    monkeypatch.setenv(servers.REQUIRED, "1")
    with pytest.raises(pytest.fail.Exception, match="no nginx"):
        servers.require("nginx")


def test_missing_program_is_the_reason(monkeypatch):
    monkeypatch.setitem(servers.ALL_KINDS, "absent", Kind(config="", program="no-such-server", package="nothing"))
    assert "no no-such-server in" in str(servers.available("absent"))


def configurations() -> list[Path]:
    return sorted(CONFIGS.iterdir())


def test_every_configuration_is_run():
    kinds = [*KINDS.values(), *BESIDES.values()]
    assert {path.name for path in configurations()} == {name for kind in kinds for name in (kind.config, *kind.parts)}


@pytest.mark.parametrize("path", configurations(), ids=lambda path: path.name)
def test_placeholders_are_documented(path):
    documented = set(re.findall(rf"^\| `({PLACEHOLDER.pattern})`", PAGE.read_text(), re.MULTILINE))
    used = set(PLACEHOLDER.findall(path.read_text()))
    assert used <= documented
    rest = re.sub("(?:location|=) @[a-z]+", "", PLACEHOLDER.sub("", path.read_text()))  # nginx has names with an @
    assert "@" not in rest.replace("between @ signs", "")


def test_documented_placeholders_are_used():
    documented = set(re.findall(rf"^\| `({PLACEHOLDER.pattern})`", PAGE.read_text(), re.MULTILINE))
    assert documented == {name for path in configurations() for name in PLACEHOLDER.findall(path.read_text())}


def test_every_configuration_is_linked():
    assert set(re.findall(r"\(servers/([^)]+)\)", PAGE.read_text())) == {path.name for path in configurations()}
