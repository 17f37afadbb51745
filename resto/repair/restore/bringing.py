"""Files are brought to the master copy, many at a time, while everything goes on; see `resto.repair.restore` for the rules."""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, BinaryIO, TypeVar

from resto.counts import counted
from resto.courses import Course, course_of, has_course
from resto.exceptions import ConfigurationError, TransportError
from resto.executors import Job
from resto.master.restoring import Whole, begin_restored, give_up_restored, publish_restored
from resto.master.writing import write_all
from resto.plugins import get_plugin_manager
from resto.record.leases import Lease, forget_leases
from resto.record.opening import open_restored
from resto.record.restores import make_as_others, pending_of
from resto.repair.restore.choice import Wanted
from resto.repair.restore.report import Finding, Kind
from resto.repair.sync.hosts import BLOCK, Hosts
from resto.repair.sync.report import problem_of
from resto.storage import HybridStorage
from resto.transports.base import modified_of


if TYPE_CHECKING:
    from resto.outcomes import Outcome


__all__ = ["BATCH", "Bringing"]

T = TypeVar("T")

# How many files are begun, and published, at a time.
BATCH = 64


class _DifferentError(Exception):
    """Hosts have different contents."""


@dataclass(slots=True, eq=False)
class _Begun:
    """A file that is on its way: its temporary file exists.

    Attributes:
        descriptor: Of the temporary file; None once it is closed.
        lease: Holds the rows of the name; None where nothing is recorded.
        modified: When the host says that it was modified last.
    """

    wanted: Wanted
    descriptor: int | None
    lease: Lease | None = None
    modified: datetime | None = None

    def taken(self) -> Whole:
        """Return the file for whoever publishes and closes it."""
        descriptor, self.descriptor = self.descriptor, None
        assert descriptor is not None  # noqa: S101 - it is taken once
        return Whole(self.wanted.name, descriptor, self.modified)


class Bringing:
    """Brings files.

    Args:
        storage: Which one.
        hosts: Its hosts; those that do not answer are given up.
        aliases: Under which names may be recorded that are in this master copy; none where nothing is recorded.
        keep: Called now and then; raises if this must not go on.
    """

    def __init__(self, storage: HybridStorage, hosts: Hosts, aliases: Sequence[str], keep: Callable[[], None]) -> None:
        self._storage = storage
        self._hosts = hosts
        self._aliases = aliases
        self._alias = storage.record_alias() if aliases else None
        self._keep = keep
        self._under_way: dict[str, _Begun] = {}
        self._told: list[Finding] = []

    def bring(self, wanted: Iterable[Wanted]) -> Iterator[tuple[Finding, int]]:
        """Bring files; yield what became of each, and how many bytes that were.

        Args:
            wanted: Taken when there is room.
        """
        ready: list[_Begun] = []
        try:
            for outcome in self._hosts.run_each(self._jobs(iter(wanted))):
                begun = self._under_way.pop(outcome.name)
                if outcome.ok:
                    ready.append(begun)
                else:
                    self._give_up([begun], outcome.error)
                if len(ready) >= BATCH:
                    yield from self._publish(ready)
                    ready = []
                yield from self._telling()
            yield from self._publish(ready)
            ready = []
            self._give_up([*self._under_way.values()], None)
            yield from self._telling()
        finally:
            self._give_up([*ready, *self._under_way.values()], None)

    def _telling(self) -> Iterator[tuple[Finding, int]]:
        told, self._told = self._told, []
        for finding in told:
            yield finding, 0

    # Before the download.

    def _jobs(self, wanted: Iterator[Wanted]) -> Iterator[Job]:
        while part := list(islice(wanted, BATCH)):
            self._keep()
            for begun in self._begin(part):
                yield self._job(begun)

    def _begin(self, part: Sequence[Wanted]) -> list[_Begun]:
        for some in _by_directory(part, lambda wanted: wanted.name):
            self._begin_files(some)
        begun = [self._under_way[one.name] for one in part if one.name in self._under_way]
        if self._alias is None or not begun:
            return begun
        pending = pending_of(self._aliases, [one.wanted.name for one in begun])
        for one in [*begun]:
            behind = {row.host for row in pending.get(one.wanted.name, ()) if row.id not in one.wanted.known}
            if one.wanted.host in behind:
                begun.remove(one)
                self._give_up(
                    [self._under_way.pop(one.wanted.name)], _Problem("somebody is changing it; run this again")
                )
        held = open_restored(self._alias, self._storage.hosts, [one.wanted.name for one in begun]) if begun else {}
        for one in begun:
            one.lease = held[one.wanted.name]
        return begun

    def _begin_files(self, files: Sequence[Wanted]) -> None:
        """Begin files of one directory."""
        begun: Mapping[str, int | Exception | None]
        try:
            begun = begin_restored(self._storage.master, [wanted.name for wanted in files])
        except (OSError, ConfigurationError) as error:
            begun = dict.fromkeys((wanted.name for wanted in files), error)
        for wanted in files:
            descriptor = begun[wanted.name]
            if isinstance(descriptor, Exception):
                self._failed(wanted, descriptor)
            elif descriptor is None:
                self._left(wanted, "it was saved meanwhile")
            else:
                self._under_way[wanted.name] = _Begun(wanted, descriptor)

    def _failed(self, wanted: Wanted, error: Exception) -> None:
        self._told.append(Finding(wanted.name, "failed", wanted.host, wanted.sizes, problem_of(error)))

    def _left(self, wanted: Wanted, why: str) -> None:
        self._told.append(Finding(wanted.name, "left", "", wanted.sizes, why))

    # The download.

    def _job(self, begun: _Begun) -> Job:
        wanted, course = begun.wanted, None
        # A small file is there when its answer is: not worth a thread.
        is_small = (wanted.sizes[wanted.host] or 0) <= BLOCK and not wanted.alike
        if is_small and has_course(self._storage.transport_for(wanted.host).open):
            course = partial(self._download_small, begun)
        return Job("download", wanted.host, wanted.name, partial(self._download, begun), course=course)

    def _download(self, begun: _Begun) -> None:
        self._read(begun, self._hosts.open(begun.wanted.host, begun.wanted.name))

    def _download_small(self, begun: _Begun) -> Course[None]:
        transport = self._storage.transport_for(begun.wanted.host)
        stream = yield from course_of(transport.open, begun.wanted.host, begun.wanted.name)
        self._read(begun, stream)

    def _read(self, begun: _Begun, opened: BinaryIO) -> None:
        wanted, descriptor = begun.wanted, begun.descriptor
        assert descriptor is not None  # noqa: S101 - it is closed when this has ended
        digest = hashlib.sha256()
        with opened as stream:
            begun.modified = modified_of(stream)
            for block in self._blocks(stream, begun.lease):
                write_all(descriptor, block)
                if wanted.alike:
                    digest.update(block)
        self._require_size(wanted, os.fstat(descriptor).st_size)
        for other in wanted.alike:
            self._require_alike(other, begun, digest.digest())
        if begun.modified is None:
            begun.modified = self._modified(wanted)

    def _blocks(self, stream: BinaryIO, lease: Lease | None) -> Iterator[bytes]:
        while block := stream.read(BLOCK):
            yield block
            self._keep()
            if lease is not None:
                lease.keep()

    def _require_size(self, wanted: Wanted, size: int) -> None:
        told = wanted.sizes[wanted.host]
        if size != told:
            raise _Problem(f"it has {counted(size, 'byte')} by now, and had {told} a moment ago; run this again")

    def _require_alike(self, host: str, begun: _Begun, digest: bytes) -> None:
        other = hashlib.sha256()
        with self._hosts.open(host, begun.wanted.name) as stream:
            for block in self._blocks(stream, begun.lease):
                other.update(block)
        if other.digest() != digest:
            raise _DifferentError("hosts have different contents of the same size")

    def _modified(self, wanted: Wanted) -> datetime | None:
        transport = self._storage.transport_for(wanted.host)
        if transport.supports_modified_time:
            with suppress(TransportError):  # the content is what counts
                return transport.modified_time(wanted.host, wanted.name)
        return None

    def _give_up(self, begun: Sequence[_Begun], error: Exception | None) -> None:
        """Leave files that are not published, and tell why."""
        for one in begun:
            if one.descriptor is not None:
                os.close(one.descriptor)
            with suppress(OSError, ConfigurationError):
                give_up_restored(self._storage.master, one.wanted.name)
            problem = problem_of(error) if error is not None else "its host was given up, or this was interrupted"
            kind: Kind = "different" if isinstance(error, _DifferentError) else "failed"
            problem = str(error) if isinstance(error, _Problem | _DifferentError) else problem
            self._told.append(Finding(one.wanted.name, kind, one.wanted.host, one.wanted.sizes, problem))
        forget_leases([one.lease for one in begun if one.lease is not None])

    # After it.

    def _publish(self, ready: Sequence[_Begun]) -> Iterator[tuple[Finding, int]]:
        groups = _by_directory(ready, lambda begun: begun.wanted.name)
        published = [one for files in groups for one in self._publish_files(files)]
        kept = {one.wanted.name: one.lease for one in published if one.lease is not None}
        forget_leases([one.lease for one in ready if one.lease is not None and one.wanted.name not in kept])
        try:
            if self._alias is not None and kept:
                # Before anything is sent: else a drain could forget the rows of what is on its way to a host.
                make_as_others(self._alias, kept)
                self._look_again(kept)
        finally:  # they are there, even if this is interrupted
            for wanted in (one.wanted for one in published):
                yield Finding(wanted.name, "restored", wanted.host, wanted.sizes), wanted.sizes[wanted.host] or 0
        yield from self._telling()

    def _publish_files(self, files: Sequence[_Begun]) -> Iterator[_Begun]:
        """Publish files of one directory, and yield those that are there now."""
        whole = [one.taken() for one in files]
        outcomes: Mapping[str, str | Exception]
        try:
            outcomes = publish_restored(self._storage.master, whole)
        except (OSError, ConfigurationError) as error:
            outcomes = dict.fromkeys((one.name for one in whole), error)
        for one in files:
            why = outcomes[one.wanted.name]
            if isinstance(why, Exception):
                self._failed(one.wanted, why)
            elif why:
                self._left(one.wanted, why)
            else:
                yield one

    def _look_again(self, kept: dict[str, Lease]) -> None:
        """Look at the hosts once more, and make equal those that are not; their rows stay if that fails."""
        jobs = (
            self._storage.restored_job(host, name, lease)
            for name, lease in kept.items()
            for host in self._storage.hosts
        )
        outcomes: dict[str, list[Outcome]] = {}
        for outcome in get_plugin_manager().executor("thread")().run_each(jobs):
            outcomes.setdefault(outcome.name, []).append(outcome)
            if not outcome.ok:
                self._storage.report(outcome)
        sound = [name for name, found in outcomes.items() if all(outcome.ok for outcome in found)]
        forget_leases([kept[name] for name in sound])
        for name in outcomes.keys() - {*sound}:
            kept[name].settle(outcomes[name])


def _by_directory(files: Iterable[T], name_of: Callable[[T], str]) -> list[list[T]]:
    """Return files in groups, of which each is in one directory: that is opened and proven once."""
    groups: dict[str, list[T]] = {}
    for file in files:
        groups.setdefault(name_of(file).rpartition("/")[0], []).append(file)
    return [*groups.values()]


class _Problem(Exception):  # noqa: N818 - it is a sentence fragment for a report
    """Why a file is not brought."""
