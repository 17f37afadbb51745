"""DistributedStorage with the durable record: how many hosts must follow, and what goes wrong without its rules."""

from dataclasses import replace

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages

from kit.record import files, pending_for
from kit.staging import UnorderedExecutor
from kit.world import replace_truth_of
from resto import health
from resto.exceptions import ConfigurationError, ReplicationError, UndecidedError
from resto.plugins import PluginManager
from resto.record import leases, meaning, opening, truth
from resto.repair.drain import drain
from resto.storage import DistributedStorage
from resto.transports.webdav import WebDAVTransport


pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]

OLD = ContentFile(b"old")


# How many hosts must follow.


@pytest.mark.parametrize(
    ("quorum", "down", "stored"),
    [
        ("all", 0, True),
        ("all", 1, False),
        ("majority", 1, True),
        ("majority", 2, False),
        (1, 2, True),
        (1, 3, False),
        (3, 1, False),
        (None, 1, False),
    ],
)
def test_quorum(make, servers, clock, quorum, down, stored):
    storage = make(**{} if quorum is None else {"write_quorum": quorum})
    for server in servers[3 - down :]:
        server.refuse = True
    if stored:
        storage.save("a", ContentFile(b"1"))
        storage.delete("a")
        storage.save("b", ContentFile(b"1"))
    else:
        with pytest.raises(ReplicationError, match="the save was undone" if down < 3 else "exists of 'b' failed"):
            storage.save("b", ContentFile(b"1"))
        assert not any(server.files for server in servers)
        with pytest.raises(ReplicationError, match="it counts as deleted"):
            storage.delete("c")
    for server in servers:
        server.refuse = False
    for _ in range(3):
        clock[0] += 400
        drain()
    assert files(servers) == [{"b": b"1"} if stored else {}] * 3
    assert pending_for() == []


def test_undoing_that_fails_is_pending(make, servers, clock):
    storage = make()
    servers[0].refuse_code = 500
    servers[1].fault_methods, servers[1].refuse_code = {"DELETE"}, 500
    with pytest.raises(ReplicationError, match=f"the save was undone, except on {servers[0].url}, {servers[1].url}"):
        storage.save("a", ContentFile(b"1"))
    assert {(host, present) for host, _, present in pending_for()} == {(server.url, False) for server in servers[:2]}
    assert storage.exists("a") is False
    for server in servers:
        server.heal()
    clock[0] += 100
    drain()
    assert files(servers) == [{}] * 3


def test_nothing_is_undone_if_a_delete_has_followed(make, servers, clock, monkeypatch):
    storage = make()
    servers[0].refuse_code = 507
    original = DistributedStorage._has_failed

    def meanwhile(self, action, outcomes):
        monkeypatch.undo()
        servers[0].heal()
        storages.create_storage(storages.backends["default"]).delete("a")
        return original(self, action, outcomes)

    monkeypatch.setattr(DistributedStorage, "_has_failed", meanwhile)
    with pytest.raises(ReplicationError, match="a delete has followed"):
        storage.save("a", OLD)
    assert files(servers) == [{}] * 3
    clock[0] = leases.clock() + 1_000
    monkeypatch.setattr(leases, "clock", lambda: clock[0])
    drain()
    assert files(servers) == [{}] * 3
    assert pending_for() == []


@pytest.mark.parametrize("quorum", ["most", 0, 4, -1, True, 1.5, [1]])
def test_wrong_quorum(servers, quorum):
    storage = DistributedStorage([server.url for server in servers], "/media/", write_quorum=quorum)
    [problem] = storage.problems()
    assert problem.code == "E015"
    for write in (lambda: storage.save("a", ContentFile(b"1")), lambda: storage.delete("a")):
        with pytest.raises(ConfigurationError, match=r"write_quorum is .*'all', 'majority', or a number from 1 to 3"):
            write()


def test_undecided_error_is_not_a_request_that_may_still_land():
    assert not meaning.may_still_land(UndecidedError("h", "a", "repair", "who knows"))


# Without any one of the rules of `resto.record.truth`, something goes wrong.


def delete_while_a_copy_is_made(storage, servers, clock, monkeypatch):
    servers[2].refuse = True
    storage.save("a", ContentFile(b"1"))
    servers[2].refuse = False
    health.forget()
    clock[0] += 10
    original = WebDAVTransport.create

    def create(self, host, name, content):
        monkeypatch.setattr(WebDAVTransport, "create", original)
        storage.delete("a")
        return original(self, host, name, content)

    monkeypatch.setattr(WebDAVTransport, "create", create)


def save_that_is_killed_after_a_deletion_was_missed(storage, servers, clock, monkeypatch):
    storage.save("a", OLD)
    servers[0].refuse = True
    storage.delete("a")
    servers[0].refuse = False
    opening.open_change("default", storage.hosts, "a", present=True)


SCENES = {
    delete_while_a_copy_is_made: {},
    save_that_is_killed_after_a_deletion_was_missed: {},
}


def play(scene, storage, servers, clock, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(PluginManager, "executor", lambda self, name: UnorderedExecutor)  # in this thread
        scene(storage, servers, clock, patch)
        for _ in range(3):
            drain()
            clock[0] += 1_000
    return files(servers), pending_for()


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_hosts_end_equal(scene, storage, servers, clock, monkeypatch):
    assert play(scene, storage, servers, clock, monkeypatch) == ([SCENES[scene]] * 3, [])


def tell_nobody_of_a_change(patch):
    patch.setattr(leases.Lease, "overrule", lambda self, storage, name: None)


def clear_what_another_change_has_followed(patch):
    patch.setattr(leases.Lease, "expect", lambda self, latest: None)


def ask_those_that_have_missed_more(patch):
    def truth_of(hosts, rows, left_out):
        found = original(hosts, rows, left_out)
        return replace(found, hosts=tuple(hosts)) if rows else found

    original = truth.truth_of
    replace_truth_of(patch, truth_of)


@pytest.mark.parametrize(
    ("mutate", "scene"),
    [
        (tell_nobody_of_a_change, delete_while_a_copy_is_made),
        (clear_what_another_change_has_followed, delete_while_a_copy_is_made),
        (ask_those_that_have_missed_more, save_that_is_killed_after_a_deletion_was_missed),
    ],
    ids=lambda function: function.__name__,
)
def test_hosts_end_wrong_without_a_rule(mutate, scene, storage, servers, clock, monkeypatch):
    mutate(monkeypatch)
    found, left = play(scene, storage, servers, clock, monkeypatch)
    assert (found != [SCENES[scene]] * 3, left) == (True, [])
