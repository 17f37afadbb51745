"""Brings hosts up to date with what they have missed."""

import re
from argparse import ArgumentParser, ArgumentTypeError, BooleanOptionalAction
from contextlib import ExitStack, suppress
from datetime import time
from typing import Any

from django.core.management.base import CommandError
from django.db import DatabaseError

from resto.counts import counted_up_to
from resto.exceptions import ConfigurationError
from resto.management.choices import require_known, usable
from resto.management.drained import Teller, summary
from resto.management.ending import Ending, end_soon
from resto.management.interruption import INTERRUPTED, InterruptibleCommand, tidy_up
from resto.management.progress import ProgressBar
from resto.management.quiet import end_with_failure, quiet
from resto.management.watching import watch
from resto.metrics.access import is_for_nobody
from resto.metrics.serving import parse_address, serving
from resto.names import shown
from resto.record import database
from resto.record.backlog import backlog_of
from resto.record.chosen import make_due
from resto.record.runs import WATCH
from resto.record.traces import Trace
from resto.repair.traced import TracedDrain
from resto.repair.unusable import unusable_storages
from resto.repair.watch import DAY, Attendant, Schedule
from resto.settings import get_setting
from resto.storage.finding import hosts_of, replicated_aliases
from resto.words.absence import absences_of_hosts
from resto.words.durations import due_in, duration, seconds_in


__all__ = ["Command"]

_SEEN_BY_NOBODY = (
    "Nobody can see them: RESTO_SECRETS['metrics'] is empty, or no text. Is it in the environment of this process? "
    "For metrics without a token, leave it out."
)

# Seconds: to compare more often is of no use.
SHORTEST = 60.0


class Command(InterruptibleCommand):
    """``manage.py resto_drain``."""

    help = (
        "Replicate what hosts have missed and what is due by now. Ends with status 1 if something failed and will be "
        "tried again later. Several may run at the same time."
    )
    requires_system_checks: list[str] = []  # noqa: RUF012 - as Django types it; a drain runs often, and must not be slow

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._has_watched = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--watch", action="store_true", help="stay, and go on as names become due; Ctrl-C ends it")
        parser.add_argument(
            "--sync-every",
            type=_duration,
            metavar="24h",
            help="with --watch: compare everything with all hosts, too, as resto_sync does, so long after the last time, be it in another process",
        )
        parser.add_argument(
            "--sync-at", type=_time, metavar="03:00", help="with --watch: begin to compare at this time of the day"
        )
        parser.add_argument("--host", action="append", default=[], help="this host only; may be given several times")
        parser.add_argument(
            "--storage", action="append", default=[], help="this alias only; may be given several times"
        )
        parser.add_argument(
            "--now", action="store_true", help="begin with what is not due yet, but for requests that may still arrive"
        )
        parser.add_argument(
            "--direct",
            action=BooleanOptionalAction,
            help="do what is for the workers of a task queue, without asking the queue; with --no-direct never do it, as where "
            "hosts cannot be reached from here; with neither, only if the queue does not take it, or no worker takes it from "
            "there for two leases",
        )
        parser.add_argument(
            "--metrics",
            type=_address,
            metavar="[HOST:]PORT",
            help="with --watch, serve metrics for Prometheus there; the host is 127.0.0.1 unless another one is given",
        )
        parser.add_argument("--limit", type=_positive, metavar="ROWS", help="deal with so many rows at most")

    def run_from_argv(self, argv: list[str]) -> None:
        try:
            super().run_from_argv(argv)
        finally:
            if self._has_watched:
                end_soon()

    def handle(self, *args: Any, **options: Any) -> None:
        self._teller = Teller(self.stdout, self.stderr)
        try:
            self._handle(options)
        except ConfigurationError as error:
            raise CommandError(str(error)) from error

    def _handle(self, options: dict[str, Any]) -> None:
        if not database.is_installed():
            raise CommandError('Nothing is recorded: "resto" is not in INSTALLED_APPS.')
        schedule = _schedule(options)
        broken = unusable_storages(options["storage"])
        for one in broken:
            if one.alias is None:
                raise CommandError(shown(one.sentence))
        if options["storage"] or options["host"]:
            require_known(usable(options["storage"], broken), options["host"])
        for one in broken:
            self._teller.complain(shown(one.sentence))
        for sentence in absences_of_hosts(options["storage"]):
            self.stdout.write(sentence)
        what = {"storage": options["storage"], "hosts": options["host"], "direct": options["direct"]}
        if options["watch"]:
            self._watch(what, options, schedule)
            return
        if options["metrics"]:
            raise CommandError("--metrics goes with --watch.")
        try:
            with quiet(options["verbosity"]), TracedDrain(what["storage"], what["hosts"]) as drain:
                self._drain(drain, what, options)
        except DatabaseError as error:
            raise CommandError(f"The record cannot be reached: {error}") from error
        drained = drain.total
        self._teller.refusals(drained)
        if options["verbosity"] > 0 and (drained.claimed or not (drained.refused or drained.refused_hosts)):
            self._teller.report(drained, "" if summary(drained) else self._pending(what))
        if drained.refused:
            raise CommandError("A directory is not the master copy. What is pending stays so.")
        if drained.refused_hosts:
            raise CommandError("A host is not the one that it was. What is pending for it stays so.")
        if drained.failed or drained.skipped:
            end_with_failure(
                self,
                "Some hosts are not up to date. They will be tried again when it is time.",
                options["verbosity"],
            )
        if broken:
            end_with_failure(self, "Not every storage can be drained.", options["verbosity"])

    def _drain(self, drain: TracedDrain, what: dict[str, Any], options: dict[str, Any]) -> None:
        with suppress(KeyboardInterrupt):
            if options["now"]:
                self._make_due(what)
            with ProgressBar("Draining", things="names", hidden=options["verbosity"] < 1) as bar:
                drain.drain(limit=options["limit"], direct=options["direct"], watcher=bar.follow)
            return
        tidy_up()
        text = (
            f"Interrupted: {summary(drain.total) or 'nothing was sent'}. The rest stays recorded, and what was under way is "
            f"due in {duration(get_setting('LEASE'))}."
        )
        raise CommandError(text, returncode=INTERRUPTED)

    def _watch(self, what: dict[str, Any], options: dict[str, Any], schedule: Schedule | None) -> None:
        with ExitStack() as stack:
            ending = stack.enter_context(Ending())
            attendant = Attendant(what["storage"], schedule, direct=what["direct"], tell=self._teller.complain)
            stack.enter_context(attendant)
            stack.enter_context(Trace(WATCH, what["storage"], what["hosts"], report=attendant.report)).begin()
            if options["metrics"]:
                self._teller.tell(f"Metrics are at {stack.enter_context(serving(options['metrics']))}.")
                if is_for_nobody():
                    self._teller.complain(_SEEN_BY_NOBODY)
            self._teller.tell("Watching the record.")
            if options["now"]:
                self._make_due(what)
            watch(what["storage"], what["hosts"], attendant, ending, self._teller, direct=what["direct"])
        tidy_up()
        self._has_watched = True
        self._teller.tell("Ended.")

    def _make_due(self, what: dict[str, Any]) -> None:
        try:
            make_due(what["storage"], what["hosts"])
        except DatabaseError as error:
            raise CommandError(f"The record cannot be reached: {error}") from error

    def _pending(self, what: dict[str, Any]) -> str:
        """Return what waits for its time, as a sentence goes on that says that nothing is due; empty if nothing does."""
        try:
            found = [
                one
                for alias in replicated_aliases(what["storage"])
                for host, one in backlog_of(alias).items()
                if host in (what["hosts"] or hosts_of(alias)) and one.due is not None
            ]
        except DatabaseError as error:
            raise CommandError(f"The record cannot be reached: {error}") from error
        if not found:
            return ""
        number = sum(one.count for one in found)
        count = counted_up_to(number, has_more=any(one.has_more for one in found))
        due = min(one.due for one in found if one.due is not None)
        return f"; {count} {'name is' if count == '1' else 'names are'} pending, {due_in(due)}"


def _schedule(options: dict[str, Any]) -> Schedule | None:
    every, at = options["sync_every"], options["sync_at"]
    if every is None and at is None:
        return None
    if not options["watch"]:
        raise CommandError("--sync-every and --sync-at go with --watch.")
    if options["host"]:
        raise CommandError("--sync-every compares all hosts; leave out --host.")
    if at is not None and every is not None and every < DAY:
        raise CommandError("--sync-at goes with a --sync-every of a day or more.")
    return Schedule(every or DAY, at)


def _positive(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise ArgumentTypeError(f"{text!r} is no number of rows")
    return int(text)


def _duration(text: str) -> float:
    seconds = seconds_in(text)
    if seconds is None or seconds < SHORTEST:
        raise ArgumentTypeError(f"{text!r} is no duration of a minute or more, such as 90m, 24h or 7d")
    return seconds


def _time(text: str) -> time:
    if not re.fullmatch(r"\d{1,2}:\d{2}", text, re.ASCII):
        raise ArgumentTypeError(f"{text!r} is no time of the day, such as 03:00")
    hours, minutes = map(int, text.split(":"))
    if hours >= 24 or minutes >= 60:
        raise ArgumentTypeError(f"{text!r} is no time of the day, such as 03:00")
    return time(hours, minutes)


def _address(text: str) -> tuple[str, int]:
    try:
        return parse_address(text)
    except ConfigurationError as error:
        raise ArgumentTypeError(str(error)) from error
