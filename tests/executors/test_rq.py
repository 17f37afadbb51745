"""The executor of rq, on a real Redis: what it puts into the queue, and what it does when there is no Redis."""

import json
import pickle
import traceback

import pytest
import rq
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.db import transaction
from redis import Redis, Sentinel
from rq.serializers import JSONSerializer

from kit.servers import ADDRESS, free_port
from resto.exceptions import ConfigurationError
from resto.executors import Job, RemoteCall
from resto.executors.queue import MAX_RETRIES
from resto.executors.rq import RqExecutor


MESSAGE = {"storage": "default", "action": "upload", "hosts": ["media-1", "media-2"], "name": "a #?.txt", "record": ""}


@pytest.fixture
def redis(redis_server):
    with Redis.from_url(redis_server.url) as connection:
        connection.flushdb()
        yield connection


@pytest.fixture
def jobs(redis):
    """A function that returns the jobs that are in a queue."""
    return lambda name="default", **options: rq.Queue(name, connection=redis, **options).jobs


def test_message_is_the_arguments_of_a_function_of_the_worker(redis_server, jobs):
    RqExecutor(url=redis_server.url).enqueue(MESSAGE)
    [job] = jobs()
    assert (job.func_name, job.args, job.kwargs) == ("resto.workers.rq.replicate", (), MESSAGE)
    assert job.description == "upload 'a #?.txt'"


def test_what_is_in_redis_is_names(redis_server, jobs, redis):
    """Not even a class: a pickle of texts, lists and dictionaries, that JSON could hold."""
    RqExecutor(url=redis_server.url).enqueue(MESSAGE)
    [job] = jobs()
    data = job.serializer.loads(job.data)
    assert json.loads(json.dumps(data)) == ["resto.workers.rq.replicate", None, [], MESSAGE]
    assert b"resto.storage" not in b"".join(redis.hvals(job.key))


def test_jobs_are_retried_for_hours_by_default(redis_server, jobs):
    RqExecutor(url=redis_server.url).enqueue(MESSAGE)
    [job] = jobs()
    assert job.retries_left == len(job.retry_intervals) == MAX_RETRIES
    assert job.retry_intervals[0] < 3
    assert job.retry_intervals[-1] > 400


@pytest.mark.parametrize(
    ("retry", "expected"),
    [
        ({"max": 3, "interval": [1, 2, 3]}, (3, [1, 2, 3])),
        (rq.Retry(2, 5), (2, [5])),
        (4, (4, [0])),
        (0, (None, None)),
    ],
)
def test_retries_can_be_chosen(redis_server, jobs, retry, expected):
    RqExecutor(url=redis_server.url, retry=retry).enqueue(MESSAGE)
    [job] = jobs()
    assert (job.retries_left, job.retry_intervals) == expected


def test_queue_timeout_and_priority_are_those_of_rq(redis_server, jobs):
    queue = "other"
    RqExecutor(url=redis_server.url, queue=queue).enqueue({**MESSAGE, "name": "late"})
    RqExecutor(url=redis_server.url, queue=queue, timeout="1h", priority=True).enqueue({**MESSAGE, "name": "early"})
    early, late = jobs(queue)
    assert (early.kwargs["name"], early.timeout) == ("early", 3600)
    assert (late.kwargs["name"], late.timeout) == ("late", rq.Queue.DEFAULT_TIMEOUT)


def test_connection_in_place_of_a_url(redis, jobs):
    RqExecutor(connection=redis).enqueue(MESSAGE)
    assert len(jobs()) == 1


def test_url_can_be_a_credential(settings, redis_server, jobs):
    settings.RESTO_SECRETS = {"queue": redis_server.url}
    executor = RqExecutor(url="queue")
    executor.enqueue(MESSAGE)
    assert len(jobs()) == 1
    assert not executor.has_literal_credentials


@pytest.mark.parametrize("url", ["redis://:secret@localhost/0", "redis://localhost/0?password=secret"])
def test_password_in_a_url_is_a_literal_credential(url):
    assert RqExecutor(url=url).has_literal_credentials


# django-rq.


@pytest.fixture
def django_rq(redis_server, configure_django_rq):
    queues = {"media": {"URL": redis_server.url, "DEFAULT_TIMEOUT": 77}}
    configure_django_rq(queues)
    return queues


def test_queue_of_django_rq(django_rq, jobs):
    RqExecutor(queue="media").enqueue(MESSAGE)
    [job] = jobs("media")
    assert (job.kwargs, job.timeout) == (MESSAGE, 77)


def test_queue_of_django_rq_keeps_its_serializer(django_rq, jobs):
    django_rq["media"]["SERIALIZER"] = "rq.serializers.JSONSerializer"
    RqExecutor(queue="media").enqueue(MESSAGE)
    [job] = jobs("media", serializer=JSONSerializer)
    assert job.kwargs == MESSAGE
    assert json.loads(job.data)[3] == MESSAGE


@pytest.mark.django_db(transaction=True)
def test_job_does_not_wait_for_the_end_of_a_transaction(django_rq, jobs):
    """The file stays in the master copy, even if the transaction is rolled back."""
    with transaction.atomic():
        RqExecutor(queue="media").enqueue(MESSAGE)
        transaction.set_rollback(True)
    assert len(jobs("media")) == 1


# What is wrong.


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({}, "does not know the Redis of queue 'default'"),
        ({"url": "redis://localhost", "connection": Redis()}, "'url' or 'connection', not both"),
        ({"url": "http://localhost"}, "not the URL of a Redis"),
        ({"url": 6379}, "not the URL of a Redis"),
        ({"url": "localhost:6379"}, "has no scheme"),
        ({"url": "redis://[", "queue": "media"}, "not the URL of a Redis"),
        ({"url": "redis://localhost", "queue": None}, "'queue': None"),
        ({"url": "redis://localhost", "queue": ["a"]}, "'queue'"),
        ({"url": "redis://localhost", "priority": "low"}, "'priority': 'low'"),
        ({"connection": "redis://localhost"}, "'connection' is not a redis.Redis"),
        ({"url": "queue"}, "no credential of the name that is given as 'url'"),
        ({"url": "redis://localhost", "retry": -1}, "'retry': max: please enter a value greater than 0"),
        ({"url": "redis://localhost", "retry": {"maximum": 3}}, "'retry'"),
        ({"url": "redis://localhost", "retry": "often"}, "'retry'"),
        ({"url": "redis://localhost", "timeout": "soon"}, "'timeout'"),
    ],
)
def test_wrong_options(options, problem):
    with pytest.raises(ConfigurationError, match=problem) as caught:
        RqExecutor(**options)
    assert caught.value.code == "E007"
    assert caught.value.hint


def test_error_names_the_queues_of_django_rq(django_rq):
    with pytest.raises(ConfigurationError, match="queue 'medai'; django-rq has media"):
        RqExecutor(queue="medai")


@pytest.mark.parametrize(
    "url",
    [
        "http://:hunter2@localhost",
        "redis://:hunter2/2@localhost/0",
        "redis://:hunter2℀@localhost",
        ":hunter2@localhost:6379/0",
    ],
)
def test_wrong_url_is_not_shown(settings, url):
    """Nor by the errors that led to it: parsers of URLs quote what they do not like."""
    settings.RESTO_SECRETS = {"queue": url}
    for option in ("queue", url):
        with pytest.raises(ConfigurationError) as caught:
            RqExecutor(url=option)
        assert "hunter2" not in "".join(traceback.format_exception(caught.value))


# No Redis.


@pytest.fixture
def make_storage(settings, media_root):
    def make(**options):
        settings.RESTO_MEDIA_HOSTS = ["http://media-1.example.com/"]
        options = {"executor": "rq", "executor_options": options}
        settings.STORAGES = {"default": {"BACKEND": "resto.storage.AsyncStorage", "OPTIONS": options}}
        return storages["default"]

    return make


def test_refused(make_storage, media_root, caplog):
    port = free_port()
    assert make_storage(url=f"redis://{ADDRESS}:{port}").save("a", ContentFile(b"content")) == "a"
    assert (media_root / "a").read_bytes() == b"content"
    [record] = caplog.records
    assert record.getMessage() == (
        "Failed to upload a on http://media-1.example.com/. The task queue did not take it: "
        f"ConnectionError: Error 111 connecting to {ADDRESS}:{port}. Connection refused."
    )


@pytest.mark.parametrize("how", ["url", "connection", "django-rq"])
def test_silent_redis_is_waited_for_once(make_storage, settings, silent, caplog, how, request):
    """Whoever made the connection, and whatever they had in mind for other things."""
    settings.RESTO_TIMEOUT = 0.3
    url = f"redis://{ADDRESS}:{silent.port}"
    if how == "django-rq":
        request.getfixturevalue("django_rq")["media"]["URL"] = url
    options = {"url": {"url": url}, "connection": {"connection": Redis.from_url(url)}, "django-rq": {"queue": "media"}}
    storage = make_storage(**options[how])
    assert storage.save("a", ContentFile(b"content")) == "a"
    assert silent.connections() == 1
    assert "The task queue did not take it: TimeoutError" in caplog.text


def test_connection_through_sentinel_is_left_as_it_is():
    connection = Sentinel([(ADDRESS, 1)]).master_for("media")
    assert RqExecutor(connection=connection)._queue.connection is connection


def test_unix_socket(tmp_path):
    """The class of the connection is kept, whatever it is."""
    executor = RqExecutor(url=f"unix://{tmp_path}/redis.sock?db=1")
    pool = executor._queue.connection.connection_pool
    assert pool.connection_class.__name__ == "UnixDomainSocketConnection"
    assert pool.connection_kwargs["path"] == f"{tmp_path}/redis.sock"


# No secrets.


def test_storage_with_a_password_in_its_options_does_not_pickle(make_storage):
    storage = make_storage(url="redis://:secret@localhost/0")
    with pytest.raises(pickle.PicklingError, match="hold a credential; put it into RESTO_SECRETS"):
        pickle.dumps(storage)


def test_submitting_is_the_same(redis_server, jobs):
    jobs_ = [
        Job("upload", host, "a #?.txt", lambda: None, remote=RemoteCall("default", "upload"))
        for host in MESSAGE["hosts"]
    ]
    RqExecutor(url=redis_server.url).submit(jobs_)
    assert [job.kwargs for job in jobs()] == [MESSAGE]
