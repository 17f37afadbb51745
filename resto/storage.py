"""Storages for Django that keep every file on every host.

A storage is composed of a transport, which speaks to hosts, and an executor, which decides where and when to do so.
It knows neither HTTP nor threads.
"""

import logging
import random
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import IO, TYPE_CHECKING, Any, TypeVar, Unpack, cast

from django.utils.deconstruct import deconstructible

from resto.base import ReplicatedStorage, StorageOptions, begun_by
from resto.exceptions import HostUnavailableError, RemoteFileNotFoundError, ReplicationError, UnexpectedStatusCode
from resto.executors import Job, RemoteCall
from resto.files import MasterFile, RemoteFile, SharedContent, spool
from resto.master import Fingerprint, MasterCopy
from resto.names import clean_directory, clean_name, require_storable
from resto.outcomes import Begun, Outcome
from resto.plugins import get_plugin_manager
from resto.replication import begin_replication, replicate
from resto.settings import use_tz
from resto.transports import Transport


if TYPE_CHECKING:
    from django.core.files import File


__all__ = ["REMOTE_ACTIONS", "AsyncStorage", "DistributedStorage", "HybridStorage"]

logger = logging.getLogger("resto")

# Statuses after which no server has stored anything: credentials, permission, size.
_REFUSALS = frozenset({401, 403, 413})

# The methods that a worker of a task queue may be asked to call. Each is called with a host and a name.
REMOTE_ACTIONS = frozenset({"upload", "update", "remove"})

T = TypeVar("T")


@deconstructible(path="resto.storage.DistributedStorage")
class DistributedStorage(ReplicatedStorage):
    """Keeps files on the hosts only.

    A name counts as taken when any host that answers has it. Files are read from a random host, and from another one when
    that fails. A save that fails on a host is undone on the others when ``fatal_exceptions`` is set; one that fails on
    all hosts always raises.

    Args:
        hosts: Addresses of the media servers: ``"media-1:8080"``, a full URL, or ``{"url": ..., **options for it}``.
        base_url: Where files are served from; defaults to ``MEDIA_URL``.
        **options: See `resto.base.StorageOptions`.
    """

    def __init__(self, hosts: Any = None, base_url: str | None = None, **options: Unpack[StorageOptions]) -> None:
        super().__init__(hosts, base_url, **options)
        # The name that this thread has just found to be free, on its way from `get_available_name` to `_save`.
        self._free = threading.local()

    # What runs on one host.

    def _begin_upload(self, host: str, name: str, content: SharedContent) -> Begun[bool] | None:
        begun = self.transport_for(host).begin("create", host, name, content.reader())
        return begun and begun.then(partial(_uploaded, host, name))

    @begun_by(_begin_upload)
    def upload(self, host: str, name: str, content: SharedContent) -> bool:
        """Send a file to one host; return whether a file had its name there."""
        return _uploaded(host, name, self.transport_for(host).create(host, name, content.reader()))

    def _begin_remove(self, host: str, name: str) -> Begun[bool] | None:
        begun = self.transport_for(host).begin("delete", host, name)
        return begun and begun.then(partial(_removed, host, name))

    @begun_by(_begin_remove)
    def remove(self, host: str, name: str) -> bool:
        """Delete a file from one host; return whether it was there."""
        return _removed(host, name, self.transport_for(host).delete(host, name))

    def withdraw(self, host: str, name: str) -> bool:
        """Delete from one host what a failed save may have left there."""
        return self.transport_for(host).delete(host, name)

    def _begin_exists(self, host: str, name: str) -> Begun[bool] | None:
        return self.transport_for(host).begin("exists", host, name)

    @begun_by(_begin_exists)
    def _exists(self, host: str, name: str) -> bool:
        return self.transport_for(host).exists(host, name)

    # Django's storage API.

    def _open(self, name: str, mode: str = "rb") -> "File[Any]":
        name = clean_name(name)

        def download() -> IO[bytes]:
            return self._read("download", name, lambda transport, host: spool(transport.open(host, name)))

        return RemoteFile(name, mode, download)

    def _save(self, name: str, content: "File[Any]") -> str:
        name = clean_name(name)
        require_storable(name)
        self._require_sound_options()
        was_free = vars(self._free).pop("name", None) == name
        shared = SharedContent(content)
        try:
            outcomes = self.execute(self.upload, name, shared)
        except ReplicationError as error:
            raise self._undone(error, was_free=was_free) from error.__cause__
        finally:
            shared.close()
        if outcomes is not None and not any(outcome.ok for outcome in outcomes):
            raise ReplicationError("upload", name, outcomes, "the file is not stored")
        return name

    def _undone(self, error: ReplicationError, *, was_free: bool) -> ReplicationError:
        """Delete what a failed save has left, unless that may be another file, and return the error that says so."""
        outcomes = cast("tuple[Outcome, ...]", error.outcomes)
        existed = [outcome.value for outcome in outcomes if outcome.ok]
        if any(existed):
            text = "it has replaced a file on some hosts, and was not undone"
        elif not existed and not was_free:
            text = "no host confirms that it has stored the file"
        else:
            withdrawn = self._run(self.withdraw, _hosts_to_undo(outcomes), error.name)
            text = _undone_text([outcome.host for outcome in withdrawn if not outcome.ok])
        return _with_consequence(error, text)

    def get_available_name(self, name: str, max_length: int | None = None) -> str:
        """Return a name that no host uses that answers."""
        name = super().get_available_name(name, max_length)
        self._free.name = clean_name(name)
        return name

    def delete(self, name: str) -> None:
        """Delete a file from all hosts, if it is there.

        Raises:
            ReplicationError: It failed on a host, and ``fatal_exceptions`` is set.
        """
        self.execute(self.remove, clean_name(name))

    def exists(self, name: str) -> bool:
        """Return whether any host that answers has the file.

        Raises:
            ReplicationError: No host answers.
        """
        name = clean_directory(name)
        if not name:
            return True
        outcomes = self._run(self._exists, self.hosts, name)
        if not any(outcome.ok for outcome in outcomes):
            raise ReplicationError("exists", name, outcomes)
        return any(outcome.value for outcome in outcomes)

    def listdir(self, path: str) -> tuple[list[str], list[str]]:
        """Return the names of the directories and of the files in a directory.

        Raises:
            NotImplementedError: The transport cannot list.
            FileNotFoundError: No host has the directory.
            ReplicationError: No host answers.
        """
        if not self.transport.supports_listdir:
            raise NotImplementedError(f"{type(self.transport).__name__} cannot list directories; WebDAV can")
        name = clean_directory(path)
        return self._read("listdir", name, lambda transport, host: transport.listdir(host, name))

    def size(self, name: str) -> int:
        """Return the size of a file, in bytes.

        Raises:
            FileNotFoundError: No host has the file.
            ReplicationError: No host answers.
        """
        name = clean_name(name)
        return self._read("size", name, lambda transport, host: transport.size(host, name))

    def get_modified_time(self, name: str) -> datetime:
        """Return when a file was last modified, by the clock of a host; aware if ``USE_TZ`` is set, else local.

        Raises:
            NotImplementedError: The transport cannot tell.
            FileNotFoundError: No host has the file.
            ReplicationError: No host answers.
        """
        if not self.transport.supports_modified_time:
            raise NotImplementedError(f"{type(self.transport).__name__} cannot tell when a file was modified")
        name = clean_name(name)
        moment = self._read("modified_time", name, lambda transport, host: transport.modified_time(host, name))
        return moment.astimezone(UTC) if use_tz() else moment.astimezone().replace(tzinfo=None)

    def _read(self, action: str, name: str, call: Callable[[Transport, str], T]) -> T:
        """Ask hosts in a random order, until one has the answer."""
        self._require_sound_options()
        outcomes: list[Outcome] = []
        for host in random.sample(self.hosts, len(self.hosts)):
            outcome = self._read_from(host, action, name, call)
            self._report(outcome)
            if outcome.ok:
                return cast("T", outcome.value)
            outcomes.append(outcome)
        if all(isinstance(outcome.error, RemoteFileNotFoundError) for outcome in outcomes):
            raise cast("RemoteFileNotFoundError", outcomes[0].error)
        raise ReplicationError(action, name, outcomes)

    def _read_from(self, host: str, action: str, name: str, call: Callable[[Transport, str], T]) -> Outcome:
        return self._guarded_job(action, host, name, lambda: call(self.transport_for(host), host)).run()


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

    # What runs on one host. Each makes the host equal to the master copy, whatever that is by then.

    def _begin_upload(self, host: str, name: str) -> Begun[bool] | None:
        begun = begin_replication(self.transport_for(host), self._master, host, name, "upload")
        return begun and begun.then(partial(self._uploaded, host, name))

    @begun_by(_begin_upload)
    def upload(self, host: str, name: str) -> bool:
        """Replicate a new file to one host; return whether a file had its name there."""
        return self._uploaded(host, name, replicate(self.transport_for(host), self._master, host, name, "upload"))

    def _uploaded(self, host: str, name: str, existed: bool) -> bool:  # noqa: FBT001 - what a transport told
        return existed if self._allow_overwrite else _uploaded(host, name, existed)

    def update(self, host: str, name: str) -> bool:
        """Replicate a file that was opened for writing to one host; return whether the file was there before."""
        return replicate(self.transport_for(host), self._master, host, name, "upload")

    def _begin_remove(self, host: str, name: str) -> Begun[bool] | None:
        begun = begin_replication(self.transport_for(host), self._master, host, name, "delete")
        return begun and begun.then(partial(_removed, host, name))

    @begun_by(_begin_remove)
    def remove(self, host: str, name: str) -> bool:
        """Replicate a deletion to one host; return whether the file was there."""
        return _removed(host, name, replicate(self.transport_for(host), self._master, host, name, "delete"))

    def withdraw(self, host: str, name: str) -> bool:
        """Replicate the undoing of a failed save to one host; return whether the file was there."""
        return replicate(self.transport_for(host), self._master, host, name, "delete")

    # Django's storage API: writing.

    def _save(self, name: str, content: "File[Any]") -> str:
        name = clean_name(name)
        require_storable(name)
        self._require_sound_options()
        replaces = self._allow_overwrite and self._master.exists(name)
        name, state = self._master.store(name, content, self._alternative)
        try:
            self.execute(self.upload, name)
        except ReplicationError as error:
            if replaces:
                raise _with_consequence(error, "the master copy is replaced, and was not undone") from error.__cause__
            raise self._undone(error, state) from error.__cause__
        return name

    def _alternative(self, name: str) -> str:
        name = clean_name(self.get_available_name(name))
        require_storable(name)
        return name

    def _undone(self, error: ReplicationError, state: Fingerprint) -> ReplicationError:
        """Undo a failed save, unless somebody has changed the file since, and return the error that says so."""
        outcomes = cast("tuple[Outcome, ...]", error.outcomes)
        if self._master.fingerprint(error.name) != state:
            return _with_consequence(error, "another save or delete has followed")
        self._master.delete(error.name)
        failed = [
            outcome.host for outcome in self._run(self.withdraw, _hosts_to_undo(outcomes), error.name) if not outcome.ok
        ]
        return _with_consequence(error, _undone_text(failed))

    def delete(self, name: str) -> None:
        """Delete a file from the master copy and from all hosts, if it is there.

        Raises:
            IsADirectoryError: The name is that of a directory.
            ReplicationError: It failed on a host, and ``fatal_exceptions`` is set. The master copy is deleted.
        """
        name = clean_name(name)
        self._require_sound_options()
        self._master.delete(name)
        try:
            self.execute(self.remove, name)
        except ReplicationError as error:
            raise _with_consequence(error, "the master copy is deleted, and was not undone") from error.__cause__

    def _open(self, name: str, mode: str = "rb") -> "File[Any]":
        if set(mode).isdisjoint("wax+"):
            return self._master.open(name, mode)
        name = clean_name(name)
        require_storable(name)
        self._require_sound_options()
        return MasterFile(self._master, name, mode, lambda: self._replicate_written(name))

    def _replicate_written(self, name: str) -> None:
        try:
            self.execute(self.update, name)
        except ReplicationError as error:
            raise _with_consequence(error, "the master copy is written, and was not undone") from error.__cause__

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
        self.executor.submit([self._background_job(func, host, name, *args, **kwargs) for host in self.hosts])

    def execute_one(self, func: Callable[..., Any], host: str, name: str, *args: Any, **kwargs: Any) -> Any:
        """Run an action on one host, without waiting for it. Subclasses may override this, to use a task queue.

        Args:
            func: Called as ``func(host, name, *args, **kwargs)``.
            host: The host as it stands in the settings.
            name: The file's name.
            *args: Passed on.
            **kwargs: Passed on.
        """
        self.executor.submit([self._background_job(func, host, name, *args, **kwargs)])

    def _background_job(self, func: Callable[..., Any], host: str, name: str, *args: Any, **kwargs: Any) -> Job:
        job = self._job(func, host, name, *args, **kwargs)
        remote = None if args or kwargs else self._remote_call(func)
        return Job(job.action, job.host, job.name, job.call, self._report, remote=remote)

    def _remote_call(self, func: Callable[..., Any]) -> RemoteCall | None:
        alias, action = self._composed().alias, func.__name__
        if alias is None or action not in REMOTE_ACTIONS or getattr(func, "__self__", None) is not self:
            return None
        return RemoteCall(alias, action)

    def perform(self, action: str, hosts: Sequence[str], name: str) -> list[Outcome]:
        """Do in a worker of a task queue what `execute` has handed over: on all hosts at once, and wait for them.

        Args:
            action: One of `REMOTE_ACTIONS`.
            hosts: Which of the storage's hosts.
            name: The file's name.

        Returns:
            What happened on each host, in the order of the hosts. Failures are logged. A file that was written and is not
            there, in a master copy without any file, is a failure: it may be a file system that is not mounted.
        """
        func = getattr(self, action)
        try:
            if action != "remove":
                self._master.require_mounted(name)
        except FileNotFoundError as error:
            outcomes = [self._job(func, host, name).fail(error) for host in hosts]
            for outcome in outcomes:
                self._report(outcome)
            return outcomes
        return self._run_on(get_plugin_manager().executor("thread")(), func, hosts, name)


def _uploaded(host: str, name: str, existed: bool) -> bool:  # noqa: FBT001 - what a transport told
    if existed:
        logger.warning("PUT on existing file %s on %s.", name, host)
    return existed


def _removed(host: str, name: str, existed: bool) -> bool:  # noqa: FBT001 - what a transport told
    if not existed:
        logger.warning("DELETE on missing file %s on %s.", name, host)
    return existed


def _with_consequence(error: ReplicationError, consequence: str) -> ReplicationError:
    return ReplicationError(error.action, error.name, error.outcomes, consequence)


def _hosts_to_undo(outcomes: tuple[Outcome, ...]) -> tuple[str, ...]:
    """Return the hosts that may have got a file, in spite of an error or without one."""
    return tuple(outcome.host for outcome in outcomes if not _has_refused(outcome.error))


def _has_refused(error: Exception | None) -> bool:
    if isinstance(error, HostUnavailableError):
        return not error.ambiguous
    return isinstance(error, UnexpectedStatusCode) and error.status in _REFUSALS


def _undone_text(failed: list[str]) -> str:
    return f"the save was undone, except on {', '.join(failed)}" if failed else "the save was undone"
