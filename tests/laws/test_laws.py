"""Laws that hold for any sequence, any failure and any interleaving of what is done to a storage."""

import tempfile
from contextlib import ExitStack, contextmanager, suppress
from math import inf
from pathlib import Path
from unittest.mock import ANY

import pytest
from django.core.files.base import ContentFile
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from kit.hosts import try_hosts
from kit.staging import Stage, StagedTransport, UnorderedExecutor
from resto import health
from resto.courses import WITH_OTHERS, finish, one_pass
from resto.exceptions import ReplicationError
from resto.master.copy import MasterCopy
from resto.storage import AsyncStorage, DistributedStorage, HybridStorage, replication
from resto.testing import TestHttpServer
from resto.transports.wire import ConnectionWire


BUDGET = settings.default.max_examples

NAMES = ["a.txt", "b", "d/a.txt", "d/e/à #?%.txt"]
CONTENTS = st.binary(max_size=20)


def files_below(directory):
    return {
        path.relative_to(directory).as_posix(): path.read_bytes()
        for path in Path(directory).rglob("*")
        if path.is_file()
    }


@contextmanager
def count_what_is_begun():
    begun = []
    take = ConnectionWire._take

    def watch(self):
        connection = take(self)
        if connection is not None:
            begun.append(connection)
        return connection

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ConnectionWire, "_take", watch)
        yield begun


# Any sequence of actions: a storage is a dictionary, and so is each host.


class StorageMachine(RuleBasedStateMachine):
    storage_class = HybridStorage
    server_options = None

    def __init__(self):
        super().__init__()
        self.stack = ExitStack()
        self.location = self.stack.enter_context(tempfile.TemporaryDirectory())
        self.servers = [self.stack.enter_context(TestHttpServer(**self.server_options)) for _ in range(2)]
        self.storage = self.make()
        self.files = {}

    def make(self, **options):
        if self.storage_class is not DistributedStorage:
            options["location"] = self.location
        transport = "webdav" if self.server_options["webdav"] else "http"
        hosts = [server.url for server in self.servers]
        return self.storage_class(hosts, "/media/", transport=transport, executor="inline", **options)

    def teardown(self):
        self.stack.close()

    @property
    def has_master(self):
        return self.storage_class is not DistributedStorage

    @rule(name=st.sampled_from(NAMES), content=CONTENTS)
    def save(self, name, content):
        saved = self.storage.save(name, ContentFile(content))
        assert (saved == name) is (name not in self.files)
        assert saved not in self.files
        self.files[saved] = content

    @rule(name=st.sampled_from(NAMES), content=CONTENTS)
    def save_over(self, name, content):
        if self.has_master:
            assert self.make(allow_overwrite=True).save(name, ContentFile(content)) == name
        elif name in self.files:
            with pytest.raises(FileExistsError):
                self.storage._save(name, ContentFile(content))
            return
        else:
            assert self.storage._save(name, ContentFile(content)) == name
        self.files[name] = content

    @precondition(lambda self: self.has_master)
    @rule(name=st.sampled_from(NAMES), content=CONTENTS, mode=st.sampled_from(["wb", "ab", "r+b", "xb"]))
    def write(self, name, content, mode):
        before = self.files.get(name)
        if before is None and mode == "r+b":
            with pytest.raises(FileNotFoundError):
                self.storage.open(name, mode)
            return
        if before is not None and mode == "xb":
            with pytest.raises(FileExistsError):
                self.storage.open(name, mode)
            return
        with self.storage.open(name, mode) as file:
            file.write(content)
        kept = {"ab": before or b"", "r+b": b""}.get(mode, b"")
        rest = (before or b"")[len(content) :] if mode == "r+b" else b""
        self.files[name] = kept + content + rest

    @rule(name=st.sampled_from(NAMES))
    def delete(self, name):
        self.storage.delete(name)
        self.files.pop(name, None)

    @rule(name=st.sampled_from(NAMES))
    def read(self, name):
        assert self.storage.exists(name) is (name in self.files)
        if name not in self.files:
            for read in (self.storage.open, self.storage.size):
                with pytest.raises(FileNotFoundError):
                    read(name)
            return
        assert self.storage.size(name) == len(self.files[name])
        with self.storage.open(name) as file:
            assert file.read() == self.files[name]

    @precondition(lambda self: self.has_master or self.server_options["webdav"])
    @rule(directory=st.sampled_from(["", "d", "d/e"]))
    def listdir(self, directory):
        prefix = f"{directory}/" if directory else ""
        below = [name.removeprefix(prefix) for name in self.files if name.startswith(prefix)]
        try:
            _, listed = self.storage.listdir(directory)
        except FileNotFoundError:
            listed = []
        assert sorted(listed) == sorted(name for name in below if "/" not in name)

    @invariant()
    def hosts_equal_the_model(self):
        for server in self.servers:
            assert server.files == self.files
        if self.has_master:
            assert files_below(self.location) == self.files


def machine(storage_class, server_options):
    name = f"{storage_class.__name__}Machine"
    found = type(name, (StorageMachine,), {"storage_class": storage_class, "server_options": server_options})

    class TestCase(found.TestCase):
        settings = settings(max_examples=max(BUDGET // 10, 1), stateful_step_count=20)

        def runTest(self):  # noqa: N802 - its name in unittest
            with count_what_is_begun() as begun:
                super().runTest()
            assert begun or storage_class is AsyncStorage  # the law holds for the fast path, too, as it is taken

    return TestCase


PLAIN, WEBDAV, IN_PLACE = {"webdav": False}, {"webdav": True}, {"webdav": True, "in_place": True}

TestHybridOverHttp = machine(HybridStorage, PLAIN)
TestHybridOverWebDAV = machine(HybridStorage, WEBDAV)
TestHybridOverWebDAVInPlace = machine(HybridStorage, IN_PLACE)
TestAsyncOverHttp = machine(AsyncStorage, PLAIN)
TestAsyncOverWebDAV = machine(AsyncStorage, WEBDAV)
TestAsyncOverWebDAVInPlace = machine(AsyncStorage, IN_PLACE)
TestDistributedOverHttp = machine(DistributedStorage, PLAIN)
TestDistributedOverWebDAV = machine(DistributedStorage, WEBDAV)
TestDistributedOverWebDAVInPlace = machine(DistributedStorage, IN_PLACE)


# Any failure: executors agree, every healthy host gets the file, every other one is named.


FAULTS = {
    "none": {},
    "refused": {"refuse": True},
    "reset": {"reset_after": 0},
    "lost answer": {"drop_answer": True},
    "hanging": {"hang": True},
    "500": {"refuse_code": 500},
    "full": {"disk_full": True},
    "read-only": {"readonly": True},
    "redirect": {"redirect": "http://127.0.0.1:9/"},
    "accepted": {"override_code": 202},
}
QUICK_FAULTS = sorted(set(FAULTS) - {"hanging"})


@pytest.fixture(scope="module")
def four_servers():
    with ExitStack() as stack:
        yield [stack.enter_context(TestHttpServer(webdav=False)) for _ in range(4)]


@contextmanager
def faults_on(servers, names, storage=None):
    health.forget()
    if storage is not None:  # which has known its hosts for a while
        try_hosts(storage)
    for server, name in zip(servers, names, strict=True):
        server.fault_methods = {"PUT"}
        for knob, value in FAULTS[name].items():
            setattr(server, knob, value)
    try:
        yield
    finally:
        for server in servers:
            server.heal()


@contextmanager
def storage_on(storage_class, servers, timeouts=None, **options):
    with tempfile.TemporaryDirectory() as location:
        if not issubclass(storage_class, DistributedStorage):
            options["location"] = location
        timeouts = timeouts or [0.3 if server.hang else 10 for server in servers]
        hosts = [{"url": server.url, "timeout": one} for server, one in zip(servers, timeouts, strict=True)]
        yield storage_class(hosts, "/media/", **options)


def outcomes_of_a_save(storage_class, servers, executor):
    """Save a file as "a", and tell what happened on each host."""
    found = []

    class Recording(storage_class):
        def _exists(self, host, name):
            return False  # where there is no master copy, hosts are asked first, and no save begins if none answers

        def execute(self, func, name, *args, **kwargs):
            try:
                outcomes = super().execute(func, name, *args, **kwargs)
            except ReplicationError as error:  # where no host is healthy, and there is no master copy
                found.extend(error.outcomes)
                raise
            found.extend(outcomes)
            return outcomes

    with storage_on(Recording, servers, executor=executor, fatal_exceptions=False) as storage, suppress(OSError):
        storage._save("a", ContentFile(b"content"))
    return [(outcome.host, type(outcome.error), getattr(outcome.error, "problem", None)) for outcome in found]


ALL_FAULTS = st.lists(st.sampled_from(QUICK_FAULTS), min_size=1, max_size=4)


@pytest.mark.parametrize("storage_class", [HybridStorage, DistributedStorage])
@settings(max_examples=max(BUDGET // 3, 1))
@given(faults=ALL_FAULTS)
@example(faults=["hanging", "none", "hanging", "none"])
@example(faults=["none"])
def test_executors_give_the_same_outcomes_and_every_healthy_host_gets_the_file(four_servers, storage_class, faults):
    servers = four_servers[: len(faults)]
    found = []
    for executor in ("inline", "thread"):
        with faults_on(servers, faults):
            found.append(outcomes_of_a_save(storage_class, servers, executor))
        for server, fault in zip(servers, faults, strict=True):
            assert fault != "none" or server.get_file("a") == b"content"
            if server.has_file("a"):
                server.delete_file("a")

    assert found[0] == found[1]
    assert [(host, error is type(None)) for host, error, _ in found[0]] == [
        (server.url, fault == "none") for server, fault in zip(servers, faults, strict=True)
    ]


@pytest.mark.parametrize("executor", ["inline", "thread"])
@pytest.mark.parametrize("storage_class", [HybridStorage, DistributedStorage])
@settings(max_examples=max(BUDGET // 4, 1))
@given(faults=ALL_FAULTS)
@example(faults=["none", "hanging"])
def test_fatal_save_happens_everywhere_or_names_who_failed_and_leaves_nothing(
    four_servers, storage_class, executor, faults
):
    servers = four_servers[: len(faults)]
    failing = [server.url for server, fault in zip(servers, faults, strict=True) if fault != "none"]
    timeouts = [0.3 if fault == "hanging" else 10 for fault in faults]
    with (
        storage_on(storage_class, servers, timeouts, executor=executor) as storage,
        faults_on(servers, faults, storage),
    ):
        if failing:
            with pytest.raises(ReplicationError) as caught:
                storage.save("a", ContentFile(b"content"))
            assert [outcome.host for outcome in caught.value.failures] == failing
            assert [host in str(caught.value) for host in failing] == [True] * len(failing)
            assert storage_class is DistributedStorage or storage.listdir("") == ([], [])
        else:
            storage.save("a", ContentFile(b"content"))

    expected = {} if failing else {"a": b"content"}
    for server in servers:
        assert server.files == expected
        if server.has_file("a"):
            server.delete_file("a")


# Any interleaving: two writers that know nothing of each other leave the hosts equal to the master copy.


class BeginningExecutor(UnorderedExecutor):
    """Begins all jobs before it waits for the first, and lets them wait for each other."""

    def run(self, jobs):
        with one_pass():
            courses = [job.carry_out() for job in jobs]
            for course in courses:
                assert next(course) is not None
            over = [over_before_the_others(course) for course in courses]
            return [outcome or finish(course) for outcome, course in zip(over, courses, strict=True)]


def over_before_the_others(course):
    """Go on with a course until it waits for the others; return its outcome if it does not."""
    try:
        while next(course) is not WITH_OTHERS:
            pass
    except StopIteration as stop:
        return stop.value


class StagedStorage(HybridStorage):
    def execute(self, func, name, *args, **kwargs):
        self.executor  # noqa: B018 - composed before the first turn
        self.transport.stage.pause()
        return super().execute(func, name, *args, **kwargs)


WRITES = {
    "save": lambda storage, content: storage.save("a", ContentFile(content)),
    "delete": lambda storage, content: storage.delete("a"),
    "append": lambda storage, content: append(storage, content),
}


def append(storage, content):
    with storage.open("a", "ab") as file:
        file.write(content)


SCRIPTS = st.lists(st.sampled_from(sorted(WRITES)), min_size=1, max_size=3)

SCENARIOS = st.fixed_dictionaries(
    {
        "hosts": st.integers(1, 2),
        "present": st.booleans(),
        "executor": st.sampled_from([UnorderedExecutor, BeginningExecutor]),
        "scripts": st.tuples(SCRIPTS, SCRIPTS),
        "schedule": st.lists(st.integers(0, 1), min_size=10, max_size=40),
    }
)


def play(scenario):
    """Play a scenario; return the master copy and the hosts as they are at the end."""
    stage, hosts = Stage(), {f"host-{number}": {} for number in range(scenario["hosts"])}
    with tempfile.TemporaryDirectory() as location:

        def make():
            return StagedStorage(
                list(hosts),
                "/media/",
                location,
                transport=StagedTransport,
                transport_options={"stage": stage, "hosts": hosts},
                executor=scenario["executor"],
                allow_overwrite=True,
            )

        if scenario["present"]:
            make().save("a", ContentFile(b"old"))

        def actor(number, script):
            storage = make()
            for step, write in enumerate(script):
                WRITES[write](storage, b"%d%d" % (number, step))

        scripts = enumerate(scenario["scripts"])
        stage.play(
            [lambda number=number, script=script: actor(number, script) for number, script in scripts],
            scenario["schedule"],
        )
        return files_below(location), list(hosts.values())


@settings(max_examples=2 * BUDGET)
@given(scenario=SCENARIOS)
def test_hosts_equal_the_master_copy_after_any_interleaving_of_two_writers(scenario):
    master, hosts = play(scenario)

    assert hosts == [master] * len(hosts)


def look_never_again(patch):
    patch.setattr(MasterCopy, "fingerprint", lambda self, name, proof=None: ANY)


def believe_a_look_of_before_the_answer(patch):
    look = replication.shared_fingerprint
    patch.setattr(replication, "are_in_one_pass", lambda: False)  # the first look is made before the last answer
    patch.setattr(replication, "shared_fingerprint", lambda master, name, proof, since: look(master, name, proof, -inf))


APPENDING = {"hosts": 1, "present": False, "executor": UnorderedExecutor}
BREAKING = {
    look_never_again: APPENDING | {"scripts": (["append"], ["append"]), "schedule": [0] * 2 + [1] * 3 + [0] * 5},
    believe_a_look_of_before_the_answer: APPENDING
    | {"scripts": (["append"] * 3, ["append"] * 3), "schedule": [0] * 3 + [1] + [0] * 2 + [1] * 7 + [0] + [1] * 2},
}


@pytest.mark.parametrize("break_it", BREAKING)
def test_the_law_of_interleavings_is_broken_if_nobody_looks_again(monkeypatch, break_it):
    """This is what makes the test above worth something."""
    master, hosts = play(BREAKING[break_it])
    assert hosts == [master] * len(hosts)

    break_it(monkeypatch)

    master, hosts = play(BREAKING[break_it])
    assert hosts != [master] * len(hosts)
