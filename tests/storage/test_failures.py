"""What remains when something fails: one table, which is tried here cell by cell, and which docs/every-failure.md shows.

A cell is a failure, a storage and a change. What the table says of it holds at once. After the time in the last column, and
not before, a drain makes all hosts equal, to the master copy if there is one, and nothing is pending any more.
"""

import os
import signal
import threading
import warnings
from collections import Counter
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.core.management import call_command
from django.db import DatabaseError, connection, connections

from kit.brokers import default_database
from kit.clock import Clock
from kit.documents import ROOT
from kit.hosts import try_hosts
from kit.servers import MediaServer
from resto import health
from resto.exceptions import ReplicationError
from resto.master.copy import MasterCopy
from resto.master.root import Root
from resto.models import Pending
from resto.record import leases, opening
from resto.record.leases import Lease
from resto.repair.drain import drain
from resto.storage import DistributedStorage
from sites.workshop.site import files_below


pytestmark = pytest.mark.django_db(transaction=True, available_apps=["resto"])  # which makes it quick

NEW, OVER, DELETE = CHANGES = ("save a new name", "save over", "delete")
WITHOUT_OVER = (NEW, DELETE)
OLD_CONTENT, NEW_CONTENT = b"old", b"new" * 20_000
OTHERS = {"b": b"of no concern"}  # else the file system of the master copy might not be mounted
WITH_OLD, WITH_NEW = OTHERS | {"a": OLD_CONTENT}, OTHERS | {"a": NEW_CONTENT}
BEFORE = {NEW: OTHERS, OVER: WITH_OLD, DELETE: WITH_OLD}
AFTER = {NEW: WITH_NEW, OVER: WITH_NEW, DELETE: OTHERS}

STORAGES = {
    "Hybrid": ("HybridStorage", True),
    "lenient Hybrid": ("HybridStorage", False),
    "Async": ("AsyncStorage", True),
    "lenient Async": ("AsyncStorage", False),
    "Distributed": ("DistributedStorage", True),
    "lenient Distributed": ("DistributedStorage", False),
}
HYBRID, LENIENT = ("Hybrid",), ("lenient Hybrid", "Async", "lenient Async")
WITH_MASTER = HYBRID + LENIENT
DISTRIBUTED, LENIENT_DISTRIBUTED = ("Distributed",), ("lenient Distributed",)
WITHOUT_MASTER = DISTRIBUTED + LENIENT_DISTRIBUTED

# How docs/every-failure.md calls them.
STORAGES_IN_DOCS = {
    HYBRID: "Hybrid, `fatal_exceptions` on",
    LENIENT: "Hybrid, `fatal_exceptions` off; Async",
    WITH_MASTER: "Hybrid, Async",
    DISTRIBUTED: "Distributed, `fatal_exceptions` on",
    LENIENT_DISTRIBUTED: "Distributed, `fatal_exceptions` off",
    WITHOUT_MASTER: "Distributed",
}

SOON, GRACE, LEASE = "about a second", "`RESTO_GRACE`", "`RESTO_LEASE`"
SECONDS = {SOON: 1, GRACE: 60, LEASE: 300}

SUCCESS, REPLICATION_ERROR = "success", "`ReplicationError`"


# The failures. Each is a function that lets the change of a world fail, and returns what the caller sees.


def fault(**knobs):
    """The first host misbehaves."""

    def fail(world):
        for name, value in knobs.items():
            setattr(world.servers[0], name, value)
        return world.act()

    return fail


def fill_disk(world):
    """The disk of the first host is full, which writes beyond a limit are to a real nginx."""
    if isinstance(world.servers[0], MediaServer):
        command = MediaServer._command
        limit = ["env", "--ignore-signal=XFSZ", "prlimit", "--fsize=30000", "--"]
        world.patch.setattr(MediaServer, "_command", lambda server: [*limit, *command(server)])
        world.servers[0].restart()
    else:
        world.servers[0].disk_full = True
    return world.act()


def mislead(world):
    """What is moved on the first host, to another temporary name at first, is not where it should be."""
    server = world.servers[0]

    def lose(method, path):
        if method == "MOVE":
            for name in [name for name in server.files if ".resto-" in name]:
                server.delete_file(name)

    server.on_applied = lose
    return world.act()


def at(steps, do, *, after=False):
    """Something happens before or after a step."""

    def fail(world):
        set_up_steps(world.patch.setattr, steps, partial(do, world), after=after)
        return world.act()

    return fail


def killed_at(steps, *, after=False, **knobs):
    """The process kills itself before or after a step; the first host may misbehave as well."""

    def fail(world):
        for name, value in knobs.items():
            setattr(world.servers[0], name, value)
        return world.act_and_die(
            lambda: set_up_steps(setattr, steps, lambda: os.kill(os.getpid(), signal.SIGKILL), after=after)
        )

    return fail


def killed_while_a_host_answers(world):
    world.servers[0].on_applied = lambda method, path: method in ("PUT", "DELETE") and world.kill()
    return world.act_and_die(lambda: None)


def set_up_steps(patch, steps, do, *, after):
    for owner, method in steps:
        patch(owner, method, step(getattr(owner, method), do, after=after))


def step(method, do, *, after):
    def call(*args, **kwargs):
        if not after:
            do()
        result = method(*args, **kwargs)
        if after:
            do()
        return result

    return call


def fill_master_disk(world):
    """What is written to a temporary file goes to a full disk."""
    create = MasterCopy._create_temporary

    def create_on_full_disk(*args, **kwargs):
        path, descriptor = create(*args, **kwargs)
        os.close(descriptor)
        return path, os.open("/dev/full", os.O_WRONLY)

    world.patch.setattr(MasterCopy, "_create_temporary", create_on_full_disk)
    return world.act()


def lose_database_and_host(world):
    world.servers[0].refuse = True
    return at(SETTLE, lose_database)(world)


def refuse_change(world):
    raise OSError("read-only file system")


def lose_database(world):
    connection.settings_dict["NAME"] = "/nowhere/db.sqlite3"
    connections.close_all()


# Without a master copy, the change is that of the hosts.
CHANGE = [(Root, "publish"), (MasterCopy, "delete"), (DistributedStorage, "execute")]
UNDO = [(MasterCopy, "delete"), (Lease, "revoke")]
SETTLE, OPEN = [(Lease, "settle")], [(opening, "open_lease"), (opening, "open_change")]

FAILURES = {
    (REFUSED := "a host refuses"): fault(refuse=True),
    (ERROR_500 := "a host answers 500"): fault(refuse_code=500),
    (HUNG := "a host hangs"): fault(hang=True),
    (LOST := "the answer of a host is lost"): fault(drop_answer=True, fault_methods={"PUT", "DELETE"}),
    (LATE := "a host answers too late"): fault(delay=60, fault_methods={"PUT", "DELETE"}),
    (MOVE_BROKEN := "the connection to a host breaks when an upload is moved"): fault(
        drop_idle=True, fault_methods={"MOVE"}
    ),
    (MISLED := "a proxy leads uploads elsewhere"): mislead,
    (HOST_FULL := "the disk of a host is full"): fill_disk,
    (UNTRIED := "the disk of a host is full, and what it does with directories is not known"): fill_disk,
    (DISK_FULL := "the disk of the master copy is full"): fill_master_disk,
    (DISK_BROKEN := "the master copy cannot be changed"): at(CHANGE, refuse_change),
    (NO_DATABASE := "the database, before the change"): at(OPEN, lose_database),
    (DATABASE_LOST := "the database, after the change"): at(CHANGE, lose_database, after=True),
    (BOTH_LOST := "a host refuses, and the database, after the change"): lose_database_and_host,
    (KILLED_FIRST := "the process is killed before anything is recorded"): killed_at(OPEN),
    (KILLED_BEFORE := "the process is killed before the change"): killed_at(CHANGE),
    (KILLED_AFTER := "the process is killed after the change"): killed_at(CHANGE, after=True),
    (KILLED_SENDING := "the process is killed while a host answers"): killed_while_a_host_answers,
    (KILLED_LAST := "the process is killed when all hosts have answered"): killed_at(SETTLE),
    (KILLED_UNDOING := "a host refuses, and the process is killed before it undoes that"): killed_at(UNDO, refuse=True),
    (KILLED_BETWEEN := "the same, when it begins to undo that"): killed_at(UNDO, after=True, refuse=True),
    (KILLED_UNDONE := "the same, when the hosts are undone"): killed_at(SETTLE, refuse=True),
}
WHILE_UNDOING = {KILLED_UNDOING, KILLED_BETWEEN, KILLED_UNDONE}  # which is for new names, where failures are fatal
OF_MOVES = {MOVE_BROKEN, MISLED}
OF_THE_MASTER_COPY = {DISK_FULL, DISK_BROKEN}


# The table.


@dataclass(frozen=True)
class Row:
    """What becomes of some cells.

    Attributes:
        failures: What failed.
        storages: Of which storages.
        changes: Which change.
        caller: What the caller sees; nothing if there is none any more.
        master: The state of the master copy: ``old`` or ``new``; nothing if there is none.
        host: That of the host that failed, or of one of them.
        others: That of the other hosts.
        pending: For which hosts something is pending.
        repaired: After what time a drain repairs it.
    """

    failures: tuple[str, ...]
    storages: tuple[str, ...]
    changes: tuple[str, ...]
    caller: str
    master: str
    host: str
    others: str
    pending: str
    repaired: str


TABLE = [
    Row((REFUSED, ERROR_500), HYBRID, (NEW,), REPLICATION_ERROR, "old", "old", "old", "that host", SOON),
    Row((REFUSED, ERROR_500), HYBRID, (OVER, DELETE), REPLICATION_ERROR, "new", "old", "new", "that host", SOON),
    Row((REFUSED, ERROR_500), LENIENT, CHANGES, SUCCESS, "new", "old", "new", "that host", SOON),
    Row((HUNG, LOST, LATE), HYBRID, (NEW,), REPLICATION_ERROR, "old", "old", "old", "that host", GRACE),
    Row((HUNG,), HYBRID, (OVER, DELETE), REPLICATION_ERROR, "new", "old", "new", "that host", GRACE),
    Row((HUNG,), LENIENT, CHANGES, SUCCESS, "new", "old", "new", "that host", GRACE),
    Row((LOST, LATE), HYBRID, (OVER, DELETE), REPLICATION_ERROR, "new", "new", "new", "that host", GRACE),
    Row((LOST, LATE), LENIENT, CHANGES, SUCCESS, "new", "new", "new", "that host", GRACE),
    Row((MOVE_BROKEN,), WITH_MASTER, CHANGES, SUCCESS, "new", "new", "new", "", ""),
    Row((MISLED,), HYBRID, (NEW,), REPLICATION_ERROR, "old", "old", "old", "that host", GRACE),
    Row((MISLED,), HYBRID, (OVER,), REPLICATION_ERROR, "new", "old", "new", "that host", GRACE),
    Row((MISLED,), LENIENT, (NEW, OVER), SUCCESS, "new", "old", "new", "that host", GRACE),
    Row((MISLED,), WITH_MASTER, (DELETE,), SUCCESS, "new", "new", "new", "", ""),
    Row((HOST_FULL, UNTRIED), HYBRID, (NEW,), REPLICATION_ERROR, "old", "old", "old", "", ""),
    Row((HOST_FULL, UNTRIED), HYBRID, (OVER,), REPLICATION_ERROR, "new", "old", "new", "that host", SOON),
    Row((HOST_FULL, UNTRIED), LENIENT, (NEW, OVER), SUCCESS, "new", "old", "new", "that host", SOON),
    Row((UNTRIED,), HYBRID, (DELETE,), REPLICATION_ERROR, "new", "old", "new", "that host", SOON),
    Row((UNTRIED,), LENIENT, (DELETE,), SUCCESS, "new", "old", "new", "that host", SOON),
    Row((HOST_FULL, DISK_FULL), WITH_MASTER, (DELETE,), SUCCESS, "new", "new", "new", "", ""),
    Row((DISK_FULL,), WITH_MASTER, (NEW, OVER), "`OSError`", "old", "old", "old", "", ""),
    Row((DISK_BROKEN,), WITH_MASTER, CHANGES, "`OSError`", "old", "old", "old", "all hosts", LEASE),
    Row((NO_DATABASE,), WITH_MASTER, CHANGES, "`DatabaseError`", "old", "old", "old", "", ""),
    Row((DATABASE_LOST,), WITH_MASTER, CHANGES, SUCCESS, "new", "new", "new", "all hosts", LEASE),
    Row((BOTH_LOST,), HYBRID, (NEW,), REPLICATION_ERROR, "old", "old", "old", "all hosts", LEASE),
    Row((BOTH_LOST,), HYBRID, (OVER, DELETE), REPLICATION_ERROR, "new", "old", "new", "all hosts", LEASE),
    Row((BOTH_LOST,), LENIENT, CHANGES, SUCCESS, "new", "old", "new", "all hosts", LEASE),
    Row((KILLED_FIRST,), WITH_MASTER, CHANGES, "", "old", "old", "old", "", ""),
    Row((KILLED_BEFORE,), WITH_MASTER, CHANGES, "", "old", "old", "old", "all hosts", LEASE),
    Row((KILLED_AFTER,), WITH_MASTER, CHANGES, "", "new", "old", "old", "all hosts", LEASE),
    Row((KILLED_SENDING,), WITH_MASTER, CHANGES, "", "new", "new", "old or new", "all hosts", LEASE),
    Row((KILLED_LAST,), WITH_MASTER, CHANGES, "", "new", "new", "new", "all hosts", LEASE),
    Row((KILLED_UNDOING,), HYBRID, (NEW,), "", "new", "old", "new", "all hosts", LEASE),
    Row((KILLED_BETWEEN,), HYBRID, (NEW,), "", "old", "old", "new", "all hosts", LEASE),
    Row((KILLED_UNDONE,), HYBRID, (NEW,), "", "old", "old", "old", "all hosts", LEASE),
    Row((REFUSED, ERROR_500), DISTRIBUTED, (NEW,), REPLICATION_ERROR, "", "old", "old", "that host", SOON),
    Row((REFUSED, ERROR_500), DISTRIBUTED, (DELETE,), REPLICATION_ERROR, "", "old", "new", "that host", SOON),
    Row((REFUSED, ERROR_500), LENIENT_DISTRIBUTED, WITHOUT_OVER, SUCCESS, "", "old", "new", "that host", SOON),
    Row((HUNG, LOST, LATE), DISTRIBUTED, (NEW,), REPLICATION_ERROR, "", "old", "old", "that host", GRACE),
    Row((HUNG,), DISTRIBUTED, (DELETE,), REPLICATION_ERROR, "", "old", "new", "that host", GRACE),
    Row((HUNG,), LENIENT_DISTRIBUTED, WITHOUT_OVER, SUCCESS, "", "old", "new", "that host", GRACE),
    Row((LOST, LATE), DISTRIBUTED, (DELETE,), REPLICATION_ERROR, "", "new", "new", "that host", GRACE),
    Row((LOST, LATE), LENIENT_DISTRIBUTED, WITHOUT_OVER, SUCCESS, "", "new", "new", "that host", GRACE),
    Row((MOVE_BROKEN,), WITHOUT_MASTER, WITHOUT_OVER, SUCCESS, "", "new", "new", "", ""),
    Row((MISLED,), DISTRIBUTED, (NEW,), REPLICATION_ERROR, "", "old", "old", "that host", GRACE),
    Row((MISLED,), LENIENT_DISTRIBUTED, (NEW,), SUCCESS, "", "old", "new", "that host", GRACE),
    Row((MISLED,), WITHOUT_MASTER, (DELETE,), SUCCESS, "", "new", "new", "", ""),
    Row((HOST_FULL, UNTRIED), DISTRIBUTED, (NEW,), REPLICATION_ERROR, "", "old", "old", "", ""),
    Row((HOST_FULL, UNTRIED), LENIENT_DISTRIBUTED, (NEW,), SUCCESS, "", "old", "new", "that host", SOON),
    Row((UNTRIED,), DISTRIBUTED, (DELETE,), REPLICATION_ERROR, "", "old", "new", "that host", SOON),
    Row((UNTRIED,), LENIENT_DISTRIBUTED, (DELETE,), SUCCESS, "", "old", "new", "that host", SOON),
    Row((HOST_FULL,), WITHOUT_MASTER, (DELETE,), SUCCESS, "", "new", "new", "", ""),
    Row((NO_DATABASE,), WITHOUT_MASTER, WITHOUT_OVER, "`DatabaseError`", "", "old", "old", "", ""),
    Row((DATABASE_LOST,), WITHOUT_MASTER, WITHOUT_OVER, SUCCESS, "", "new", "new", "all hosts", LEASE),
    Row((BOTH_LOST,), DISTRIBUTED, (NEW,), REPLICATION_ERROR, "", "old", "old", "all hosts", LEASE),
    Row((BOTH_LOST,), DISTRIBUTED, (DELETE,), REPLICATION_ERROR, "", "old", "new", "all hosts", LEASE),
    Row((BOTH_LOST,), LENIENT_DISTRIBUTED, WITHOUT_OVER, REPLICATION_ERROR, "", "old", "new", "all hosts", LEASE),
    Row((KILLED_FIRST,), WITHOUT_MASTER, WITHOUT_OVER, "", "", "old", "old", "", ""),
    Row((KILLED_BEFORE,), WITHOUT_MASTER, WITHOUT_OVER, "", "", "old", "old", "all hosts", LEASE),
    Row((KILLED_SENDING,), WITHOUT_MASTER, WITHOUT_OVER, "", "", "new", "old or new", "all hosts", LEASE),
    Row((KILLED_AFTER, KILLED_LAST), WITHOUT_MASTER, WITHOUT_OVER, "", "", "new", "new", "all hosts", LEASE),
    Row((KILLED_UNDOING, KILLED_BETWEEN), DISTRIBUTED, (NEW,), "", "", "old", "new", "all hosts", LEASE),
    Row((KILLED_UNDONE,), DISTRIBUTED, (NEW,), "", "", "old", "old", "all hosts", LEASE),
]

CELLS = [(row, *cell) for row in TABLE for cell in product(row.failures, row.storages, row.changes)]


def is_possible(failure, storage, change):
    if failure in OF_THE_MASTER_COPY and storage in WITHOUT_MASTER:
        return False
    if change == OVER and storage in WITHOUT_MASTER:
        return False
    return failure not in WHILE_UNDOING or (storage in HYBRID + DISTRIBUTED and change == NEW)


def test_every_cell_is_in_the_table_once():
    everything = product(FAILURES, STORAGES, CHANGES)
    possible = {cell for cell in everything if is_possible(*cell)}
    assert Counter(cell[1:] for cell in CELLS) == Counter(possible)


HEAD = "| what failed | storage | change | the caller sees | the master copy | that host | other hosts | pending | repaired after |"


def line_in_docs(row):
    what = (
        " or ".join(row.failures),
        STORAGES_IN_DOCS[row.storages],
        "any" if row.changes in (CHANGES, WITHOUT_OVER) else ", ".join(row.changes),
    )
    cells = (*what, row.caller, row.master, row.host, row.others, row.pending, row.repaired)
    return "|" + "".join(f" {cell} |" if cell else " |" for cell in cells)


def test_documentation_shows_the_table():
    table = "\n".join([HEAD, "|" + "---|" * 9, *map(line_in_docs, TABLE)])
    assert f"\n{table}\n" in (ROOT / "docs" / "every-failure.md").read_text(), table


# Trying it.


class World:
    """A storage with two hosts, and one change of one file."""

    def __init__(self, storage, servers, change, patch):
        self.storage, self.servers, self.change, self.patch = storage, servers, change, patch
        self._child, self._forked = 0, threading.Event()

    def act(self):
        """Make the change, and return what the caller sees; wait for the hosts in any case."""
        try:
            if self.change == DELETE:
                self.storage.delete("a")
            else:
                self.storage.save("a", ContentFile(NEW_CONTENT))
        except ReplicationError:
            return REPLICATION_ERROR
        except DatabaseError:
            return "`DatabaseError`"
        except OSError:
            return "`OSError`"
        self.wait()
        return SUCCESS

    def wait(self, name="a"):
        """Return when the hosts are done with what was submitted."""
        self.storage._run(lambda host, name: None, self.storage.hosts, name)  # lanes are served in order

    def act_and_die(self, prepare):
        """Make the change in a process of its own, which does not live to the end."""
        connections.close_all()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # newer Pythons warn of any fork of a process with threads
            self._child = os.fork()
        if self._child == 0:
            try:
                prepare()
                self.act()
            finally:
                os._exit(1)
        self._forked.set()
        _, status = os.waitpid(self._child, 0)
        assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL
        return ""

    def kill(self):
        """Kill that process."""
        self.servers[0].on_applied = None  # once, as its number may be that of another one soon
        assert self._forked.wait(10)
        os.kill(self._child, signal.SIGKILL)

    def files(self):
        """What the master copy has, if there is one, and what each host has."""
        roots = [server.root if isinstance(server, MediaServer) else None for server in self.servers]
        hosts = [
            files_below(root) if root else dict(server.files) for root, server in zip(roots, self.servers, strict=True)
        ]
        is_alone = isinstance(self.storage, DistributedStorage)
        return hosts if is_alone else [files_below(Path(self.storage.location)), *hosts]

    def heal(self):
        """Let everything work again."""
        self.patch.undo()
        for server in self.servers:
            if isinstance(server, MediaServer):
                server.restart()
            else:
                server.on_applied = None
                server.heal()


@pytest.fixture(scope="module")
def _database(django_db_setup, django_db_blocker, tmp_path_factory):
    """A file, which a process that is killed has in common with this one."""
    setting = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(tmp_path_factory.mktemp("failures") / "db.sqlite3")}
    with django_db_blocker.unblock(), default_database(setting):
        call_command("migrate", verbosity=0)
        with django_db_blocker.block():
            yield


@pytest.fixture
def clock(monkeypatch):
    """The clock of the record and of the breakers."""
    clock = Clock()
    monkeypatch.setattr(health, "Breaker", partial(health.Breaker, clock, lambda low, high: 1))
    monkeypatch.setattr(leases, "clock", clock)
    monkeypatch.setattr(leases, "monotonic", clock)
    monkeypatch.setattr(leases, "retry_delay", lambda retries: 2.0**retries)
    monkeypatch.setattr(leases, "_unreachable", set())
    return clock


@pytest.fixture
def make_world(_database, settings, media_root, clock, resto_server_factory):
    """A function that makes a world as it is before the change."""
    patch = pytest.MonkeyPatch()

    def make(failure, storage, change, *servers):
        servers = [*servers, *(resto_server_factory(webdav=failure in OF_MOVES) for _ in range(2 - len(servers)))]
        backend, is_fatal = STORAGES[storage]
        options = {"fatal_exceptions": is_fatal, "timeout": 20}
        if storage not in WITHOUT_MASTER:
            options["allow_overwrite"] = True
        if failure in OF_MOVES:
            options |= {"transport": "webdav", "transport_options": {"publish": "move"}}
        settings.RESTO_MEDIA_HOSTS = [server.url for server in servers]
        settings.STORAGES = {"default": {"BACKEND": f"resto.storage.{backend}", "OPTIONS": options}}
        media_root.mkdir()
        world = World(storages["default"], servers, change, patch)
        for name, content in BEFORE[change].items():
            world.storage.save(name, ContentFile(content))
            world.wait(name)
        if failure in (HUNG, LATE):  # the others may be slow
            hung, *others = world.storage.hosts
            settings.RESTO_MEDIA_HOSTS = [{"url": hung, "timeout": 0.4}, *others]
        if failure == MISLED:  # a process that has just begun
            settings.RESTO_MEDIA_HOSTS = [*world.storage.hosts]
        if failure != UNTRIED:
            try_hosts(world.storage)
        return world

    yield make
    patch.undo()


def check(world, row, failure, change, clock, caplog):
    name = connection.settings_dict["NAME"]
    try:
        assert FAILURES[failure](world) == row.caller
    finally:
        world.heal()
        connection.settings_dict["NAME"] = name
    states = {"old": BEFORE[change], "new": AFTER[change]}
    expected = [state for state in (row.master, row.host, row.others) if state]
    for found, state in zip(world.files(), expected, strict=True):
        assert found in [states[one] for one in state.split(" or ")]
    hosts = {"": 0, "that host": 1, "all hosts": 2}[row.pending]
    assert sorted(Pending.objects.values_list("host", flat=True)) == sorted(world.storage.hosts[:hosts])
    if row.caller == SUCCESS and row.pending:
        assert caplog.records, "nobody would know"
    if row.repaired:
        clock.pass_(SECONDS[row.repaired] - 0.5)
        assert drain().claimed == 0
        clock.pass_(0.5)
        assert drain().done == hosts
    first, *others = world.files()
    assert others == [first] * len(others)
    assert Pending.objects.count() == 0


def each_of(cells):
    """One test of each; to Async it should be the same whether exceptions are fatal, which is for `make long`."""
    return pytest.mark.parametrize(
        ("row", "failure", "storage", "change"),
        [
            pytest.param(*cell, id=" - ".join(cell[1:]), marks=pytest.mark.long if cell[2] == "lenient Async" else ())
            for cell in cells
        ],
    )


@each_of(CELLS)
def test_cell(row, failure, storage, change, make_world, clock, caplog):
    check(make_world(failure, storage, change), row, failure, change, clock, caplog)


@each_of([cell for cell in CELLS if cell[1] == HOST_FULL])
def test_cell_with_nginx(row, failure, storage, change, make_world, start_server, clock, caplog):
    check(make_world(failure, storage, change, start_server("nginx")), row, failure, change, clock, caplog)
