"""What the durable record costs a save, and what it spares a host that comes back."""

import io
import itertools
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from django.core.files.storage import storages
from django.core.management import call_command
from django.db import connections
from django.test import override_settings

from benchmarks.hosts import Hosts, serve
from benchmarks.results import Row
from benchmarks.rivals import through
from benchmarks.saves import saving
from benchmarks.sizes import Sizes
from benchmarks.timing import Time, in_seconds, in_turn, interleave, timed
from kit.brokers import PostgreSQL
from kit.servers import MediaServer
from resto.record import database
from resto.repair.drain import drain


__all__ = ["measure", "recorded"]

OFF, SQLITE, POSTGRESQL, PREPARED = "no record", "SQLite (WAL)", "PostgreSQL", "PostgreSQL, prepared"
MISSED = 0.01  # of all names


def measure(sizes: Sizes) -> list[Row]:
    """Save with and without a record, and catch up by record and by comparison."""
    postgresql = PostgreSQL().start()
    try:
        with tempfile.TemporaryDirectory(prefix="resto-bench-") as folder:
            _make_databases(Path(folder), postgresql)
            with serve(3) as hosts:
                rows = _measure_saves(hosts, Path(folder), sizes.saves)
            rows += _measure_catching_up(sizes.files, sizes.rounds)
            connections.close_all()
    finally:
        postgresql.close()
    return rows


def _make_databases(folder: Path, postgresql: PostgreSQL) -> None:
    sqlite = {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": folder / "record.sqlite3",
        "OPTIONS": {"init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL"},
    }
    plain = postgresql.new_database()
    prepared = plain | {"OPTIONS": {"server_side_binding": True, "prepare_threshold": 0}}
    databases = {SQLITE: sqlite, POSTGRESQL: plain, PREPARED: prepared}
    connections.settings = connections.configure_settings(databases | {"default": sqlite})
    for alias in databases:
        call_command("migrate", "resto", database=alias, verbosity=0)


def _measure_saves(hosts: Hosts, folder: Path, rounds: int) -> list[Row]:
    configured = {
        "Hybrid": {"BACKEND": "resto.storage.HybridStorage", "OPTIONS": {"location": str(folder / "master")}},
        "Distributed": {"BACKEND": "resto.storage.DistributedStorage"},
    }
    rows, content = [], os.urandom(1_000)
    with override_settings(STORAGES=configured, RESTO_MEDIA_HOSTS=hosts.addresses, MEDIA_URL="/"):
        for name in configured:
            save = saving(through(storages[name]), content)
            calls = {state: recorded(state, save) for state in (OFF, SQLITE, POSTGRESQL, PREPARED)}
            rows += in_turn(f"1 KB save, 3 hosts, {name} with a record", calls, rounds)
    return rows


def recorded(state: str, call: Callable[[], object]) -> Callable[[], object]:
    """Return the same call, with the record in one of the databases, or none."""

    def recording() -> None:
        with _recorded(state):
            call()

    return recording


@contextmanager
def _recorded(state: str) -> Iterator[None]:
    """Record in one of the databases, or not at all."""
    is_active, database.is_active = database.is_active, lambda: state != OFF
    default = connections["default"]
    if state != OFF:
        connections["default"] = connections[state]  # to change RESTO_DATABASE takes time
    try:
        yield
    finally:
        connections["default"] = default
        database.is_active = is_active


def _measure_catching_up(files: int, rounds: int) -> list[Row]:
    with MediaServer("nginx-dav") as server, tempfile.TemporaryDirectory(prefix="resto-bench-") as location:
        url, folder = server.new_folder()
        options = {"hosts": [url], "location": location, "transport": "webdav"}
        configured = {"default": {"BACKEND": "resto.storage.HybridStorage", "OPTIONS": options}}
        with override_settings(STORAGES=configured, MEDIA_URL="/"), _recorded(SQLITE):
            missed = max(int(files * MISSED), 1)
            _create([Path(location), folder], "old", files - missed)
            names = _create([Path(location)], "new", missed)

            def catch_up(call: Callable[[], object]) -> Time:
                for name in names:
                    (folder / name).unlink(missing_ok=True)
                    if call is drain:
                        storages["default"].open_lease(name, (url,), present=True).release(0)
                time = timed(call)
                assert all((folder / name).exists() for name in names)
                return time

            calls = {
                "resto_drain": lambda: catch_up(drain),
                "resto_sync": lambda: catch_up(lambda: call_command("resto_sync", verbosity=0, stdout=io.StringIO())),
            }
            return in_seconds("catch up with 1 % of all names", interleave(calls, rounds))


def _create(folders: list[Path], prefix: str, files: int) -> list[str]:
    names = [f"{prefix}-{number // 100:03}/{number:06}.jpg" for number in range(files)]
    for folder, name in itertools.product(folders, names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.parent.chmod(0o777)  # the server may be another user
        path.write_bytes(bytes(4096))
    return names
