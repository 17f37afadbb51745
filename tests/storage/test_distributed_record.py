"""DistributedStorage with the durable record: what a host has missed is known, and copied from another one."""

import random
from dataclasses import replace
from functools import partial

import pytest
from django.core.exceptions import SuspiciousFileOperation
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.db import connection
from django.test.utils import CaptureQueriesContext

from kit.staging import UnorderedExecutor
from resto import health
from resto.exceptions import ConfigurationError, RemoteFileNotFoundError, ReplicationError, UndecidedError
from resto.models import Pending
from resto.plugins import PluginManager
from resto.record import leases as pending
from resto.repair.drain import Drained, drain
from resto.storage import DistributedStorage, distributed
from resto.transports.webdav import WebDAVTransport


pytestmark = pytest.mark.django_db

OLD, NEW = ContentFile(b"old"), ContentFile(b"new")


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    """The clock of the record and of the breakers."""
    clock = [1_000_000.0]
    monkeypatch.setattr(health, "Breaker", partial(health.Breaker, lambda: clock[0], lambda low, high: 1))
    monkeypatch.setattr(pending, "clock", lambda: clock[0])
    monkeypatch.setattr(pending, "monotonic", lambda: clock[0])
    return clock


@pytest.fixture
def servers(resto_server_factory):
    return [resto_server_factory() for _ in range(3)]


@pytest.fixture
def make(settings, servers):
    def make(**options):
        hosts = [{"url": server.url, "timeout": 0.3 if server.hang else 10} for server in servers]
        options = {"hosts": hosts, "transport": "webdav"} | options
        settings.STORAGES = {"default": {"BACKEND": "resto.storage.DistributedStorage", "OPTIONS": options}}
        return storages["default"]

    return make


@pytest.fixture
def storage(make):
    """A storage that two of its three hosts are enough for."""
    return make(write_quorum="majority")


def files(servers):
    return [dict(server.files) for server in servers]


def pending_for():
    return sorted(Pending.objects.values_list("host", "name", "present"))


# What a host has missed.


def test_rows_of_a_time_with_a_master_copy_are_repaired_too(storage, servers, clock):
    """Such rows have no digest. Whatever any host has is kept, as nobody knows better."""
    pending.open_lease("default", storage.hosts, "a", present=True).release(0)
    pending.open_lease("default", storage.hosts[:1], "b", present=False).release(0)
    servers[1].create_file("a", b"1")
    servers[0].create_file("b", b"2")
    assert drain() == Drained(done=4)
    assert files(servers) == [{"a": b"1"}] * 3
    assert pending_for() == []


def test_nothing_is_pending_if_all_goes_well(storage, servers):
    storage.save("a", ContentFile(b"1"))
    storage.delete("a")
    assert pending_for() == []


def statements(act):
    with CaptureQueriesContext(connection) as queries:
        act()
    return [query["sql"].split()[0] for query in queries if "resto_pending" in query["sql"]]


def test_record_is_asked_once_in_a_save(storage):
    assert statements(lambda: storage.save("a", ContentFile(b"1"))) == ["INSERT", "SELECT", "DELETE"]
    assert storage.exists("a")
    # The name that is taken, and the one that is not.
    assert statements(lambda: storage.save("a", ContentFile(b"1"))) == ["INSERT", "SELECT", "DELETE"] * 2


def test_record_is_asked_once_for_all_names_of_a_drain(storage, servers, clock):
    servers[2].refuse = True
    for number in range(10):
        storage.save(str(number), ContentFile(b"1"))
    servers[2].refuse = False
    clock[0] += 1_000
    assert len(statements(drain)) < 20
    assert files(servers)[2] == files(servers)[0]
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
    pending.open_change("default", storage.hosts, "a", present=True)
    servers[1].create_file("a", b"1")
    assert drain() == Drained()
    clock[0] += 301
    assert drain() == Drained(done=3)
    assert files(servers) == [{"a": b"1"}] * 3
    assert pending_for() == []


def test_killed_save_that_reached_nobody(storage, servers, clock):
    pending.open_change("default", storage.hosts, "a", present=True)
    clock[0] += 301
    assert drain() == Drained(done=3)
    assert files(servers) == [{}] * 3


def test_killed_save_does_not_bring_back_what_a_host_should_have_deleted(storage, servers, clock):
    storage.save("a", ContentFile(b"1"))
    servers[2].refuse = True
    storage.delete("a")
    servers[2].refuse = False
    lease = pending.open_change("default", storage.hosts, "a", present=True)
    lease.overrule("default", "a", present=True)
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
    lease = pending.open_change("default", storage.hosts, "a", present=False)
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


# Reading.

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
    monkeypatch.setattr(pending.Lease, "settle", lambda self, outcomes: None)
    storage.save("a", ContentFile(b"1"))
    assert len(pending_for()) == 3
    assert storage.exists("a") is True
    with storage.open("a") as file:
        assert file.read() == b"1"


def test_host_that_missed_something_is_not_listed(storage, servers, monkeypatch):
    monkeypatch.setattr(random, "sample", lambda population, k: list(population)[:k])
    servers[0].create_file("d/b", b"1")
    servers[0].refuse = True
    storage.save("d/a", ContentFile(b"1"))
    servers[0].refuse = False
    assert storage.listdir("d") == ([], ["a"])
    assert storage.listdir("") == (["d"], [])


def test_listing_is_right_while_another_save_is_under_way(storage, servers):
    storage.save("d/gone", ContentFile(b"1"))
    servers[0].refuse = True
    storage.save("d/a", ContentFile(b"1"))
    storage.save("d/e/f", ContentFile(b"1"))
    storage.delete("d/gone")
    servers[0].refuse = False
    pending.open_change("default", storage.hosts, "d/new", present=True)
    pending.open_change("default", storage.hosts[1:2], "d/other", present=True)
    pending.open_change("default", storage.hosts[2:], "d/another", present=True)
    for _ in range(10):
        assert storage.listdir("d") == (["e"], ["a"])
    assert storage.listdir("") == (["d"], [])


def test_listing_of_a_host_that_has_missed_something(make, servers, monkeypatch):
    """If each has, that of the one that has missed least is made right."""
    storage = make(write_quorum=1)
    for number, names in enumerate(["ab", "cd", "ef"]):
        for index, server in enumerate(servers):
            server.refuse = index == number
        for name in names:
            storage.save(f"d/{name}", ContentFile(b"1"))
            storage.save(f"d/{name}-gone", ContentFile(b"1"))
            storage.delete(f"d/{name}-gone")
        health.forget()
    for server in servers:
        server.refuse = False
    for _ in range(5):
        directories, found = storage.listdir("d")
        assert (directories, sorted(found)) == ([], list("abcdef"))


# Names.


def test_name_can_be_used_again_although_a_host_has_missed_its_deletion(storage, servers, clock):
    """As those do that delete a file and then save it, and do not look at the name that they get."""
    storage.save("a", ContentFile(b"1"))
    servers[0].refuse = True
    storage.delete("a")
    assert storage.exists("a") is False
    assert storage.save("a", ContentFile(b"2")) == "a"
    servers[0].refuse = False
    clock[0] += 10
    with storage.open("a") as file:
        assert file.read() == b"2"
    assert drain() == Drained(done=1)
    assert files(servers) == [{"a": b"2"}] * 3
    assert pending_for() == []


def test_host_that_has_missed_a_deletion_gets_what_is_saved_at_once(storage, servers):
    storage.save("a", ContentFile(b"1"))
    servers[0].refuse = True
    storage.delete("a")
    servers[0].refuse = False
    health.forget()
    assert storage.save("a", ContentFile(b"2")) == "a"
    assert files(servers) == [{"a": b"2"}] * 3
    assert pending_for() == []


@pytest.mark.parametrize("present", [True, False])
def test_name_is_taken_while_a_request_may_be_under_way(storage, servers, clock, present):
    pending.open_change("default", storage.hosts[:1], "a", present=present)
    assert storage.save("a", ContentFile(b"1")) != "a"
    assert pending_for() == [(servers[0].url, "a", present)]


def test_name_of_a_save_that_a_host_has_missed_is_taken(storage, servers):
    servers[0].refuse = True
    storage.save("a", ContentFile(b"1"))
    assert storage.save("a", ContentFile(b"2")) != "a"
    assert [row for row in pending_for() if row[1] == "a"] == [(servers[0].url, "a", True)]


def test_missed_deletion_is_not_forgotten_by_a_save_that_gives_up(storage, servers, clock):
    storage.save("a", ContentFile(b"1"))
    servers[0].refuse = True
    storage.delete("a")
    servers[0].refuse = False

    class BrokenFile(ContentFile):
        def chunks(self, chunk_size=None):
            raise OSError("the disk is broken")

    with pytest.raises(OSError, match="broken"):
        storage.save("a", BrokenFile(b""))
    assert pending_for() == [(servers[0].url, "a", False)]
    clock[0] += 10
    drain()
    assert files(servers) == [{}] * 3


def test_undone_save_leaves_nothing_where_a_deletion_was_missed(make, servers, clock):
    storage = make(fatal_exceptions=False)
    storage.save("a", ContentFile(b"1"))
    servers[0].refuse = True
    storage.delete("a")
    servers[0].refuse = False
    health.forget()
    storage = make(write_quorum="all")
    servers[1].fault_methods, servers[1].refuse_code = {"PUT"}, 507
    with pytest.raises(ReplicationError, match=r"the save was undone\)"):
        storage.save("a", ContentFile(b"2"))
    assert files(servers) == [{}] * 3
    clock[0] += 100
    drain()
    assert files(servers) == [{}] * 3
    assert pending_for() == []


def test_two_saves_at_the_same_moment_take_two_names(storage, servers, monkeypatch):
    """Each has found the name to be free on all hosts, and records itself before it looks whether another one has."""
    names = []
    exists = DistributedStorage.exists

    def meanwhile(self, name):
        found = exists(self, name)
        if not names:
            names.append(None)
            names.append(storages.create_storage(storages.backends["default"]).save("a", ContentFile(b"2")))
        return found

    monkeypatch.setattr(DistributedStorage, "exists", meanwhile)
    names.append(storage.save("a", ContentFile(b"1")))
    assert len(set(names)) == 3
    assert len(servers[0].files) == 2
    assert pending_for() == []


def test_name_that_was_only_looked_at_stays_free(storage):
    """A storage that does not get to save forgets what it has reserved."""

    class BrokenFile(ContentFile):
        def chunks(self, chunk_size=None):
            assert len(pending_for()) == 3
            raise OSError("the disk is broken")

    with pytest.raises(OSError, match="broken"):
        storage.save("a", BrokenFile(b""))
    assert pending_for() == []
    assert storage.get_available_name("a") == "a"
    assert pending_for() == []
    with pytest.raises(SuspiciousFileOperation):
        storage.save("a" * 20, ContentFile(b""), max_length=3)
    assert pending_for() == []


def test_save_over_a_file_is_the_last_word(storage, servers, clock):
    """As a subclass does that returns a name that is taken."""
    storage.save("a", OLD)
    servers[0].refuse = True
    storage.delete("a")
    servers[0].refuse = False
    storage._save("a", NEW)
    clock[0] += 10
    assert drain() == Drained(done=1)
    assert files(servers) == [{"a": b"new"}] * 3
    assert pending_for() == []


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


def test_nothing_is_undone_if_another_save_or_delete_has_followed(make, servers, clock, monkeypatch):
    storage = make()
    servers[0].refuse_code = 507
    original = DistributedStorage._has_failed

    def meanwhile(self, action, outcomes):
        monkeypatch.undo()
        servers[0].heal()
        storage._save("a", NEW)
        return original(self, action, outcomes)

    monkeypatch.setattr(DistributedStorage, "_has_failed", meanwhile)
    with pytest.raises(ReplicationError, match="another save or delete has followed"):
        storage.save("a", OLD)
    assert files(servers) == [{"a": b"new"}] * 3
    clock[0] = pending.clock() + 1_000
    monkeypatch.setattr(pending, "clock", lambda: clock[0])
    drain()
    assert files(servers) == [{"a": b"new"}] * 3
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
    assert not pending.may_still_land(UndecidedError("h", "a", "repair", "who knows"))


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


def copy_while_a_save_is_made(storage, servers, clock, monkeypatch):
    """The copy is of the file that was there before, and arrives last."""
    storage.save("a", OLD)
    lease = pending.open_change("default", storage.hosts[2:], "a", present=True)
    lease.release(0)
    original = WebDAVTransport.create

    def create(self, host, name, content):
        monkeypatch.setattr(WebDAVTransport, "create", original)
        drain()
        return original(self, host, name, content)

    monkeypatch.setattr(WebDAVTransport, "create", create)
    storage._save("a", NEW)


def save_that_is_killed_after_a_deletion_was_missed(storage, servers, clock, monkeypatch):
    storage.save("a", OLD)
    servers[0].refuse = True
    storage.delete("a")
    servers[0].refuse = False
    pending.open_change("default", storage.hosts, "a", present=True).overrule("default", "a", present=True)


SCENES = {
    delete_while_a_copy_is_made: {},
    copy_while_a_save_is_made: {"a": b"new"},
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
    patch.setattr(pending.Lease, "overrule", lambda self, storage, name, present: None)


def clear_what_another_change_has_followed(patch):
    patch.setattr(pending.Lease, "expect", lambda self, latest: None)


def ask_those_that_have_missed_more(patch):
    def truth_of(hosts, rows):
        return replace(original(hosts, rows), hosts=tuple(hosts)) if rows else original(hosts, rows)

    original = distributed.truth_of
    patch.setattr(distributed, "truth_of", truth_of)


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
