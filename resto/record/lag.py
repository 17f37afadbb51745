"""What hosts may lack, by one statement: for whoever tells visitors at which host a file is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.db.backends.utils import CursorWrapper

from resto.record.database import execute
from resto.record.identities import GONE, NEW


__all__ = ["MOST", "Lag", "lag_of"]

# Names of a host that are looked at. One that may lack more is left out altogether.
MOST = 1_000

# Each host has its own limit, and is found by its own index. A row without a name is about all that a host has.
_NAMES = (
    "SELECT host, name FROM (SELECT host, name FROM resto_pending WHERE storage = %s AND host = %s LIMIT {}) of_host_{}"
)
_LOST = "SELECT host, '' FROM resto_host WHERE storage = %s AND state IN (%s, %s)"


@dataclass(frozen=True, slots=True)
class Lag:
    """What hosts of a storage may lack.

    Attributes:
        names: By hosts.
        hosts: Those that may lack anything.
    """

    names: Mapping[str, frozenset[str]]
    hosts: frozenset[str]

    def has(self, host: str, name: str) -> bool:
        """Return whether a host may lack a file, or have an old one, or one that is deleted."""
        return host in self.hosts or name in self.names.get(host, ())


def lag_of(storage: str, hosts: Sequence[str]) -> Lag:
    """Return what hosts may lack, be somebody about to send it to them or not.

    Args:
        storage: Alias of the storage in ``STORAGES``.
        hosts: As they stand in the settings.

    Raises:
        ConfigurationError: A table is missing.
        DatabaseError: It cannot be read.
    """
    parts = [_NAMES.format(MOST + 1, number) for number in range(len(hosts))]
    parameters = [value for host in hosts for value in (storage, host)]
    rows = execute(" UNION ALL ".join([*parts, _LOST]), [*parameters, storage, GONE, NEW], _pairs)
    names: dict[str, set[str]] = {}
    for host, name in rows:
        names.setdefault(host, set()).add(name)
    lost = frozenset(host for host, its in names.items() if "" in its or len(its) > MOST)
    return Lag({host: frozenset(its) for host, its in names.items()}, lost)


def _pairs(cursor: CursorWrapper) -> list[tuple[str, str]]:
    return list(cursor.fetchall())
