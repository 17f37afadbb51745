"""The full comparison: everything that a storage has with everything that its hosts have.

It goes through the directories, a few at a time, and asks all hosts at once. What differs is replicated by state, as a
save does, so that it may run while the site saves and deletes. Its memory is that of the largest directories.
"""

import hashlib
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Literal, NamedTuple

from resto.exceptions import RemoteFileNotFoundError, TransportError
from resto.executors import Job
from resto.outcomes import Outcome
from resto.repair.sync.hosts import BLOCK, Hosts, Listings, in_turn, lacks, tells
from resto.repair.sync.report import (
    Compared,
    Difference,
    Disagreement,
    Found,
    HostReport,
    Notice,
    SyncOptions,
    SyncReport,
    problem_of,
    settled,
)
from resto.storage import DistributedStorage, HybridStorage, ReplicatedStorage
from resto.transports import Directory


__all__ = ["Difference", "Disagreement", "HostReport", "Notice", "SyncOptions", "SyncReport", "synchronize"]

# How many directories are looked at before something is done about what differs in them. So many others are asked for
# meanwhile, which hides the way to the hosts and back.
GROUP = 8

# Seconds of work on other directories after which a listing is asked for again: the site goes on saving and deleting.
FRESH = 5

# How many differences are collected before they are repaired. The end of each lot is waited for.
LOT = 200

# A deeper directory is not looked into: a host may follow a link that leads in circles.
MAX_DEPTH = 100

_ABSENT = object()

_IN_THE_WAY = "a directory of this name is in the way; only files are removed"


def synchronize(
    storage: ReplicatedStorage,
    options: SyncOptions,
    found: Found,
    compared: Compared = lambda number: None,
) -> SyncReport:
    """Compare a storage with its hosts, and replicate what differs.

    Without a master copy, hosts are compared with each other, and what the durable record decides is repaired.

    Args:
        storage: What to compare.
        options: How.
        found: Told each difference, when it is settled, and what is not compared.
        compared: Told how many more files were looked at.

    Returns:
        What it came to. A host that fails is reported there, and does not stop the others.
    """
    kind = _ComparisonWithMaster if isinstance(storage, HybridStorage) else _ComparisonOfHosts
    return kind(storage, options, found, compared).run()


@dataclass(frozen=True, slots=True)
class _Node:
    """A directory to look at, and the hosts that are known not to have it."""

    name: str
    absent: frozenset[str] = frozenset()

    def join(self, part: str) -> str:
        return f"{self.name}/{part}" if self.name else part


@dataclass(frozen=True, slots=True)
class _Request:
    """A directory for which hosts have been asked, when, and how to wait for what each of them answers."""

    node: _Node
    asked: float
    answers: list[Callable[[], Outcome]]


class _Comparison:
    def __init__(
        self,
        storage: Any,
        options: SyncOptions,
        found: Found,
        compared: Compared,
    ) -> None:
        self._storage = storage
        self._options = options
        self._found = found
        self._compared = compared
        self._hosts = Hosts(storage, options.hosts)
        self._waited = 0.0
        self.report = SyncReport(list(self._hosts.reports.values()))

    def run(self) -> SyncReport:
        raise NotImplementedError

    # The walk.

    def _walk(self, visit: Callable[[_Node, Directory, Listings], None], after_group: Callable[[], None]) -> None:
        pending = [_Node(self._options.prefix)]
        requests: deque[_Request] = deque()
        try:
            while (pending or requests) and self._hosts.active():
                self._ask_for(pending, requests)
                for _ in range(len(requests)):
                    # Hosts first: what a save brings in between is then no file that only a host has.
                    request = self._fresh(requests.popleft())
                    theres = self._browse_hosts(request)
                    self._ask_for(pending, requests)
                    here = self._browse_master(request.node)
                    if here is None:
                        continue
                    self._notice(request.node, here, theres)
                    visit(request.node, here, theres)
                    pending += self._children(request.node, here, theres)
                self._ask_for(pending, requests)
                after_group()
        finally:
            for request in requests:
                _wait_for(request)

    def _ask_for(self, pending: list[_Node], requests: deque[_Request]) -> None:
        """Ask for the next directories, so that answers are on their way while something else is done."""
        while pending and len(requests) < GROUP:
            requests.append(self._request(pending.pop()))

    def _request(self, node: _Node) -> _Request:
        hosts = [host for host in self._hosts.active() if host not in node.absent]
        return _Request(node, self._clock(), [self._hosts.begin_listing(host, node.name) for host in hosts])

    def _fresh(self, request: _Request) -> _Request:
        if self._clock() - request.asked <= FRESH:
            return request
        _wait_for(request)
        return self._request(request.node)

    def _clock(self) -> float:
        """Return the time, by a clock that stops while hosts are waited for: a slow one is not asked twice."""
        return time.monotonic() - self._waited

    def _browse_master(self, node: _Node) -> Directory | None:
        """Return what the truth has in a directory; None if that cannot be told."""
        raise NotImplementedError

    def _children(self, node: _Node, here: Directory, theres: Listings) -> Iterator[_Node]:
        parts = here.directories.union(*(there.directories for there in theres.values() if there))
        for part in sorted(parts - here.others.keys(), reverse=True):
            name = node.join(part)
            if name.count("/") >= MAX_DEPTH:
                self.report.problems.append(f"{name!r} is too deep to be looked into")
                continue
            absent = {host for host in self._hosts.reports if host in node.absent or lacks(theres.get(host), part)}
            yield _Node(name, frozenset(absent))

    def _browse_hosts(self, request: _Request) -> Listings:
        listings: Listings = {host: Directory() for host in self._hosts.active() if host in request.node.absent}
        started = time.monotonic()
        outcomes = _wait_for(request)
        self._waited += time.monotonic() - started
        return listings | self._hosts.read_listings(outcomes)

    def _notice(self, node: _Node, here: Directory, theres: Listings) -> None:
        for part, reason in here.others.items():
            self._found(Notice("", node.join(part), reason))
        for host, there in theres.items():
            for part, reason in there.others.items() if there else ():
                if part not in here.others:
                    self._found(Notice(host, node.join(part), reason))


class _File(NamedTuple):
    """A file of the master copy that is compared with that of one host."""

    host: str
    name: str
    size: int


class _ComparisonWithMaster(_Comparison):
    """Makes hosts equal to the master copy."""

    _storage: HybridStorage

    def run(self) -> SyncReport:
        try:
            self._run()
        except FileNotFoundError as error:
            # The directory of the master copy is missing; a host that lacks something has been dealt with.
            self.report.problems.append(str(error))
        return self.report

    def _run(self) -> None:
        options = self._options
        top = self._storage.browse(options.prefix)
        empty = not (top.files or top.directories)
        self._from_nothing = empty and options.force
        self._budgets: dict[str, float] = dict.fromkeys(self._hosts.reports, 0)
        self._doubtful: list[_File] = []
        self._suspects: list[_File] = []
        self._extras: list[Difference] = []
        self._behind: list[Difference] = []
        if options.delete and empty and not options.force:
            self.report.problems.append(
                f"{self._storage.path(options.prefix)} is empty or missing; is it mounted? Nothing is removed on its account"
            )
        elif options.delete:
            self._set_budgets()
        self._walk(self._compare, self._settle)
        self._repair_all(0)

    def _browse_master(self, node: _Node) -> Directory | None:
        try:
            return self._storage.browse(node.name)
        except FileNotFoundError:
            raise
        except OSError as error:
            problem = f"{node.name or '/'} of the master copy cannot be read: {(error.strerror or str(error)).lower()}"
            self.report.problems.append(problem)
            return None

    # How much may be removed.

    def _set_budgets(self) -> None:
        """Look how many files would be removed, before any is."""
        options, found, problems = self._options, self._found, len(self.report.problems)
        if options.force:
            self._budgets = dict.fromkeys(self._hosts.reports, float("inf"))
            return
        held, extra = dict.fromkeys(self._hosts.reports, 0), dict.fromkeys(self._hosts.reports, 0)

        def count(node: _Node, here: Directory, theres: Listings) -> None:
            for host, there in theres.items():
                if there is not None:
                    held[host] += len(there.files)
                    extra[host] += sum(part not in here.files and part not in here.others for part in there.files)

        self._found = lambda event: None
        try:
            self._walk(count, lambda: None)
        finally:
            self._found = found
        # They are found again, when something is done about it.
        del self.report.problems[problems:]
        for host, report in self._hosts.reports.items():
            report.unlisted = 0
            if not self._hosts.is_active(host):
                continue
            report.problems.clear()
            allowed = held[host] * options.max_delete / 100
            if extra[host] <= allowed:
                self._budgets[host] = allowed
            else:
                report.problems.append(
                    f"{extra[host]} of its {held[host]} files would be removed, which is more than {options.max_delete:g} %: "
                    "none is, unless forced"
                )

    # What differs.

    def _compare(self, node: _Node, here: Directory, theres: Listings) -> None:
        for host, there in theres.items():
            report = self._hosts.reports[host]
            report.compared += len(here.files)
            if there is not None and there.files == here.files and not self._options.checksum:
                continue
            for part, size in here.files.items():
                if there is not None and there.files.get(part, _ABSENT) == size:
                    if self._options.checksum:
                        self._suspects.append(_File(host, node.join(part), size or 0))
                else:
                    self._judge(host, node, part, size or 0, there)
            if there is not None:
                for part in there.files.keys() - here.files.keys() - here.others.keys():
                    difference = Difference(host, node.join(part), "extra", None, there.files[part], "found")
                    report.extra += 1
                    self._extras.append(difference)
        self._compared(len(here.files))

    def _judge(self, host: str, node: _Node, part: str, size: int, there: Directory | None) -> None:
        name = node.join(part)
        if there is not None and part in there.directories:
            self._hosts.reports[host].missing += 1
            state: Literal["found", "failed"] = "found" if self._options.dry_run else "failed"
            self._tell(Difference(host, name, "missing", size, None, state, _IN_THE_WAY))
            return
        if there is not None and tells(there, part, host_lacks_all=host in node.absent):
            self._differs(host, name, size, there.files.get(part))
        else:
            self._doubtful.append(_File(host, name, size))

    def _differs(self, host: str, name: str, here: int, there: int | None) -> None:
        report = self._hosts.reports[host]
        kind: Literal["missing", "different"] = "missing" if there is None else "different"
        report.missing += kind == "missing"
        report.different += kind == "different"
        difference = Difference(host, name, kind, here, there, "found")
        if self._options.dry_run:
            self._tell(difference)
        else:
            self._behind.append(difference)

    def _tell(self, difference: Difference) -> None:
        report = self._hosts.reports[difference.host]
        report.repaired += difference.state == "repaired"
        report.failed += difference.state == "failed"
        self._found(difference)

    # What is done about it, after each group of directories.

    def _settle(self) -> None:
        self._ask()
        self._read()
        # At once: such a file may have the name of a directory that is looked into next.
        self._remove_extras()
        self._repair_all(LOT)

    def _ask(self) -> None:
        """Ask for the sizes of files that are not in listings."""
        asked, self._doubtful = self._doubtful, []
        sizes = {(host, name): size for host, name, size in asked}
        for outcome in self._hosts.run_each(self._hosts.size_job(host, name) for host, name, _ in in_turn(asked)):
            host, name = outcome.host, outcome.name
            size = sizes[host, name]
            if isinstance(outcome.error, RemoteFileNotFoundError):
                self._differs(host, name, size, None)
            elif outcome.error is not None:
                self._tell(Difference(host, name, "unknown", size, None, "failed", problem_of(outcome.error)))
            elif outcome.value != size:
                self._differs(host, name, size, outcome.value)
            elif self._options.checksum:
                self._suspects.append(_File(host, name, size))

    def _read(self) -> None:
        """Compare the contents of files of the same size."""
        read, self._suspects = self._suspects, []
        sizes = {(host, name): size for host, name, size in read}
        jobs = (Job("download", host, name, partial(self._is_same, host, name)) for host, name, _ in in_turn(read))
        for outcome in self._hosts.run_each(jobs):
            host, name = outcome.host, outcome.name
            size = sizes[host, name]
            if isinstance(outcome.error, RemoteFileNotFoundError):
                self._differs(host, name, size, None)
            elif outcome.error is not None:
                self._tell(Difference(host, name, "unknown", size, size, "failed", problem_of(outcome.error)))
            elif not outcome.value:
                self._differs(host, name, size, size)

    def _is_same(self, host: str, name: str) -> bool:
        try:
            with Path(self._storage.path(name)).open("rb") as here, self._hosts.open(host, name) as there:
                while block := here.read(BLOCK):
                    if _read_fully(there, len(block)) != block:
                        return False
                return not there.read(1)
        except (FileNotFoundError, IsADirectoryError) as error:
            if isinstance(error, TransportError):
                raise
            return False  # it was deleted a moment ago, and so it will be there

    def _remove_extras(self) -> None:
        extras, self._extras = self._extras, []
        self._repair(difference for difference in in_turn(extras) if self._is_to_go(difference))

    def _is_to_go(self, difference: Difference) -> bool:
        """Tell whether an extra file is to be removed now, and report it if not."""
        if self._options.dry_run:
            self._tell(difference)
        elif self._budgets[difference.host] < 1:
            problem = "more than expected would be removed" if self._options.delete else ""
            self._tell(replace(difference, state="kept", problem=problem))
        else:
            self._budgets[difference.host] -= 1
            return True
        return False

    def _repair_all(self, enough: int) -> None:
        """Send what is waiting, if it is enough to keep hosts busy."""
        if len(self._behind) > enough:
            waiting, self._behind = self._behind, []
            for part in _split_firsts(waiting):
                self._repair(in_turn(part))

    def _repair(self, differences: Iterable[Difference]) -> None:
        under_way: dict[tuple[str, str], Difference] = {}
        pairs = self._pairs(differences, under_way)
        for outcome in self._hosts.listening(self._storage.repair_each(pairs, from_nothing=self._from_nothing)):
            difference = under_way.pop((outcome.host, outcome.name))
            self._tell(settled(difference, outcome))

    def _pairs(
        self, differences: Iterable[Difference], under_way: dict[tuple[str, str], Difference]
    ) -> Iterator[tuple[str, str]]:
        for difference in differences:
            if self._hosts.is_active(difference.host):
                under_way[difference.host, difference.name] = difference
                yield difference.host, difference.name


class _ComparisonOfHosts(_Comparison):
    """Compares hosts with each other, where there is no master copy."""

    _storage: DistributedStorage

    def run(self) -> SyncReport:
        self._listed = False
        self._disagreements: list[Disagreement] = []
        self._walk(self._compare, self._settle)
        if not self._listed and self._hosts.active():
            problem = "none of its hosts lists its directories, so that nothing can be compared"
            self.report.problems.append(problem)
        return self.report

    def _browse_master(self, node: _Node) -> Directory | None:
        return Directory()

    def _compare(self, node: _Node, here: Directory, theres: Listings) -> None:
        listed = [there for there in theres.values() if there is not None]
        self._listed = self._listed or bool(listed)
        parts = sorted(set().union(*(there.files for there in listed)))
        sizes: dict[str, dict[str, int | None]] = {part: {} for part in parts}
        unknown: list[Job] = []
        for host, there in theres.items():
            self._hosts.reports[host].compared += len(parts)
            for part in parts:
                if tells(there, part, host_lacks_all=host in node.absent):
                    sizes[part][host] = there.files.get(part) if there else None
                else:
                    unknown.append(self._hosts.size_job(host, node.join(part)))
        for outcome in self._hosts.run_each(in_turn(unknown)):
            self._take(outcome, sizes[outcome.name.rpartition("/")[2]])
        self._compared(len(parts))
        self._report_differences(node, sizes)

    def _take(self, outcome: Outcome, sizes: dict[str, int | None]) -> None:
        if outcome.ok:
            sizes[outcome.host] = outcome.value
        elif isinstance(outcome.error, RemoteFileNotFoundError):
            sizes[outcome.host] = None
        else:
            report = self._hosts.reports[outcome.host]
            report.failed += 1
            self._found(
                Difference(outcome.host, outcome.name, "unknown", None, None, "failed", problem_of(outcome.error))
            )

    def _report_differences(self, node: _Node, sizes: dict[str, dict[str, int | None]]) -> None:
        same: list[str] = []
        for part in sizes:
            by_host = sizes[part] = {host: sizes[part][host] for host in self._hosts.reports if host in sizes[part]}
            if len(set(by_host.values())) > 1:
                self._disagreements.append(Disagreement(node.join(part), by_host))
            elif self._options.checksum and len(by_host) > 1:
                same.append(part)
        digests: dict[str, set[bytes]] = {node.join(part): set() for part in same}
        jobs = (
            Job("download", host, node.join(part), partial(self._digest, host, node.join(part)))
            for part in same
            for host in sizes[part]
        )
        for outcome in self._hosts.run_each(jobs):
            if outcome.ok:
                digests[outcome.name].add(outcome.value)
            else:
                self._take(outcome, {})
        for part in same:
            if len(digests[node.join(part)]) > 1:
                self._disagreements.append(Disagreement(node.join(part), sizes[part], contents_differ=True))

    def _digest(self, host: str, name: str) -> bytes:
        digest = hashlib.sha256()
        with self._hosts.open(host, name) as stream:
            while block := stream.read(BLOCK):
                digest.update(block)
        return digest.digest()

    # What the record decides is repaired; the rest is reported.

    def _settle(self) -> None:
        """Deal with what a group of directories has brought."""
        disagreements, self._disagreements = self._disagreements, []
        behind: list[Difference] = []
        for disagreement in disagreements:
            decided = self._decided(disagreement)
            behind += decided
            judged = {difference.host for difference in decided}
            left = {host: size for host, size in disagreement.sizes.items() if host not in judged}
            if not decided or len(set(left.values())) > 1 or (disagreement.contents_differ and len(left) > 1):
                self.report.disagreements += 1
                self._found(disagreement)
        for difference in behind if self._options.dry_run else ():
            self._found(difference)
        if not self._options.dry_run:
            self._repair(behind)

    def _decided(self, disagreement: Disagreement) -> list[Difference]:
        """Return how hosts differ from those that tell the truth, as the record says; nothing if it does not say."""
        truth = self._storage.truth(disagreement.name)
        known = [size for host, size in disagreement.sizes.items() if host in truth.hosts]
        if truth.is_settled and not known:
            return []
        here = None if truth.is_gone else max((size for size in known if size is not None), default=None)
        behind = [host for host in disagreement.sizes if not truth.is_settled or host not in truth.hosts]
        return [self._difference(host, disagreement, here) for host in behind]

    def _difference(self, host: str, disagreement: Disagreement, here: int | None) -> Difference:
        there = disagreement.sizes[host]
        kind: Literal["missing", "different", "extra"] = (
            "missing" if there is None else "extra" if here is None else "different"
        )
        report = self._hosts.reports[host]
        report.missing += kind == "missing"
        report.different += kind == "different"
        report.extra += kind == "extra"
        return Difference(host, disagreement.name, kind, here, there, "found")

    def _repair(self, differences: Sequence[Difference]) -> None:
        by_pair = {(difference.host, difference.name): difference for difference in differences}
        for outcome in self._storage.repair_each(by_pair):
            report = self._hosts.reports[outcome.host]
            report.repaired += outcome.ok
            report.failed += not outcome.ok
            self._found(settled(by_pair[outcome.host, outcome.name], outcome))


def _wait_for(request: _Request) -> list[Outcome]:
    """Return the answers; even if nobody needs them, as connections can be used again only after that."""
    return [answer() for answer in request.answers]


def _split_firsts(differences: Sequence[Difference]) -> tuple[list[Difference], list[Difference]]:
    """Return the first file of each directory, and the others: it makes the directory, for which they would all fail."""
    seen: set[tuple[str, str]] = set()
    firsts: list[Difference] = []
    others: list[Difference] = []
    for difference in differences:
        directory = difference.host, difference.name.rpartition("/")[0]
        (others if directory in seen else firsts).append(difference)
        seen.add(directory)
    return firsts, others


def _read_fully(stream: BinaryIO, size: int) -> bytes:
    """Read so many bytes, or to the end; a stream may return less at a time."""
    blocks = []
    while size and (block := stream.read(size)):
        blocks.append(block)
        size -= len(block)
    return b"".join(blocks)
