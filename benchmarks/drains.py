"""How much faster several drains are than one, where hosts are far away."""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from django.core.files.storage import storages
from django.core.management import call_command
from django.db import connections
from django.test import override_settings

from benchmarks import ROOT
from benchmarks.draining import READY
from benchmarks.programs import serving
from benchmarks.results import REPLICATIONS, Row
from benchmarks.sizes import Sizes
from benchmarks.timing import interleave
from kit.brokers import PostgreSQL


__all__ = ["WORK", "drains", "measure"]

# Seconds after which a host answers, and how many hosts there are.
DELAY, HOSTS = 0.02, 2
WORK = f"what was handed over, {HOSTS} hosts, {DELAY * 1000:.0f} ms away"


def drains(count: int) -> str:
    """Return what so many processes are called."""
    return f"{count} x resto_drain"


def measure(sizes: Sizes) -> list[Row]:
    """Let one, two and four processes send what a comparison has handed over."""
    postgresql = PostgreSQL().start()
    try:
        with tempfile.TemporaryDirectory(prefix="resto-bench-") as folder, serving("slow_hosts", HOSTS, DELAY) as hosts:
            options = {"hosts": hosts, "location": f"{folder}/master", "transport": "http"}
            settings = {
                "STORAGES": {"default": {"BACKEND": "resto.storage.HybridStorage", "OPTIONS": options}},
                "DATABASES": {"default": postgresql.new_database()},
                "MEDIA_URL": "/",
            }
            with _configured(settings):
                names = _make_files(Path(folder, "master"), sizes.handed)
                calls = {drains(count): partial(_rate, count, names, settings) for count in (1, 2, 4)}
                rates = interleave(calls, sizes.rounds)
    finally:
        postgresql.close()
    return [Row.of(WORK, rival, {REPLICATIONS: samples}) for rival, samples in rates.items()]


@contextmanager
def _configured(settings: dict[str, Any]) -> Iterator[None]:
    before, default = connections.settings, connections["default"]
    connections.settings = connections.configure_settings(settings["DATABASES"])
    connections["default"] = connections.create_connection("default")
    try:
        call_command("migrate", "resto", verbosity=0)
        with override_settings(**{name: value for name, value in settings.items() if name != "DATABASES"}):
            yield
    finally:
        connections.close_all()
        connections.settings, connections["default"] = before, default


def _make_files(master: Path, number: int) -> list[str]:
    names = [f"{count // 100:03}/{count:06}.jpg" for count in range(number)]
    for name in names:
        path = master / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(1000))
    return names


def _rate(count: int, names: list[str], settings: dict[str, Any]) -> float:
    """Return how many files so many processes send in a second."""
    storage = storages["default"]
    with ExitStack() as stack:
        command = [sys.executable, "-m", "benchmarks.draining", json.dumps(settings)]
        processes = [
            stack.enter_context(
                subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            )
            for _ in range(count)
        ]
        assert all(_line(process) == READY for process in processes)
        for host in storage.hosts:
            storage.hand_over([(host, name) for name in names], present=True)
        began = time.perf_counter()
        for process in processes:
            print(file=process.stdin, flush=True)
        sent = sum(int(_line(process)) for process in processes)
        seconds = time.perf_counter() - began
    assert sent == len(names) * HOSTS, f"{sent} of {len(names) * HOSTS} were sent"
    return sent / seconds


def _line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()
