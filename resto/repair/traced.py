"""What makes hosts equal again, with a trace of it in the record: for commands, tasks, and processes that stay."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from resto.progress import Progress, Watcher, ignore
from resto.record.runs import RunRow
from resto.record.traces import Trace
from resto.repair.directories import problem_of_directory
from resto.repair.drain import Drained, drain_into
from resto.repair.probe import HostProbe, probe_hosts
from resto.repair.restore import RestoreOptions, RestoreReport, restore
from resto.repair.restore.report import Told
from resto.repair.sync import Difference, Disagreement, Notice, SyncOptions, SyncReport, synchronize
from resto.repair.sync.report import Found
from resto.storage import HybridStorage, ReplicatedStorage


__all__ = ["TracedDrain", "traced_probe", "traced_restore", "traced_sync"]

# Problems with single files that are kept of a comparison.
_FIRST = 10


class TracedDrain:
    """Drains, at once or bit by bit; there is one trace of it if there was anything to do.

    Args:
        storage: As for `resto.repair.drain.drain`.
        hosts: As for `resto.repair.drain.drain`.
        asked: The run that was asked for, if one was.
        stays: Whether the process drains again and again, and has a run of its own that says so.

    Attributes:
        total: What was done.
    """

    def __init__(
        self,
        storage: Sequence[str] = (),
        hosts: Sequence[str] = (),
        *,
        asked: RunRow | None = None,
        stays: bool = False,
    ) -> None:
        self.total = Drained()
        self._storage, self._hosts = storage, hosts
        self._trace = Trace("drain", storage, hosts, asked=asked)
        self._is_asked = asked is not None
        self._stays = stays

    def __enter__(self) -> Self:
        if self._is_asked:
            self._trace.begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            self._conclude()
        else:
            self._trace.__exit__(kind, error, traceback)

    def drain(self, *, limit: int | None = None, direct: bool | None = None, watcher: Watcher = ignore) -> bool:
        """Drain what is due; return whether there was anything.

        Args:
            limit: As for `resto.repair.drain.drain`.
            direct: As for `resto.repair.drain.drain`.
            watcher: Told how far it is.
        """
        before = self.total.claimed

        def note(progress: Progress) -> None:
            if progress.total:
                self._trace.begin()
            self._trace.note(replace(progress, done=before + progress.done, total=before + (progress.total or 0)))

        drain_into(
            self.total,
            storage=self._storage,
            hosts=self._hosts,
            limit=limit,
            direct=direct,
            watches=self._stays,
            progress=_both(note, watcher),
        )
        return self.total.claimed > before

    def _conclude(self) -> None:
        problems = [problem for _, problem in (*self.total.refused, *self.total.refused_hosts)]
        is_fine = not (problems or self.total.failed or self.total.skipped)
        if self.total.claimed or self._is_asked or (problems and not self._stays):
            self._trace.note(Progress(self.total.claimed, self.total.claimed, is_final=True))
            self._trace.end(0 if is_fine else 1, counts=_counts_of_drain(self.total), problems=problems)
        elif not self._stays:
            self._trace.renew()


def traced_sync(
    alias: str,
    storage: ReplicatedStorage,
    options: SyncOptions,
    found: Found,
    watcher: Watcher = ignore,
    *,
    asked: RunRow | None = None,
) -> SyncReport:
    """Compare as `resto.repair.sync.synchronize` does, and leave a trace.

    Args:
        alias: Of the storage in ``STORAGES``.
        storage: As for `synchronize`.
        options: As for `synchronize`.
        found: As for `synchronize`.
        watcher: Told how far it is.
        asked: The run that was asked for, if one was.
    """
    problems: list[str] = []

    def tell(event: Difference | Disagreement | Notice) -> None:
        if isinstance(event, Difference) and event.problem and len(problems) < _FIRST:
            problems.append(f"{event.host}: {event.name}: {event.problem}")
        found(event)

    hosts = [] if options.hosts is None else sorted(options.hosts)
    with Trace("sync", [alias], hosts, _given(options, SyncOptions()), asked=asked) as trace:
        trace.begin()
        report = synchronize(storage, options, tell, _both(trace.note, watcher))
        masters = [Path(storage.location)] if isinstance(storage, HybridStorage) else []
        on_hosts = report.found_any or not report.agrees
        lack = problem_of_directory(options.prefix, masters, on_hosts=on_hosts)
        trace.end(
            0 if report.is_dealt_with and not lack else 1,
            counts=_counts_of_sync(report),
            problems=[*([lack] if lack else []), *_problems_of_sync(report), *problems],
            report=asdict(report),
        )
    return report


def traced_restore(
    alias: str, storage: HybridStorage, options: RestoreOptions, found: Told, watcher: Watcher = ignore
) -> RestoreReport:
    """Restore as `resto.repair.restore.restore` does, and leave a trace.

    Args:
        alias: Of the storage in ``STORAGES``.
        storage: As for `restore`.
        options: As for `restore`.
        found: As for `restore`.
        watcher: Told how far it is.
    """
    with Trace("restore", [alias], options=_given(options, RestoreOptions())) as trace:
        trace.begin()
        report = restore(storage, options, found, _both(trace.note, watcher))
        hosts = [f"{host.host}: {problem}" for host in report.hosts for problem in host.problems]
        counts = {"present": report.present, **report.counts}
        trace.end(0 if report.is_complete else 1, counts=counts, problems=[*report.problems, *hosts])
    return report


def traced_probe(
    aliases: Sequence[str] = (), hosts: Sequence[str] = (), *, asked: RunRow | None = None
) -> list[HostProbe]:
    """Probe as `resto.repair.probe.probe_hosts` does, and leave a trace.

    Args:
        aliases: As for `probe_hosts`.
        hosts: As for `probe_hosts`.
        asked: The run that was asked for, if one was.
    """
    with Trace("probe", aliases, hosts, asked=asked) as trace:
        trace.begin()
        probes = probe_hosts(aliases, hosts)
        problems = [f"{probe.storage}: {probe.host}: {probe.problem}" for probe in probes if probe.problem]
        remarks = {f"{probe.storage}: {probe.host}": list(probe.remarks) for probe in probes if probe.remarks}
        counts = {"fine": len(probes) - len(problems), "failed": len(problems)}
        trace.end(1 if problems else 0, counts=counts, problems=problems, report=remarks)
    return probes


def _both(first: Watcher, second: Watcher) -> Watcher:
    def tell(progress: Progress) -> None:
        first(progress)
        second(progress)

    return tell


def _given(options: Any, usual: Any) -> dict[str, Any]:
    """Return what is asked for beyond the usual, but for hosts."""
    names = [field.name for field in fields(options) if field.name != "hosts"]
    return {name: getattr(options, name) for name in names if getattr(options, name) != getattr(usual, name)}


def _counts_of_drain(total: Drained) -> dict[str, int]:
    numbers = {
        "sent": total.done - total.removed,
        "removed": total.removed,
        "queued": total.queued,
        "failed": total.failed,
        "skipped": total.skipped,
        "left": total.left,
        "dropped": total.dropped,
    }
    return {name: number for name, number in numbers.items() if number}


def _counts_of_sync(report: SyncReport) -> dict[str, int]:
    names = ("compared", "missing", "different", "extra", "removed", "handed_over", "failed")
    counts = {name: sum(getattr(host, name) for host in report.hosts) for name in names}
    counts["sent"] = sum(host.repaired - host.removed for host in report.hosts)
    counts["disagreements"] = report.disagreements
    return {name: number for name, number in counts.items() if number}


def _problems_of_sync(report: SyncReport) -> Iterator[str]:
    yield from report.problems
    for host in report.hosts:
        for problem in host.problems:
            yield f"{host.host}: {problem}"
