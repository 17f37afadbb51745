"""What a long backlog of one host costs everybody else: nothing, as far as the record can see to it."""

import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from django.core.files.storage import storages
from django.core.management import call_command
from django.db import connections
from django.test import override_settings

from benchmarks.hosts import Hosts, serve
from benchmarks.record import recorded
from benchmarks.results import Row
from benchmarks.rivals import through
from benchmarks.saves import saving
from benchmarks.sizes import Sizes
from benchmarks.timing import in_turn
from kit.brokers import MariaDB, PostgreSQL
from resto.record import backlog, claims, rests


__all__ = ["FULL", "databases", "measure"]

SERVERS = {"PostgreSQL": PostgreSQL, "MariaDB": MariaDB}
EMPTY, FULL = "no backlog", "a backlog"

SAVE = "1 KB save, 3 hosts, another host down"
CLAIM = "claim of 200 rows, none of them due"
STATUS = "count of what is pending"
HASTEN = "make a thousand rows due"

DOWN = "http://down.example.com/"

# As many rows as there are numbers; each name once, all of them due in an hour.
_FILL = """
INSERT INTO resto_pending (storage, host, name, present, owner, quiet_until, due, attempts, error, created, digest,
    opened_by, latest, name_key)
SELECT 'default', %(host)s, {name}, true, {random}, 0, %(now)s + 3600 + number * 0.001, 5,
    'connection refused', %(now)s - 3600 + number * 0.001, '', '', '', {random}
FROM {numbers}
"""
_DIALECTS = {
    "sqlite": {
        "name": "'backlog/' || number || '.jpg'",
        "random": "lower(hex(randomblob(16)))",
        "numbers": "(WITH RECURSIVE counted(number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM counted "
        "WHERE number < {count}) SELECT number FROM counted)",
    },
    "postgresql": {
        "name": "concat('backlog/', number, '.jpg')",
        "random": "md5(random()::text)",
        "numbers": "generate_series(1, {count}) AS counted(number)",
    },
    "mysql": {
        "name": "concat('backlog/', number, '.jpg')",
        "random": "md5(rand())",
        "numbers": "(SELECT seq AS number FROM seq_1_to_{count}) AS counted",
    },
}


def measure(sizes: Sizes) -> list[Row]:
    """Save, claim and count, with nothing in the record, and with a long backlog of one host."""
    with databases(sizes.pending) as (folder, aliases), serve(3) as hosts:
        return _measure(hosts, folder, aliases, sizes)


@contextmanager
def databases(count: int) -> Iterator[tuple[Path, list[str]]]:
    """Have databases of each kind, without and with a long backlog; yield a folder that lasts as long, and their aliases.

    Args:
        count: Rows of the backlog.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="resto-bench-", dir="/dev/shm")))
        makers = {"SQLite (WAL)": lambda: _new_sqlite(folder)}
        for name, kind in SERVERS.items():
            server = stack.enter_context(closing(kind()))
            makers[name] = server.start().new_database
        aliases = _make_databases(makers, count)
        yield folder, aliases
        connections.close_all()
        for alias in aliases:  # they go, and another part has databases of the same names
            del connections[alias]


def _new_sqlite(folder: Path) -> dict[str, Any]:
    options = {"init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL"}
    return {"ENGINE": "django.db.backends.sqlite3", "NAME": folder / f"{uuid4()}.sqlite3", "OPTIONS": options}


def _make_databases(makers: Mapping[str, Callable[[], dict[str, Any]]], count: int) -> list[str]:
    databases = {f"{name}, {state}": make() for name, make in makers.items() for state in (EMPTY, FULL)}
    connections.settings = connections.configure_settings(databases | {"default": next(iter(databases.values()))})
    for alias in databases:
        call_command("migrate", "resto", database=alias, verbosity=0)
        if alias.endswith(FULL):
            _fill(alias, count)
    return list(databases)


def _fill(alias: str, count: int) -> None:
    connection = connections[alias]
    with connection.cursor() as cursor:
        sql = _FILL.format(**_DIALECTS[connection.vendor]).format(count=count)
        cursor.execute(sql, {"host": DOWN, "now": time.time()})
        cursor.execute("ANALYZE TABLE resto_pending" if connection.vendor == "mysql" else "ANALYZE")


def _measure(hosts: Hosts, folder: Path, aliases: list[str], sizes: Sizes) -> list[Row]:
    configured = {
        "default": {"BACKEND": "resto.storage.HybridStorage", "OPTIONS": {"location": str(folder / "master")}}
    }
    with override_settings(STORAGES=configured, RESTO_MEDIA_HOSTS=hosts.addresses, MEDIA_URL="/"):
        save = saving(through(storages["default"]), os.urandom(1_000))

        def with_each(call: Callable[[], object], among: list[str] = aliases) -> dict[str, Callable[[], object]]:
            return {alias: recorded(alias, call) for alias in among}

        full = [alias for alias in aliases if alias.endswith(FULL)]
        rows = in_turn(SAVE, with_each(save), sizes.saves)
        rows += in_turn(CLAIM, with_each(lambda: claims.claim(200)), sizes.saves)
        rows += in_turn(STATUS, with_each(lambda: backlog.backlog_of("default"), full), sizes.rounds)
        rows += in_turn(HASTEN, with_each(lambda: rests.hasten(DOWN, time.time()), full), sizes.rounds)
    return rows
