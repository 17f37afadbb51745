"""What is pending for hosts and storages that the settings do not have: kept for a week, for whoever knows them, then forgotten."""

import logging
from collections import Counter
from collections.abc import Callable, Sequence

from resto.names import shown
from resto.record import claims, leases, rows
from resto.record.backlog import backlog_of_host
from resto.storage import ReplicatedStorage
from resto.storage.finding import find_host


__all__ = ["Strangers"]

logger = logging.getLogger("resto")

# Seconds for which rows are kept of what the settings do not have: the process may only not know yet what was just added.
KEPT = 7 * 86_400

# Seconds until the same is said once more.
TOLD = 3_600

# When this process has said last that it keeps something.
_told: dict[str, float] = {}


class Strangers:
    """The storages and hosts of rows that the settings of this process do not have.

    Their rows are left as they are, since another process may know them already.

    Args:
        find_storage: Returns what ``STORAGES`` has under an alias; None if it has nothing; raises if it is broken.
        storages: Aliases; all if there are none.
        hosts: Hosts; all if there are none.

    Attributes:
        pairs: The storages and hosts.
        kept: How many names were kept, if that has not been said a while ago.
        forgotten: How many names were forgotten.
    """

    def __init__(self, find_storage: Callable[[str], object], storages: Sequence[str], hosts: Sequence[str]) -> None:
        self._find_storage = find_storage
        self.pairs: set[tuple[str, str]] = set()
        self.kept = self.forgotten = 0
        kept, forgotten = Counter[str](), Counter[str]()
        for alias, host in rows.pairs(storages):
            what = None if hosts and host not in hosts else self._name(alias, host)
            if what is not None:
                self.pairs.add((alias, host))
                forgotten[what] += claims.forget_before(alias, host, leases.clock() - KEPT)
                if leases.clock() - _told.get(what, -TOLD) >= TOLD:
                    kept[what] += backlog_of_host(alias, host).count
        self._tell(kept, forgotten)

    def _name(self, alias: str, host: str) -> str | None:
        """Return what is not known, a sentence fragment; None if both are."""
        try:
            storage = self._find_storage(alias)
        except Exception:  # noqa: BLE001 - whatever a plugin raises: the drain says so
            return None
        if not isinstance(storage, ReplicatedStorage):
            return f"STORAGES[{alias!r}], which is not a storage of resto"
        if find_host(storage, host) is None:
            return f"{host}, which is not a host of STORAGES[{alias!r}]"
        return None

    def _tell(self, kept: Counter[str], forgotten: Counter[str]) -> None:
        self.kept, self.forgotten = kept.total(), forgotten.total()
        for what, count in (+kept).items():
            _told[what] = leases.clock()
            logger.warning(
                "Kept what is pending for %s (names: %d). It is forgotten when it is a week old.", shown(what), count
            )
        for what, count in (+forgotten).items():
            logger.warning("Forgot what was pending for %s (names: %d). It was a week old.", shown(what), count)
