"""What a long backlog of one host costs everybody else: nothing, as far as the record can see to it."""

import itertools
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

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
from kit.brokers import PostgreSQL
from resto.record import backlog, claims, rests


__all__ = ["measure"]

DATABASES = ("SQLite (WAL)", "PostgreSQL")
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
SELECT 'default', %(host)s, 'backlog/' || number || '.jpg', {true}, {random}, 0, %(now)s + 3600 + number * 0.001, 5,
    'connection refused', %(now)s - 3600 + number * 0.001, '', '', '', {random}
FROM {numbers}
"""
_DIALECTS = {
    "sqlite": {
        "true": "1",
        "random": "lower(hex(randomblob(16)))",
        "numbers": "(WITH RECURSIVE counted(number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM counted "
        "WHERE number < %(count)s) SELECT number FROM counted)",
    },
    "postgresql": {
        "true": "true",
        "random": "md5(random()::text)",
        "numbers": "generate_series(1, %(count)s) AS counted(number)",
    },
}


def measure(sizes: Sizes) -> list[Row]:
    """Save, claim and count, with nothing in the record, and with a long backlog of one host."""
    postgresql = PostgreSQL().start()
    try:
        with tempfile.TemporaryDirectory(prefix="resto-bench-", dir="/dev/shm") as folder, serve(3) as hosts:
            aliases = _make_databases(Path(folder), postgresql, sizes.pending)
            rows = _measure(hosts, Path(folder), aliases, sizes)
            connections.close_all()
    finally:
        postgresql.close()
    return rows


def _make_databases(folder: Path, postgresql: PostgreSQL, count: int) -> list[str]:
    options = {"init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL"}
    databases = {}
    for database, state in itertools.product(DATABASES, (EMPTY, FULL)):
        sqlite = {"ENGINE": "django.db.backends.sqlite3", "NAME": folder / f"{state}.sqlite3", "OPTIONS": options}
        databases[f"{database}, {state}"] = sqlite if "SQLite" in database else postgresql.new_database()
    connections.settings = connections.configure_settings(databases | {"default": next(iter(databases.values()))})
    for alias in databases:
        call_command("migrate", "resto", database=alias, verbosity=0)
        if alias.endswith(FULL):
            _fill(alias, count)
    return list(databases)


def _fill(alias: str, count: int) -> None:
    connection = connections[alias]
    with connection.cursor() as cursor:
        sql = _FILL.format(**_DIALECTS[connection.vendor])
        cursor.execute(sql, {"host": DOWN, "now": time.time(), "count": count})
        cursor.execute("ANALYZE")


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
