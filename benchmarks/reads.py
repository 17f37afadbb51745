"""How long it takes to read a file where there is no master copy: from the directory of a near host, and over HTTP."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from django.core.files.base import ContentFile, File
from django.core.files.storage import FileSystemStorage, Storage, storages
from django.core.management import call_command
from django.db import connections
from django.test import override_settings

from benchmarks.hosts import serve
from benchmarks.results import Row
from benchmarks.rivals import DISTRIBUTED
from benchmarks.sizes import Sizes
from benchmarks.timing import in_turn
from resto.record import database
from resto.storage import DistributedStorage
from resto.storage.files import RemoteFile
from resto.storage.reading import download


__all__ = ["DISK", "NEAR", "WHOLE", "measure"]

DISK, NEAR = "FileSystemStorage", "resto, near host"
WHOLE = "one GET of the whole file"


def measure(sizes: Sizes) -> list[Row]:
    """Read small files near, and small and large ones over HTTP."""
    rows = _measure_near("1 KB read", sizes.saves, lag=1)
    rows += _measure_near("1 KB read, a look each time", sizes.saves, lag=0)
    with serve(1) as hosts:
        ours, whole = DistributedStorage(hosts.addresses, "/"), _WholeStorage(hosts.addresses, "/")
        for work, size, rounds in [("10 KB read", 10_000, sizes.saves), ("10 MB read", 10_000_000, sizes.rounds)]:
            name = ours.save(work, ContentFile(bytes(size)))
            rows += in_turn(work, {DISTRIBUTED: _reading(ours, name), WHOLE: _reading(whole, name)}, rounds)
    return rows


def _measure_near(work: str, rounds: int, *, lag: int) -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="resto-bench-") as folder, _record(folder):
        host = Path(folder, "host")
        host.mkdir()
        options = {"hosts": [host.as_uri()], "transport": "directory"}
        configured = {"default": {"BACKEND": "resto.storage.DistributedStorage", "OPTIONS": options}}
        with override_settings(STORAGES=configured, RESTO_NEAR={host.as_uri(): str(host)}, RESTO_NEAR_LAG=lag):
            near, disk = storages["default"], FileSystemStorage(host)
            name = near.save("a", ContentFile(bytes(1_000)))
            return in_turn(work, {NEAR: _reading(near, name), DISK: _reading(disk, name)}, rounds)


@contextmanager
def _record(folder: str) -> Iterator[None]:
    """Record on SQLite as a site in production does, where there is no database otherwise."""
    before, none = connections.settings, connections["default"]
    is_active, is_under_test = database.is_active, database.is_under_test
    database.is_active, database.is_under_test = lambda: True, lambda: False
    sqlite = {"ENGINE": "django.db.backends.sqlite3", "NAME": f"{folder}/record.sqlite3"}
    connections.settings = connections.configure_settings({"default": sqlite})
    del connections["default"]
    try:
        call_command("migrate", "resto", verbosity=0)
        yield
    finally:
        connections.close_all()
        connections.settings, connections["default"] = before, none
        database.is_active, database.is_under_test = is_active, is_under_test


class _WholeStorage(DistributedStorage):
    """Reads files as a whole."""

    def _open(self, name: str, mode: str = "rb") -> "File[Any]":
        return RemoteFile(name, mode, partial(self._read, "download", name, partial(download, self.transport_for)))


def _reading(storage: Storage, name: str) -> Callable[[], object]:
    """Return what reads a file, in order."""

    def read() -> None:
        with storage.open(name) as file:
            for _ in file.chunks():
                pass

    return read
