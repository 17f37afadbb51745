"""What is known about single files: which are pending, and what each host has of one."""

import os
import stat
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial

from resto.exceptions import RemoteFileNotFoundError, TransportError
from resto.executors import Job
from resto.plugins import get_plugin_manager
from resto.record import chosen, database
from resto.record.chosen import PendingFile
from resto.storage import HybridStorage, ReplicatedStorage
from resto.storage.finding import replicated_storages


__all__ = ["Copy", "FileStatus", "file_status"]


@dataclass(frozen=True, slots=True)
class Copy:
    """What a host, or the master copy, has of a file.

    Attributes:
        host: The host as it stands in the settings, or stood; empty for the master copy.
        is_known: Whether the settings have the host.
        size: In bytes; None if it does not have the file, or does not say.
        modified: When the file was last modified, aware; None if that is not known.
        problem: Why it does not say; empty if it does.
        pending: What is recorded of this host and file, oldest first.
    """

    host: str
    is_known: bool = True
    size: int | None = None
    modified: datetime | None = None
    problem: str = ""
    pending: tuple[PendingFile, ...] = ()


@dataclass(frozen=True, slots=True)
class FileStatus:
    """How one file of one storage is.

    Attributes:
        storage: Alias of the storage in ``STORAGES``.
        name: The file's name.
        master: The master copy; None if the storage has none.
        hosts: The hosts, and those that something is recorded for.
        is_recorded: Whether anything is recorded.
    """

    storage: str
    name: str
    master: Copy | None
    hosts: tuple[Copy, ...]
    is_recorded: bool

    @property
    def copies(self) -> tuple[Copy, ...]:
        """The master copy, if there is one, and the hosts."""
        return self.hosts if self.master is None else (self.master, *self.hosts)

    @property
    def agrees(self) -> bool:
        """Whether nothing is recorded of the file, and all say that they have the same size of it, or do not have it."""
        sound = not any(copy.problem or copy.pending for copy in self.copies)
        return sound and len({copy.size for copy in self.copies}) <= 1


def file_status(alias: str, name: str) -> FileStatus:
    """Ask every host what it has of a file, whatever its breaker says, and the record what is pending.

    Args:
        alias: Of a storage of resto.
        name: The file's name.

    Raises:
        ConfigurationError: The settings of the storage are wrong.
    """
    storage, is_recorded = replicated_storages([alias])[alias], database.is_active()
    pending: dict[str, tuple[PendingFile, ...]] = {}
    for row in chosen.rows_of_file(alias, name) if is_recorded else []:
        pending[row.host] = (*pending.get(row.host, ()), row)
    known = [replace(copy, pending=pending.pop(copy.host, ())) for copy in _ask_hosts(storage, name)]
    strangers = [Copy(host, is_known=False, pending=rows) for host, rows in pending.items()]
    return FileStatus(alias, name, _master_copy(storage, name), (*known, *strangers), is_recorded)


def _ask_hosts(storage: ReplicatedStorage, name: str) -> list[Copy]:
    """Ask every host; failures are not logged."""
    plugins = get_plugin_manager()
    jobs = [Job("size", host, name, partial(_ask, storage, host, name)) for host in storage.hosts]
    copies = []
    for outcome in plugins.executor("thread")().run(jobs):
        plugins.notify(outcome)
        error = outcome.error
        if isinstance(error, RemoteFileNotFoundError):
            copies.append(Copy(outcome.host))
        elif error is not None:
            copies.append(
                Copy(outcome.host, problem=error.problem if isinstance(error, TransportError) else str(error))
            )
        else:
            copies.append(outcome.value)
    return copies


def _ask(storage: ReplicatedStorage, host: str, name: str) -> Copy:
    transport = storage.transport_for(host)
    size, modified = transport.size(host, name), None
    if transport.supports_modified_time:
        with suppress(TransportError):  # the size is what counts
            modified = transport.modified_time(host, name)
    return Copy(host, size=size, modified=modified)


def _master_copy(storage: ReplicatedStorage, name: str) -> Copy | None:
    if not isinstance(storage, HybridStorage):
        return None
    try:
        status = os.stat(storage.path(name))  # noqa: PTH116 - of a path that is a string
    except (FileNotFoundError, NotADirectoryError):
        return Copy("")
    except OSError as error:
        return Copy("", problem=f"it cannot be read: {error.strerror}")
    if not stat.S_ISREG(status.st_mode):
        what = "a directory" if stat.S_ISDIR(status.st_mode) else "no plain file"
        return Copy("", problem=f"it has {what} of this name")
    return Copy("", size=status.st_size, modified=datetime.fromtimestamp(status.st_mtime, UTC))
