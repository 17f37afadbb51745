"""The database of the record, in autocommit whatever the caller does, where Django lets it be used."""

import asyncio
import logging
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import AbstractContextManager, contextmanager, suppress
from contextvars import copy_context
from functools import cache, partial, wraps
from typing import Any, ParamSpec, TypeVar

from asgiref.sync import AsyncToSync
from django.apps import apps
from django.core.exceptions import SynchronousOnlyOperation
from django.db import DatabaseError, OperationalError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper

from resto.exceptions import ConfigurationError
from resto.executors.thread import THREAD_NAME, call_in_thread
from resto.record.own import OWN
from resto.settings import get_setting, remembered, settings_have_changed


__all__ = [
    "connected",
    "execute",
    "in_thread_of_transaction",
    "is_active",
    "is_broken",
    "is_in_loop",
    "is_installed",
    "is_part_of_test",
    "is_part_of_transaction",
    "is_under_test",
    "note_start",
    "outside_loops",
    "vendor",
]

P = ParamSpec("P")
T = TypeVar("T")

logger = logging.getLogger("resto")

_MAX_CONFLICTS = 5
_CONFLICTS = ("40P01", "40001")  # deadlock_detected, serialization_failure (PostgreSQL, appendix A)
_MYSQL_DEADLOCK = 1213  # ER_LOCK_DEADLOCK

_FAILED = 3  # PQTRANS_INERROR of libpq

_PATIENCE = 1.0  # seconds until a thread is taken for busy that should wait for this one


class _ForbiddenError(DatabaseError):
    """The record was to be used where a test must not."""


def is_active() -> bool:
    """Return whether changes are recorded here and now.

    ``"resto"`` is in ``INSTALLED_APPS``, the site has a database, no test forbids it, and the transaction that the rows would be part of
    has not failed.
    """
    if not is_installed():
        return False
    alias = get_setting("DATABASE")
    if _prohibition(alias) is not None:
        _say_once(alias)
        return False
    return not is_broken()


def is_installed() -> bool:
    """Return whether changes are recorded: whether ``"resto"`` is in ``INSTALLED_APPS``, and the site has a database."""
    return apps.ready and _has_record()


@remembered
def _has_record() -> bool:
    return apps.is_installed("resto") and vendor() != "unknown"


def vendor() -> str:
    """Return which kind of database the record is in, as Django calls it.

    Raises:
        ConfigurationError: There is no such database.
    """
    return str(connections[_alias()].vendor)


def _alias() -> str:
    alias = get_setting("DATABASE")
    if not isinstance(alias, str) or alias not in connections:
        problem = f"RESTO_DATABASE names the database {alias!r}, which DATABASES does not have"
        raise ConfigurationError(problem, f"It has: {', '.join(connections)}.", "E013")
    return alias


# What the database was called when the site started.
_name_at_start: list[Any] = []


def note_start() -> None:
    """Remember what there was when the site started: what is other than that is a test's."""
    with suppress(Exception):  # `manage.py check` says what is wrong
        _name_at_start[:] = [connections.settings[get_setting("DATABASE")].get("NAME")]


def is_under_test() -> bool:
    """Return whether this is about a test: settings were changed since the site has started, or the database is that of tests.

    What is said there of directories and hosts is not about those of the site.
    """
    return settings_have_changed() or _name_at_start != [connections.settings[get_setting("DATABASE")].get("NAME")]


@cache
def _say_once(alias: str) -> None:
    logger.info("Nothing is recorded: this test must not use the database %r.", alias)


def is_broken() -> bool:
    """Return whether rows would be part of a transaction that takes none any more, as it has failed."""
    if not is_part_of_transaction():
        return False
    caller = _callers()
    if caller.needs_rollback:
        return True
    # Django does not know of an error that the caller has caught without `atomic`.
    info = getattr(caller.connection, "info", None)
    return getattr(info, "transaction_status", None) == _FAILED


def is_part_of_transaction() -> bool:
    """Return whether a rollback of the caller's transaction would take along what is recorded now."""
    caller = _callers()
    return _is_in_transaction(caller) and _must_share(caller)


def is_part_of_test() -> bool:
    """Return whether what is recorded now is part of the transaction of a test, which no other connection sees."""
    return is_under_test() and any(getattr(block, "_from_testcase", False) for block in _callers().atomic_blocks)


def is_in_loop() -> bool:
    """Return whether an event loop runs in this thread, in which Django lets nobody wait for a database."""
    return _running_loop() is not None


def _prohibition(alias: str) -> Exception | None:
    """Return what Django or pytest says to whoever uses a database in a test that must not; None if one may.

    Each replaces `ensure_connection` for a while, so that this one tries it, without opening anything. Threads that a test has not
    made, and connections that are open already, would get by.
    """
    if BaseDatabaseWrapper.ensure_connection.__module__ == BaseDatabaseWrapper.__module__:
        return None
    candidate = connections.create_connection(alias)
    candidate.connect = _nothing  # type: ignore[method-assign]  # of this object only
    try:
        candidate.ensure_connection()
    except SynchronousOnlyOperation:
        return None  # Django's own one, which was reached
    except Exception as error:  # noqa: BLE001 - whatever a test framework raises
        return error
    return None


def _nothing() -> None:
    pass


def outside_loops(function: Callable[P, T]) -> Callable[P, T]:
    """Let a function that uses the record be called within a running event loop, where Django refuses: in a thread, and wait for it.

    Args:
        function: Blocks.
    """

    @wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        if _running_loop() is None:
            return function(*args, **kwargs)
        caller = _served()
        if _is_in_transaction(caller):
            done = _done_by_waiting_thread(partial(function, *args, **kwargs))
            if done is not None:
                return done.result()
        return call_in_thread(partial(_with_connection, caller, function, *args, **kwargs))

    return wrapper


def _running_loop() -> asyncio.AbstractEventLoop | None:
    """Return the event loop that runs in this thread; None if there is none, or Django blocks it."""
    loop = asyncio._get_running_loop()  # noqa: SLF001 - as `get_running_loop`, without an exception where there is none
    return None if loop is None or os.environ.get("DJANGO_ALLOW_ASYNC_UNSAFE") else loop


def in_thread_of_transaction(call: Callable[[], T]) -> T:
    """Return the result of a call that is made where the caller may be in a transaction: here, or where its event loop is waited for."""
    done = None if _running_loop() is None else _done_by_waiting_thread(call)
    return call() if done is None else done.result()


def _done_by_waiting_thread(call: Callable[[], T]) -> "Future[T] | None":
    """Make a call in the thread that waits for this event loop in `async_to_sync`, where Django's models use the database, too.

    So does the client of a test whose view is asynchronous, and the transaction of the test is that of its thread.

    Returns:
        What is done; None if there is no such thread, or it is busy, perhaps with what waits for this loop.
    """
    executor = getattr(AsyncToSync.executors, "current", None)
    if executor is None:
        return None
    try:
        future: Future[T] = executor.submit(copy_context().run, call)
    except RuntimeError:
        return None  # it has ceased to wait
    wait([future], _PATIENCE)
    return None if future.cancel() else future


def _callers() -> BaseDatabaseWrapper:
    """Return Django's connection of this thread, or of that which waits for its event loop, and in its transaction it may be.

    Within an event loop Django would find another one, which nothing can use, and which is in no transaction.
    """
    alias, loop = get_setting("DATABASE"), _running_loop()
    if loop is None:
        return connections[alias]
    done = _done_by_waiting_thread(partial(connections.__getitem__, alias))
    if done is not None:
        return done.result()
    asyncio._set_running_loop(None)  # noqa: SLF001 - as event loops do, and for as long as it takes to look
    try:
        return connections[alias]
    finally:
        asyncio._set_running_loop(loop)  # noqa: SLF001


def _with_connection(caller: BaseDatabaseWrapper, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    if not _is_in_transaction(caller):
        return function(*args, **kwargs)
    # The thread that has it waits for this one.
    caller.inc_thread_sharing()
    connections[caller.alias] = caller
    try:
        return function(*args, **kwargs)
    finally:
        caller.dec_thread_sharing()


@outside_loops
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


def connected() -> AbstractContextManager[BaseDatabaseWrapper]:
    """Let the record's database be used in autocommit: a rollback cannot bring a file back, so rows must stay, too.

    Threads that serve the site use Django's connection, which is theirs anyway. Those that are in a transaction, and threads of an
    executor, use the process's own one in turns.

    Returns:
        A context with the connection, which is meanwhile the one in ``django.db.connections``, too.

    Raises:
        ConfigurationError: The table is missing, or there is no such database.
        DatabaseError: A test must not use the database.
    """
    _alias()
    caller = _served()
    problem = _prohibition(caller.alias)
    if problem is not None:
        raise _ForbiddenError(str(problem)) from problem
    if OWN.is_used_as(caller):
        return _explained(caller)
    OWN.follow(caller)
    if _is_in_transaction(caller):
        return _explained(caller) if _must_share(caller) else _in_turn(caller)
    return _in_turn(caller) if _is_of_executor() else _explained(caller)


# Which database threads of the site have used last.
_last: tuple[str, Any] | None = None


def _served() -> BaseDatabaseWrapper:
    """Return Django's connection of this thread."""
    global _last
    caller = _callers()
    database = (caller.alias, connections.settings[caller.alias]["NAME"])
    if not _is_of_executor():
        _last = database
    elif _last not in (None, database):
        # The test database has gone, or is not there yet, and this is about a job of before.
        raise _ForbiddenError(f"the database is {database} by now, and was {_last} when this began")
    return caller


def _is_of_executor() -> bool:
    return threading.current_thread().name.startswith(THREAD_NAME)


@contextmanager
def _in_turn(caller: BaseDatabaseWrapper) -> Iterator[BaseDatabaseWrapper]:
    try:
        with OWN.turn(caller.alias) as own:
            connections[caller.alias] = own
            try:
                with _explained(own):
                    yield own
            finally:
                connections[caller.alias] = caller
    finally:
        if _is_of_executor() and not _is_in_transaction(caller):
            # No request ends here, after which Django would do so. The site may have used this thread's connection.
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
        raise ConfigurationError("a table of the record is missing; nothing was done", hint, "E012") from error


def _is_table_missing(connection: BaseDatabaseWrapper) -> bool:

    tables = {model._meta.db_table for model in apps.get_app_config("resto").get_models()}  # noqa: SLF001
    try:
        return not tables.issubset(connection.introspection.table_names())
    except DatabaseError:
        return False  # it cannot be reached at all


def _is_in_transaction(caller: BaseDatabaseWrapper) -> bool:
    commits = caller.settings_dict["AUTOCOMMIT"] if caller.connection is None else caller.autocommit
    return caller.in_atomic_block or not commits


def _must_share(caller: BaseDatabaseWrapper) -> bool:
    """Tell whether a second connection would not see the tables, or wait for the caller for ever."""
    is_test_case = any(getattr(block, "_from_testcase", False) for block in caller.atomic_blocks)
    return caller.vendor == "sqlite" or is_test_case
