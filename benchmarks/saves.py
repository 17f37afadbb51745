"""How long a save takes, and how much CPU of this process."""

import itertools
import os
import statistics
import tempfile
import time
from typing import Any

from django.core.files.base import ContentFile

from benchmarks.rivals import RIVALS


__all__ = ["report"]

Samples = dict[str, list[tuple[float, float]]]


def report(addresses: list[str], rounds: int, sizes: dict[str, int]) -> None:
    """Print a table: for each size, the median times of both packages and their ratio."""
    print(f"{'one save to 3 hosts':<22}{'wall ms':>10}{'CPU ms':>10}{'wall ratio':>12}{'CPU ratio':>12}")
    for label, size in sizes.items():
        samples = measure(addresses, rounds, os.urandom(size))
        slowest = samples["django-resto 1.3"]
        for name, times in samples.items():
            wall, cpu = _medians(times)
            ratios = f"{_medians(slowest)[0] / wall:>11.1f}x{_medians(slowest)[1] / cpu:>11.1f}x"
            print(f"{label + ', ' + name:<22}{wall * 1000:>10.2f}{cpu * 1000:>10.2f}{ratios}")


def measure(addresses: list[str], rounds: int, content: bytes) -> Samples:
    """Save through each package in turn, so that whatever else the machine does hits both."""
    samples: Samples = {name: [] for name in RIVALS}
    with tempfile.TemporaryDirectory(prefix="resto-bench-") as location:
        storages = {name: create(addresses, f"{location}/{name}") for name, create in RIVALS.items()}
        counter = itertools.count()
        run = f"{len(content)}"
        for storage in storages.values():
            _timed_save(storage, f"{run}/warm-up-{next(counter)}", content)
        for _ in range(rounds):
            for name, storage in storages.items():
                samples[name].append(_timed_save(storage, f"{run}/{next(counter)}", content))
    return samples


def _timed_save(storage: Any, name: str, content: bytes) -> tuple[float, float]:
    file = ContentFile(content)
    wall, cpu = time.perf_counter(), time.process_time()
    storage.save(name, file)
    return time.perf_counter() - wall, time.process_time() - cpu


def _medians(times: list[tuple[float, float]]) -> tuple[float, float]:
    return statistics.median(wall for wall, _ in times), statistics.median(cpu for _, cpu in times)
