"""Which hosts of a storage without a master copy are left out, as far as this process knows."""

import logging
from collections.abc import Sequence
from typing import Any, TypeVar

from django.db import DatabaseError

from resto.exceptions import ConfigurationError
from resto.outcomes import Outcome
from resto.record import identities, leases
from resto.record.changes import current_lease
from resto.record.left_out import left_out_of
from resto.record.truth import NOBODY, LeftOut
from resto.storage.identified import Recorded, alias_of_identities


__all__ = ["LeftOutHosts"]

logger = logging.getLogger("resto")

T = TypeVar("T", bound=Any)

# Seconds for which the record is not asked again by whoever only reads; less than `resto.record.identities.MARGIN`.
KNOWN_FOR = 5.0


class LeftOutHosts:
    """What the record says of hosts that are left out. May be used by several threads.

    Args:
        storage: Whose hosts they are.
    """

    def __init__(self, storage: Recorded) -> None:
        self._storage = storage
        self._known = NOBODY, float("-inf")

    def look(self) -> LeftOut:
        """Ask the record.

        Raises:
            ConfigurationError: The table is missing.
            DatabaseError: It cannot be read.
        """
        alias = alias_of_identities(self._storage)
        found = NOBODY if alias is None else left_out_of(identities.find_all(alias))
        self._known = found, leases.monotonic() + KNOWN_FOR
        return found

    def known(self) -> LeftOut:
        """Return what the record has said a moment ago, or says.

        Raises:
            Exception: As for `look`.
        """
        found, until = self._known
        return found if leases.monotonic() < until else self.look()

    def have_followed(self, hosts: Sequence[str], outcomes: Sequence[Outcome], quorum: int | None) -> bool:
        """Return whether enough hosts have followed the change whose lease is held now, of those that have their files.

        Args:
            hosts: All hosts of the storage.
            outcomes: What happened on each host.
            quorum: How many hosts that count must have followed; None for all of them.
        """
        if all(outcome.ok for outcome in outcomes):
            return quorum is None or len(outcomes) >= quorum
        lease = current_lease()
        try:
            left_out = frozenset[str]() if lease is None else self.look().hosts(hosts, lease.created)
        except (DatabaseError, ConfigurationError):
            logger.exception("Failed to find out which hosts count.")
            return False
        lost = left_out if lease is None else left_out | lease.staying.keys()
        counting = [one.ok for one in outcomes if one.host not in (lost if lost < {*hosts} else left_out)]
        return all(counting) if quorum is None else sum(counting) >= quorum

    def without(self, hosts: Sequence[str], outcomes: Sequence[T]) -> list[T]:
        """Return outcomes without those of hosts that are left out, as far as this process knows.

        Args:
            hosts: All hosts of the storage.
            outcomes: What happened on each host.
        """
        left_out = self._known[0].hosts(hosts)
        return [outcome for outcome in outcomes if outcome.host not in left_out]
