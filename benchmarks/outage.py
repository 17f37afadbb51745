"""What a save takes while one of three hosts takes connections and never answers."""

import os
import socket
import tempfile
from dataclasses import replace
from typing import Any

from benchmarks.hosts import serve
from benchmarks.results import Row
from benchmarks.rivals import DJANGO_RESTO, HYBRID, django_resto_hybrid, resto_hybrid, through
from benchmarks.saves import save_in_turn, saving
from benchmarks.sizes import Sizes
from resto import health


__all__ = ["measure"]

WORK = "1 KB save, 3 hosts, one silent"
HEALTHY, SILENT = "all healthy", "one silent"


def measure(sizes: Sizes) -> list[Row]:
    """Save small files to three hosts, and to two and one of whose silence resto has learned."""
    with (
        tempfile.TemporaryDirectory(prefix="resto-bench-") as location,
        serve(3) as hosts,
        socket.create_server(("127.0.0.1", 0), backlog=128) as silent,  # the kernel takes connections, nobody reads
    ):
        address = "{}:{}".format(*silent.getsockname())
        states = {HEALTHY: hosts, SILENT: replace(hosts, addresses=[*hosts.addresses[:2], address])}
        ours, theirs = {}, {}
        for state, some in states.items():
            ours[f"{HYBRID}, {state}"] = resto_hybrid(
                some, f"{location}/{state}", timeout=sizes.timeout, fatal_exceptions=False
            )
            other = theirs[f"{DJANGO_RESTO}, {state}"] = django_resto_hybrid(some, f"{location}/other, {state}")
            other.transport.timeout, other.fatal_exceptions = sizes.timeout, False
        _open_breaker(ours[f"{HYBRID}, {SILENT}"], address)
        # Not all four in turn: each save of django-resto waits for the timeout.
        return [
            *_measure(WORK, ours, sizes.saves),
            *_measure(f"{WORK}, django-resto", theirs, sizes.rounds),
        ]


def _measure(work: str, storages: dict[str, Any], rounds: int) -> list[Row]:
    return save_in_turn(work, {name: through(storage) for name, storage in storages.items()}, os.urandom(1_000), rounds)


def _open_breaker(storage: Any, host: str) -> None:
    save = saving(through(storage), b"content")
    for _ in range(health.MAX_FAILURES):
        save()
    assert health.state(storage.transport_for(host).identify(host)).state == "open"
