"""When somebody has drained or compared last, for each storage and host, in one look at all runs."""

import json
from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import Max, Q

from resto.record.database import connected, outside_loops
from resto.record.runs import OF_A_PART, WATCH, runs_in


__all__ = ["Latest", "latest_of"]


@dataclass(frozen=True, slots=True)
class _Group:
    kind: str
    storages: frozenset[str]
    hosts: frozenset[str]
    code: int | None
    seen: float | None
    ended: float | None

    def is_about(self, storage: str) -> bool:
        return not self.storages or storage in self.storages


class Latest:
    """The last runs of each kind, by what they were about and how they ended.

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
        mine = [one for one in self._groups if one.kind in ("drain", WATCH) and one.is_about(storage)]
        times = [one.seen for one in mine if one.seen is not None and (not one.hosts or host in one.hosts)]
        return max(times, default=None)

    def compared(self, storage: str) -> float | None:
        """Return when the last comparison of all hosts and files that succeeded has ended; None if there was none.

        Args:
            storage: Alias of the storage.
        """
        return max((ended for ended, code in self._comparisons(storage) if code == 0), default=None)

    def code_of_comparison(self, storage: str) -> int | None:
        """Return the exit code of the last comparison of all hosts and files that has ended; None if there was none.

        Args:
            storage: Alias of the storage.
        """
        return max(self._comparisons(storage), default=(0.0, None))[1]

    def _comparisons(self, storage: str) -> list[tuple[float, int]]:
        return [
            (one.ended, one.code)
            for one in self._groups
            if one.kind == "sync" and not one.hosts and one.is_about(storage)
            if one.ended is not None and one.code is not None
        ]


@outside_loops
def latest_of() -> Latest:
    """Return what is known of the last drains and comparisons.

    Raises:
        ConfigurationError: The table is missing.
        DatabaseError: It cannot be read.
    """
    with connected() as connection:
        begun = runs_in(connection).filter(kind__in=["drain", "sync", WATCH], started__isnull=False)
        whole = begun.exclude(Q(kind="sync") & OF_A_PART)
        groups = whole.order_by().values_list("kind", "storage", "hosts", "code")
        found = list(groups.annotate(Max("seen"), Max("ended")))
    return Latest(
        _Group(kind, frozenset(filter(None, storage.split(","))), frozenset(json.loads(hosts)), *rest)
        for kind, storage, hosts, *rest in found
    )
