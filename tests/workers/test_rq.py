"""What a worker of rq does, in this process and in others."""

import time

import pytest
import rq
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from redis import Redis
from rq.registry import FailedJobRegistry, ScheduledJobRegistry
from rq.scheduler import RQScheduler

from resto.exceptions import JobRefusedError, ReplicationError
from resto.workers.rq import DjangoWorker, replicate
from sites.workshop.site import files_below, wait_until


@pytest.fixture
def redis(redis_server):
    with Redis.from_url(redis_server.url) as connection:
        yield connection


@pytest.fixture
def servers(resto_server_factory):
    return [resto_server_factory(webdav=False) for _ in range(3)]


@pytest.fixture
def make_storage(settings, media_root, servers, redis_server, queue):
    def make(**options):
        settings.RESTO_MEDIA_HOSTS = [server.url for server in servers]
        options = {"executor": "rq", "executor_options": {"url": redis_server.url, "queue": queue, **options}}
        settings.STORAGES = {"default": {"BACKEND": "resto.storage.AsyncStorage", "OPTIONS": options}}
        return storages["default"]

    return make


class Worker(rq.SimpleWorker):
    """Leaves the signals of this process alone."""

    def _install_signal_handlers(self):
        pass


@pytest.fixture
def work(redis, queue):
    """A function that does in this process what is in the queue."""
    return lambda: Worker([queue], connection=redis).work(burst=True, logging_level="WARNING")


@pytest.fixture
def waiting(redis, queue):
    """A function that returns the jobs that wait for their time."""

    def find():
        registry = ScheduledJobRegistry(queue, connection=redis)
        return [rq.job.Job.fetch(found, connection=redis) for found in registry.get_job_ids()]

    return find


@pytest.fixture
def failed(redis, queue):
    """A function that returns the jobs that rq has given up."""

    def find():
        registry = FailedJobRegistry(queue, connection=redis)
        return [rq.job.Job.fetch(found, connection=redis) for found in registry.get_job_ids()]

    return find


def test_job_replicates_to_all_hosts(make_storage, servers, work):
    make_storage().save("a", ContentFile(b"content"))
    work()
    assert [server.files for server in servers] == [{"a": b"content"}] * 3


def test_hosts_that_fail_get_jobs_of_their_own(make_storage, servers, work, waiting, failed, redis, queue, caplog):
    redis.set(RQScheduler.get_locking_key(queue), "a scheduler")
    make_storage(retry={"max": 3, "interval": [100, 200, 300]}, timeout=77).save("a", ContentFile(b"content"))
    servers[0].refuse = servers[2].refuse = True
    work()
    assert servers[1].files == {"a": b"content"}
    assert sorted(job.kwargs["hosts"] for job in waiting()) == sorted([[servers[0].url], [servers[2].url]])
    for job in waiting():
        assert (job.retries_left, job.retry_intervals, job.timeout) == (2, [100, 200, 300], 77)
        assert job.description == "upload 'a'"
    assert failed() == []
    assert "scheduler" not in caplog.text


def test_host_that_fails_alone_is_tried_again_by_rq(make_storage, servers, work, waiting, failed, redis, queue):
    redis.set(RQScheduler.get_locking_key(queue), "a scheduler")
    make_storage(retry={"max": 2, "interval": [0, 100]}).save("a", ContentFile(b"content"))
    servers[0].refuse_code = 500
    work()
    [job] = waiting()
    assert (job.kwargs["hosts"], job.retries_left) == ([servers[0].url], 0)
    assert failed() == []
    assert len(servers[0].requests) == 2


def test_hosts_that_fail_too_often_are_left_to_people(make_storage, servers, work, failed):
    make_storage(retry=1).save("a", ContentFile(b"content"))
    servers[0].refuse = servers[1].refuse = True
    work()
    assert sorted(job.kwargs["hosts"] for job in failed()) == sorted([[servers[0].url], [servers[1].url]])
    assert "ReplicationError: upload of 'a' failed on 1 of 1 host" in failed()[0].latest_result().exc_string


def test_no_retries(make_storage, servers, work, failed):
    make_storage(retry=0).save("a", ContentFile(b"content"))
    servers[0].refuse = True
    work()
    [job] = failed()
    assert len(job.kwargs["hosts"]) == 3  # so that a person can requeue it as it was
    assert "ReplicationError: upload of 'a' failed on 1 of 3 hosts" in job.latest_result().exc_string


def test_retry_that_nobody_would_schedule_is_warned_of(make_storage, servers, work, waiting, queue, caplog):
    make_storage(retry={"max": 3, "interval": 60}).save("a", ContentFile(b"content"))
    servers[0].refuse = True
    work()
    assert len(waiting()) == 1
    assert (
        f"The retry waits for a scheduler of the queue {queue}. Start a worker with one: rq worker --with-scheduler"
        in [record.getMessage() for record in caplog.records]
    )


@pytest.mark.parametrize("interval", [0, 5, 100])
def test_no_host_is_asked_again_sooner_than_it_wants(
    make_storage, servers, work, waiting, redis, queue, caplog, interval
):
    make_storage(retry={"max": 3, "interval": interval}).save("a", ContentFile(b"content"))
    servers[0].refuse_code, servers[0].retry_after = 503, "60"
    before = time.time()
    work()
    [job] = waiting()
    assert job.retries_left == 2
    scheduled = ScheduledJobRegistry(queue, connection=redis).get_scheduled_time(job).timestamp()
    assert int(before) <= scheduled - max(60, interval) <= time.time()
    assert "waits for a scheduler" in caplog.text


def test_refused_message_is_not_tried_again(make_storage, work, failed):
    make_storage().executor.enqueue(
        {"storage": "foreign", "action": "upload", "hosts": ["media-1"], "name": "a", "record": ""}
    )
    work()
    [job] = failed()
    assert "JobRefusedError: STORAGES of this worker has no 'foreign'" in job.latest_result().exc_string


def test_positional_arguments_are_refused(make_storage, media_root):
    make_storage()
    with pytest.raises(JobRefusedError, match=r"it has \['args'\]"):
        replicate("default", "upload", ["media-1"], "a")


def test_function_can_be_called_by_hand(make_storage, servers):
    storage = make_storage()
    storage.save("a", ContentFile(b"content"))
    message = {"storage": "default", "action": "upload", "hosts": list(storage.hosts), "name": "a", "record": ""}
    replicate(**message)
    assert servers[2].files == {"a": b"content"}
    servers[0].refuse = True
    with pytest.raises(ReplicationError, match="failed on 1 of 3 hosts"):
        replicate(**message)


def test_synchronous_queue_of_django_rq(make_storage, settings, servers, redis_server, configure_django_rq, queue):
    """As the tests of sites have it."""
    configure_django_rq({queue: {"URL": redis_server.url, "ASYNC": False}})
    make_storage()
    options = {"executor": "rq", "executor_options": {"queue": queue}}
    settings.STORAGES = {"default": {"BACKEND": "resto.storage.AsyncStorage", "OPTIONS": options}}
    storages["default"].save("a", ContentFile(b"content"))
    assert [server.files for server in servers] == [{"a": b"content"}] * 3


def test_django_worker_has_loaded_all_before_it_forks(make_storage, redis, queue):
    storage = make_storage()
    assert storage._composition is None
    worker = DjangoWorker([queue], connection=redis)
    assert worker.queue_names() == [queue]
    assert storage._composition is not None


def test_django_worker_does_not_load_what_is_no_storage_of_resto(make_storage, settings, redis, queue):
    make_storage()
    broken = {"BACKEND": "mysite.storage.Missing"}
    settings.STORAGES = {**settings.STORAGES, "staticfiles": broken}
    assert DjangoWorker([queue], connection=redis).queue_names() == [queue]


# In processes of their own.


def test_plain_worker_needs_nothing_but_the_settings(open_workshop, hosts, redis_server, queue, equal):
    workshop, storage = open_workshop(
        hosts.urls, {"executor": "rq", "executor_options": {"url": redis_server.url, "queue": queue}}
    )
    workshop.rq(redis_server.url, queue)
    storage.save("a.txt", ContentFile(b"a"))
    storage.save("b.txt", ContentFile(b"b"))
    storage.delete("a.txt")
    equal(workshop, hosts)


def test_worker_of_django_rq(open_workshop, hosts, redis_server, queue, equal, configure_django_rq):
    queues = {queue: {"URL": redis_server.url}}
    configure_django_rq(queues)
    options = {"executor": "rq", "executor_options": {"queue": queue}}
    workshop, storage = open_workshop(hosts.urls, options, apps=["django_rq"], RQ_QUEUES=queues)
    workshop.manage("rqworker", queue, ready="Listening on")
    storage.save("a.txt", ContentFile(b"a"))
    equal(workshop, hosts)


def test_recipe_of_the_ancestor(open_workshop, hosts, redis_server, monkeypatch, equal, redis):
    """Its subclass, rq's own pickles, a plain worker."""
    redis.flushdb()
    monkeypatch.setenv("WORKSHOP_REDIS", redis_server.url)
    environment = {"WORKSHOP_REDIS": redis_server.url}
    options = {"transport_options": {"auth": "media"}}
    credentials = {"RESTO_SECRETS": {"media": ["user", "swordfish"]}}
    workshop, storage = open_workshop(
        hosts.urls, options, backend="sites.workshop.storage.RecipeStorage", environment=environment, **credentials
    )
    storage.save("a.txt", ContentFile(b"a"))
    with storage.open("b.txt", "wb") as file:
        file.write(b"b")
    storage.delete("a.txt")
    pickles = [job.data for job in rq.Queue(connection=redis).jobs]
    assert len(pickles) == 9
    assert [data for data in pickles if b"swordfish" in data] == []
    worker = workshop.rq(redis_server.url)
    wait_until(lambda: worker.log.count("Job OK") == 9, lambda: worker.log)
    assert hosts.files() == [files_below(workshop.media)] * 3 == [{"b.txt": b"b"}] * 3
