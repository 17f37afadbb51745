"""How long the save of a large file takes, how much CPU, and how much memory."""

import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.hosts import Hosts, serve
from benchmarks.large_save import FOLDER, MEGABYTE
from benchmarks.programs import Finished, find_program, run, run_together
from benchmarks.results import CPU_SECONDS, SECONDS, Row
from benchmarks.rivals import STORAGES
from benchmarks.sizes import Sizes
from benchmarks.timing import interleave


__all__ = ["measure"]

Figures = dict[str, float]


def measure(sizes: Sizes) -> list[Row]:
    """Save a large file to three hosts, each time in a process of its own: peak memory never shrinks."""
    megabytes = _what_fits(sizes.megabytes)
    with tempfile.TemporaryDirectory(prefix="resto-bench-") as directory, serve(3) as hosts:
        source = Path(directory) / "source"
        with source.open("wb") as file:
            for _ in range(megabytes):
                file.write(b"x" * MEGABYTE)
        calls: dict[str, Callable[[], Figures]] = {name: _storage_call(name, source, hosts) for name in STORAGES}
        calls["curl -T x 3"] = lambda: _curl(source, hosts)
        calls["cp x 3, local"] = lambda: _cp(source, hosts)
        samples = interleave(calls, sizes.rounds)
    return [
        Row.of(
            "large save, 3 hosts",
            name,
            {figure: [sample[figure] for sample in taken] for figure in taken[0]} | {"file MB": [megabytes]},
        )
        for name, taken in samples.items()
    ]


def _what_fits(megabytes: int) -> int:
    """Source, master copy and three hosts are files in memory; django-resto keeps three copies of its own."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    memory = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    most = min(memory // 9, shutil.disk_usage(tempfile.gettempdir()).free // 6) // MEGABYTE
    if most < megabytes:
        print(f"\nThe large file has {most} MB instead of {megabytes}: there is no memory for more.")
    return min(megabytes, most)


def _storage_call(name: str, source: Path, hosts: Hosts) -> Callable[[], Figures]:
    def call() -> Figures:
        with _emptied(hosts) as location:
            command = [
                sys.executable,
                "-m",
                "benchmarks.large_save",
                name,
                str(source),
                str(location),
                *hosts.addresses,
            ]
            return dict(json.loads(run(*command).output))

    return call


def _curl(source: Path, hosts: Hosts) -> Figures:
    command = [find_program("curl"), "--silent", "--show-error", "--fail", "-T", str(source)]
    with _emptied(hosts):
        return _figures(run_together([[*command, f"http://{host}/{FOLDER}/large"] for host in hosts.addresses]))


def _cp(source: Path, hosts: Hosts) -> Figures:
    with _emptied(hosts) as location:
        return _figures(run_together([["cp", str(source), f"{location}/{number}"] for number in range(3)]))


@contextmanager
def _emptied(hosts: Hosts) -> Iterator[Path]:
    """Yield a folder for master copies, and remove it and what was uploaded."""
    with tempfile.TemporaryDirectory(prefix="resto-bench-") as location:
        yield Path(location)
    hosts.remove(FOLDER)


def _figures(finished: Finished) -> Figures:
    return {SECONDS: finished.wall, CPU_SECONDS: finished.cpu}
