"""Says how the hosts are, for people and for monitoring."""

import json
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from resto.exceptions import ConfigurationError
from resto.status import HostStatus, host_statuses


__all__ = ["Command"]

FINE, BACKLOG, DOWN = 0, 1, 2


class Command(BaseCommand):
    """``manage.py resto_status``."""

    help = "Say which hosts answer, and what they have missed. Ends with 0 if all is fine, 1 if something is pending, 2 if a host is down."
    requires_system_checks: list[str] = []  # noqa: RUF012 - as Django types it; monitoring asks often

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print a list of objects, one for each host")
        parser.add_argument(
            "--storage", action="append", default=[], help="this alias only; may be given several times"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            statuses = host_statuses(options["storage"])
        except ConfigurationError as error:
            raise CommandError(str(error)) from error
        if options["json"]:
            self.stdout.write(json.dumps([status.as_dict() for status in statuses]))
        else:
            for status in statuses:
                self.stdout.write(_sentence(status))
        code = exit_code(statuses)
        if code:
            sys.exit(code)


def exit_code(statuses: list[HostStatus]) -> int:
    """Return what monitoring wants to know: 0 if all is fine, 1 if something is pending, 2 if a host is down."""
    if not all(status.reachable for status in statuses):
        return DOWN
    return BACKLOG if any(status.pending for status in statuses) else FINE


def _sentence(status: HostStatus) -> str:
    reachable = "answers" if status.reachable else f"does not answer: {status.problem}"
    return f"{status.storage}: {status.host} {reachable}; {_backlog(status)}."


def _backlog(status: HostStatus) -> str:
    if status.pending is None:
        return "nothing is recorded"
    if not status.pending or status.oldest is None:
        return "nothing is pending"
    error = f" (last error: {status.error.rstrip('.')})" if status.error else ""
    return f"{status.pending} pending, the oldest for {_duration(status.oldest)}{error}"


def _duration(seconds: float) -> str:
    for unit, length in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} seconds"
