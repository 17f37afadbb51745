"""Every storage with every executor, every transport and every kind of server: what works, and what is refused.

The tables of docs/reference.md say it. They are written by these tests, too (see `reference`).
"""

import itertools
import secrets
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import pytest
import rq
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.utils.module_loading import import_string
from redis import Redis

from kit import reference
from kit.kinds import KINDS
from resto.exceptions import ConfigurationError, ReplicationError, TransportError
from resto.executors import Job, tasks
from resto.names import HOST_IDENTITY
from resto_example_plugins.storage import StorageTransport


STORAGES = ["HybridStorage", "AsyncStorage", "AsyncStorage, not in STORAGES", "DistributedStorage"]
EXECUTORS = ["inline", "thread", "rq", "celery", "tasks"]
TRANSPORTS = ["http", "webdav"]

SERVERS = {
    "nginx": "nginx",
    "nginx-no-parents": "nginx, `create_full_put_path off`",
    "nginx-dav": "nginx with dav-ext",
    "nginx-https": "nginx with dav-ext, TLS, client certificate and password",
    "apache": "Apache",
    "apache-digest": "Apache, Digest",
    "lighttpd": "lighttpd",
    "rclone": "rclone",
    "rclone-1.60": "rclone 1.60",
    "wsgidav": "WsgiDAV",
}

RECORDED = pytest.mark.django_db(transaction=True, available_apps=["resto"])

# Where there is one, these are done with the master copy, whatever the hosts can do.
LOCAL = {"read", "exists", "size", "listdir", "get_modified_time"}

IMMEDIATE = f"{tasks.task_backends.__module__}.backends.immediate.ImmediateBackend"


def combinations():
    """Yield storage, executor, transport and kind of server; the record, and what is not in STORAGES, with one kind.

    Each executor is always tried with one kind of server, and each kind of server with one executor.
    """
    for storage, executor, transport, kind in itertools.product(STORAGES, EXECUTORS, TRANSPORTS, KINDS):
        name = "-".join([storage.replace(", ", "-").replace(" ", "-"), executor, transport, kind])
        marks = () if kind == "nginx-dav" or executor == "thread" else pytest.mark.long
        if "," not in storage or kind == "nginx-dav":
            yield pytest.param(storage, executor, transport, kind, id=name, marks=marks)
        if "," not in storage and kind == "nginx-dav":
            yield pytest.param(storage, executor, transport, kind, id=f"{name}-recorded", marks=RECORDED)


COMBINATIONS = [*combinations()]


@dataclass
class Site:
    """A storage, and what its hosts have on their disks."""

    storage: object
    deliver: object  # waits until hosts have got what they are to get
    folders: list

    def save(self, name):
        assert self.storage.save(name, ContentFile(b"content")) == name
        self.deliver()
        assert [(folder / name).is_file() and (folder / name).read_bytes() for folder in self.folders] == [
            b"content"
        ] * 2


def save(site):
    site.save("a.txt")


def save_in_a_directory(site):
    site.save("d/b.txt")


def read(site):
    with site.storage.open("a.txt") as file:
        assert file.read() == b"content"


def exists(site):
    assert site.storage.exists("a.txt") is True
    assert site.storage.exists("missing.txt") is False


def size(site):
    assert site.storage.size("a.txt") == len(b"content")


def listdir(site):
    _, files = site.storage.listdir("")
    assert files == ["a.txt"]


def get_modified_time(site):
    assert abs(site.storage.get_modified_time("a.txt") - datetime.now(UTC)) < timedelta(minutes=1)


def delete(site):
    site.storage.delete("a.txt")
    site.deliver()
    assert [(folder / "a.txt").exists() for folder in site.folders] == [False] * 2
    assert site.storage.exists("a.txt") is False


ACTIONS = [save, save_in_a_directory, read, exists, size, listdir, get_modified_time, delete]


def failing(site):
    """Return the actions that do not work."""
    found = set()
    for action in ACTIONS:
        try:
            action(site)
        except (AssertionError, NotImplementedError, ReplicationError, TransportError):
            found.add(action.__name__.replace("save_in_a_directory", "save in a directory"))
    return found


# Sites.


@pytest.fixture
def hosts(media_servers, settings):
    """A function that makes two hosts on a server; returns their options, and their folders."""

    def make(kind):
        server = media_servers(kind)
        (first, here), (second, there) = server.new_folder(), server.new_folder()
        options = {"auth": "media", "auth_scheme": server.kind.auth} if server.kind.auth else {}
        if server.kind.tls:
            options |= {"ca_bundle": str(server.ca), "client_cert": str(server.client_certificate)}
        settings.RESTO_SECRETS = {"media": server.credentials}
        return {"hosts": [first, second], "transport_options": options, "timeout": 10}, [here, there]

    return make


class Worker(rq.SimpleWorker):
    """Leaves the signals of this process alone."""

    def _install_signal_handlers(self):
        pass


@contextmanager
def rq_queue(request):
    url, queue = request.getfixturevalue("redis_server").url, f"queue-{secrets.token_hex(4)}"
    with Redis.from_url(url) as redis:
        yield (
            {"url": url, "queue": queue},
            lambda: Worker([queue], connection=redis).work(burst=True, logging_level="ERROR"),
        )


@contextmanager
def celery_queue(request):
    request.getfixturevalue("make_celery_app")("memory://").conf.task_always_eager = True
    yield {}, None


@contextmanager
def tasks_queue(request):
    request.getfixturevalue("settings").TASKS = {"default": {"BACKEND": IMMEDIATE, "QUEUES": []}}
    yield {}, None


@contextmanager
def no_queue(request):
    yield {}, None


QUEUES = {"rq": rq_queue, "celery": celery_queue, "tasks": tasks_queue}


@pytest.fixture
def make_site(request, settings, media_root, hosts):
    def make(storage, executor, transport, kind, queue):
        executor_options, work = queue
        options, folders = hosts(kind)
        options |= {"executor": executor, "executor_options": executor_options, "transport": transport}
        name, _, outside = storage.partition(",")
        path = f"resto.storage.{name}"
        settings.STORAGES = {} if outside else {"default": {"BACKEND": path, "OPTIONS": options}}
        made = import_string(path)(**options) if outside else storages["default"]
        return Site(made, work or (lambda: wait_for_lanes(made)), folders)

    return make


def wait_for_lanes(storage):
    """Wait for what was submitted before."""
    if storage.executor.supports_run:
        jobs = [Job("wait", host, name, int) for host in storage.hosts for name in ("a.txt", "d/b.txt")]
        storage.executor.run(jobs)


# Hosts of other kinds, alone and beside each other.


@dataclass(frozen=True)
class Kinds:
    """What the two hosts of a storage are.

    Attributes:
        first: The transport of the first one, as the page has it.
        second: That of the second one.
    """

    first: str
    second: str

    def __str__(self):
        return self.first if self.first == self.second else f"{self.first}, {self.second}"


DIRECTORY, BUCKET, LISTING, SILENT = '`"directory"`', '`"storage"`', '`"webdav"`', '`"http"`'
MIXTURES = [
    Kinds(DIRECTORY, DIRECTORY),
    Kinds(LISTING, DIRECTORY),
    Kinds(SILENT, DIRECTORY),
    Kinds(SILENT, LISTING),
    Kinds(LISTING, BUCKET),
    Kinds(DIRECTORY, BUCKET),
]


class Folder:
    """What is on a host, looked at as a folder is."""

    def __init__(self, has, read):
        self.has, self.read = has, read

    def __truediv__(self, name):
        return File(self, name)


class File(NamedTuple):
    """A file of such a folder."""

    folder: Folder
    name: str

    def is_file(self):
        return self.folder.has(self.name)

    exists = is_file

    def read_bytes(self):
        return self.folder.read(self.name)


@pytest.fixture
def make_host(tmp_path, settings, resto_server_factory):
    """A function that makes a host of a kind; returns its options, and its folder."""

    def make(kind, number):
        if kind == DIRECTORY:
            path = tmp_path / f"disk-{number}"
            path.mkdir()
            (path / HOST_IDENTITY).touch()
            return {"url": path.as_uri(), "transport": "directory"}, path
        if kind == BUCKET:
            settings.STORAGES = settings.STORAGES | {"bucket": {"BACKEND": "django.core.files.storage.InMemoryStorage"}}
            folder = Folder(
                lambda name: storages["bucket"].exists(name), lambda name: storages["bucket"].open(name).read()
            )
            return {"url": "bucket", "transport": StorageTransport}, folder
        server = resto_server_factory(webdav=kind == LISTING)
        folder = Folder(server.has_file, server.get_file)
        return {"url": server.url, "transport": kind.strip('`"')}, folder

    return make


@pytest.fixture(scope="session")
def mixtures():
    """The mixtures, each with what does not work; written at the end, if that is asked for."""
    found = {}
    yield found
    if reference.WRITES:
        rows = [[str(kinds), _cell(found[kinds])] for kinds in MIXTURES]
        reference.require_part("mixtures", reference.write_table(["hosts", "works"], rows))


def _cell(lacking):
    return f"all but {', '.join(sorted(lacking))}" if lacking else "all"


@pytest.mark.parametrize("kinds", MIXTURES, ids=str)
@pytest.mark.parametrize("storage", ["HybridStorage", "AsyncStorage", "DistributedStorage"])
def test_mixture(mixtures, make_host, settings, media_root, storage, kinds):
    made = [make_host(kind, number) for number, kind in enumerate((kinds.first, kinds.second))]
    options = {"hosts": [host for host, _ in made], "executor": "thread"}
    backend = {"BACKEND": f"resto.storage.{storage}", "OPTIONS": options}
    settings.STORAGES = settings.STORAGES | {"default": backend}
    made_storage = storages["default"]
    assert made_storage.problems() == []
    lacking = failing(Site(made_storage, lambda: wait_for_lanes(made_storage), [folder for _, folder in made]))
    if storage != "DistributedStorage":
        assert lacking == set()
        return
    mixtures[kinds] = lacking
    if not reference.WRITES:
        rows = dict(reference.read_table(reference.read_part("mixtures")))
        assert _cell(lacking) == rows[str(kinds)]


# What the tables say.


class Result(NamedTuple):
    """What came of a combination."""

    storage: str
    executor: str
    transport: str
    kind: str
    code: str | None  # of the check that refuses it
    lacking: set[str]  # actions that do not work


@pytest.fixture(scope="session")  # tests with a database come last, after those of other modules
def results():
    """The results; written at the end, if that is asked for."""
    results = []
    yield results
    if reference.WRITES:
        assert len(results) == len(COMBINATIONS), "not all of them were tried"
        reference.require_part("storages and executors", storages_table(results))
        reference.require_part("transports and servers", servers_table(results))


def storages_table(results):
    head = ["", *(f'`"{executor}"`' for executor in EXECUTORS)]
    rows = [
        [storage_label(storage), *(cell_of(results, storage, executor) for executor in EXECUTORS)]
        for storage in STORAGES
    ]
    return f"{len(results)} combinations were tried.\n\n{reference.write_table(head, rows)}"


def storage_label(storage):
    return storage.replace("STORAGES", "`STORAGES`").replace(
        storage.partition(",")[0], f"`{storage.partition(',')[0]}`"
    )


def cell_of(results, storage, executor):
    (code,) = {result.code for result in results if (result.storage, result.executor) == (storage, executor)}
    return f"`resto.{code}`" if code else "yes"


def servers_table(results):
    rows = []
    for kind, label in SERVERS.items():
        row = [label]
        for transport in TRANSPORTS:
            found = [result for result in results if (result.transport, result.kind) == (transport, kind)]
            lacking = set().union(*(result.lacking for result in found))
            row.append(f"all but {', '.join(sorted(lacking))}" if lacking else "all")
        rows.append(row)
    return reference.write_table(["", *(f'`"{transport}"`' for transport in TRANSPORTS)], rows)


def told_refusal(storage, executor):
    """Return the code that the page has for a storage and an executor; None if they go together."""
    rows = {row[0]: row[1:] for row in reference.read_table(reference.read_part("storages and executors"))}
    cell = rows[storage_label(storage)][EXECUTORS.index(executor)]
    return None if cell == "yes" else cell.strip("`").removeprefix("resto.")


def told_lacking(transport, kind):
    """Return what the page says that does not work with a transport and a server."""
    rows = {row[0]: row[1:] for row in reference.read_table(reference.read_part("transports and servers"))}
    cell = rows[SERVERS[kind]][TRANSPORTS.index(transport)]
    return set() if cell == "all" else set(cell.removeprefix("all but ").split(", "))


@pytest.mark.parametrize(("storage", "executor", "transport", "kind"), COMBINATIONS)
def test_combination(request, results, make_site, storage, executor, transport, kind):
    with QUEUES.get(executor, no_queue)(request) as queue:
        site = make_site(storage, executor, transport, kind, queue)
        code, lacking = refusal(site), set()
        if code is None:
            assert (site.storage.record_alias() is None) == (request.node.get_closest_marker("django_db") is None)
            lacking = failing(site)
    results.append(Result(storage, executor, transport, kind, code, lacking))
    if reference.WRITES:
        return
    assert code == told_refusal(storage, executor)
    if code is None:
        assert lacking == told_lacking(transport, kind) - (LOCAL if storage != "DistributedStorage" else set())


def refusal(site):
    """Return the code of the check that refuses a storage; None if none does."""
    problems = site.storage.problems()
    if not problems:
        return None
    with pytest.raises(ConfigurationError) as info:
        site.storage.save("a.txt", ContentFile(b"content"))
    assert [problem.code for problem in problems] == [info.value.code]
    assert [list(folder.iterdir()) for folder in site.folders] == [[], []]
    return info.value.code


@pytest.mark.skipif(reference.WRITES, reason="it is not yet")
def test_number_of_combinations_is_told():
    assert reference.read_part("storages and executors").startswith(f"{len(COMBINATIONS)} combinations")


def test_tables_name_everything():
    assert {*SERVERS} == {*KINDS}
