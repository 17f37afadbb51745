"""Says how the hosts are, for people and for monitoring."""

import json
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from resto.management.choices import require_known
from resto.names import shown
from resto.repair.probe import HostProbe, probe_hosts
from resto.repair.status import HostStatus, Stranger, host_statuses, strangers
from resto.storage.finding import replicated_aliases


__all__ = ["Command"]

FINE, BACKLOG, DOWN = 0, 1, 2

# Seconds after which it is worth asking: a drain that watches the record, and has little to do, is never so late.
LATE = 60


class Command(BaseCommand):
    """``manage.py resto_status``."""

    help = (
        "Say which hosts answer, and what they have missed. Ends with 0 if all is fine, 1 if something is pending, "
        "2 if a host is down or fails the probe."
    )
    requires_system_checks: list[str] = []  # noqa: RUF012 - as Django types it; monitoring asks often

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print a list of objects, one for each host")
        parser.add_argument(
            "--storage", action="append", default=[], help="this alias only; may be given several times"
        )
        parser.add_argument(
            "--probe", action="store_true", help="also write, read, list and delete small files, and say what is wrong"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            require_known(options["storage"])
        except CommandError as error:
            raise CommandError(str(error), returncode=DOWN) from error
        statuses: list[HostStatus] = []
        probes: list[HostProbe] = []
        others: list[str] = []
        broken = False
        for alias in replicated_aliases(options["storage"]):
            try:
                statuses += host_statuses([alias])
                others += [_sentence_of_stranger(alias, stranger) for stranger in strangers(alias)]
                probes += probe_hosts([alias]) if options["probe"] else []
            except DatabaseError as error:
                raise CommandError(f"The record cannot be read: {error}", returncode=DOWN) from error
            except Exception as error:  # noqa: BLE001 - whatever a plugin raises; the hosts of others are asked
                self.stderr.write(shown(f"{alias}: {error}"))
                broken = True
        found = {(probe.storage, probe.host): probe for probe in probes}
        pairs = [(status, found.get((status.storage, status.host))) for status in statuses]
        if options["json"]:
            self.stdout.write(json.dumps([_record(status, probe) for status, probe in pairs]))
        else:
            for status, probe in pairs:
                self.stdout.write("\n  ".join(map(shown, [_sentence(status), *_findings(probe)])))
        for sentence in others:
            # The list for monitoring has hosts of the site only.
            (self.stderr if options["json"] else self.stdout).write(shown(sentence))
        code = DOWN if broken else max(exit_code(statuses, probes), BACKLOG if others else FINE)
        if code:
            sys.exit(code)


def exit_code(statuses: Sequence[HostStatus], probes: Sequence[HostProbe] = ()) -> int:
    """Return what monitoring wants to know.

    Returns:
        0 if all is fine, 1 if something is pending, 2 if a host is down or fails the probe.
    """
    if not all(status.reachable for status in statuses) or any(probe.problem for probe in probes):
        return DOWN
    return BACKLOG if any(status.pending for status in statuses) else FINE


def _record(status: HostStatus, probe: HostProbe | None) -> dict[str, Any]:
    record = status.as_dict()
    return record if probe is None else record | {"probe": {"problem": probe.problem, "remarks": probe.remarks}}


def _findings(probe: HostProbe | None) -> list[str]:
    if probe is None:
        return []
    return [probe.problem or "Files can be written, read, replaced and deleted.", *probe.remarks]


def _sentence(status: HostStatus) -> str:
    reachable = "answers" if status.reachable else f"does not answer: {status.problem}"
    breaker = "" if status.breaker == "closed" else f"; its breaker is {status.breaker}"
    return f"{status.storage}: {status.host} {reachable}{breaker}; {_backlog(status)}."


def _sentence_of_stranger(alias: str, stranger: Stranger) -> str:
    backlog = stranger.backlog
    pending = (
        f"{_count(backlog.count, has_more=backlog.has_more)} pending, the oldest for {_duration(backlog.oldest or 0)}"
    )
    if stranger.spelling is not None:
        return f"{alias}: {stranger.host} is {stranger.spelling} in the settings; {pending}, which a drain sends there."
    return f"{alias}: {stranger.host} is not a host of this storage; {pending}, forgotten after a week."


def _backlog(status: HostStatus) -> str:
    if status.pending is None:
        return "nothing is recorded"
    under_way = f"; {status.under_way} under way" if status.under_way else ""
    if not status.pending or status.oldest is None or status.due is None:
        return f"nothing is pending{under_way}"
    error = f" (last error: {status.error.rstrip('.')})" if status.error else ""
    count = _count(status.pending, has_more=status.has_more)
    return f"{count} pending, the oldest for {_duration(status.oldest)}, {_due(status.due)}{error}{under_way}"


def _count(pending: int, *, has_more: bool) -> str:
    return f"more than {pending:_}".replace("_", " ") if has_more else str(pending)


def _due(seconds: float) -> str:
    if seconds > 0:
        return f"the next is due in {_duration(seconds)}"
    return f"the next has been due for {_duration(-seconds)}" + (": does a drain run?" if seconds < -LATE else "")


def _duration(seconds: float) -> str:
    for unit, length in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return "1 second" if round(seconds) == 1 else f"{seconds:.0f} seconds"
