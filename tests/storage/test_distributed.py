"""DistributedStorage: the hosts are all there is."""

import io
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.files.base import ContentFile

from resto.exceptions import ConfigurationError, RemoteFileNotFoundError, ReplicationError
from resto.health import FIRST_PAUSE, MAX_FAILURES
from resto.storage import DistributedStorage
from resto.storage.files import SPOOL_SIZE
from resto.transports.http import HttpTransport


LARGE = bytes(range(256)) * (2 * SPOOL_SIZE // 256)

FAULTS = {
    "refused": {"refuse": True},
    "hanging": {"hang": True},
    "reset": {"reset_after": 0},
    "500": {"refuse_code": 500},
    "redirect": {"redirect": "http://127.0.0.1:9/"},
}


@pytest.fixture
def servers(resto_server_factory):
    return [resto_server_factory() for _ in range(2)]


def address(server):
    """The address of a host; one that hangs already is not waited for."""
    return {"url": server.url, "timeout": 0.3 if server.hang else 10}


@pytest.fixture
def make(servers):
    return lambda **options: DistributedStorage(
        [address(server) for server in servers], "/media/", **{"transport": "webdav"} | options
    )


@pytest.fixture
def storage(make):
    return make()


@pytest.fixture
def in_order(monkeypatch):
    """Hosts are asked in their order."""
    monkeypatch.setattr(random, "sample", lambda population, k: list(population)[:k])


def break_(server, fault, *methods):
    server.fault_methods = set(methods) or None
    for knob, value in fault.items():
        setattr(server, knob, value)


def create_everywhere(servers, name, content=b"content"):
    for server in servers:
        server.create_file(name, content)


def messages(caplog):
    return [record.getMessage() for record in caplog.records]


# Reading, from whoever can.


def test_path_is_not_implemented(storage):
    with pytest.raises(NotImplementedError):
        storage.path("a")


READS = {
    "download": (lambda storage: storage.open("a").close(), "Failed to download a from {}."),
    "size": (lambda storage: storage.size("a"), "Failed to get the size of a from {}."),
    "time": (lambda storage: storage.get_modified_time("a"), "Failed to get the modification time of a from {}."),
    "listdir": (lambda storage: storage.listdir(""), "Failed to list / on {}."),
    "exists": (lambda storage: storage.exists("a"), "Failed to check if a exists on {}."),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
@pytest.mark.parametrize(("read", "message"), READS.values(), ids=READS)
def test_read_fails_over_to_the_next_host(make, servers, in_order, caplog, read, message, fault):
    create_everywhere(servers, "a")
    break_(servers[0], fault)

    read(make())

    assert [text.startswith(message.format(servers[0].url)) for text in messages(caplog)] == [True]


@pytest.mark.parametrize(("read", "message"), READS.values(), ids=READS)
def test_read_goes_to_the_next_host_at_once(make, servers, in_order, caplog, breaker_clock, read, message):
    create_everywhere(servers, "a")
    servers[0].drop_answer = True
    storage = make()
    for _ in range(MAX_FAILURES):
        read(storage)
    asked = len(servers[0].requests)
    caplog.clear()

    read(storage)

    assert len(servers[0].requests) == asked
    assert messages(caplog) == []  # which has been said
    servers[0].heal()
    breaker_clock.pass_(FIRST_PAUSE)
    read(storage)
    assert len(servers[0].requests) == asked + 1


def test_file_that_may_be_on_the_host_that_is_not_asked_is_not_called_missing(storage, servers, breaker_clock):
    servers[0].refuse = True
    for _ in range(MAX_FAILURES + 1):
        with pytest.raises(ReplicationError):
            storage.open("a")


@pytest.mark.parametrize(("read", "message"), READS.values(), ids=READS)
@pytest.mark.parametrize("fatal", [True, False])
def test_read_that_fails_everywhere_raises(make, servers, read, message, fatal):
    for server in servers:
        server.refuse = True

    with pytest.raises(ReplicationError, match="failed on 2 of 2 hosts") as caught:
        read(make(fatal_exceptions=fatal))
    assert not isinstance(caught.value, FileNotFoundError)


@pytest.mark.parametrize(("read", "message"), [READS["download"], READS["size"], READS["time"]])
def test_file_that_a_host_has_missed_is_read_from_another(storage, servers, in_order, caplog, read, message):
    servers[1].create_file("a", b"content")

    read(storage)

    assert caplog.records == []


def test_file_that_may_be_on_the_host_that_fails_is_not_called_missing(storage, servers):
    servers[0].refuse = True

    with pytest.raises(ReplicationError):
        storage.open("a")


def test_missing_file_tells_the_first_host(storage, servers, in_order):
    with pytest.raises(RemoteFileNotFoundError) as caught:
        storage.open("a")
    assert caught.value.host == servers[0].url


@pytest.mark.parametrize("content", [LARGE, LARGE[: SPOOL_SIZE // 2]], ids=["large", "small"])
def test_download_that_breaks_off_goes_on_with_another_host(storage, servers, in_order, content):
    create_everywhere(servers, "a", content)
    servers[0].reset_after = len(content) // 2

    with storage.open("a") as file:
        assert file.read() == content


def test_hosts_are_asked_in_a_random_order(storage, servers):
    create_everywhere(servers, "a")
    for _ in range(40):
        storage.size("a")

    assert min(len(server.requests) for server in servers) >= 5


def test_listdir_needs_a_transport_that_lists(make):
    with pytest.raises(NotImplementedError, match="HttpTransport cannot list directories; WebDAV can"):
        make(transport="http").listdir("")


def test_modified_time_needs_a_transport_that_knows(make):
    class Timeless(HttpTransport):
        supports_modified_time = False

    with pytest.raises(NotImplementedError, match="Timeless cannot tell when a file was modified"):
        make(transport=Timeless).get_modified_time("a")


MEMORY_TEST = """
import sys
from kit.memory import forget_peak, peak
from django.conf import settings
settings.configure(MEDIA_URL="/media/")
from django.core.files import File
from resto.storage import DistributedStorage
storage = DistributedStorage(sys.argv[2:], timeout=10)

class Zeros(File):
    def chunks(self, chunk_size=None):
        for _ in range(100):
            yield bytes(1_000_000)

storage.exists("warm up")
forget_peak()
before = peak()
if sys.argv[1] == "save":
    storage.save("a", Zeros(None, "a"))
else:
    with storage.open("a") as file:
        assert file.seek(-1, 2) == 99_999_999
        assert sum(len(chunk) for chunk in file.chunks()) == 100_000_000
print(peak() - before)
"""


@pytest.mark.parametrize("action", ["save", "open"])
def test_memory_does_not_grow_with_the_file(resto_server_factory, tmp_path, action):
    servers = [resto_server_factory(root=tmp_path / name, webdav=False) for name in "ab"]
    if action == "open":
        for name in "ab":
            with (tmp_path / name / "a").open("wb") as file:
                file.truncate(100_000_000)

    command = [sys.executable, "-c", MEMORY_TEST, action, *(server.url for server in servers)]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    grown = subprocess.run(command, check=True, capture_output=True, timeout=300, text=True, env=environment).stdout

    assert int(grown) < 12_000  # KiB


# Existence.


@pytest.mark.parametrize("holder", [0, 1])
def test_name_that_any_host_holds_is_taken(storage, servers, holder):
    servers[holder].create_file("a.txt", b"theirs")

    name = storage.save("a.txt", ContentFile(b"ours"))

    assert name != "a.txt"
    assert servers[holder].get_file("a.txt") == b"theirs"


def test_host_that_fails_does_not_hide_a_name_that_is_taken(make, servers):
    servers[1].create_file("a.txt", b"theirs")
    break_(servers[0], {"refuse_code": 500}, "HEAD")

    assert make().exists("a.txt") is True


def test_nothing_is_overwritten_when_a_host_misses_files(make, servers):
    storage = make(transport="http", executor="inline")
    saved = {}
    for number in range(200):
        content = b"%d" % number
        name = storage.save("a.txt", ContentFile(content))
        saved[name] = content
        if number % 3 == 0:
            servers[number % 2].delete_file(name)

    assert len(saved) == 200
    for name, content in saved.items():
        assert {server.files.get(name, content) for server in servers} == {content}
        assert any(server.has_file(name) for server in servers)


def test_exists_of_a_directory(storage, servers):
    """Some file managers ask so."""
    create_everywhere(servers, "a/b")

    assert storage.exists("a/b")
    assert not storage.exists("c/")


# Writing.


SAVE_FAULTS = FAULTS | {
    "read-only": {"readonly": True},
    "full": {"disk_full": True},
    "lost answer": {"drop_answer": True},
    "cut": {"truncate_upload": 3},
}


@pytest.mark.parametrize("content", [b"content", LARGE], ids=["small", "large"])
@pytest.mark.parametrize("fault", [name for name in SAVE_FAULTS if name != "cut"])
def test_failed_save_is_undone_on_every_host(make, servers, fault, content):
    break_(servers[0], SAVE_FAULTS[fault], "PUT", "HEAD")

    with pytest.raises(
        ReplicationError, match=r"upload of 'a' failed on 1 of 2 hosts.*\(the save was undone"
    ) as caught:
        make()._save("a", ContentFile(content))

    assert [outcome.host for outcome in caught.value.failures] == [servers[0].url]
    assert [dict(server.files) for server in servers] == [{}, {}]


def test_save_that_a_host_cuts_is_undone(storage, servers):
    servers[0].truncate_upload = 3

    with pytest.raises(ReplicationError, match=f"it stored 3 of {len(LARGE):,} bytes"):
        storage.save("a", ContentFile(LARGE))
    assert [dict(server.files) for server in servers] == [{}, {}]


def test_host_where_undoing_fails_is_named(storage, servers):
    break_(servers[0], {"refuse_code": 500}, "PUT")
    break_(servers[1], {"refuse_code": 500}, "DELETE")

    with pytest.raises(ReplicationError, match=rf"\(the save was undone, except on {servers[1].url}\)"):
        storage.save("a", ContentFile(b""))


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_save_that_fails_on_one_host_is_kept_without_fatal_exceptions(make, servers, caplog, fault):
    break_(servers[0], fault, "PUT")

    assert make(fatal_exceptions=False).save("a", ContentFile(b"content")) == "a"

    assert servers[1].get_file("a") == b"content"
    uploads = [text for text in messages(caplog) if "upload" in text]
    assert [text.startswith(f"Failed to upload a on {servers[0].url}. ") for text in uploads] == [True]


def test_save_that_fails_on_all_hosts_raises_without_fatal_exceptions(make, servers):
    for server in servers:
        break_(server, {"refuse_code": 500}, "PUT")

    with pytest.raises(ReplicationError, match=r"failed on 2 of 2 hosts: .*\(the save was undone\)"):
        make(fatal_exceptions=False).save("a", ContentFile(b""))


@pytest.mark.parametrize("fatal", [True, False])
def test_failed_delete(make, servers, caplog, fatal):
    create_everywhere(servers, "a")
    servers[0].refuse = True
    storage = make(fatal_exceptions=fatal)

    if fatal:
        with pytest.raises(ReplicationError, match="delete of 'a' failed on 1 of 2 hosts"):
            storage.delete("a")
    else:
        storage.delete("a")

    assert messages(caplog) == [f"Failed to delete a on {servers[0].url}. Connection refused."]
    assert [list(server.files) for server in servers] == [["a"], []]


def test_delete_spares_directories(storage, servers):
    create_everywhere(servers, "a/b")

    with pytest.raises(IsADirectoryError, match="'a' is a directory, and only files can be deleted"):
        storage.delete("a")
    assert [list(server.files) for server in servers] == [["a/b"]] * 2


@pytest.mark.parametrize("mode", ["wb", "ab", "r+b", "xb", "w"])
def test_file_does_not_open_for_writing(storage, servers, mode):
    with pytest.raises(io.UnsupportedOperation):
        storage.open("a", mode)
    assert [server.requests for server in servers] == [[], []]


def test_execute_that_hands_the_work_elsewhere_tells_no_outcomes(servers):
    class Elsewhere(DistributedStorage):
        def execute(self, func, name, *args, **kwargs):
            super().execute(func, name, *args, **kwargs)

    assert Elsewhere([server.url for server in servers]).save("a", ContentFile(b"")) == "a"


# Real servers.


@pytest.mark.parametrize("kinds", [("nginx-dav", "apache"), ("lighttpd", "rclone")], ids="+".join)
def test_on_real_servers(media_servers, kinds):
    folders = [media_servers(kind).new_folder() for kind in kinds]
    storage = DistributedStorage([url for url, _ in folders], "/media/", transport="webdav", timeout=10)

    name = storage.save("a b/é#?.txt", ContentFile(b"content"))

    assert [(path / name).read_bytes() for _, path in folders] == [b"content"] * 2
    assert (storage.exists(name), storage.size(name), storage.listdir("")) == (True, 7, (["a b"], []))
    with storage.open(name) as file:
        assert file.read() == b"content"
    storage.delete(name)
    assert [(path / name).exists() for _, path in folders] == [False, False]
    assert not storage.exists(name)


# A save that fails and may not be of a new file.


def names_on(servers):
    return [dict(server.files) for server in servers]


def test_failed_save_over_a_file_deletes_nothing(storage, servers, monkeypatch):
    """As a save of the same new name at the same time."""
    look = DistributedStorage.exists

    def look_too_early(self, name):
        found = look(self, name)
        create_everywhere(servers, "a")
        servers[1].refuse_code = 507
        return found

    monkeypatch.setattr(DistributedStorage, "exists", look_too_early)

    with pytest.raises(ReplicationError, match="it has replaced a file on some hosts, and was not undone"):
        storage.save("a", ContentFile(b"new"))

    servers[1].heal()
    assert [server.has_file("a") for server in servers] == [True, True]


def test_refused_save_is_not_undone_where_it_was_refused(make, servers):
    servers[0].refuse_code = 401
    servers[0].fault_methods = {"PUT"}

    with pytest.raises(ReplicationError, match="the save was undone"):
        make().save("a", ContentFile(b"new"))

    assert names_on(servers) == [{}, {}]
    assert "DELETE" not in [method for method, _, _ in servers[0].log]


@pytest.mark.parametrize(
    "act", [lambda storage: storage.open("a"), lambda storage: storage.size("a")], ids=["open", "size"]
)
def test_wrong_options_are_not_taken_for_failures_of_hosts(make, act, caplog):
    with pytest.raises(ConfigurationError):
        act(make(transport_options={"auth": "missing"}))
    assert caplog.messages == []
