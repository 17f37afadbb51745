"""What one process has found out of hosts and directories is known to the others."""

import logging

import pytest
from django.db import DatabaseError

from kit.recognized import save
from resto.models import Host, Pending
from resto.record import identities
from resto.repair.drain import drain
from resto.repair.probe import probe_hosts
from resto.storage import recognition
from resto.transports import acquaintance


pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("identities_apply")]


def in_record():
    return {one.host: one.directories for one in identities.find_all("default").values() if one.host}


def trials(storage):
    return [storage.transport_for(host).trial(host) for host in storage.hosts]


def deletions(servers):
    """What each server was asked to delete of the site's files, and what it was asked before."""
    asked = [[(one.method, one.path) for one in server.requests if one.path == "/b"] for server in servers]
    return [[method for method, _ in each if method in ("PROPFIND", "DELETE")] for each in asked]


@pytest.fixture
def storage(begin):
    storage = begin()
    for name in "ab":
        save(storage, name)
    return storage


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kind", ["Hybrid", "Async", "Distributed"])
def test_first_deletion_of_a_site_is_enough(begin, two_servers, kind):
    storage = begin(kind, executor="inline")
    for name in "ab":
        save(storage, name)
    assert [*in_record().values()] == [{}, {}]
    storage.delete("a")
    for server, directories in zip(two_servers, in_record().values(), strict=True):
        assert (directories["spares"], directories["tells"]) == (True, "301")
        assert directories["looks"] == [f"{server.software}; ; "]
        assert not any(".resto-" in name for name in server.files)
    another = begin(kind, executor="inline")
    another.delete("b")
    assert deletions(two_servers) == [["DELETE"], ["DELETE"]]
    assert all(trials(another))


def test_first_drain_is_enough(storage, begin, two_servers):
    for server in two_servers:
        server.refuse = True
    storage.delete("a")
    for server in two_servers:
        server.refuse = False
    Pending.objects.update(due=0, quiet_until=0)
    drain()
    assert [one.get("spares") for one in in_record().values()] == [True, True]


def test_probe_is_enough(storage, begin, two_servers):
    probe_hosts()
    assert [one.get("spares") for one in in_record().values()] == [True, True]
    begin().delete("b")
    assert deletions(two_servers) == [["DELETE"], ["DELETE"]]


def test_hosts_that_delete_directories_are_known_as_such(begin, resto_server_factory):
    servers = [resto_server_factory(deletes_trees=True, in_place=True) for _ in range(2)]
    hosts = [server.url for server in servers]
    storage = begin(hosts=hosts)
    save(storage, "b")
    probe_hosts()
    assert [one["spares"] for one in in_record().values()] == [False, False]
    begin(hosts=hosts).delete("b")
    assert [each[-2:] for each in deletions(servers)] == [["PROPFIND", "DELETE"]] * 2


def test_what_was_found_out_a_day_ago_is_found_out_again(storage, begin, monkeypatch):
    storage.delete("a")
    before = in_record()
    monkeypatch.setattr(acquaintance, "clock", lambda: 86_400 + max(one["tried"] for one in before.values()))
    begin().delete("b")
    assert all(one["tried"] > before[host]["tried"] for host, one in in_record().items())


def test_a_server_in_the_place_of_another_one_is_found_out_again(storage, begin, two_servers):
    storage.delete("a")
    two_servers[0].software = "another"
    save(storage, "c")
    storage.recognition.trials.tell(identities.find_all("default"))
    assert [trial is None for trial in trials(storage)] == [True, False]
    storage.delete("c")
    assert "another; ; " in in_record()[two_servers[0].url]["looks"]


def test_a_host_that_is_adopted_is_tried_again(storage, two_servers):
    storage.delete("a")
    storage.recognition.adopt(two_servers[0].url)
    assert [in_record()[server.url] == {} for server in two_servers] == [True, False]


def test_a_deletion_does_not_fail_as_the_record_does(storage, monkeypatch, caplog):
    def note_trial(*args):
        raise DatabaseError("it is gone")

    monkeypatch.setattr(identities, "note_trial", note_trial)
    caplog.set_level(logging.WARNING)
    storage.delete("a")
    assert caplog.messages == []
    assert [*in_record().values()] == [{}, {}]
    assert all(trials(storage))


@pytest.mark.parametrize(
    "directories", ["{}", '{"spares": true}', '{"looks": 5, "spares": true, "tells": "", "tried": 0}']
)
def test_what_another_version_has_written_is_not_believed(storage, directories):
    Host.objects.update(directories=directories)
    storage.recognition.trials.tell(identities.find_all("default"))
    assert trials(storage) == [None, None]


def test_without_the_record_a_process_learns_for_itself(storage, monkeypatch, two_servers):
    monkeypatch.setattr(recognition, "has_identities", lambda storage: False)
    monkeypatch.setattr(type(storage), "record_alias", lambda self: None)
    for name in "ab":
        storage.delete(name)
    assert deletions(two_servers) == [["DELETE"], ["DELETE"]]
    assert [*in_record().values()] == [{}, {}]
