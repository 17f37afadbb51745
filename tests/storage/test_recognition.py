"""Hosts are recognized before something is sent to them, or removed."""

import os

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages

from resto.exceptions import ConfigurationError, ReplicationError, UnexpectedStatusCode
from resto.models import Host, Pending
from resto.names import HOST_IDENTITY
from resto.repair.drain import drain
from resto.repair.status import host_statuses
from resto.repair.sync import SyncOptions, synchronize
from resto.storage import recognition
from resto.storage.host_identity import read_host_identity
from resto.transports.webdav import WebDAVTransport


pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("identities_apply")]


@pytest.fixture
def clock(monkeypatch):
    """The clock by which hosts and the record are looked at again."""
    clock = [1_000.0]
    monkeypatch.setattr(recognition, "monotonic", lambda: clock[0])
    return clock


@pytest.fixture
def servers(resto_server_factory):
    return [resto_server_factory() for _ in range(2)]


@pytest.fixture
def make(settings, media_root, servers):
    """Return a storage with these hosts, as a process that has just started has it."""

    def make(kind="Hybrid", hosts=None, **options):
        settings.RESTO_MEDIA_HOSTS = [server.url for server in servers] if hosts is None else hosts
        options = {"transport": "webdav", "executor": "thread", "fatal_exceptions": False} | options
        settings.STORAGES = {"default": {"BACKEND": f"resto.storage.{kind}Storage", "OPTIONS": options}}
        recognition._verdicts.clear()
        return storages["default"]

    return make


@pytest.fixture
def storage(make):
    return make()


def save(storage, name):
    return storage.save(name, ContentFile(name.encode()))


def identity(server, storage):
    return read_host_identity(storage.transport_for(server.url), server.url)


def states():
    return {host.host: host.state for host in Host.objects.exclude(host="")}


def problems():
    return [status.identity_problem for status in host_statuses()]


def found(storage):
    return {one.kind for one in storage.recognition.examine().values()}


# Hosts get an identity.


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kind", ["Hybrid", "Async", "Distributed"])
def test_first_save_gives_each_host_an_identity(make, servers, kind):
    storage = make(kind, executor="inline")
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


def test_new_process_knows_the_hosts_again(storage, make, servers):
    save(storage, "a")
    before = [identity(server, storage) for server in servers]
    save(make(), "b")
    assert [identity(server, storage) for server in servers] == before
    assert set(servers[1].files) == {HOST_IDENTITY, "a", "b"}


def test_comparison_says_nothing_of_identities(storage, servers):
    save(storage, "a")
    events = []
    report = synchronize(storage, SyncOptions(delete=True), events.append)
    assert (report.agrees, events) == (True, [])
    assert HOST_IDENTITY in servers[0].files


def test_status_gives_no_identity(storage, servers):
    save(storage, "a")
    Host.objects.exclude(host="").delete()
    servers[0].delete_file(HOST_IDENTITY)
    assert problems() == ["", ""]
    assert identity(servers[0], storage) is None


def test_making_of_an_identity_is_completed_after_a_kill(storage, make, servers):
    save(storage, "a")
    servers[0].delete_file(HOST_IDENTITY)
    Host.objects.filter(host=servers[0].url).update(state="making")
    storage = make()
    save(storage, "b")
    assert identity(servers[0], storage).id == Host.objects.get(host=servers[0].url).identity
    assert states() == dict.fromkeys([server.url for server in servers], "")


class Reserved(WebDAVTransport):
    """A server that takes no file whose name begins with a dot."""

    def create(self, host, name, content):
        if name.startswith("."):
            raise UnexpectedStatusCode(host, name, "upload", 403, "forbidden")
        return super().create(host, name, content)


def test_host_that_takes_no_such_file_is_used_as_before(make, servers):
    storage = make(transport=Reserved)
    save(storage, "a")
    assert servers[0].files == {"a": b"a"}
    assert [one.remark for one in storage.recognition.examine(begins=True).values()] == ["forbidden"] * 2
    assert problems() == ["", ""]
    assert states() == {}
    assert Pending.objects.count() == 0


# What is wrong with hosts.


def test_host_that_has_lost_its_disk(storage, make, servers):
    save(storage, "a")
    for name in list(servers[0].files):
        servers[0].delete_file(name)
    storage = make()
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


def test_host_that_has_its_disk_again_gets_what_it_has_missed(storage, make, servers):
    save(storage, "a")
    disk = dict(servers[0].files)
    for name in disk:
        servers[0].delete_file(name)
    save(make(), "b")
    servers[0].delete_file("b")
    for name, content in disk.items():
        servers[0].create_file(name, content)
    make()
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


def test_host_of_another_site(storage, make, servers, settings, tmp_path):
    save(storage, "a")
    Host.objects.all().delete()
    settings.MEDIA_ROOT = str(tmp_path / "staging")
    staging = make(fatal_exceptions=True)
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


def test_storages_of_one_site_may_share_a_host(storage, settings, servers, tmp_path):
    options = {**settings.STORAGES["default"]["OPTIONS"], "location": str(tmp_path / "other")}
    settings.STORAGES = {
        "default": settings.STORAGES["default"],
        "other": {"BACKEND": "resto.storage.HybridStorage", "OPTIONS": options},
        "copied": {"BACKEND": "resto.storage.DistributedStorage", "OPTIONS": {"transport": "webdav"}},
    }
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "there").write_bytes(b"1")
    for alias in settings.STORAGES:
        save(storages[alias], f"{alias}/a")
    assert problems() == [""] * 6
    assert Pending.objects.count() == 0
    storages["default"].recognition.adopt(servers[0].url)
    assert problems() == [""] * 6
    former = storages["default"].belief.adopt()
    storages["default"].recognition.follow(former)
    assert problems() == [""] * 6


def test_host_that_was_swapped(storage, make, servers):
    save(storage, "a")
    make(hosts=[servers[1].url, servers[0].url])
    one, other = (dict(server.files) for server in servers)
    servers[0].create_file(HOST_IDENTITY, other[HOST_IDENTITY])
    storage = make(hosts=[servers[0].url])
    assert found(storage) == {"swapped"}
    assert states()[servers[0].url] == "gone"
    servers[0].create_file(HOST_IDENTITY, one[HOST_IDENTITY])
    assert found(storage) == {"sound"}
    assert states()[servers[0].url] == ""


def test_one_server_under_two_names(make, servers, settings):
    host = servers[0].url
    storage = make(hosts=[host, host.replace("127.0.0.1", "localhost")])
    save(storage, "a")
    assert all("are the same server" in problem for problem in problems())
    assert drain().refused_hosts == ()


def test_host_that_is_the_master_copy(make, media_root, resto_server_factory):
    media_root.mkdir()
    server = resto_server_factory(root=media_root)
    (media_root / "old").write_bytes(b"1")
    storage = make(hosts=[server.url], fatal_exceptions=True)
    with pytest.raises(ReplicationError, match="which is the master copy itself"):
        save(storage, "a")
    assert "the master copy itself" in problems()[0]
    report = synchronize(storage, SyncOptions(delete=True, force=True), lambda event: None)
    assert not report.agrees
    assert (media_root / "old").exists()
    assert states() == {}


def test_copy_of_a_hosts_files_is_no_host(storage, make, media_root, servers):
    save(storage, "a")
    (media_root / HOST_IDENTITY).write_bytes(servers[0].files[HOST_IDENTITY])
    save(make(), "b")
    assert set(servers[0].files) == {HOST_IDENTITY, "a", "b"}
    assert problems() == ["", ""]


def test_host_that_is_down_is_asked_once(storage, make, servers):
    save(storage, "a")
    storage = make()
    servers[0].refuse = True
    save(storage, "b")
    (pending,) = Pending.objects.all()
    assert (pending.host, pending.name) == (servers[0].url, "b")
    assert "connection refused" in pending.error


# Another master copy takes the place of the one before.


def test_hosts_follow_a_master_copy_that_is_adopted(storage, make, servers, clock):
    save(storage, "a")
    before = identity(servers[0], storage)
    servers[1].refuse = True
    former = storage.belief.adopt()
    assert {one.kind for one in storage.recognition.examine([servers[0].url]).values()} == {"foreign"}
    storage.recognition.follow(former)
    after = identity(servers[0], storage)
    assert after.id == before.id
    assert after.owner != before.owner
    servers[1].refuse = False
    assert problems() == ["", ""]
    clock[0] += 100
    save(make(), "b")
    assert identity(servers[1], storage).owner == after.owner


def test_hosts_follow_although_the_database_was_thrown_away(storage, make, servers):
    save(storage, "a")
    Host.objects.all().delete()
    storage = make()
    with pytest.raises(ConfigurationError, match="does not know"):
        save(storage, "b")
    storage.recognition.follow(storage.belief.adopt())
    save(storage, "b")
    assert set(servers[0].files) == {HOST_IDENTITY, "a", "b"}
    assert problems() == ["", ""]


def test_only_what_is_a_host_of_it_follows(storage, servers):
    save(storage, "a")
    storage.belief.adopt()
    storage.recognition.follow(["something else", ""])
    assert found(storage) == {"foreign"}


# Without a master copy.


def test_new_host_beside_others_that_have_files_is_to_be_filled(make, servers, resto_server_factory):
    save(make("Distributed"), "a")
    third = resto_server_factory()
    save(make("Distributed", [*[server.url for server in servers], third.url]), "b")
    assert states() == {servers[0].url: "", servers[1].url: "", third.url: "new"}


def test_lost_host_without_a_master_copy_stays_behind(make, servers):
    save(make("Distributed"), "a")
    for name in list(servers[0].files):
        servers[0].delete_file(name)
    storage = make("Distributed")
    save(storage, "b")
    storage.delete("a")
    assert sorted((one.host, one.name) for one in Pending.objects.all()) == [
        (servers[0].url, "a"),
        (servers[0].url, "b"),
    ]
    assert storage.truth("b").hosts == (servers[1].url,)


def test_lost_host_does_not_count_for_the_quorum(make, servers):
    """What it has got would be hidden again once its disk is mounted."""
    save(make("Distributed", write_quorum=1), "a")
    servers[0].delete_file(HOST_IDENTITY)
    servers[1].fault_methods, servers[1].refuse_code = {"PUT"}, 500
    storage = make("Distributed", write_quorum=1)
    with pytest.raises(ReplicationError, match="the save was undone"):
        save(storage, "b")
    servers[1].heal()
    assert save(storage, "c") == "c"
    assert [(one.host, one.name) for one in Pending.objects.filter(name="c")] == [(servers[0].url, "c")]


def test_lost_hosts_count_if_no_other_is_left(make, servers):
    save(make("Distributed"), "a")
    for server in servers:
        server.delete_file(HOST_IDENTITY)
    servers[1].fault_methods, servers[1].refuse_code = {"PUT"}, 500
    assert save(make("Distributed", write_quorum=1), "b") == "b"


def test_empty_host_of_a_site_whose_hosts_are_not_known_yet_is_to_be_filled(make, servers):
    servers[1].create_file("d/a", b"1")
    save(make("Distributed", write_quorum=1), "b")
    assert states() == {servers[0].url: "new", servers[1].url: ""}


def test_first_save_does_not_depend_on_a_host_that_is_down(make, servers):
    servers[1].refuse = True
    save(make("Distributed", write_quorum=1), "a")
    assert states() == {servers[0].url: ""}
