"""Repair where there is no master copy: a host is made equal to hosts that tell the truth."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from resto.exceptions import UndecidedError
from resto.executors import Job
from resto.names import require_canonical
from resto.outcomes import Outcome
from resto.record.backlog import rows_of_name
from resto.record.changes import current_lease, holding
from resto.record.claims import PendingName, claim_name
from resto.record.leases import Lease
from resto.record.rows import Row
from resto.record.truth import Truth, find_source, truth_of
from resto.storage.jobs import leased_job
from resto.storage.reading import download
from resto.storage.repairs import Leases
from resto.storage.replication import leased
from resto.transports import Transport


__all__ = ["Copying", "claimed_jobs"]

_UNDER_WAY = "another save, delete or repair of it may still be under way"


@dataclass(frozen=True, slots=True)
class Copying:
    """Makes hosts equal to each other.

    Attributes:
        hosts: All hosts of the storage.
        transport_for: Returns the transport of a host.
        guarded: Returns a job that asks the breaker of its host first.
        exists: Tells whether a host has a file.
        withdraw: Deletes a file from a host.
        require: Raises unless a host may be written to.
    """

    hosts: Sequence[str]
    transport_for: Callable[[str], Transport]
    guarded: Callable[..., Job]
    exists: Callable[[str, str], bool]
    withdraw: Callable[[str, str], bool]
    require: Callable[[str, str, str], None] = lambda host, name, action: None

    def job(self, claim: PendingName, rows: Sequence[Row]) -> Job:
        """Return the job that does what a drain has claimed.

        Args:
            claim: One name on one host.
            rows: Of the name, oldest first.
        """
        host, name, lease = claim.host, claim.name, claim.lease
        if all(row.owner != lease.token for row in rows):
            lease.make_findable(claim.storage, name)
            rows = rows_of_name(claim.storage, name)
        if _is_disturbed(rows, host, lease):
            return _not_yet(host, name)
        lease.expect(row.latest for row in rows if row.host == host)
        truth = truth_of(self.hosts, rows)
        with holding(lease):
            return leased_job(Job("repair", host, name, partial(self._repair, host, name, truth)))

    def _repair(self, host: str, name: str, truth: Truth) -> None:
        require_canonical(name)
        source = find_source(truth, host, name, partial(self._ask, name))
        if source is None:
            self.guarded("repair", self.withdraw, host, name).call()
        elif source != host:
            self._copy(source, host, name)

    def _ask(self, name: str, host: str) -> Outcome:
        return self.guarded("exists", self.exists, host, name).run()

    def _copy(self, source: str, host: str, name: str) -> None:
        self.require(host, name, "repair")
        read = self.guarded("download", partial(download, self.transport_for), source, name).run()
        if read.error is not None:
            raise UndecidedError(
                host, name, "repair", f"it cannot be copied from {source}: {read.error}"
            ) from read.error
        with read.value as content:
            create = self.transport_for(host).create
            self.guarded("repair", create, host, name, leased(content, current_lease())).call()


def claimed_jobs(
    alias: str, differences: Iterable[tuple[str, str]], leases: Leases, job: Callable[..., Job]
) -> Iterator[Job]:
    """Claim what is pending for each difference, and yield the job that does it.

    Args:
        alias: Of the storage.
        differences: Pairs of a host and the name of a file.
        leases: Are added to.
        job: As `ReplicatedStorage.repair_job`.
    """
    for host, name in differences:
        claim = claim_name(alias, host, name)
        if claim is None:
            yield _not_yet(host, name)
        else:
            leases[host, name] = claim.lease
            yield job(host, name, claim.lease, present=claim.present)


def _is_disturbed(rows: Sequence[Row], host: str, lease: Lease) -> bool:
    """Tell whether somebody else may be writing to a host."""
    return any(row.host == host and row.owner != lease.token for row in rows)


def _not_yet(host: str, name: str) -> Job:
    def refuse() -> None:
        raise UndecidedError(host, name, "repair", _UNDER_WAY)

    return Job("repair", host, name, refuse)
