"""The comparison of hosts with each other, where there is no master copy: the record decides what it can, and the rest is told."""

import hashlib
from collections.abc import Sequence
from functools import partial
from typing import Literal

from resto.exceptions import RemoteFileNotFoundError
from resto.executors import Job
from resto.outcomes import Outcome
from resto.repair.sync.hosts import BLOCK, Listings, in_turn, tells
from resto.repair.sync.report import (
    Compared,
    Difference,
    Disagreement,
    Found,
    SyncOptions,
    SyncReport,
    problem_of,
    settled,
)
from resto.repair.sync.walk import Comparison, Node
from resto.storage import DistributedStorage
from resto.transports import Directory


__all__ = ["ComparisonBetweenHosts"]

# Host -> size of one file in bytes; None if it is not there. Hosts that do not tell are left out.
_Sizes = dict[str, int | None]


class ComparisonBetweenHosts(Comparison[DistributedStorage]):
    """Compares hosts with each other, and repairs what the record decides."""

    has_truth = False

    def __init__(self, storage: DistributedStorage, options: SyncOptions, found: Found, compared: Compared) -> None:
        super().__init__(storage, options, found, compared)
        self._listed = False
        self._disagreements: list[Disagreement] = []

    def run(self) -> SyncReport:
        """Compare, repair what can be repaired, and return what it came to."""
        self._hosts.recognize(is_dry_run=self._options.dry_run)
        self._walk(lambda node: Directory(), self._compare, self._settle)
        if not self._listed and self._hosts.active():
            problem = "none of its hosts lists its directories, so that nothing can be compared"
            self.report.problems.append(problem)
        return self.report

    # What differs.

    def _compare(self, node: Node, here: Directory, theres: Listings) -> None:
        self._notice(node, here, theres)
        listed = [there for there in theres.values() if there is not None]
        self._listed = self._listed or bool(listed)
        parts = sorted(set().union(*(there.files for there in listed)))
        found = self._find_sizes(node, parts, theres)
        self._compared(len(parts))
        alike: dict[str, _Sizes] = {}
        for part in parts:
            sizes = {host: found[part][host] for host in self._hosts.reports if host in found[part]}
            if len(set(sizes.values())) > 1:
                self._disagreements.append(Disagreement(node.join(part), sizes))
            elif self._options.checksum and len(sizes) > 1:
                alike[node.join(part)] = sizes
        self._compare_contents(alike)

    def _find_sizes(self, node: Node, parts: Sequence[str], theres: Listings) -> dict[str, _Sizes]:
        """Return the sizes of files, by the last parts of their names; ask for those that are not in listings."""
        sizes: dict[str, _Sizes] = {part: {} for part in parts}
        unknown: list[Job] = []
        for host, there in theres.items():
            self._hosts.reports[host].compared += len(parts)
            for part in parts:
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
        digests: dict[str, set[bytes]] = {name: set() for name in alike}
        triples = ((host, name, sizes[host]) for name, sizes in alike.items() for host in sizes)
        jobs = (Job("download", host, name, partial(self._digest, host, name, size)) for host, name, size in triples)
        for outcome in self._hosts.run_each(jobs):
            if self._has_told(outcome) and outcome.ok:
                digests[outcome.name].add(outcome.value)
        for name, sizes in alike.items():
            if len(digests[name]) > 1:
                self._disagreements.append(Disagreement(name, sizes, contents_differ=True))

    def _digest(self, host: str, name: str, size: int | None) -> bytes:
        """Return the digest of a file, of no more than one byte above its size: with that one, it differs from the others."""
        digest, left = hashlib.sha256(), (size or 0) + 1
        with self._hosts.open(host, name) as stream:
            while left and (block := stream.read(min(left, BLOCK))):
                digest.update(block)
                left -= len(block)
        return digest.digest()

    def _has_told(self, outcome: Outcome) -> bool:
        """Tell whether a host has answered, if only that it does not have the file; report it if not."""
        if outcome.ok or isinstance(outcome.error, RemoteFileNotFoundError):
            return True
        problem = problem_of(outcome.error)
        self._tell(Difference(outcome.host, outcome.name, "unknown", None, None, "failed", problem))
        return False

    # What the record decides is repaired; the rest is reported.

    def _settle(self) -> None:
        """Deal with what a group of directories has brought."""
        disagreements, self._disagreements = self._disagreements, []
        behind: list[Difference] = []
        for disagreement in disagreements:
            decided = self._decided(disagreement)
            behind += decided
            if not decided or _is_left(disagreement, {difference.host for difference in decided}):
                self.report.disagreements += 1
                self._found(disagreement)
        if not self._options.dry_run:
            self._repair(behind)
        else:
            for difference in behind:
                self._tell(difference)

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
        difference = Difference(host, disagreement.name, kind, here, there, "found")
        self._count(difference)
        return difference

    def _repair(self, differences: Sequence[Difference]) -> None:
        by_pair = {(difference.host, difference.name): difference for difference in differences}
        for outcome in self._storage.repair_each(by_pair):
            self._tell(settled(by_pair[outcome.host, outcome.name], outcome))


def _is_left(disagreement: Disagreement, judged: set[str]) -> bool:
    """Tell whether hosts disagree that the record does not judge."""
    left = [size for host, size in disagreement.sizes.items() if host not in judged]
    return len(set(left)) > 1 or (disagreement.contents_differ and len(left) > 1)
