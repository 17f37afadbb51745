"""The Celery task, called in this process; `workers/test_live_queues.py` has real workers."""

import importlib
import importlib.util

import pytest
from celery.exceptions import Reject, Retry
from django.core.files.storage import storages
from django.db import DatabaseError

import resto.tasks
from resto.exceptions import JobRefusedError, ReplicationError
from resto.executors.queue import MAX_RETRIES


@pytest.fixture
def sent(make_celery_app, monkeypatch):
    """The messages that are sent to the app of this process."""
    messages = []
    task = make_celery_app("memory://").tasks["resto.replicate"]
    monkeypatch.setattr(
        type(task), "apply_async", lambda self, args, kwargs, **options: messages.append((args, kwargs, options))
    )
    return messages


@pytest.fixture
def servers(resto_server_factory):
    return [resto_server_factory(webdav=False) for _ in range(3)]


@pytest.fixture
def message(settings, media_root, servers):
    media_root.mkdir()
    (media_root / "a").write_bytes(b"content")
    settings.RESTO_MEDIA_HOSTS = [server.url for server in servers]
    settings.STORAGES = {"default": {"BACKEND": "resto.storage.AsyncStorage"}}
    return {
        "storage": "default",
        "action": "upload",
        "hosts": list(storages["default"].hosts),
        "name": "a",
        "record": "",
    }


@pytest.fixture
def call(sent):
    """A function that does what a worker does with a message."""

    def call_task(message, **request):
        task = resto.tasks.replicate._get_current_object()
        task.push_request(args=(), kwargs=message, called_directly=False, **request)
        try:
            return task.run(**message)
        finally:
            task.pop_request()

    return call_task


def test_task_replicates_to_all_hosts(call, message, servers, sent):
    call(message)
    assert [server.files for server in servers] == [{"a": b"content"}] * 3
    assert sent == []


def test_task_is_as_durable_as_celery_has_it(sent):
    task = resto.tasks.replicate
    assert (task.acks_late, task.reject_on_worker_lost, task.ignore_result) == (True, True, True)
    assert (task.name, task.serializer) == ("resto.replicate", "json")


def test_hosts_that_fail_get_tasks_of_their_own(call, message, servers, sent):
    servers[0].refuse = servers[2].refuse = True
    call(message, retries=3, delivery_info={"exchange": "", "routing_key": "media", "priority": 4})
    assert [(args, kwargs["hosts"]) for args, kwargs, _ in sent] == [((), [servers[number].url]) for number in (0, 2)]
    assert len({options["task_id"] for *_, options in sent}) == 2
    for _, kwargs, options in sent:
        assert kwargs == {**message, "hosts": kwargs["hosts"]}
        assert (options["retries"], options["queue"], options["priority"]) == (4, "media", 4)
        assert options["expires"] is None
        assert 6.4 <= options["countdown"] <= 9.6  # seconds: 2 to the third, with jitter


@pytest.mark.parametrize(("wanted", "expected"), [("60", 60), ("3600", 600), ("1", 6.4), ("soon", 6.4)])
def test_no_host_is_asked_again_sooner_than_it_wants(call, message, servers, sent, wanted, expected):
    servers[0].refuse_code, servers[0].retry_after = 503, wanted
    call(message, retries=3)
    [(_, _, options)] = sent
    assert expected <= options["countdown"] <= max(expected, 9.6)


def test_hosts_that_fail_too_often_are_given_up(call, message, servers, sent):
    servers[0].refuse = True
    with pytest.raises(ReplicationError, match="failed on 1 of 3 hosts"):
        call(message, retries=MAX_RETRIES)
    assert sent == []


def test_broker_that_is_down_keeps_the_task(call, message, servers, monkeypatch):
    def fail(*args, **kwargs):
        raise ConnectionError("no broker")

    monkeypatch.setattr(type(resto.tasks.replicate._get_current_object()), "apply_async", fail)
    servers[0].refuse = True
    with pytest.raises(Reject) as caught:
        call(message)
    assert caught.value.requeue


def test_database_that_is_down_is_tried_again(call, message, sent, monkeypatch):
    def fail(message):
        raise DatabaseError("gone")

    monkeypatch.setattr(resto.tasks, "perform", fail)
    with pytest.raises(Retry):
        call(message)
    [(_, kwargs, options)] = sent
    assert kwargs == message
    assert options["retries"] == 1


def test_refused_message_is_not_tried_again(call, message, sent):
    with pytest.raises(JobRefusedError):
        call({**message, "storage": "foreign"})
    assert sent == []


def test_positional_arguments_are_refused(sent, message):
    with pytest.raises(JobRefusedError):
        resto.tasks.replicate.run("default", **message)


def test_other_task_queues_may_import_it_without_celery(monkeypatch):
    """They look for modules of this name, too."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    spec = importlib.util.spec_from_file_location("resto_tasks_without_celery", resto.tasks.__file__)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.__all__ == []
    assert not hasattr(module, "replicate")


# Of a schedule.


@pytest.mark.parametrize("name", ["resto.drain", "resto.sync"])
@pytest.mark.parametrize("queue", ["media", None])
def test_scheduled_task_goes_where_workers_are(settings, media_root, make_celery_app, name, queue):
    app = make_celery_app("memory://")
    options = {
        "hosts": ["http://media-1/"],
        "executor": "celery",
        "executor_options": {"queue": queue} if queue else {},
    }
    settings.STORAGES = {
        "local": {"BACKEND": "resto.storage.HybridStorage", "OPTIONS": {"hosts": ["http://media-2/"]}},
        "default": {"BACKEND": "resto.storage.AsyncStorage", "OPTIONS": options},
    }
    app.tasks[name].apply_async()
    app.tasks[name].apply_async(queue="other")
    for expected in (queue or "celery", "other"):
        with app.connection_for_read() as connection:
            message = connection.SimpleQueue(expected).get(block=False)
            assert message.headers["task"] == name
            message.ack()


def test_scheduled_tasks_are_acknowledged_early_and_drains_expire(make_celery_app):
    tasks = make_celery_app("memory://", task_acks_late=True).tasks
    assert (tasks["resto.drain"].acks_late, tasks["resto.sync"].acks_late) == (False, False)
    assert (tasks["resto.drain"].expires, tasks["resto.sync"].expires) == (600, None)


@pytest.mark.parametrize("name", ["drain", "sync"])
def test_scheduled_task_does_it(monkeypatch, sent, name):
    done = []
    monkeypatch.setattr(resto.tasks, f"{name}_all", lambda: done.append(name))
    getattr(resto.tasks, name)()
    assert done == [name]
