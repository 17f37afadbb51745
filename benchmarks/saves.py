"""How long a small save takes, and how much CPU of this process."""

import itertools
import os
import tempfile
from collections.abc import Callable, Mapping

from benchmarks.hosts import Hosts, serve
from benchmarks.results import Row
from benchmarks.rivals import RIVALS, Save, opened
from benchmarks.sizes import Sizes
from benchmarks.timing import in_turn


__all__ = ["measure", "save_in_turn", "saving"]

FOLDER = "saved"
_numbers = itertools.count()


def measure(sizes: Sizes) -> list[Row]:
    """Save small and middling files to 3 and to 12 hosts, and small ones over HTTPS."""
    half, quarter = max(sizes.saves // 2, 1), max(sizes.saves // 4, 1)
    with serve(3) as hosts:
        rows = _measure("1 KB save, 3 hosts", hosts, 1_000, sizes.saves)
        rows += _measure("100 KB save, 3 hosts", hosts, 100_000, half)
    with serve(12) as hosts:
        rows += _measure("1 KB save, 12 hosts", hosts, 1_000, half)
        rows += _measure("100 KB save, 12 hosts", hosts, 100_000, quarter)
    with serve(3, https=True) as hosts:
        rows += _measure("1 KB save over HTTPS, 3 hosts", hosts, 1_000, half)
    return rows


def _measure(work: str, hosts: Hosts, size: int, rounds: int) -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="resto-bench-") as location, opened(RIVALS, hosts, location) as saves:
        rows = save_in_turn(work, saves, os.urandom(size), rounds)
    hosts.remove(FOLDER)
    return rows


def save_in_turn(work: str, saves: Mapping[str, Save], content: bytes, rounds: int) -> list[Row]:
    """Let every rival save the same content."""
    return in_turn(work, {rival: saving(save, content) for rival, save in saves.items()}, rounds)


def saving(save: Save, content: bytes) -> Callable[[], object]:
    """Return what saves a content under a new name, each time."""
    return lambda: save(f"{FOLDER}/{next(_numbers)}", content)
