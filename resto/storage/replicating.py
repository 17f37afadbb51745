"""What a storage with a master copy does with its hosts: it makes them equal to the master copy, whatever that is by then."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from resto.courses import Course, as_method, waiting
from resto.exceptions import ConfigurationError
from resto.executors import Executor, Job
from resto.master.copy import MasterCopy
from resto.master.snapshots import sharing_snapshots
from resto.names import require_canonical
from resto.outcomes import Outcome
from resto.record import compared, opening
from resto.record.changes import Change, current_lease, holding, is_decided
from resto.record.leases import Lease
from resto.storage.jobs import leased_job
from resto.storage.mastered import MasteredStorage
from resto.storage.repairs import Leases, recorded_jobs, run_repairs
from resto.storage.replication import alone, catch_up, replicate
from resto.storage.reporting import removed, uploaded


__all__ = ["ReplicatingStorage"]


class ReplicatingStorage(MasteredStorage):
    """A storage whose hosts follow its master copy. Subclasses change that."""

    _master: MasterCopy

    # What runs on one host.

    @as_method
    def upload(self, host: str, name: str) -> Course[bool]:
        """Replicate a new file to one host; return whether a file had its name there."""
        existed = yield from self._replicate(host, name, "upload")
        return uploaded(host, name, existed) if existed and not self._allow_overwrite else existed

    @as_method
    def update(self, host: str, name: str) -> Course[bool]:
        """Replicate a file that was opened for writing to one host; return whether the file was there before."""
        return self._replicate(host, name, "upload")

    @as_method
    def remove(self, host: str, name: str) -> Course[bool]:
        """Replicate a deletion to one host; return whether the file was there."""
        return removed(host, name, (yield from self._replicate(host, name, "delete")))

    @as_method
    def withdraw(self, host: str, name: str) -> Course[bool]:
        """Replicate the undoing of a failed save to one host; return whether the file was there."""
        return self._replicate(host, name, "delete")

    @as_method
    def repair(self, host: str, name: str) -> Course[bool]:
        """Replicate a file to one host that is found to differ there, whatever it is; return whether it was there before."""
        self.reserved.require_free(name)
        return self._replicate(host, name, "repair")

    def _replicate(self, host: str, name: str, action: str) -> Course[bool]:
        require_canonical(name)
        if not is_decided() and self.record_alias() is not None:
            # Whoever writes to a host holds a lease, and nobody has opened one for this.
            change = Change(self, present=action != "delete")
            return waiting(alone, change, host, name, action, partial(self._replicate, host, name, action))
        if self.recognition.is_due(host):
            return self._replicate_at_first(host, name, action)
        return self._replicate_now(host, name, action)

    def _replicate_at_first(self, host: str, name: str, action: str) -> Course[bool]:
        yield from waiting(self.recognition.recognize, (host,), is_admitted=True)
        return (yield from self._replicate_now(host, name, action))

    def _replicate_now(self, host: str, name: str, action: str) -> Course[bool]:
        self.recognition.require(host, name, action)
        lease = current_lease()
        follow_up = catch_up if lease is not None and host in lease.caught_up else replicate
        return follow_up(self.transport_for(host), self._master, host, name, action, lease)

    def open_lease(self, name: str, hosts: tuple[str, ...], *, present: bool) -> Lease | None:
        alias = self._alias_for_change(name)
        if alias is None:
            return None
        if self.waits_for_hosts:
            # Here, as the caller may be in a transaction that keeps other threads from the record.
            self.recognition.recognize(hosts)
        return opening.open_lease(alias, hosts, name, present=present)

    def repair_job(self, host: str, name: str, lease: Lease, *, present: bool) -> Job:
        """Return the job that makes one host equal to the master copy; it fails if that is empty and should not be."""
        is_there = present
        # Where that cannot be told, such as where this user may not look, the job fails, of what was to be done.
        with suppress(OSError, ConfigurationError):
            is_there = self._master.fingerprint(name) is not None
        action = "upload" if is_there else "delete"
        with holding(lease):
            return leased_job(self._guarded_job(action, self._repair_missed, host, name, action, present=present))

    @as_method
    def _repair_missed(self, host: str, name: str, action: str, *, present: bool) -> Course[bool]:
        self.reserved.require_free(name)
        if present:
            self._master.require_mounted(name)
        if action == "delete":
            self._master.proven.require_whole()
        return (yield from self._replicate(host, name, action))

    def _run_on(
        self, executor: Executor, func: Callable[..., Any], hosts: Sequence[str], name: str, *args: Any, **kwargs: Any
    ) -> list[Outcome]:
        with sharing_snapshots():  # the same file goes to all hosts
            return super()._run_on(executor, func, hosts, name, *args, **kwargs)

    def restored_job(self, host: str, name: str, lease: Lease | None) -> Job:
        """Return the job that makes one host equal to a file which was brought back, mostly from there: it looks first.

        Args:
            host: The host as it stands in the settings.
            name: The file's name.
            lease: Holds the rows of the name; None where nothing is recorded.
        """
        if lease is not None:
            lease.caught_up = lease.hosts
        with holding(lease):
            return self._job(self.repair, host, name)

    # The full comparison.

    def repair_each(self, differences: Iterable[tuple[str, str]], *, from_nothing: bool = False) -> Iterator[Outcome]:
        """Make hosts equal to the master copy, whatever that is by then, many files at a time.

        Args:
            differences: Pairs of a host and the name of a file, each pair once. They are taken when there is room.
            from_nothing: Whether to go on if the master copy has no file at all: it may not be mounted.

        Returns:
            What happened with each, when it has, in no order. Failures are logged.
        """
        leases: Leases = {}
        require = None if from_nothing else self._master.require_files
        jobs = recorded_jobs(differences, leases, self.record_alias(), partial(self._job, self.repair), require)
        return run_repairs(jobs, leases, self.report)

    def hand_over(self, pairs: Sequence[tuple[str, str]], *, present: bool) -> list[Outcome]:
        problem = None
        try:
            self._master.require_files()
        except (FileNotFoundError, ConfigurationError) as error:
            problem = error
        else:
            compared.leave(self.record_alias() or "", pairs, present=present)
        return [Outcome("repair", host, name, 0.0, error=problem) for host, name in pairs]
