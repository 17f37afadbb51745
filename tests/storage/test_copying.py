"""Repair without a master copy: what a host has missed is copied from another one."""

import pytest
from django.core.files.base import ContentFile

from kit.record import files, pending_for
from resto.models import Pending
from resto.record import opening
from resto.repair.drain import Drained, drain


pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]

OLD, NEW = ContentFile(b"old"), ContentFile(b"new")


def test_rows_of_a_time_with_a_master_copy_are_repaired_too(storage, servers, clock):
    """Such rows have no digest. Whatever any host has is kept, as nobody knows better."""
    opening.open_lease("default", storage.hosts, "a", present=True).release(0)
    opening.open_lease("default", storage.hosts[:1], "b", present=False).release(0)
    servers[1].create_file("a", b"1")
    servers[0].create_file("b", b"2")
    assert drain() == Drained(done=4)
    assert files(servers) == [{"a": b"1"}] * 3
    assert pending_for() == []


def test_nothing_is_pending_if_all_goes_well(storage, servers):
    storage.save("a", ContentFile(b"1"))
    storage.delete("a")
    assert pending_for() == []


def test_host_that_missed_a_save_gets_a_copy(storage, servers, clock):
    servers[2].refuse = True
    storage.save("d/a", ContentFile(b"1"))
    assert pending_for() == [(servers[2].url, "d/a", True)]
    servers[2].refuse = False
    clock[0] += 10
    assert drain() == Drained(done=1)
    assert files(servers) == [{"d/a": b"1"}] * 3
    assert pending_for() == []


def test_host_that_is_spelled_otherwise_by_now_gets_a_copy(storage, make, servers, clock):
    servers[2].refuse = True
    storage.save("a", ContentFile(b"1"))
    make(hosts=[servers[0].url, servers[1].url, servers[2].url.replace("http", "HTTP")])
    servers[2].refuse = False
    clock[0] += 10
    assert drain() == Drained(done=1)
    assert files(servers) == [{"a": b"1"}] * 3
    assert pending_for() == []


def test_host_that_missed_a_deletion_deletes(storage, servers, clock):
    storage.save("a", ContentFile(b"1"))
    servers[2].refuse = True
    storage.delete("a")
    assert pending_for() == [(servers[2].url, "a", False)]
    servers[2].refuse = False
    clock[0] += 10
    assert drain() == Drained(done=1)
    assert files(servers) == [{}] * 3


def test_large_file_is_copied(storage, servers, clock):
    servers[2].refuse = True
    storage.save("a", ContentFile(bytes(3_000_000)))
    servers[2].refuse = False
    clock[0] += 10
    assert drain() == Drained(done=1)
    assert servers[2].get_file("a") == bytes(3_000_000)


def test_no_copy_is_made_while_nobody_can_give_one(make, servers, clock):
    """And nothing is deleted: the host that does not answer has the only copy."""
    storage = make(write_quorum=1)
    servers[1].refuse = servers[2].refuse = True
    storage.save("a", ContentFile(b"1"))
    for server in servers:
        server.refuse = not server.refuse
    clock[0] += 10
    assert drain() == Drained(failed=2)
    assert {row.error for row in Pending.objects.all()} == {
        f"{servers[0].url} would know what it should have: connection refused"
    }
    servers[0].refuse = False
    clock[0] += 100
    assert drain() == Drained(done=2)
    assert files(servers) == [{"a": b"1"}] * 3


def test_source_that_breaks_off(storage, servers, clock):
    servers[2].refuse = True
    storage.save("a", ContentFile(bytes(100_000)))
    servers[2].refuse = False
    servers[0].reset_after = servers[1].reset_after = 50_000
    clock[0] += 10
    assert drain() == Drained(failed=1)
    assert "it cannot be copied from" in Pending.objects.get().error
    assert servers[2].files == {}


def test_killed_save_ends_in_one_way_on_all_hosts(storage, servers, clock):
    opening.open_change("default", storage.hosts, "a", present=True)
    servers[1].create_file("a", b"1")
    assert drain() == Drained()
    clock[0] += 301
    assert drain() == Drained(done=3)
    assert files(servers) == [{"a": b"1"}] * 3
    assert pending_for() == []


def test_killed_save_that_reached_nobody(storage, servers, clock):
    opening.open_change("default", storage.hosts, "a", present=True)
    clock[0] += 301
    assert drain() == Drained(done=3)
    assert files(servers) == [{}] * 3


def test_killed_save_does_not_bring_back_what_a_host_should_have_deleted(storage, servers, clock):
    storage.save("a", ContentFile(b"1"))
    servers[2].refuse = True
    storage.delete("a")
    servers[2].refuse = False
    opening.open_change("default", storage.hosts, "a", present=True)
    clock[0] += 301
    drain()
    clock[0] += 301
    drain()
    assert files(servers) == [{}] * 3
    assert pending_for() == []


def test_host_that_somebody_else_changes_is_left_alone(storage, servers, clock):
    servers[2].refuse = True
    storage.save("a", ContentFile(b"1"))
    servers[2].refuse = False
    clock[0] += 10
    lease = opening.open_change("default", storage.hosts, "a", present=False)
    assert drain() == Drained(failed=1)
    assert servers[2].files == {}
    lease.forget()
    clock[0] += 100
    assert drain() == Drained(done=1)


def drain_as_a_watch_does(clock):
    """Look every second, as ``--watch`` does: few rows are due at the same moment."""
    for _ in range(700):
        drain(limit=50)
        clock[0] += 1
        if not Pending.objects.exists():
            break


def test_rows_of_one_name_that_are_due_at_different_times(storage, servers, clock):
    servers[2].refuse = True
    storage.save("a", ContentFile(b"1"))
    storage.save("b", ContentFile(b"1"))
    clock[0] += 15
    drain()
    storage.delete("a")
    clock[0] += 7
    storage.delete("a")
    servers[2].refuse = False
    started = clock[0]
    drain_as_a_watch_does(clock)
    assert clock[0] - started < 60
    assert pending_for() == []
    assert files(servers) == [{"b": b"1"}] * 3


def test_host_that_others_wait_for_is_asked_again_soon(make, servers, clock):
    storage = make(write_quorum=1)
    servers[1].refuse = servers[2].refuse = True
    storage.save("a", ContentFile(b"1"))
    servers[0].refuse, servers[1].refuse, servers[2].refuse = True, False, False
    for _ in range(10):
        clock[0] += 60
        drain()
    servers[0].refuse = False
    started = clock[0]
    drain_as_a_watch_does(clock)
    assert clock[0] - started < 70  # a pause of its breaker, and one of the record
    assert files(servers) == [{"a": b"1"}] * 3
