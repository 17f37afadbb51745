"""What a process leaves in the record of what it does: when it began, that it lives, how far it is, and what came of it."""

import json
import logging
import os
import platform
import signal
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

from django.db import DatabaseError, connections

from resto.background import HELPER
from resto.exceptions import ConfigurationError
from resto.progress import Progress
from resto.record import database
from resto.record.database import connected, outside_loops
from resto.record.runs import DatabaseClock, RunRow, interval, prune, runs_in
from resto.settings import get_setting


__all__ = ["INTERRUPTED", "Trace"]

logger = logging.getLogger("resto")

# The exit code of what was ended by Ctrl-C, as a shell has it.
INTERRUPTED = 128 + signal.SIGINT

# Seconds that a sign of life waits for others who write to a database of SQLite.
PATIENCE = 0.1

# Problems that are kept, and characters of each.
_FIRST, _MAX_PROBLEM = 20, 1_000


class Trace:
    """A run in the record, for whoever does it.

    It is begun by `begin`, and ended by `end`, or by leaving the context: an error is a problem. Signs of life come from
    the helper thread of the process, and take along how far it is. Without a record, or while it cannot be used, nothing is left:
    what is done does not depend on it.

    Args:
        kind: One of `resto.record.runs.KINDS`, or `WATCH`.
        storage: Aliases of the storages; all if there are none.
        hosts: The hosts as they stand in the settings; all if there are none.
        options: What else was asked for.
        asked: A run that was asked for, and that this process has claimed.
        report: Returns how the process is, for each sign of life.
    """

    def __init__(
        self,
        kind: str,
        storage: Sequence[str] = (),
        hosts: Sequence[str] = (),
        options: Mapping[str, Any] | None = None,
        *,
        asked: RunRow | None = None,
        report: Callable[[], Mapping[str, Any]] | None = None,
    ) -> None:
        self._kind = kind
        self._what = {"storage": ",".join(storage), "hosts": json.dumps(list(hosts))}
        self._options = json.dumps(dict(options or {}))
        self._number = None if asked is None else asked.id
        self._has_ended = False
        self._progress = Progress(0)
        self._report = report
        self._end_of_signs: Callable[[], None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: object) -> None:
        if self._is_begun:
            code, problem = _meaning(error)
            self.end(code, problems=[problem] if problem else [])

    @property
    def _is_begun(self) -> bool:
        return self._number is not None

    def begin(self) -> None:
        """Let the record know that this is under way, unless it does."""
        if self._end_of_signs is not None or self._has_ended:
            return
        if self._number is None:
            self._careful(self._insert)
        if self._is_begun:
            self._end_of_signs = HELPER.every(interval(), self._give_sign)

    def note(self, progress: Progress) -> None:
        """Let the next sign of life say how far this is.

        Args:
            progress: From the beginning.
        """
        self._progress = progress

    def end(
        self,
        code: int,
        *,
        counts: Mapping[str, int] | None = None,
        problems: Sequence[str] = (),
        report: Mapping[str, Any] | None = None,
    ) -> None:
        """Say what came of it; what is said first counts.

        Args:
            code: The exit code of the command.
            counts: How many of what.
            problems: Sentences.
            report: What else is to be known.
        """
        if self._has_ended:
            return
        self.begin()
        self._has_ended = True
        if self._end_of_signs is not None:
            self._end_of_signs()
        number = self._number
        if number is None:
            return
        first = [problem[:_MAX_PROBLEM] for problem in problems[:_FIRST]]
        values: dict[str, Any] = {"code": code, "problems": json.dumps(first), **self._how_far()}
        if counts is not None:
            values["counts"] = json.dumps(dict(counts))
        if report is not None:
            values["report"] = json.dumps(dict(report))
        self._careful(lambda: self._finish(number, values))

    def renew(self) -> None:
        """Say that there was nothing to do: in the same row as the last time on this machine, so that none is added."""
        if not self._is_begun:
            self._careful(self._renew)

    @staticmethod
    def _careful(call: Callable[[], None]) -> None:
        """Make a call that uses the record; what it is about goes on without."""
        if not database.is_active():
            return
        try:
            call()
        except (DatabaseError, ConfigurationError) as error:
            logger.debug("What is done is not written down: %s", error)

    def _here(self) -> dict[str, Any]:
        return {"machine": platform.node()[:255], "process": os.getpid()}

    def _insert(self) -> None:
        self._number = self._create({"started": DatabaseClock(), "seen": DatabaseClock(), **self._said()})

    def _said(self) -> dict[str, Any]:
        return {} if self._report is None else {"report": json.dumps(dict(self._report()))}

    @outside_loops
    def _create(self, values: Mapping[str, Any]) -> int:
        with connected() as connection:
            row = {"kind": self._kind, "options": self._options, "asked": DatabaseClock(), **self._what, **self._here()}
            return int(runs_in(connection).create(**row, **values).pk)

    @outside_loops
    def _finish(self, number: int, values: Mapping[str, Any]) -> None:
        with connected() as connection:
            now = DatabaseClock()
            runs_in(connection).filter(pk=number).update(ended=now, seen=now, **values)
        prune(self._kind, self._what["storage"])

    @outside_loops
    def _renew(self) -> None:
        now = DatabaseClock()
        ended = {"seen": now, "ended": now, "code": 0}
        same = {"kind": self._kind, "options": self._options, **self._what, "machine": self._here()["machine"]}
        with connected() as connection:
            idle = runs_in(connection).filter(**same, done=0, code=0, counts="{}").order_by("-id")
            number = idle.values_list("pk", flat=True).first()
            if number is not None:
                runs_in(connection).filter(pk=number).update(process=os.getpid(), **ended)
                return
        self._create({"started": now, **ended})

    def _how_far(self) -> dict[str, Any]:
        progress = self._progress
        return {
            "done": progress.done,
            "total": progress.total,
            "is_total_final": progress.is_final,
            "sent_bytes": progress.sent_bytes,
            "total_bytes": progress.total_bytes,
        }

    def _give_sign(self) -> None:
        """Write down that this goes on, through a connection of the helper thread's own, which is closed again."""
        number = self._number
        if number is None or not database.is_active():
            return
        alias = get_setting("DATABASE")
        connection = connections.create_connection(alias)
        if connection.vendor == "sqlite":
            options = {**connection.settings_dict["OPTIONS"], "timeout": PATIENCE}
            connection.settings_dict = {**connection.settings_dict, "OPTIONS": options}
        connections[alias] = connection
        try:
            living = runs_in(connection).filter(pk=number, ended__isnull=True)
            living.update(seen=DatabaseClock(), **self._how_far(), **self._said())
        except DatabaseError as error:
            logger.debug("A sign of life is missed: %s", error)
        finally:
            connection.close()
            del connections[alias]


def _meaning(error: BaseException | None) -> tuple[int, str]:
    """Return the exit code that an error leads to, and what it says."""
    if error is None:
        return 0, ""
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED, "Interrupted."
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else int(error.code is not None), ""
    return getattr(error, "returncode", 1), str(error)
