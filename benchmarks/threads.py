"""How many saves a second a process makes, when several of its threads save files, and when one does."""

import os
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from benchmarks.hosts import serve
from benchmarks.results import CPU, SAVES, Row
from benchmarks.rivals import DISTRIBUTED, DJANGO_RESTO, HYBRID, REQUESTS, URLLIB3, opened
from benchmarks.saves import saving
from benchmarks.sizes import Sizes
from benchmarks.timing import Time, interleave, timed


__all__ = ["ONE_THREAD", "measure"]

CALLERS = 8
NAMES = [HYBRID, DISTRIBUTED, DJANGO_RESTO, URLLIB3, REQUESTS]
ONE_THREAD = f"{HYBRID}, one thread"


def measure(sizes: Sizes) -> list[Row]:
    """Save small files in 8 threads."""
    each = min(sizes.saves, 10)  # saves of each thread in a round
    content, number = os.urandom(1_000), CALLERS * each
    with (
        tempfile.TemporaryDirectory(prefix="resto-bench-") as location,
        serve(3) as hosts,
        opened(NAMES, hosts, location, CALLERS) as saves,
        ThreadPoolExecutor(CALLERS) as callers,
    ):
        rounds = {name: _round(callers, saving(save, content), each) for name, save in saves.items()}
        rounds[ONE_THREAD] = _alone(saving(saves[HYBRID], content), number)
        samples = interleave(rounds, max(sizes.saves // 20, 1), warm_up=1)
    return [
        Row.of(
            "1 KB saves, 3 hosts, 8 threads",
            name,
            {SAVES: [number / time.wall for time in times], CPU: [time.cpu * 1000 / number for time in times]},
        )
        for name, times in samples.items()
    ]


def _alone(save: Callable[[], object], number: int) -> Callable[[], Time]:
    def save_all() -> None:
        for _ in range(number):
            save()

    return lambda: timed(save_all)


def _round(callers: ThreadPoolExecutor, save: Callable[[], object], each: int) -> Callable[[], Time]:
    def save_several() -> None:
        for _ in range(each):
            save()

    def save_all() -> None:
        for future in [callers.submit(save_several) for _ in range(CALLERS)]:
            future.result()

    return lambda: timed(save_all)
