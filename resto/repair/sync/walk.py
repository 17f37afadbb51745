"""The walk through directories on all hosts at once, and what each way of comparing does on it.

It looks at a few directories at a time, so that the memory of a comparison is that of the largest ones.
"""

import time
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Generic, TypeVar

from resto.names import HOST_IDENTITY
from resto.outcomes import Outcome
from resto.progress import Meter, Watcher
from resto.repair.sync.folding import Folding, merged_with
from resto.repair.sync.handing import HandingOver, wait_for_drains
from resto.repair.sync.hosts import Hosts, Listings, lacks
from resto.repair.sync.report import Difference, Found, Notice, SyncOptions, SyncReport
from resto.repair.sync.unfinished import Unfinished
from resto.storage import ReplicatedStorage
from resto.traffic import listening
from resto.transports import Directory


__all__ = ["Comparison", "Node", "Walk", "files_of"]

# How many directories are looked at before something is done about what differs in them. So many others are asked for
# meanwhile, which hides the way to the hosts and back.
GROUP = 8

# Seconds of work on other directories after which a listing is asked for again: the site goes on saving and deleting.
FRESH = 5

# A deeper directory is not looked into: a host may follow a link that leads in circles.
MAX_DEPTH = 100


@dataclass(frozen=True, slots=True)
class Node:
    """A directory to look at, the hosts that are known not to have it, and those that have another one in its place."""

    name: str
    absent: frozenset[str] = frozenset()
    merged: frozenset[str] = frozenset()

    def join(self, part: str) -> str:
        """Return the name of what is in the directory."""
        return f"{self.name}/{part}" if self.name else part


# So many directories that nobody else has are looked into on a host, and `LONE_SHARE` times as many as others have: a host may
# make up new ones for ever. A site that has removed more, or lacks more of them elsewhere, can compare one part after another.
MAX_LONE = 10_000
LONE_SHARE = 10

# Of so many directories that are too deep the names are told.
MAX_TOO_DEEP = 20

# Returns what the truth has in a directory; None if that cannot be told.
Browse = Callable[[Node], Directory | None]

# Takes a host, a directory, what it should have in it, and what it lists; returns what of the former it cannot have.
Merged = Callable[[str, Node, Collection[str], Collection[str]], Collection[str]]

# Told what the truth and each host have in a directory.
Visit = Callable[[Node, Directory, Listings], None]


@dataclass(frozen=True, slots=True)
class _Request:
    """A directory for which hosts have been asked, when, and how to wait for what each of them answers."""

    node: Node
    asked: float
    answers: list[Callable[[], Outcome]]

    def wait(self) -> list[Outcome]:
        """Return the answers; even if nobody needs them, as connections can be used again only after that."""
        return [answer() for answer in self.answers]


class _Lone:
    """Counts the directories of each host that others lack, so that a host which makes them up does not keep a walk busy."""

    def __init__(self, hosts: Hosts, owner: str, most: int) -> None:
        self._hosts = hosts
        self._owner = owner
        self._most = most
        self._counts: Counter[str] = Counter()
        self._shared = 0

    def share(self, number: int) -> None:
        """Take note of directories that others have, too."""
        self._shared += number

    def admitted(self, owners: Sequence[str]) -> set[str]:
        """Return the hosts in which another such directory is still to be looked into, of those that have it."""
        most = self._most + LONE_SHARE * self._shared
        for host in owners:
            self._counts[host] += 1
            if self._counts[host] == most + 1:
                self._hosts.reports[host].problems.append(
                    f"it has more than {most} directories that {self._owner}: no more of them are looked into. If they are "
                    "real, remove them, or compare a part at a time"
                )
        return {host for host in owners if self._counts[host] <= most}


class Walk:
    """Goes through directories, a few at a time; through those that only hosts have which may have made them up in the end.

    Args:
        hosts: Whose directories.
        browse: Returns what the truth has in a directory.
        visit: Told what the truth and each host have in a directory.
        problems: Are added to.
        has_truth: Whether there is a truth; if not, directories count that more than one host has.
        left_out: Hosts that are being filled: a directory that all others have is no lone one.
        most: How many directories that nobody else has are looked into on a host in any case.
        merged: Returns which of the directories that a host should have in one it cannot have beside others, as those it lists.
        respelled: Spells what hosts list as the others do.
    """

    def __init__(
        self,
        hosts: Hosts,
        browse: Browse,
        visit: Visit,
        problems: list[str],
        *,
        has_truth: bool,
        left_out: frozenset[str] = frozenset(),
        most: int | None = None,
        merged: Merged | None = None,
        respelled: Callable[[Directory, Listings], Listings] = lambda here, theres: theres,
    ) -> None:
        self._hosts = hosts
        self._browse = browse
        self._visit = visit
        self._problems = problems
        self._has_truth = has_truth
        self._find_merged = merged
        self._respelled = respelled
        self._left_out = left_out
        self._lone = _Lone(
            hosts, "the master copy lacks" if has_truth else "no other host lists", MAX_LONE if most is None else most
        )
        self._too_deep = 0
        self._pending: list[Node] = []
        # Those that others lack: how many there may be is known best when all others have been looked into.
        self._pending_lone: list[Node] = []
        self._requests: deque[_Request] = deque()
        self._waited = 0.0

    def go(self, prefix: str, after_group: Callable[[], None]) -> None:
        """Go through a directory and all that are below, as long as a host goes on.

        Args:
            prefix: Where to begin.
            after_group: Called when a few directories have been visited.
        """
        self._pending.append(Node(prefix))
        try:
            while self._is_left() and self._hosts.active():
                self._ask_for_next()
                for _ in range(len(self._requests)):
                    self._look_at(self._fresh(self._requests.popleft()))
                self._ask_for_next()
                after_group()
        finally:
            for request in self._requests:
                request.wait()

    @property
    def has_more(self) -> bool:
        """Whether there are directories that were not looked into."""
        return bool(self._pending or self._pending_lone or self._requests)

    def _is_left(self) -> bool:
        """Tell whether any directory is left, and turn to those that others lack when no other is."""
        if not self._pending and not self._requests:
            self._pending, self._pending_lone = self._pending_lone, []
        return bool(self._pending or self._requests)

    def _look_at(self, request: _Request) -> None:
        # Hosts first: what a save brings in between is then no file that only a host has.
        theres = self._browse_hosts(request)
        self._ask_for_next()
        here = self._browse(request.node)
        if here is not None:
            theres = self._respelled(here, theres)
            self._visit(request.node, here, theres)
            self._add_children(request.node, here, theres)

    def _ask_for_next(self) -> None:
        """Ask for the next directories, so that answers are on their way while something else is done."""
        while self._pending and len(self._requests) < GROUP:
            self._requests.append(self._request(self._pending.pop()))

    def _request(self, node: Node) -> _Request:
        hosts = [host for host in self._hosts.active() if host not in node.absent | node.merged]
        return _Request(node, self._clock(), [self._hosts.begin_listing(host, node.name) for host in hosts])

    def _fresh(self, request: _Request) -> _Request:
        if self._clock() - request.asked <= FRESH:
            return request
        request.wait()
        return self._request(request.node)

    def _clock(self) -> float:
        """Return the time, by a clock that stops while hosts are waited for: a slow one is not asked twice."""
        return time.monotonic() - self._waited

    def _browse_hosts(self, request: _Request) -> Listings:
        absent = request.node.absent - request.node.merged
        listings: Listings = {host: Directory() for host in self._hosts.active() if host in absent}
        started = time.monotonic()
        outcomes = request.wait()
        self._waited += time.monotonic() - started
        return listings | self._hosts.read_listings(outcomes)

    def _add_children(self, node: Node, here: Directory, theres: Listings) -> None:
        owners = _owners(theres)
        known = (
            here.directories
            if self._has_truth
            else {part for part, hosts in owners.items() if self._is_shared(frozenset(hosts))}
        )
        parts = (owners.keys() | here.directories) - here.others.keys()
        merged = self._merged(node, known if self._has_truth else parts, theres)
        self._lone.share(len(known))
        for part in sorted(parts & known, reverse=True):
            self._pending += self._child(node, part, theres, merged=merged.get(part, frozenset()))
        for part in sorted(parts - known, reverse=True):
            admitted = self._lone.admitted(owners[part])
            if admitted:
                refused = frozenset(owners[part]) - admitted
                self._pending_lone += self._child(node, part, theres, refused, merged.get(part, frozenset()))

    def _merged(self, node: Node, wanted: AbstractSet[str], theres: Listings) -> dict[str, frozenset[str]]:
        """Return the directories for which some hosts have another one -> these hosts."""
        merged: dict[str, frozenset[str]] = {}
        if self._find_merged is None:
            return merged
        for host, there in theres.items():
            for part in self._find_merged(host, node, wanted, there.directories if there else ()):
                merged[part] = merged.get(part, frozenset()) | {host}
        return merged

    def _is_shared(self, owners: frozenset[str]) -> bool:
        counting = self._hosts.reports.keys() - self._left_out
        return len(counting & owners) > 1 or bool(self._left_out and counting <= owners)

    def _child(
        self,
        node: Node,
        part: str,
        theres: Listings,
        refused: frozenset[str] = frozenset(),
        merged: frozenset[str] = frozenset(),
    ) -> Iterator[Node]:
        name = node.join(part)
        if name.count("/") < MAX_DEPTH:
            absent = {host for host in self._hosts.reports if host in node.absent or lacks(theres.get(host), part)}
            yield Node(name, refused.union(absent), node.merged | merged)
        elif self._too_deep < MAX_TOO_DEEP:
            self._too_deep += 1
            self._problems.append(f"{name!r} is too deep to be looked into")


def files_of(theres: Listings) -> int:
    """Return how many files listings have had, each for each host, as they were counted while they were read."""
    return sum(len(there.files) for there in theres.values() if there is not None)


def _owners(theres: Listings) -> dict[str, list[str]]:
    """Return which hosts have each of the directories in a directory."""
    owners: dict[str, list[str]] = {}
    for host, there in theres.items():
        for part in there.directories if there else ():
            owners.setdefault(part, []).append(host)
    return owners


StorageT = TypeVar("StorageT", bound=ReplicatedStorage)


class Comparison(Generic[StorageT]):
    """Walks, counts what is found, and tells it; subclasses know what differs, and what is to be done about it.

    Attributes:
        has_truth: Whether there is something that hosts are compared with.
        report: What it comes to.
    """

    has_truth = True

    def __init__(self, storage: StorageT, options: SyncOptions, found: Found, compared: Watcher) -> None:
        self._storage = storage
        self._options = options
        self._found = found
        self._hosts = Hosts(storage, options.hosts)
        self._meter = Meter(compared, len(self._hosts.reports))
        self._met = 0
        self._left_out: frozenset[str] = frozenset()
        self._folding = Folding(storage.transport_for, has_truth=self.has_truth, is_dry_run=options.dry_run)
        self._handing_over = HandingOver(storage, self._keep)
        self._unfinished = Unfinished(self._hosts, storage.transport_for, found, is_dry_run=options.dry_run)
        self.report = SyncReport(list(self._hosts.reports.values()))

    def _keep(self) -> None:
        """Keep what must not be lost while the comparison lasts; raises if it is."""

    def _wait(self) -> None:
        """Wait until drains have done what was handed over to them, if that is asked for."""
        if self._options.wait:
            wait_for_drains(self._storage, self._hosts.reports, self._meter.add)

    def _walk(self, browse: Browse, visit: Visit, after_group: Callable[[], None], merged: Merged) -> None:
        def settle_and_visit(node: Node, here: Directory, theres: Listings) -> None:
            self._meter.settle(files_of(theres))
            visit(node, here, theres)

        walk = Walk(
            self._hosts,
            browse,
            settle_and_visit,
            self.report.problems,
            has_truth=self.has_truth,
            left_out=self._left_out,
            merged=merged,
            respelled=self._folding.respelled,
        )

        def finish_group() -> None:
            self._meter.is_final = self._meter.is_final or not walk.has_more
            after_group()
            self._unfinished.sweep()

        with listening(self._meter.arrive):
            walk.go(self._options.prefix, finish_group)

    def _notice(self, node: Node, here: Directory, theres: Listings) -> None:
        """Tell what in a directory is not compared."""
        for part, reason in here.others.items():
            self._found(Notice("", node.join(part), reason))
        for host, there in theres.items():
            for part, reason in there.others.items() if there else ():
                notice = Notice(host, node.join(part), reason)
                if part in here.others or notice.name == HOST_IDENTITY or self._unfinished.takes(notice):
                    continue
                self._found(notice)

    def _merged(self, host: str, node: Node, wanted: Collection[str], there: Collection[str]) -> Collection[str]:
        return self._folding.merged(host, wanted, there)

    def _tell_merged(self, host: str, node: Node, wanted: Collection[str], there: Collection[str]) -> Collection[str]:
        """Tell which names a host cannot have beside others, and return them.

        Args:
            host: The host as it stands in the settings.
            node: The directory.
            wanted: The last parts of the names that it should have there.
            there: Those that it lists.
        """
        merged = self._folding.merged(host, wanted, there)
        for part, owner in merged.items():
            self._meet(1)
            difference = Difference(host, node.join(part), "missing", None, None, "failed", merged_with(part, owner))
            self._count(difference)
            self._tell(difference)
        return merged

    def _count(self, difference: Difference) -> None:
        report = self._hosts.reports[difference.host]
        report.missing += difference.kind == "missing"
        report.different += difference.kind == "different"
        report.extra += difference.kind == "extra"
        is_to_be_sent = not (self._options.dry_run or self._options.hand_over)
        if difference.state == "found" and difference.kind != "extra" and is_to_be_sent:
            self._meter.total_bytes = (self._meter.total_bytes or 0) + (difference.here or 0)

    def _tell(self, difference: Difference) -> None:
        report = self._hosts.reports[difference.host]
        report.repaired += difference.state == "repaired"
        report.removed += difference.state == "repaired" and difference.kind == "extra"
        report.failed += difference.state == "failed"
        is_handed_over = difference.state == "handed over"
        report.handed_over += is_handed_over
        report.extras_handed_over += is_handed_over and difference.kind == "extra"
        is_sent = difference.state == "repaired" and difference.kind != "extra"
        if not (is_handed_over and self._options.wait):
            self._meter.add(1, (difference.here or 0) if is_sent else 0)
        self._found(difference)

    def _meet(self, number: int) -> None:
        """Count files that were found, each for each host; `_tell` counts those that were dealt with, but not those that agree."""
        self._met += number
        self._meter.total = max(self._meter.total or 0, self._met)
