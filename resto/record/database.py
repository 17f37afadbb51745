"""The database of the record, in autocommit whatever the caller does, and safe to be used by threads of a process that forks."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TypeVar

from django.apps import apps
from django.core.signals import request_finished, request_started
from django.db import DatabaseError, OperationalError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper

from resto.exceptions import ConfigurationError
from resto.executors.thread import THREAD_NAME
from resto.settings import get_setting, remembered


__all__ = ["connected", "execute", "is_active"]

T = TypeVar("T")

_MAX_CONFLICTS = 5
_CONFLICTS = ("40P01", "40001")  # deadlock_detected, serialization_failure (PostgreSQL, appendix A)
_MYSQL_DEADLOCK = 1213  # ER_LOCK_DEADLOCK


def is_active() -> bool:
    """Return whether changes are recorded: whether ``"resto"`` is in ``INSTALLED_APPS``, and the site has a database."""
    return apps.ready and _has_record()


@remembered
def _has_record() -> bool:
    return apps.is_installed("resto") and bool(connections[get_setting("DATABASE")].vendor != "unknown")


def execute(sql: str, parameters: Any, result: Callable[[CursorWrapper], T]) -> T:
    """Execute one statement, and again if the database has undone it, as it met the same rows as another one.

    Args:
        sql: The statement.
        parameters: For its placeholders.
        result: Called with the cursor afterwards.
    """
    for _ in range(_MAX_CONFLICTS):
        with connected() as connection:
            try:
                return _executed(connection, sql, parameters, result)
            except OperationalError as error:
                if connection.in_atomic_block or not _is_conflict(error):
                    raise
    with connected() as connection:
        return _executed(connection, sql, parameters, result)


def _executed(connection: BaseDatabaseWrapper, sql: str, parameters: Any, result: Callable[[CursorWrapper], T]) -> T:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return result(cursor)


def _is_conflict(error: OperationalError) -> bool:
    problem = error.__cause__
    if getattr(problem, "sqlstate", None) in _CONFLICTS:
        return True
    return problem is not None and problem.args[:1] == (_MYSQL_DEADLOCK,)


# Held by threads of an executor while they use the database, and during a fork: a child that is forked while a thread is
# within SQLite inherits its locks for ever. Servers that load the site before they fork do that.
_fork_lock = threading.RLock()

# What threads of an executor use one after the other, as one holds the lock: each with its own, they would be too many.
_shared: BaseDatabaseWrapper | None = None


class _Own(threading.local):
    """What a thread has opened for the record alone, beside the connection in whose transaction the caller is."""

    connection: BaseDatabaseWrapper | None = None


_own = _Own()


def connected() -> AbstractContextManager[BaseDatabaseWrapper]:
    """Let the record's database be used in autocommit: a rollback cannot bring a file back, so rows must stay, too.

    Returns:
        A context with the connection, which is meanwhile the one in ``django.db.connections``, too.

    Raises:
        ConfigurationError: The table is missing.
    """
    caller = connections[get_setting("DATABASE")]
    if _is_in_transaction(caller) and not _must_share(caller):
        return _replaced(caller, _own_connection(caller.alias))
    if threading.current_thread().name.startswith(THREAD_NAME):
        return _guarded(caller)
    return _explained(caller)


@contextmanager
def _replaced(caller: BaseDatabaseWrapper, own: BaseDatabaseWrapper) -> Iterator[BaseDatabaseWrapper]:
    connections[caller.alias] = own
    try:
        with _explained(own):
            yield own
    finally:
        connections[caller.alias] = caller


@contextmanager
def _guarded(caller: BaseDatabaseWrapper) -> Iterator[BaseDatabaseWrapper]:
    with _fork_lock:
        used = caller if _is_in_transaction(caller) else _shared_connection(caller.alias)
        try:
            with _replaced(caller, used):
                yield used
        finally:
            # This thread serves no requests, after which Django would do so. The site may have used the thread's own one.
            used.close_if_unusable_or_obsolete()
            caller.close_if_unusable_or_obsolete()


@contextmanager
def _explained(connection: BaseDatabaseWrapper) -> Iterator[BaseDatabaseWrapper]:
    """Say what to do if the table is missing."""
    try:
        yield connection
    except DatabaseError as error:
        if connection.in_atomic_block or not _is_table_missing(connection):
            raise
        hint = f"Run: manage.py migrate resto --database {connection.alias}"
        raise ConfigurationError("the table of the record is missing; nothing was done", hint, "E012") from error


def _is_table_missing(connection: BaseDatabaseWrapper) -> bool:
    table = apps.get_model("resto", "Pending")._meta.db_table  # noqa: SLF001 - a public API of Django (ref/models/meta)
    try:
        return table not in connection.introspection.table_names()
    except DatabaseError:
        return False  # it cannot be reached at all


def _is_in_transaction(caller: BaseDatabaseWrapper) -> bool:
    commits = caller.settings_dict["AUTOCOMMIT"] if caller.connection is None else caller.autocommit
    return caller.in_atomic_block or not commits


def _must_share(caller: BaseDatabaseWrapper) -> bool:
    """Tell whether a second connection would not see the tables, or wait for the caller for ever."""
    is_test_case = any(getattr(block, "_from_testcase", False) for block in caller.atomic_blocks)
    return caller.vendor == "sqlite" or is_test_case


def _shared_connection(alias: str) -> BaseDatabaseWrapper:
    global _shared
    if _shared is None or _shared.settings_dict is not connections.settings[alias]:  # tests have several databases
        _shared = connections.create_connection(alias)
        _shared.inc_thread_sharing()
    _shared.close_if_unusable_or_obsolete()  # it may have been idle for hours
    return _shared


def _own_connection(alias: str) -> BaseDatabaseWrapper:
    own = _own.connection
    if own is None or own.alias != alias:
        own = _own.connection = connections.create_connection(alias)
    if own.errors_occurred:
        own.close()
    if not own.get_autocommit():  # as the settings may want it
        own.set_autocommit(True)
    return own


def _close_old_own_connection(**kwargs: Any) -> None:
    """Do as Django does with the connections that it knows."""
    if _own.connection is not None:
        _own.connection.close_if_unusable_or_obsolete()


request_started.connect(_close_old_own_connection)
request_finished.connect(_close_old_own_connection)


_of_the_parent: list[BaseDatabaseWrapper] = []


def _begin_anew_in_the_child() -> None:
    global _fork_lock, _shared
    _fork_lock = threading.RLock()
    # Not closed: that would say goodbye in the name of the parent, whose connections they still are.
    _of_the_parent.extend(one for one in (_own.connection, _shared) if one is not None)
    _own.connection = _shared = None


os.register_at_fork(
    before=lambda: _fork_lock.acquire(),
    after_in_parent=lambda: _fork_lock.release(),
    after_in_child=_begin_anew_in_the_child,
)
