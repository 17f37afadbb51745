"""What executors of task queues have in common, with a queue that is a list."""

import json
import re
from typing import ClassVar

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from hypothesis import given
from hypothesis import strategies as st

from resto.exceptions import ConfigurationError
from resto.executors import Job, RemoteCall
from resto.executors.queue import MAX_RETRIES, QueueExecutor, retry_delay
from resto.storage import AsyncStorage, DistributedStorage, HybridStorage
from resto.testing import TestHttpServer


REMOTE = RemoteCall("default", "upload")
HOSTS = ["http://media-1.example.com/", "http://media-2.example.com/"]


class ListExecutor(QueueExecutor):
    """A queue without workers."""

    messages: ClassVar = []
    problem = None

    def enqueue(self, message):
        if self.problem:
            raise self.problem
        self.messages.append(message)


@pytest.fixture(autouse=True)
def executor(monkeypatch):
    monkeypatch.setattr(ListExecutor, "messages", [])
    monkeypatch.setattr(ListExecutor, "problem", None)
    return ListExecutor


@pytest.fixture
def storage(settings, media_root):
    settings.RESTO_MEDIA_HOSTS = HOSTS
    settings.STORAGES = {
        "default": {"BACKEND": "resto.storage.HybridStorage"},
        "queued": {"BACKEND": "resto.storage.AsyncStorage", "OPTIONS": {"executor": ListExecutor}},
    }
    return storages["queued"]


def job(host="media-1", name="a", action="upload", remote=REMOTE, outcomes=None):
    finished = None if outcomes is None else outcomes.append
    return Job(action, host, name, lambda: pytest.fail("it must not run here"), finished, remote=remote)


# What travels.


def test_each_change_of_a_storage_is_a_message(storage):
    storage.save("a", ContentFile(b"content"))
    with storage.open("a", "wb") as file:
        file.write(b"other content")
    storage.delete("a")
    assert ListExecutor.messages == [
        {"storage": "queued", "action": action, "hosts": HOSTS, "name": "a", "record": ""}
        for action in ("upload", "update", "remove")
    ]


def test_messages_are_small_json(storage):
    storage.save("à #?%.txt", ContentFile(b"x" * 1_000_000))
    text = json.dumps(ListExecutor.messages[0])
    assert json.loads(text) == ListExecutor.messages[0]
    assert len(text) < 300


def test_storages_of_one_alias_are_the_same_to_workers(storage):
    """Django makes two of them when two threads ask for one at the same time."""
    AsyncStorage(executor=ListExecutor).save("a", ContentFile(b""))
    assert ListExecutor.messages[0]["storage"] == "queued"


def test_alias_is_that_of_the_present_settings(storage, settings):
    storage.save("a", ContentFile(b""))
    settings.STORAGES = settings.STORAGES | {"other": settings.STORAGES["queued"]}
    del settings.STORAGES["queued"]
    settings.STORAGES = {**settings.STORAGES}
    storage.save("b", ContentFile(b""))
    assert [message["storage"] for message in ListExecutor.messages] == ["queued", "other"]


# What cannot travel.


@pytest.mark.parametrize("storage_class", [HybridStorage, DistributedStorage])
def test_storages_that_wait_are_refused(storage_class):
    storage = storage_class(HOSTS, "/media/", executor=ListExecutor)
    with pytest.raises(ConfigurationError, match=r"waits for its hosts.*Use AsyncStorage") as caught:
        storage.save("a", ContentFile(b""))
    assert caught.value.code == "E009"


def test_storage_outside_the_settings_is_refused_before_anything_is_written(storage, media_root):
    other = AsyncStorage(HOSTS, "/media/", executor=ListExecutor)
    with pytest.raises(ConfigurationError, match=r"workers find them by alias.*Add this storage to STORAGES") as caught:
        other.save("a", ContentFile(b""))
    assert caught.value.code == "E011"
    assert not media_root.exists()


def test_storage_with_positional_arguments_has_no_alias(settings, media_root):
    settings.STORAGES = {"default": {"BACKEND": "resto.storage.AsyncStorage", "OPTIONS": {"executor": ListExecutor}}}
    assert AsyncStorage(HOSTS, executor=ListExecutor).problems()[0].code == "E011"


class PurgingStorage(AsyncStorage):
    def purge(self, host, name):
        """Not one of the actions that travel."""


@pytest.mark.parametrize(
    "call",
    [
        lambda storage: storage.execute(storage.purge, "a"),
        lambda storage: storage.execute(storage.upload, "a", "argument"),
        lambda storage: storage.execute(AsyncStorage(HOSTS, "/media/").upload, "a"),
    ],
    ids=["other method", "arguments", "method of another storage"],
)
def test_other_calls_are_refused_and_logged(settings, media_root, caplog, call):
    settings.RESTO_MEDIA_HOSTS = HOSTS
    settings.STORAGES = {"default": {"BACKEND": f"{__name__}.PurgingStorage", "OPTIONS": {"executor": ListExecutor}}}
    call(storages["default"])
    assert ListExecutor.messages == []
    assert len(caplog.records) == len(HOSTS)
    for record, host in zip(caplog.records, HOSTS, strict=True):
        assert re.fullmatch(
            rf"Failed to (\w+) a on {host}\. \1 cannot be handed to a task queue\.", record.getMessage(), re.I
        )


# A queue that fails.


def test_queue_that_is_down_costs_neither_the_save_nor_the_file(storage, media_root, caplog):
    ListExecutor.problem = ConnectionError("nobody is there")
    assert storage.save("a", ContentFile(b"content")) == "a"
    assert (media_root / "a").read_bytes() == b"content"
    assert [record.getMessage() for record in caplog.records] == [
        f"Failed to upload a on {host}. The task queue did not take it: ConnectionError: nobody is there."
        for host in HOSTS
    ]


# Delays.


@given(st.integers(0, 10_000))
def test_delays_grow_up_to_ten_minutes(retries):
    expected = min(2.0 ** min(retries, 100), 600)
    assert 0.8 * expected <= retry_delay(retries) <= 1.2 * expected


def test_retries_go_on_for_hours():
    assert 2 * 3600 < sum(retry_delay(retries) for retries in range(MAX_RETRIES)) < 5 * 3600


# An AsyncStorage whose own settings do without a queue, for comparison.


def test_thread_executor_needs_no_alias(settings, media_root):
    with TestHttpServer(webdav=False) as server:
        storage = AsyncStorage([server.url], "/media/", executor="inline")
        storage.save("a", ContentFile(b"content"))
        assert server.get_file("a") == b"content"
