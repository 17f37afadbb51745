"""The full comparison as a whole: of a part, on real servers, and within its memory."""

import json
import os
import subprocess
import sys
import time

import pytest

from kit.comparison import compare, found, write
from kit.documents import ROOT
from kit.kinds import KINDS
from resto.storage import AsyncStorage, HybridStorage
from sites.workshop.site import files_below


# Which part.


def test_hosts_and_prefix_limit_what_is_compared(make, resto_server_factory, media_root):
    servers = [resto_server_factory() for _ in range(2)]
    storage = make(*servers)
    write(media_root, {"a": b"", "d/b": b"", "d/e/c": b""})

    report, _ = compare(storage, hosts=frozenset([servers[1].url]), prefix="d")

    assert [server.files for server in servers] == [{}, {"d/b": b"", "d/e/c": b""}]
    assert [host.host for host in report.hosts] == [servers[1].url]


def test_async_storages_are_compared_too(server, media_root):
    write(media_root, {"a": b"1"})

    report, _ = compare(AsyncStorage([server.url], "/media/", transport="webdav"))

    assert server.files == {"a": b"1"}
    assert report.agrees


# Real servers.


TREE = {
    "same": b"same",
    "missing": b"missing",
    "truncated": b"truncated",
    "changed": b"changed",
    "empty": b"",
    "dir/missing": b"1",
    "gone/with/its/directory": b"1",
    "file/in/place/of/a/directory": b"1",
    "à #?%.txt": b"odd",
    "sp ace/+&;=@'\"<>|*[]^`{}~/ü": b"odd",
    ".hidden": b"1",
    ".hidden-same": b"1",
    ".dir/a": b"1",
    "large": bytes(range(256)) * 1000,
}


@pytest.mark.parametrize("kind", ["nginx", "nginx-dav", "apache", "lighttpd", "rclone", "wsgidav"])
def test_whatever_is_done_to_a_real_server(media_servers, media_root, kind):
    server = media_servers(kind)
    url, path = server.new_folder()
    folder = path.name
    write(media_root, TREE)
    transport = "webdav" if KINDS[kind].propfind else "http"
    storage = HybridStorage([url], "/media/", transport=transport, timeout=10)
    for name in ("same", "changed", "truncated", "empty", ".hidden-same", "à #?%.txt"):
        content = {"changed": b"CHANGED", "truncated": b"trunc"}.get(name, TREE[name])
        server.write(f"{folder}/{name}", content)
    server.write(f"{folder}/extra", b"1")
    server.write(f"{folder}/dir/ü extra?#.txt", b"1")
    server.write(f"{folder}/alone/extra", b"1")
    server.write(f"{folder}/file", b"in the way")
    settle(server)
    before = files_below(path)

    report, events = compare(storage, dry_run=True)
    assert files_below(path) == before
    extras = {"extra", "dir/ü extra?#.txt", "alone/extra", "file"}
    lacking = TREE.keys() - before.keys()
    assert found(events) == sorted(
        [("extra", name, "found") for name in extras]
        + [("missing", name, "found") for name in lacking]
        + [("different", "truncated", "found")]
    )

    report, events = compare(storage)
    assert {event.name for event in events if event.state == "failed"} == {"file/in/place/of/a/directory"}
    assert not report.agrees
    settle(server)

    report, events = compare(storage, delete=True, force=True, checksum=True)
    assert report.agrees, events
    assert found(events) == sorted(
        [("extra", name, "repaired") for name in extras]
        + [("missing", "file/in/place/of/a/directory", "repaired"), ("different", "changed", "repaired")]
    )
    assert files_below(path) == TREE
    settle(server)

    report, events = compare(storage, checksum=True, delete=True)
    assert events == []
    assert report.agrees

    # The reverse: a directory in place of a file.
    (media_root / "dir" / "missing").unlink()
    (media_root / "dir").rmdir()
    (media_root / "dir").write_bytes(b"1")
    report, events = compare(storage, delete=True, force=True)
    assert found(events) == [("extra", "dir/missing", "repaired"), ("missing", "dir", "failed")]
    assert not report.agrees


def settle(server):
    """Let a server notice what was done to its disk."""
    if server.kind.program in ("rclone", "lighttpd"):
        time.sleep(1.1)  # it remembers directories for a second, and says nothing when that is over


# Memory.


MEMORY_PROGRAM = """
import json, sys, time
from django.conf import settings

settings.configure(MEDIA_URL="/media/")
import django
django.setup()

from kit.memory import peak
from resto.storage import HybridStorage
from resto.repair.sync import SyncOptions, synchronize
from resto.transports import Directory, Transport

FILES, FANOUT = 100_000, int(sys.argv[2])
HALF = sys.argv[3] == "half"


class Fake(Transport):
    '''Has every second file, and takes the others.'''

    def browse(self, host, name):
        if not name:
            return Directory({f"{number:05}" for number in range(FILES // FANOUT)})
        return Directory(files={f"{number:06}.jpg": 1 for number in range(0, FANOUT, 2 if HALF else 1)})

    def create(self, host, name, content):
        return False

    def open(self, host, name): ...
    exists = size = delete = open


class Fabricated(HybridStorage):
    def browse(self, name):
        if not name:
            return Directory({f"{number:05}" for number in range(FILES // FANOUT)})
        return Directory(files={f"{number:06}.jpg": 1 for number in range(FANOUT)})

    def repair_each(self, differences, **options):
        return (self._job(self.transport.create, *pair, None).run() for pair in differences)


storage = Fabricated(["http://a/"], location=sys.argv[1], transport=Fake)
report = synchronize(storage, SyncOptions(delete=True), lambda event: None)
host = report.hosts[0]
print(json.dumps([peak(), host.compared, host.repaired, report.agrees]))
"""


@pytest.mark.parametrize(
    ("fanout", "what"),
    [
        pytest.param(10, "half", marks=pytest.mark.long),
        pytest.param(1000, "all", marks=pytest.mark.long),
        (100_000, "half"),
        pytest.param(100_000, "all", marks=pytest.mark.long),
    ],
)
def test_memory_does_not_grow_with_the_tree(tmp_path, fanout, what):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}
    (tmp_path / "x").touch()
    done = subprocess.run(
        [sys.executable, "-c", MEMORY_PROGRAM, str(tmp_path), str(fanout), what],
        env={name: value for name, value in environment.items() if not name.startswith("COVERAGE")},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    peak, compared, repaired, agrees = json.loads(done.stdout)
    assert compared == 100_000
    assert repaired == (50_000 if what == "half" else 0)
    assert agrees
    assert peak < 100 * 1024
