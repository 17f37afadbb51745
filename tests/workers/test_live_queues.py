"""Every queue, with real brokers, real workers in processes of their own, and real media servers."""

import itertools
import os
import random
import re
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest
from redis import Redis

from resto.executors.queue import MAX_RETRIES
from resto.names import HOST_IDENTITY
from sites.workshop.site import Workshop, files_below, held, wait_until


RQ = ("rq", "rq, Django loaded", "rq, no fork")
CELERY = ("celery prefork, redis", "celery solo, redis", "celery prefork, rabbitmq", "celery solo, rabbitmq")
KINDS = (*RQ, *CELERY, "tasks")

RQ_WORKERS = {
    "rq": (),
    "rq, Django loaded": ("-w", "resto.workers.rq.DjangoWorker"),
    "rq, no fork": ("-w", "rq.SimpleWorker"),
}
long = partial(pytest.param, marks=pytest.mark.long)

# How many files are saved. A few are always saved, through one queue of each kind; the others differ in how they start jobs,
# of which "rq" loads Django for each.
SAVES = [
    *[(kind, 20) for kind in ("rq, Django loaded", "celery prefork, redis", "tasks")],
    *[long(kind, 100) for kind in ("rq, Django loaded", "celery prefork, redis", "celery prefork, rabbitmq", "tasks")],
    *[long(kind, 20) for kind in ("rq, no fork", "celery solo, redis")],
    long("rq", 8),
]

# Of Celery on Redis, which by default hands out again after an hour what a worker has not finished.
IMPATIENT = {
    "visibility_timeout": 3,
    "unacked_restore_interval": 0.5,
    "unacked_restore_throttle": 1,
    "unacked_mutex_expire": 3,  # else a worker that is killed while it looks keeps others from that for five minutes
}


class Site:
    """A workshop whose jobs go through one kind of queue.

    Args:
        kind: One of `KINDS`.
        hosts: As for `Workshop`.
        queue: A name that no other site uses.
        broker: Of that kind; None where it is the site's database.
        database: A database to begin with.
        **settings: As for `Workshop`.
    """

    def __init__(self, kind, hosts, queue, broker, database, **settings):
        self.kind, self.queue, self.broker = kind, queue, broker
        self._numbers = itertools.count()
        options, apps = {}, []
        if kind in RQ:
            options = {"url": broker.url, "queue": queue, "retry": {"max": MAX_RETRIES, "interval": 1}}
        elif kind in CELERY:
            settings |= {"CELERY_BROKER_URL": broker.url, "CELERY_TASK_DEFAULT_QUEUE": queue}
            settings["CELERY_BROKER_TRANSPORT_OPTIONS"] = IMPATIENT if "redis" in kind else {}
            settings["CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS"] = True
        else:
            settings["TASKS"] = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}}
            apps.append("django_tasks_db")
        executor = {"executor": kind.split()[0].strip(","), "executor_options": options}
        self.workshop = Workshop(hosts, executor, apps, database=database, **settings)
        self.clerk = self.workshop.clerk
        if apps:
            self.workshop.run("-m", "django", "migrate", "--verbosity", "0")

    @property
    def media(self):
        return self.workshop.media

    def start_worker(self, forked=True):
        if self.kind in RQ:
            options = ("--with-scheduler", *RQ_WORKERS[self.kind])
            return self.workshop.rq(self.broker.url, self.queue, *options, forked=forked)
        if self.kind in CELERY:
            pool = ("-P", "solo") if "solo" in self.kind else ("-c", "2")
            return self.workshop.celery("-n", f"{self.queue}-{next(self._numbers)}", *pool, forked=forked)
        return self.workshop.manage("db_worker", "--interval", "0.1", ready="Starting worker")

    def wait_until_equal(self, *places):
        """Wait until hosts are equal to the master copy: folders, or test servers."""

        def equal():
            master = files_below(self.media)
            return all((files_below(place) if isinstance(place, Path) else held(place)) == master for place in places)

        wait_until(equal, lambda: f"{self.workshop.log}\n{self.clerk.log}")


@pytest.fixture
def open_site(request, queue, database):
    """A function that opens a site of a kind."""
    with ExitStack() as stack:

        def open_one(kind, hosts, broker=None, **settings):
            fixture = {"rq": "redis_server", "celery": "redis_server"}.get(kind.split()[0].strip(","))
            fixture = "rabbitmq" if "rabbitmq" in kind else fixture
            if broker is None and fixture:
                broker = request.getfixturevalue(fixture)
            site = Site(kind, hosts, queue, broker, database, **settings)
            stack.callback(site.workshop.close)
            return site

        yield open_one


@pytest.mark.parametrize(("kind", "saves"), SAVES)
def test_two_workers_leave_the_hosts_equal_to_the_master_copy(open_site, hosts, kind, saves):
    """After saves and deletes, of which many are of names that are saved again. The workers import all by themselves."""
    site, choice = open_site(kind, hosts.urls), random.Random(3)
    with ThreadPoolExecutor() as threads:
        list(threads.map(lambda _: site.start_worker(forked=False), range(2)))
    deletes = saves // 4
    calls = [*["save"] * saves, *["delete"] * deletes]
    choice.shuffle(calls)
    names = [f"{number % 20}/{number}.bin" for number in range(saves // 4)]
    for call in calls:
        name = choice.choice(names)
        if call == "save":
            site.clerk.save(name, choice.randbytes(choice.choice([0, 100, 50_000])))
        else:
            site.clerk.delete(name)
    site.wait_until_equal(*hosts.paths)
    assert len(files_below(site.media)) >= saves - deletes


@pytest.mark.parametrize("kind", [long("rq"), "celery prefork, redis", "tasks"])
def test_host_that_is_down_for_a_while_gets_its_files_later(open_site, resto_server_factory, kind):
    """Nobody waits for it; and the others are not asked again."""
    servers = [resto_server_factory(webdav=False) for _ in range(3)]
    site = open_site(kind, [server.url for server in servers])
    worker = site.start_worker()
    servers[1].refuse = True
    site.clerk.save("a", b"content")
    site.clerk.save("b", b"content")
    site.clerk.delete("b")
    site.wait_until_equal(servers[0], servers[2])
    wait_until(lambda: failures_in(worker.log, servers[1]) >= 3, lambda: worker.log)
    requests = [len(server.requests) for server in servers]
    servers[1].refuse = False
    site.wait_until_equal(servers[1])
    assert [len(servers[number].requests) for number in (0, 2)] == [requests[0], requests[2]]


def failures_in(log, server):
    """Count those that were logged by resto itself: Celery logs them once more."""
    return len(re.findall(rf"^ERROR resto: Failed to \w+ \w+ on {server.url}\. ", log, re.MULTILINE))


@pytest.mark.parametrize("kind", ["rq", long("rq, no fork"), long("celery solo, redis"), "celery prefork, rabbitmq"])
def test_worker_that_is_killed_in_the_middle_of_an_upload(open_site, resto_server_factory, kind):
    """The database's own worker forgets its task; its page says so."""
    server = resto_server_factory(webdav=False)
    site = open_site(kind, [{"url": server.url, "timeout": 60}])  # the upload does not end by itself
    worker = site.start_worker()
    begun, ended = threading.Event(), threading.Event()

    def stall(method, path):
        if (method, path) == ("PUT", "/a"):
            begun.set()
            ended.wait()

    server.on_request = stall
    site.clerk.save("a", b"content")
    wait_until(begun.is_set, lambda: worker.log)
    worker.kill()
    ended.set()
    if kind in RQ:
        let_time_pass(site)
    site.start_worker()
    site.wait_until_equal(server)


def let_time_pass(site):
    """Let rq believe that the killed worker has not been heard of for a long time: it waits for a minute and a half."""
    with Redis.from_url(site.broker.url) as redis:
        key = f"rq:wip:{site.queue}"
        started = redis.zrange(key, 0, -1)
        if started:  # else the job's own process has outlived the worker, and done it
            redis.zadd(key, dict.fromkeys(started, time.time() - 1))
        for lock in redis.scan_iter("*lock*"):
            redis.delete(lock)


@pytest.mark.parametrize("kind", ["rq, Django loaded", "celery prefork, redis"])
def test_process_of_a_job_that_is_killed_in_the_middle_of_an_upload(open_site, resto_server_factory, kind):
    """The worker itself goes on."""
    server = resto_server_factory(webdav=False)
    site = open_site(kind, [server.url])
    worker = site.start_worker()
    server.hang = True
    site.clerk.save("a", b"content")
    wait_until(lambda: server.requests or server.log, lambda: worker.log)
    # The others of rq's worker is the scheduler.
    for child in worker.children()[-1:] if kind in RQ else worker.children():
        os.kill(child, signal.SIGKILL)
    server.heal()
    site.wait_until_equal(server)


@pytest.mark.parametrize("kind", ["rq", long("celery prefork, redis")])
def test_broker_that_is_stopped_and_started(open_site, hosts, start_redis, kind):
    """What was queued survives, what could not be queued is logged, and everybody goes on by themselves."""
    broker = start_redis()
    site = open_site(kind, hosts.urls, broker)
    worker = site.start_worker()
    site.clerk.save("before", b"content")
    site.wait_until_equal(*hosts.paths)
    worker.stop()
    site.clerk.save("queued", b"content")
    broker.kill()
    assert site.clerk.save("lost", b"content") == "lost"
    for host in hosts.urls:
        assert f"Failed to upload lost on {host}. The task queue did not take it: " in site.clerk.log
    broker.start()
    site.start_worker()
    site.clerk.save("after", b"content")
    site.clerk.delete("lost")
    site.wait_until_equal(*hosts.paths)
    assert set(files_below(site.media)) == {"before", "queued", "after"}


@pytest.mark.parametrize("kind", ["celery prefork, rabbitmq"])
def test_rabbitmq_that_is_stopped_and_started(open_site, hosts, rabbitmq, kind):
    """While a worker is connected."""
    site = open_site(kind, hosts.urls)
    site.start_worker()
    site.clerk.save("before", b"content")
    site.wait_until_equal(*hosts.paths)
    rabbitmq.stop()
    assert site.clerk.save("lost", b"content") == "lost"
    assert "Failed to upload lost on" in site.clerk.log
    rabbitmq.start()
    site.clerk.save("after", b"content")
    site.clerk.delete("lost")
    site.wait_until_equal(*hosts.paths)


AGED = "from django.db.models import F; from resto.models import Pending; Pending.objects.update(due=0, quiet_until=F('quiet_until') - 700)"


DRAIN = "from django.core.management import execute_from_command_line; execute_from_command_line(['manage.py', 'resto_drain'])"


def drain_later(site):
    """Run a drain when two leases have passed, and return what it prints."""
    site.workshop.run("-m", "django", "shell", "-v", "0", "-c", AGED)
    app = "import sites.workshop.celery; " if site.kind in CELERY else ""
    return site.workshop.run("-c", app + DRAIN)


@pytest.mark.parametrize("kind", [long("rq, Django loaded"), "celery prefork, redis", "tasks"])
def test_queue_without_a_worker(open_site, resto_server_factory, kind):
    """A drain does its work, and what is delivered afterwards sends nothing."""
    server = resto_server_factory(webdav=False)
    site = open_site(kind, [server.url])
    site.clerk.save("a", b"content")
    assert drain_later(site) == "1 handed to the task queue.\n"
    printed = drain_later(site)
    assert printed.endswith("1 sent.\n")
    assert "Nobody takes what is in the task queue; does a worker run? This drain does what is due of" in printed
    assert held(server) == {"a": b"content"}
    drained = len(server.requests)
    worker = site.start_worker()
    # There are two messages, of the save and of the first drain. If they are dealt with at once, one leaves it to the other.
    wait_until(lambda: len(server.requests) > drained, lambda: worker.log)
    site.clerk.save("b", b"more")
    site.wait_until_equal(server)
    methods = [one.method for one in server.requests[drained:] if HOST_IDENTITY not in one.path]
    assert set(methods) == {"HEAD", "PUT"}
    assert methods.count("PUT") == 1


@pytest.mark.parametrize("kind", ["rq", long("celery prefork, redis")])
def test_drain_without_a_broker(open_site, resto_server_factory, start_redis, kind):
    server, broker = resto_server_factory(webdav=False), start_redis()
    site = open_site(kind, [server.url], broker)
    broker.kill()
    site.clerk.save("a", b"content")
    printed = drain_later(site)
    assert printed.endswith("1 sent.\n")
    assert "The task queue did not take it: " in printed
    assert held(server) == {"a": b"content"}


HAND_MADE = [
    {"storage": "foreign"},
    {"action": "delete_everything"},
    {"hosts": ["http://127.0.0.1:9/"]},
    {"name": "../../etc/passwd"},
    {"name": ["a"]},
]


@pytest.mark.parametrize("kind", ["rq, no fork", "celery solo, rabbitmq", "tasks"])
def test_message_made_by_hand_is_refused(open_site, resto_server_factory, kind):
    server = resto_server_factory(webdav=False)
    site = open_site(kind, [server.url])
    message = {"storage": "default", "action": "upload", "hosts": [server.url], "name": "a", "record": ""}
    for change in HAND_MADE:
        site.clerk.send(message | change)
    worker = site.start_worker()
    wait_until(lambda: worker.log.count("ERROR resto: Refused a job: ") == len(HAND_MADE), lambda: worker.log)
    site.clerk.save("a", b"content")
    site.wait_until_equal(server)
    assert worker.log.count("ERROR resto: Refused a job: ") == len(HAND_MADE)  # nobody has tried again


@pytest.mark.parametrize("kind", ["rq, no fork", "celery solo, redis", "tasks"])
def test_master_copy_that_is_not_mounted(open_site, resto_server_factory, kind):
    """A deletion that nobody asked for must not happen; the upload must, once the files are there again."""
    server = resto_server_factory(webdav=False)
    site = open_site(kind, [server.url])
    server.create_file("a", b"old content")
    site.clerk.save("a", b"content")
    elsewhere = site.media.rename(site.media.with_name("elsewhere"))
    worker = site.start_worker()
    wait_until(lambda: "is not the master copy: it has no file" in worker.log, lambda: worker.log)
    assert held(server) == {"a": b"old content"}
    elsewhere.rename(site.media)
    site.wait_until_equal(server)
