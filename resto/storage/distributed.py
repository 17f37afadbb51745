"""The storage that keeps files on the hosts only."""

import errno
import os
import random
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar, Unpack, cast

from django.utils.deconstruct import deconstructible

from resto.courses import Course, as_method, course_of
from resto.exceptions import ConfigurationError, ReplicationError
from resto.names import clean_directory, clean_name, is_possible, require_canonical, require_new, require_possible
from resto.outcomes import Outcome
from resto.record import backlog
from resto.record.attempts import note_stored, noting_failure
from resto.record.changes import Change, current_lease
from resto.record.meaning import is_of_impossible_name
from resto.settings import use_tz
from resto.storage.blocks import open_blocks
from resto.storage.composition import StorageOptions
from resto.storage.files import RemoteFile, SharedContent
from resto.storage.listing import able_hosts, corrected, least_behind, listed_by, missed_by_host
from resto.storage.naming import NameSearch, require_given, shortened
from resto.storage.reading import any_has, first_answer, require_file, size_on
from resto.storage.replication import leased
from resto.storage.reporting import removed, uploaded
from resto.storage.undo import (
    follow,
    is_of_directory,
    kept_because,
    refusing_directories,
    require_recorded,
    undone,
    with_consequence,
)
from resto.storage.unmastered import UnmasteredStorage, keep_lease
from resto.traffic import counted


if TYPE_CHECKING:
    from django.core.files import File


__all__ = ["DistributedStorage"]

T = TypeVar("T")


@deconstructible(path="resto.storage.DistributedStorage")
class DistributedStorage(UnmasteredStorage):
    """Keeps files on the hosts only.

    Files are read from a random host, and from another one when that fails. A save or delete that reaches fewer hosts than
    `write_quorum` says fails; such a save is undone.

    With the durable record, a host is not asked for what it has missed until a drain has copied that from another host, and a name
    counts as taken while another save or delete of it may be under way. Without it, one does if any host that answers has it.

    Args:
        hosts: Addresses of the media servers: ``"media-1:8080"``, a full URL, or ``{"url": ..., **options for it}``.
        base_url: Where files are served from; defaults to ``MEDIA_URL``.
        write_quorum: How many hosts must follow a save or delete: ``"all"``, ``"majority"``, or a number. If it is not given,
            all must if ``fatal_exceptions`` is set; if not, one must have stored what is saved.
        **options: See `StorageOptions`.
    """

    def __init__(
        self,
        hosts: Any = None,
        base_url: str | None = None,
        *,
        write_quorum: str | int | None = None,
        **options: Unpack[StorageOptions],
    ) -> None:
        super().__init__(hosts, base_url, **options)
        self._write_quorum = write_quorum
        self._search = NameSearch()

    @property
    def write_quorum(self) -> int:
        """How many hosts must follow a save or delete."""
        default = "all" if self.fatal_exceptions else 1
        return _parse_quorum(default if self._write_quorum is None else self._write_quorum, len(self.hosts))

    def require_sound_options(self) -> None:
        super().require_sound_options()
        _ = self.write_quorum

    # What runs on one host.

    @as_method
    def upload(self, host: str, name: str, content: SharedContent) -> Course[bool]:
        """Send a file to one host; return whether a file had its name there."""
        require_canonical(name)
        self.recognition.require(host, name, "upload")
        sending = course_of(self.transport_for(host).create, host, name, _leased_content(content))
        existed = yield from counted(sending, host, content.size)
        return uploaded(host, name, existed)

    @as_method
    def remove(self, host: str, name: str) -> Course[bool]:
        """Delete a file from one host; return whether it was there."""
        return removed(host, name, (yield from course_of(self.withdraw, host, name)))

    # Django's storage API: writing.

    def save(self, name: str | None, content: Any, max_length: int | None = None) -> str:
        """Store a new file on the hosts, and return its name, which nobody else has or is about to have.

        Raises:
            FileExistsError: A subclass has chosen a name that is taken.
            ReplicationError: Fewer hosts than needed have stored it, or nobody would know which; or a host has any name.
        """
        with noting_failure(content), self._reservation.opened(self.record_alias()):
            return super().save(name, content, max_length)

    def is_name_available(self, name: str, max_length: int | None = None) -> bool:
        """Return whether a name can be used for a new file: no host has it, and no request for it may be under way."""
        if max_length and len(name) > max_length:
            return False
        with self._reservation.looking_at(self, name) as may_be_free:
            is_free = may_be_free and super().is_name_available(name, max_length) and not _is_hidden(self, name)
        self._reservation.note(name, is_free=is_free)
        return is_free or self._search.note_taken(name, lambda other: self._run(self._exists, self.hosts, other))

    def get_available_name(self, name: str, max_length: int | None = None) -> str:
        with self._search.begun():
            return super().get_available_name(name, max_length)

    def get_alternative_name(self, file_root: str, file_ext: str) -> str:
        return super().get_alternative_name(shortened(file_root, file_ext), file_ext)

    def _save(self, name: str, content: "File[Any]") -> str:
        name = clean_name(str(name).replace("\\", "/"))  # as Django does
        require_new(name)
        self.require_sound_options()
        self.reserved.require_free(name)
        with closing(SharedContent(content)) as shared:
            is_free = partial(DistributedStorage.is_name_available, self)
            change = self._reservation.take(self, name, is_free, self.record_alias())
            try:
                unrecorded = change.execute(self.upload, name, shared)
            except ReplicationError as error:
                failure = error
            else:
                require_recorded(unrecorded)
                note_stored(self, name)
                return name
        # Not while the error is handled: what a transport raises meanwhile would seem to come from it.
        if kept := kept_because(change, self.left_out_hosts.without(self.hosts, failure.outcomes)):
            change.settle(failure.outcomes)
            raise with_consequence(failure, kept) from failure.__cause__
        raise undone(failure, change, lambda hosts: self._run(self.withdraw, hosts, name)) from failure.__cause__

    def delete(self, name: str) -> None:
        """Delete a file from all hosts, if it is there.

        Raises:
            IsADirectoryError: The name is that of a directory.
            OSError: The name is too long for any file.
            ReplicationError: Fewer hosts than needed have deleted it, or nobody would know which.
        """
        require_given(name)
        name = clean_name(name)
        require_possible(name)
        self.require_sound_options()
        self.reserved.require_free(name)
        change = Change(self, present=False)
        change.announce(name)
        consequence = "" if change.lease is None else "it counts as deleted, and is not asked for there until it is"
        with refusing_directories(change, name):
            follow(change, self.remove, name, consequence)

    def _has_failed(self, action: str, outcomes: Sequence[Outcome]) -> bool:
        if is_of_directory(outcomes) or any(is_of_impossible_name(outcome.error) for outcome in outcomes):
            return True
        if action == "delete" and self._write_quorum is None and not self.fatal_exceptions:
            return False
        needs_all = self._write_quorum == "all" or (self._write_quorum is None and self.fatal_exceptions)
        return not self.left_out_hosts.have_followed(self.hosts, outcomes, None if needs_all else self.write_quorum)

    # Django's storage API: reading.

    def _open(self, name: str, mode: str = "rb") -> "File[Any]":
        name, download = clean_name(name), partial(open_blocks, self.transport_for, self.asking)
        return RemoteFile(name, mode, partial(self._read, "download", name, download))

    def exists(self, name: str) -> bool:
        """Return whether any host has the file, of those that answer and have missed nothing of it.

        Raises:
            ReplicationError: None of these answers.
        """
        name = clean_directory(name)
        if not name:
            return True
        if not is_possible(name):
            return False
        truth = self.truth(name)
        if truth.is_gone:
            return False
        outcomes = self._run(self._exists, tuple(self.own_hosts.among(truth.hosts)), name)
        return any_has(name, outcomes, self.hosts, self.own_hosts.others)

    def listdir(self, path: str) -> tuple[list[str], list[str]]:
        """Return the names of the directories and of the files in a directory.

        Names that something is pending for are asked for one by one, as far as needed.

        Raises:
            NotImplementedError: The transport cannot list.
            FileNotFoundError: No host has the directory.
            NotADirectoryError: A host has a file of that name.
            ReplicationError: No host answers.
        """
        listing = able_hosts(self.hosts, self.transport_for, "supports_listdir")
        name = clean_directory(path)
        alias = self.record_alias()
        left_out = self.left_out_hosts.known()
        missed = missed_by_host(self.hosts, {} if alias is None else backlog.rows_below(alias, name), left_out)
        listed = partial(listed_by, self.transport_for)
        own = self.own_hosts.among([host for host in missed if host in listing])
        told = least_behind({host: missed[host] for host in own})
        near = self.near.listing(told, name)
        try:
            host, (directories, files) = near or self._read("listdir", name, listed, told)
        except (FileNotFoundError, ReplicationError) as error:
            if name and _is_file(self, name):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), name) from error
            raise
        return corrected(name, directories, files, missed[host], self.exists)

    def size(self, name: str) -> int:
        """Return the size of a file, in bytes.

        Raises:
            FileNotFoundError: No host has the file.
            ReplicationError: No host answers that has missed nothing of it.
        """
        return self._read("size", clean_name(name), partial(size_on, self.transport_for))

    def get_modified_time(self, name: str) -> datetime:
        """Return when a file was last modified, by the clock of a host; aware if ``USE_TZ`` is set, else local.

        Raises:
            NotImplementedError: The transport cannot tell.
            FileNotFoundError: No host has the file.
            ReplicationError: No host answers that has missed nothing of it.
        """
        able = able_hosts(self.hosts, self.transport_for, "supports_modified_time")
        moment = self._read(
            "modified_time",
            clean_name(name),
            lambda host, name: self.transport_for(host).modified_time(host, name),
            able=able,
        )
        return moment.astimezone(UTC) if use_tz() else moment.astimezone().replace(tzinfo=None)

    def _read(
        self,
        action: str,
        name: str,
        call: Callable[[str, str], T],
        hosts: Sequence[str] | None = None,
        *,
        able: Sequence[str] | None = None,
    ) -> T:
        """Read from a near host; else ask those that tell the truth, and are able to, in a random order, until one has the answer."""
        if not is_possible(name):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)
        if hosts is None:
            near = self.near.read(action, name)
            if near is not None:
                return cast("T", near)
            truth = self.truth(name)
            require_file(truth, self.hosts[0], name, action)
            hosts = [host for host in truth.hosts if able is None or host in able]
        self.require_sound_options()
        asked = self.own_hosts.each(random.sample(hosts, len(hosts)))
        jobs = (self._guarded_job(action, call, host, name) for host in asked)
        return cast("T", first_answer(action, name, jobs, self.report, self.hosts, self.own_hosts.others))


def _is_file(storage: DistributedStorage, name: str) -> bool:
    """Tell whether a host has a file of a name; not if none answers."""
    try:
        return storage.exists(name)
    except ReplicationError:
        return False


def _is_hidden(storage: DistributedStorage, name: str) -> bool:
    """Tell whether a host has a file of which the `exists` of a subclass knows nothing: it must not be replaced."""
    return type(storage).exists is not DistributedStorage.exists and DistributedStorage.exists(storage, name)


def _leased_content(content: SharedContent) -> bytes | BinaryIO:
    keep_lease()
    reader = content.reader()
    return reader if isinstance(reader, bytes) else leased(reader, current_lease())


def _parse_quorum(value: object, hosts: int) -> int:
    named = {"all": hosts, "majority": hosts // 2 + 1}
    quorum = named.get(value, value) if isinstance(value, str) else value
    if isinstance(quorum, int) and not isinstance(quorum, bool) and 1 <= quorum <= hosts:
        return quorum
    raise ConfigurationError(
        f"write_quorum is {value!r}",
        f"It is 'all', 'majority', or a number from 1 to {hosts}, the number of hosts.",
        "E015",
    )
