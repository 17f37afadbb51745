"""Brings hosts up to date with what they have missed."""

import math
import signal
import threading
import time
from argparse import ArgumentParser, ArgumentTypeError, BooleanOptionalAction
from contextlib import ExitStack, suppress
from dataclasses import replace
from types import FrameType
from typing import Any

from django.core.management.base import CommandError
from django.db import DatabaseError, InterfaceError, OperationalError, close_old_connections

from resto.counts import counted_up_to
from resto.exceptions import ConfigurationError
from resto.management.choices import require_known
from resto.management.interruption import INTERRUPTED, InterruptibleCommand, tidy_up
from resto.management.progress import ProgressBar
from resto.management.quiet import end_with_failure, quiet
from resto.names import shown
from resto.record import database
from resto.record.backlog import backlog_of
from resto.record.chosen import make_due
from resto.record.runs import WATCH
from resto.record.traces import Trace
from resto.repair.drain import Drained
from resto.repair.traced import TracedDrain
from resto.settings import get_setting
from resto.storage.finding import hosts_of, replicated_aliases
from resto.words.absence import absences_of_hosts
from resto.words.durations import due_in, duration


__all__ = ["Command"]

# Seconds between two looks at the record, which cost one query each.
INTERVAL = 1.0

# Seconds between two reports while a backlog is worked off.
REPORT_INTERVAL = 60.0

# Seconds in which the same refusal is said once.
REFUSAL_INTERVAL = 3_600.0

# Injected by tests.
monotonic = time.monotonic


class Command(InterruptibleCommand):
    """``manage.py resto_drain``."""

    help = (
        "Replicate what hosts have missed and what is due by now. Ends with status 1 if something failed and will be "
        "tried again later. Several may run at the same time."
    )
    requires_system_checks: list[str] = []  # noqa: RUF012 - as Django types it; a drain runs often, and must not be slow

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._told: dict[str, float] = {}

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--watch", action="store_true", help="stay, and go on as names become due; Ctrl-C ends it")
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
        parser.add_argument("--limit", type=_positive, metavar="ROWS", help="deal with so many rows at most")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            self._handle(options)
        except ConfigurationError as error:
            raise CommandError(str(error)) from error

    def _handle(self, options: dict[str, Any]) -> None:
        if not database.is_installed():
            raise CommandError('Nothing is recorded: "resto" is not in INSTALLED_APPS.')
        require_known(options["storage"], options["host"])
        for sentence in absences_of_hosts(options["storage"]):
            self.stdout.write(sentence)
        what = {"storage": options["storage"], "hosts": options["host"], "direct": options["direct"]}
        if options["watch"]:
            self._watch(what, now=options["now"])
            return
        try:
            with quiet(options["verbosity"]), TracedDrain(what["storage"], what["hosts"]) as drain:
                self._drain(drain, what, options)
        except DatabaseError as error:
            raise CommandError(f"The record cannot be reached: {error}") from error
        drained = drain.total
        self._tell_refusals(drained)
        if options["verbosity"] > 0 and (drained.claimed or not (drained.refused or drained.refused_hosts)):
            self._report(drained, "" if _summary(drained) else self._pending(what))
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

    def _drain(self, drain: TracedDrain, what: dict[str, Any], options: dict[str, Any]) -> None:
        with suppress(KeyboardInterrupt):
            if options["now"]:
                self._make_due(what)
            with ProgressBar("Draining", hidden=options["verbosity"] < 1, leave=False) as bar:
                drain.drain(limit=options["limit"], direct=options["direct"], watcher=bar.follow)
            return
        tidy_up()
        text = (
            f"Interrupted: {_summary(drain.total) or 'nothing was sent'}. The rest stays recorded, and what was under way is "
            f"due in {duration(get_setting('LEASE'))}."
        )
        raise CommandError(text, returncode=INTERRUPTED)

    def _watch(self, what: dict[str, Any], *, now: bool) -> None:
        ended = threading.Event()

        def end(number: int, frame: FrameType | None) -> None:
            ended.set()

        with ExitStack() as stack:
            for number in (signal.SIGTERM, signal.SIGINT):
                stack.callback(signal.signal, number, signal.signal(number, end))
            stack.enter_context(Trace(WATCH, what["storage"], what["hosts"])).begin()
            self.stdout.write("Watching the record.")
            self.stdout.flush()
            if now:
                self._make_due(what)
            while not ended.is_set():
                self._work_off(what, ended)
                ended.wait(INTERVAL)
        self.stdout.write("Ended.")

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

    def _work_off(self, what: dict[str, Any], ended: threading.Event) -> None:
        """Drain until nothing is due, and report that, and once in a while before."""
        told, reported = Drained(), monotonic()
        with TracedDrain(what["storage"], what["hosts"], stays=True) as drain:
            while self._drain_some(drain, what) and not ended.is_set():
                if monotonic() - reported > REPORT_INTERVAL:
                    self._report(drain.total.since(told))
                    told, reported = replace(drain.total), monotonic()
        if drain.total.claimed > told.claimed:
            self._report(drain.total.since(told))

    def _drain_some(self, drain: TracedDrain, what: dict[str, Any]) -> bool:
        """Drain what is due; return whether there was anything."""
        try:
            # Few at a time, so that a signal does not have to wait for long.
            went_on = drain.drain(limit=50, direct=what["direct"])
        except (OperationalError, InterfaceError) as error:
            close_old_connections()
            self.stderr.write(f"The record cannot be reached, and is tried again: {error}")
            return False
        self._tell_refusals(drain.total)
        return went_on

    def _tell_refusals(self, drained: Drained) -> None:
        hosts = {f"{host} of STORAGES[{alias!r}]": problem for (alias, host), problem in drained.refused_hosts}
        storages = {f"STORAGES[{alias!r}]": problem for alias, problem in drained.refused}
        for what, problem in {**storages, **hosts}.items():
            if monotonic() - self._told.get(problem, -math.inf) >= REFUSAL_INTERVAL:
                self._told[problem] = monotonic()
                self.stderr.write(shown(f"{what} is not drained: {problem}"))

    def _report(self, drained: Drained, pending: str = "") -> None:
        self.stdout.write(f"{_summary(drained) or f'Nothing is due{pending}'}.")
        self.stdout.flush()


def _summary(drained: Drained) -> str:
    """Return what was done, a sentence fragment; empty if there was nothing to do."""
    parts = [
        f"{count} {text}"
        for count, text in [
            (drained.done - drained.removed, "sent"),
            (drained.removed, "removed"),
            (drained.queued, "handed to the task queue"),
            (drained.failed, "failed"),
            (drained.skipped, "left for later, as a host is down"),
            (drained.left, "left until the master copy is restored"),
            (drained.kept, "kept for a week, as the settings lack a host or storage"),
            (drained.forgotten, "forgotten, as a host or storage is gone"),
            (drained.dropped, "dropped, as no file has such a name"),
        ]
        if count
    ]
    return ", ".join(parts)


def _positive(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise ArgumentTypeError(f"{text!r} is no number of rows")
    return int(text)
