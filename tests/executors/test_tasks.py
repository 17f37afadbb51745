"""The executor of Django's Tasks framework, on the backends that come with it."""

from typing import ClassVar

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.db import OperationalError, connection

from resto.exceptions import ConfigurationError
from resto.executors import tasks
from resto.executors.tasks import TasksExecutor, task_backends
from resto.testing import TestHttpServer


FRAMEWORK = tasks.task_backends.__module__  # django.tasks, or the package of the same for Django 5.2
MESSAGE = {"storage": "default", "action": "upload", "hosts": ["media-1", "media-2"], "name": "a #?.txt", "record": ""}


class PriorityBackend(type(task_backends["default"])):
    """Has what the framework's own backends lack."""

    supports_priority = True
    supports_defer = True
    results: ClassVar = []

    def enqueue(self, task, args, kwargs):
        self.results.append((task, kwargs))


class PlainBackend(PriorityBackend):
    """Has as little as a backend may have."""

    supports_priority = False
    supports_defer = False


@pytest.fixture(autouse=True)
def backends(settings):
    settings.TASKS = {
        "default": {"BACKEND": f"{FRAMEWORK}.backends.dummy.DummyBackend", "QUEUES": []},
        "named": {"BACKEND": f"{FRAMEWORK}.backends.dummy.DummyBackend", "QUEUES": ["media"]},
        "at once": {"BACKEND": f"{FRAMEWORK}.backends.immediate.ImmediateBackend", "QUEUES": []},
        "plain": {"BACKEND": f"{__name__}.PlainBackend", "QUEUES": []},
        "complete": {"BACKEND": f"{__name__}.PriorityBackend", "QUEUES": []},
    }
    PriorityBackend.results.clear()
    return task_backends


def test_message_is_the_arguments_of_a_task(backends):
    TasksExecutor().enqueue(MESSAGE)
    [result] = backends["default"].results
    assert (result.args, result.kwargs) == ([], MESSAGE)
    assert result.task.module_path == "resto.workers.django_tasks.replicate"


def test_options_are_those_of_the_framework(backends):
    TasksExecutor(backend="complete", queue="media", priority=7).enqueue(MESSAGE)
    [(task, kwargs)] = PriorityBackend.results
    assert (task.backend, task.queue_name, task.priority, kwargs) == ("complete", "media", 7, MESSAGE)


def test_backend_with_named_queues(backends):
    TasksExecutor(backend="named", queue="media").enqueue(MESSAGE)
    assert len(backends["named"].results) == 1


def test_backend_without_the_default_queue(backends):
    TasksExecutor(backend="named").enqueue(MESSAGE)
    [result] = backends["named"].results
    assert result.task.queue_name == "media"


@pytest.mark.django_db
def test_backend_that_fails_does_not_break_the_transaction(monkeypatch):
    def fail(self, task, args, kwargs):
        connection.cursor().execute("SELECT * FROM no_such_table")

    monkeypatch.setattr(PriorityBackend, "enqueue", fail)
    with pytest.raises(OperationalError):
        TasksExecutor(backend="complete").enqueue(MESSAGE)
    assert connection.cursor().execute("SELECT 1").fetchone() == (1,)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"backend": "other"}, "other"),
        ({"backend": "named", "queue": "other"}, "Queue 'other' is not valid"),
        ({"backend": "plain", "priority": 7}, "does not support setting priority"),
        ({"backend": "complete", "priority": 700}, "priority must be a whole number"),
        ({"backend": "complete", "priority": "high"}, "wrong options of the executor 'tasks'"),
    ],
)
def test_wrong_options(options, problem):
    with pytest.raises(ConfigurationError, match=problem) as caught:
        TasksExecutor(**options)
    assert caught.value.code == "E007"
    assert "TASKS" in caught.value.hint


def test_immediate_backend_does_it_at_once(settings, media_root):
    with TestHttpServer(webdav=False) as server:
        settings.RESTO_MEDIA_HOSTS = [server.url]
        options = {"executor": "tasks", "executor_options": {"backend": "at once"}}
        settings.STORAGES = {"default": {"BACKEND": "resto.storage.AsyncStorage", "OPTIONS": options}}
        storages["default"].save("a", ContentFile(b"content"))
        assert server.get_file("a") == b"content"
