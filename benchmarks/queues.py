"""What it costs to hand a save to a task queue, and how fast workers do the jobs."""

import itertools
import os
import statistics
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

from brokers import RedisServer
from workshop.site import Workshop, wait_until


__all__ = ["report"]

PLAIN, LOADED, SIMPLE = "rq.Worker", "resto.workers.rq.DjangoWorker", "rq.SimpleWorker"
ROOT = str(Path(__file__).resolve().parent.parent)


def report(addresses: list[str], roots: list[Path], rounds: int, saves: int) -> None:
    """Print two tables: the cost of handing over a save to three hosts, and the speed of two workers."""
    redis = RedisServer().start()
    try:
        os.environ["WORKSHOP_REDIS"] = redis.url
        _report_handing_over(addresses, redis, rounds)
        _report_working_off(addresses, roots, redis, saves)
    finally:
        redis.close()


# Handing over.


def _report_handing_over(addresses: list[str], redis: RedisServer, rounds: int) -> None:
    print(f"\n{'handing over one save to 3 hosts':<44}{'wall ms':>10}{'ratio':>9}")
    for queue, make_calls in {"rq": _calls_of_rq, "celery": _calls_of_celery}.items():
        with _opened(addresses, redis, queue) as (workshop, settings), settings():
            medians = _medians(make_calls(workshop), rounds)
        ours = next(iter(medians.values()))
        for name, median in medians.items():
            print(f"{f'{queue}, {name}':<44}{median * 1000:>10.3f}{median / ours:>8.2f}x")


Calls = dict[str, Callable[[str], object]]


def _medians(calls: Calls, rounds: int) -> dict[str, float]:
    """Make each call in turn, so that whatever else the machine does hits all."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(rounds + 20):
        for name, call in calls.items():
            started = time.perf_counter()
            call("photos/summer.jpg")
            if number >= 20:  # the first ones open connections
                times[name].append(time.perf_counter() - started)
    return {name: statistics.median(values) for name, values in times.items()}


def _calls_of_rq(workshop: Workshop) -> Calls:
    storage, recipe = storages["default"], _recipe(workshop)
    queue = Queue(connection=Redis.from_url(os.environ["WORKSHOP_REDIS"]))
    arguments = {"storage": "default", "action": "upload", "hosts": list(storage.hosts)}
    return {
        "resto": lambda name: storage.execute(storage.upload, name),
        "one raw enqueue": lambda name: queue.enqueue("resto.workers.rq.replicate", **arguments, name=name),
        "django-resto's recipe": lambda name: recipe.execute(recipe.upload, name),
    }


def _calls_of_celery(workshop: Workshop) -> Calls:
    from resto.tasks import replicate

    storage = storages["default"]
    hosts, arguments = list(storage.hosts), {"storage": "default", "action": "upload"}
    return {
        "resto": lambda name: storage.execute(storage.upload, name),
        "one raw apply_async": lambda name: replicate.apply_async(kwargs={**arguments, "hosts": hosts, "name": name}),
        "one delay for each host": lambda name: [
            replicate.delay(**arguments, hosts=[host], name=name) for host in hosts
        ],
    }


# Working off.


def _report_working_off(addresses: list[str], roots: list[Path], redis: RedisServer, saves: int) -> None:
    print(f"\n{f'{saves} saves to 3 hosts, two workers':<44}{'replications/s':>16}")
    numbers = itertools.count()
    for label, queue, worker, share in [
        ("rq, plain worker, resto", "rq", PLAIN, 0.05),
        ("rq, plain worker, django-resto's recipe", "recipe", PLAIN, 0.05),
        ("rq, Django loaded before it forks, resto", "rq", LOADED, 1),
        ("rq, Django loaded, django-resto's recipe", "recipe", LOADED, 1),
        ("rq, SimpleWorker, resto", "rq", SIMPLE, 1),
        ("rq, SimpleWorker, django-resto's recipe", "recipe", SIMPLE, 1),
        ("Celery, solo, resto", "celery", "solo", 1),
        ("Celery, prefork, resto", "celery", "prefork", 1),
    ]:
        count = max(int(saves * share), 20)
        prefix = f"run-{next(numbers)}"
        rate = _rate(addresses, roots, redis, queue, worker, [f"{prefix}/{number}" for number in range(count)])
        print(f"{label:<44}{rate:>16.0f}")


def _rate(
    addresses: list[str], roots: list[Path], redis: RedisServer, queue: str, worker: str, names: list[str]
) -> float:
    """Return how many files reach hosts in a second, without the first tenth, while workers start."""
    with Redis.from_url(redis.url) as connection:
        connection.flushall()
    with _opened(addresses, redis, "celery" if queue == "celery" else "rq", recipe=queue == "recipe") as (
        workshop,
        settings,
    ):
        with settings():
            storage = _recipe(workshop) if queue == "recipe" else storages["default"]
            for name in names:
                storage.save(name, ContentFile(b"x" * 1000))
        folders = [root / names[0].partition("/")[0] for root in roots]
        for _ in range(2):
            if queue == "celery":
                pool = ["-P", "solo"] if worker == "solo" else ["-c", "1"]
                workshop.start(
                    "celery",
                    "-A",
                    "workshop.celery",
                    "worker",
                    "-l",
                    "WARNING",
                    *pool,
                    "-n",
                    os.urandom(4).hex(),
                    ready="",
                )
            else:
                workshop.start("rq", "worker", "default", "--url", redis.url, "-w", worker, "--quiet", ready="")
        total = len(names) * len(folders)
        wait_until(lambda: _count(folders) >= total // 10)
        began, first = time.perf_counter(), _count(folders)
        wait_until(lambda: _count(folders) == total, lambda: workshop.log)
        return (total - first) / (time.perf_counter() - began)


def _recipe(workshop: Workshop) -> Any:
    from benchmarks.recipe import RecipeStorage

    return RecipeStorage(workshop.settings["RESTO_MEDIA_HOSTS"], "http://media.example.com/", str(workshop.media))


def _count(folders: list[Path]) -> int:
    return sum(len(list(folder.iterdir())) for folder in folders if folder.exists())


@contextmanager
def _opened(
    addresses: list[str], redis: RedisServer, executor: str, *, recipe: bool = False
) -> Iterator[tuple[Workshop, Callable[[], Any]]]:
    """Open a workshop; yield it, and what makes its settings hold in this process."""
    options = {"executor": executor, "executor_options": {"url": redis.url} if executor == "rq" else {}}
    settings: dict[str, Any] = {"MEDIA_URL": "http://media.example.com/", "CELERY_BROKER_URL": redis.url}
    workshop = Workshop(
        addresses,
        options,
        environment={"WORKSHOP_REDIS": redis.url, "PYTHONPATH": os.pathsep.join([ROOT, f"{ROOT}/tests"])},
        **settings,
    )
    app = Celery("workshop", broker=redis.url, set_as_current=True)

    def hold() -> Any:
        return override_settings(MEDIA_ROOT=str(workshop.media), **workshop.settings)

    try:
        yield workshop, hold
    finally:
        app.close()
        workshop.close()
