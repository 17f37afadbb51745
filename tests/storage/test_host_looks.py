"""Looks at hosts: what each one is, and what it and the record are told of that."""

import threading

import pytest

from kit.recognized import identity, problems, save, states
from resto.exceptions import ReplicationError, UnexpectedStatusCode
from resto.models import Host, Pending
from resto.names import HOST_IDENTITY, TEMPORARY_PREFIX
from resto.record import leases
from resto.repair.drain import drain
from resto.repair.sync import SyncOptions, synchronize
from resto.storage.host_looks import read_identities
from resto.transports.webdav import WebDAVTransport


pytestmark = pytest.mark.django_db


@pytest.fixture
def servers(two_servers):
    return two_servers


@pytest.fixture
def storage(begin):
    return begin()


def test_status_gives_no_identity(storage, servers):
    save(storage, "a")
    Host.objects.exclude(host="").delete()
    servers[0].delete_file(HOST_IDENTITY)
    assert problems() == ["", ""]
    assert identity(servers[0], storage) is None


def test_making_of_an_identity_is_completed_after_a_kill(storage, begin, servers):
    save(storage, "a")
    servers[0].delete_file(HOST_IDENTITY)
    Host.objects.filter(host=servers[0].url).update(state="making")
    storage = begin()
    save(storage, "b")
    assert identity(servers[0], storage).id == Host.objects.get(host=servers[0].url).identity
    assert states() == dict.fromkeys([server.url for server in servers], "")


class Reserved(WebDAVTransport):
    """A server that takes no file whose name begins with a dot."""

    def create(self, host, name, content):
        if name.startswith("."):
            raise UnexpectedStatusCode(host, name, "upload", 403, "forbidden")
        return super().create(host, name, content)


def test_host_that_takes_no_such_file_is_used_as_before(begin, servers):
    storage = begin(transport=Reserved)
    save(storage, "a")
    assert servers[0].files == {"a": b"a"}
    assert [one.remark for one in storage.recognition.examine(begins=True).values()] == ["forbidden"] * 2
    assert problems() == ["", ""]
    assert states() == {}
    assert Pending.objects.count() == 0


def test_one_server_under_two_names(begin, servers, settings):
    host = servers[0].url
    storage = begin(hosts=[host, host.replace("127.0.0.1", "localhost")])
    save(storage, "a")
    assert all("are the same server" in problem for problem in problems())
    assert drain().refused_hosts == ()


def test_host_that_is_the_master_copy(begin, media_root, resto_server_factory):
    media_root.mkdir()
    server = resto_server_factory(root=media_root)
    (media_root / "old").write_bytes(b"1")
    storage = begin(hosts=[server.url], fatal_exceptions=True)
    with pytest.raises(ReplicationError, match="which is the master copy itself"):
        save(storage, "a")
    assert "the master copy itself" in problems()[0]
    report = synchronize(storage, SyncOptions(delete=True, force=True), lambda event: None)
    assert not report.agrees
    assert (media_root / "old").exists()
    assert not any(path.name.startswith(TEMPORARY_PREFIX) for path in media_root.iterdir())
    assert states() == {}


def test_master_copy_is_not_taken_for_a_host_if_it_takes_no_more_files(begin, media_root, resto_server_factory):
    media_root.mkdir()
    server = resto_server_factory(root=media_root)
    storage = begin(hosts=[server.url])
    save(storage, "a")
    assert identity(server, storage) is not None
    server.readonly = True
    assert [one.kind for one in storage.recognition.examine().values()] == ["served"]


def test_copy_of_a_hosts_files_is_no_host(storage, begin, media_root, servers):
    save(storage, "a")
    (media_root / HOST_IDENTITY).write_bytes(servers[0].files[HOST_IDENTITY])
    save(begin(), "b")
    assert set(servers[0].files) == {HOST_IDENTITY, "a", "b"}
    assert problems() == ["", ""]


def test_new_host_beside_others_that_have_files_is_to_be_filled(begin, servers, resto_server_factory):
    save(begin("Distributed"), "a")
    third = resto_server_factory()
    save(begin("Distributed", [*[server.url for server in servers], third.url]), "b")
    assert states() == {servers[0].url: "", servers[1].url: "", third.url: "new"}


def test_empty_host_of_a_site_whose_hosts_are_not_known_yet_is_to_be_filled(begin, servers):
    servers[1].create_file("d/a", b"1")
    save(begin("Distributed", write_quorum=1), "b")
    assert states() == {servers[0].url: "new", servers[1].url: ""}


def kinds(storage, servers):
    found = storage.recognition.examine(begins=True)
    return [found[server.url].kind for server in servers]


def test_host_that_did_not_take_its_identity_gets_one_when_it_does(storage, servers):
    servers[0].fault_methods, servers[0].refuse_code = {"PUT"}, 507
    save(storage, "a")
    assert kinds(storage, servers) == ["unread", "sound"]
    assert states() == {servers[1].url: ""}  # else it would be taken for one that has lost its disk
    servers[0].heal()
    assert kinds(storage, servers) == ["sound", "sound"]
    assert identity(servers[0], storage).id == Host.objects.get(host=servers[0].url).identity


def test_host_that_answers_something_else_is_neither_used_up_nor_blamed(storage, servers):
    save(storage, "a")
    servers[0].create_file(HOST_IDENTITY, b"<!doctype html>")
    assert kinds(storage, servers) == ["unread", "sound"]
    assert servers[0].get_file(HOST_IDENTITY) == b"<!doctype html>"
    assert problems() == ["", ""]
    assert states()[servers[0].url] == ""


def test_record_is_not_told_at_each_look_that_a_host_is_what_it_was(storage, monkeypatch):
    clock = [1_000_000.0]
    monkeypatch.setattr(leases, "clock", lambda: clock[0])
    save(storage, "a")

    def looked_after(seconds):
        clock[0] += seconds
        storage.recognition.examine()
        return set(Host.objects.exclude(host="").values_list("looked", flat=True))

    assert [looked_after(seconds) for seconds in (0, 59, 1)] == [{1_000_000.0}, {1_000_000.0}, {1_000_060.0}]


def test_hosts_are_asked_at_the_same_time_and_nothing_is_logged(begin, servers, resto_server_factory, caplog):
    down = resto_server_factory()
    down.refuse = True
    barrier = threading.Barrier(2, timeout=60)
    for server in servers:
        server.on_request = lambda method, path: barrier.wait()
    storage = begin(hosts=[*[server.url for server in servers], down.url])
    outcomes = read_identities(storage, storage.hosts)
    assert [(outcome.ok, outcome.value) for outcome in outcomes] == [(True, None), (True, None), (False, None)]
    assert caplog.records == []
