"""The executor for Huey: its contract, its options, and a worker that does what it gets."""

import os
import subprocess
import sys
import textwrap
import time

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from huey.contrib.djhuey import HUEY

from resto.exceptions import HostUnavailableError, JobRefusedError, ReplicationError
from resto.executors.queue import MAX_RETRIES
from resto.plugins import get_plugin_manager
from resto.testing import QueueExecutorContract
from resto_example_plugins.huey_executor import HueyExecutor


@pytest.fixture(autouse=True)
def _empty_queue():
    HUEY.flush()


def take():
    """Take all tasks from the queue."""
    tasks = []
    while task := HUEY.dequeue():
        tasks.append(task)
    return tasks


class TestHuey(QueueExecutorContract):
    @pytest.fixture
    def executor_and_messages(self):
        return HueyExecutor(), lambda: [task.args[0] for task in take()]

    @pytest.fixture
    def executor_without_queue(self, monkeypatch):
        def refuse(task):
            raise ConnectionRefusedError("no queue")

        monkeypatch.setattr(HUEY, "enqueue", refuse)
        return HueyExecutor()


def test_plugin_is_found_by_name():
    assert get_plugin_manager().executor("huey") is HueyExecutor


@pytest.mark.parametrize("app", ["huey.contrib.djhuey", "resto_example_plugins"])
def test_workers_would_not_find_the_task(settings, app):
    settings.INSTALLED_APPS = [one for one in settings.INSTALLED_APPS if one != app]
    settings.STORAGES = {
        "default": {"BACKEND": "resto.storage.AsyncStorage", "OPTIONS": {"hosts": ["m"], "executor": "huey"}}
    }
    (problem,) = storages["default"].problems()
    assert problem.code == "E007"
    assert str(problem) == (
        f"workers of Huey would not find resto's task: INSTALLED_APPS lacks {app} (Add it to INSTALLED_APPS.)"
    )


@pytest.fixture
def server(resto_server_factory):
    return resto_server_factory()


@pytest.fixture
def storage(settings, tmp_path, server):
    settings.MEDIA_ROOT = tmp_path
    options = {"hosts": [server.url], "transport": "webdav", "executor": "huey"}
    settings.STORAGES = {"default": {"BACKEND": "resto.storage.AsyncStorage", "OPTIONS": options}}
    return storages["default"]


def test_worker_sends_the_file(storage, server):
    storage.save("d/a.txt", ContentFile(b"1"))
    assert dict(server.files) == {}
    (task,) = take()
    HUEY.execute(task)
    assert dict(server.files) == {"d/a.txt": b"1"}
    assert take() == []


def test_host_that_fails_is_tried_again_later(storage, server):
    storage.save("a.txt", ContentFile(b"1"))
    server.refuse = True
    (task,) = take()
    HUEY.execute(task)
    (later,) = take()
    assert later.eta is not None
    assert later.args == ({**task.args[0], "hosts": [server.url]}, 1)
    server.refuse = False
    later.execute()
    assert dict(server.files) == {"a.txt": b"1"}


def test_host_that_fails_is_given_up(storage, server):
    storage.save("a.txt", ContentFile(b"1"))
    server.refuse = True
    (task,) = take()
    task.args = (task.args[0], MAX_RETRIES)
    with pytest.raises(ReplicationError) as caught:
        task.execute()
    assert isinstance(caught.value.__cause__, HostUnavailableError)
    assert take() == []


def test_message_of_another_kind_is_refused(storage):
    storage.save("a.txt", ContentFile(b"1"))
    (task,) = take()
    task.args = ({**task.args[0], "action": "url"},)
    with pytest.raises(JobRefusedError):
        task.execute()


SITE = """
    SECRET_KEY = "for tests only"
    INSTALLED_APPS = ["huey.contrib.djhuey", "resto_example_plugins"]
    HUEY = {{"huey_class": "huey.SqliteHuey", "filename": "queue.sqlite3", "immediate": False}}
    MEDIA_ROOT, MEDIA_URL = "media", "/media/"
    STORAGES = {{"default": {{"BACKEND": "resto.storage.AsyncStorage", "OPTIONS": {{
        "hosts": ["{url}"], "transport": "webdav", "executor": "huey"}}}}}}
"""


def test_worker_of_a_site(tmp_path, server):
    """One process saves, and Huey's own worker, in another one, sends the file."""
    (tmp_path / "huey_site.py").write_text(textwrap.dedent(SITE).format(url=server.url))
    django = [sys.executable, "-m", "django"]
    options = {
        "cwd": tmp_path,
        "env": os.environ
        | {"PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path]), "DJANGO_SETTINGS_MODULE": "huey_site"},
    }
    save = "from django.core.files.storage import storages as s; from django.core.files.base import ContentFile as C"
    program = f"import django; django.setup(); {save}; s['default'].save('a.txt', C(b'content'))"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=300, **options)
    worker = subprocess.Popen([*django, "run_huey"], stderr=subprocess.DEVNULL, **options)
    try:
        deadline = time.monotonic() + 30
        while not server.has_file("a.txt"):
            assert worker.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)  # a worker of Huey does not tell what it has done
    finally:
        worker.terminate()
        worker.wait(30)
    assert server.files["a.txt"] == b"content"
