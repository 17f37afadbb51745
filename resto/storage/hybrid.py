"""The storage that keeps a master copy and waits for the hosts."""

import errno
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack, cast

from django.core.files.storage import Storage
from django.utils.deconstruct import deconstructible

from resto.exceptions import ReplicationError, os_error
from resto.master.copy import MasterCopy
from resto.master.snapshots import sharing_snapshots
from resto.master.writing import remove_upload
from resto.names import (
    clean_name,
    is_canonical,
    is_ordinary,
    is_temporary,
    require_new,
    require_possible,
)
from resto.record.attempts import note_replaced, note_stored, noting_failure
from resto.record.changes import Change
from resto.storage.belief import Belief
from resto.storage.composition import StorageOptions
from resto.storage.kinds import require_flag, require_path
from resto.storage.naming import MaxLength, require_given
from resto.storage.opened import MasterFile, Writing, is_writing
from resto.storage.replicating import ReplicatingStorage
from resto.storage.reporting import log_kept_by_hosts
from resto.storage.undo import follow, forgetting, undone_here, with_consequence


if TYPE_CHECKING:
    from django.core.files import File


__all__ = ["HybridStorage"]


@deconstructible(path="resto.storage.HybridStorage")
class HybridStorage(ReplicatingStorage):
    """Keeps files locally, in the master copy, and on all hosts; waits for the hosts.

    Files are read locally; those that are being restored from hosts as long as they are not here. A failed save of a new name is undone when ``fatal_exceptions`` is set.

    Args:
        hosts: Addresses of the media servers: ``"media-1:8080"``, a full URL, or ``{"url": ..., **options for it}``.
        base_url: Where files are served from; defaults to ``MEDIA_URL``.
        location: Directory of the master copy; defaults to ``MEDIA_ROOT``. Two storages must not share one.
        file_permissions_mode: As for Django's `FileSystemStorage`.
        directory_permissions_mode: As for Django's `FileSystemStorage`.
        allow_overwrite: As for Django's `FileSystemStorage`.
        **options: As for `DistributedStorage`.

    Attributes:
        belief: Whether the directory is the master copy.

    Raises:
        ConfigurationError: ``location`` is no path.
    """

    # As of Django's `FileSystemStorage` before 6.0: without `os.O_EXCL`, a subclass replaces files, as with ``allow_overwrite``.
    OS_OPEN_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL

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
        if location is not None:
            require_path("location", location)
        super().__init__(hosts, base_url, **options)
        self._given_overwrite = allow_overwrite
        self._allow_overwrite = bool(allow_overwrite) or not self.OS_OPEN_FLAGS & os.O_EXCL
        self._max_length = MaxLength()
        self.belief = Belief(self)
        self._master = MasterCopy(
            location,
            file_permissions_mode,
            directory_permissions_mode,
            allow_overwrite=self._allow_overwrite,
            believer=self.belief,
        )

    def _examinations(self) -> list[Callable[[], object]]:
        return [*super()._examinations(), partial(require_flag, "allow_overwrite", self._given_overwrite)]

    # Django's storage API: writing.

    def save(self, name: str | None, content: Any, max_length: int | None = None) -> str:
        """Store a new file in the master copy and on all hosts, and return its name.

        Django looks four times whether a name is safe. With an ordinary one, all that it does is to ask whether it is taken.

        Raises:
            ReplicationError: A host has not stored it, and ``fatal_exceptions`` is set.
        """
        with noting_failure(content), self._max_length.during(max_length):
            if _would_keep(self, name, content) and self.is_name_available(cast("str", name), max_length=max_length):
                return self._save(cast("str", name), content)
            return super().save(name, content, max_length)

    def _save(self, name: str, content: "File[Any]") -> str:
        name = self._clean(str(name).replace("\\", "/"))  # as Django does
        require_new(name)
        self._require_writable(name)
        replaces = self._allow_overwrite and self._master.exists(name)
        change = Change(self, present=True)
        with forgetting(change):
            name, written = self._master.store(name, content, self._alternative, partial(self._announce, change))
        if replaces:
            note_replaced(name)
        with sharing_snapshots((self._master, name, written)):
            change.confirm(name)
            try:
                change.execute(self.upload, name)
            except ReplicationError as error:
                failure = error
            else:
                remove_upload(content)
                if not replaces:
                    note_stored(self, name)
                return name
        # Not while the error is handled: what a transport raises meanwhile would seem to come from it.
        if replaces:
            change.settle(failure.outcomes)
            raise with_consequence(failure, "the master copy is replaced, and was not undone") from failure.__cause__
        withdraw = partial(self._run, self.withdraw, name=name)
        raise undone_here(failure, change, self._master, written.fingerprint, withdraw) from failure.__cause__

    def _announce(self, change: Change, name: str) -> str:
        """Record that a name is about to get a file, or another one if a file of that name is still to be restored."""
        while self.belief.is_restoring and not self._allow_overwrite and self._is_to_come_back(name):
            name = self._alternative(name)
        change.announce(name)
        return name

    def _alternative(self, name: str) -> str:
        name = self._clean(self.get_available_name(name, self._max_length.value))
        require_new(name)
        return name

    def delete(self, name: str) -> None:
        """Delete a file from the master copy and from all hosts, if it is there; or an empty directory from the master copy.

        While the master copy is being restored, hosts keep the file: that it is to be removed is recorded, and drains do it afterwards.

        Raises:
            FileNotFoundError: The directory of the master copy is missing, and the site may have had files there.
            IsADirectoryError: The name is that of a directory which is not empty.
            ReplicationError: It failed on a host, and ``fatal_exceptions`` is set. The master copy is deleted.
        """
        require_given(name)
        name = self._relative(name)
        self._require_writable(name)
        if not self._is_of_hosts(name):
            self._master.delete(name)
            return
        if self._has_no_directory_yet():
            return
        change = Change(self, present=False)
        change.announce(name)
        if change.lease is None:
            self._master.proven.require_whole()  # a restore would bring it back
        with forgetting(change):
            self._master.delete(name)
        change.confirm(name)
        if self.belief.is_restoring:
            change.leave(name)
            log_kept_by_hosts(name)
            return
        follow(change, self.remove, name, "the master copy is deleted, and was not undone")

    def _has_no_directory_yet(self) -> bool:
        """Return whether there is no master copy, and never was one; raise if its directory is missing, and may have held files."""
        try:
            Path(self._master.location).stat()
        except FileNotFoundError:
            pass
        except OSError:
            return False  # whoever opens it says what is the matter
        else:
            return False
        self.belief.require_unknown()
        if self.belief.is_new():
            return True
        problem = f"{self._master.location} is missing; is it mounted? Mount it, or make it, if the site is new. Nothing was deleted"
        raise os_error(FileNotFoundError, errno.ENOENT, problem)

    def _is_of_hosts(self, name: str) -> bool:
        """Return whether hosts may have a file of a name; what a site had before may be called as no host calls a file."""
        if not name or is_temporary(name):
            clean_name(name or ".")  # refuses
        return is_canonical(name) and not Path(self._master.path(name)).is_dir()

    def publish(self, name: str) -> None:
        """Make all hosts equal to the master copy for a name that was written or removed by its path, not through the storage.

        Args:
            name: The file's name.

        Raises:
            FileNotFoundError: The directory of the master copy is missing or empty; nothing is sent or removed.
            IsADirectoryError: The name is that of a directory.
            OSError: The name is too long for any file.
            ReplicationError: As for a file that was opened for writing.
        """
        name = self._clean(name)
        require_possible(name)
        self._require_writable(name)
        self._master.require_mounted(name)
        is_there = self._master.fingerprint(name) is not None
        if not is_there:
            if Path(self._master.path(name)).is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), name)
            self._master.proven.require_whole()
        change = Change(self, present=is_there)
        change.announce(name)
        follow(change, self.update if is_there else self.remove, name, "the master copy stays as it is")

    def _open(self, name: str, mode: str = "rb") -> "File[Any]":
        if is_writing(mode):
            if not self._relative(name):
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), self.path(name))
            name = self._clean(name)
        try:
            return MasterFile(self.path(name), mode, partial(self._start_writing, name))
        except FileNotFoundError:
            if is_writing(mode) or not self._may_lack_files():
                raise
            return self._opened_elsewhere(name, mode)

    def _start_writing(self, name: str, mode: str) -> Writing:
        require_new(name)
        self._require_writable(name)
        if "w" not in mode:
            self._require_restored(name, mode)
        return Writing(self._master, name, mode, Change(self, present=True), self.update)


# How Django saves a file.
_DJANGOS = Storage.save, Storage.get_available_name


def _would_keep(storage: HybridStorage, name: object, content: Any) -> bool:
    """Tell whether Django would store just this content under just this name, if that is free: nobody has changed how it does."""
    if not is_ordinary(name) or not hasattr(content, "chunks"):
        return False
    found = getattr(storage.get_available_name, "__func__", None)
    return (Storage.save, found) == _DJANGOS and type(storage)._save is HybridStorage._save  # noqa: SLF001 - of a subclass
