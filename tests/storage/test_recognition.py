"""Hosts are recognized before something is sent to them, or removed."""

import os

import pytest

from kit.recognized import identity, problems, save, states
from resto.exceptions import ConfigurationError, ReplicationError
from resto.models import Host, Pending
from resto.names import HOST_IDENTITY
from resto.repair.drain import drain
from resto.repair.sync import SyncOptions, synchronize
from resto.storage import own_hosts, recognition
from resto.storage.adopting import adopt


pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("identities_apply")]


@pytest.fixture
def clock(monkeypatch):
    """The clock by which hosts and the record are looked at again."""
    clock = [1_000.0]
    for module in (recognition, own_hosts):
        monkeypatch.setattr(module, "monotonic", lambda: clock[0])
    return clock


@pytest.fixture
def servers(two_servers):
    return two_servers


@pytest.fixture
def storage(begin):
    return begin()


def found(storage):
    return {one.kind for one in storage.recognition.examine().values()}


# Hosts get an identity.


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kind", ["Hybrid", "Async", "Distributed"])
def test_first_save_gives_each_host_an_identity(begin, servers, kind):
    storage = begin(kind, executor="inline")
    save(storage, "a")
    first, second = (identity(server, storage) for server in servers)
    assert first.id != second.id
    assert first.owner == second.owner
    known = {host.host: host.identity for host in Host.objects.exclude(host="")}
    assert known == {servers[0].url: first.id, servers[1].url: second.id}
    assert problems() == ["", ""]


def test_hosts_are_looked_at_once_in_a_process(storage, servers, clock):
    save(storage, "a")
    for server in servers:
        server.requests.clear()
    save(storage, "b")
    clock[0] += recognition.BELIEVED_FOR + 1
    save(storage, "c")
    assert not any(HOST_IDENTITY in request.path for server in servers for request in server.requests)


def test_forked_child_looks_again(storage, servers):
    save(storage, "a")
    assert recognition._verdicts
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.write(writer, str(len(recognition._verdicts)).encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reader, 10) == b"0"
    os.close(reader)
    os.close(writer)


def test_new_process_knows_the_hosts_again(storage, begin, servers):
    save(storage, "a")
    before = [identity(server, storage) for server in servers]
    save(begin(), "b")
    assert [identity(server, storage) for server in servers] == before
    assert set(servers[1].files) == {HOST_IDENTITY, "a", "b"}


def test_comparison_says_nothing_of_identities(storage, servers):
    save(storage, "a")
    events = []
    report = synchronize(storage, SyncOptions(delete=True), events.append)
    assert (report.agrees, events) == (True, [])
    assert HOST_IDENTITY in servers[0].files


# What is wrong with hosts.


def test_host_that_has_lost_its_disk(storage, begin, servers):
    save(storage, "a")
    for name in list(servers[0].files):
        servers[0].delete_file(name)
    storage = begin()
    save(storage, "b")
    assert states()[servers[0].url] == "gone"
    assert [(one.host, one.name) for one in Pending.objects.all()] == [(servers[0].url, "b")]
    Pending.objects.update(due=0, quiet_until=0)
    refused = dict(drain().refused_hosts)
    assert [*refused] == [("default", servers[0].url)]
    assert "resto_adopt --host" in refused["default", servers[0].url]
    assert Pending.objects.count() == 1
    assert problems()[0] == refused["default", servers[0].url]
    report = synchronize(storage, SyncOptions(), lambda event: None)
    assert not report.agrees
    assert "a" not in servers[0].files


def test_host_that_has_its_disk_again_gets_what_it_has_missed(storage, begin, servers):
    save(storage, "a")
    disk = dict(servers[0].files)
    for name in disk:
        servers[0].delete_file(name)
    save(begin(), "b")
    servers[0].delete_file("b")
    for name, content in disk.items():
        servers[0].create_file(name, content)
    begin()
    assert drain().done == 1
    assert servers[0].files == {**servers[1].files, HOST_IDENTITY: disk[HOST_IDENTITY]}
    assert states()[servers[0].url] == ""
    assert Pending.objects.count() == 0


def test_other_processes_hear_of_it(storage, servers, clock):
    save(storage, "a")
    servers[0].delete_file(HOST_IDENTITY)
    Host.objects.filter(host=servers[0].url).update(state="gone")
    save(storage, "b")
    assert Pending.objects.count() == 0
    clock[0] += recognition.BELIEVED_FOR + 1
    save(storage, "c")
    assert [one.name for one in Pending.objects.all()] == ["c"]


def test_host_of_another_site(storage, begin, servers, settings, tmp_path):
    save(storage, "a")
    Host.objects.all().delete()
    settings.MEDIA_ROOT = str(tmp_path / "staging")
    staging = begin(fatal_exceptions=True)
    (tmp_path / "staging").mkdir()
    (tmp_path / "staging" / "of-staging").write_bytes(b"1")
    with pytest.raises(ReplicationError, match="belongs to something else"):
        save(staging, "b")
    Pending.objects.update(due=0, quiet_until=0)
    assert len(drain().refused_hosts) == 2
    report = synchronize(staging, SyncOptions(delete=True, force=True), lambda event: None)
    assert all("nothing is sent or removed" in host.problems[0] for host in report.hosts)
    assert {*servers[0].files} == {HOST_IDENTITY, "a"}
    assert all("another site" in problem for problem in problems())


def test_host_that_was_swapped(storage, begin, servers):
    save(storage, "a")
    begin(hosts=[servers[1].url, servers[0].url])
    one, other = (dict(server.files) for server in servers)
    servers[0].create_file(HOST_IDENTITY, other[HOST_IDENTITY])
    storage = begin(hosts=[servers[0].url])
    assert found(storage) == {"swapped"}
    assert states()[servers[0].url] == "gone"
    servers[0].create_file(HOST_IDENTITY, one[HOST_IDENTITY])
    assert found(storage) == {"sound"}
    assert states()[servers[0].url] == ""


@pytest.mark.parametrize("kind", ["Hybrid", "Distributed"])
def test_log_says_once_a_minute_that_a_host_is_another_one(begin, clock, tmp_path, caplog, kind):
    directories = [tmp_path / "one", tmp_path / "other"]
    for directory in directories:
        directory.mkdir()
    hosts = [directory.as_uri() for directory in directories]
    save(begin(kind, hosts, transport="directory"), "a")
    one, other = (directory / HOST_IDENTITY for directory in directories)
    one.write_bytes(other.read_bytes())
    storage = begin(kind, hosts, transport="directory")
    for name in ("b", "c"):
        save(storage, name)
    [line] = caplog.messages
    assert line.startswith(
        f"Whatever is sent there stays pending: {hosts[0]} is another host of this site than it was "
    )
    clock[0] += recognition.BELIEVED_FOR + 1
    storage.delete("b")
    assert len(caplog.messages) == 2
    assert {(one.host, one.name) for one in Pending.objects.all()} == {(hosts[0], "b"), (hosts[0], "c")}


def test_host_that_is_down_is_asked_once(storage, begin, servers):
    save(storage, "a")
    storage = begin()
    servers[0].refuse = True
    save(storage, "b")
    (pending,) = Pending.objects.all()
    assert (pending.host, pending.name) == (servers[0].url, "b")
    assert "connection refused" in pending.error


# Another master copy takes the place of the one before.


def test_hosts_follow_a_master_copy_that_is_adopted(storage, begin, servers, clock):
    save(storage, "a")
    before = identity(servers[0], storage)
    servers[1].refuse = True
    former = adopt(storage.location, storage.belief)
    assert {one.kind for one in storage.recognition.examine([servers[0].url]).values()} == {"foreign"}
    storage.recognition.follow(former)
    after = identity(servers[0], storage)
    assert after.id == before.id
    assert after.owner != before.owner
    servers[1].refuse = False
    assert problems() == ["", ""]
    clock[0] += 100
    save(begin(), "b")
    assert identity(servers[1], storage).owner == after.owner


def test_hosts_follow_although_the_database_was_thrown_away(storage, begin, servers):
    save(storage, "a")
    Host.objects.all().delete()
    storage = begin()
    with pytest.raises(ConfigurationError, match="does not know"):
        save(storage, "b")
    storage.recognition.follow(adopt(storage.location, storage.belief))
    save(storage, "b")
    assert set(servers[0].files) == {HOST_IDENTITY, "a", "b"}
    assert problems() == ["", ""]


def test_only_what_is_a_host_of_it_follows(storage, servers):
    save(storage, "a")
    adopt(storage.location, storage.belief)
    storage.recognition.follow(["something else", ""])
    assert found(storage) == {"foreign"}


# Without a master copy.


def test_lost_host_without_a_master_copy_stays_behind(begin, servers):
    save(begin("Distributed"), "a")
    for name in list(servers[0].files):
        servers[0].delete_file(name)
    storage = begin("Distributed")
    save(storage, "b")
    storage.delete("a")
    assert sorted((one.host, one.name) for one in Pending.objects.all()) == [
        (servers[0].url, "a"),
        (servers[0].url, "b"),
    ]
    assert storage.truth("b").hosts == (servers[1].url,)


def test_lost_host_does_not_count_for_the_quorum(begin, servers):
    """What it has got would be hidden again once its disk is mounted."""
    save(begin("Distributed", write_quorum=1), "a")
    servers[0].delete_file(HOST_IDENTITY)
    servers[1].fault_methods, servers[1].refuse_code = {"PUT"}, 500
    storage = begin("Distributed", write_quorum=1)
    with pytest.raises(ReplicationError, match="the save was undone"):
        save(storage, "b")
    servers[1].heal()
    assert save(storage, "c") == "c"
    assert [(one.host, one.name) for one in Pending.objects.filter(name="c")] == [(servers[0].url, "c")]


def test_lost_hosts_count_if_no_other_is_left(begin, servers):
    save(begin("Distributed"), "a")
    for server in servers:
        server.delete_file(HOST_IDENTITY)
    servers[1].fault_methods, servers[1].refuse_code = {"PUT"}, 500
    assert save(begin("Distributed", write_quorum=1), "b") == "b"


def test_first_save_does_not_depend_on_a_host_that_is_down(begin, servers):
    servers[1].refuse = True
    save(begin("Distributed", write_quorum=1), "a")
    assert states() == {servers[0].url: ""}
