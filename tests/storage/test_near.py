"""Hosts whose directories are on this machine, and are read there."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.db import DatabaseError, connection
from django.test.utils import CaptureQueriesContext

from kit.checking import run
from kit.recognized import save
from resto.exceptions import RemoteFileNotFoundError
from resto.models import Host
from resto.names import HOST_IDENTITY
from resto.record import lag, leases, opening
from resto.storage import near


pytestmark = pytest.mark.django_db


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "near"


@pytest.fixture
def servers(resto_server_factory, folder):
    """The first one keeps its files in a directory that can be read here."""
    return [resto_server_factory(root=folder), resto_server_factory()]


@pytest.fixture
def storage(begin, servers, folder, settings):
    settings.RESTO_NEAR = {servers[0].url: str(folder)}
    near._looks.forget()
    yield begin("Distributed", [server.url for server in servers])
    near._looks.forget()


@pytest.fixture(params=[0, 1])
def lagging(request, settings):
    """How old a look may be."""
    settings.RESTO_NEAR_LAG = request.param
    return request.param


def requests(servers):
    """How many requests the servers have got by now."""
    return [len(server.log.splitlines() if isinstance(server.log, str) else server.log) for server in servers]


def read(storage, name):
    with storage.open(name) as file:
        return file.read()


def pend(storage, host, name, *, present=True):
    """Somebody else has changed a name, which one host has missed."""
    lease = opening.open_change("default", [host], name, present=present)
    near._looks.forget()
    return lease


@pytest.mark.usefixtures("lagging")
def test_near_host_is_read_without_a_request(storage, servers):
    name = save(storage, "d/a")
    before = requests(servers)
    assert read(storage, name) == b"d/a"
    assert storage.size(name) == 3
    assert abs(storage.get_modified_time(name) - datetime.now(UTC)) < timedelta(minutes=1)
    assert storage.listdir("d") == ([], ["a"])
    assert storage.listdir("") == (["d"], [])
    assert requests(servers) == before


def test_file_can_be_read_as_any_other(storage):
    name = save(storage, "a")
    with storage.open(name, "r") as file:
        assert file.read() == "a"
        assert file.open("rb").read() == b"a"
        file.seek(0)
        assert [*file.chunks()] == [b"a"]
    assert file.closed
    assert file.open().read() == b"a"
    file.close()


@pytest.mark.usefixtures("lagging")
@pytest.mark.parametrize("is_resting", [False, True])
def test_host_that_has_missed_something_is_not_read(storage, servers, folder, is_resting):
    """Whoever is about to send it, or not."""
    name = save(storage, "a")
    (folder / name).write_bytes(b"old")
    lease = pend(storage, servers[0].url, name)
    if is_resting:
        lease.release(1000)
    assert read(storage, name) == b"a"
    assert storage.size(name) == 1
    lease.forget()
    near._looks.forget()
    assert read(storage, name) == b"old"


def test_what_another_host_has_missed_does_not_matter(storage, servers):
    name = save(storage, "a")
    pend(storage, servers[1].url, name)
    before = requests(servers)
    assert read(storage, name) == b"a"
    assert requests(servers) == before


def test_file_that_is_gone_by_the_record_is_gone(storage, servers):
    name = save(storage, "a")
    for server in servers:
        pend(storage, server.url, name, present=False)
    with pytest.raises(RemoteFileNotFoundError):
        storage.open(name)


@pytest.mark.usefixtures("lagging")
def test_others_are_asked_for_what_is_missing(storage, servers, folder):
    name = save(storage, "a")
    (folder / name).unlink()
    assert read(storage, name) == b"a"
    assert storage.size(name) == 1
    servers[1].delete_file(name)
    with pytest.raises(RemoteFileNotFoundError):
        storage.open(name)


def test_whether_a_name_is_taken_is_asked_of_all(storage, servers, folder):
    save(storage, "a")
    (folder / "a").unlink()
    assert storage.exists("a") is True
    assert save(storage, "a") != "a"


@pytest.mark.usefixtures("lagging")
def test_record_that_does_not_answer_refuses(storage, monkeypatch):
    name = save(storage, "a")

    def fail(*args, **kwargs):
        raise DatabaseError("it is down")

    monkeypatch.setattr(near, "lag_of", fail)
    monkeypatch.setattr("resto.record.backlog.rows.select", fail)
    with pytest.raises(DatabaseError):
        storage.open(name)


# What is believed.


@pytest.mark.parametrize("found", ["missing", "none", "other", "no file"])
def test_other_directory_is_not_believed(storage, servers, folder, tmp_path, settings, found):
    name = save(storage, "a")
    other = tmp_path / "other"
    if found != "missing":
        other.mkdir()
        (other / name).write_bytes(b"something else")
    if found == "other":
        (other / HOST_IDENTITY).write_bytes(servers[1].files[HOST_IDENTITY])
    if found == "no file":
        (other / HOST_IDENTITY).mkdir()
    settings.RESTO_NEAR = {servers[0].url: other}
    assert read(storage, name) == b"a"
    assert storage.size(name) == 1
    assert storage.listdir("") == ([], ["a"])


@pytest.mark.parametrize("change", ["gone", "another host's"])
def test_directory_whose_identity_changes_is_not_believed_any_more(storage, servers, folder, change):
    name = save(storage, "a")
    assert read(storage, name) == b"a"
    before = requests(servers)
    (folder / HOST_IDENTITY).unlink()
    if change != "gone":
        (folder / HOST_IDENTITY).write_bytes(servers[1].files[HOST_IDENTITY])
    assert storage.near.read("size", name) is None
    assert read(storage, name) == b"a"
    assert requests(servers) != before


def test_host_that_is_adopted_anew_is_not_read_until_it_is_filled(storage, servers, folder, monkeypatch):
    name = save(storage, "a")
    (folder / name).write_bytes(b"old")
    storage.recognition.adopt(servers[0].url, "new")
    later = leases.clock() + 100
    monkeypatch.setattr(leases, "monotonic", lambda: later)
    near._looks.forget()
    assert read(storage, name) == b"a"


def test_host_that_nobody_knows_is_not_read(storage, folder):
    name = save(storage, "a")
    Host.objects.all().delete()
    storage.left_out_hosts.look()
    (folder / name).write_bytes(b"old")
    servers_have = storage.transport_for(storage.hosts[1]).content(storage.hosts[1], name)
    assert storage.near.read("download", name) is None
    assert servers_have == b"a"


@pytest.mark.parametrize("kind", ["pipe", "directory", "missing"])
def test_what_is_no_file_is_asked_for(storage, folder, kind):
    if kind == "pipe":
        os.mkfifo(folder / "odd")
    elif kind == "directory":
        (folder / "odd").mkdir()
    save(storage, "a")
    before = len([*Path("/proc/self/fd").iterdir()])
    assert storage.near.read("size", "odd") is None
    assert len([*Path("/proc/self/fd").iterdir()]) == before


def test_links_are_listed_by_the_server(storage, servers, folder):
    save(storage, "a")
    (folder / "link").symlink_to(folder / "a")
    assert storage.near.listing(storage.hosts, "") is None


def test_host_may_be_spelled_otherwise(begin, servers, folder, settings):
    settings.RESTO_NEAR = {servers[0].url.rstrip("/").replace("http", "HTTP"): folder, "ftp://other/": folder}
    storage = begin("Distributed", [server.url for server in servers])
    assert [*near.near_directories(storage)] == [(servers[0].url, str(folder))]


def test_nothing_is_near_without_a_record(servers, folder, settings, without_application):
    settings.RESTO_NEAR = {servers[0].url: folder}
    settings.STORAGES = {
        "default": {
            "BACKEND": "resto.storage.DistributedStorage",
            "OPTIONS": {"hosts": [server.url for server in servers]},
        }
    }
    storage = storages["default"]
    name = storage.save("a", ContentFile(b"a"))
    assert storage.near.read("download", name) is None


def test_directory_that_is_believed_needs_no_warning(storage, settings, folder, tmp_path):
    save(storage, "a")
    assert [message for message in run() if message.id == "resto.W018"] == []
    settings.RESTO_NEAR = dict.fromkeys(settings.RESTO_NEAR, tmp_path)
    assert [message.id for message in run() if message.id == "resto.W018"] == ["resto.W018"]
    assert not storage.near.is_believed(storage.hosts[0], "/srv/missing")


@pytest.mark.parametrize(("name", "value"), [("NEAR", ["/srv/media"]), ("NEAR_LAG", "1"), ("NEAR_LAG", -1)])
def test_nothing_is_near_where_settings_are_wrong(storage, settings, name, value):
    found = save(storage, "a")
    setattr(settings, f"RESTO_{name}", value)
    assert read(storage, found) == b"a"
    assert storage.near.read("size", found) is None


# How old the look is.


@pytest.fixture
def statements(storage):
    """A function: an action -> how many statements it has taken."""

    def count(act):
        with CaptureQueriesContext(connection) as queries:
            act()
        return len(queries)

    return count


def test_look_is_one_statement(storage, settings, statements):
    name = save(storage, "a")
    settings.RESTO_NEAR_LAG = 0
    storage = storages["default"]
    read(storage, name)
    assert [statements(lambda: read(storage, name)) for _ in range(3)] == [1, 1, 1]


def test_look_holds_for_a_while(storage, settings, statements, monkeypatch):
    name, other = save(storage, "a"), save(storage, "b")
    moment = leases.monotonic()
    monkeypatch.setattr(leases, "monotonic", lambda: moment)
    assert statements(lambda: read(storage, name)) == 1
    assert statements(lambda: [read(storage, name), read(storage, other)]) == 0
    moment += 0.99
    assert statements(lambda: read(storage, name)) == 0
    moment += 0.01
    assert statements(lambda: read(storage, name)) == 1


def test_reads_lag_by_no_more_than_is_said(storage, servers, folder, settings, monkeypatch):
    """Of what other processes change. A deletion that the near host has missed is seen when the look is too old."""
    settings.RESTO_NEAR_LAG = 5
    name = save(storage, "a")
    moment = leases.monotonic()
    monkeypatch.setattr(leases, "monotonic", lambda: moment)
    read(storage, name)
    for server in servers:
        opening.open_change("default", [server.url], name, present=False)
    moment += 4.9
    assert read(storage, name) == b"a"
    moment += 0.2
    with pytest.raises(RemoteFileNotFoundError):
        storage.open(name)


def test_own_changes_are_seen_at_once(storage, servers, folder):
    name = save(storage, "a")
    read(storage, name)
    servers[0].override_code = 503
    storage.delete(name)
    assert (folder / name).exists()
    with pytest.raises(RemoteFileNotFoundError):
        storage.open(name)


def test_look_that_a_change_has_overtaken_does_not_hold(storage, servers, monkeypatch):
    name = save(storage, "a")

    def overtaken(*args):
        found = lag.lag_of(*args)
        opening.open_change("default", [servers[0].url], name, present=True)
        storage.near.note_change()
        return found

    with monkeypatch.context() as patch:
        patch.setattr(near, "lag_of", overtaken)
        read(storage, name)
    assert near._looks.look("default", servers[0].url, 1).has(servers[0].url, name)


def test_host_that_lags_much_is_not_read(storage, servers, monkeypatch):
    monkeypatch.setattr(lag, "MOST", 2)
    name = save(storage, "a")
    for number in range(3):
        pend(storage, servers[0].url, f"other-{number}")
    assert storage.near.read("download", name) is None
    assert read(storage, name) == b"a"


def test_forked_child_looks_for_itself(storage):
    name = save(storage, "a")
    read(storage, name)
    before = near._looks
    near._forget_the_parents_looks()
    assert near._looks is not before
    assert read(storage, name) == b"a"
