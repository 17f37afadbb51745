"""The comparison with a master copy: hosts are made equal to it, and what only they have is removed if that was asked for."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

from resto.exceptions import ConfigurationError, LeaseLostError, RemoteFileNotFoundError, TransportError
from resto.executors import Job
from resto.progress import Watcher
from resto.record.turns import Turn
from resto.repair.sync.budgets import Budgets
from resto.repair.sync.hosts import Hosts, Listings, in_turn, tells
from resto.repair.sync.report import (
    Difference,
    Found,
    SyncOptions,
    SyncReport,
    problem_of,
    unreadable,
)
from resto.repair.sync.sending import Sending
from resto.repair.sync.walk import Comparison, Node
from resto.storage import HybridStorage
from resto.storage.occupancy import show_no_files
from resto.transports import Directory, Transport
from resto.transports.comparison import has_same_content


__all__ = ["ComparisonWithMaster"]

# How many differences are collected before they are repaired. The end of each lot is waited for.
LOT = 200

_IN_THE_WAY = "a directory of this name is in the way; only files are removed"


class _File(NamedTuple):
    """A file of the master copy, and the host for which it is looked at."""

    host: str
    name: str
    size: int


class ComparisonWithMaster(Comparison[HybridStorage]):
    """Makes hosts equal to the master copy."""

    def __init__(self, storage: HybridStorage, options: SyncOptions, found: Found, compared: Watcher) -> None:
        super().__init__(storage, options, found, compared)
        self._budgets = Budgets(self._hosts.reports)
        self._sending = Sending(storage, self._hosts, self._handing_over, options, self._tell)
        self._turn: Turn | None = None
        self._is_proven = True
        # What the directories of a group have brought: files of which listings do not tell, and such whose contents are to
        # be compared; then what only hosts have.
        self._doubtful: list[_File] = []
        self._suspects: list[_File] = []
        self._extras: list[Difference] = []

    def run(self) -> SyncReport:
        """Compare, repair, and return what it came to."""
        try:
            self._hosts.recognize(is_dry_run=self._options.dry_run)
            with _turn(self._storage, self._options) as turn:
                self._turn = turn
                self._prepare_removals()
                self._walk(self._browse, self._compare, self._settle, self._tell_merged)
                self._sending.send()
            self._wait()
        except (FileNotFoundError, ConfigurationError, LeaseLostError) as error:
            # The directory of the master copy is missing, or is another one; a host that lacks something has been dealt with.
            transports = {host: self._storage.transport_for(host) for host in self._hosts.reports}
            if not (isinstance(error, FileNotFoundError) and _is_without_uploads(self._storage, transports)):
                self.report.problems.append(str(error))
        self._meter.tell()
        return self.report

    def _keep(self) -> None:
        if self._turn is not None:
            self._turn.keep()

    def _browse(self, node: Node) -> Directory | None:
        try:
            return self._browsed(node.name)
        except FileNotFoundError:
            raise
        except OSError as error:
            self.report.problems.append(unreadable(node.name, error))
            return None

    def _browsed(self, name: str) -> Directory:
        return self._storage.browse(name) if self._is_proven else self._storage.browse_unproven(name)

    # How much may be removed.

    def _prepare_removals(self) -> None:
        options = self._options
        is_believed = self._is_believed()
        top = self._browsed(options.prefix)
        is_empty = not (is_believed or top.files or top.directories)
        self._sending.from_nothing = is_empty and options.force
        if options.delete and self._storage.belief.is_restoring:
            self.report.problems.append(
                f"{self._storage.location} is being restored; nothing is removed on its account until then"
            )
        elif options.delete and options.force:
            self._budgets.lift()
        elif options.delete and is_empty:
            path = self._storage.path(options.prefix)
            self.report.problems.append(f"{path} is empty or missing; is it mounted? Nothing is removed on its account")
        elif options.delete:
            self._set_budgets()

    def _is_believed(self) -> bool:
        """Return whether the directory proves to be the master copy; one that is something else can be compared all the same."""
        try:
            return self._storage.belief.require_all()
        except ConfigurationError as error:
            if not self._options.dry_run:
                raise
            self.report.problems.append(str(error))
            self._is_proven = False
            return False

    def _set_budgets(self) -> None:
        """Look how many files would be removed, before any is."""
        problems = len(self.report.problems)
        held, extra = self._count_files()
        # What went wrong is found again, when something is done about it.
        del self.report.problems[problems:]
        for host, report in self._hosts.reports.items():
            report.unlisted = 0
            if self._hosts.is_active(host):
                report.problems.clear()
                self._budgets.set(report, held[host], extra[host], self._options.max_delete)

    def _count_files(self) -> tuple[dict[str, int], dict[str, int]]:
        """Return how many files each host has, and how many of them only the host has."""
        held, extra = dict.fromkeys(self._hosts.reports, 0), dict.fromkeys(self._hosts.reports, 0)

        def count(node: Node, here: Directory, theres: Listings) -> None:
            self._meet(len(here.files) * len(self._hosts.reports))
            for host, there in theres.items():
                if there is not None:
                    held[host] += len(there.files)
                    extra[host] += sum(part not in here.files and part not in here.others for part in there.files)

        self._walk(self._browse, count, lambda: None, self._merged)
        self._meet(sum(extra.values()))
        self._met = 0  # they are met again, and dealt with
        return held, extra

    # What differs.

    def _compare(self, node: Node, here: Directory, theres: Listings) -> None:
        self._notice(node, here, theres)
        done = len(here.files) * len(self._hosts.reports)
        self._meet(done)
        for host, there in theres.items():
            self._hosts.reports[host].compared += len(here.files)
            if there is not None and there.files == here.files and not self._options.checksum:
                continue
            merged = self._tell_merged(host, node, here.files, self._staying(here, there))
            done -= self._compare_files(host, node, here, there, merged)
            if there is not None:
                self._collect_extras(host, node, here, there)
        self._meter.add(done)

    def _staying(self, here: Directory, there: Directory | None) -> Collection[str]:
        """Return which files a host has and keeps: what only it has is removed before anything is sent, if that was asked for."""
        if there is None:
            return ()
        return there.files.keys() & here.files.keys() if self._options.delete else there.files

    def _compare_files(
        self, host: str, node: Node, here: Directory, there: Directory | None, merged: Collection[str]
    ) -> int:
        """Compare the files of a directory with those of a host, but for those that it cannot have; return of how many that is not all."""
        left = 0
        for part, size in here.files.items():
            if part in merged:
                continue
            is_alike = there is not None and part in there.files and there.files[part] == size
            if is_alike and not self._options.checksum:
                continue
            left += 1
            file = _File(host, node.join(part), size or 0)
            if is_alike:
                self._suspects.append(file)
            else:
                self._judge(file, node, part, there)
        return left

    def _judge(self, file: _File, node: Node, part: str, there: Directory | None) -> None:
        if there is not None and part in there.directories:
            self._report_blocked(file)
        elif there is not None and tells(there, part, host_lacks_all=file.host in node.absent):
            self._differs(file, there.files.get(part))
        else:
            self._doubtful.append(file)

    def _report_blocked(self, file: _File) -> None:
        state: Literal["found", "failed"] = "found" if self._options.dry_run else "failed"
        difference = Difference(file.host, file.name, "missing", file.size, None, state, _IN_THE_WAY)
        self._count(difference)
        self._tell(difference)

    def _collect_extras(self, host: str, node: Node, here: Directory, there: Directory) -> None:
        parts = there.files.keys() - here.files.keys() - here.others.keys()
        self._meet(len(parts))
        for part in parts:
            difference = Difference(host, node.join(part), "extra", None, there.files[part], "found")
            self._count(difference)
            self._extras.append(difference)

    def _differs(self, file: _File, there: int | None) -> None:
        kind: Literal["missing", "different"] = "missing" if there is None else "different"
        difference = Difference(file.host, file.name, kind, file.size, there, "found")
        self._count(difference)
        if self._options.dry_run:
            self._tell(difference)
        else:
            self._sending.add(difference)

    # What is done about it, after each group of directories.

    def _settle(self) -> None:
        self._keep()
        self._ask_sizes()
        self._compare_contents()
        # At once: such a file may have the name of a directory that is looked into next.
        self._remove_extras()
        self._sending.send(LOT)

    def _ask_sizes(self) -> None:
        """Ask for the sizes of files that are not in listings."""
        doubtful, self._doubtful = self._doubtful, []
        for file, size in self._answers(doubtful, self._hosts.size_job, is_size_known=False):
            if size != file.size:
                self._differs(file, size)
            elif self._options.checksum:
                self._suspects.append(file)
            else:
                self._meter.add(1)

    def _compare_contents(self) -> None:
        """Compare the contents of files of the same size."""
        suspects, self._suspects = self._suspects, []
        job = partial(_content_job, self._storage, self._hosts)
        for file, is_same in self._answers(suspects, job, is_size_known=True):
            if is_same:
                self._meter.add(1)
            else:
                self._differs(file, file.size)

    def _answers(
        self, files: Sequence[_File], job: Callable[[str, str], Job], *, is_size_known: bool
    ) -> Iterator[tuple[_File, Any]]:
        """Yield what hosts answer of files; a file that a host does not have, or does not tell of, is dealt with here."""
        by_pair = {(file.host, file.name): file for file in files}
        for outcome in self._hosts.run_each(job(file.host, file.name) for file in in_turn(files)):
            file = by_pair[outcome.host, outcome.name]
            if outcome.ok:
                yield file, outcome.value
            elif isinstance(outcome.error, RemoteFileNotFoundError):
                self._differs(file, None)
            else:
                there = file.size if is_size_known else None
                problem = problem_of(outcome.error)
                self._tell(Difference(file.host, file.name, "unknown", file.size, there, "failed", problem))

    def _remove_extras(self) -> None:
        extras, self._extras = self._extras, []
        self._sending.repair(
            (difference for difference in in_turn(extras) if self._is_to_go(difference)), present=False
        )

    def _is_to_go(self, difference: Difference) -> bool:
        """Tell whether an extra file is to be removed now, and report it if not."""
        if self._options.dry_run:
            self._tell(difference)
        elif self._budgets.take(difference.host):
            return True
        else:
            problem = "more than expected would be removed" if self._options.delete else ""
            self._tell(replace(difference, state="kept", problem=problem))
        return False


def _turn(storage: HybridStorage, options: SyncOptions) -> AbstractContextManager[Any]:
    """Return what keeps others from going through all files meanwhile, where some are to be removed."""
    alias = storage.record_alias()
    removes = options.delete and not options.dry_run
    if not removes or alias is None:
        return nullcontext()
    return Turn(storage.belief.key_of_turns(alias), "comparison")


def _is_without_uploads(storage: HybridStorage, transports: Mapping[str, Transport]) -> bool:
    """Return whether nobody has saved anything yet: no directory was made, and no host has a file."""
    return not Path(storage.location).exists() and show_no_files(transports)


def _content_job(storage: HybridStorage, hosts: Hosts, host: str, name: str) -> Job:
    return Job("download", host, name, partial(_is_same, storage.path(name), hosts, host, name))


def _is_same(path: str, hosts: Hosts, host: str, name: str) -> bool:
    try:
        with Path(path).open("rb") as here, hosts.open(host, name) as there:
            return has_same_content(here, there)
    except (FileNotFoundError, IsADirectoryError) as error:
        if isinstance(error, TransportError):
            raise
        return False  # it was deleted a moment ago, and so it will be there
