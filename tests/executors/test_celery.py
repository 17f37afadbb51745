"""The executor of Celery, on real brokers: what it sends, and what it does when there is none."""

import json
import os
import socket
import subprocess
import sys
import time

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from kombu import Connection, Queue

from kit.servers import ADDRESS, free_port
from resto.exceptions import ConfigurationError
from resto.executors.celery import CeleryExecutor
from resto.testing import TestHttpServer


MESSAGE = {"storage": "default", "action": "upload", "hosts": ["media-1", "media-2"], "name": "a #?.txt", "record": ""}


@pytest.fixture(params=["redis_server", "rabbitmq"])
def broker(request):
    return request.getfixturevalue(request.param).url


@pytest.fixture
def received(broker):
    """A function that returns the messages of a queue."""

    def receive(queue):
        with Connection(broker) as connection:
            bound = Queue(queue)(connection.default_channel)
            return list(iter(lambda: bound.get(no_ack=True), None))

    return receive


@pytest.fixture
def queue(request):
    return f"queue-{os.urandom(4).hex()}"


def test_message_is_the_arguments_of_a_task(make_celery_app, broker, received, queue):
    make_celery_app(broker)
    CeleryExecutor(queue=queue).enqueue(MESSAGE)
    [message] = received(queue)
    assert message.headers["task"] == "resto.replicate"
    assert message.headers["ignore_result"]
    assert message.content_type == "application/json"
    args, kwargs, _ = json.loads(message.body)
    assert (args, kwargs) == ([], MESSAGE)


def test_options_are_those_of_apply_async(make_celery_app, broker, received, queue):
    make_celery_app(broker)
    CeleryExecutor(queue=queue, priority=7, expires=60).enqueue(MESSAGE)
    [message] = received(queue)
    assert message.properties["priority"] == 7
    assert message.headers["expires"]


def test_routes_of_the_app_count(make_celery_app, broker, received, queue):
    make_celery_app(broker).conf.task_routes = {"resto.*": {"queue": queue}}
    CeleryExecutor().enqueue(MESSAGE)
    assert len(received(queue)) == 1


def test_connection_that_died_in_the_meantime(make_celery_app, broker, received, queue):
    make_celery_app(broker)
    executor = CeleryExecutor(queue=queue)
    executor.enqueue(MESSAGE)
    with executor._open_producers().acquire() as producer:
        channel = producer.channel
        sockets = [channel.connection.sock] if broker.startswith("amqp") else [channel.client.connection_pool]
        for one in sockets:
            one.shutdown(socket.SHUT_RDWR) if hasattr(one, "shutdown") else one.disconnect()
    executor.enqueue(MESSAGE)
    assert len(received(queue)) == 2


def test_forked_child_has_connections_of_its_own(make_celery_app, broker, received, queue):
    make_celery_app(broker)
    executor = CeleryExecutor(queue=queue)
    executor.enqueue(MESSAGE)
    pool = executor._open_producers()
    assert executor._open_producers() is pool
    executor._producers = os.getpid() + 1, pool
    assert executor._open_producers() is not pool


@pytest.mark.parametrize("options", [{"queue": ["a"]}, {"priority": "high"}, {"expires": "1h"}])
def test_wrong_options(make_celery_app, options):
    make_celery_app("memory://")
    with pytest.raises(ConfigurationError, match=f"'{next(iter(options))}'") as caught:
        CeleryExecutor(**options)
    assert caught.value.code == "E007"


# No broker, or no app.


@pytest.fixture
def storage(settings, media_root):
    settings.RESTO_MEDIA_HOSTS = ["http://media-1.example.com/"]
    options = {"executor": "celery"}
    settings.STORAGES = {"default": {"BACKEND": "resto.storage.AsyncStorage", "OPTIONS": options}}
    return storages["default"]


@pytest.mark.parametrize("scheme", ["redis", "amqp"])
def test_refused(make_celery_app, storage, media_root, caplog, scheme):
    """Left alone, Celery tries for six seconds."""
    make_celery_app(f"{scheme}://{ADDRESS}:{free_port()}//")
    started = time.monotonic()
    assert storage.save("a", ContentFile(b"content")) == "a"
    assert time.monotonic() - started < 5
    assert (media_root / "a").read_bytes() == b"content"
    [record] = [record for record in caplog.records if record.name == "resto"]
    assert "Failed to upload a on http://media-1.example.com/. The task queue did not take it: " in record.getMessage()
    assert "Connection refused." in record.getMessage()


@pytest.mark.parametrize("scheme", ["redis", "amqp"])
def test_silent_broker_is_waited_for_once(make_celery_app, settings, silent, storage, caplog, scheme):
    """Left alone, Celery waits for a silent Redis for ever."""
    settings.RESTO_TIMEOUT = 0.3
    make_celery_app(f"{scheme}://{ADDRESS}:{silent.port}//")
    assert storage.save("a", ContentFile(b"content")) == "a"
    assert silent.connections() == 1
    assert "The task queue did not take it: " in caplog.text


def test_no_app():
    """Celery makes one up, whose broker nobody has chosen."""
    code = "from resto.executors.celery import CeleryExecutor; CeleryExecutor()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert "ConfigurationError: the executor 'celery' found no Celery app (Import the site's app" in done.stderr


def test_eager_app_does_it_at_once(make_celery_app, storage, settings):
    """As the tests of sites do."""
    make_celery_app(f"redis://{ADDRESS}:{free_port()}//").conf.task_always_eager = True
    with TestHttpServer(webdav=False) as server:
        settings.RESTO_MEDIA_HOSTS = [server.url]
        storage.save("a", ContentFile(b"content"))
        assert server.get_file("a") == b"content"


def test_eager_app_does_not_try_again(make_celery_app, storage, settings, caplog):
    make_celery_app(f"redis://{ADDRESS}:{free_port()}//").conf.task_always_eager = True
    with TestHttpServer(webdav=False) as server:
        server.refuse_code = 500
        settings.RESTO_MEDIA_HOSTS = [server.url]
        assert storage.save("a", ContentFile(b"content")) == "a"
        assert len(server.requests) == 1
    assert "Failed to upload a on" in caplog.text
