"""Hosts of different kinds in one storage: servers, directories, and storages of Django."""

import platform
from datetime import UTC, datetime, timedelta

import pytest
from django.core.files.storage import storages

from kit.checking import run
from kit.recognized import save, states
from resto import health
from resto.exceptions import ConfigurationError, ReplicationError
from resto.models import Host, Pending
from resto.names import HOST_IDENTITY
from resto.repair.drain import drain
from resto.repair.probe import probe_hosts
from resto.repair.status import host_statuses
from resto.repair.sync import SyncOptions, synchronize
from resto.storage import DistributedStorage, HybridStorage, recognition
from resto.transports.directory import DirectoryTransport
from resto.transports.http import HttpTransport
from resto.transports.webdav import WebDAVTransport
from resto_example_plugins.storage import StorageTransport


pytestmark = pytest.mark.django_db


@pytest.fixture
def directory(tmp_path):
    """A directory that is to be a host."""
    path = tmp_path / "nas"
    path.mkdir()
    return path


@pytest.fixture
def server(resto_server_factory):
    return resto_server_factory()


@pytest.fixture
def begin(settings, media_root, server, directory, identities_apply):
    """A function: kind and options of a storage with a server, a directory and a bucket for hosts -> it, as after a start."""

    def begin(kind="Hybrid", **options):
        hosts = [
            server.url,
            {"url": directory.as_uri(), "transport": "directory", "transport_options": {"fsync": True}},
            {"url": "bucket", "transport": StorageTransport},
        ]
        options = {"hosts": hosts, "transport": "webdav", "fatal_exceptions": False} | options
        settings.STORAGES = {
            "default": {"BACKEND": f"resto.storage.{kind}Storage", "OPTIONS": options},
            "bucket": {"BACKEND": "django.core.files.storage.InMemoryStorage"},
        }
        recognition._verdicts.clear()
        return storages["default"]

    return begin


def contents(storage, name):
    """What each host has of a name; None where it has nothing."""
    found = []
    for host in storage.hosts:
        transport = storage.transport_for(host)
        found.append(transport.content(host, name) if transport.exists(host, name) else None)
    return found


# Options.


def test_host_has_a_transport_of_its_own(begin):
    storage = begin(timeout=7, transport_options={"publish": "move"})
    kinds = [type(storage.transport_for(host)) for host in storage.hosts]
    assert kinds == [WebDAVTransport, DirectoryTransport, StorageTransport]
    assert {storage.transport_for(host).timeout for host in storage.hosts} == {7}
    assert storage.problems() == []
    assert storage.transport_for(storage.hosts[0]) is storage.transport


def test_options_of_a_transport_are_none_of_another_one():
    one = {"url": "one", "transport": "http", "max_listing": 7}
    other = {"url": "other", "transport": "webdav", "transport_options": {"publish": "move"}}
    storage = DistributedStorage([one, other, "third"], "/media/", transport_options={"max_download": 9})
    assert [type(storage.transport_for(host)) for host in storage.hosts] == [
        HttpTransport,
        WebDAVTransport,
        HttpTransport,
    ]
    assert storage.problems() == []
    with pytest.raises(ConfigurationError, match=r"host 'other': wrong transport_options: .*publish"):
        DistributedStorage([{"url": "other", "transport": "http", "publish": "move"}], "/media/").transport_for("other")


@pytest.mark.parametrize(
    ("host", "problem"),
    [
        ({"url": "one", "transport": "missing"}, "no transport named 'missing'"),
        ({"url": "one", "transport_options": []}, "host 'one': transport_options must be a mapping, not list"),
        ({"url": "one", "transport": "directory"}, "needs a URL that starts with file:///"),
        ("file:///mnt/nas/", "it is a directory, and no server"),
    ],
)
def test_wrong_options_of_a_host_are_told(host, problem):
    [found] = DistributedStorage([host], "/media/").problems()
    assert problem in str(found)


def test_one_directory_is_one_host():
    hosts = [{"url": url, "transport": "directory"} for url in ("file:///mnt/nas", "file:///mnt//nas/")]
    [found] = DistributedStorage(hosts, "/media/").problems()
    assert found.code == "E004"


@pytest.mark.parametrize("place", ["", "mirror/", "../"])
def test_host_is_apart_from_the_master_copy(media_root, place):
    location = media_root / "media" / "files"
    host = {"url": f"{location.as_uri()}/{place}".replace("files/../", ""), "transport": "directory"}
    [found] = HybridStorage([host], "/media/", location=str(location)).problems()
    assert "lie in each other, or are the same" in str(found)


@pytest.mark.parametrize("place", ["", "..", "d"])
def test_host_is_apart_from_a_master_copy_that_is_a_link(media_root, place):
    location, link = media_root / "releases" / "files", media_root / "current"
    (location / "d").mkdir(parents=True)
    link.symlink_to(location)
    host = {"url": (location / place).resolve().as_uri(), "transport": "directory"}
    [found] = HybridStorage([host], "/media/", location=str(link)).problems()
    assert "lie in each other, or are the same" in str(found)


@pytest.mark.parametrize("place", ["", "..", "d"])
@pytest.mark.parametrize("transport", ["directory", "storage"])
def test_link_to_the_master_copy_is_no_host(settings, tmp_path, identities_apply, place, transport):
    location, link = tmp_path / "around" / "files", tmp_path / "link"
    (location / "d").mkdir(parents=True)
    link.symlink_to(location / place)
    (location / "d" / "old").write_bytes(b"1")
    host = {
        "directory": {"url": link.as_uri(), "transport": "directory"},
        "storage": {"url": "second", "transport": StorageTransport},
    }[transport]
    settings.STORAGES = {
        "default": {
            "BACKEND": "resto.storage.HybridStorage",
            "OPTIONS": {"hosts": [host], "location": str(location), "fatal_exceptions": True},
        },
        "second": {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": str(link)}},
    }
    recognition._verdicts.clear()
    storage = storages["default"]
    assert storage.problems() == []
    with pytest.raises(ReplicationError, match="lie in each other, or are the same"):
        save(storage, "a")
    [finding] = storage.recognition.examine().values()
    assert finding.is_refused
    assert not synchronize(storage, SyncOptions(delete=True, force=True), lambda event: None).agrees
    assert (location / "d" / "old").exists()
    assert [*tmp_path.rglob(HOST_IDENTITY)] == []


def test_empty_file_does_not_make_a_directory_the_host_that_is_known(begin, directory):
    """As where it is not mounted, and somebody makes the file there."""
    storage = begin()
    save(storage, "a")
    known = (directory / HOST_IDENTITY).read_bytes()
    (directory / HOST_IDENTITY).write_bytes(b"")
    (directory / "old").write_bytes(b"1")
    recognition._verdicts.clear()
    save(storage, "b")
    assert not (directory / "b").exists()
    [problem] = [status.identity_problem for status in host_statuses() if status.identity_problem]
    assert "it is not mounted, or has lost its files" in problem
    assert not synchronize(storage, SyncOptions(delete=True, force=True), lambda event: None).agrees
    assert (directory / "old").exists()
    (directory / HOST_IDENTITY).write_bytes(known)
    Pending.objects.update(due=0)
    drain()
    assert (directory / "b").read_bytes() == b"b"
    (directory / HOST_IDENTITY).write_bytes(b"")
    storage.recognition.adopt(directory.as_uri())
    assert storage.recognition.examine([directory.as_uri()])[directory.as_uri()].kind == "sound"


# What works over all of them.


@pytest.mark.parametrize("kind", ["Hybrid", "Distributed"])
def test_every_host_gets_every_file(begin, kind, directory):
    storage = begin(kind)
    name = save(storage, "d/a")
    assert contents(storage, name) == [b"d/a"] * 3
    with storage.open(name) as file:
        assert file.read() == b"d/a"
    assert storage.size(name) == 3
    assert storage.listdir("d") == ([], ["a"])
    assert abs(storage.get_modified_time(name) - datetime.now(UTC)) < timedelta(minutes=1)
    storage.delete(name)
    assert contents(storage, name) == [None] * 3
    assert states() == dict.fromkeys(storage.hosts, "")
    assert (directory / HOST_IDENTITY).is_file()
    assert Pending.objects.count() == 0


@pytest.mark.parametrize("kind", ["Hybrid", "Distributed"])
def test_host_that_was_down_is_drained_whatever_it_is(begin, kind, directory, server):
    storage = begin(kind)
    old = save(storage, "old")
    away = directory.rename(directory.with_name("away"))
    directory.mkdir()  # it is not mounted
    server.override_code = 503
    recognition._verdicts.clear()
    new = save(storage, "new")
    storage.delete(old)
    assert [*directory.iterdir()] == []
    assert {row.host for row in Pending.objects.all()} == {server.url, directory.as_uri()}
    [status] = [one for one in host_statuses() if one.host == directory.as_uri()]
    assert "it is not mounted, or has lost its files" in status.problem
    directory.rmdir()
    away.rename(directory)
    server.override_code = None
    health.forget()
    recognition._verdicts.clear()
    Pending.objects.update(due=0, quiet_until=0)
    report = drain()
    assert (contents(storage, new), contents(storage, old)) == ([b"new"] * 3, [None] * 3), report
    assert Pending.objects.count() == 0


def test_comparison_makes_all_of_them_equal(begin, directory, server):
    storage = begin()
    save(storage, "a")
    server.delete_file("a")
    (directory / "a").write_bytes(b"changed behind its back")
    storages["bucket"].delete("a")
    report = synchronize(storage, SyncOptions(), lambda event: None)
    assert report.problems == []
    assert contents(storage, "a") == [b"a"] * 3
    assert synchronize(storage, SyncOptions(), lambda event: None).agrees


def test_new_directory_is_filled_from_servers(begin, directory, server):
    storage = begin("Distributed", hosts=[server.url])
    save(storage, "a")
    storage = begin("Distributed", hosts=[server.url, {"url": directory.as_uri(), "transport": "directory"}])
    save(storage, "b")
    assert states() == {server.url: "", directory.as_uri(): "new"}
    assert synchronize(storage, SyncOptions(), lambda event: None).agrees
    assert contents(storage, "a") == [b"a"] * 2
    assert states()[directory.as_uri()] == ""


def test_probe_looks_at_all_of_them(begin, directory, server):
    storage = begin(hosts=[server.url, {"url": directory.as_uri(), "transport": "directory"}])
    before = [(one.host, one.problem) for one in probe_hosts()]  # a directory is no host yet
    save(storage, "a")
    assert before == [(one.host, one.problem) for one in probe_hosts()] == [(host, "") for host in storage.hosts]
    assert {path.name for path in directory.iterdir()} == {HOST_IDENTITY, "a"}


def test_one_host_that_can_is_enough_for_a_listing(begin, directory, server):
    hosts = [{"url": server.url, "transport": "http"}, {"url": directory.as_uri(), "transport": "directory"}]
    storage = begin("Distributed", hosts=hosts)
    name = save(storage, "a")
    assert [storage.listdir("") for _ in range(5)] == [([], [name])] * 5
    [warning] = [message for message in run() if message.id == "resto.W012"]
    assert f"listdir() works only while {directory.as_uri()} answers" in warning.msg
    directory.rename(directory.with_name("away"))
    with pytest.raises(ReplicationError):
        storage.listdir("")


def test_servers_take_part_in_one_pass_beside_what_blocks(begin, directory, server, resto_server_factory):
    """A host without a course holds up nobody: the others have their requests before it is waited for."""
    other = resto_server_factory()
    hosts = [server.url, {"url": directory.as_uri(), "transport": "directory"}, other.url]
    storage = begin("Distributed", hosts=hosts, executor="inline")
    save(storage, "a")
    jobs = storage._jobs(storage._exists, storage.hosts, "a")
    assert [next(job.course(), None) is not None for job in jobs] == [True, False, True]
    assert storage.exists("a") is True


# One URL on two machines.


def test_directory_that_differs_from_machine_to_machine_is_told(begin, directory, monkeypatch):
    storage = begin()
    save(storage, "a")
    assert [message for message in run() if message.id == "resto.W017"] == []
    monkeypatch.setattr(platform, "node", lambda: "web-2")
    (directory / HOST_IDENTITY).unlink()
    save(begin(), "b")
    [warning] = [message for message in run() if message.id == "resto.W017"]
    assert f"{directory.as_uri()} is another directory on each machine" in warning.msg
    assert "none on web-2" in warning.msg


def test_same_directory_on_all_machines_is_well(begin, monkeypatch):
    save(begin(), "a")
    monkeypatch.setattr(platform, "node", lambda: "web-2")
    save(begin(), "b")
    assert len(Host.objects.get(host__startswith="file:").places) > 60
    assert [message for message in run() if message.id == "resto.W017"] == []
