"""The storage that keeps files on the hosts only."""

import random
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from typing import IO, TYPE_CHECKING, Any, BinaryIO, TypeVar, Unpack, cast

from django.utils.deconstruct import deconstructible

from resto.courses import Course, as_method, course_of
from resto.exceptions import (
    ConfigurationError,
    RemoteFileNotFoundError,
    ReplicationError,
    TransportError,
    UndecidedError,
)
from resto.executors import Job
from resto.names import clean_directory, clean_name, require_storable
from resto.outcomes import Outcome
from resto.record import leases as pending
from resto.record.changes import Change, current_lease, holding
from resto.record.leases import Lease, PendingName
from resto.record.rows import Row
from resto.record.truth import Truth, find_source, truth_of
from resto.settings import use_tz
from resto.storage.base import ReplicatedStorage, StorageOptions, removed, uploaded
from resto.storage.files import RemoteFile, SharedContent, spool
from resto.storage.replication import leased
from resto.storage.undo import undone, with_consequence


if TYPE_CHECKING:
    from django.core.files import File


__all__ = ["DistributedStorage"]

T = TypeVar("T")

_UNDER_WAY = "another save, delete or repair of it may still be under way"


class _Saving(threading.local):
    """What this thread knows of the save that it is in."""

    is_reserving = False
    change: Change | None = None  # of the name that was reserved last
    name: str | None = None  # that was found to be free
    seen: tuple[str, Sequence[Row]] | None = None  # the rows of the name that is looked at


@deconstructible(path="resto.storage.DistributedStorage")
class DistributedStorage(ReplicatedStorage):
    """Keeps files on the hosts only.

    Files are read from a random host, and from another one when that fails. A save or delete that reaches fewer hosts than
    `write_quorum` says fails; such a save is undone.

    With the durable record, what a host has missed is known: it is not asked for that name until a drain has copied the file
    from another host. A name counts as taken while another save or delete of it may be under way, so that two cannot meet. Without
    the record, a name counts as taken when any host that answers has it.

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
        self._saving = _Saving()

    @property
    def write_quorum(self) -> int:
        """How many hosts must follow a save or delete."""
        default = "all" if self.fatal_exceptions else 1
        return _parse_quorum(default if self._write_quorum is None else self._write_quorum, len(self.hosts))

    def require_sound_options(self) -> None:
        """Raise `ConfigurationError` before anything is written."""
        super().require_sound_options()
        _ = self.write_quorum

    # What runs on one host.

    @as_method
    def upload(self, host: str, name: str, content: SharedContent) -> Course[bool]:
        """Send a file to one host; return whether a file had its name there."""
        existed = yield from course_of(self.transport_for(host).create, host, name, _leased_content(content))
        return uploaded(host, name, existed)

    @as_method
    def remove(self, host: str, name: str) -> Course[bool]:
        """Delete a file from one host; return whether it was there."""
        _keep_lease()
        return removed(host, name, (yield from course_of(self.transport_for(host).delete, host, name)))

    @as_method
    def withdraw(self, host: str, name: str) -> Course[bool]:
        """Delete from one host what a failed save may have left there."""
        _keep_lease()
        return (yield from course_of(self.transport_for(host).delete, host, name))

    @as_method
    def _exists(self, host: str, name: str) -> Course[bool]:
        told = yield from course_of(self.transport_for(host).exists, host, name)
        return self._checked("exists", host, name, bool, told)

    def _checked(self, action: str, host: str, name: str, kind: type[T], told: T) -> T:
        """Return what a transport has told, if that can be: nothing else makes a file absent."""
        if type(told) is kind:
            return told
        transport = type(self.transport_for(host)).__name__
        raise TransportError(host, name, action, f"the transport {transport} returned {told!r}, no {kind.__name__}")

    # The record.

    def open_lease(self, name: str, hosts: tuple[str, ...], *, present: bool) -> Lease | None:
        """Record that hosts are about to change a name; return None where nothing is recorded.

        Args:
            name: The file's name.
            hosts: The hosts as they stand in the settings.
            present: Whether the hosts are about to have the file.
        """
        alias = self.record_alias()
        if alias is None:
            return None
        lease = pending.open_change(alias, hosts, name, present=present)
        if not self._saving.is_reserving:
            lease.overrule(alias, name, present=present)
        return lease

    def truth(self, name: str) -> Truth:
        """Return which hosts tell the truth about a name.

        Args:
            name: The file's name.
        """
        return truth_of(self.hosts, self._rows(name))

    def _rows(self, name: str) -> Sequence[Row]:
        if self._saving.seen is not None and self._saving.seen[0] == name:
            return self._saving.seen[1]
        alias = self.record_alias()
        return () if alias is None else pending.rows_of_name(alias, name)

    def repair_job(self, host: str, name: str, lease: Lease, *, present: bool) -> Job:
        """Return the job that makes one host equal to those that tell the truth, whatever it has missed.

        Args:
            host: As for `ReplicatedStorage`.
            name: As for `ReplicatedStorage`.
            lease: As for `ReplicatedStorage`.
            present: As for `ReplicatedStorage`.
        """
        claim = PendingName(self.record_alias() or "", host, name, present, lease, pending.clock())
        return self._repair_job(claim, self._rows(name))

    def repair_jobs(self, claims: Sequence[PendingName]) -> list[Job]:
        """Return the jobs of `repair_job` for what a drain has claimed, after one look at the record."""
        found = pending.rows_of_names(claims[0].storage, [one.name for one in claims]) if claims else {}
        return [self._repair_job(one, found.get(one.name, ())) for one in claims]

    def _repair_job(self, claim: PendingName, rows: Sequence[Row]) -> Job:
        host, name, lease = claim.host, claim.name, claim.lease
        if all(row.owner != lease.token for row in rows):
            lease.make_findable(claim.storage, name)
            rows = self._rows(name)
        if _is_disturbed(rows, host, lease):
            return _not_yet(host, name)
        lease.expect(row.latest for row in rows if row.host == host)
        truth = truth_of(self.hosts, rows)
        with holding(lease):
            return self._leased_job(Job("repair", host, name, partial(self._repair, host, name, truth)))

    def repair_each(self, differences: Iterable[tuple[str, str]]) -> Iterator[Outcome]:
        """Make hosts equal to those that tell the truth, many files at a time.

        Args:
            differences: Pairs of a host and the name of a file that something is pending for, each pair once. They are taken
                when there is room.

        Returns:
            What happened with each, when it has, in no order. Failures are logged.
        """
        leases: dict[tuple[str, str], Lease] = {}
        # One by one: rows of a name that are not settled keep its other hosts waiting.
        return self._run_repairs(self._repair_jobs(differences, leases), leases, 1)

    def _repair_jobs(
        self, differences: Iterable[tuple[str, str]], leases: dict[tuple[str, str], Lease]
    ) -> Iterator[Job]:
        for host, name in differences:
            claim = pending.claim_name(self.record_alias() or "", host, name)
            if claim is None:
                yield _not_yet(host, name)
            else:
                leases[host, name] = claim.lease
                yield self.repair_job(host, name, claim.lease, present=claim.present)

    def _repair(self, host: str, name: str, truth: Truth) -> None:
        source = find_source(truth, host, name, partial(self._ask, name))
        if source is None:
            self._guarded_job("repair", self.withdraw, host, name).call()
        elif source != host:
            self._copy(source, host, name)

    def _ask(self, name: str, host: str) -> Outcome:
        return self._guarded_job("exists", self._exists, host, name).run()

    def _copy(self, source: str, host: str, name: str) -> None:
        read = self._guarded_job("download", self._download, source, name).run()
        if read.error is not None:
            raise UndecidedError(
                host, name, "repair", f"it cannot be copied from {source}: {read.error}"
            ) from read.error
        with read.value as content:
            create = self.transport_for(host).create
            self._guarded_job("repair", create, host, name, leased(content, current_lease())).call()

    def _download(self, host: str, name: str) -> IO[bytes]:
        return spool(self.transport_for(host).open(host, name))

    # Django's storage API: writing.

    def save(self, name: str | None, content: Any, max_length: int | None = None) -> str:
        """Store a new file on the hosts, and return its name, which nobody else has or is about to have.

        Raises:
            ReplicationError: Fewer hosts than needed have stored it.
        """
        saving = self._saving
        if self.record_alias() is None:
            return super().save(name, content, max_length)
        saving.is_reserving = True
        try:
            return super().save(name, content, max_length)
        finally:
            saving.is_reserving = False
            if saving.change is not None:
                saving.change.forget()
                saving.change = None

    def is_name_available(self, name: str, max_length: int | None = None) -> bool:
        """Return whether a name can be used for a new file: no host has it, and no request for it may be under way."""
        if self._saving.is_reserving and not self._reserve(clean_name(name)):
            return False
        try:
            return super().is_name_available(name, max_length)
        finally:
            self._saving.seen = None

    def _reserve(self, name: str) -> bool:
        """Record that a file of that name is about to be saved; return whether nobody else has recorded anything."""
        saving = self._saving
        saving.change = saving.change or Change(self, present=True)
        saving.change.announce(name)
        lease = saving.change.lease
        # Whoever records the same name at the same moment sees this, too, and both take another one. What has followed is not
        # looked for again before hosts are asked: it could only say that fewer of them tell the truth, or none has the file.
        rows = [] if lease is None else lease.take_over(self.record_alias() or "", name)
        if rows is not None:
            saving.seen = (name, rows)
        return rows is not None

    def get_available_name(self, name: str, max_length: int | None = None) -> str:
        """Return a name that can be used for a new file."""
        name = super().get_available_name(name, max_length)
        self._saving.name = clean_name(name)
        return name

    def _save(self, name: str, content: "File[Any]") -> str:
        name = clean_name(name)
        require_storable(name)
        self.require_sound_options()
        with closing(SharedContent(content)) as shared:
            change, is_new = self._announced(name)
            try:
                change.execute(self.upload, name, shared)
            except ReplicationError as error:
                failure = error
            else:
                return name
        # Not while the error is handled: what a transport raises meanwhile would seem to come from it.
        raise self._undone(failure, change, is_new=is_new) from failure.__cause__

    def _announced(self, name: str) -> tuple[Change, bool]:
        """Return the change that brings a file, and whether its name was found to be free."""
        saving = self._saving
        is_new, saving.name = saving.name == name, None
        change, saving.change, saving.is_reserving = saving.change, None, False
        if change is None or not is_new:
            if change is not None:
                change.forget()
            change = Change(self, present=True)
            change.announce(name)
        return change, is_new

    def _undone(self, error: ReplicationError, change: Change, *, is_new: bool) -> ReplicationError:
        """Delete what a failed save has left, unless that may be another file, and return the error that says so."""
        outcomes = cast("tuple[Outcome, ...]", error.outcomes)
        existed = [outcome.value and outcome.host not in change.behind for outcome in outcomes if outcome.ok]
        if any(existed):
            text = "it has replaced a file on some hosts, and was not undone"
        elif not existed and not is_new:
            text = "no host confirms that it has stored the file"
        elif not change.revoke():
            text = "another save or delete has followed"
        else:
            return undone(error, change, lambda hosts: self._run(self.withdraw, hosts, error.name))
        change.settle(outcomes)
        return with_consequence(error, text)

    def delete(self, name: str) -> None:
        """Delete a file from all hosts, if it is there.

        Raises:
            ReplicationError: Fewer hosts than needed have deleted it.
        """
        name = clean_name(name)
        self.require_sound_options()
        change = Change(self, present=False)
        change.announce(name)
        try:
            change.execute(self.remove, name)
        except ReplicationError as error:
            change.settle(error.outcomes)
            text = "" if change.lease is None else "it counts as deleted, and is not asked for there until it is"
            raise with_consequence(error, text) from error.__cause__

    def _has_failed(self, action: str, outcomes: Sequence[Outcome]) -> bool:
        if action == "delete" and self._write_quorum is None and not self.fatal_exceptions:
            return False
        return sum(outcome.ok for outcome in outcomes) < self.write_quorum

    # Django's storage API: reading.

    def _open(self, name: str, mode: str = "rb") -> "File[Any]":
        name = clean_name(name)

        def download() -> IO[bytes]:
            return self._read("download", name, self._telling(name, "download"), self._download)

        return RemoteFile(name, mode, download)

    def exists(self, name: str) -> bool:
        """Return whether any host has the file, of those that answer and have missed nothing of it.

        Raises:
            ReplicationError: None of these answers.
        """
        name = clean_directory(name)
        if not name:
            return True
        truth = self.truth(name)
        if truth.is_gone:
            return False
        outcomes = self._run(self._exists, truth.hosts, name)
        if not any(outcome.ok for outcome in outcomes):
            raise self._unanswered("exists", name, outcomes)
        return any(outcome.value for outcome in outcomes)

    def listdir(self, path: str) -> tuple[list[str], list[str]]:
        """Return the names of the directories and of the files in a directory.

        Names that something is pending for are asked for one by one, as far as needed.

        Raises:
            NotImplementedError: The transport cannot list.
            FileNotFoundError: No host has the directory.
            ReplicationError: No host answers.
        """
        if not self.transport.supports_listdir:
            raise NotImplementedError(f"{type(self.transport).__name__} cannot list directories; WebDAV can")
        name = clean_directory(path)
        missed = self._missed_below(name)
        least = min(map(len, missed.values()))
        hosts = [host for host in self.hosts if len(missed[host]) == least]
        host, (directories, files) = self._read(
            "listdir", name, hosts, lambda host, name: (host, self.transport_for(host).listdir(host, name))
        )
        return self._corrected(name, directories, files, missed[host])

    def _missed_below(self, directory: str) -> dict[str, set[str]]:
        """Return the names of which each host does not tell the truth."""
        missed: dict[str, set[str]] = {host: set() for host in self.hosts}
        alias = self.record_alias()
        for name, rows in {} if alias is None else pending.rows_below(alias, directory).items():
            truth = truth_of(self.hosts, rows)
            for host in self.hosts if truth.is_gone else set(self.hosts).difference(truth.hosts):
                missed[host].add(name)
        return missed

    def _corrected(
        self, directory: str, directories: list[str], files: list[str], missed: set[str]
    ) -> tuple[list[str], list[str]]:
        """Return a listing with what the host that has made it does not know."""
        there, here = dict.fromkeys(directories), dict.fromkeys(files)
        for name in sorted(missed):
            part, _, below = name.removeprefix(f"{directory}/" if directory else "").partition("/")
            if not self.exists(name):
                here.pop(part, None) if not below else None
            elif below:
                there[part] = None
            else:
                here[part] = None
        return list(there), list(here)

    def size(self, name: str) -> int:
        """Return the size of a file, in bytes.

        Raises:
            FileNotFoundError: No host has the file.
            ReplicationError: No host answers that has missed nothing of it.
        """
        name = clean_name(name)
        hosts = self._telling(name, "size")
        return self._read(
            "size",
            name,
            hosts,
            lambda host, name: self._checked("size", host, name, int, self.transport_for(host).size(host, name)),
        )

    def get_modified_time(self, name: str) -> datetime:
        """Return when a file was last modified, by the clock of a host; aware if ``USE_TZ`` is set, else local.

        Raises:
            NotImplementedError: The transport cannot tell.
            FileNotFoundError: No host has the file.
            ReplicationError: No host answers that has missed nothing of it.
        """
        if not self.transport.supports_modified_time:
            raise NotImplementedError(f"{type(self.transport).__name__} cannot tell when a file was modified")
        name = clean_name(name)
        hosts = self._telling(name, "modified_time")
        moment = self._read(
            "modified_time", name, hosts, lambda host, name: self.transport_for(host).modified_time(host, name)
        )
        return moment.astimezone(UTC) if use_tz() else moment.astimezone().replace(tzinfo=None)

    def _telling(self, name: str, action: str) -> tuple[str, ...]:
        """Return the hosts that tell the truth about a file, unless it is known to be gone."""
        truth = self.truth(name)
        if truth.is_gone:
            raise RemoteFileNotFoundError(
                self.hosts[0], name, action, "it was deleted, which no host has confirmed yet"
            )
        return truth.hosts

    def _read(self, action: str, name: str, hosts: Sequence[str], call: Callable[[str, str], T]) -> T:
        """Ask hosts in a random order, until one has the answer."""
        self.require_sound_options()
        outcomes: list[Outcome] = []
        for host in random.sample(hosts, len(hosts)):
            outcome = self._guarded_job(action, call, host, name).run()
            self.report(outcome)
            if outcome.ok:
                return cast("T", outcome.value)
            outcomes.append(outcome)
        if all(isinstance(outcome.error, RemoteFileNotFoundError) for outcome in outcomes):
            raise cast("RemoteFileNotFoundError", outcomes[0].error)
        raise self._unanswered(action, name, outcomes)

    def _unanswered(self, action: str, name: str, outcomes: Sequence[Outcome]) -> ReplicationError:
        left_out = [host for host in self.hosts if host not in {outcome.host for outcome in outcomes}]
        text = f"not asked, as changes are pending there: {', '.join(left_out)}" if left_out else ""
        return ReplicationError(action, name, outcomes, text)


def _is_disturbed(rows: Sequence[Row], host: str, lease: Lease) -> bool:
    """Tell whether somebody else may be writing to a host."""
    return any(row.host == host and row.owner != lease.token for row in rows)


def _not_yet(host: str, name: str) -> Job:
    def refuse() -> None:
        raise UndecidedError(host, name, "repair", _UNDER_WAY)

    return Job("repair", host, name, refuse)


def _keep_lease() -> None:
    """Make sure that nobody else may write to the hosts instead."""
    lease = current_lease()
    if lease is not None:
        lease.keep()


def _leased_content(content: SharedContent) -> bytes | BinaryIO:
    _keep_lease()
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
