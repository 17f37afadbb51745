"""What a storage without a master copy records, and believes: which hosts tell the truth, and how the others are made equal to them."""

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, Unpack

from resto.courses import Course, as_method, course_of
from resto.exceptions import TransportError
from resto.executors import Job
from resto.names import require_canonical
from resto.outcomes import Outcome
from resto.record import backlog, compared, leases, opening
from resto.record.changes import current_lease
from resto.record.claims import PendingName
from resto.record.leases import Lease
from resto.record.rows import Row
from resto.record.truth import LeftOut, Truth, truth_of
from resto.storage.base import ReplicatedStorage
from resto.storage.blocks import Asking
from resto.storage.composition import StorageOptions
from resto.storage.copying import Copying, claimed_jobs
from resto.storage.host_identity import read_host_identity
from resto.storage.left_out import LeftOutHosts
from resto.storage.near import NearHosts
from resto.storage.reading import checked
from resto.storage.repairs import Leases, run_repairs
from resto.storage.reservation import Reservation


__all__ = ["UnmasteredStorage", "keep_lease"]


class UnmasteredStorage(ReplicatedStorage):
    """A storage whose hosts tell the truth, those that have missed nothing. Subclasses read and write.

    Attributes:
        left_out_hosts: Which hosts have lost their files, and are not believed until they are filled.
        near: The hosts whose directories are on this machine, and that are read there.
    """

    def __init__(self, hosts: Any = None, base_url: str | None = None, **options: Unpack[StorageOptions]) -> None:
        super().__init__(hosts, base_url, **options)
        self._reservation = Reservation()
        self.left_out_hosts = LeftOutHosts(self)
        self.near = NearHosts(self)

    def _forget_composition(self, *, setting: str, **kwargs: Any) -> None:
        super()._forget_composition(setting=setting, **kwargs)
        self.near.forget()

    # The record.

    def open_lease(self, name: str, hosts: tuple[str, ...], *, present: bool) -> Lease | None:
        alias = self._alias_for_change(name)
        if alias is None:
            return None
        self.recognition.recognize(hosts)
        lease = opening.open_change(alias, hosts, name, present=present)
        if not present:  # a save looks whether there are others
            lease.overrule(alias, name)
        self.near.note_change()
        return lease

    def truth(self, name: str) -> Truth:
        """Return which hosts tell the truth about a name."""
        return truth_of(self.hosts, self.rows_of(name), self.left_out_hosts.known())

    def asking(self, name: str) -> Asking:
        """Return how hosts are asked for a file while it is read."""

        def believed() -> Sequence[str]:
            truth = self.truth(name)
            hosts = self.own_hosts.among(truth.hosts) if truth.is_settled else ()
            return random.sample(hosts, len(hosts))

        def job(call: Callable[[str, str], Any], host: str) -> Job:
            return self._guarded_job("download", call, host, name)

        return Asking(name, self.transport_for, job, self.report, believed, self.hosts)

    def known_hosts(self) -> LeftOut:
        """Return which hosts are left out, and what each is known by, as the record has said a moment ago."""
        return self.left_out_hosts.known()

    def rows_of(self, name: str) -> Sequence[Row]:
        """Return all rows of a name, oldest first."""
        seen = self._reservation.rows(name)
        if seen is not None:
            return seen
        alias = self.record_alias()
        return () if alias is None else backlog.rows_of_name(alias, name)

    def repair_job(self, host: str, name: str, lease: Lease, *, present: bool) -> Job:
        """Return the job that makes one host equal to those that tell the truth, whatever it has missed."""
        claim = PendingName(self.record_alias() or "", host, name, present, lease, leases.clock())
        return self._copying(self.left_out_hosts.known()).job(claim, self.rows_of(name))

    def repair_jobs(self, claims: Sequence[PendingName]) -> list[Job]:
        """Return the jobs of `repair_job` for what a drain has claimed, after one look at the record."""
        found = backlog.rows_of_names(claims[0].storage, [one.name for one in claims]) if claims else {}
        copying = self._copying(self.left_out_hosts.look())
        return [copying.job(one, found.get(one.name, ())) for one in claims]

    def repair_each(self, differences: Iterable[tuple[str, str]]) -> Iterator[Outcome]:
        """Make hosts equal to those that tell the truth, as `HybridStorage` does to the master copy.

        Args:
            differences: As for `HybridStorage`; something is pending for each pair.
        """
        held: Leases = {}
        jobs = claimed_jobs(self.record_alias() or "", differences, held, self.repair_job, self.left_out())
        # One by one: rows of a name that are not settled keep its other hosts waiting.
        return run_repairs(jobs, held, self.report, at_once=1)

    def hand_over(self, pairs: Sequence[tuple[str, str]], *, present: bool) -> list[Outcome]:
        """Do so where a host is filled; something is pending for all other pairs."""
        filled = self.left_out()
        compared.leave_fills(self.record_alias() or "", [pair for pair in pairs if pair[0] in filled])
        return [Outcome("repair", host, name, 0.0) for host, name in pairs]

    def _copying(self, left_out: LeftOut) -> Copying:
        require, guarded = self.recognition.require, self._guarded_job
        have_lost = partial(self._have_lost, left_out)
        self.own_hosts.among(self.hosts)  # so that it is known which ones are, wherever the copying is done
        exists = self._exists_on_own
        return Copying(self.hosts, self.transport_for, guarded, exists, self.withdraw, left_out, require, have_lost)

    def _have_lost(self, left_out: LeftOut, hosts: Sequence[str]) -> bool:
        """Look whether all of some hosts have lost their files by now: that they lack one says nothing."""
        return all(host in left_out.identities and self._has_lost(host, left_out.identities[host]) for host in hosts)

    def _has_lost(self, host: str, known: str) -> bool:
        try:
            found = read_host_identity(self.transport_for(host), host)
        except TransportError:
            return False  # such as one that takes no names with a dot in front
        return found is None or found.id not in ("", known)

    def left_out(self, lease: Lease | None = None) -> frozenset[str]:
        return self.left_out_hosts.look().hosts(self.hosts, None if lease is None else lease.created)

    # What runs on one host to make it equal to others.

    @as_method
    def withdraw(self, host: str, name: str) -> Course[bool]:
        """Delete from one host what a failed save may have left there."""
        require_canonical(name)
        self.recognition.require(host, name, "delete")
        keep_lease()
        return (yield from course_of(self.transport_for(host).delete, host, name))

    @as_method
    def _exists(self, host: str, name: str) -> Course[bool]:
        told = yield from course_of(self.transport_for(host).exists, host, name)
        return checked(self.transport_for(host), "exists", host, name, bool, told)

    @as_method
    def _exists_on_own(self, host: str, name: str) -> Course[bool]:
        """Look whether a host has a file, which a host that is something else does not tell."""
        for problem in self.own_hosts.others([host]).values():
            raise problem
        return (yield from course_of(self._exists, host, name))


def keep_lease() -> None:
    """Make sure that nobody else may write to the hosts instead of whoever holds the lease of the change."""
    lease = current_lease()
    if lease is not None:
        lease.keep()
