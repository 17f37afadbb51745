"""How much memory the save of a large file takes."""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from django.core.files import File
from django.core.files.base import ContentFile

from benchmarks.rivals import RIVALS
from memory import forget_peak, peak


__all__ = ["growth", "report"]

MEGABYTE = 1_000_000


def report(addresses: list[str], megabytes: int) -> None:
    """Print a table: for each package, how much the process's peak memory grows, and how long the save takes."""
    print(f"\n{f'a {megabytes} MB save to 3 hosts':<28}{'memory growth MB':>18}{'wall s':>9}")
    for name in RIVALS:
        # A process of its own: peak memory never shrinks.
        command = [sys.executable, "-m", "benchmarks", "--memory-of", name, "--large", str(megabytes)]
        result = subprocess.run([*command, "--addresses", *addresses], check=True, capture_output=True, text=True)
        grown, seconds = map(float, result.stdout.split())
        print(f"{name:<28}{grown / MEGABYTE:>18.1f}{seconds:>9.2f}")


def growth(rival: str, addresses: list[str], megabytes: int) -> tuple[float, float]:
    """Return how many bytes the peak memory of this process grows by one save, and how many seconds that takes."""
    with tempfile.TemporaryDirectory(prefix="resto-bench-") as directory:
        path = Path(directory) / "large"
        with path.open("wb") as file:
            for _ in range(megabytes):
                file.write(b"x" * MEGABYTE)
        storage = RIVALS[rival](addresses, f"{directory}/media")
        storage.save("warm-up", ContentFile(b"x"))
        forget_peak()
        before, started = peak(), time.perf_counter()
        with path.open("rb") as file:
            storage.save("large", File(file))
        return (peak() - before) * 1024, time.perf_counter() - started
