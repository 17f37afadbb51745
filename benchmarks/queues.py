"""What it costs to hand a save to a task queue, and how fast workers do the jobs."""

import functools
import itertools
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from celery import Celery
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.test import override_settings
from redis import Redis
from rq import Queue

from benchmarks import ROOT
from benchmarks.hosts import Hosts, serve
from benchmarks.results import REPLICATIONS, Row
from benchmarks.sizes import Sizes
from benchmarks.timing import in_turn, interleave
from kit.brokers import RedisServer
from sites.workshop.site import Workshop, wait_until


__all__ = ["measure"]

PLAIN, LOADED, SIMPLE = "rq.Worker", "resto.workers.rq.DjangoWorker", "rq.SimpleWorker"
NAME = "photos/summer.jpg"

# What is said of it, the queue, the worker, and the share of the saves; quick ones first.
WORKERS = [
    ("rq, SimpleWorker: resto", "rq", SIMPLE, 1.0),
    ("Celery, solo: resto", "celery", "solo", 1.0),
    ("rq, SimpleWorker: django-resto's recipe", "recipe", SIMPLE, 1.0),
    ("Celery, prefork: resto", "celery", "prefork", 1.0),
    ("rq, Django loaded before it forks: resto", "rq", LOADED, 0.4),
    ("rq, Django loaded: django-resto's recipe", "recipe", LOADED, 0.4),
    ("rq, plain worker: resto", "rq", PLAIN, 0.1),
    ("rq, plain worker: django-resto's recipe", "recipe", PLAIN, 0.1),
]


def measure(sizes: Sizes) -> list[Row]:
    """Hand saves over, and let two workers do them."""
    redis = RedisServer().start()
    try:
        os.environ["WORKSHOP_REDIS"] = redis.url
        with serve(3) as hosts:
            return [*_measure_handing_over(hosts, redis, sizes), *_measure_working_off(hosts, redis, sizes)]
    finally:
        redis.close()


# Handing over.


def _measure_handing_over(hosts: Hosts, redis: RedisServer, sizes: Sizes) -> list[Row]:
    rows = []
    for queue, make_calls in {"rq": _calls_of_rq, "celery": _calls_of_celery}.items():
        with _opened(hosts, redis, queue) as (workshop, settings), settings():
            rows += in_turn(f"hand a save to 3 hosts over to {queue}", make_calls(workshop), sizes.saves)
    return rows


Calls = dict[str, Callable[[], object]]


def _calls_of_rq(workshop: Workshop) -> Calls:
    storage, recipe = storages["default"], _recipe(workshop)
    queue = Queue(connection=Redis.from_url(os.environ["WORKSHOP_REDIS"]))
    arguments = {"storage": "default", "action": "upload", "hosts": list(storage.hosts)}
    return {
        "resto": lambda: storage.execute(storage.upload, NAME),
        "one raw enqueue": lambda: queue.enqueue("resto.workers.rq.replicate", **arguments, name=NAME),
        "django-resto's recipe": lambda: recipe.execute(recipe.upload, NAME),
    }


def _calls_of_celery(workshop: Workshop) -> Calls:
    from resto.tasks import replicate

    storage = storages["default"]
    hosts, arguments = list(storage.hosts), {"storage": "default", "action": "upload"}
    return {
        "resto": lambda: storage.execute(storage.upload, NAME),
        "one raw apply_async": lambda: replicate.apply_async(kwargs={**arguments, "hosts": hosts, "name": NAME}),
        "one delay for each host": lambda: [replicate.delay(**arguments, hosts=[host], name=NAME) for host in hosts],
    }


# Working off.


def _measure_working_off(hosts: Hosts, redis: RedisServer, sizes: Sizes) -> list[Row]:
    runs = itertools.count()

    def run(queue: str, worker: str, share: float) -> float:
        number = next(runs)
        count = max(int(sizes.queued * share), min(sizes.queued, 20))
        return _rate(hosts, redis, queue, worker, [f"run-{number}/{save}" for save in range(count)])

    calls = {label: functools.partial(run, *how) for label, *how in WORKERS[: sizes.workers]}
    return [
        Row.of("replications by two workers", label, {REPLICATIONS: rates})
        for label, rates in interleave(calls, sizes.rounds).items()
    ]


def _rate(hosts: Hosts, redis: RedisServer, queue: str, worker: str, names: list[str]) -> float:
    """Return how many files reach hosts in a second, without the first tenth, while workers start."""
    with Redis.from_url(redis.url) as connection:
        connection.flushall()
    with _opened(hosts, redis, "celery" if queue == "celery" else "rq") as (workshop, settings):
        with settings():
            storage = _recipe(workshop) if queue == "recipe" else storages["default"]
            for name in names:
                storage.save(name, ContentFile(b"x" * 1000))
        folders = [root / names[0].partition("/")[0] for root in hosts.roots]
        for _ in range(2):
            workshop.start(*_command(queue, worker, redis), ready="")
        total = len(names) * len(folders)
        wait_until(lambda: _count(folders) >= total // 10)
        began, first = time.perf_counter(), _count(folders)
        wait_until(lambda: _count(folders) == total, lambda: workshop.log)
        return (total - first) / (time.perf_counter() - began)


def _command(queue: str, worker: str, redis: RedisServer) -> list[str]:
    if queue != "celery":
        return ["rq", "worker", "default", "--url", redis.url, "-w", worker, "--quiet"]
    pool = ["-P", "solo"] if worker == "solo" else ["-c", "1"]
    return ["celery", "-A", "sites.workshop.celery", "worker", "-l", "WARNING", *pool, "-n", os.urandom(4).hex()]


def _recipe(workshop: Workshop) -> Any:
    from benchmarks.recipe import RecipeStorage

    return RecipeStorage(workshop.settings["RESTO_MEDIA_HOSTS"], "http://media.example.com/", str(workshop.media))


def _count(folders: list[Path]) -> int:
    return sum(len(list(folder.iterdir())) for folder in folders if folder.exists())


@contextmanager
def _opened(hosts: Hosts, redis: RedisServer, executor: str) -> Iterator[tuple[Workshop, Callable[[], Any]]]:
    """Open a workshop; yield it, and what makes its settings hold in this process."""
    options = {"executor": executor, "executor_options": {"url": redis.url} if executor == "rq" else {}}
    settings: dict[str, Any] = {"MEDIA_URL": "http://media.example.com/", "CELERY_BROKER_URL": redis.url}
    workshop = Workshop(
        hosts.addresses,
        options,
        environment={"WORKSHOP_REDIS": redis.url, "PYTHONPATH": os.pathsep.join([str(ROOT), f"{ROOT}/tests"])},
        DATABASES={},  # no record, as in this process
        **settings,
    )
    app = Celery("workshop", broker=redis.url, set_as_current=True)

    def hold() -> Any:
        here = {name: value for name, value in workshop.settings.items() if name != "DATABASES"}
        return override_settings(MEDIA_ROOT=str(workshop.media), **here)

    try:
        yield workshop, hold
    finally:
        app.close()
        workshop.close()
