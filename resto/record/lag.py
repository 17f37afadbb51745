"""What hosts may lack, by one statement: for whoever tells visitors at which host a file is, or reads it at a near one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.db.backends.utils import CursorWrapper

from resto.record.database import execute
from resto.record.identities import GONE, NEW
from resto.record.rows import names_of_hosts
from resto.record.settled import SETTLED


__all__ = ["MOST", "Lag", "lag_of"]

# Rows of a host that are looked at. One that has more may lack anything.
MOST = 1_000

# Without a name, as it is about all that a host has.
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
        hosts: As they stand in the settings; at least one.

    Raises:
        ConfigurationError: A table is missing.
        DatabaseError: It cannot be read.
    """
    SETTLED.remove()
    statement, parameters = names_of_hosts(storage, hosts, MOST + 1)
    found = execute(f"{statement} UNION ALL {_LOST}", [*parameters, storage, GONE, NEW], _pairs)
    names: dict[str, list[str]] = {}
    for host, name in found:
        names.setdefault(host, []).append(name)
    lost = frozenset(host for host, its in names.items() if "" in its or len(its) > MOST)
    return Lag({host: frozenset(its) for host, its in names.items()}, lost)


def _pairs(cursor: CursorWrapper) -> list[tuple[str, str]]:
    return list(cursor.fetchall())
