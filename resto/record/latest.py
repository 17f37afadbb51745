"""When somebody has drained or compared last, for each storage and host."""

import json
from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import Max

from resto.record.database import connected, outside_loops
from resto.record.runs import KILLED, WATCH, last_of, runs_in


__all__ = ["Latest", "latest_of"]


@dataclass(frozen=True, slots=True)
class _Group:
    storages: frozenset[str]
    hosts: frozenset[str]
    seen: float | None

    def is_about(self, storage: str) -> bool:
        return not self.storages or storage in self.storages


class Latest:
    """The last signs of life of those who drain, and the last comparisons.

    Times are seconds since the epoch, by the clock of the database.
    """

    def __init__(self, groups: Iterable[_Group]) -> None:
        self._groups = list(groups)

    def drained(self, storage: str, host: str) -> float | None:
        """Return when whoever drains for a host has given the last sign of life, however that ended; None if nobody has.

        Args:
            storage: Alias of the storage.
            host: The host as it stands in the settings.
        """
        mine = [one for one in self._groups if one.is_about(storage) and (not one.hosts or host in one.hosts)]
        times = [one.seen for one in mine if one.seen is not None]
        return max(times, default=None)

    def compared(self, storage: str) -> float | None:
        """Return when the last comparison of all hosts and files that succeeded has ended; None if there was none.

        Args:
            storage: Alias of the storage.

        Raises:
            DatabaseError: The record cannot be read.
        """
        run = last_of("sync", storage, succeeded=True)
        return None if run is None else run.ended

    def code_of_comparison(self, storage: str) -> int | None:
        """Return the exit code of the last comparison of all hosts and files that is over; None if there was none.

        Args:
            storage: Alias of the storage.

        Raises:
            DatabaseError: The record cannot be read.
        """
        run = last_of("sync", storage, is_over=True)
        return None if run is None else KILLED if run.code is None else run.code


@outside_loops
def latest_of() -> Latest:
    """Return what is known of the last drains and comparisons.

    Raises:
        ConfigurationError: The table is missing.
        DatabaseError: It cannot be read.
    """
    with connected() as connection:
        begun = runs_in(connection).filter(kind__in=["drain", WATCH], started__isnull=False)
        found = list(begun.order_by().values_list("storage", "hosts").annotate(Max("seen")))
    return Latest(
        _Group(frozenset(filter(None, storage.split(","))), frozenset(json.loads(hosts)), seen)
        for storage, hosts, seen in found
    )
