"""Repair where there is no master copy: a host is made equal to hosts that tell the truth."""

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO, cast

from resto.courses import finish
from resto.exceptions import UndecidedError
from resto.executors import Job
from resto.names import require_canonical
from resto.outcomes import Outcome
from resto.record.backlog import rows_of_name
from resto.record.changes import current_lease, holding
from resto.record.claims import PendingName, claim_name
from resto.record.leases import Lease, forget_leases, release_leases
from resto.record.opening import open_fills
from resto.record.rows import FILL, Row, make_findable
from resto.record.truth import LeftOut, Truth, find_source, truth_of
from resto.storage.jobs import leased_job
from resto.storage.reading import download
from resto.storage.repairs import Leases
from resto.storage.replication import has_got, leased
from resto.traffic import count_sent
from resto.transports import Transport


__all__ = ["Copying", "claimed_jobs", "decided_jobs", "decided_outcomes"]

_UNSETTLED = "something is pending for all hosts that it could be made equal to"

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
        left_out: Hosts that are left out, or were.
        require: Raises unless a host may be written to.
        have_lost: Looks whether all of some hosts have lost their files.
    """

    hosts: Sequence[str]
    transport_for: Callable[[str], Transport]
    guarded: Callable[..., Job]
    exists: Callable[[str, str], bool]
    withdraw: Callable[[str, str], bool]
    left_out: LeftOut
    require: Callable[[str, str, str], None] = lambda host, name, action: None
    have_lost: Callable[[Sequence[str]], bool] = lambda hosts: False

    def job(self, claim: PendingName, rows: Sequence[Row]) -> Job:
        """Return the job that does what a drain has claimed.

        Args:
            claim: One name on one host.
            rows: Of the name, oldest first.
        """
        host, name, lease = claim.host, claim.name, claim.lease
        if _is_unknown(rows, lease):
            make_findable(lease.token, claim.storage, name)
            rows = rows_of_name(claim.storage, name)
        if _is_disturbed(rows, host, lease):
            return _not_yet(host, name)
        truth = truth_of(self.hosts, rows, self.left_out)
        if not truth.is_settled and _is_filled(rows, host, truth):
            return _not_yet(host, name, _UNSETTLED)
        lease.expect(row.latest for row in rows if row.host == host)
        with holding(lease):
            return leased_job(Job("repair", host, name, partial(self._repair, host, name, truth)))

    def _repair(self, host: str, name: str, truth: Truth) -> int:
        """Make a host equal to the truth, and return how many bytes were sent; False if it does not have the file then, True if it had it."""
        require_canonical(name)
        source = find_source(truth, host, name, partial(self._ask, name))
        if source is None:
            if truth.is_present and self._is_anywhere(name) and self._is_doubtful(truth):
                raise UndecidedError(host, name, "repair", f"{truth.hosts[0]} would know it, but has lost its files")
            self.guarded("repair", self.withdraw, host, name).call()
            return False
        return True if source == host else self._copy(source, host, name)

    def _is_anywhere(self, name: str) -> bool:
        """Tell whether any host may have a file: one that lacks it must not become a witness against one that has it."""
        return any(self._ask(name, host).value is not False for host in self.hosts)

    def _is_doubtful(self, truth: Truth) -> bool:
        return truth.is_doubtful or self.have_lost(truth.hosts)

    def _ask(self, name: str, host: str) -> Outcome:
        return self.guarded("exists", self.exists, host, name).run()

    def _copy(self, source: str, host: str, name: str) -> int:
        self.require(host, name, "repair")
        read = self.guarded("download", partial(download, self.transport_for), source, name).run()
        if read.error is not None:
            raise UndecidedError(
                host, name, "repair", f"it cannot be copied from {source}: {read.error}"
            ) from read.error
        with read.value as content:
            sent: int = self.guarded("repair", self._send, host, name, content).call()
        return sent

    def _send(self, host: str, name: str, content: BinaryIO) -> int:
        """Send a file, and return its size; True if the host has stored it before, and answered too late."""
        transport, lease = self.transport_for(host), current_lease()
        sent = cast("BinaryIO", leased(content, lease))
        if finish(has_got(transport, host, name, sent, lease)):
            return True
        size = content.seek(0, os.SEEK_END)
        content.seek(0)
        transport.create(host, name, sent)
        count_sent(host, size)
        return size


def claimed_jobs(
    alias: str,
    differences: Iterable[tuple[str, str]],
    leases: Leases,
    job: Callable[..., Job],
    filled: Collection[str] = (),
) -> Iterator[Job]:
    """Claim what is pending for each difference, and yield the job that does it.

    Args:
        alias: Of the storage.
        differences: Pairs of a host and the name of a file.
        leases: Are added to.
        job: As `ReplicatedStorage.repair_job`.
        filled: Hosts for which something differs although nothing is pending: a row is opened before anything is looked at.
    """
    for host, name in differences:
        claim = claim_name(alias, host, name)
        if claim is None and host in filled:
            [leases[host, name]] = open_fills(alias, name, [host])
            yield job(host, name, leases[host, name], present=False)
        elif claim is None:
            yield _not_yet(host, name)
        else:
            leases[host, name] = claim.lease
            yield job(host, name, claim.lease, present=claim.present)


def decided_jobs(
    alias: str,
    wanted: Iterable[tuple[str, Sequence[str]]],
    leases: Leases,
    job: Callable[..., Job],
    truth: Callable[[str], Truth],
) -> Iterator[Job]:
    """Record which hosts are wrong about each name, as somebody has decided, and yield the jobs that put them right.

    Args:
        alias: Of the storage.
        wanted: Names, and all hosts that are not known to be as it was decided. Each name is left alone if anything is pending.
        leases: Are added to.
        job: As `ReplicatedStorage.repair_job`.
        truth: What the record says of a name.
    """
    for name, hosts, opened in _decided(alias, wanted, truth):
        if not opened:
            yield from (_not_yet(host, name) for host in hosts)
        leases.update({(host, name): lease for host, lease in opened.items()})
        for host, lease in opened.items():
            yield job(host, name, lease, present=False)


def decided_outcomes(
    alias: str, wanted: Iterable[tuple[str, Sequence[str]]], truth: Callable[[str], Truth]
) -> Iterator[Outcome]:
    """Record which hosts are wrong about each name, leave it to drains to put them right, and yield whether that is recorded.

    Args:
        alias: As for `decided_jobs`.
        wanted: As for `decided_jobs`.
        truth: As for `decided_jobs`.
    """
    for name, hosts, opened in _decided(alias, wanted, truth):
        if not opened:
            yield from (_not_yet(host, name).run() for host in hosts)
        release_leases([*opened.values()], 0)
        yield from (Outcome("repair", host, name, 0.0) for host in opened)


def _decided(
    alias: str, wanted: Iterable[tuple[str, Sequence[str]]], truth: Callable[[str], Truth]
) -> Iterator[tuple[str, Sequence[str], dict[str, Lease]]]:
    """Yield each name, and the hosts that are wrong with their leases; none if anything is pending for the name."""
    for name, hosts in wanted:
        opened = dict(zip(hosts, open_fills(alias, name, hosts), strict=True))
        tokens = {lease.token for lease in opened.values()}
        others = {row.host for row in rows_of_name(alias, name) if row.owner not in tokens}
        if others and not (truth(name).is_doubtful and _are_forgotten(alias, name, others)):
            forget_leases([*opened.values()])
            opened = {}
        yield name, hosts, opened


def _are_forgotten(alias: str, name: str, hosts: Collection[str]) -> bool:
    """Forget what is pending for a name that the record cannot decide; return False if somebody deals with it."""
    claims = [claim_name(alias, host, name) for host in hosts]
    if None in claims:
        release_leases([claim.lease for claim in claims if claim is not None], 0)
        return False
    forget_leases([claim.lease for claim in claims if claim is not None])
    return True


def _is_unknown(rows: Sequence[Row], lease: Lease) -> bool:
    """Tell whether what was claimed cannot be found with the other rows of its name: a storage with a master copy has left it."""
    own = [row for row in rows if row.owner == lease.token]
    return not own or not all(row.digest for row in own)


def _is_disturbed(rows: Sequence[Row], host: str, lease: Lease) -> bool:
    """Tell whether somebody else may be writing to a host."""
    return any(row.host == host and row.owner != lease.token for row in rows)


def _is_filled(rows: Sequence[Row], host: str, truth: Truth) -> bool:
    """Tell whether a host is made equal to others whatever it has: then these must be right."""
    return host in truth.left_out or any(row.host == host and row.opened_by == FILL for row in rows)


def _not_yet(host: str, name: str, why: str = _UNDER_WAY) -> Job:
    def refuse() -> None:
        raise UndecidedError(host, name, "repair", why)

    return Job("repair", host, name, refuse)
