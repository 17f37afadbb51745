"""``manage.py resto_restore``: bring back to the master copy what hosts have and it has lost."""

import dataclasses
import json
import os
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management import BaseCommand, CommandError
from django.db import DatabaseError

from resto.counts import counted, size_told
from resto.exceptions import ConfigurationError
from resto.management.choices import directory_of, is_yes, require_directory, require_terminal, usable
from resto.management.interruption import INTERRUPTED, InterruptibleCommand
from resto.management.progress import ProgressBar
from resto.names import shown
from resto.repair.restore import Finding, RestoreOptions, RestoreReport
from resto.repair.traced import traced_restore
from resto.repair.unusable import unusable_entries
from resto.storage import HybridStorage
from resto.storage.finding import find_host, replicated_storages
from resto.words.absence import absence_of_hosts


__all__ = ["Command"]


class Command(InterruptibleCommand):
    """Brings files that hosts have to the master copy, which lacks them."""

    help = "Brings back what hosts have and the master copy has lost. Replaces and removes nothing. Ends with 0 if nothing is in doubt."
    requires_system_checks = []  # noqa: RUF012 - as Django has it; one of them says that the directory is not the master copy

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--storage",
            metavar="ALIAS",
            help="this storage of STORAGES; may be left out if there is only one directory",
        )
        parser.add_argument("--prefix", metavar="DIRECTORY", help="only what is below this directory")
        parser.add_argument("--from", dest="source", metavar="HOST", help="the host that decides where hosts disagree")
        parser.add_argument(
            "--any",
            action="store_true",
            help="bring files, too, that some hosts have and others lack; perhaps deleted ones",
        )
        parser.add_argument(
            "--checksum", action="store_true", help="compare the contents that hosts have, and not only sizes"
        )
        parser.add_argument("--dry-run", action="store_true", help="report, and change nothing")
        parser.add_argument("--no-input", action="store_true", help="do not ask")
        parser.add_argument("--json", action="store_true", help="report as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        report = (_JsonReport if options["json"] else _TextReport)(self, options["verbosity"])
        try:
            self._handle(options, report)
        except ConfigurationError as error:
            raise CommandError(shown(f"{error}.")) from error
        except DatabaseError as error:
            raise CommandError(f"The record cannot be reached: {error}") from error
        except BrokenPipeError:
            raise
        except OSError as error:
            raise CommandError(shown(f"The directory cannot be restored: {error}.")) from error
        except KeyboardInterrupt:
            restored = f"{report.restored:,} restored" if report.restored else "nothing was restored"
            text = f"Interrupted: {restored}. Run the command again for the rest."
            raise CommandError(text, returncode=INTERRUPTED) from None

    def _handle(self, options: dict[str, Any], report: "_Report") -> None:
        alias, storage = _chosen(options["storage"])
        if not storage.hosts:
            raise CommandError(absence_of_hosts(alias))
        restore_options = _restore_options(storage, options)
        if not options["dry_run"] and not options["no_input"]:
            self._ask(alias, storage)
        with ProgressBar(alias, moved="restored", hidden=options["verbosity"] < 1) as bar:
            result = traced_restore(
                alias, storage, restore_options, lambda finding: report.add(finding, bar), bar.follow
            )
        on_hosts = bool(result.present or result.counts or not result.is_complete)
        require_directory(restore_options.prefix, [Path(storage.location)], on_hosts=on_hosts)
        report.conclude(alias, result)
        if not result.is_complete:
            raise CommandError("Something is left in doubt.")

    def _ask(self, alias: str, storage: HybridStorage) -> None:
        """Let somebody who sees the directory agree.

        Raises:
            CommandError: Nobody does.
        """
        require_terminal("Nobody can be asked here; run it with --no-input, or try --dry-run first.")
        self.stderr.write(f"Files of STORAGES[{alias!r}] that hosts have are brought to {storage.location}.")
        self.stderr.write("If it is not the master copy yet, it becomes that, and the one that was lost is it no more.")
        self.stderr.write("Go on? [y/N] ", ending="")
        self.stderr.flush()
        if not is_yes(sys.stdin.readline()):
            raise CommandError("Nothing was changed.")


def _chosen(alias: str | None) -> tuple[str, HybridStorage]:
    aliases = [] if alias is None else [alias]
    found = replicated_storages(usable(aliases, unusable_entries(aliases)))
    with_master = {one: storage for one, storage in found.items() if isinstance(storage, HybridStorage)}
    if not with_master:
        what = "resto's storages in STORAGES" if alias is None else f"STORAGES[{alias!r}]"
        raise CommandError(f"Of {what} there is no master copy.")
    # Of several with one directory, the first.
    places = {os.path.realpath(storage.location): one for one, storage in reversed(with_master.items())}
    if len(places) > 1:
        raise CommandError(f"Which one? --storage must be one of {', '.join(with_master)}.")
    (chosen,) = places.values()
    return chosen, with_master[chosen]


def _restore_options(storage: HybridStorage, options: dict[str, Any]) -> RestoreOptions:
    for problem in storage.problems():  # where checks are skipped
        raise CommandError(f"{problem}.")
    source = None if options["source"] is None else find_host(storage, options["source"])
    if options["source"] is not None and source is None:
        raise CommandError(f"There is no host {options['source']}; there are {', '.join(storage.hosts)}.")
    prefix = directory_of(options["prefix"])
    require_directory(prefix, [Path(storage.location)], on_hosts=True)
    return RestoreOptions(
        prefix=prefix,
        dry_run=options["dry_run"],
        source=source,
        from_any=options["any"],
        checksum=options["checksum"],
    )


class _Report:
    """What is told, and how many files were restored so far."""

    def __init__(self, command: BaseCommand, verbosity: int) -> None:
        self._command = command
        self._verbosity = verbosity
        self.restored = 0

    def add(self, finding: Finding, bar: ProgressBar) -> None:
        self.restored += finding.kind == "restored"

    def conclude(self, alias: str, report: RestoreReport) -> None: ...


class _TextReport(_Report):
    """A line for each file of which something is to be said, and one for the storage."""

    def add(self, finding: Finding, bar: ProgressBar) -> None:
        super().add(finding, bar)
        if self._verbosity > (finding.kind == "restored"):
            with bar.beside():
                self._command.stdout.write(shown(_line(finding)))

    def conclude(self, alias: str, report: RestoreReport) -> None:
        for problem in report.problems:
            self._command.stdout.write(shown(f"{alias}: {problem}."))
        for host in report.hosts:
            for problem in host.problems:
                self._command.stdout.write(shown(f"{host.host}: {problem}."))
        self._command.stdout.write(f"{alias}: {_summary(report)}.")
        if report.is_restoring:
            self._command.stdout.write(
                f"{alias} is still being restored: nothing is removed from hosts on its account until this command has come to "
                "its end without doubt."
            )


class _JsonReport(_Report):
    """One JSON object, written bit by bit: it may be large."""

    def __init__(self, command: BaseCommand, verbosity: int) -> None:
        super().__init__(command, verbosity)
        self._separator = '{"files": [\n'

    def add(self, finding: Finding, bar: ProgressBar) -> None:
        super().add(finding, bar)
        self._write(self._separator + json.dumps(dataclasses.asdict(finding)))
        self._separator = ",\n"

    def conclude(self, alias: str, report: RestoreReport) -> None:
        before = self._separator if self._separator.startswith("{") else ""
        fields = {
            "storage": alias,
            "present": report.present,
            "counts": report.counts,
            "bytes": report.size,
            "in_doubt": report.in_doubt,
            "is_restoring": report.is_restoring,
            "problems": report.problems,
            "hosts": {host.host: host.problems for host in report.hosts},
            "complete": report.is_complete,
        }
        self._write(f"{before}\n], {json.dumps(fields)[1:]}\n")

    def _write(self, text: str) -> None:
        self._command.stdout.write(text, ending="")


_WORDS = {
    "restored": "restored",
    "found": "to be restored",
    "different": "on which hosts disagree",
    "partial": "that some hosts lack",
    "lost": "lost",
    "left": "left, as they were changed meanwhile",
    "failed": "failed",
}

_WHY = {
    "different": "hosts disagree; --from HOST decides",
    "partial": "some hosts lack it, as if it had been deleted; --from HOST or --any brings it",
    "lost": "lost: what was saved last is on no host",
}


def _line(finding: Finding) -> str:
    parts = [finding.problem or _WHY.get(finding.kind, "")]
    if finding.kind in ("different", "partial", "lost"):
        parts += [f"{host}: {size_told(size)}" for host, size in finding.sizes.items()]
    elif finding.host:
        parts.append(f"from {finding.host}")
    what = [finding.name] if finding.kind in _WHY else [finding.name, _WORDS[finding.kind].partition(",")[0]]
    return f"{': '.join(what)}: {', '.join(part for part in parts if part)}"


def _summary(report: RestoreReport) -> str:
    found = [f"{report.counts[kind]:,} {words}" for kind, words in _WORDS.items() if report.counts[kind]]
    present = f"{counted(report.present, 'file')} {'was' if report.present == 1 else 'were'} there"
    return ", ".join([present, *(found or ["nothing is missing"])])
