"""A comparison hands what it finds to drains, and may wait for them."""

from contextlib import contextmanager
from tempfile import TemporaryDirectory

import pytest
from django.core.files.storage import storages
from django.test import override_settings
from hypothesis import example, given, settings

from kit.comparison import TREES, compare, found, write
from kit.record import files
from resto.exceptions import UndecidedError
from resto.executors.queue import QueueExecutor
from resto.models import Pending
from resto.record import backlog, compared, leases, opening
from resto.record.identities import MARGIN, NEW
from resto.record.rows import COMPARED
from resto.repair.drain import Drained, drain
from resto.repair.sync import handing
from resto.storage.copying import decided_outcomes
from resto.testing import TestHttpServer
from resto.workers import perform


pytestmark = pytest.mark.django_db

FILES = {"a": b"1", "d/b": b"22", "d/e/c": b"333"}


@pytest.fixture
def servers(resto_server_factory):
    return [resto_server_factory() for _ in range(2)]


@pytest.fixture
def storage(settings, servers, media_root):
    media_root.mkdir()
    write(media_root, FILES)
    options = {"hosts": [server.url for server in servers], "transport": "webdav"}
    settings.STORAGES = {"default": {"BACKEND": "resto.storage.HybridStorage", "OPTIONS": options}}
    return storages["default"]


@pytest.fixture
def sleeps(monkeypatch):
    """How many rows wait whenever a comparison waits; a drain comes then, that is fast or slow."""
    waiting = []

    def let_drain(limit=None):
        def sleep(seconds):
            waiting.append(Pending.objects.count())
            drain(limit=limit)

        monkeypatch.setattr(handing, "sleep", sleep)
        return waiting

    return let_drain


def rows():
    return sorted(Pending.objects.values_list("host", "name", "present", "latest"))


def test_what_differs_is_recorded_and_left_to_drains(storage, servers):
    servers[0].create_file("a", b"another")
    servers[0].create_file("extra", b"x")
    report, events = compare(storage, hand_over=True, delete=True, max_delete=100)
    assert [server.files for server in servers] == [{"a": b"another", "extra": b"x"}, {}]
    assert found(events) == [
        *[("different", "a", "handed over"), ("extra", "extra", "handed over"), ("missing", "a", "handed over")],
        *[("missing", name, "handed over") for name in ("d/b", "d/b", "d/e/c", "d/e/c")],
    ]
    assert [(host.handed_over, host.extras_handed_over, host.repaired) for host in report.hosts] == [
        (4, 1, 0),
        (3, 0, 0),
    ]
    assert (report.agrees, report.is_dealt_with) == (False, True)
    expected = [(servers[0].url, name, name != "extra", COMPARED) for name in (*FILES, "extra")]
    assert rows() == sorted([*expected, *((servers[1].url, name, True, COMPARED) for name in FILES)])
    assert drain(limit=3).done == 3
    assert drain().done == 4
    assert files(servers) == [FILES] * 2
    assert compare(storage, hand_over=True)[0].agrees


@settings(max_examples=max(10, settings.default.max_examples // 3))
@given(master=TREES, host=TREES)
@example(master={"a/b": b"1"}, host={"a": b""})
@example(master={"a": b"1"}, host={"a/b": b""})
def test_what_is_handed_over_comes_to_what_is_done_at_once(master, host):
    with TestHttpServer(webdav=True) as one, TestHttpServer(webdav=True) as other, TemporaryDirectory() as location:
        write(location, master)
        for server in (one, other):
            for name, content in host.items():
                server.create_file(name, content)
        with stored_on(one, location) as storage:
            compare(storage, delete=True, force=True)
        with stored_on(other, location) as storage:
            report, _ = compare(storage, delete=True, force=True, hand_over=True)
            assert not master or report.hosts[0].repaired == 0
            for _ in range(2):  # a file in place of a directory may have its turn after what is to be in there
                drain()
                Pending.objects.update(due=0, quiet_until=0)
            drain()
        assert other.files == one.files
        Pending.objects.all().delete()


@contextmanager
def stored_on(server, location):
    options = {"hosts": [server.url], "transport": "webdav", "location": location}
    backend = {"BACKEND": "resto.storage.HybridStorage", "OPTIONS": options}
    with override_settings(STORAGES={"default": backend}):
        yield storages["default"]


def test_nothing_is_recorded_twice(storage, servers):
    """What somebody deals with may be forgotten, as nothing was changed: that says nothing of what the host has."""
    storage.open_lease("a", (servers[0].url,), present=True).release(0)
    lease = storage.open_lease("d/b", (servers[0].url,), present=True)
    for _ in range(2):
        report, _ = compare(storage, hand_over=True)
        assert report.is_dealt_with
        assert [host.handed_over for host in report.hosts] == [3, 3]
        assert Pending.objects.count() == 7
    lease.forget()
    drain()
    assert files(servers) == [FILES] * 2


def test_what_comparisons_have_found_is_counted_apart(storage, servers):
    compare(storage, hand_over=True)
    storage.open_lease("new", (servers[0].url,), present=True).release(0)
    storage.open_lease("a", (servers[0].url,), present=True).release(0)
    counts = backlog.backlog_of("default")
    assert [(counts[server.url].count, counts[server.url].compared) for server in servers] == [(4, 2), (3, 3)]


def test_file_that_was_deleted_since_does_not_come_to_hosts(storage, servers):
    compare(storage, hand_over=True)
    storage.delete("a")
    drain()
    assert files(servers) == [{name: content for name, content in FILES.items() if name != "a"}] * 2


def test_no_more_rows_wait_than_there_may(storage, servers, media_root, monkeypatch, sleeps):
    write(media_root, {f"many/{number:02}": b"1" for number in range(20)})
    monkeypatch.setattr(handing, "MOST_WAITING", 10)
    monkeypatch.setattr(handing, "ROOM", 5)
    monkeypatch.setattr(handing, "LOT", 4)
    waiting = sleeps(3)
    report, _ = compare(storage, hand_over=True)
    assert report.is_dealt_with
    assert len(waiting) >= 6
    assert max(waiting) <= 10
    assert Pending.objects.count() <= 10
    drain()
    assert {len(held) for held in files(servers)} == {23}


def test_comparison_waits_for_drains(storage, servers, sleeps):
    servers[0].create_file("extra", b"x")
    told = []
    waiting = sleeps(2)
    report, _ = compare(storage, told, hand_over=True, wait=True, delete=True, max_delete=100)
    assert waiting == [7, 5, 3, 1]
    assert report.agrees
    assert [(host.repaired, host.removed, host.handed_over) for host in report.hosts] == [(4, 1, 0), (3, 0, 0)]
    assert (told[-1].done, told[-1].total, told[-1].is_final) == (3, 3, True)
    assert len({one.done for one in told}) > 2  # it is shown bit by bit
    assert files(servers) == [FILES] * 2


def test_comparison_that_waits_ends_when_drains_have_tried(storage, servers, sleeps):
    servers[1].fault_methods, servers[1].disk_full = {"PUT", "MKCOL"}, True
    sleeps()
    report, _ = compare(storage, hand_over=True, wait=True)
    assert [(host.repaired, host.failed, host.handed_over) for host in report.hosts] == [(3, 0, 0), (0, 3, 0)]
    assert report.hosts[1].problems == ["3 that drains have tried wait for their next try: run manage.py resto_status"]
    assert not report.is_dealt_with


def test_it_is_said_that_nobody_drains(storage, monkeypatch, caplog):
    caplog.set_level("WARNING", logger="resto")
    looks = []

    def sleep(seconds):
        looks.append(seconds)
        if len(looks) == 3 * handing.PATIENCE:
            drain()

    monkeypatch.setattr(handing, "sleep", sleep)
    assert compare(storage, hand_over=True, wait=True)[0].agrees
    [line] = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert line == "Nobody sends what STORAGES['default'] has waiting: run manage.py resto_drain."


def test_nothing_is_handed_over_of_a_master_copy_that_is_not_there(storage, media_root):
    """As it is not mounted, for example, while directories are compared."""
    pairs = [(storage.hosts[0], "a")]
    media_root.rename(media_root.with_name("elsewhere"))
    [outcome] = storage.hand_over(pairs, present=True)
    assert isinstance(outcome.error, FileNotFoundError)
    assert Pending.objects.count() == 0


def test_what_an_empty_master_copy_lacks_is_removed_at_once(storage, servers, media_root):
    """By force only, as it has not proven to be one: a drain would not."""
    for path in [*media_root.rglob("*")][::-1]:
        path.rmdir() if path.is_dir() else path.unlink()
    servers[0].create_file("extra", b"x")
    report, _ = compare(storage, hand_over=True, delete=True, force=True)
    assert [(host.removed, host.handed_over) for host in report.hosts] == [(1, 0), (0, 0)]
    assert files(servers) == [{}, {}]


class ListExecutor(QueueExecutor):
    def __init__(self, *, messages):
        self.messages = messages

    def enqueue(self, message):
        self.messages.append(message)


def test_workers_of_a_task_queue_do_it(settings, storage, servers):
    messages = []
    options = {"hosts": list(storage.hosts), "transport": "webdav", "executor": ListExecutor}
    options["executor_options"] = {"messages": messages}
    settings.STORAGES = {"default": {"BACKEND": "resto.storage.AsyncStorage", "OPTIONS": options}}
    compare(storages["default"], hand_over=True)
    assert drain() == Drained(queued=6)
    assert files(servers) == [{}, {}]
    assert compared.count_waiting("default") == 6
    assert [perform(message).again for message in messages] == [[]] * 6
    assert files(servers) == [FILES] * 2
    assert Pending.objects.count() == 0


# Without a master copy.


@pytest.fixture
def clock(monkeypatch):
    clock = [1_000_000.0]
    monkeypatch.setattr(leases, "clock", lambda: clock[0])
    monkeypatch.setattr(leases, "monotonic", lambda: clock[0])
    return clock


@pytest.fixture
def distributed(settings, servers):
    options = {"hosts": [server.url for server in servers], "transport": "webdav", "write_quorum": 1}
    settings.STORAGES = {"default": {"BACKEND": "resto.storage.DistributedStorage", "OPTIONS": options}}
    for name, content in FILES.items():
        servers[0].create_file(name, content)
    return storages["default"]


@pytest.fixture
def wiped(distributed, servers, clock):
    """The second host has lost its files, and is to be filled."""
    distributed.recognition.examine(begins=True)
    distributed.recognition.adopt(servers[1].url, NEW)
    clock[0] += 2 * MARGIN
    return distributed


@pytest.mark.usefixtures("identities_apply")
def test_host_is_filled_by_drains(wiped, servers):
    report, events = compare(wiped, hand_over=True)
    assert {event.state for event in events} == {"handed over"}
    assert [host.fill for host in report.hosts] == ["", "pending"]
    assert (report.agrees, report.is_dealt_with) == (False, True)
    assert backlog.backlog_of("default")[servers[1].url].compared == 3
    assert wiped.left_out() == {servers[1].url}
    assert drain().done == 3
    report, _ = compare(wiped, hand_over=True)
    assert ([host.fill for host in report.hosts], report.agrees) == (["", "filled"], True)
    assert files(servers) == [FILES] * 2


@pytest.mark.usefixtures("identities_apply")
def test_host_counts_when_it_was_waited_for(wiped, servers, sleeps):
    sleeps(2)
    report, _ = compare(wiped, hand_over=True, wait=True)
    assert ([host.fill for host in report.hosts], report.agrees) == (["", "filled"], True)
    assert report.hosts[1].repaired == 3


def test_named_host_decides_and_drains_follow(distributed, servers):
    servers[1].create_file("a", b"another")
    report, _ = compare(distributed, hand_over=True, source=servers[0].url)
    assert (report.hosts[1].handed_over, report.is_dealt_with) == (3, True)
    with distributed.open("a") as file:
        assert file.read() == b"1"  # from now on
    drain()
    assert files(servers) == [FILES] * 2


def test_named_host_does_not_decide_what_is_pending(distributed, servers):
    servers[1].create_file("a", b"another")
    name, hosts = "a", list(distributed.hosts)
    lease = opening.open_change("default", hosts, name, present=False)
    wanted = [(name, [servers[1].url])]
    [outcome] = decided_outcomes("default", wanted, distributed.truth)
    assert isinstance(outcome.error, UndecidedError)
    lease.forget()
    assert Pending.objects.count() == 0
    [outcome] = decided_outcomes("default", wanted, distributed.truth)
    assert (outcome.ok, rows()[0][:3]) == (True, (servers[1].url, "a", False))
