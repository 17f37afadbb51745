"""Says how the hosts are, for people and for monitoring."""

import json
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from typing import Any

from django.core.exceptions import SuspiciousFileOperation
from django.core.management.base import CommandError
from django.db import DatabaseError

from resto.exceptions import ConfigurationError
from resto.management.choices import require_known, usable
from resto.management.interruption import INTERRUPTED, InterruptibleCommand
from resto.management.quiet import quiet
from resto.names import clean_name, shown
from resto.record import database
from resto.record.chosen import pending_files
from resto.repair.names import FileStatus, file_status
from resto.repair.probe import HostProbe
from resto.repair.status import HostStatus, MasterStatus, Stranger, master_status, storage_status
from resto.repair.traced import traced_probe
from resto.repair.unusable import unusable_entries
from resto.repair.work import Work, work_on
from resto.storage.finding import hosts_of
from resto.words.absence import absences_of_hosts
from resto.words.files import lines_of_file, record_of_file, record_of_pending, sentence_of_pending
from resto.words.hosts import lines_of_identity, sentence_of_host, sentence_of_master, sentence_of_stranger
from resto.words.working import record_of_work, sentences_of_trouble, sentences_of_work


__all__ = ["Command"]

FINE, BACKLOG, DOWN = 0, 1, 2


class Command(InterruptibleCommand):
    """``manage.py resto_status``."""

    help = (
        "Say which hosts answer, and what they have missed. Ends with 0 if all is fine, 1 if something is pending, a host is to be "
        "filled, or the last comparison has failed or was broken off, 2 if a host is down or fails the probe, or if a directory or a "
        "host is not what it should be. With --verbosity 0 only what is not fine is said."
    )
    requires_system_checks: list[str] = []  # noqa: RUF012 - as Django types it; monitoring asks often

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", nargs="?", metavar="NAME", help="tell of this file only: who has it, and who lags")
        parser.add_argument("--json", action="store_true", help="print a list of objects, one for each host or file")
        parser.add_argument(
            "--storage", action="append", default=[], help="this alias only; may be given several times"
        )
        parser.add_argument("--names", action="store_true", help="list the files that are pending")
        parser.add_argument(
            "--host",
            action="append",
            default=[],
            help="this host only, and no other is asked; may be given several times",
        )
        parser.add_argument(
            "--probe", action="store_true", help="also write, read, list and delete small files, and say what is wrong"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with quiet(options["verbosity"]):
                code = self._handle(options)
        except DatabaseError as error:
            raise CommandError(f"The record cannot be read: {error}", returncode=DOWN) from error
        except ConfigurationError as error:
            raise CommandError(str(error), returncode=DOWN) from error
        except CommandError as error:
            error.returncode = DOWN
            raise
        except KeyboardInterrupt:
            raise CommandError("Interrupted.", returncode=INTERRUPTED) from None
        if code:
            sys.exit(code)

    def _handle(self, options: dict[str, Any]) -> int:
        _require_one_question(options)
        broken = unusable_entries(options["storage"])
        aliases = usable(options["storage"], broken)
        for one in broken:
            self.stderr.write(shown(one.sentence))
        for sentence in [] if options["json"] or options["verbosity"] < 1 else absences_of_hosts(aliases):
            self.stdout.write(sentence)
        if options["name"] is not None:
            code = self._tell_of_file(options["name"], aliases, as_json=options["json"])
        elif options["names"]:
            code = self._list_names(aliases, options["host"], as_json=options["json"])
        else:
            require_known(aliases, options["host"])
            code = self._tell_of_hosts(aliases, options)
        return DOWN if broken else code

    def _tell_of_hosts(self, aliases: Sequence[str], options: dict[str, Any]) -> int:
        statuses: list[HostStatus] = []
        masters: dict[str, MasterStatus | None] = {}
        works: dict[str, Work | None] = {}
        probes: list[HostProbe] = []
        others: list[tuple[str, Stranger]] = []
        broken, is_quiet = False, options["verbosity"] < 1  # then only what is wrong is told
        for alias in aliases:
            try:
                masters[alias] = master_status(alias)
                works[alias] = work_on(alias)
                hosts = [host for host in options["host"] if host in hosts_of(alias)]
                if options["host"] and not hosts:
                    continue
                found, strangers = storage_status(alias, hosts)
                statuses += found
                others += [(alias, stranger) for stranger in strangers]
                probes += traced_probe([alias], hosts) if options["probe"] else []
            except DatabaseError:
                raise
            except Exception as error:  # noqa: BLE001 - whatever a plugin raises; the hosts of others are asked
                self.stderr.write(shown(f"{alias}: {error}"))
                broken = True
        probed = {(probe.storage, probe.host): probe for probe in probes}
        pairs = [(status, probed.get((status.storage, status.host))) for status in statuses]
        if options["json"]:
            records = [
                _record(status, probe, masters[status.storage], works[status.storage]) for status, probe in pairs
            ]
            self.stdout.write(json.dumps(records + [_record_of_stranger(*other) for other in others]))
        else:
            for master in masters.values():
                if master is not None and (master.problem or (master.looked is not None and not is_quiet)):
                    self.stdout.write(shown(sentence_of_master(master)))
            for status, probe in pairs:
                if is_quiet and exit_code([status], [probe] if probe is not None else []) == FINE:
                    continue
                lines = [sentence_of_host(status), *lines_of_identity(status), *_findings(probe)]
                self.stdout.write("\n  ".join(map(shown, lines)))
            for other in others:
                self.stdout.write(shown(sentence_of_stranger(*other)))
            for work in works.values():
                if work is not None:
                    is_lagging = any(status.pending for status in statuses if status.storage == work.storage)
                    told = sentences_of_trouble(work) if is_quiet else sentences_of_work(work, is_lagging=is_lagging)
                    for sentence in told:
                        self.stdout.write(shown(f"{work.storage}: {sentence}"))
        broken = broken or any(work is not None and work.died for work in works.values())
        broken = broken or any(master is not None and master.problem for master in masters.values())
        is_in_doubt = any(work is not None and work.is_in_doubt for work in works.values())
        return DOWN if broken else max(exit_code(statuses, probes), BACKLOG if others or is_in_doubt else FINE)

    def _list_names(self, aliases: Sequence[str], hosts: Sequence[str], *, as_json: bool) -> int:
        if not database.is_active():
            raise CommandError('Nothing is recorded: "resto" is not in INSTALLED_APPS.')
        begins, count = "[", 0
        for count, one in enumerate(pending_files(aliases, hosts), start=1):  # noqa: B007 - the last number counts
            if as_json:
                self.stdout.write(begins + json.dumps(record_of_pending(one)), ending="")
                begins = ",\n"
            else:
                self.stdout.write(shown(sentence_of_pending(one)))
        if not count and hosts:
            require_known(aliases, hosts)  # one that has left the settings may have something pending
        if as_json:
            self.stdout.write("]" if count else "[]")
        elif not count:
            self.stdout.write("Nothing is pending.")
        return BACKLOG if count else FINE

    def _tell_of_file(self, name: str, aliases: Sequence[str], *, as_json: bool) -> int:
        try:
            name = clean_name(name)
        except SuspiciousFileOperation as error:
            raise CommandError(shown(f"{error}.")) from error
        statuses: list[FileStatus] = []
        broken = False
        for alias in aliases:
            try:
                statuses.append(file_status(alias, name))
            except DatabaseError:
                raise
            except Exception as error:  # noqa: BLE001 - as in `_tell_of_hosts`
                self.stderr.write(shown(f"{alias}: {error}"))
                broken = True
        if as_json:
            self.stdout.write(json.dumps([record_of_file(status) for status in statuses]))
        else:
            for status in statuses:
                self.stdout.write("\n".join(map(shown, lines_of_file(status))))
        if broken or any(copy.problem for status in statuses for copy in status.copies):
            return DOWN
        return FINE if all(status.agrees for status in statuses) else BACKLOG


def _require_one_question(options: dict[str, Any]) -> None:
    asked = {
        "NAME": options["name"] is not None,
        "--names": options["names"],
        "--probe": options["probe"],
    }
    chosen = [question for question, is_asked in asked.items() if is_asked]
    if len(chosen) > 1:
        raise CommandError(f"{chosen[0]} and {chosen[1]} do not go together.")
    if options["host"] and options["name"] is not None:
        raise CommandError("--host and NAME do not go together.")


def exit_code(statuses: Sequence[HostStatus], probes: Sequence[HostProbe] = ()) -> int:
    """Return what monitoring wants to know.

    Returns:
        0 if all is fine, 1 if something is pending or a host is to be filled, 2 if a host is down, is not what it should be, or
        fails the probe.
    """
    if any(not status.reachable or status.identity_problem for status in statuses) or any(
        one.problem for one in probes
    ):
        return DOWN
    return BACKLOG if any(status.pending or status.left_out for status in statuses) else FINE


def _record(
    status: HostStatus, probe: HostProbe | None, master: MasterStatus | None, work: Work | None
) -> dict[str, Any]:
    record = status.as_dict() | {
        "work": None if work is None else record_of_work(work),
        "in_settings": True,
        "master_copy": None if master is None else _record_of_master(master),
    }
    return record if probe is None else record | {"probe": {"problem": probe.problem, "remarks": probe.remarks}}


def _record_of_master(master: MasterStatus) -> dict[str, Any]:
    return {"location": master.location, "problem": master.problem, "looked": master.looked}


def _record_of_stranger(alias: str, stranger: Stranger) -> dict[str, Any]:
    """Return what is known of a host that nobody asks, with the keys of the others."""
    backlog = stranger.backlog
    return {
        "storage": alias,
        "host": stranger.host,
        "in_settings": False,
        "work": None,
        "master_copy": None,
        "spelling": stranger.spelling,
        "reachable": None,
        "problem": "",
        "breaker": None,
        "pending": backlog.count,
        "has_more": backlog.has_more,
        "under_way": backlog.under_way,
        "oldest": backlog.oldest,
        "due": backlog.due,
        "error": backlog.error,
        "identity_problem": "",
        "identity_remark": "",
        "left_out": False,
        "seconds": None,
        "compared": backlog.compared,
    }


def _findings(probe: HostProbe | None) -> list[str]:
    if probe is None:
        return []
    return [probe.problem or "Files can be written, read, replaced and deleted.", *probe.remarks]
