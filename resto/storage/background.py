"""The storage that does not wait for the hosts, and what workers of task queues do for it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from django.db import transaction
from django.utils.deconstruct import deconstructible

from resto.exceptions import ConfigurationError
from resto.executors import Job, RemoteCall
from resto.outcomes import Outcome
from resto.plugins import get_plugin_manager
from resto.record import claims
from resto.record.changes import current_lease, holding, settled_together
from resto.record.database import in_thread_of_transaction
from resto.record.leases import Lease
from resto.storage.hybrid import HybridStorage
from resto.storage.jobs import failed_by_executor


__all__ = ["REMOTE_ACTIONS", "AsyncStorage", "Performed"]

# The methods that a worker of a task queue may be asked to call. Each is called with a host and a name.
REMOTE_ACTIONS = frozenset({"upload", "update", "remove"})


@dataclass(frozen=True, slots=True)
class Performed:
    """What a worker of a task queue has done.

    Attributes:
        outcomes: One per host that was not left to others, in the order of the hosts.
        record: For the message that is sent for hosts that failed: what their rows say of their owner.
    """

    outcomes: list[Outcome]
    record: str = ""


@deconstructible(path="resto.storage.AsyncStorage")
class AsyncStorage(HybridStorage):
    """Keeps files locally, in the master copy, and on all hosts; does not wait for the hosts.

    Failures on hosts are logged, whatever ``fatal_exceptions`` is. Nothing is lost at a normal exit of the process. With an
    executor for a task queue, workers send the files, and a queue that does not answer is a failure on all hosts.

    Args:
        hosts: As for `HybridStorage`.
        base_url: As for `HybridStorage`.
        location: As for `HybridStorage`.
        **options: As for `HybridStorage`.
    """

    waits_for_hosts = False

    def execute(self, func: Callable[..., Any], name: str, *args: Any, **kwargs: Any) -> None:
        """Run an action on all hosts, without waiting for it. Subclasses may override this.

        Args:
            func: Called as ``func(host, name, *args, **kwargs)`` for each host.
            name: The file's name.
            *args: Passed on.
            **kwargs: Passed on.
        """
        if type(self).execute_one is not AsyncStorage.execute_one:
            for host in self.hosts:
                self.execute_one(func, host, name, *args, **kwargs)
            return
        jobs = [self._background_job(func, host, name, *args, **kwargs) for host in self.hosts]
        lease = current_lease()
        if lease is None:
            self._submit(jobs)
            return
        settle = settled_together(lease, len(jobs))
        jobs = [replace(job, finished=partial(_tell_both, self.report, settle)) for job in jobs]
        in_thread_of_transaction(partial(self._submit_after_transaction, jobs))

    def _submit_after_transaction(self, jobs: list[Job]) -> None:
        if transaction.get_connection().in_atomic_block:
            # A job that another process does may be done before the transaction ends. A rollback takes the job back, not
            # the row.
            transaction.on_commit(partial(self._submit, jobs))
        else:
            self._submit(jobs)  # whatever state the connection is in: the master copy has changed

    def execute_one(self, func: Callable[..., Any], host: str, name: str, *args: Any, **kwargs: Any) -> Any:
        """Run an action on one host, without waiting for it. Subclasses may override this, to use a task queue.

        Args:
            func: Called as ``func(host, name, *args, **kwargs)``.
            host: The host as it stands in the settings.
            name: The file's name.
            *args: Passed on.
            **kwargs: Passed on.
        """
        self._submit([self._background_job(func, host, name, *args, **kwargs)])

    def _submit(self, jobs: list[Job]) -> None:
        if not jobs:
            return
        try:
            self.executor.submit(jobs)
        except Exception as error:  # noqa: BLE001 - an executor may be anybody's; the file is saved
            failed_by_executor(self.executor, jobs, f"raised {type(error).__name__}: {error}")

    def _background_job(self, func: Callable[..., Any], host: str, name: str, *args: Any, **kwargs: Any) -> Job:
        job = self._job(func, host, name, *args, **kwargs)
        remote = None if args or kwargs else self._remote_call(func)
        return Job(job.action, job.host, job.name, job.call, self.report, remote=remote)

    def _remote_call(self, func: Callable[..., Any]) -> RemoteCall | None:
        alias, action = self._composed().alias, func.__name__
        if alias is None or action not in REMOTE_ACTIONS or getattr(func, "__self__", None) is not self:
            return None
        lease = current_lease()
        return RemoteCall(alias, action, "" if lease is None else lease.token)

    def perform(self, action: str, hosts: Sequence[str], name: str, record: str = "") -> Performed:
        """Do in a worker of a task queue what `execute` has handed over: on all hosts at once, and wait for them.

        Args:
            action: One of `REMOTE_ACTIONS`.
            hosts: Which of the storage's hosts.
            name: The file's name.
            record: What the rows of the durable record say of their owner; empty if there are none.

        Returns:
            What happened on each host, in the order of the hosts; not on those that are left to somebody who has taken over
            meanwhile. Failures are logged. A file that was written and is not there, in a master copy without any file, is
            a failure: it may be a file system that is not mounted.
        """
        lease = self._adopt_lease(record, hosts, name, present=action != "remove")
        if lease is not None:
            hosts = [host for host in hosts if host in lease.hosts]
        if not hosts:
            return Performed([])
        with holding(lease):
            outcomes = self._perform(getattr(self, action), hosts, name, is_write=action != "remove")
        if lease is None:
            return Performed(outcomes)
        lease.settle(outcomes)
        return Performed(outcomes, lease.token)

    def _adopt_lease(self, record: str, hosts: Sequence[str], name: str, *, present: bool) -> Lease | None:
        alias = self.record_alias()
        if alias is None:
            return None
        return claims.adopt_lease(record, alias, hosts, name, present=present)

    def _perform(self, func: Callable[..., Any], hosts: Sequence[str], name: str, *, is_write: bool) -> list[Outcome]:
        try:
            if is_write:
                self._master.require_mounted(name)
            elif self.lacks(name):
                self._master.proven.require_whole()
        except (OSError, ConfigurationError) as error:  # it is missing, another one, or a shared disk that has failed
            outcomes = [self._job(func, host, name).fail(error) for host in hosts]
            for outcome in outcomes:
                self.report(outcome)
            return outcomes
        return self._run_on(get_plugin_manager().executor("thread")(), func, hosts, name)


def _tell_both(first: Callable[[Outcome], None], second: Callable[[Outcome], None], outcome: Outcome) -> None:
    try:
        first(outcome)
    finally:
        second(outcome)
