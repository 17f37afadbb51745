"""Adoption: somebody says which directory is the master copy, or which server a host, where they do not prove it."""

from collections.abc import Sequence

from resto.exceptions import ConfigurationError
from resto.master.places import has_files
from resto.master.root import Root
from resto.progress import Watcher
from resto.record.identities import NEW
from resto.repair.sync import Difference, Disagreement, HostReport, Notice, SyncOptions, SyncReport, synchronize
from resto.storage import HybridStorage, ReplicatedStorage
from resto.storage.adopting import adopt, alone, end_adoption
from resto.storage.host_findings import problem_of
from resto.storage.occupancy import aliases_of_location, occupied_host


__all__ = ["Adoption"]


class Adoption:
    """What is about to be adopted.

    Args:
        alias: Of the storage.
        storage: Whose directory, or hosts.
        hosts: As they stand in the settings; the directory if there are none, or all hosts where there is no master copy.

    Attributes:
        alias: As given.
        hosts: As given.
        location: The path of the directory; None if there is no master copy.
        role: What is adopted is to be it.
    """

    def __init__(self, alias: str, storage: ReplicatedStorage, hosts: Sequence[str]) -> None:
        self.alias = alias
        self.hosts = hosts
        self._storage = storage
        self._faults: dict[str, str] = {}  # of hosts that are adopted: in full -> without what to do
        self._master = storage if isinstance(storage, HybridStorage) else None
        self.location = None if self._master is None else self._master.location
        self.role = "the master copy" if self._master is not None and not hosts else f"hosts of {alias}"

    def require_possible(self) -> None:
        """Raise if that cannot be meant.

        Raises:
            ConfigurationError: A host is the master copy itself, or belongs to another storage; or no other host would be left that
                has all files.
            DatabaseError: The record cannot be read.
        """
        findings = self._storage.recognition.examine()
        for host, finding in findings.items():
            if finding.problem is not None and host in self.hosts:
                self._faults[str(finding.problem)] = finding.problem.problem
            is_wrong = finding.kind == "taken" or (finding.kind == "served" and host in self.hosts)
            if is_wrong and finding.problem is not None:
                raise finding.problem
        others = [host for host in self._storage.hosts if host not in self.hosts]
        if self._master is None and self.hosts and not any(self._is_full(host) for host in others):
            raise ConfigurationError(
                "no host would be left that the others can be filled from",
                "Leave out --host, if hosts are to stay as they are.",
            )

    def _is_full(self, host: str) -> bool:
        known = self._storage.recognition.known().get(host)
        return known is None or known.state == ""

    def compare(self, progress: Watcher) -> SyncReport:
        """Return how the directory and the hosts differ, or the hosts from each other; change nothing.

        Args:
            progress: Told how far it is.
        """
        chosen = None if self._master is None or not self.hosts else frozenset(self.hosts)

        def note(event: Difference | Disagreement | Notice) -> None:
            if isinstance(event, Disagreement):
                _count(event, {report.host: report for report in reports})

        reports: list[HostReport] = [HostReport(host) for host in self._storage.hosts]
        report = synchronize(self._storage, SyncOptions(hosts=chosen, dry_run=True), note, progress)
        if self._master is None:
            for one, counted in zip(report.hosts, reports, strict=True):
                one.missing, one.different, one.extra = counted.missing, counted.different, counted.extra
        if self.hosts:
            report.hosts = [one for one in report.hosts if one.host in self.hosts]
            for one in report.hosts:
                # What it is, without what to do about it: that is being done.
                one.problems = [self._faults.get(problem, problem) for problem in one.problems]
        return report

    def unseen_host(self, report: SyncReport) -> str:
        """Return a host that may have files although it does not list them, if the directory that is adopted has none.

        It has been a host before, as it has an identity: the directory may be a disk that is not mounted. Empty if there is none.

        Args:
            report: What `compare` has returned.
        """
        if self._master is None or self.hosts or any(one.extra for one in report.hosts):
            return ""
        unlisted = {one.host: self._storage.transport_for(one.host) for one in report.hosts if one.unlisted}
        try:
            with Root(self._master.location) as root:
                if has_files(root.descriptor):
                    return ""
        except FileNotFoundError:  # which the adoption says
            return ""
        return next((host for host in unlisted if occupied_host({host: unlisted[host]}) is not None), "")

    def carry_out(self) -> list[str]:
        """Adopt it, and return what is wrong with hosts after that, in sentences.

        Raises:
            ConfigurationError: Nothing is recorded of the storage.
            DatabaseError: It cannot be recorded.
            OSError: The directory cannot be written to, or a host does not take its identity.
        """
        if self._master is not None and not self.hosts:
            self._adopt_directory(self._master)
        else:
            state = NEW if self._master is None and self.hosts else ""
            for host in self.hosts or self._storage.hosts:
                self._storage.recognition.adopt(host, state)
        findings = self._storage.recognition.examine(begins=True).values()
        return [problem_of(finding) for finding in findings if finding.problem is not None]

    def _adopt_directory(self, master: HybridStorage) -> None:
        with alone(master.location):
            had, _ = adopt(master.location, master.belief)
            # Hosts of this directory stay so. Those of the one whose place it takes may be in use by a site that this is a copy of.
            for storage in aliases_of_location(master.location).values():
                if isinstance(storage, HybridStorage):
                    storage.recognition.follow([had])
            end_adoption(master.location, master.belief)


def _count(disagreement: Disagreement, reports: dict[str, HostReport]) -> None:
    """Count a file for each host, against all others."""
    for host, size in disagreement.sizes.items():
        others = {other for one, other in disagreement.sizes.items() if one != host}
        reports[host].missing += size is None
        reports[host].extra += size is not None and others == {None}
        reports[host].different += size is not None and bool(others - {None, size})
