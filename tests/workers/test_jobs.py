"""What a worker does with a message: whatever it is, and whenever it comes."""

import json
import shutil
import tempfile
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import ClassVar
from unittest.mock import ANY

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.test import override_settings
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from kit.staging import Stage, StagedTransport
from resto import health
from resto.exceptions import JobRefusedError
from resto.executors import thread
from resto.executors.lanes import Lanes
from resto.executors.queue import QueueExecutor
from resto.master.copy import MasterCopy
from resto.storage import AsyncStorage
from resto.testing import TestHttpServer
from resto.workers import perform
from sites.workshop.site import files_below


BUDGET = settings.default.max_examples


class ListExecutor(QueueExecutor):
    """A queue whose messages wait until somebody takes them."""

    def __init__(self, *, messages):
        self.messages = messages

    def enqueue(self, message):
        self.messages.append(json.loads(json.dumps(message)))


def queued(messages, **options):
    """Settings of a storage that hands its jobs to a list."""
    options |= {"executor": ListExecutor, "executor_options": {"messages": messages}}
    return {"default": {"BACKEND": "resto.storage.AsyncStorage", "OPTIONS": options}}


@pytest.fixture
def servers(resto_server_factory):
    return [resto_server_factory(webdav=False) for _ in range(2)]


@pytest.fixture
def messages():
    return []


@pytest.fixture
def storage(settings, media_root, servers, messages):
    settings.RESTO_MEDIA_HOSTS = [server.url for server in servers]
    settings.STORAGES = queued(messages) | {"hybrid": {"BACKEND": "resto.storage.HybridStorage"}}
    return storages["default"]


@pytest.fixture
def message(storage, messages):
    storage.save("a", ContentFile(b"content"))
    return messages.pop()


# What it does.


def test_hosts_become_equal_to_the_master_copy(storage, messages, servers):
    storage.save("a", ContentFile(b"content"))
    assert [(outcome.ok, outcome.host) for outcome in perform(messages.pop()).outcomes] == [
        (True, host) for host in storage.hosts
    ]
    assert [server.files for server in servers] == [{"a": b"content"}] * 2

    storage.delete("a")
    perform(messages.pop())
    assert [server.files for server in servers] == [{}, {}]


def test_all_hosts_are_written_at_the_same_time(message, servers):
    """Through the thread executor: each host answers when the other has the request."""
    both = threading.Barrier(2)
    for server in servers:
        server.on_request = lambda method, path: both.wait(10)
    assert all(outcome.ok for outcome in perform(message).outcomes)


def test_state_at_the_time_counts(message, storage, servers):
    with storage.open("a", "wb") as file:
        file.write(b"other")
    perform(message)
    assert [server.files for server in servers] == [{"a": b"other"}] * 2


def test_host_that_fails_is_logged_and_can_be_tried_alone(message, servers, caplog):
    servers[0].refuse = True
    done = perform(message)
    assert [outcome.ok for outcome in done.outcomes] == [False, True]
    assert [record.getMessage() for record in caplog.records] == [
        f"Failed to upload a on {servers[0].url}. Connection refused."
    ]
    servers[0].refuse = False
    [again] = done.again
    assert again == {**message, "hosts": [servers[0].url]}
    perform(again)
    assert servers[0].files == {"a": b"content"}
    assert len(servers[1].requests) == 1


def test_several_hosts_that_fail_are_tried_one_by_one(message, servers):
    for server in servers:
        server.refuse = True
    assert [one["hosts"] for one in perform(message).again] == [[server.url] for server in servers]


def test_overridden_method_is_called(settings, message, messages, servers):
    settings.STORAGES = {
        **settings.STORAGES,
        "default": {**settings.STORAGES["default"], "BACKEND": f"{__name__}.Loud"},
    }
    Loud.calls = []
    perform(message)
    assert sorted(Loud.calls) == sorted((server.url, "a") for server in servers)


class Loud(AsyncStorage):
    calls: ClassVar = []

    def upload(self, host, name):
        self.calls.append((host, name))
        return super().upload(host, name)


# A master copy that is not there.


def unmount(path):
    shutil.rmtree(path)


def unmount_from_a_mount_point(path):
    shutil.rmtree(path)
    path.mkdir()


@pytest.mark.parametrize("go", [unmount, unmount_from_a_mount_point])
def test_missing_file_system_is_not_a_deletion(message, media_root, servers, caplog, go):
    perform(message)
    go(media_root)
    assert [type(outcome.error) for outcome in perform(message).outcomes] == [FileNotFoundError] * 2
    assert caplog.text.count("is it mounted? Nothing is deleted on its account") == 2
    assert [server.files for server in servers] == [{"a": b"content"}] * 2


def test_disk_that_fails_is_a_failure(message, media_root, servers):
    """As a shared disk does that has gone away."""
    shutil.rmtree(media_root)
    media_root.symlink_to(media_root)
    assert [type(outcome.error) for outcome in perform(message).outcomes] == [OSError] * 2
    assert len(perform(message).again) == 2


def test_deleting_the_last_file_is_a_deletion(storage, message, messages, servers, media_root):
    perform(message)
    storage.delete("a")
    assert list(media_root.iterdir()) == []
    assert all(outcome.ok for outcome in perform(messages.pop()).outcomes)
    assert [server.files for server in servers] == [{}, {}]


def test_deletion_waits_for_a_missing_directory(storage, message, messages, servers, media_root):
    perform(message)
    storage.delete("a")
    unmount(media_root)
    assert [type(outcome.error) for outcome in perform(messages.pop()).outcomes] == [FileNotFoundError] * 2


# What it refuses.


REFUSED = {
    "foreign storage": ({"storage": "other"}, "STORAGES of this worker has no 'other'; it has default, hybrid"),
    "storage that waits": ({"storage": "hybrid"}, "STORAGES['hybrid'] is not an AsyncStorage"),
    "storage of another type": ({"storage": ["default"]}, "has no ['default']"),
    "other method": ({"action": "delete"}, "'delete' is not one of the actions remove, update, upload"),
    "private method": ({"action": "__reduce__"}, "'__reduce__' is not one of the actions"),
    "action of another type": ({"action": {}}, "{} is not one of the actions"),
    "foreign host": ({"hosts": ["http://169.254.169.254/"]}, "'http://169.254.169.254/' is not a host of the storage"),
    "no host": ({"hosts": []}, "[] is not a list of hosts"),
    "host of another type": ({"hosts": [1]}, "[1] is not a list of hosts"),
    "one host": ({"hosts": "http://media-1"}, "'http://media-1' is not a list of hosts"),
    "path out of the master copy": ({"name": "../secret"}, "'../secret' leads out of its directory by '..'"),
    "absolute path": ({"name": "/etc/passwd"}, "'/etc/passwd' is an absolute path"),
    "directory": ({"name": "d/"}, "'d/' is not the name of a file"),
    "temporary file": ({"name": ".resto-1"}, "a name of resto's own files"),
    "other spelling": ({"name": "d//a"}, "'d//a' is not the name of a file"),
    "empty name": ({"name": ""}, "must not be empty"),
    "long name": ({"name": "x" * 300}, "..."),
    "long path": ({"name": "/".join(["x" * 200] * 50)}, "is not the name of a file"),
    "name of another type": ({"name": 1}, "1 is not the name of a file"),
    "record of another type": ({"record": None}, "None does not name rows of the record"),
    "something more": ({"eta": 1}, "it has ['action', 'eta', 'hosts', 'name', 'record', 'storage']"),
}


@pytest.mark.parametrize(("change", "problem"), REFUSED.values(), ids=REFUSED)
def test_message_made_by_hand_is_refused_and_logged(message, servers, caplog, change, problem):
    with pytest.raises(JobRefusedError) as caught:
        perform({**message, **change})
    assert problem in str(caught.value)
    assert [record.getMessage() for record in caplog.records] == [f"Refused a job: {caught.value}."]
    assert [server.requests for server in servers] == [[], []]


def test_host_twice_is_refused(message):
    with pytest.raises(JobRefusedError, match="has a host twice"):
        perform({**message, "hosts": message["hosts"][:1] * 2})


@pytest.mark.parametrize("key", ["storage", "action", "hosts", "name", "record"])
def test_message_that_lacks_something_is_refused(message, key):
    del message[key]
    with pytest.raises(JobRefusedError, match="and should have"):
        perform(message)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["default", "upload", "a"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from(["storage", "action", "hosts", "name", "x"]), JSON))
def test_any_other_message_is_refused(storage, servers, message):
    with pytest.raises(JobRefusedError) as caught:
        perform(message)
    assert len(str(caught.value)) < 1_000
    assert [server.requests for server in servers] == [[], []]


# Any order, duplication, or loss and redelivery of jobs.


NAMES = ["a.txt", "d/b"]
CONTENTS = st.binary(max_size=20)


class QueueMachine(RuleBasedStateMachine):
    """Saves, deletes and rewrites on one side; on the other a queue that is as careless as a queue may be."""

    def __init__(self):
        super().__init__()
        self.stack = ExitStack()
        self.location = Path(self.stack.enter_context(tempfile.TemporaryDirectory()))
        (self.location / "other").touch()  # else it could be a mount point
        self.servers = [self.stack.enter_context(TestHttpServer(webdav=False)) for _ in range(2)]
        self.messages = []
        hosts = [server.url for server in self.servers]
        self.stack.enter_context(
            override_settings(
                RESTO_MEDIA_HOSTS=hosts,
                STORAGES=queued(self.messages, location=str(self.location), allow_overwrite=True),
            )
        )
        self.storage = storages["default"]

    @rule(name=st.sampled_from(NAMES), content=CONTENTS)
    def save(self, name, content):
        self.storage.save(name, ContentFile(content))

    @rule(name=st.sampled_from(NAMES))
    def delete(self, name):
        self.storage.delete(name)

    @rule(name=st.sampled_from(NAMES), content=CONTENTS)
    def append(self, name, content):
        with self.storage.open(name, "ab") as file:
            file.write(content)

    @precondition(lambda self: self.messages)
    @rule(data=st.data(), twice=st.booleans())
    def deliver(self, data, twice):
        """In any order, and perhaps again later."""
        number = data.draw(st.integers(0, len(self.messages) - 1))
        message = self.messages[number] if twice else self.messages.pop(number)
        self.messages += perform(message).again

    @precondition(lambda self: self.messages)
    @rule(data=st.data(), down=st.sets(st.integers(0, 1), min_size=1), answer=st.booleans())
    def deliver_while_hosts_fail(self, data, down, answer):
        """Refusing, or doing it and losing the answer."""
        for number in down:
            self.servers[number].refuse, self.servers[number].drop_answer = not answer, answer
        self.deliver(data, twice=False)
        for number in down:
            self.servers[number].heal()

    @precondition(lambda self: self.messages)
    @rule(data=st.data())
    def lose_the_worker(self, data):
        """It is killed when the first host has its file; the queue hands out the message again later."""
        message = self.messages[data.draw(st.integers(0, len(self.messages) - 1))]
        perform({**message, "hosts": message["hosts"][:1]})

    def teardown(self):
        try:
            health.forget()  # the workers start again
            while self.messages:
                message = self.messages.pop()
                assert perform(message).again == []
            expected = {name: content for name, content in files_below(self.location).items() if name != "other"}
            assert [dict(server.files) for server in self.servers] == [expected] * 2
        finally:
            self.stack.close()


TestAnyDelivery = QueueMachine.TestCase
TestAnyDelivery.settings = settings(max_examples=max(BUDGET // 3, 1), stateful_step_count=20)


# The same with two workers at once, whose requests travel when a schedule lets them.


STEPS = st.lists(
    st.tuples(st.sampled_from(["save", "delete", "append"]), st.binary(max_size=3)), min_size=1, max_size=4
)
SCENARIOS = st.fixed_dictionaries(
    {
        "hosts": st.integers(1, 2),
        "steps": STEPS,
        "orders": st.lists(st.integers(0, 9), min_size=8, max_size=8),
        "duplicates": st.integers(0, 2),
        "schedule": st.lists(st.integers(0, 2), min_size=10, max_size=60),
    }
)


def play(scenario):
    """Let one process change files while two workers do the jobs; return the master copy and the hosts at the end."""
    stage, hosts, messages = Stage(), {f"host-{number}": {} for number in range(scenario["hosts"])}, []
    with ExitStack() as stack:
        location = stack.enter_context(tempfile.TemporaryDirectory())
        (Path(location) / "other").touch()  # else it could be a mount point
        options = {"transport": StagedTransport, "transport_options": {"stage": stage, "hosts": hosts}}
        stack.enter_context(
            override_settings(
                RESTO_MEDIA_HOSTS=list(hosts),
                STORAGES=queued(messages, location=location, allow_overwrite=True, **options),
            )
        )
        storage, orders = storages["default"], iter(scenario["orders"] * 10)
        assert storage.problems() == []

        def write():
            for step, content in scenario["steps"]:
                stage.pause()
                if step == "save":
                    storage.save("a", ContentFile(content))
                elif step == "delete":
                    storage.delete("a")
                else:
                    with storage.open("a", "ab") as file:
                        file.write(content)
                messages.extend(messages[-1:] * scenario["duplicates"])

        def work():
            for _ in range(4):
                stage.pause()
                if messages:
                    perform(messages.pop(next(orders) % len(messages)))

        stage.play([write, work, work], scenario["schedule"])
        while messages:
            perform(messages.pop())
        return files_below(Path(location)).get("a"), [files.get("a") for files in hosts.values()]


@pytest.fixture
def separate_processes(monkeypatch):
    """Workers that know nothing of each other's lanes."""
    lanes = threading.local()

    def process_lanes():
        return vars(lanes).setdefault("lanes", Lanes())

    monkeypatch.setattr(thread, "process_lanes", process_lanes)


@settings(max_examples=BUDGET)
@given(scenario=SCENARIOS)
def test_hosts_equal_the_master_copy_after_any_interleaving_of_two_workers(separate_processes, scenario):
    master, hosts = play(scenario)

    assert hosts == [master] * len(hosts)


# Found by a search, and made small: a worker's upload arrives after that of a later state.
BREAKING = {
    "hosts": 1,
    "steps": [("save", b"")] * 3 + [("save", b"\x00")],
    "orders": [0] * 8,
    "duplicates": 0,
    "schedule": [0, 0, 0, 0, 2, 2],
}


def test_the_law_of_workers_is_broken_if_they_do_not_look_again(separate_processes, monkeypatch):
    """This is what makes the test above worth something."""
    master, hosts = play(BREAKING)
    assert hosts == [master]

    monkeypatch.setattr(MasterCopy, "fingerprint", lambda self, name, proof=None: ANY)
    master, hosts = play(BREAKING)
    assert hosts != [master]
