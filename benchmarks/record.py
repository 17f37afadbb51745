"""What the durable record costs a save, and what it spares a host that comes back."""

import io
import itertools
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from django.core.files.storage import storages
from django.core.management import call_command
from django.db import connections
from django.test import override_settings

from benchmarks.hosts import Hosts, serve
from benchmarks.recording import Recording
from benchmarks.results import Row
from benchmarks.sizes import Sizes
from benchmarks.timing import WARM_UP, Time, in_milliseconds, in_seconds, interleave, timed
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
            rows = _measure_saves(Path(folder), postgresql, sizes.saves)
            _use(_new_sqlite(Path(folder)))
            rows += _measure_catching_up(sizes.files, sizes.rounds)
            connections.close_all()
    finally:
        postgresql.close()
    return rows


def _new_sqlite(folder: Path) -> dict[str, Any]:
    options = {"init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL"}
    name = tempfile.mkstemp(".sqlite3", dir=folder)[1]
    return {"ENGINE": "django.db.backends.sqlite3", "NAME": name, "OPTIONS": options}


def _use(database: Mapping[str, Any]) -> None:
    """Let a database be that of this process."""
    connections.settings = connections.configure_settings({SQLITE: dict(database), "default": dict(database)})
    call_command("migrate", "resto", database=SQLITE, verbosity=0)


def _measure_saves(folder: Path, postgresql: PostgreSQL, rounds: int) -> list[Row]:
    prepared = postgresql.new_database() | {"OPTIONS": {"server_side_binding": True, "prepare_threshold": 0}}
    databases = {SQLITE: _new_sqlite(folder), POSTGRESQL: postgresql.new_database(), PREPARED: prepared}
    rows = []
    with ExitStack() as stack:
        hosts = stack.enter_context(serve(3))
        processes = {}
        for number, state in enumerate([OFF, *databases]):
            settings = _settings(hosts, folder, f"{number}", databases.get(state))
            processes[state] = stack.enter_context(Recording(settings))
        for storage in ("Hybrid", "Distributed"):
            calls = {state: partial(process.save, storage) for state, process in processes.items()}
            samples = interleave(calls, rounds, WARM_UP)
            rows += in_milliseconds(f"1 KB save, 3 hosts, {storage} with a record", samples)
    return rows


def _settings(hosts: Hosts, folder: Path, name: str, database: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return those of a site with a master copy and hosts of its own, and the record in a database of its own, if there is one."""
    configured = {
        kind: {
            "BACKEND": f"resto.storage.{kind}Storage",
            "OPTIONS": {"hosts": [f"{hosts.scheme}://{address}/{kind}-{name}/" for address in hosts.addresses]},
        }
        for kind in ("Hybrid", "Distributed")
    }
    configured["Hybrid"]["OPTIONS"]["location"] = str(folder / f"master-{name}")
    settings: dict[str, Any] = {"STORAGES": configured, "MEDIA_URL": "/"}
    if database is None:
        return settings
    site = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(folder / f"site-{name}.sqlite3")}
    return settings | {"DATABASES": {"default": site, "record": dict(database)}, "RESTO_DATABASE": "record"}


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
