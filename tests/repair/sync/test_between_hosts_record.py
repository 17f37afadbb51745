"""The full comparison of hosts without a master copy, where the durable record says which of them are right."""

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages

from kit.comparison import compare
from resto import health
from resto.models import Pending
from resto.record import leases, opening
from resto.repair.sync import Difference, Disagreement


pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    clock = [1_000_000.0]
    monkeypatch.setattr(leases, "clock", lambda: clock[0])
    return clock


@pytest.fixture
def servers(resto_server_factory):
    return [resto_server_factory() for _ in range(3)]


@pytest.fixture
def storage(settings, servers):
    options = {"hosts": [server.url for server in servers], "transport": "webdav", "write_quorum": 1}
    settings.STORAGES = {"default": {"BACKEND": "resto.storage.DistributedStorage", "OPTIONS": options}}
    return storages["default"]


def miss(server, act):
    server.refuse = True
    act()
    server.refuse = False
    health.forget()


@pytest.fixture
def behind(storage, servers):
    """One host has missed three changes, and another one nothing but what happened behind the storage's back."""
    storage.save("gone", ContentFile(b"1"))
    storage.save("changed", ContentFile(b"1"))

    def change():
        storage.save("d/new", ContentFile(b"22"))
        storage.delete("gone")
        storage.delete("changed")
        storage.save("changed", ContentFile(b"333"))

    miss(servers[2], change)
    servers[1].create_file("unknown", b"4444")


def differences(host, state):
    return [
        Difference(host, "changed", "different", 3, 1, state),
        Difference(host, "d/new", "missing", 2, None, state),
        Difference(host, "gone", "extra", None, 1, state),
    ]


def by_name(events):
    return sorted((event for event in events if isinstance(event, Difference)), key=lambda event: event.name)


def test_what_the_record_decides_is_repaired_and_the_rest_reported(behind, storage, servers, clock):
    clock[0] += 100
    report, events = compare(storage)

    assert by_name(events) == differences(servers[2].url, "repaired")
    sizes = {servers[0].url: None, servers[1].url: 4, servers[2].url: None}
    assert [event for event in events if isinstance(event, Disagreement)] == [Disagreement("unknown", sizes)]
    assert servers[0].files == servers[2].files == {"changed": b"333", "d/new": b"22"}
    assert Pending.objects.count() == 0
    assert (report.hosts[2].repaired, report.disagreements, report.agrees) == (3, 1, False)
    servers[1].delete_file("unknown")
    report, events = compare(storage, checksum=True)
    assert (report.agrees, events) == (True, [])


def test_rows_need_not_be_due(behind, storage, servers):
    servers[1].delete_file("unknown")
    report, _ = compare(storage)
    assert report.agrees
    assert servers[2].files == {"changed": b"333", "d/new": b"22"}


def test_nothing_is_changed_in_a_dry_run(behind, storage, servers, clock):
    before, pending = [dict(server.files) for server in servers], list(Pending.objects.values())
    report, events = compare(storage, dry_run=True)
    assert by_name(events) == differences(servers[2].url, "found")
    assert [server.files for server in servers] == before
    assert list(Pending.objects.values()) == pending
    assert not report.agrees


def test_change_that_may_be_under_way_is_left_alone(storage, servers):
    lease = opening.open_change("default", [servers[0].url], "a", present=True)
    servers[1].create_file("a", b"1")
    servers[2].create_file("a", b"1")
    report, events = compare(storage)
    [event] = events
    assert (event.host, event.state) == (servers[0].url, "failed")
    assert event.problem == "another save, delete or repair of it may still be under way"
    assert (servers[0].files, report.agrees) == ({}, False)
    lease.forget()


def test_killed_save_is_made_one_thing(storage, servers, clock):
    opening.open_change("default", storage.hosts, "a", present=True)
    servers[1].create_file("a", b"1")
    clock[0] += 301
    report, events = compare(storage)
    assert {event.state for event in events} == {"repaired"}
    assert [server.files for server in servers] == [{"a": b"1"}] * 3
    assert report.agrees


def test_host_that_was_put_right_by_hand_is_no_difference(storage, servers, clock):
    miss(servers[2], lambda: storage.save("a", ContentFile(b"1")))
    servers[2].create_file("a", b"1")
    assert compare(storage)[1] == []


def test_hosts_that_are_right_may_still_differ(storage, servers, clock):
    miss(servers[2], lambda: storage.save("a", ContentFile(b"1")))
    servers[1].create_file("a", b"other")
    report, events = compare(storage)
    assert {type(event) for event in events} == {Difference, Disagreement}
    assert servers[2].files == {"a": b"1"}
    assert not report.agrees
