"""What a process leaves in the record of what it does: when it began, that it lives, how far it is, and what came of it."""

import json
import logging
import os
import platform
import signal
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

from django.db import DatabaseError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Q

from resto.background import HELPER
from resto.exceptions import ConfigurationError
from resto.life import this_life
from resto.progress import Progress
from resto.record import database
from resto.record.closing import close
from resto.record.database import connected, outside_loops
from resto.record.runs import MOST_TIMES, WATCH, DatabaseClock, RunRow, interval, prune, runs_in
from resto.record.wishes import give_back
from resto.settings import get_setting


if TYPE_CHECKING:
    from django.db.models import QuerySet

    from resto.models import Run

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

    It is begun by `begin`, and ended by `end`, or by leaving the context: an error is a problem. What was asked for and is interrupted,
    as its process ends, waits for another one. Signs of life come from the helper thread of the process, and take along how far it is.
    Without a record, or while it cannot be used, nothing is left: what is done does not depend on it. A process that stays is written
    down as soon as it can be.

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
        self._begun = 0 if asked is None else asked.begun
        self._where = {} if asked is None else {"machine": asked.machine, "process": asked.process, "life": asked.life}
        self._may_wait_again = asked is not None and bool(asked.asked_by) and asked.begun < MOST_TIMES
        self._has_ended = False
        self._progress = Progress(0)
        self._report = report
        self._end_of_signs: Callable[[], None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: object) -> None:
        if self._may_wait_again and isinstance(error, KeyboardInterrupt):
            self._give_back()
        elif self._is_begun:
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
        if self._is_begun or self._kind == WATCH:
            self._end_of_signs = HELPER.every(interval(), self._give_sign)
            self._careful(lambda: prune(self._kind, self._what["storage"]))

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
        self._give_no_more_signs()
        if not self._is_begun:
            return
        first = [problem[:_MAX_PROBLEM] for problem in problems[:_FIRST]]
        values: dict[str, Any] = {"code": code, "problems": json.dumps(first), **self._how_far()}
        if counts is not None:
            values["counts"] = json.dumps(dict(counts))
        if report is not None:
            values["report"] = json.dumps(dict(report))
        self._careful(lambda: self._finish(values))

    def _give_back(self) -> None:
        number = self._number
        self._give_no_more_signs()
        if number is not None:
            self._careful(lambda: give_back(number, self._begun))

    def _give_no_more_signs(self) -> None:
        self._has_ended = True
        if self._end_of_signs is not None:
            self._end_of_signs()

    def renew(self) -> None:
        """Say that there was nothing to do: in the same row as the last time on this machine, so that none is added."""
        if not self._is_begun:
            self._careful(self._renew)

    @staticmethod
    def _careful(call: Callable[[], object]) -> None:
        """Make a call that uses the record; what it is about goes on without."""
        if not database.is_active():
            return
        try:
            call()
        except (DatabaseError, ConfigurationError) as error:
            logger.debug("What is done is not written down: %s", error)

    def _here(self) -> dict[str, Any]:
        return {"machine": platform.node()[:255], "process": os.getpid(), "life": this_life()}

    def _insert(self) -> None:
        self._number = self._create({"started": DatabaseClock(), "seen": DatabaseClock(), **self._said()})

    def _said(self) -> dict[str, Any]:
        return {} if self._report is None else {"report": json.dumps(dict(self._report()))}

    @outside_loops
    def _create(self, values: Mapping[str, Any]) -> int:
        self._where = self._here()
        with connected() as connection:
            row = {"kind": self._kind, "options": self._options, "asked": DatabaseClock(), **self._what, **self._where}
            return int(runs_in(connection).create(**row, **values).pk)

    @outside_loops
    def _finish(self, values: Mapping[str, Any]) -> None:
        with connected() as connection:
            now = DatabaseClock()
            self._mine(connection).update(ended=now, seen=now, **values)

    def _mine(self, connection: BaseDatabaseWrapper) -> "QuerySet[Run]":
        """Return the row, unless it has ended, or somebody else has begun it anew, as this process has stood still.

        Where the tables were made anew, its number may be that of somebody else.
        """
        return runs_in(connection).filter(
            Q(pk=self._number), begun=self._begun, ended__isnull=True, kind=self._kind, **self._where
        )

    @outside_loops
    def _renew(self) -> None:
        now = DatabaseClock()
        ended = {"seen": now, "ended": now, "code": 0}
        same = {"kind": self._kind, "options": self._options, **self._what, "machine": self._here()["machine"]}
        with connected() as connection:
            idle = runs_in(connection).filter(**same, done=0, code=0, counts="{}").order_by("-id")
            number = idle.values_list("pk", flat=True).first()
            if number is not None:
                runs_in(connection).filter(pk=number).update(process=os.getpid(), life=this_life(), **ended)
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
        if not database.is_active():
            return
        alias = get_setting("DATABASE")
        connection = connections.create_connection(alias)
        if connection.vendor == "sqlite":
            options = {**connection.settings_dict["OPTIONS"], "timeout": PATIENCE}
            connection.settings_dict = {**connection.settings_dict, "OPTIONS": options}
        connections[alias] = connection
        try:
            values = {"seen": DatabaseClock(), **self._how_far(), **self._said()}
            if not (self._is_begun and self._mine(connection).update(**values)) and self._kind == WATCH:
                self._appear(connection)
        except (DatabaseError, ConfigurationError) as error:
            logger.debug("A sign of life is missed: %s", error)
        finally:
            close(connection)
            del connections[alias]

    def _appear(self, connection: BaseDatabaseWrapper) -> None:
        """Write down a process that stays where nothing is known of it: the record was away when it began, or was made anew since."""
        self._insert()
        if self._has_ended:  # meanwhile, as its row was looked for
            self._mine(connection).delete()


def _meaning(error: BaseException | None) -> tuple[int, str]:
    """Return the exit code that an error leads to, and what it says."""
    if error is None:
        return 0, ""
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED, "Interrupted."
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else int(error.code is not None), ""
    return getattr(error, "returncode", 1), str(error)
