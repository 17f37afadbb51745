"""The bundled executors keep their contracts."""

import os

import pytest
import rq
from kombu import Connection, Queue
from redis import Redis

from kit.servers import ADDRESS, free_port
from resto.courses import are_in_one_pass
from resto.executors import Job, tasks
from resto.executors.celery import CeleryExecutor
from resto.executors.inline import InlineExecutor
from resto.executors.rq import RqExecutor
from resto.executors.tasks import TasksExecutor
from resto.executors.thread import ThreadExecutor
from resto.testing import ExecutorContract, QueueExecutorContract


FRAMEWORK = tasks.task_backends.__module__


class OnePass:
    def test_jobs_go_over_all_hosts_in_one_pass(self, executor):
        """Which the contract does not promise: an executor may do without courses."""
        seen = []

        def course():
            seen.append(are_in_one_pass())
            return
            yield

        executor.run([Job("upload", f"media-{number}", "a", int, course=course) for number in range(3)])
        assert seen == [True] * 3


class TestThreadExecutor(ExecutorContract, OnePass):
    @pytest.fixture
    def executor(self):
        return ThreadExecutor()


class TestInlineExecutor(ExecutorContract, OnePass):
    test_submit_does_not_wait = None
    test_hosts_do_not_wait_for_each_other = None
    test_lanes_do_not_hold_up_each_other = None

    @pytest.fixture
    def executor(self):
        return InlineExecutor()


class TestRqExecutor(QueueExecutorContract):
    @pytest.fixture
    def executor_and_messages(self, redis_server):
        name = f"queue-{os.urandom(4).hex()}"
        with Redis.from_url(redis_server.url) as redis:
            queue = rq.Queue(name, connection=redis)

            def take():
                messages = [job.kwargs for job in queue.jobs]
                queue.empty()
                return messages

            yield RqExecutor(url=redis_server.url, queue=name), take

    @pytest.fixture
    def executor_without_queue(self):
        return RqExecutor(url=f"redis://{ADDRESS}:{free_port()}/0")


class TestCeleryExecutor(QueueExecutorContract):
    @pytest.fixture
    def executor_and_messages(self, make_celery_app, redis_server):
        make_celery_app(redis_server.url)
        name = f"queue-{os.urandom(4).hex()}"
        with Connection(redis_server.url) as connection:
            queue = Queue(name)(connection.default_channel)

            def take():
                return [message.decode()[1] for message in iter(lambda: queue.get(no_ack=True), None)]

            yield CeleryExecutor(queue=name), take

    @pytest.fixture
    def executor_without_queue(self, make_celery_app):
        make_celery_app(f"redis://{ADDRESS}:{free_port()}/0")
        return CeleryExecutor()


class TestTasksExecutor(QueueExecutorContract):
    @pytest.fixture
    def executor_and_messages(self, settings):
        settings.TASKS = {"default": {"BACKEND": f"{FRAMEWORK}.backends.dummy.DummyBackend", "QUEUES": []}}
        executor = TasksExecutor()
        results = tasks.task_backends["default"].results

        def take():
            messages = [result.kwargs for result in results]
            results.clear()
            return messages

        return executor, take

    @pytest.fixture
    def executor_without_queue(self, executor_and_messages, monkeypatch):
        def fail(*args, **kwargs):
            raise ConnectionError("the backend is down")

        executor, _ = executor_and_messages
        monkeypatch.setattr(type(tasks.task_backends["default"]), "enqueue", fail)
        return executor
