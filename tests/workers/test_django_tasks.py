"""The task of Django's Tasks framework, called in this process; `test_live_queues.py` has a real worker."""

from types import SimpleNamespace

import pytest
from django.core.files.storage import storages
from django.utils import timezone

from resto.exceptions import JobRefusedError, ReplicationError
from resto.executors import tasks
from resto.executors.queue import MAX_RETRIES
from resto.workers import django_tasks
from resto.workers.django_tasks import MAX_RETRIES_AT_ONCE, replicate


FRAMEWORK = tasks.task_backends.__module__
DUMMY = f"{FRAMEWORK}.backends.dummy.DummyBackend"
IMMEDIATE = f"{FRAMEWORK}.backends.immediate.ImmediateBackend"


class PlainBackend(type(tasks.task_backends["default"])):
    """Cannot do a task later."""

    supports_defer = False

    def enqueue(self, task, args, kwargs):
        pytest.fail("tests replace it")


@pytest.fixture
def servers(resto_server_factory):
    return [resto_server_factory(webdav=False) for _ in range(3)]


@pytest.fixture
def message(settings, media_root, servers):
    media_root.mkdir()
    (media_root / "a").write_bytes(b"content")
    settings.TASKS = {
        "default": {"BACKEND": DUMMY, "QUEUES": []},
        "plain": {"BACKEND": f"{__name__}.PlainBackend", "QUEUES": []},
    }
    settings.RESTO_MEDIA_HOSTS = [server.url for server in servers]
    settings.STORAGES = {"default": {"BACKEND": "resto.storage.AsyncStorage"}}
    return {
        "storage": "default",
        "action": "upload",
        "hosts": list(storages["default"].hosts),
        "name": "a",
        "record": "",
    }


def call(message, backend="default", retries=0, **changes):
    """Do what a worker does with a message."""
    task = replicate.using(backend=backend, **changes)
    replicate.func(SimpleNamespace(task_result=SimpleNamespace(task=task)), retries=retries, **message)


def sent():
    return [(result.task, result.kwargs) for result in tasks.task_backends["default"].results]


def test_task_replicates_to_all_hosts(message, servers):
    call(message)
    assert [server.files for server in servers] == [{"a": b"content"}] * 3
    assert sent() == []


def test_hosts_that_fail_get_tasks_of_their_own(message, servers):
    servers[0].refuse = servers[2].refuse = True
    before = timezone.now()
    call(message, retries=3, queue_name="media")
    after = timezone.now()
    found = sent()
    assert [kwargs for _, kwargs in found] == [
        {**message, "hosts": [servers[number].url], "retries": 4} for number in (0, 2)
    ]
    for task, _ in found:
        assert task.queue_name == "media"
        assert (task.run_after - before).total_seconds() >= 6
        assert (task.run_after - after).total_seconds() <= 10


def test_no_host_is_asked_again_sooner_than_it_wants(message, servers):
    servers[0].refuse_code, servers[0].retry_after = 429, "100"
    servers[1].refuse = True
    before = timezone.now()
    call(message)
    after = timezone.now()
    later, soon = (task.run_after for task, _ in sent())
    assert (later - before).total_seconds() >= 100
    assert (later - after).total_seconds() <= 100
    assert (soon - after).total_seconds() <= 2


def test_hosts_that_fail_too_often_are_given_up(message, servers):
    servers[0].refuse = True
    with pytest.raises(ReplicationError, match="failed on 1 of 3 hosts"):
        call(message, retries=MAX_RETRIES)
    assert sent() == []


def test_backend_that_cannot_wait_tries_again_at_once(message, servers, monkeypatch):
    calls = []
    monkeypatch.setattr(
        PlainBackend, "enqueue", lambda self, task, args, kwargs: calls.append((task.run_after, kwargs))
    )
    servers[0].refuse = True
    call(message, backend="plain")
    assert calls == [(None, {**message, "hosts": [servers[0].url], "retries": 1})]
    with pytest.raises(ReplicationError):
        call(message, backend="plain", retries=MAX_RETRIES_AT_ONCE)
    assert len(calls) == 1


@pytest.mark.parametrize("retries", [-1, "x", None])
def test_wrong_number_of_retries_is_refused(message, retries):
    with pytest.raises(JobRefusedError):
        call(message, retries=retries)


def test_refused_message_is_not_tried_again(message):
    with pytest.raises(JobRefusedError):
        call({**message, "storage": "foreign"})
    assert sent() == []


@pytest.mark.parametrize(
    ("backends", "expected"),
    [
        ({"default": {"BACKEND": DUMMY}}, {"backend": "default", "queue_name": "default"}),
        ({"default": {"BACKEND": DUMMY, "QUEUES": []}}, {"backend": "default", "queue_name": "default"}),
        ({"default": {"BACKEND": DUMMY, "QUEUES": ["b", "a"]}}, {"backend": "default", "queue_name": "a"}),
        ({"other": {"BACKEND": IMMEDIATE, "QUEUES": ["b"]}}, {"backend": "other", "queue_name": "b"}),
    ],
)
def test_task_is_made_for_what_is_there(settings, backends, expected):
    settings.TASKS = backends
    assert django_tasks._somewhere() == expected
