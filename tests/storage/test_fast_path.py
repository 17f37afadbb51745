"""The fast path is taken: over connections that are open, no thread is used, and no answer read by `http.client`.

What is sent over it is tested everywhere else. This is about what would stay unnoticed, as everything works without it.
"""

import os
import threading
from contextlib import contextmanager

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.core.files.uploadedfile import TemporaryUploadedFile
from django.core.management import call_command

from resto.executors import thread
from resto.executors.lanes import process_lanes
from resto.master.copy import MasterCopy
from resto.record import backlog, opening
from resto.repair.drain import drain
from resto.storage import DistributedStorage, HybridStorage
from resto.transports import connection, heads, http


SIZES = {"1 KB": 1_000, "100 KB": 100_000, "the largest": heads.EXPECT_SIZE}
PLAIN = ["1 KB", "100 KB"]
SERVERS = {"nginx": {}, "apache": {}, "lighttpd": {}, "nginx-https": {}}


@pytest.fixture
def hosts(media_servers):
    """Three hosts on a server of some kind, and the options of a storage that uses them."""

    def make(kind):
        server = media_servers(kind)
        options = {"transport": "webdav", "timeout": 10}
        if server.kind.tls:
            certificates = {"ca_bundle": str(server.ca), "client_cert": str(server.client_certificate)}
            options["transport_options"] = certificates | {"auth": server.credentials}
        return [server.new_folder()[0] for _ in range(3)], options

    return make


@pytest.fixture
def handed_over(monkeypatch):
    """The jobs that were left to threads."""
    jobs = []
    offer = thread._Pool.offer

    def watch(pool, lanes, task):
        jobs.append(task.job)
        offer(pool, lanes, task)

    monkeypatch.setattr(thread._Pool, "offer", watch)
    return jobs


@contextmanager
def only_the_fast_path(monkeypatch, handed_over):
    def read_at_length(*args):
        raise AssertionError("this answer was not plain")

    handed_over.clear()
    with monkeypatch.context() as patch:
        patch.setattr(connection, "read_answer", read_at_length)
        yield
    assert handed_over == []


@contextmanager
def without_steps(monkeypatch):
    def take_steps(*args):
        raise AssertionError("this was not plain")

    with monkeypatch.context() as patch:
        patch.setattr(http, "run_steps", take_steps)
        yield


def make(storage_class, hosts, options, location):
    if storage_class is HybridStorage:
        options = options | {"location": str(location)}
    return storage_class(hosts, "/media/", **options)


@pytest.mark.parametrize("kind", SERVERS)
@pytest.mark.parametrize("storage_class", [HybridStorage, DistributedStorage])
def test_saves_and_deletions(hosts, storage_class, kind, media_root, monkeypatch, handed_over):
    storage = make(storage_class, *hosts(kind), media_root)
    threads = threading.active_count()
    storage.delete(storage.save("first", ContentFile(b"opens connections")))

    with only_the_fast_path(monkeypatch, handed_over):
        for label, size in SIZES.items():
            storage.save(label, ContentFile(os.urandom(size)))
        for label in SIZES:
            assert storage.exists(label)
            storage.delete(label)
    with only_the_fast_path(monkeypatch, handed_over), without_steps(monkeypatch):
        for label in PLAIN:
            storage.save(label, ContentFile(os.urandom(SIZES[label])))
            assert storage.exists(label)
            storage.delete(label)

    assert threading.active_count() == threads


@pytest.fixture
def unread(monkeypatch):
    """How many bytes have gone from files to sockets, each time some did, without being read here."""
    sent, own = [], os.sendfile

    def send(*args):
        sent.append(own(*args))
        return sent[-1]

    monkeypatch.setattr(os, "sendfile", send)
    return sent


LARGE = 3 * heads.EXPECT_SIZE


@pytest.mark.parametrize("kind", [*SERVERS, "rclone"])
@pytest.mark.parametrize("storage_class", [HybridStorage, DistributedStorage])
def test_large_files_are_not_read_and_hosts_not_waited_for(hosts, storage_class, kind, media_root, unread):
    storage = make(storage_class, *hosts(kind), media_root)
    contents = [os.urandom(LARGE), os.urandom(LARGE + 1)]
    for number, content in enumerate(contents):
        with TemporaryUploadedFile("large", "", len(content), None) as file:
            file.write(content)
            storage.save(str(number), file)
    for host in storage.hosts:
        assert [storage.transport_for(host).content(host, str(number)) for number in (0, 1)] == contents
        [(_, wire)] = [found for found in storage.transport_for(host)._wires.items() if found[0] == host]
        assert wire[1]._may_follow  # the second one was looked for without waiting, if it was not moved into place
    assert sum(unread) == (0 if kind == "nginx-https" else 3 * (2 * LARGE + 1))


@pytest.fixture
def site(hosts, settings, media_root):
    addresses, options = hosts("nginx-dav")
    options |= {"hosts": addresses, "location": str(media_root)}
    settings.STORAGES = {"default": {"BACKEND": "resto.storage.HybridStorage", "OPTIONS": options}}
    for number in range(400):
        path = media_root / f"{number % 4}" / f"{number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(1_000))
    return addresses


@pytest.mark.django_db
def test_comparisons_and_drains_need_no_threads_to_send_files(site, handed_over):
    call_command("resto_sync", verbosity=0)
    assert {job.action for job in handed_over} <= {"listdir"}

    handed_over.clear()
    for number in range(100):
        opening.open_lease("default", site, f"{number % 4}/{number}", present=True).release(-1)
    assert drain().done == 300
    assert handed_over == []
    assert backlog.backlog_of("default") == {}
    assert storages["default"].transport_for(site[0]).exists(site[0], "3/399")


# One pass over all hosts: what they have in common is done once.


class CountingLock:
    def __init__(self):
        self.count = 0
        self._lock = threading.Lock()

    def __enter__(self):
        self.count += 1
        self._lock.acquire()

    def __exit__(self, *error):
        self._lock.release()


@pytest.mark.parametrize("number", [1, 12])
def test_lanes_and_the_master_copy_are_the_affair_of_one_pass(media_servers, media_root, monkeypatch, number):
    server = media_servers("nginx")
    storage = HybridStorage([server.new_folder()[0] for _ in range(number)], "/media/", str(media_root), timeout=10)
    storage.save("first", ContentFile(b"opens connections"))
    looks, lock, fingerprint = [], CountingLock(), MasterCopy.fingerprint
    monkeypatch.setattr(MasterCopy, "fingerprint", lambda *args: looks.append(args) or fingerprint(*args))
    monkeypatch.setattr(process_lanes(), "_lock", lock)

    storage.save("a", ContentFile(b"content"))

    assert len(looks) == 1
    assert lock.count == 3  # all enter, all leave, and all are found to be done
