"""Whoever reads while hosts lag, are wiped and filled gets each file that was saved before: real servers ask each other.

``make readers`` reads ten thousand times in the place of some hundreds.
"""

import io
import os
import random
import secrets
import threading
from collections import Counter
from contextlib import ExitStack, contextmanager
from http.client import HTTPException

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.core.management import call_command

from kit.comparison import compare
from kit.fleet import KINDS, OUTSIDER, start_fleet
from kit.servers import MediaServer, require
from resto.models import Pending
from resto.repair.drain import drain


pytestmark = pytest.mark.django_db

READS = int(os.environ.get("RESTO_READS", "400"))
READERS = 3


class Readers:
    """Threads that read what was saved before, each time at any door, until they have read often enough."""

    def __init__(self, doors):
        self.doors = doors
        self.saved = []  # names and contents
        self.answers = Counter()
        self.by_others = self.unanswered = 0
        self.problems = []
        self.threads = [threading.Thread(target=self._read) for _ in range(READERS)]

    @contextmanager
    def reading(self):
        for thread in self.threads:
            thread.start()
        try:
            yield
        finally:
            for thread in self.threads:
                thread.join()

    def are_at_it(self):
        return any(thread.is_alive() for thread in self.threads)

    def _read(self):
        choice = random.Random(secrets.token_bytes(8))
        try:
            while sum(self.answers.values()) < READS:
                name, content = choice.choice(self.saved)
                door = choice.choice(self.doors)
                try:
                    answer = door.request("GET", f"/{name}", source=OUTSIDER, timeout=60)
                except (OSError, HTTPException):
                    self.unanswered += 1  # a balancer would ask another one
                    continue
                self.answers[answer.status] += 1
                self.by_others += answer.headers["Cache-Control"] == "no-store"
                if answer.body != content:
                    self.problems.append((name, door.url, answer.status, answer.body))
        except Exception as error:
            self.problems.append(error)
            raise


@contextmanager
def lagging(server):
    """Let a server take nothing."""
    server.root.chmod(0o555)
    try:
        yield
    finally:
        server.root.chmod(0o755)


def wipe(server):
    """Empty a server, file by file; Apache gets an empty disk.

    It looks first whether it has a file, and says 403 if that is gone when it is opened; in 10 000 reads that happens once.
    """
    if server.name == "apache-fallback":
        server.stop()
    for path in sorted(server.root.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    if not server.running:
        server.start()


def files_of(server):
    return {path.name for path in server.root.glob("[!.]*")}


def drain_all():
    """Send what hosts have missed, as if it had waited for long enough."""
    Pending.objects.update(due=0, quiet_until=0)
    drain()
    assert not Pending.objects.exists()


def start(stack, kind):
    """Start three servers; return them, and where readers come to: to them, or to a balancer before them."""
    if kind != "haproxy":
        servers = start_fleet(stack, kind)
        return servers, servers
    require(kind)
    servers = [stack.enter_context(MediaServer("nginx-dav")) for _ in range(3)]
    places = dict(zip(("first", "second", "third"), (f"127.0.0.1:{server.port}" for server in servers), strict=True))
    return servers, [stack.enter_context(MediaServer(kind, **places))]


def fill(storage, server):
    """Give a server that was wiped all files again."""
    call_command("resto_adopt", "--host", server.url, "--no-input", stdout=io.StringIO())
    report, _ = compare(storage)
    assert all(host.failed == 0 for host in report.hosts)


@pytest.mark.usefixtures("identities_apply")
@pytest.mark.parametrize("kind", [*KINDS, "haproxy"])
@pytest.mark.parametrize("backend", ["HybridStorage", "DistributedStorage"])
def test_nothing_that_was_saved_is_missing(kind, backend, settings, media_root):
    with ExitStack() as stack:
        servers, doors = start(stack, kind)
        options = {"hosts": [server.url for server in servers], "transport": "webdav", "fatal_exceptions": False}
        settings.STORAGES = {"default": {"BACKEND": f"resto.storage.{backend}", "OPTIONS": options}}
        readers = Readers(doors)
        readers.saved.append(save(storages["default"], 0))
        missed = 0
        with readers.reading():
            number = 0
            while readers.are_at_it():
                number += 1
                server = servers[number % 3]
                with lagging(server):
                    for _ in range(5):
                        number += 1
                        readers.saved.append(save(storages["default"], number))
                    missed += Pending.objects.count()
                drain_all()
                wipe(server)
                fill(storages["default"], server)
                assert [files_of(one) for one in servers] == [dict(readers.saved).keys()] * 3
    assert readers.problems == []
    assert readers.answers[404] == 0
    assert {*readers.answers} == {200}
    assert readers.unanswered == 0 or kind == "apache-fallback"
    assert missed > 0
    assert readers.by_others > 0 or kind == "haproxy"  # which marks nothing


def save(storage, number):
    content = b"%d" % number
    return storage.save(f"{number}.txt", ContentFile(content)), content
