"""A host that is left out is filled by a comparison of hosts with each other, and counts again in the end."""

from collections.abc import Iterator
from typing import Literal

from resto.outcomes import Outcome
from resto.record import leases, rows
from resto.record.backlog import rows_of_name
from resto.record.left_out import count_again
from resto.repair.sync.report import Difference, HostReport, SyncOptions, SyncReport
from resto.storage import DistributedStorage
from resto.storage.identified import alias_of_identities


__all__ = ["Fill"]

# How often is tried at the end what could not be decided before, as something was under way, and how many names at a time.
ROUNDS, PART = 5, 1_000


class Fill:
    """The hosts of a comparison that are filled.

    Args:
        storage: Whose hosts they are.
        reports: Of all hosts that are compared.
        options: Of the comparison.
    """

    def __init__(self, storage: DistributedStorage, reports: dict[str, HostReport], options: SyncOptions) -> None:
        self._storage = storage
        self._reports = reports
        self._options = options
        self._alias = alias_of_identities(storage) or ""  # else no host is filled
        self.hosts: frozenset[str] = frozenset()

    def begin(self) -> None:
        """Find out which hosts are left out, once they are recognized.

        Raises:
            DatabaseError: The record cannot be read.
        """
        self.hosts = self._storage.left_out().intersection(self._reports)
        for host in self.hosts:
            self._reports[host].fill = "filling"

    def is_unknown(self, difference: Difference) -> bool:
        """Tell whether a host that is filled has a file of which the record says nothing."""
        if difference.host not in self.hosts:
            return False
        found = rows_of_name(self._alias, difference.name)
        return all(row.host != difference.host for row in found)

    def retry(self) -> Iterator[Outcome]:
        """Repair what is pending for hosts that are filled, as far as nobody else does."""
        for host in sorted(self.hosts):
            for _ in range(ROUNDS):
                found = rows.select_of_host(self._alias, host, {"quiet_until <= %s": leases.clock()}, PART)
                yield from self._storage.repair_each((host, name) for name in dict.fromkeys(row.name for row in found))
                if not found:
                    break

    def end(self, report: SyncReport) -> None:
        """Let those count again that have all that others have.

        Args:
            report: What the comparison has come to.
        """
        if self._options.dry_run or self._options.prefix or report.problems:
            return
        if self._reports.keys() < {*self._storage.hosts} or any(one.problems for one in report.hosts):
            return
        for one in report.hosts:
            if one.host in self.hosts:
                one.fill = ""
                one.fill = self._ended(one)
        self._storage.left_out()

    def _ended(self, one: HostReport) -> Literal["filling", "pending", "filled"]:
        if not one.is_dealt_with:
            return "filling"
        if count_again(self._alias, one.host):
            return "filled"
        is_pending = rows.select({"storage = %s": self._alias, "host = %s": one.host}, 1)
        return "pending" if is_pending else "filling"
