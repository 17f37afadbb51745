"""The one connection that a process has for the record alone, beside those of Django; threads use it one after the other."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

from django.db import connections
from django.db.backends.base.base import NO_DB_ALIAS, BaseDatabaseWrapper
from django.db.backends.signals import connection_created

from resto.record.closing import close


__all__ = ["OWN", "OwnConnection"]


class OwnConnection:
    """A connection in autocommit that lives as long as Django's would, and that threads use in turns.

    Whoever has the turn waits for the database only, never for another thread, so that all get their turn. A fork waits for the end
    of the turn: a child that is forked while a thread is within SQLite inherits its locks for ever. Servers that load the site
    before they fork do that.

    Attributes:
        before_closing: Called before a connection of Django's is closed that could be used once more.
    """

    def __init__(self) -> None:
        self.before_closing: Callable[[], None] = _nothing
        self._of_the_parent: list[BaseDatabaseWrapper] = []
        self._begin()

    def _begin(self) -> None:
        # Reentrant, as what is called in a turn may be the site's: a receiver of `connection_created` may save a file.
        self._turn = threading.RLock()
        self._counting = threading.Lock()
        self._queued = 0  # turns that are had or waited for
        self._connection: BaseDatabaseWrapper | None = None

    @contextmanager
    def turn(self, alias: str) -> Iterator[BaseDatabaseWrapper]:
        """Wait for one's turn, and have it.

        Args:
            alias: The database, in ``DATABASES``.

        Yields:
            The connection; it is open by the end of the turn only if somebody waits for it, or ``CONN_MAX_AGE`` keeps it.
        """
        with self._counting:
            self._queued += 1
        try:
            with self._turn:
                connection = self._prepared(alias)
                try:
                    yield connection
                finally:
                    self._close_if_old()
        finally:
            with self._counting:
                self._queued -= 1

    def is_used_as(self, connection: BaseDatabaseWrapper) -> bool:
        """Return whether a connection of ``django.db.connections`` is this one, meanwhile."""
        return connection is self._connection

    def _prepared(self, alias: str) -> BaseDatabaseWrapper:
        settings = _own_settings(alias)
        connection = self._connection
        # A test database has settings of its own.
        if connection is None or connection.alias != alias or connection.settings_dict != settings:
            self.close()
            connection = self._connection = connections.create_connection(alias)
            connection.settings_dict = settings
            connection.inc_thread_sharing()
        elif connection.settings_dict["CONN_MAX_AGE"] != 0:  # else it was left open a moment ago, for this turn
            self._close_if_old()
        return connection

    def _close_if_old(self) -> None:
        """Do as Django does with connections between two requests."""
        connection = self._connection
        if connection is None or connection.connection is None:
            return
        is_waited_for = self._queued > 1
        if is_waited_for and connection.settings_dict["CONN_MAX_AGE"] == 0 and not connection.errors_occurred:
            return
        try:
            connection.close_if_unusable_or_obsolete()
        except Exception:  # noqa: BLE001 - such as in a test that may not use it by now
            connection.close()

    def close(self) -> None:
        """Close the connection, after the turn of whoever has it."""
        with self._turn:
            if self._connection is not None:
                close(self._connection)

    def follow(self, caller: BaseDatabaseWrapper) -> None:
        """Let the connection be closed and checked with one of Django's: ``close_old_connections`` knows only those.

        Args:
            caller: A connection of ``django.db.connections``.
        """
        if "close_if_unusable_or_obsolete" not in vars(caller):
            self._add(caller, "close_if_unusable_or_obsolete", self._close_if_old)
            self._add(caller, "close", self.close)

    def _add(self, caller: BaseDatabaseWrapper, name: str, call: Callable[[], None]) -> None:
        method = getattr(caller, name)

        @wraps(method)
        def both() -> None:
            if name == "close" and _is_usable(caller):
                self.before_closing()
            method()
            # Somebody who uses it does the same at the end of the turn.
            if self._turn.acquire(blocking=False):
                try:
                    if not self._queued:
                        call()
                finally:
                    self._turn.release()

        setattr(caller, name, both)

    def before_fork(self) -> None:
        """Wait for the end of the turn."""
        self._turn.acquire()

    def after_fork_in_parent(self) -> None:
        """Let turns go on."""
        self._turn.release()

    def after_fork_in_child(self) -> None:
        """Begin anew."""
        if self._connection is not None:
            # Not closed: that would say goodbye in the name of the parent, whose connection it still is.
            self._of_the_parent.append(self._connection)
        self._begin()


def _nothing() -> None:
    pass


def _is_usable(connection: BaseDatabaseWrapper) -> bool:
    return connection.connection is not None and not (connection.in_atomic_block or connection.errors_occurred)


def _own_settings(alias: str) -> dict[str, Any]:
    """Return what Django's setting says, but never out of a pool: whoever waits for this may hold its last connection."""
    settings = connections.settings[alias]
    options = {name: value for name, value in settings["OPTIONS"].items() if name != "pool"}
    return {**settings, "AUTOCOMMIT": True, "OPTIONS": options}


OWN = OwnConnection()


def _make_way(connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
    """Close the connection before a test database is made of the one that it is to, or removed."""
    if connection.alias == NO_DB_ALIAS:
        OWN.close()


connection_created.connect(_make_way)

os.register_at_fork(
    before=OWN.before_fork, after_in_parent=OWN.after_fork_in_parent, after_in_child=OWN.after_fork_in_child
)
