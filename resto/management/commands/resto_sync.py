"""``manage.py resto_sync``: compare everything with everything, and replicate each difference."""

import dataclasses
import json
from argparse import ArgumentParser, ArgumentTypeError
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

from django.core.checks import Tags
from django.core.management import BaseCommand, CommandError
from django.db import DatabaseError

from resto.counts import counted, size_told
from resto.exceptions import ConfigurationError
from resto.management.choices import directory_of, require_directory, usable
from resto.management.interruption import INTERRUPTED, InterruptibleCommand, tidy_up
from resto.management.progress import ProgressBar
from resto.management.quiet import quiet
from resto.names import shown
from resto.record.compared import count_waiting
from resto.repair.sync import Difference, Disagreement, HostReport, Notice, SyncOptions, SyncReport
from resto.repair.traced import traced_sync
from resto.repair.unusable import unusable_entries
from resto.storage import DistributedStorage, HybridStorage, ReplicatedStorage
from resto.storage.finding import replicated_storages
from resto.words.absence import absence_of_hosts


__all__ = ["Command"]

# Percentage of the files of a host.
MAX_DELETE = 10


class Command(InterruptibleCommand):
    """Compares the files of storages with those of their hosts."""

    help = "Compares every file with every host, and replicates what differs. Ends with 0 if everything then agrees."
    requires_system_checks = [Tags.files]  # noqa: RUF012 - as Django has it

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--storage", metavar="ALIAS", help="only this storage of STORAGES; default: all of resto's")
        parser.add_argument("--host", action="append", metavar="HOST", help="only this host; may be repeated")
        parser.add_argument("--prefix", metavar="DIRECTORY", help="only what is below this directory")
        parser.add_argument("--dry-run", action="store_true", help="report, and change nothing")
        parser.add_argument("--delete", action="store_true", help="remove files that only a host has")
        parser.add_argument(
            "--max-delete",
            type=_percentage,
            metavar="PERCENT",
            help="with --delete: remove nothing from a host if it would be more than this share of its files (default: 10)",
        )
        parser.add_argument(
            "--force",
            action="store_true",
            help="with --delete: remove however many, even if the master copy is empty",
        )
        parser.add_argument("--checksum", action="store_true", help="compare contents too, and not only sizes")
        parser.add_argument(
            "--from",
            dest="source",
            metavar="HOST",
            help="without a master copy: where hosts differ and the record does not say who is right, this one is",
        )
        parser.add_argument(
            "--hand-over",
            action="store_true",
            help="record what differs as pending, in place of sending it: any number of drains do that",
        )
        parser.add_argument("--wait", action="store_true", help="with --hand-over: wait until they have")
        parser.add_argument("--json", action="store_true", help="report as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            self._interruptibly(options)
        except ConfigurationError as error:
            raise CommandError(shown(f"{error}.")) from error

    def _interruptibly(self, options: dict[str, Any]) -> None:
        report = (_JsonReport if options["json"] else _TextReport)(self, options["verbosity"])
        with suppress(KeyboardInterrupt):
            try:
                self._handle(options, report)
            except DatabaseError as error:
                raise CommandError(f"The record cannot be reached: {error}") from error
            return
        tidy_up()
        text = f"Interrupted: {report.done}. {report.waiting}Run the command again for the rest."
        raise CommandError(text, returncode=INTERRUPTED)

    def _handle(self, options: dict[str, Any], report: "_Report") -> None:
        aliases = [] if options["storage"] is None else [options["storage"]]
        broken = unusable_entries(aliases)
        chosen = replicated_storages(usable(aliases, broken))
        for one in broken:
            self.stderr.write(shown(one.sentence))
        sync_options = _sync_options(chosen, options)
        prefix, masters = sync_options.prefix, _masters(chosen)
        with quiet(options["verbosity"]), report:
            done = [
                (alias, self._synchronize(alias, storage, sync_options, report)) for alias, storage in chosen.items()
            ]
            results = {alias: result for alias, result in done if result is not None}
            on_hosts = any(result.found_any or not result.agrees for result in results.values())
            is_there = on_hosts or any((master / prefix).is_dir() for master in masters)
            for alias, result in results.items() if prefix and (is_there or options["json"]) else ():
                report.conclude(alias, result)
        require_directory(prefix, masters, on_hosts=on_hosts)
        if not all(result.is_dealt_with for result in results.values()):
            raise CommandError("Not everything agrees.")
        if broken:
            raise CommandError("Not everything was compared.")

    def _synchronize(
        self, alias: str, storage: ReplicatedStorage, options: SyncOptions, report: "_Report"
    ) -> SyncReport | None:
        if options.hosts is not None and options.hosts.isdisjoint(storage.hosts):
            return None
        if not storage.hosts:
            report.conclude(alias, SyncReport([]))
            return None
        with ProgressBar(alias, hidden=report.verbosity < 1) as bar:
            result = traced_sync(alias, storage, options, lambda event: report.add(alias, event, bar), bar.follow)
        if not options.prefix:  # else it may turn out to be one that nobody has
            report.conclude(alias, result)
        return result


def _sync_options(chosen: dict[str, ReplicatedStorage], options: dict[str, Any]) -> SyncOptions:
    for alias, storage in chosen.items():
        # Where checks are skipped.
        for problem in storage.problems():
            raise CommandError(f"STORAGES[{alias!r}]: {problem}.")
    known = {host for storage in chosen.values() for host in storage.hosts}
    hosts = frozenset(options["host"]) if options["host"] else None
    unknown = sorted((hosts or frozenset()) - known)
    if unknown:
        raise CommandError(f"There is no host {', '.join(unknown)}; there are {', '.join(sorted(known)) or 'none'}.")
    if options["source"] is not None:
        _require_source(chosen, options)
    if not options["delete"]:
        for option, is_given in (("--force", options["force"]), ("--max-delete", options["max_delete"] is not None)):
            if is_given:
                raise CommandError(f"{option} goes with --delete only.")
    if options["wait"] and not options["hand_over"]:
        raise CommandError("--wait goes with --hand-over only.")
    if options["hand_over"]:
        _require_drains(chosen, options)
    prefix = directory_of(options["prefix"])
    require_directory(prefix, _masters(chosen), on_hosts=True)
    return SyncOptions(
        hosts=hosts,
        prefix=prefix,
        dry_run=options["dry_run"],
        delete=options["delete"],
        max_delete=MAX_DELETE if options["max_delete"] is None else options["max_delete"],
        force=options["force"],
        checksum=options["checksum"],
        source=options["source"] or "",
        hand_over=options["hand_over"],
        wait=options["wait"],
    )


def _masters(chosen: dict[str, ReplicatedStorage]) -> list[Path]:
    return [Path(storage.location) for storage in chosen.values() if isinstance(storage, HybridStorage)]


def _require_source(chosen: dict[str, ReplicatedStorage], options: dict[str, Any]) -> None:
    """Refuse a host that cannot be the one that is right."""
    source = options["source"]
    if options["host"]:
        raise CommandError("--from compares all hosts; leave out --host.")
    without = [alias for alias, storage in chosen.items() if source not in storage.hosts]
    if without:
        raise CommandError(f"STORAGES[{without[0]!r}] has no host {source}; choose a storage with --storage.")
    for alias, storage in chosen.items():
        if not isinstance(storage, DistributedStorage):
            raise CommandError(f"STORAGES[{alias!r}] has a master copy, which is what is right.")
        if storage.record_alias() is None:
            raise CommandError("--from needs the record, and nothing is recorded here.")
        if source in storage.left_out():
            raise CommandError(f"{source} has lost its files, and is filled from the others.")


def _require_drains(chosen: dict[str, ReplicatedStorage], options: dict[str, Any]) -> None:
    """Refuse to hand over what nobody would do."""
    if options["dry_run"]:
        raise CommandError("--dry-run changes nothing, and hands nothing over.")
    if any(storage.hosts and storage.record_alias() is None for storage in chosen.values()):
        raise CommandError("--hand-over needs the record, and nothing is recorded here.")


def _percentage(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1
    if not 0 <= value <= 100:
        raise ArgumentTypeError(f"{text} is not a percentage")
    return value


class _Report:
    """What is told, and what was done so far."""

    def __init__(self, command: BaseCommand, verbosity: int) -> None:
        self._command = command
        self._done: Counter[str] = Counter()
        self._handed_over: Counter[str] = Counter()
        self.verbosity = verbosity

    def __enter__(self) -> None: ...

    def __exit__(self, error: object, *more: object) -> None: ...

    def add(self, alias: str, event: Difference | Disagreement | Notice, bar: ProgressBar) -> None:
        if isinstance(event, Difference):
            self._done[_state(event)] += 1
            self._handed_over[alias] += event.state == "handed over"

    def conclude(self, alias: str, report: SyncReport) -> None: ...

    @property
    def done(self) -> str:
        """What was done, a sentence fragment."""
        parts = [
            f"{self._done[state]:,} {state}"
            for state in ("sent", "removed", "handed over", "failed")
            if self._done[state]
        ]
        return ", ".join(parts) or "nothing was sent"

    @property
    def waiting(self) -> str:
        """How much of what was handed over drains have not sent yet, a sentence and a space; empty if nothing was handed over."""
        with suppress(DatabaseError):
            left = sum(min(number, count_waiting(alias)) for alias, number in self._handed_over.items())
            if left:
                return f"Of these, {left:,} {'is' if left == 1 else 'are'} pending, and sent by manage.py resto_drain. "
        return ""


class _TextReport(_Report):
    """A line for each difference, and one for each host."""

    def add(self, alias: str, event: Difference | Disagreement | Notice, bar: ProgressBar) -> None:
        super().add(alias, event, bar)
        if self.verbosity > 0:
            with bar.beside():
                self._command.stdout.write(shown(_line(event)))

    def conclude(self, alias: str, report: SyncReport) -> None:
        if not report.hosts:
            self._command.stdout.write(absence_of_hosts(alias))
        for problem in report.problems:
            self._command.stdout.write(shown(f"{alias}: {problem}."))
        for host in report.hosts:
            for problem in host.problems:
                self._command.stdout.write(shown(f"{host.host}: {problem}."))
            self._command.stdout.write(f"{alias}: {host.host}: {_summary(host)}.")
        if report.disagreements:
            self._command.stdout.write(
                f"{alias}: {counted(report.disagreements, 'file')} {'differs' if report.disagreements == 1 else 'differ'} between hosts. "
                "There is no master copy that could tell which host is right; --from HOST does."
            )


class _JsonReport(_Report):
    """One JSON object, written bit by bit: it may be large."""

    def __init__(self, command: BaseCommand, verbosity: int) -> None:
        super().__init__(command, verbosity)
        self._storages: dict[str, Any] = {}
        self._separator = "\n"

    def __enter__(self) -> None:
        self._write('{"differences": [')

    def __exit__(self, error: object, *more: object) -> None:
        if error is None:
            agrees = all(storage["agrees"] for storage in self._storages.values())
            self._write(f'\n], "storages": {json.dumps(self._storages)}, "agrees": {json.dumps(agrees)}}}\n')

    def add(self, alias: str, event: Difference | Disagreement | Notice, bar: ProgressBar) -> None:
        super().add(alias, event, bar)
        fields = {"storage": alias, "type": type(event).__name__.lower(), **dataclasses.asdict(event)}
        self._write(self._separator + json.dumps(fields))
        self._separator = ",\n"

    def conclude(self, alias: str, report: SyncReport) -> None:
        hosts = [dataclasses.asdict(host) | {"agrees": host.agrees} for host in report.hosts]
        self._storages[alias] = dataclasses.asdict(report) | {"hosts": hosts, "agrees": report.agrees}

    def _write(self, text: str) -> None:
        self._command.stdout.write(text, ending="")


_FILL = {
    "filled": "filled, and counts from now on",
    "filling": "left out until it is filled",
    "pending": "left out as long as something is pending for it: run manage.py resto_drain, and then this again",
}


def _line(event: Difference | Disagreement | Notice) -> str:
    name = event.name
    if isinstance(event, Notice):
        return f"{event.host or 'master copy'}: skipped {name}: {event.reason}"
    if isinstance(event, Disagreement):
        sizes = ", ".join(f"{host}: {size_told(size)}" for host, size in event.sizes.items())
        return f"{name}: {'contents differ: ' if event.contents_differ else ''}{sizes}"
    problem = f": {event.problem}" if event.problem else ""
    return f"{event.host}: {event.kind} {name} ({_state(event)}){problem}"


def _state(difference: Difference) -> str:
    if difference.state != "repaired":
        return difference.state
    return "removed" if difference.kind == "extra" else "sent"


def _summary(host: HostReport) -> str:
    found = [(host.missing, "missing"), (host.different, "different"), (host.extra, "extra")]
    parts = [counted(host.compared, "file") + " compared", *(f"{number} {word}" for number, word in found if number)]
    if host.missing + host.different:
        parts.append(f"{host.repaired - host.removed} sent")
    if host.handed_over:
        parts.append(f"{host.handed_over} handed over to drains")
    if host.extra:
        parts.append(f"{host.removed} removed")
    if host.unfinished:
        parts.append(f"{counted(host.unfinished, 'unfinished upload')} found and {host.swept} removed")
    if host.failed:
        parts.append(f"{host.failed} failed")
    if host.fill:
        parts.append(_FILL[host.fill])
    if host.unlisted:
        parts.append(
            f"{host.unlisted} {'directory' if host.unlisted == 1 else 'directories'} not listed by the host, "
            "so that extra files there cannot be seen"
        )
    return ", ".join(parts)
