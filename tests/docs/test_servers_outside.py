"""What somebody outside of @WRITERS@ can do to a server that is set up as the documentation shows, and what its own user can do to root.

127.0.0.1 is in @WRITERS@, other addresses of the loopback network are not.
"""

import contextlib
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
import requests
from requests.auth import HTTPBasicAuth

import kit.kinds
from kit.kinds import CONFIGS
from kit.servers import ADDRESS, server_user
from resto.names import is_temporary
from sites.workshop.site import wait_until


OUTSIDER, ANOTHER = "127.0.0.2", "127.0.0.3"
NGINX = ["nginx", "nginx-dav", "nginx-https"]
APACHE = ["apache", "apache-digest"]
KINDS = [*NGINX, *APACHE, "lighttpd"]
PRIVATE = ["nginx-private", "lighttpd-private"]
SHIPPED = [path for path in sorted(CONFIGS.iterdir()) if path.suffix == ".conf"]


def tree(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in folder.rglob("[!.]*")
    }


# Root writes nowhere where the server's user could put a link.


# What may be below @TMP@ and @ROOT@: the server's user opens files there, root does not.
OF_THE_USER = {
    *("root", "DocumentRoot", "<Directory", "server.document-root"),
    *("client_body_temp_path", "proxy_temp_path", "fastcgi_temp_path", "uwsgi_temp_path", "scgi_temp_path"),
    *("DavLockDB", "server.upload-dirs"),
}


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_root_opens_nothing_in_folders_of_the_server(path):
    lines = [line.split("#")[0] for line in path.read_text().splitlines()]
    words = {line.split()[0] for line in lines if re.search("@(TMP|ROOT)@", line)}
    assert words <= OF_THE_USER
    logged = {word for line in lines for word in re.findall("@LOGS@/([a-z]+).log", line)}
    assert logged == {"error", "writes"}


# Not in Python, which may be in the home of root.
PLANT = """
find "$1" -mindepth 1 -depth 2>/dev/null | while read -r path; do
    if [ -d "$path" ]; then target=$2; else target=$2/${path##*/}; fi
    mv "$path" "$path.moved" 2>/dev/null && ln -s "$target" "$path" && echo "$path"
done
"""


def plant_links(server, victim):
    """Do what the server's user can: put links to a folder of root's in the place of everything."""
    user, group = server_user()
    command = ["sh", "-c", PLANT, "sh", str(server.folder), str(victim)]
    done = subprocess.run(
        command, user=user, group=group, extra_groups=[], check=False, stdout=subprocess.PIPE, text=True
    )
    return [Path(line) for line in done.stdout.splitlines()]


def rotate_logs(server):
    """Do what logrotate does, and wait until the server has opened its logs again."""
    log = server.logs / "error.log"
    log.unlink()
    server.process.send_signal(signal.SIGHUP if server.name == "lighttpd" else signal.SIGUSR1)
    wait_until(log.exists)


@pytest.fixture
def victim():
    """A folder of root's that everybody may enter."""
    if os.geteuid() != 0:
        pytest.skip("only root can start a server as another user")
    # Not one of pytest's, which only root may enter.
    with tempfile.TemporaryDirectory(prefix="resto-victim-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.mark.parametrize("kind", KINDS)
def test_links_of_the_server_lead_root_nowhere(kind, start_server, victim):
    server = start_server(kind)
    server.write("a.txt", b"content")
    server.request("PUT", "/b.txt", b"content")
    planted = plant_links(server, victim)
    assert server.root / "a.txt" in planted  # it can do that
    rotate_logs(server)
    server.restart()
    assert list(victim.iterdir()) == []
    assert victim.stat().st_uid == 0
    assert victim.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("kind", ["nginx", "nginx-dav"])
def test_links_would_lead_root_elsewhere_if_the_logs_were_of_the_server(kind, start_server, victim):
    """The test above would see it."""
    server = start_server(kind)
    server.give_to_server(server.logs)
    assert server.logs / "error.log" in plant_links(server, victim)
    server.process.send_signal(signal.SIGUSR1)
    wait_until(lambda: (victim / "error.log").exists())


def test_links_would_lead_root_elsewhere_if_the_folder_were_of_the_server(start_server, victim):
    server = start_server("nginx")
    server.give_to_server(server.folder / "tmp")
    assert server.folder / "tmp" / "proxy" in plant_links(server, victim)
    server.restart()
    assert victim.stat().st_uid != 0


# Others may read, and do nothing else.


METHODS = [
    *("PUT", "DELETE", "MKCOL", "MOVE", "COPY", "PROPFIND", "PROPPATCH", "LOCK", "UNLOCK", "POST", "PATCH"),
    *("TRACE", "CONNECT", "SEARCH", "REPORT", "ACL", "INVENTED"),
]


@pytest.mark.parametrize("kind", KINDS + PRIVATE)
def test_outsiders_only_read(kind, media_servers):
    server = media_servers(kind)
    folder = server.new_folder()[1]
    server.write(f"{folder.name}/a.txt", b"content")
    before = tree(server.root)
    for method in METHODS:
        headers = {"Destination": f"{server.url}{folder.name}/b.txt", "X-Forwarded-For": ADDRESS, "Depth": "1"}
        for name in ("a.txt", "new.txt", "", "new/"):
            answer = server.request(method, f"/{folder.name}/{name}", b"", headers, source=OUTSIDER)
            assert answer.status in {400, 403, 404, 405, 501}, (method, name)
            assert b"a.txt" not in answer.body.replace(f"{folder.name}/a.txt".encode(), b"")
    assert server.request("PUT", f"/{folder.name}/a.txt", b"new", source=OUTSIDER).status == 403
    assert server.request("GET", f"/{folder.name}/a.txt", source=OUTSIDER).body == b"content"
    assert b"a.txt" not in server.request("GET", f"/{folder.name}/", source=OUTSIDER).body
    assert tree(server.root) == before


@pytest.mark.parametrize("kind", APACHE)
def test_apache_has_no_trace(kind, media_servers):
    assert media_servers(kind).request("TRACE", "/").status == 405


@pytest.mark.parametrize("kind", NGINX)
def test_nginx_has_no_copy(kind, media_servers):
    server = media_servers(kind)
    name = server.new_folder()[1].name
    server.write(f"{name}/a.txt", b"content")
    headers = {"Destination": f"{server.url}{name}/b.txt"}
    assert server.request("COPY", f"/{name}/a.txt", headers=headers).status == 405


@pytest.mark.parametrize("path", [path for path in SHIPPED if "nginx" in path.name], ids=lambda path: path.name)
def test_no_upload_can_answer_for_its_folder(path):
    (name,) = re.findall(r"^\s*index (\S+);", path.read_text(), re.MULTILINE)
    assert is_temporary(name)


# Which host this is, and whose, is told to the application servers alone.


@pytest.mark.parametrize("kind", KINDS + PRIVATE)
@pytest.mark.parametrize("name", [".resto.host", ".resto.master"])
def test_identity_is_not_shown_to_outsiders(kind, name, media_servers):
    server = media_servers(kind)
    folder = server.new_folder()[1].name
    server.write(f"{folder}/{name}", b"id")
    server.write(f"{folder}/{name}.txt", b"a file of the site")
    for method in ("GET", "HEAD"):
        for path in (f"/{folder}/{name}", f"/{folder}/%2e{name[1:]}", f"//{folder}//{name}?a=b"):
            assert server.request(method, path, source=OUTSIDER).status == 404
        assert server.request(method, f"/{folder}/{name}.txt", source=OUTSIDER).status == 200
        assert server.request(method, f"/{folder}/{name}").status == 200
    assert server.request("GET", f"/{folder}/{name}").body == b"id"


# What is uploaded is never script.


NAMES = [
    *("a.html", "a.xhtml", "a.svg", "a.xml", "a.js", "a.txt", "a.jpg", "a.pdf", "a.mp4"),
    *("a", "a.unknown", "a.html.unknown", "A.HTML", "a.html.jpg"),
]


def assert_harmless(answer):
    assert answer.headers.get_all("X-Content-Type-Options") == ["nosniff"]
    (policy,) = answer.headers.get_all("Content-Security-Policy")
    assert [part.strip() for part in policy.split(";")] == [
        "sandbox allow-same-origin",
        "default-src 'none'",
        "style-src 'unsafe-inline'",
        "img-src 'self' data:",
        "media-src 'self'",
    ]


@pytest.mark.parametrize("kind", KINDS + PRIVATE)
def test_answers_say_that_uploads_are_no_script(kind, media_servers):
    server = media_servers(kind)
    folder = server.new_folder()[1].name
    for name in NAMES:
        server.write(f"{folder}/{name}", b"<script>alert(1)</script>")
        path = f"/{folder}/{name}"
        whole = server.request("GET", path, source=OUTSIDER)
        part = server.request("GET", path, headers={"Range": "bytes=1-2"}, source=OUTSIDER)
        same = server.request("GET", path, headers={"If-Modified-Since": whole.headers["Last-Modified"]})
        head = server.request("HEAD", path, source=OUTSIDER)
        assert [answer.status for answer in (whole, part, same, head)] == [200, 206, 304, 200]
        for answer in (whole, part, same, head):
            assert_harmless(answer)
        for answer in (whole, part, head):
            assert answer.headers["Content-Type"]
    for name in ("", "missing.html"):
        assert_harmless(server.request("GET", f"/{folder}/{name}", source=OUTSIDER))
        assert_harmless(server.request("GET", f"/{folder}/{name}"))


@pytest.mark.parametrize("kind", ["apache", "apache-digest"])
@pytest.mark.parametrize("name", ["a", "a.unknown"])
def test_apache_gives_a_type_to_what_it_does_not_know(kind, name, media_servers):
    server = media_servers(kind)
    folder = server.new_folder()[1].name
    server.write(f"{folder}/{name}", b"<script>alert(1)</script>")
    assert server.request("GET", f"/{folder}/{name}").headers.get_all("Content-Type") == ["application/octet-stream"]


# Slow connections of one outsider keep nobody out.


HEADER = b"GET / HTTP/1.1\r\nHost: media\r\nX-Slow: "
BODY = b"PUT /slow.txt HTTP/1.1\r\nHost: media\r\nContent-Length: 1000000\r\n\r\n"
DOWNLOAD = b"GET /large.bin HTTP/1.1\r\nHost: media\r\n\r\n"
MANY = {"nginx": 1_200, "apache": 600, "lighttpd": 1_500}  # more than each can bear as it comes


@pytest.fixture
def _many_files():
    """So many connections need as many files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 4_096:
        pytest.skip("this machine allows too few files for so many connections")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 4_096), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def connect(server, source, *, buffer=0):
    connection = socket.socket()
    if buffer:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    connection.bind((source, 0))
    connection.settimeout(10)
    connection.connect((ADDRESS, server.port))
    return connection


def slow_connections(stack, server, start, number):
    """Begin a request on many connections of the outsider, and end none of them."""
    connections = []
    for _ in range(number):
        connection = stack.enter_context(connect(server, OUTSIDER))
        connection.sendall(start)
        connections.append(connection)
    return connections


def is_open(connection):
    """Whether the server still waits for what comes next."""
    connection.setblocking(False)
    try:
        connection.send(b"x")
        while connection.recv(4_096):
            pass
    except BlockingIOError:
        return True
    except OSError:
        pass
    return False


@pytest.mark.usefixtures("_many_files")
@pytest.mark.parametrize(
    ("kind", "start"),
    [("nginx", HEADER), ("nginx", BODY), ("apache", HEADER), ("apache", BODY), ("lighttpd", HEADER)],
    ids=["nginx-header", "nginx-body", "apache-header", "apache-body", "lighttpd-header"],
)
def test_slow_connections_keep_nobody_out(kind, start, start_server):
    server = start_server(kind)
    with contextlib.ExitStack() as stack:
        connections = slow_connections(stack, server, start, MANY[kind])
        assert server.request("PUT", "/a.txt", b"content", timeout=15).status == 201
        assert sum(map(is_open, connections)) > MANY[kind] / 2  # it was meanwhile
        assert server.request("GET", "/a.txt", timeout=15, source=ANOTHER).body == b"content"


@pytest.mark.parametrize(
    ("kind", "edits"),
    [
        ("nginx", {"client_header_timeout 10s;": "client_header_timeout 1s;"}),
        ("apache", {"header=10-20,MinRate=500": "header=1-2,MinRate=500"}),
    ],
    ids=["nginx", "apache"],
)
def test_slow_headers_end_and_slow_uploads_do_not(kind, edits, start_server):
    server = start_server(kind, edits)
    with connect(server, OUTSIDER) as slow, connect(server, ADDRESS) as upload:
        slow.sendall(HEADER)
        upload.sendall(BODY.replace(b"1000000", b"12"))
        for _ in range(6):
            upload.sendall(b"xy")
            time.sleep(0.5)
        wait_until(lambda: not is_open(slow))
        assert upload.recv(12) == b"HTTP/1.1 201"


def test_nginx_serves_one_outsider_a_hundred_times_at_once(start_server):
    server = start_server("nginx")
    with server.write("large.bin", b"").open("r+b") as large:
        large.truncate(64_000_000)
    with contextlib.ExitStack() as stack:
        for _ in range(100):
            connection = stack.enter_context(connect(server, OUTSIDER, buffer=4_096))
            connection.sendall(DOWNLOAD)
            assert connection.recv(12) == b"HTTP/1.1 200"
        assert server.request("GET", "/large.bin", source=OUTSIDER).status == 429
        assert server.request("HEAD", "/large.bin", source=ANOTHER).status == 200
        for _ in range(100):
            connection = stack.enter_context(connect(server, ADDRESS, buffer=4_096))
            connection.sendall(DOWNLOAD)
            assert connection.recv(12) == b"HTTP/1.1 200"
        assert server.request("PUT", "/a.txt", b"content").status == 201


# What is written is logged.


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "apache-digest"])  # http.client knows no Digest
def test_writes_are_logged(kind, start_server):
    server = start_server(kind)
    server.request("MKCOL", "/d/")
    server.request("PUT", "/d/a.txt", b"content")
    server.request("GET", "/d/a.txt")
    server.request("PROPFIND", "/d/", headers={"Depth": "1", "Content-Type": "application/xml"})
    server.request("MOVE", "/d/a.txt", headers={"Destination": f"{server.url}d/b.txt", "Overwrite": "F"})
    server.request("DELETE", "/d/b.txt")
    server.request("DELETE", "/d/b.txt", source=OUTSIDER)
    log = server.logs / "writes.log"
    wait_until(lambda: len(log.read_text().splitlines()) == 5)
    logged = sorted(
        re.findall(r'^(\S+) .*"([A-Z]+) ', log.read_text(), re.MULTILINE)
    )  # answers come before their lines
    assert logged == [*((ADDRESS, method) for method in ("DELETE", "MKCOL", "MOVE", "PUT")), (OUTSIDER, "DELETE")]


# Passwords as the page makes them.


@pytest.mark.parametrize("kind", ["nginx-https", "apache-digest"])
def test_passwords_of_openssl(kind, start_server):
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl")
    edits = {"AuthType Digest": "AuthType Basic"} if kind == "apache-digest" else {}
    server = start_server(kind, edits)
    hashed = subprocess.run(
        ["openssl", "passwd", "-6", "-stdin"], input=b"pass word", check=True, capture_output=True
    ).stdout
    assert hashed.startswith(b"$6$")
    (server.folder / "passwords").write_bytes(b"media:" + hashed)
    options = {"data": b"content", "timeout": 10, "verify": str(server.ca)}
    for password, status in [("wrong", 401), ("pass word", 201)]:
        auth = HTTPBasicAuth("media", password)
        assert requests.put(f"{server.url}a.txt", auth=auth, **options).status_code == status


def test_kinds_are_all_that_tell_writers_from_readers():
    elsewhere = {kind.config for kind in kit.kinds.BESIDES.values()}  # with tests of their own
    assert {kit.kinds.KINDS[kind].config for kind in KINDS} == {path.name for path in SHIPPED} - elsewhere
