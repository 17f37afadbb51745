"""Storages for Django that keep every file on every host.

A storage is composed of a transport, which speaks to hosts, and an executor, which decides where and when to do so.
It knows neither HTTP nor threads.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, Unpack, cast

from django.db import transaction
from django.utils.deconstruct import deconstructible

from resto.courses import Course, as_method, finish, waiting
from resto.exceptions import ConfigurationError, ReplicationError
from resto.executors import Executor, Job, RemoteCall
from resto.master.copy import Fingerprint, MasterCopy, sharing_snapshots
from resto.names import clean_name, require_storable
from resto.outcomes import Outcome
from resto.plugins import get_plugin_manager
from resto.record import leases as pending
from resto.record.changes import Change, current_lease, holding, settled_together
from resto.record.leases import Lease
from resto.storage.base import ReplicatedStorage, StorageOptions, failed_by_executor, removed, uploaded
from resto.storage.files import MasterFile
from resto.storage.replication import replicate
from resto.storage.undo import undone, with_consequence
from resto.transports import Directory


if TYPE_CHECKING:
    from django.core.files import File


__all__ = ["REMOTE_ACTIONS", "AsyncStorage", "HybridStorage", "Performed"]

# The methods that a worker of a task queue may be asked to call. Each is called with a host and a name.
REMOTE_ACTIONS = frozenset({"upload", "update", "remove"})

# How many rows of the record are written at a time where many files are repaired.
LEASES = 64


@dataclass(frozen=True, slots=True)
class Performed:
    """What a worker of a task queue has done.

    Attributes:
        outcomes: One per host that was not left to others, in the order of the hosts.
        record: For the message that is sent for hosts that failed: what their rows say of their owner.
    """

    outcomes: list[Outcome]
    record: str = ""


@deconstructible(path="resto.storage.HybridStorage")
class HybridStorage(ReplicatedStorage):
    """Keeps files locally, in the master copy, and on all hosts; waits for the hosts.

    Files are read locally. A failed save of a new name is undone when ``fatal_exceptions`` is set.

    Args:
        hosts: Addresses of the media servers: ``"media-1:8080"``, a full URL, or ``{"url": ..., **options for it}``.
        base_url: Where files are served from; defaults to ``MEDIA_URL``.
        location: Directory of the master copy; defaults to ``MEDIA_ROOT``. Two storages must not share one.
        file_permissions_mode: As for Django's `FileSystemStorage`.
        directory_permissions_mode: As for Django's `FileSystemStorage`.
        allow_overwrite: As for Django's `FileSystemStorage`.
        **options: As for `DistributedStorage`.
    """

    def __init__(
        self,
        hosts: Any = None,
        base_url: str | None = None,
        location: Any = None,
        *,
        file_permissions_mode: int | None = None,
        directory_permissions_mode: int | None = None,
        allow_overwrite: bool = False,
        **options: Unpack[StorageOptions],
    ) -> None:
        super().__init__(hosts, base_url, **options)
        self._allow_overwrite = allow_overwrite
        self._master = MasterCopy(
            location, file_permissions_mode, directory_permissions_mode, allow_overwrite=allow_overwrite
        )

    def _compose(self) -> Any:
        # Django's own default is "", the working directory: hosts would get the code of the site, and its secrets.
        if not self.base_location:
            raise ConfigurationError("MEDIA_ROOT is not set", "Set it, or the option 'location'.", "E017")
        return super()._compose()

    # What runs on one host. Each makes the host equal to the master copy, whatever that is by then.

    @as_method
    def upload(self, host: str, name: str) -> Course[bool]:
        """Replicate a new file to one host; return whether a file had its name there."""
        existed = yield from self._replicate(host, name, "upload")
        return existed if self._allow_overwrite else uploaded(host, name, existed)

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
        return self._replicate(host, name, "repair")

    def _replicate(self, host: str, name: str, action: str) -> Course[bool]:
        lease = current_lease()
        if lease is None and self.record_alias() is not None:
            return waiting(self._replicate_alone, host, name, action)
        return replicate(self.transport_for(host), self._master, host, name, action, lease)

    def _replicate_alone(self, host: str, name: str, action: str) -> bool:
        """Replicate to one host for somebody who has not recorded that: whoever writes to a host holds a lease."""
        change = Change(self, present=action != "delete")
        change.announce(name, (host,))
        with holding(change.lease):
            outcome = Job(action, host, name, lambda: finish(self._replicate(host, name, action))).run()
        change.settle([outcome])
        if outcome.error is not None:
            raise outcome.error
        return bool(outcome.value)

    def open_lease(self, name: str, hosts: tuple[str, ...], *, present: bool) -> Lease | None:
        """Record that hosts are about to differ from the master copy; return None where nothing is recorded.

        Args:
            name: The file's name.
            hosts: The hosts as they stand in the settings.
            present: Whether the master copy is about to have the file.
        """
        alias = self.record_alias()
        if alias is None:
            return None
        return pending.open_lease(alias, hosts, name, present=present)

    def repair_job(self, host: str, name: str, lease: Lease, *, present: bool) -> Job:
        """Return the job that makes one host equal to the master copy, whatever was missed.

        Args:
            host: The host as it stands in the settings.
            name: The file's name.
            lease: Holds the rows of this host and name.
            present: Whether the file should be there, as far as is known. If it is not, and nor is any other, a file system
                may not be mounted, and the job fails.
        """
        action = self._repairing_action(name, present=present)
        with holding(lease):
            return self._leased_job(self._guarded_job(action, self._repair_missed, host, name, action, present=present))

    def _repairing_action(self, name: str, *, present: bool) -> str:
        # Where that cannot be told, such as where this user may not look, the job fails, of what was to be done.
        with suppress(OSError):
            present = self._master.fingerprint(name) is not None
        return "upload" if present else "delete"

    @as_method
    def _repair_missed(self, host: str, name: str, action: str, *, present: bool) -> Course[bool]:
        if present:
            self._master.require_mounted(name)
        return (yield from self._replicate(host, name, action))

    def _run_on(
        self, executor: Executor, func: Callable[..., Any], hosts: Sequence[str], name: str, *args: Any, **kwargs: Any
    ) -> list[Outcome]:
        with sharing_snapshots():  # the same file goes to all hosts
            return super()._run_on(executor, func, hosts, name, *args, **kwargs)

    # The full comparison.

    def browse(self, name: str) -> Directory:
        """Return what a directory of the master copy holds, with the sizes of the files; ``""`` is the root.

        A directory that is missing holds nothing.

        Raises:
            FileNotFoundError: The directory of the master copy is missing.
            OSError: The directory cannot be read.
        """
        return self._master.browse(name)

    def repair_each(self, differences: Iterable[tuple[str, str]], *, from_nothing: bool = False) -> Iterator[Outcome]:
        """Make hosts equal to the master copy, whatever that is by then, many files at a time.

        Args:
            differences: Pairs of a host and the name of a file, each pair once. They are taken when there is room.
            from_nothing: Whether to go on if there is no file at all in the master copy: it may be a file system that is
                not mounted.

        Returns:
            What happened with each, when it has, in no order. Failures are logged.
        """
        leases: dict[tuple[str, str], Lease] = {}
        return self._run_repairs(self._repair_jobs(differences, leases, from_nothing=from_nothing), leases, LEASES)

    def _repair_jobs(
        self, differences: Iterable[tuple[str, str]], leases: dict[tuple[str, str], Lease], *, from_nothing: bool
    ) -> Iterator[Job]:
        """Yield a job for each difference, and keep its lease; some are opened at a time."""
        source = iter(differences)
        alias = self.record_alias()
        while pairs := list(islice(source, LEASES)):
            try:
                if not from_nothing:
                    self._master.require_files()
            except FileNotFoundError as error:
                yield from (Job("repair", host, name, partial(_fail, error)) for host, name in pairs)
                continue
            if alias is None:
                yield from (self._job(self.repair, host, name) for host, name in pairs)
                continue
            for pair, lease in zip(pairs, pending.open_leases(alias, pairs), strict=True):
                leases[pair] = lease
                with holding(lease):
                    job = self._job(self.repair, *pair)
                yield job

    # Django's storage API: writing.

    def _save(self, name: str, content: "File[Any]") -> str:
        name = clean_name(name)
        require_storable(name)
        self.require_sound_options()
        replaces = self._allow_overwrite and self._master.exists(name)
        change = Change(self, present=True)
        name, written = self._master.store(name, content, self._alternative, change.announce)
        with sharing_snapshots((self._master, name, written)):
            change.confirm(name)
            try:
                change.execute(self.upload, name)
            except ReplicationError as error:
                failure = error
            else:
                return name
        # Not while the error is handled: what a transport raises meanwhile would seem to come from it.
        if replaces:
            change.settle(failure.outcomes)
            raise with_consequence(failure, "the master copy is replaced, and was not undone") from failure.__cause__
        raise self._undone(failure, written.fingerprint, change) from failure.__cause__

    def _alternative(self, name: str) -> str:
        name = clean_name(self.get_available_name(name))
        require_storable(name)
        return name

    def _undone(self, error: ReplicationError, state: Fingerprint, change: Change) -> ReplicationError:
        """Undo a failed save, unless somebody has changed the file since, and return the error that says so."""
        outcomes = cast("tuple[Outcome, ...]", error.outcomes)
        if self._master.fingerprint(error.name) != state:
            change.settle(outcomes)
            return with_consequence(error, "another save or delete has followed")
        change.take_back(error.name)
        self._master.delete(error.name)
        return undone(error, change, lambda hosts: self._run(self.withdraw, hosts, error.name))

    def delete(self, name: str) -> None:
        """Delete a file from the master copy and from all hosts, if it is there.

        Raises:
            IsADirectoryError: The name is that of a directory.
            ReplicationError: It failed on a host, and ``fatal_exceptions`` is set. The master copy is deleted.
        """
        name = clean_name(name)
        self.require_sound_options()
        change = Change(self, present=False)
        change.announce(name)
        try:
            self._master.delete(name)
        except IsADirectoryError:
            change.forget()
            raise
        change.confirm(name)
        try:
            change.execute(self.remove, name)
        except ReplicationError as error:
            change.settle(error.outcomes)
            raise with_consequence(error, "the master copy is deleted, and was not undone") from error.__cause__

    def _open(self, name: str, mode: str = "rb") -> "File[Any]":
        if set(mode).isdisjoint("wax+"):
            return self._master.open(name, mode)
        name = clean_name(name)
        require_storable(name)
        self.require_sound_options()
        change = Change(self, present=True)

        def replicate_written() -> None:
            change.confirm(name)
            try:
                change.execute(self.update, name)
            except ReplicationError as error:
                change.settle(error.outcomes)
                raise with_consequence(error, "the master copy is written, and was not undone") from error.__cause__

        return MasterFile(self._master, name, mode, replicate_written, lambda: change.announce(name))

    # Django's storage API: reading, all of it from the master copy.

    @property
    def base_location(self) -> Any:
        """The directory of the master copy, as configured."""
        return self._master.base_location

    @property
    def location(self) -> str:
        """The absolute path of the directory of the master copy."""
        return str(self._master.location)

    def path(self, name: str) -> str:
        """Return the absolute path of a file of the master copy."""
        return self._master.path(name)

    def exists(self, name: str) -> bool:
        """Return whether the master copy has a file or directory of that name."""
        return self._master.exists(name)

    def is_name_available(self, name: str, max_length: int | None = None) -> bool:
        """Return whether a name can be used for a new file."""
        if self._allow_overwrite:
            return self._master.is_name_available(name, max_length=max_length)
        return super().is_name_available(name, max_length=max_length)  # asks `exists`, which a subclass may refine

    def get_alternative_name(self, file_root: str, file_ext: str) -> str:
        """Return another name to try, made of the parts of one that is taken."""
        return self._master.get_alternative_name(file_root, file_ext)

    def listdir(self, path: str) -> tuple[list[str], list[str]]:
        """Return the names of the directories and of the files in a directory of the master copy."""
        return self._master.listdir(path)

    def size(self, name: str) -> int:
        """Return the size of a file, in bytes."""
        return self._master.size(name)

    def get_accessed_time(self, name: str) -> datetime:
        """Return when the file of the master copy was last read; aware if ``USE_TZ`` is set, else local."""
        return self._master.get_accessed_time(name)

    def get_created_time(self, name: str) -> datetime:
        """Return when the file of the master copy was created; aware if ``USE_TZ`` is set, else local."""
        return self._master.get_created_time(name)

    def get_modified_time(self, name: str) -> datetime:
        """Return when the file of the master copy was last modified; aware if ``USE_TZ`` is set, else local."""
        return self._master.get_modified_time(name)


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
        return pending.adopt_lease(record, alias, hosts, name, present=present)

    def _perform(self, func: Callable[..., Any], hosts: Sequence[str], name: str, *, is_write: bool) -> list[Outcome]:
        try:
            if is_write:
                self._master.require_mounted(name)
        except OSError as error:  # it is missing, or a shared disk that has failed
            outcomes = [self._job(func, host, name).fail(error) for host in hosts]
            for outcome in outcomes:
                self.report(outcome)
            return outcomes
        return self._run_on(get_plugin_manager().executor("thread")(), func, hosts, name)


def _fail(error: Exception) -> None:
    raise error


def _tell_both(first: Callable[[Outcome], None], second: Callable[[Outcome], None], outcome: Outcome) -> None:
    try:
        first(outcome)
    finally:
        second(outcome)
