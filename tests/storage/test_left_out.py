"""A host that has lost its files is left out: what goes wrong otherwise, step by step, and without any one of the rules."""

from contextlib import contextmanager, suppress

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.db import OperationalError

from kit.comparison import compare
from kit.record import files, pending_for
from kit.staging import UnorderedExecutor
from kit.world import replace_truth_of
from resto import health
from resto.exceptions import ReplicationError
from resto.plugins import PluginManager
from resto.record import identities, leases, opening, truth
from resto.record.changes import Change
from resto.record.identities import MARGIN, NEW
from resto.record.left_out import count_again
from resto.repair.drain import drain
from resto.repair.sync import Disagreement
from resto.storage import DistributedStorage, copying, left_out
from resto.storage.left_out import LeftOutHosts
from resto.transports.webdav import WebDAVTransport


pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]


@pytest.fixture
def servers(resto_server_factory):
    return [resto_server_factory() for _ in range(2)]


@pytest.fixture
def storage(make, servers, clock, identities_apply):
    """The first of two hosts has lost a file, and is left out."""
    storage = make(write_quorum=1)
    storage.recognition.examine(begins=True)
    servers[1].create_file("a", b"1")
    storage.recognition.adopt(servers[0].url, NEW)
    storage.recognition.examine()
    clock[0] += 2 * MARGIN
    return storage


class KilledError(BaseException):
    """The process is gone."""


@contextmanager
def killed_at(monkeypatch, owner, method):
    def die(*args, **kwargs):
        raise KilledError

    with monkeypatch.context() as patch, suppress(KilledError):
        patch.setattr(owner, method, die)
        patch.setattr(leases.Lease, "forget", die)
        yield


@contextmanager
def refusing(server, method):
    server.fault_methods, server.refuse_code = {method}, 500
    yield
    server.heal()
    health.forget()


def fill(storage, servers):
    return [outcome.ok for outcome in storage.repair_each([(servers[0].url, "a")])]


def save_that_only_the_left_out_host_gets(storage, servers, clock, monkeypatch):
    """Its acknowledgement would be worth nothing, as its repair is from the other one."""
    with refusing(servers[1], "PUT"), suppress(ReplicationError):
        return storage.save("n", ContentFile(b"n"))
    return None


def file_that_only_the_left_out_host_has(storage, servers, clock, monkeypatch):
    servers[0].create_file("n", b"old")
    return "n" if storage.exists("n") else None


def deletion_that_only_the_left_out_host_has_followed(storage, servers, clock, monkeypatch):
    with refusing(servers[1], "DELETE"), suppress(ReplicationError):
        storage.delete("a")
    with killed_at(monkeypatch, DistributedStorage, "exists"):
        storage.save("a", ContentFile(b"2"))


def deletion_between_reading_and_writing(storage, servers, clock, monkeypatch):
    original = WebDAVTransport.create

    def create(self, host, name, content):
        patch.setattr(WebDAVTransport, "create", original)
        storages.create_storage(storages.backends["default"]).delete("a")
        return original(self, host, name, content)

    with monkeypatch.context() as patch:
        patch.setattr(PluginManager, "executor", lambda self, name: UnorderedExecutor)  # in this thread
        patch.setattr(WebDAVTransport, "create", create)
        assert fill(storage, servers) == [True]


def count_whoever_follows(patch):
    patch.setattr(LeftOutHosts, "have_followed", lambda self, hosts, outcomes, quorum: any(one.ok for one in outcomes))


def believe_whoever_is_left_out(patch):
    original = truth.truth_of
    replace_truth_of(patch, lambda hosts, rows, left_out: original(hosts, rows))


def clear_rows_although_no_other_host_has_followed(patch):
    patch.setattr(Change, "_kept_for_those_that_count", lambda self, lease, outcomes: outcomes)


def fill_without_a_row(patch):
    patch.setattr(copying, "open_fills", lambda storage, name, hosts: [leases.Lease(name, [host]) for host in hosts])


def clear_what_another_change_has_followed(patch):
    patch.setattr(leases.Lease, "expect", lambda self, latest: None)


SCENES = [
    (save_that_only_the_left_out_host_gets, count_whoever_follows),
    (file_that_only_the_left_out_host_has, believe_whoever_is_left_out),
    (deletion_that_only_the_left_out_host_has_followed, clear_rows_although_no_other_host_has_followed),
    (deletion_between_reading_and_writing, fill_without_a_row),
    (deletion_between_reading_and_writing, clear_what_another_change_has_followed),
]


def play(scene, storage, servers, clock, monkeypatch):
    """Return what is wrong in the end."""
    acknowledged = scene(storage, servers, clock, monkeypatch)
    for _ in range(5):
        clock[0] += 1_000
        drain()
    found, left = files(servers), pending_for()
    wrong = ["rows are left"] * bool(left)
    if acknowledged is not None and acknowledged not in found[1]:
        wrong.append("what is acknowledged, or is said to be there, is not")
    if found[0].get("a") != found[1].get("a"):
        wrong.append("hosts differ")
    return wrong


@pytest.mark.parametrize(("scene", "mutate"), SCENES, ids=lambda function: function.__name__)
@pytest.mark.parametrize("rule", [True, False])
def test_rule(storage, servers, clock, monkeypatch, scene, mutate, rule):
    if not rule:
        mutate(monkeypatch)
    if scene is not deletion_between_reading_and_writing:
        fill(storage, servers)
    assert (play(scene, storage, servers, clock, monkeypatch) == []) is rule


# Whom it is repaired from.


def test_left_out_host_is_repaired_only_from_one_that_is_settled(storage, servers, clock):
    opening.open_change("default", storage.hosts, "a", present=True)
    clock[0] += 301
    assert fill(storage, servers) == [False]
    assert (files(servers)[0], len(pending_for())) == ({}, 2)
    for _ in range(3):
        clock[0] += 100
        drain()
    assert (files(servers), pending_for()) == ([{"a": b"1"}] * 2, [])


def test_it_is_decided_by_hand_what_only_a_host_that_has_lost_it_would_know(storage, servers, clock):
    opening.open_change("default", [servers[1].url], "a", present=True).release(0)
    report, events = compare(storage)
    assert [type(event) for event in events] == [Disagreement]
    assert files(servers)[1] == {"a": b"1"}
    report, _ = compare(storage, source=servers[1].url)
    assert (files(servers), pending_for(), report.agrees) == ([{"a": b"1"}] * 2, [], True)


def test_nothing_is_removed_on_account_of_a_host_that_has_lost_what_only_it_had_got(storage, servers, clock, caplog):
    """The other one may have the file from a save of which nobody heard an answer."""
    opening.open_change("default", [servers[1].url], "a", present=True).release(0)
    for _ in range(3):
        clock[0] += 100
        drain()
    assert files(servers)[1] == {"a": b"1"}
    assert [host for host, *_ in pending_for()] == [servers[1].url]
    assert "would know it, but has lost its files" in caplog.text


# What the record does not tell.


def test_save_that_a_host_misses_fails_if_the_record_does_not_tell_which_hosts_count(
    storage, servers, clock, monkeypatch
):
    def refuse(alias):
        raise OperationalError("the database is down")

    with monkeypatch.context() as patch, refusing(servers[0], "PUT"):
        original = LeftOutHosts.have_followed

        def have_followed(self, *args):
            patch.setattr(left_out.identities, "find_all", refuse)
            return original(self, *args)

        patch.setattr(LeftOutHosts, "have_followed", have_followed)
        with pytest.raises(ReplicationError):
            storage.save("n", ContentFile(b"n"))
    for _ in range(3):
        clock[0] += 400
        drain()
    assert (files(servers), pending_for()) == ([{}, {"a": b"1"}], [])


def test_change_that_began_before_a_host_counts_again_does_not_count_it(storage, servers, clock, monkeypatch):
    fill(storage, servers)
    original = WebDAVTransport.create

    def create(self, host, name, content):
        patch.setattr(WebDAVTransport, "create", original)
        assert count_again("default", servers[0].url)
        clock[0] += 2 * MARGIN
        return original(self, host, name, content)

    with monkeypatch.context() as patch, refusing(servers[1], "PUT"):
        patch.setattr(WebDAVTransport, "create", create)
        with pytest.raises(ReplicationError, match="the save was undone"):
            storage.save("n", ContentFile(b"n"))
        assert storage.save("n", ContentFile(b"n"))  # it counts now


def test_nothing_is_left_out_in_tests(make, servers):
    storage = make(write_quorum=1)
    identities.put("default", servers[0].url, "x", state=NEW)
    assert storage.left_out() == frozenset()
