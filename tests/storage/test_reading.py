"""Reading without a master copy: hosts that have missed something are not asked."""

import random

import pytest
from django.core.files.base import ContentFile

from kit.hosts import MemoryTransport
from kit.record import pending_for
from resto.exceptions import RemoteFileNotFoundError, ReplicationError
from resto.record import leases
from resto.storage import DistributedStorage
from resto.storage.blocks import FIRST_SIZE


pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]

OLD, NEW = ContentFile(b"old"), ContentFile(b"new")


READS = {
    "open": lambda storage: storage.open("a").read() or b"",
    "size": lambda storage: storage.size("a"),
    "time": lambda storage: storage.get_modified_time("a"),
}


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_host_that_missed_something_is_not_asked(storage, servers, read):
    storage.save("a", ContentFile(b"1"))
    servers[0].refuse = True
    storage.delete("a")
    servers[0].refuse = False
    asked = len(servers[0].requests)
    for _ in range(10):
        with pytest.raises(FileNotFoundError):
            read(storage)
    assert storage.exists("a") is False
    assert len(servers[0].requests) == asked
    assert servers[0].has_file("a")


@pytest.mark.parametrize("read", [*READS.values(), lambda storage: storage.exists("a")], ids=[*READS, "exists"])
def test_stale_host_is_not_asked_even_if_no_other_answers(storage, servers, read):
    servers[0].refuse = True
    storage.save("a", ContentFile(b"1"))
    servers[0].create_file("a", b"stale")
    servers[0].refuse = False
    servers[1].refuse = servers[2].refuse = True
    with pytest.raises(ReplicationError, match=rf"not asked, as changes are pending there: {servers[0].url}\)"):
        read(storage)


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_file_whose_deletion_nobody_has_confirmed_is_gone(make, servers, read):
    storage = make(fatal_exceptions=False)
    storage.save("a", ContentFile(b"1"))
    for server in servers:
        server.refuse = True
    storage.delete("a")
    for server in servers:
        server.refuse = False
    assert storage.exists("a") is False
    with pytest.raises(RemoteFileNotFoundError, match="no host has confirmed yet"):
        read(storage)


def test_saved_file_exists_although_the_record_could_not_be_cleared(storage, servers, monkeypatch):
    monkeypatch.setattr(leases.Lease, "settle", lambda self, outcomes: True)
    storage.save("a", ContentFile(b"1"))
    assert len(pending_for()) == 3
    assert storage.exists("a") is True
    with storage.open("a") as file:
        assert file.read() == b"1"


def test_host_that_missed_something_takes_nobodys_place(storage, servers, monkeypatch):
    """In the middle of a file, although it has the same one."""
    monkeypatch.setattr(random, "sample", lambda population, k: list(population)[:k])
    content = random.randbytes(12 * FIRST_SIZE)  # more than stays at hand
    servers[1].refuse = True
    storage.save("a", ContentFile(content))
    servers[1].refuse = False
    servers[1].create_file("a", content)
    asked = len(servers[1].requests)
    with storage.open("a") as file:
        servers[0].refuse = True
        assert file.read() == content
        servers[2].refuse = True
        file.seek(FIRST_SIZE)
        with pytest.raises(ReplicationError, match=f"not asked, as changes are pending there: .*{servers[1].url}"):
            file.read()
    assert len(servers[1].requests) == asked


@pytest.mark.parametrize("told", [None, 1, "yes"])
def test_existence_that_a_transport_does_not_tell_is_no_absence(told, monkeypatch):
    monkeypatch.setattr(MemoryTransport, "exists", lambda self, host, name: told)
    storage = DistributedStorage(["good-1"], "/media/", transport=MemoryTransport)
    with pytest.raises(ReplicationError, match=f"the transport MemoryTransport returned {told!r}, no bool"):
        storage.exists("a")


@pytest.mark.parametrize("told", [None, "7", True])
def test_size_that_a_transport_does_not_tell(told, monkeypatch):
    monkeypatch.setattr(MemoryTransport, "size", lambda self, host, name: told)
    storage = DistributedStorage(["good-1"], "/media/", transport=MemoryTransport)
    with pytest.raises(ReplicationError, match=f"the transport MemoryTransport returned {told!r}, no int"):
        storage.size("a")
