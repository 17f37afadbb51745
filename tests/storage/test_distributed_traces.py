"""DistributedStorage with the durable record: what once lost a file, or brought one back, step by step.

The laws look for such sequences. These were found by exploring the rules, and are short enough to be told.
"""

from contextlib import contextmanager, suppress

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.db import OperationalError

from kit.record import files, pending_for
from resto import health
from resto.exceptions import ReplicationError
from resto.record import database, leases, rows
from resto.record.changes import Change
from resto.repair.drain import drain
from resto.storage import DistributedStorage
from resto.storage.undo import follow


pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]


@pytest.fixture
def servers(resto_server_factory):
    return [resto_server_factory() for _ in range(2)]


@pytest.fixture
def storage(make):
    """A storage that one of its two hosts is enough for."""
    return make(write_quorum=1)


def other_process():
    return storages.create_storage(storages.backends["default"])


@contextmanager
def refusing(server):
    server.refuse = True
    yield
    server.refuse = False
    health.forget()


class KilledError(BaseException):
    """The process is gone."""


@contextmanager
def killed_at(monkeypatch, owner, method):
    """Kill this process at a call: from then on nothing reaches the record."""

    def die(*args, **kwargs):
        patch.setattr(database, "connected", die)
        raise KilledError

    with monkeypatch.context() as patch, suppress(KilledError):
        patch.setattr(owner, method, die)
        yield


@contextmanager
def first(monkeypatch, owner, method, do):
    """Let something happen before the next call."""
    original = getattr(owner, method)

    def call(*args, **kwargs):
        patch.setattr(owner, method, original)
        do()
        return original(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(owner, method, call)
        yield


def end(clock):
    """Let all leases end, and drain until all is quiet."""
    for _ in range(4):
        clock[0] += 1_000
        drain()
    assert pending_for() == []


def test_deleted_file_does_not_come_back_with_the_host_that_missed_less_long_ago(storage, servers, clock, monkeypatch):
    """The first has missed the deletion, the second an older save: the newest thing that was missed counts."""
    with refusing(servers[1]):
        storage.save("a", ContentFile(b"1"))
    with refusing(servers[0]):
        storage.delete("a")
    assert storage.exists("a") is False
    with killed_at(monkeypatch, DistributedStorage, "exists"):
        storage.save("a", ContentFile(b"2"))
    assert storage.exists("a") is False
    end(clock)
    assert files(servers) == [{}, {}]


def test_deleted_file_does_not_come_back_by_a_save_that_began_before(storage, servers, clock, monkeypatch):
    def delete_meanwhile():
        with refusing(servers[0]):
            other_process().delete("a")

    storage.save("a", ContentFile(b"1"))
    with (
        killed_at(monkeypatch, DistributedStorage, "exists"),
        first(monkeypatch, leases.Lease, "take_over", delete_meanwhile),
    ):
        storage.save("a", ContentFile(b"2"))
    end(clock)
    assert files(servers) == [{}, {}]


@pytest.mark.parametrize("looks", [True, False])
def test_save_takes_another_name_than_one_that_was_deleted_since_it_began(storage, servers, clock, monkeypatch, looks):
    """It would count as deleted otherwise: the deletion is the newest change, and has told the rows of the save."""

    def delete_meanwhile():
        with refusing(servers[0]):
            other_process().delete("a")

    if not looks:
        monkeypatch.setattr(leases, "_are_older", lambda found, own: True)
    with first(monkeypatch, leases.Lease, "take_over", delete_meanwhile):
        name = storage.save("a", ContentFile(b"2"))
    assert (name != "a") is looks
    end(clock)
    assert [name in server.files for server in servers] == [looks] * 2


def test_deleted_file_does_not_come_back_after_two_deletions_at_once(storage, servers, clock, monkeypatch):
    """The second host has followed the first deletion, and it does not matter that a second one has begun meanwhile."""
    storage.save("a", ContentFile(b"1"))
    other = other_process()
    second = Change(other, present=False)
    with refusing(servers[0]), first(monkeypatch, leases.Lease, "settle", lambda: second.announce("a")):
        storage.delete("a")
    with killed_at(monkeypatch, DistributedStorage, "exists"):
        storage.save("a", ContentFile(b"2"))
    with refusing(servers[0]), refusing(servers[1]), pytest.raises(ReplicationError):
        follow(second, other.withdraw, "a", "")
    end(clock)
    assert files(servers) == [{}, {}]


@contextmanager
def unrecorded(monkeypatch, statement):
    """Let the database refuse one kind of statement, once hosts have answered."""

    def refuse(*args, **kwargs):
        raise OperationalError("the database is down")

    with (
        monkeypatch.context() as patch,
        first(monkeypatch, leases.Lease, "settle", lambda: patch.setattr(rows, statement, refuse)),
    ):
        yield


STATEMENTS = pytest.mark.parametrize("statement", ["update", "delete"])


@STATEMENTS
def test_save_is_not_acknowledged_if_it_cannot_be_recorded_who_has_missed_it(
    storage, servers, clock, monkeypatch, statement
):
    """It is taken back: of two hosts that may have missed it, the one that followed the deletion before is believed."""
    storage.save("a", ContentFile(b"1"))
    with refusing(servers[1]):
        storage.delete("a")
    servers[0].fault_methods, servers[0].refuse_code = {"PUT"}, 500
    with unrecorded(monkeypatch, statement), pytest.raises(ReplicationError, match="could not be recorded"):
        storage.save("a", ContentFile(b"2"))
    servers[0].heal()
    end(clock)
    assert files(servers) == [{}, {}]


@STATEMENTS
@pytest.mark.parametrize("quorum", [1, 2])
def test_deletion_is_not_acknowledged_if_it_cannot_be_recorded_who_has_missed_it(
    make, servers, clock, monkeypatch, statement, quorum
):
    storage = make(write_quorum=quorum)
    storage.save("a", ContentFile(b"1"))
    with (
        refusing(servers[1]),
        unrecorded(monkeypatch, statement),
        pytest.raises(ReplicationError, match="could not be recorded"),
    ):
        storage.delete("a")
    end(clock)
    assert files(servers) == [{}, {}]


@STATEMENTS
def test_change_that_all_hosts_have_followed_need_not_be_settled(
    storage, servers, clock, monkeypatch, statement, caplog
):
    with unrecorded(monkeypatch, statement):
        storage.save("a", ContentFile(b"1"))
    with unrecorded(monkeypatch, statement):
        storage.delete("a")
    with unrecorded(monkeypatch, statement):
        assert storage.save("b", ContentFile(b"2")) == "b"
    assert ("Failed to record what became of b." in caplog.messages) is (statement == "delete")
    end(clock)
    assert files(servers) == [{"b": b"2"}] * 2


def test_save_is_not_acknowledged_if_a_drain_has_decided_meanwhile(storage, servers, clock, monkeypatch):
    """The process stands still between the last answer and what it records, for longer than its lease lasts."""

    def stand_still():
        clock[0] += 1_000
        servers[0].heal()
        health.forget()
        drain()

    storage.save("a", ContentFile(b"1"))
    with refusing(servers[1]):
        storage.delete("a")
    servers[0].fault_methods, servers[0].refuse_code = {"PUT"}, 500
    with (
        first(monkeypatch, leases.Lease, "settle", stand_still),
        pytest.raises(ReplicationError, match="could not be recorded"),
    ):
        storage.save("a", ContentFile(b"2"))
    end(clock)
    assert files(servers) == [{}, {}]
