"""What the durable record costs a save, and what it spares a host that comes back."""

import functools
import itertools
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.conf import settings as django_settings
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.core.management import call_command
from django.db import connections
from django.test import override_settings

from brokers import PostgreSQL
from resto import pending
from resto.drain import drain
from servers import MediaServer


__all__ = ["report"]

OFF, SQLITE, POSTGRESQL = "off", "SQLite (WAL)", "PostgreSQL"
MISSED = 100
WARM_UP = 10  # saves that are not counted


def report(addresses: list[str], rounds: int, files: int) -> None:
    """Print what a save takes with and without a record, and how long catching up takes beside comparing."""
    postgresql = PostgreSQL().start()
    try:
        with tempfile.TemporaryDirectory(prefix="resto-bench-") as folder:
            _make_databases(Path(folder), postgresql)
            _report_saves(addresses, Path(folder), rounds)
            for number in (files // 10, files):
                _report_catching_up(number)
            connections.close_all()
    finally:
        postgresql.close()


def _make_databases(folder: Path, postgresql: PostgreSQL) -> None:
    sqlite = {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": folder / "record.sqlite3",
        "OPTIONS": {"init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL"},
    }
    databases = {SQLITE: sqlite, POSTGRESQL: {"ENGINE": "django.db.backends.postgresql"} | postgresql.new_database()}
    connections.settings = connections.configure_settings(databases | {"default": sqlite})
    for alias in databases:
        call_command("migrate", "resto", database=alias, verbosity=0)


def _report_saves(addresses: list[str], folder: Path, rounds: int) -> None:
    print(f"\n{'1 KB save to 3 hosts, record':<40}{'wall ms':>9}{'ratio':>9}")
    configured = {
        "Hybrid": {"BACKEND": "resto.storage.HybridStorage", "OPTIONS": {"location": str(folder / "master")}},
        "Distributed": {"BACKEND": "resto.storage.DistributedStorage"},
    }
    with override_settings(STORAGES=configured, RESTO_MEDIA_HOSTS=addresses, MEDIA_URL="/"):
        for name in configured:
            medians = _medians_of_saves(name, rounds)
            for state, median in medians.items():
                print(f"{f'{name}, {state}':<40}{median * 1000:>9.2f}{median / medians[OFF]:>8.2f}x")


def _medians_of_saves(name: str, rounds: int) -> dict[str, float]:
    times: dict[str, list[float]] = {OFF: [], SQLITE: [], POSTGRESQL: []}
    content, counter = os.urandom(1_000), itertools.count()
    for number in range(rounds + WARM_UP):
        for state, samples in times.items():
            file, file_name = ContentFile(content), f"record-{name}/{next(counter)}"
            with _recorded(state):
                seconds = _timed(functools.partial(storages[name].save, file_name, file))
            if number >= WARM_UP:
                samples.append(seconds)
    return {state: statistics.median(samples) for state, samples in times.items()}


@contextmanager
def _recorded(state: str) -> Iterator[None]:
    """Record in one of the databases, or not at all."""
    is_active, pending.is_active = pending.is_active, lambda: state != OFF
    django_settings.RESTO_DATABASE = state
    try:
        yield
    finally:
        pending.is_active = is_active


def _report_catching_up(files: int) -> None:
    with MediaServer("nginx-dav") as server, tempfile.TemporaryDirectory() as location:
        url, folder = server.new_folder()
        options = {"hosts": [url], "location": location, "transport": "webdav"}
        configured = {"default": {"BACKEND": "resto.storage.HybridStorage", "OPTIONS": options}}
        with override_settings(STORAGES=configured, MEDIA_URL="/"), _recorded(SQLITE):
            _create([Path(location), folder], "old", files)
            missed = _create([Path(location)], "new", MISSED)
            for name in missed:
                storages["default"].open_lease(name, (url,), present=True).release(0)
            drained = _timed(drain)
            for name in missed:
                (folder / name).unlink()
            compared = _timed(lambda: call_command("resto_sync", verbosity=0))
            assert all((folder / name).exists() for name in missed)
    print(f"{f'{MISSED} names of {files:,}: drain, and resto_sync':<40}{drained:>8.2f}s{compared:>8.2f}s")


def _create(folders: list[Path], prefix: str, files: int) -> list[str]:
    names = [f"{prefix}-{number // 100:03}/{number:06}.jpg" for number in range(files)]
    for folder, name in itertools.product(folders, names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.parent.chmod(0o777)  # the server may be another user
        path.write_bytes(bytes(4096))
    return names


def _timed(call: Callable[[], Any]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started
