"""The hooks, and that observers are told on every path."""

import inspect
import sys

import pluggy
import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages

import resto
from resto import hookspecs
from resto.executors.queue import QueueExecutor
from resto.plugins import get_plugin_manager
from resto.record import leases
from resto.repair import drain as drain_module
from resto.repair.drain import drain
from resto.repair.status import host_statuses
from resto.repair.sync import SyncOptions, synchronize
from resto.workers import perform


pytest_plugins = ["kit.packages"]

SPECIFICATIONS = [
    "resto_action_finished",
    "resto_host_pending",
    "resto_register_executors",
    "resto_register_transports",
    "resto_settings",
]


def test_marker_is_exported():
    assert resto.hookimpl is hookspecs.hookimpl


def test_names_of_hooks():
    """A new hook comes with a test; a hook that is gone breaks the plugins that implement it."""
    assert [name for name in hookspecs.__all__ if name.startswith("resto_")] == SPECIFICATIONS


@pytest.mark.parametrize("name", SPECIFICATIONS)
def test_hook_is_a_documented_specification(name):
    manager = pluggy.PluginManager("resto")
    manager.add_hookspecs(hookspecs)
    assert getattr(manager.hook, name).has_spec()
    assert inspect.getdoc(getattr(hookspecs, name))


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("resto_action_finished", ["outcome"]),
        ("resto_host_pending", ["storage", "host", "count", "oldest", "under_way"]),
        ("resto_register_executors", []),
        ("resto_register_transports", []),
        ("resto_settings", []),
    ],
)
def test_arguments_of_hook(name, arguments):
    assert [*inspect.signature(getattr(hookspecs, name)).parameters] == arguments


RAISING = """
    from resto import hookimpl

    @hookimpl
    def resto_action_finished(outcome):
        raise RuntimeError("not today")

    @hookimpl
    def resto_host_pending(host):
        raise RuntimeError("not today")
"""

NOTING = """
    from resto import hookimpl
    finished, pending = [], []

    @hookimpl
    def resto_action_finished(outcome):
        finished.append((outcome.action, outcome.name, outcome.host, outcome.ok))

    @hookimpl
    def resto_host_pending(storage, host, count, oldest):
        pending.append((storage, host, count, oldest and round(oldest)))
"""


@pytest.fixture
def noted(install):
    """What an observer is told that stands between two that raise."""
    install("resto-first", RAISING)
    install("resto-noting", NOTING)
    install("resto-third", RAISING)
    get_plugin_manager().load_entry_points()
    return sys.modules["resto_noting"]


@pytest.fixture
def server(resto_server_factory):
    return resto_server_factory()


@pytest.fixture
def make_site(settings, media_root, server):
    """A site with one media server, and one storage."""

    def make(backend="HybridStorage", **options):
        options = {"hosts": [server.url], "transport": "webdav", "fatal_exceptions": False} | options
        settings.STORAGES = {"default": {"BACKEND": f"resto.storage.{backend}", "OPTIONS": options}}
        return storages["default"]

    return make


@pytest.mark.parametrize("executor", ["thread", "inline"])
@pytest.mark.parametrize("backend", ["HybridStorage", "AsyncStorage", "DistributedStorage"])
def test_observers_are_told_of_saves_and_deletes(noted, server, make_site, backend, executor):
    storage = make_site(backend, executor=executor)
    storage.save("a.txt", ContentFile(b"1"))
    storage.delete("a.txt")
    storage._run(lambda host, name: None, storage.hosts, "a.txt")  # waits for its turn in the lane
    told = [one for one in noted.finished if one[0] in ("upload", "delete")]
    assert told == [("upload", "a.txt", server.url, True), ("delete", "a.txt", server.url, True)]


def test_observers_are_told_of_reads_and_failures(noted, server, make_site):
    storage = make_site("DistributedStorage")
    server.create_file("a.txt", b"1")
    with storage.open("a.txt") as file:
        assert file.read() == b"1"
    storage.size("a.txt"), storage.listdir("")
    with pytest.raises(FileNotFoundError):
        storage.get_modified_time("b.txt")
    assert noted.finished == [
        ("download", "a.txt", server.url, True),
        ("size", "a.txt", server.url, True),
        ("listdir", "", server.url, True),
        ("modified_time", "b.txt", server.url, False),
    ]


class TakenExecutor(QueueExecutor):
    """Stands for a queue."""

    messages = []  # noqa: RUF012

    def enqueue(self, message):
        self.messages.append(message)


@pytest.mark.django_db
def test_observers_are_told_by_queue_workers(noted, server, make_site, django_capture_on_commit_callbacks):
    storage = make_site("AsyncStorage", executor=TakenExecutor)
    with django_capture_on_commit_callbacks(execute=True):
        storage.save("a.txt", ContentFile(b"1"))
    assert noted.finished == []
    perform(TakenExecutor.messages.pop())
    assert noted.finished == [("upload", "a.txt", server.url, True)]


@pytest.fixture
def clock(monkeypatch):
    clock = [1_000_000.0]
    monkeypatch.setattr(leases, "clock", lambda: clock[0])
    monkeypatch.setattr(leases, "monotonic", lambda: clock[0])
    return clock


@pytest.mark.django_db
def test_observers_are_told_by_a_drain(noted, server, make_site, clock):
    """Of what it does, and of what is pending afterwards, also for hosts that have missed nothing."""
    storage = make_site()
    server.refuse = True
    storage.save("a.txt", ContentFile(b"1"))
    clock[0] += 10
    drain()
    server.refuse = False
    clock[0] += 100
    drain()
    drain(storage=["other"])
    assert noted.finished == [("upload", "a.txt", server.url, ok) for ok in (False, False, True)]
    assert noted.pending == [("default", server.url, 1, 10), ("default", server.url, 0, None)]


@pytest.mark.django_db
def test_wrong_options_do_not_keep_a_drain_from_telling(noted, server, make_site, settings):
    make_site()
    wrong = {"BACKEND": "resto.storage.HybridStorage", "OPTIONS": {"no": "such"}}
    settings.STORAGES = {"wrong": wrong, **settings.STORAGES}
    drain()
    assert noted.pending == [("default", server.url, 0, None)]


@pytest.mark.django_db
def test_observers_are_told_by_a_status(noted, server, make_site):
    make_site()
    host_statuses()
    assert noted.finished == [("exists", "resto-status", server.url, True)]
    assert noted.pending == [("default", server.url, 0, None)]


def test_observers_are_told_of_no_record_where_there_is_none(noted, make_site):
    make_site()
    host_statuses()
    assert noted.pending == []


def test_observers_are_told_by_a_comparison(noted, server, make_site, media_root):
    storage = make_site()
    for name in "ab":
        media_root.mkdir(exist_ok=True)
        (media_root / name).write_bytes(b"1")
    server.create_file("a", b"1")
    synchronize(storage, SyncOptions(checksum=True), lambda event: None)
    assert noted.finished == [
        ("listdir", "", server.url, True),
        ("download", "a", server.url, True),
        ("repair", "b", server.url, True),
    ]


@pytest.mark.django_db
def test_nobody_counts_what_is_pending_unless_somebody_wants_to_know(make_site, install, monkeypatch):
    install("resto-noting", NOTING.partition("@hookimpl\n    def resto_host_pending")[0])
    make_site()
    monkeypatch.setattr(drain_module, "backlog_of", None)
    drain()
