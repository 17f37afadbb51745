"""A restore as a whole: what the master copy lacks is looked for on all hosts, and in the record."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

from resto.exceptions import ConfigurationError, LeaseLostError, RemoteFileNotFoundError
from resto.master.copy import MasterCopy
from resto.names import is_canonical
from resto.progress import Meter, Watcher
from resto.record import identities, rows
from resto.record.restores import pending_names, pending_of
from resto.record.turns import Turn
from resto.repair.restore.bringing import BATCH, Bringing
from resto.repair.restore.choice import Missing, Wanted, choose, is_proven, known_since
from resto.repair.restore.report import Finding, RestoreOptions, RestoreReport, Told
from resto.repair.sync.hosts import MAX_PROBLEMS, Hosts, Listings, in_turn, tells
from resto.repair.sync.report import problem_of, unreadable
from resto.repair.sync.walk import Node, Walk, files_of
from resto.storage import HybridStorage, host_findings
from resto.storage.restoring import begin_restore, end_restore
from resto.traffic import listening
from resto.transports import Directory


__all__ = ["Restore"]

# Directories that are looked into on one host and that nobody else has: a new disk has none.
_MAX_LONE = 10_000_000


class Restore:
    """Brings back what hosts have and the master copy lacks.

    Args:
        storage: As for `restore`.
        options: As for `restore`.
        found: As for `restore`.
        progress: As for `restore`.
    """

    def __init__(self, storage: HybridStorage, options: RestoreOptions, found: Told, progress: Watcher) -> None:
        self._storage = storage
        self._options = options
        self._found = found
        self._meter = Meter(progress)
        self._hosts = Hosts(storage, None)
        self._aliases = storage.belief.aliases() or [alias for alias in [storage.record_alias()] if alias]
        self._turn: Turn | None = None
        self._missing: list[Missing] = []
        # Of what something is pending for, and was told already.
        self._told: set[str] = set()
        self._proven: frozenset[str] = frozenset()
        self._since: dict[str, float] = {}
        self.report = RestoreReport([*self._hosts.reports.values()])

    def run(self) -> RestoreReport:
        """Bring what can be brought, and return what it came to."""
        try:
            with self._turn_of_its_own() as turn:
                self._turn = turn
                self._prepare()
                self._go_through_hosts()
                self._go_through_record()
                self._meter.is_final = True
                self._conclude()
        except (ConfigurationError, FileNotFoundError, LeaseLostError) as error:
            self.report.problems.append(str(error))
        self._meter.tell()
        return self.report

    def _turn_of_its_own(self) -> AbstractContextManager[Any]:
        if self._options.dry_run or not self._aliases:
            return nullcontext()
        return Turn(min(self._aliases), "restore")

    def _keep(self) -> None:
        if self._turn is not None:
            self._turn.keep()

    def _prepare(self) -> None:
        # Before the directory is the master copy: those are the files of another storage.
        for finding in self._storage.recognition.examine().values():
            if finding.kind == "taken" and finding.problem is not None:
                raise finding.problem
        if not self._options.dry_run:
            if self._aliases:
                rows.add_keys()
            self.report.is_restoring = begin_restore(self._storage.location, self._storage.belief)
        known = identities.find_all(min(self._aliases)) if self._aliases else {}
        self._since = known_since(known)
        findings = self._storage.recognition.examine()
        for host, report in self._hosts.reports.items():
            problem = host_findings.problem_of(findings[host]) if host in findings else ""
            if not problem and not is_proven(known, host):
                problem = "it has lost its files, and is not what it was yet"
            if problem:
                report.problems.append(problem)
        self._proven = frozenset(host for host, report in self._hosts.reports.items() if not report.problems)

    # What is missing.

    def _go_through_hosts(self) -> None:
        walk = Walk(self._hosts, self._browse, self._visit, self.report.problems, has_truth=True, most=_MAX_LONE)

        def finish_group() -> None:
            # There are few that only the record knows, unless hosts do not list their directories.
            self._meter.is_final = not walk.has_more and not any(report.unlisted for report in self.report.hosts)
            self._deal_with_missing()

        with listening(lambda number: self._meter.arrive(self._names(number))):
            walk.go(self._options.prefix, finish_group)
        if all(report.unlisted for report in self.report.hosts):
            self.report.problems.append(
                "no host lists its directories, so that only names can be found that something is pending for"
            )

    def _browse(self, node: Node) -> Directory | None:
        try:
            if self._options.dry_run:
                return MasterCopy(self._storage.location).browse(node.name)  # it need not be the master copy yet
            return self._storage.browse(node.name)
        except FileNotFoundError:
            if self._options.dry_run:
                return Directory()
            raise
        except OSError as error:
            self.report.problems.append(unreadable(node.name, error))
            return None

    def _visit(self, node: Node, here: Directory, theres: Listings) -> None:
        there = {part for listing in theres.values() if listing for part in listing.files}
        present = len(there & here.files.keys())
        self.report.present += present
        self._meter.settle(self._names(files_of(theres)))
        self._meet(len(there))
        self._meter.add(present)
        for part in sorted(there - here.files.keys()):
            name, sizes = node.join(part), _sizes(node, part, theres)
            if part in here.directories or part in here.others:
                problem = here.others.get(part, "a directory of this name is in the way")
                self._tell(Finding(name, "failed", "", _known(sizes), problem))
            else:
                self._missing.append(Missing(name, sizes))

    def _names(self, files: int) -> int:
        """Return how many names that is about, as each host lists its files."""
        return files // max(1, len(self._hosts.reports))

    def _deal_with_missing(self) -> None:
        missing, self._missing = self._missing, []
        self._deal_with(missing)

    def _go_through_record(self) -> None:
        """Deal with names that hosts do not list, and tell of those that no host is known to have."""
        for page in pending_names(self._aliases) if self._aliases else ():
            names = [name for name in page if name not in self._told and self._is_wanted(name)]
            for start in range(0, len(names), BATCH):
                part = names[start : start + BATCH]
                self._meet(len(part))
                self._deal_with([Missing(name, dict.fromkeys(self._hosts.active(), _UNKNOWN)) for name in part])

    def _is_wanted(self, name: str) -> bool:
        prefix = self._options.prefix
        if not is_canonical(name) or not f"{name}/".startswith(f"{prefix}/" if prefix else ""):
            return False
        master = MasterCopy(self._storage.location) if self._options.dry_run else self._storage.master
        try:
            return master.fingerprint(name) is None
        except FileNotFoundError:
            return True

    # What is done about it.

    def _deal_with(self, missing: Sequence[Missing]) -> None:
        self._keep()
        bringing = Bringing(self._storage, self._hosts, self._aliases, self._keep)
        wanted = self._wanted(missing)
        if self._options.dry_run:
            for one in wanted:
                self._tell(Finding(one.name, "found", one.host, one.sizes))
            return
        for finding, size in bringing.bring(wanted):
            self.report.size += size
            self._tell(finding, size)

    def _wanted(self, missing: Sequence[Missing]) -> Iterator[Wanted]:
        for start in range(0, len(missing), BATCH):
            part = missing[start : start + BATCH]
            self._ask_sizes(part)
            pending = pending_of(self._aliases, [one.name for one in part]) if self._aliases else {}
            for one in part:
                chosen = choose(one, pending.get(one.name, ()), self._proven, self._options, self._since)
                if one.name in pending:
                    self._told.add(one.name)
                if isinstance(chosen, Wanted):
                    self._meter.total_bytes = (self._meter.total_bytes or 0) + (chosen.sizes[chosen.host] or 0)
                    yield chosen
                elif chosen is not None and (chosen.kind != "lost" or self._is_certain(one)):
                    self._tell(chosen)
                else:
                    self._meter.add(1)

    def _is_certain(self, missing: Missing) -> bool:
        """Tell whether all hosts have said what they have: else another one may have it, and the report says which does not answer."""
        return missing.sizes.keys() == self._hosts.reports.keys()

    def _ask_sizes(self, missing: Sequence[Missing]) -> None:
        """Complete what listings do not tell."""
        by_name = {one.name: one for one in missing}
        unknown = [_Question(host, one.name) for one in missing for host, size in one.sizes.items() if size == _UNKNOWN]
        for one in missing:
            for host in [host for host, size in one.sizes.items() if size == _UNKNOWN]:
                del one.sizes[host]
        for outcome in self._hosts.run_each(self._hosts.size_job(one.host, one.name) for one in in_turn(unknown)):
            sizes, problems = by_name[outcome.name].sizes, self._hosts.reports[outcome.host].problems
            if outcome.ok:
                sizes[outcome.host] = outcome.value
            elif isinstance(outcome.error, RemoteFileNotFoundError):
                sizes[outcome.host] = None
            elif len(problems) < MAX_PROBLEMS:
                problems.append(f"{outcome.name}: {problem_of(outcome.error)}")

    def _tell(self, finding: Finding, size: int = 0) -> None:
        self.report.add(finding)
        self._found(finding)
        self._meter.add(1, size)

    def _meet(self, number: int) -> None:
        """Count files that were found, on hosts or in the record."""
        self._meter.total = (self._meter.total or 0) + number

    def _conclude(self) -> None:
        options = self._options
        if self.report.is_restoring and self.report.is_complete and not options.prefix and not options.dry_run:
            end_restore(self._storage.belief)
            self.report.is_restoring = False


# Stands for the size of a file of which a listing does not tell.
_UNKNOWN = -1


class _Question(NamedTuple):
    """What a host is asked."""

    host: str
    name: str


def _sizes(node: Node, part: str, theres: Listings) -> dict[str, int | None]:
    sizes: dict[str, int | None] = {}
    for host, there in theres.items():
        if there is not None and tells(there, part, host_lacks_all=host in node.absent):
            sizes[host] = there.files.get(part)
        else:
            sizes[host] = _UNKNOWN
    return sizes


def _known(sizes: dict[str, int | None]) -> dict[str, int | None]:
    return {host: size for host, size in sizes.items() if size != _UNKNOWN}
