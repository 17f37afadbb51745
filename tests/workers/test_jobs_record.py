"""Workers of a queue and the record: one of them and a drain do not make work for each other."""

import heapq
import io
import itertools
import logging
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.test import override_settings
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from resto import health
from resto.exceptions import HostUnavailableError, RemoteFileNotFoundError
from resto.executors.queue import QueueExecutor, retry_delay
from resto.models import Pending
from resto.record import leases
from resto.repair.drain import drain
from resto.transports import Transport
from resto.workers import perform


pytestmark = pytest.mark.django_db(transaction=True)

BUDGET = settings.default.max_examples

LEASE, GRACE = 300, 60


class QueueOfTheClock(QueueExecutor):
    """A queue in which messages wait for their turn, and those that are tried again for their time."""

    def __init__(self, *, queue):
        self.queue = queue

    def enqueue(self, message):
        self.queue.put(message)


class Queue:
    """Such a queue, the clock of the record, and a host that is up, refuses, or is silent and may do it all the same."""

    def __init__(self):
        self.now = 1_000_000.0
        self.messages, self.numbers = [], itertools.count()
        self.host, self.files, self.requests, self.looks = "up", {}, 0, 0
        self.late = []  # requests whose answers nobody has waited for

    def put(self, message, delay=0, retries=0):
        heapq.heappush(self.messages, (self.now + delay, next(self.numbers), retries, message))

    def work(self, *, leave=False):
        """Do what is next, as a worker does; or leave it in the queue, as for a worker that was killed. Return whether any was due."""
        if not self.messages or self.messages[0][0] > self.now:
            return False
        _, _, retries, message = self.messages[0] if leave else heapq.heappop(self.messages)
        health.forget()
        for again in perform(message).again:
            self.put(again, retry_delay(retries), retries + 1)
        return True

    def land(self):
        """Let the host carry out a request of which nobody knows what has become; it does so soon, or never."""
        if self.late:
            until, carry_out = self.late.pop(0)
            if self.now < until:
                carry_out()

    def work_off(self):
        while self.work():
            pass


class HostTransport(Transport):
    def __init__(self, base_url, *, timeout, queue):
        super().__init__(base_url, timeout=timeout)
        self.queue = queue

    def create(self, host, name, content):
        sent = content if isinstance(content, bytes) else content.read()
        return self._request(host, name, lambda: self.queue.files.update({name: sent}))

    def delete(self, host, name):
        return self._request(host, name, lambda: self.queue.files.pop(name, None))

    def size(self, host, name):
        found = []
        self._request(host, name, lambda: found.append(self.queue.files.get(name)), counted=False)
        if found[0] is None:
            raise RemoteFileNotFoundError(host, name, "size", "404")
        return len(found[0])

    def exists(self, host, name):
        raise NotImplementedError

    def open(self, host, name):
        self._request(host, name, lambda: None, counted=False)
        return io.BytesIO(self.queue.files[name])

    def _request(self, host, name, carry_out, *, counted=True):
        self.queue.requests += counted
        self.queue.looks += not counted
        if self.queue.host == "silent" and counted:
            self.queue.late.append((self.queue.now + GRACE, carry_out))
        if self.queue.host != "up":
            raise HostUnavailableError(host, name, "upload", "it is down", self.queue.host == "silent")
        carry_out()
        return True


@contextmanager
def opened(monkeypatch, caplog):
    queue = Queue()
    with tempfile.TemporaryDirectory() as location, monkeypatch.context() as patch:
        (Path(location) / "other").touch()  # else it could be a mount point
        options = {
            "location": location,
            "transport": HostTransport,
            "transport_options": {"queue": queue},
            "executor": QueueOfTheClock,
            "executor_options": {"queue": queue},
            "allow_overwrite": True,
        }
        patch.setattr(leases, "clock", lambda: queue.now)
        patch.setattr(leases, "monotonic", lambda: queue.now)
        Pending.objects.all().delete()
        caplog.set_level(logging.CRITICAL + 1, logger="resto")
        with override_settings(
            RESTO_MEDIA_HOSTS=["host"],
            STORAGES={"default": {"BACKEND": "resto.storage.AsyncStorage", "OPTIONS": options}},
            RESTO_LEASE=LEASE,
            RESTO_GRACE=GRACE,
        ):
            yield queue


@pytest.fixture
def queue(monkeypatch, caplog):
    with opened(monkeypatch, caplog) as queue:
        yield queue


def save(name="a"):
    storages["default"].save(name, ContentFile(name.encode()))


@pytest.mark.parametrize("host", ["refuses", "silent"])
def test_host_that_is_down_makes_no_more_work_the_longer_it_is(queue, host):
    save()
    queue.host = host
    rows, waiting = 0, 0
    for _ in range(720):  # two hours
        queue.work_off()
        drain()
        rows, waiting = max(rows, Pending.objects.count()), max(waiting, len(queue.messages))
        queue.now += 10
    assert rows == 1
    assert waiting <= 3  # what the drain has sent, and the retries that it has overtaken
    assert queue.requests < 80  # each message of a drain is soon tried again for a few times
    queue.host = "up"
    for _ in range(3):
        queue.now += 700
        drain()
        queue.work_off()
    assert (Pending.objects.count(), queue.messages, queue.files) == (0, [], {"a": b"a"})


@pytest.fixture
def long_queue(queue):
    for number in range(100):
        save(f"{number}")
    return queue


def is_equal(queue):
    return queue.files == {f"{number}": f"{number}".encode() for number in range(100)}


def test_queue_that_is_longer_than_a_lease_comes_to_its_end(long_queue):
    """It takes ten of them."""
    began = long_queue.now
    while Pending.objects.exists():
        long_queue.work()
        long_queue.now += 30
        drain(direct=False)
    assert long_queue.now - began == 3000
    long_queue.work_off()
    assert is_equal(long_queue)
    # It was handed three times what was in it already.
    assert long_queue.requests == 100
    # As often it is looked whether that is done; and where a lease has ended, whether it was sent all the same.
    assert long_queue.looks <= 400


def test_drain_does_what_rests_in_a_long_queue(long_queue):
    """After a lease it hands over what no worker had taken yet; two leases later it does that itself."""
    began = long_queue.now
    while Pending.objects.exists():
        long_queue.work()
        long_queue.now += 30
        drain()
    assert long_queue.now - began == 3 * LEASE
    assert is_equal(long_queue)
    long_queue.work_off()
    assert is_equal(long_queue)
    assert long_queue.requests == 100  # nothing was sent twice, whatever was in the queue


STEPS = st.sampled_from(
    [
        "save",
        "delete",
        "work",
        "work",
        "killed",
        "drain",
        "drain",
        "up",
        "refuses",
        "silent",
        "lands",
        1,
        20,
        70,
        310,
        1000,
    ]
)


def take(step, queue):
    if isinstance(step, int):
        queue.now += step
    elif step in ("up", "refuses", "silent"):
        queue.host = step
    else:
        steps = {
            "save": save,
            "delete": lambda: storages["default"].delete("a"),
            "work": queue.work,
            "killed": lambda: queue.work(leave=True),
            "drain": drain,
            "lands": queue.land,
        }
        steps[step]()


@settings(max_examples=BUDGET, suppress_health_check=[*HealthCheck])
@given(steps=st.lists(STEPS, max_size=30))
@example(["silent", "work", "up", 20, "work", "delete", "work", "lands"])  # what was tried again may still arrive
def test_all_comes_to_its_end_when_the_host_is_back(monkeypatch, caplog, steps):
    with opened(monkeypatch, caplog) as queue:
        for step in ["save", *steps]:
            take(step, queue)
        queue.host = "up"
        for _ in range(12):
            queue.work_off()
            drain()
            queue.now += 20_000  # as long as a queue is given at most
        master = Path(storages["default"].path("a"))
        assert queue.files == ({"a": master.read_bytes()} if master.exists() else {})
        assert (Pending.objects.count(), queue.messages) == (0, [])
