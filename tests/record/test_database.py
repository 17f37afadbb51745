"""The database of the record: in autocommit, and through forks."""

import os
import threading
import warnings
from functools import partial

import pytest
from django.core.signals import request_finished, request_started
from django.db import DatabaseError, connection, connections, transaction

from resto.executors import Job
from resto.executors.thread import MAX_THREADS_PER_HOST, ThreadExecutor
from resto.models import Pending
from resto.record import database as module
from resto.record import leases, opening


pytestmark = pytest.mark.django_db


def wait_until_blocked():
    """Return when a statement waits for another one."""
    query = {
        "postgresql": "SELECT count(*) FROM pg_locks WHERE NOT granted",
        "mysql": "SELECT variable_value FROM information_schema.global_status "
        "WHERE variable_name = 'innodb_row_lock_current_waits'",
    }[connection.vendor]
    with connection.cursor() as cursor:
        for _ in range(10_000):
            cursor.execute(query)
            if int(cursor.fetchone()[0]):
                return
    raise AssertionError("nothing waits")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("database", ["postgresql", "mariadb"], indirect=True)  # SQLite has one writer at a time
@pytest.mark.usefixtures("database")
def test_statement_that_ends_a_deadlock_is_repeated(monkeypatch):
    """Two drains, or a drain and a host that answers again, may meet the same rows in another order."""
    monkeypatch.setattr(leases, "clock", lambda: 1_000_000.0)
    lease = opening.open_lease("default", ("media-1", "media-2", "media-3"), "a", present=True)
    ids = list(Pending.objects.order_by("id").values_list("id", flat=True))
    other, errors = connections.create_connection("default"), []

    def execute(sql, *values):
        with other.cursor() as cursor:
            cursor.execute(sql, values)

    def hand_over():
        try:
            lease.hand_over()
        except DatabaseError as error:
            errors.append(error)
        finally:
            connection.close()

    another_row = (
        "INSERT INTO resto_pending "
        "(storage, host, name, present, owner, quiet_until, due, attempts, error, created, digest, opened_by, latest) "
        "VALUES ('', '', '', true, '', 0, 0, 0, '', 0, '', '', '')"
    )
    try:
        other.set_autocommit(False)
        if connection.vendor == "postgresql":
            execute("SET deadlock_timeout = '1min'")  # the other one, which has a second, finds it first
        for _ in range(20):  # MariaDB ends the transaction that has done less
            execute(another_row)
        execute("UPDATE resto_pending SET due = 1 WHERE id = %s", ids[-1])
        thread = threading.Thread(target=hand_over)
        thread.start()
        wait_until_blocked()
        execute("UPDATE resto_pending SET due = 1 WHERE id = %s", ids[0])
        other.rollback()
        thread.join()
    finally:
        other.close()
    assert errors == []
    assert {row.quiet_until for row in Pending.objects.all()} == {1_000_000.0}


def test_forked_child_does_not_use_the_connections_of_its_parent(monkeypatch):
    own, shared = connections.create_connection("default"), connections.create_connection("default")
    monkeypatch.setattr(module, "_of_the_parent", [])
    monkeypatch.setattr(module._own, "connection", own)
    monkeypatch.setattr(module, "_shared", shared)
    module._begin_anew_in_the_child()
    assert module._own.connection is None
    assert module._shared is None
    assert module._of_the_parent == [own, shared]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
@pytest.mark.usefixtures("database")
def test_threads_of_the_executor_have_one_connection_together(monkeypatch):
    """Each with its own, and some processes, they are more than a server takes."""
    monkeypatch.setitem(connections.settings["default"], "CONN_MAX_AGE", 60)
    together, done = threading.Barrier(MAX_THREADS_PER_HOST), threading.Barrier(MAX_THREADS_PER_HOST + 1)
    outcomes = []

    def record(name):
        together.wait(10)
        for _ in range(5):
            lease = opening.open_lease("default", ("media-1",), name, present=True)
            lease.hand_over()
        done.wait(10)

    names = [str(number) for number in range(MAX_THREADS_PER_HOST)]
    ThreadExecutor().submit([Job("upload", "media-1", name, partial(record, name), outcomes.append) for name in names])
    done.wait(10)
    try:
        assert Pending.objects.count() == 5 * MAX_THREADS_PER_HOST
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")
            assert cursor.fetchone()[0] == 2  # one is of this thread
        opened = module._shared.connection
        assert count_in_a_thread() == 5 * MAX_THREADS_PER_HOST
        assert module._shared.connection is opened
        module._shared.close_at = 0  # as if it was too old
        assert count_in_a_thread() == 5 * MAX_THREADS_PER_HOST
        assert opened.closed
    finally:
        module._shared.close()


def count_in_a_thread():
    def count():
        with module.connected():
            return Pending.objects.count()

    return run_in_thread("resto_1", count)


def run_in_thread(name, call):
    """Call something in a thread of this name, and return what it has returned."""
    returned = []
    thread = threading.Thread(target=lambda: returned.append(call()), name=name)
    thread.start()
    thread.join()
    return returned[0]


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("database")
def test_transaction_in_a_thread_of_the_executor_is_as_any_other():
    """The site may have one there, such as in an observer."""

    def save():
        try:
            with transaction.atomic():
                callers = connections["default"]
                opening.open_lease("default", ("media-1",), "a", present=True)
                with module.connected() as used:
                    found = used is callers, used is module._own.connection
                transaction.set_rollback(True)
                return found
        finally:
            connection.close()
            if module._own.connection is not None:
                module._own.connection.close()

    is_sqlite = connection.vendor == "sqlite"
    assert run_in_thread("resto_1", save) == (is_sqlite, not is_sqlite)
    assert Pending.objects.count() == (0 if is_sqlite else 1)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("database", ["postgresql", "mariadb"], indirect=True)  # SQLite shares the caller's
@pytest.mark.parametrize(("age", "is_kept"), [(0, False), (None, True), (3600, True)])
@pytest.mark.usefixtures("database")
def test_connection_beside_a_transaction_lives_as_long_as_others(age, is_kept, monkeypatch):
    monkeypatch.setattr(module._own, "connection", None)
    monkeypatch.setitem(connections.settings["default"], "CONN_MAX_AGE", age)

    def save():
        with transaction.atomic():
            opening.open_lease("default", ("media-1",), "a", present=True)

    save()
    own = module._own.connection
    try:
        opened = own.connection
        assert opened is not None
        request_finished.send(None)
        request_started.send(None)
        assert (own.connection is opened) is is_kept
        save()
        assert module._own.connection is own
        own.close_at = 0  # as if it was too old
        request_started.send(None)
        assert own.connection is None
    finally:
        own.close()
    assert Pending.objects.count() == 2


def test_fork_waits_for_threads_that_use_the_database():
    """A child would inherit the locks that SQLite holds at that moment, and wait for them for ever."""
    inside, done, forked = threading.Event(), threading.Event(), threading.Event()

    def use():
        with module.connected():
            inside.set()
            assert done.wait(10)

    def fork():
        child = os.fork()
        if child == 0:
            os._exit(0)
        os.waitpid(child, 0)
        forked.set()

    user, forker = threading.Thread(target=use, name="resto_1"), threading.Thread(target=fork)
    user.start()
    assert inside.wait(10)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # newer Pythons warn of any fork of a process with threads
        forker.start()
        assert not forked.wait(0.1)
        done.set()
        assert forked.wait(10)
    user.join()
    forker.join()


def test_threads_that_serve_no_requests_close_connections(monkeypatch):
    closed = []
    monkeypatch.setattr(
        "django.db.backends.base.base.BaseDatabaseWrapper.close_if_unusable_or_obsolete",
        lambda self: closed.append(self),
    )
    monkeypatch.setattr(module, "_shared", None)

    def ask():
        callers = connections["default"]
        with module.connected() as used:
            assert used.connection is None
            assert connections["default"] is used
        assert connections["default"] is callers
        return used, callers

    used, callers = run_in_thread("resto_1", ask)
    assert used is not callers
    assert closed[-2:] == [used, callers]
    closed.clear()
    used, callers = run_in_thread("of a server", ask)
    assert used is callers
    assert closed == []


def test_transaction_of_a_test_case_is_shared():
    with transaction.atomic():
        opening.open_lease("default", ("media-1",), "a", present=True)
        assert Pending.objects.count() == 1
        transaction.set_rollback(True)
    assert Pending.objects.count() == 0
