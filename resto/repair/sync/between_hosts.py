"""The comparison of hosts with each other, where there is no master copy.

The record decides what it can, hosts that are left out are filled, somebody may name the host that is right, and the rest is told.
"""

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from functools import partial
from typing import Literal

from resto.counts import counted
from resto.exceptions import ConfigurationError, RemoteFileNotFoundError, UndecidedError
from resto.executors import Job
from resto.outcomes import Outcome
from resto.progress import Watcher
from resto.repair.sync.filling import Fill
from resto.repair.sync.hosts import BLOCK, Hosts, Listings, in_turn, tells
from resto.repair.sync.report import (
    Difference,
    Disagreement,
    Found,
    Settled,
    SyncOptions,
    SyncReport,
    problem_of,
    settled,
)
from resto.repair.sync.walk import Comparison, Node
from resto.storage import DistributedStorage
from resto.storage.copying import decided_jobs, decided_outcomes
from resto.storage.repairs import Leases, run_repairs
from resto.transports import Directory


__all__ = ["ComparisonBetweenHosts"]

# Host -> size of one file in bytes; None if it is not there. Hosts that do not tell are left out.
_Sizes = dict[str, int | None]


class ComparisonBetweenHosts(Comparison[DistributedStorage]):
    """Compares hosts with each other, and repairs what the record decides."""

    has_truth = False

    def __init__(self, storage: DistributedStorage, options: SyncOptions, found: Found, compared: Watcher) -> None:
        super().__init__(storage, options, found, compared)
        self._listed = False
        self._disagreements: list[Disagreement] = []
        self._fill = Fill(storage, self._hosts.reports, options)
        self._held: Counter[str] = Counter()  # files that each host has
        self._removals: list[Difference] = []  # what is to go in the end, if that is not too much
        self._undecided: dict[tuple[str, str], Difference] = {}

    def run(self) -> SyncReport:
        """Compare, repair what can be repaired, and return what it came to."""
        try:
            self._storage.reserved.require_free(self._options.prefix)
        except ConfigurationError as error:
            self.report.problems.append(str(error))
            return self.report
        self._hosts.recognize(is_dry_run=self._options.dry_run)
        self._fill.begin()
        self._left_out = self._fill.hosts
        if self._left_out >= {*self._hosts.active()}:
            self._left_out = frozenset()
        self._walk(self._browse, self._compare, self._settle, self._tell_merged)
        self._remove()
        self._retry()
        if not self._listed and self._hosts.active():
            problem = "none of its hosts lists its directories, so that nothing can be compared"
            self.report.problems.append(problem)
        self._wait()
        self._fill.end(self.report)
        self._meter.tell()
        return self.report

    def _browse(self, node: Node) -> Directory:
        return Directory(others=self._storage.reserved.within(node.name))

    # What differs.

    def _compare(self, node: Node, here: Directory, theres: Listings) -> None:
        self._notice(node, here, theres)
        listed = [there for there in theres.values() if there is not None]
        self._listed = self._listed or bool(listed)
        self._held.update({host: len(there.files) for host, there in theres.items() if there is not None})
        parts = sorted(set().union(*(there.files for there in listed)))
        self._meet(len(parts) * len(self._hosts.reports))
        found = self._find_sizes(node, parts, theres)
        before = len(self._disagreements)
        alike: dict[str, _Sizes] = {}
        for part in parts:
            sizes = {host: found[part][host] for host in self._hosts.reports if host in found[part]}
            if len(set(sizes.values())) > 1:
                self._disagreements.append(Disagreement(node.join(part), sizes))
            elif self._options.checksum and len(sizes) > 1:
                alike[node.join(part)] = sizes
        self._compare_contents(alike)
        differing = len(self._disagreements) - before
        self._meter.add((len(parts) - differing) * len(self._hosts.reports))

    def _find_sizes(self, node: Node, parts: Sequence[str], theres: Listings) -> dict[str, _Sizes]:
        """Return the sizes of files, by the last parts of their names; ask for those that are not in listings."""
        sizes: dict[str, _Sizes] = {part: {} for part in parts}
        unknown: list[Job] = []
        for host, there in theres.items():
            self._hosts.reports[host].compared += len(parts)
            merged = self._tell_merged(host, node, parts, there.files if there else ())
            for part in parts:
                if part in merged:
                    continue
                if tells(there, part, host_lacks_all=host in node.absent):
                    sizes[part][host] = there.files.get(part) if there else None
                else:
                    unknown.append(self._hosts.size_job(host, node.join(part)))
        for outcome in self._hosts.run_each(in_turn(unknown)):
            if self._has_told(outcome):
                sizes[outcome.name.rpartition("/")[2]][outcome.host] = outcome.value
        return sizes

    def _compare_contents(self, alike: dict[str, _Sizes]) -> None:
        """Compare the contents of files of the same size, by name."""
        digests: dict[str, dict[str, bytes]] = {name: {} for name in alike}
        triples = ((host, name, sizes[host]) for name, sizes in alike.items() for host in sizes)
        jobs = (
            Job("download", host, name, partial(_digest, self._hosts, host, name, size)) for host, name, size in triples
        )
        for outcome in self._hosts.run_each(jobs):
            if self._has_told(outcome) and outcome.ok:
                digests[outcome.name][outcome.host] = outcome.value
        for name, sizes in alike.items():
            if len(set(digests[name].values())) > 1:
                concerned = self._concerned(digests[name])
                concerned_sizes = {host: size for host, size in sizes.items() if host in concerned}
                self._disagreements.append(Disagreement(name, concerned_sizes, contents_differ=True))

    def _concerned(self, digests: dict[str, bytes]) -> set[str]:
        """Return the hosts that differ: those that are filled do, and not the others, if these have all the same."""
        counting = {digest for host, digest in digests.items() if host not in self._left_out}
        if len(counting) != 1:
            return {*digests}
        first = next(host for host in digests if host not in self._left_out)
        return {first, *(host for host in digests if digests[host] not in counting)}

    def _has_told(self, outcome: Outcome) -> bool:
        """Tell whether a host has answered, if only that it does not have the file; report it if not."""
        if outcome.ok or isinstance(outcome.error, RemoteFileNotFoundError):
            return True
        problem = problem_of(outcome.error)
        self._meet(1)
        self._tell(Difference(outcome.host, outcome.name, "unknown", None, None, "failed", problem))
        return False

    # What the record decides is repaired; the rest is reported.

    def _settle(self) -> None:
        """Deal with what a group of directories has brought."""
        disagreements, self._disagreements = self._disagreements, []
        behind: list[Difference] = []
        by_source: list[Difference] = []
        for disagreement in disagreements:
            judged, here = self._judged(disagreement)
            if judged and not _is_left(disagreement, judged):
                behind += self._differences(judged, disagreement, here)
            elif not self._is_decided_by_source(disagreement, judged):
                behind += self._differences(judged, disagreement, here)
                self.report.disagreements += 1
                self._found(disagreement)
            else:
                # What is filled gets what the named host has, or does not get it.
                behind += self._differences(judged - self._left_out, disagreement, here)
                by_source += self._wrong_by_source(disagreement, judged - self._left_out)
        self._meter.add(len(disagreements) * len(self._hosts.reports) - len(behind) - len(by_source))
        # First: what is filled gets a copy of any of the others.
        self._repair(self._now(by_source, is_by_source=True), is_by_source=True)
        self._repair(self._now(behind))

    def _is_decided_by_source(self, disagreement: Disagreement, judged: AbstractSet[str]) -> bool:
        source = self._options.source
        return source in disagreement.sizes and source not in judged

    def _wrong_by_source(self, disagreement: Disagreement, judged: AbstractSet[str]) -> list[Difference]:
        """Return how hosts differ from the one that was named as right."""
        source, sizes = self._options.source, disagreement.sizes
        others = {host for host in sizes if host not in judged and host != source}
        wrong = {host for host in others if disagreement.contents_differ or sizes[host] != sizes[source]}
        return self._differences(wrong, disagreement, sizes[source])

    def _now(self, differences: Iterable[Difference], *, is_by_source: bool = False) -> Iterator[Difference]:
        """Yield what is to be repaired now: what is to go waits for the end, or stays, unless the record says so."""
        for difference in differences:
            if self._options.dry_run:
                self._tell(difference)
            elif difference.kind != "extra" or not (is_by_source or self._fill.is_unknown(difference)):
                yield difference
            elif self._options.delete:
                self._removals.append(difference)
            else:
                self._tell(replace(difference, state="kept"))

    def _judged(self, disagreement: Disagreement) -> tuple[AbstractSet[str], int | None]:
        """Return which hosts are wrong, as the record says, and the size that they should have; none if it does not say."""
        truth = self._storage.truth(disagreement.name)
        known = [size for host, size in disagreement.sizes.items() if host in truth.hosts]
        if truth.is_settled and not known:
            return frozenset(), None
        if truth.is_doubtful and truth.is_present and not any(size is not None for size in known):
            return frozenset(), None
        here = None if truth.is_gone else max((size for size in known if size is not None), default=None)
        return {host for host in disagreement.sizes if not truth.is_settled or host not in truth.hosts}, here

    def _differences(self, hosts: AbstractSet[str], disagreement: Disagreement, here: int | None) -> list[Difference]:
        differences = [_difference(host, disagreement, here) for host in disagreement.sizes if host in hosts]
        for difference in differences:
            self._count(difference)
        return differences

    def _remove(self) -> None:
        """Remove what is to go, unless that is too much of a host."""
        count = Counter(difference.host for difference in self._removals)
        allowed = {
            host: self._options.force or number <= self._held[host] * self._options.max_delete / 100
            for host, number in count.items()
        }
        for host, is_allowed in allowed.items():
            if not is_allowed:
                self._hosts.reports[host].problems.append(
                    f"{count[host]} of its {counted(self._held[host], 'file')} would be removed, which is more than "
                    f"{self._options.max_delete:g} %: none is, unless forced"
                )
        for difference in self._removals:
            if not allowed[difference.host]:
                self._tell(replace(difference, state="kept", problem="more than expected would be removed"))
        going = [difference for difference in self._removals if allowed[difference.host]]
        self._repair(one for one in going if one.host in self._left_out)
        self._repair((one for one in going if one.host not in self._left_out), is_by_source=True)

    def _repair(self, differences: Iterable[Difference], *, is_by_source: bool = False) -> None:
        by_pair = {(difference.host, difference.name): difference for difference in differences}
        if not by_pair:
            return
        state: Settled = "handed over" if self._options.hand_over else "repaired"
        if is_by_source:
            outcomes = self._decide(by_pair)
        elif self._options.hand_over:
            outcomes = self._handing_over.each(by_pair)
        else:
            outcomes = self._hosts.repair_each(by_pair, self._storage.repair_each)
        for outcome in outcomes:
            difference = by_pair.get((outcome.host, outcome.name))
            if difference is None:
                continue  # a host that has not said what it has
            if outcome.host in self._left_out and isinstance(outcome.error, UndecidedError):
                self._undecided[outcome.host, outcome.name] = settled(difference, outcome)
            else:
                self._tell(settled(difference, outcome, state))

    def _decide(self, pairs: Collection[tuple[str, str]]) -> Iterator[Outcome]:
        """Make hosts equal to the one that was named, and to those that already are."""
        storage, held = self._storage, Leases()
        if self._options.hand_over:
            self._handing_over.make_room(len(pairs))
            return decided_outcomes(storage.record_alias() or "", self._wrong(pairs), storage.truth)
        jobs = decided_jobs(storage.record_alias() or "", self._wrong(pairs), held, storage.repair_job, storage.truth)
        return run_repairs(jobs, held, storage.report, at_once=1)

    def _wrong(self, pairs: Iterable[tuple[str, str]]) -> Iterator[tuple[str, list[str]]]:
        """Yield each name, and the hosts that are wrong, or have not said anything."""
        by_name: dict[str, list[str]] = {}
        for host, name in pairs:
            by_name.setdefault(name, []).append(host)
        silent = [host for host in self._storage.hosts if host not in self._hosts.active()]
        for name, hosts in by_name.items():
            yield name, [*hosts, *(host for host in silent if host not in hosts)]

    def _retry(self) -> None:
        """Deal once more with what could not be decided for hosts that are filled."""
        if not (self._options.dry_run or self._options.hand_over):
            for outcome in self._fill.retry():
                if (outcome.host, outcome.name) in self._undecided and outcome.ok:
                    self._tell(settled(self._undecided.pop((outcome.host, outcome.name)), outcome))
        for difference in self._undecided.values():
            self._tell(difference)


def _digest(hosts: Hosts, host: str, name: str, size: int | None) -> bytes:
    """Return the digest of a file, of no more than one byte above its size: with that one, it differs from the others."""
    digest, left = hashlib.sha256(), (size or 0) + 1
    with hosts.open(host, name) as stream:
        while left and (block := stream.read(min(left, BLOCK))):
            digest.update(block)
            left -= len(block)
    return digest.digest()


def _difference(host: str, disagreement: Disagreement, here: int | None) -> Difference:
    there = disagreement.sizes[host]
    kind: Literal["missing", "different", "extra"] = (
        "missing" if there is None else "extra" if here is None else "different"
    )
    return Difference(host, disagreement.name, kind, here, there, "found")


def _is_left(disagreement: Disagreement, judged: AbstractSet[str]) -> bool:
    """Tell whether hosts disagree that the record does not judge."""
    left = [size for host, size in disagreement.sizes.items() if host not in judged]
    return len(set(left)) > 1 or (disagreement.contents_differ and len(left) > 1)
