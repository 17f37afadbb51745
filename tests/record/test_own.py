"""The connection of the record's own: one, used in turns, closed and checked as Django's are; and through forks."""

import os
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.core.management import call_command
from django.core.signals import request_finished, request_started
from django.db import OperationalError, close_old_connections, connection, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

from kit.brokers import default_database
from kit.record import open_lease
from resto.executors import Job
from resto.executors.thread import MAX_THREADS_PER_HOST, ThreadExecutor
from resto.models import Pending
from resto.record import database as module
from resto.record import opening
from resto.record.closing import close_all
from resto.record.own import OWN, OwnConnection


pytestmark = pytest.mark.django_db

SERVERS = pytest.mark.parametrize("database", ["postgresql", "mariadb"], indirect=True)  # SQLite shares the caller's


@pytest.fixture
def age(monkeypatch):
    """A function that sets ``CONN_MAX_AGE``, and other settings of the database."""

    def set_age(seconds, **more):
        for name, value in {"CONN_MAX_AGE": seconds, **more}.items():
            monkeypatch.setitem(connections.settings["default"], name, value)

    return set_age


def run_in_thread(name, call):
    """Call something in a thread of this name, and return what it has returned."""
    returned = []
    thread = threading.Thread(target=lambda: returned.append(call()), name=name)
    thread.start()
    thread.join()
    return returned[0]


def at_once(count, call):
    """Call something in so many threads, each with a number, and return what was raised."""
    errors = []

    def one(number):
        try:
            call(number)
        except Exception as error:  # noqa: BLE001 - the test shows it
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=one, args=[number]) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return errors


def save_in_transaction(name="a"):
    with transaction.atomic():
        lease = open_lease(name, ("media-1",))
        Pending.objects.count()  # the transaction has begun
    return lease


@SERVERS
@pytest.mark.parametrize(("seconds", "left"), [(0, 0), (3600, 1)])
def test_transactions_have_one_connection_together(sessions, age, seconds, left):
    """Beside those that they have anyway."""
    age(seconds)
    together = threading.Barrier(4)
    counts, seen = [], set()

    def request(number):
        with transaction.atomic():
            Pending.objects.count()
            together.wait(10)
            for name in range(5):
                open_lease(f"{number}/{name}", ("media-1",))
                with module.connected() as own:
                    seen.add(own)
            together.wait(10)
            if number == 0:
                counts.append(sessions.become(4 + left))
            together.wait(10)

    assert at_once(4, request) == []
    assert counts == [True]
    assert seen == {OWN._connection}
    assert Pending.objects.count() == 20


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_transactions_that_hold_a_whole_pool_save_files(sessions, age, media_root, settings, resto_server):
    """If each waited for a second connection out of the pool, all would wait for each other."""
    age(0, OPTIONS={"pool": {"min_size": 4, "max_size": 4, "timeout": 5}})
    settings.STORAGES = {
        "default": {"BACKEND": "resto.storage.HybridStorage", "OPTIONS": {"hosts": [resto_server.url]}}
    }
    storage = storages["default"]
    assert storage.record_alias() == "default"
    together = threading.Barrier(4)

    def request(number):
        with transaction.atomic():
            Pending.objects.count()
            together.wait(10)
            storage.save(f"{number}.txt", ContentFile(b"1"))

    connection.close()
    pooled = connections.create_connection("default")
    try:
        assert at_once(4, request) == []
        assert len(resto_server.files) == 4
        assert sessions.become(4)
    finally:
        pooled.close_pool()


@SERVERS
@pytest.mark.parametrize(("seconds", "left"), [(0, 0), (None, 1), (3600, 1)])
def test_connection_lives_as_long_as_others(sessions, age, seconds, left):
    age(seconds)
    save_in_transaction()
    connection.close_if_unusable_or_obsolete()
    assert sessions.become(2 * left)
    save_in_transaction()
    assert sessions.become(1 + left)


@SERVERS
@pytest.mark.parametrize(
    ("end", "left"),
    [
        (close_old_connections, 1),  # Django's own is young
        (partial(request_started.send, None), 1),
        (partial(request_finished.send, None), 1),
        (connections.close_all, 0),
    ],
    ids=["close_old_connections", "request_started", "request_finished", "close_all"],
)
def test_connection_that_is_too_old_is_closed_with_others(sessions, age, end, left):
    """Workers and commands have no requests, and call what closes old connections."""
    age(3600)
    save_in_transaction()
    assert sessions.become(2)
    OWN._connection.close_at = 0
    end()
    assert sessions.become(left)


@SERVERS
def test_connection_that_is_too_old_is_not_used_again(sessions, age):
    age(3600)
    save_in_transaction()
    before = sessions.ids()
    OWN._connection.close_at = 0
    save_in_transaction()
    assert sessions.become(2)
    assert len(before & sessions.ids()) == 1


@SERVERS
@pytest.mark.parametrize(
    ("seconds", "end", "left"),
    [(0, close_old_connections, 0), (3600, close_old_connections, 1), (3600, connections.close_all, 0)],
)
def test_thread_of_the_site_keeps_its_connection_until_it_closes_it(sessions, age, seconds, end, left):
    """Nobody else knows when it has no more work."""
    age(seconds)
    with ThreadPoolExecutor(1) as pool:
        for name in "ab":
            pool.submit(open_lease, name, ("media-1",)).result()
            assert sessions.become(1)
        pool.submit(end).result()
        assert sessions.become(left)
        pool.submit(connections.close_all).result()


@SERVERS
def test_connection_that_is_about_to_be_closed_can_be_used_once_more(sessions, monkeypatch):
    usable = []
    monkeypatch.setattr(OWN, "before_closing", lambda: usable.append(Pending.objects.count()))
    open_lease("a", ("media-1",))
    connection.close()
    connection.close()
    assert usable == [1]
    open_lease("b", ("media-1",))
    connection.errors_occurred = True  # it may not be usable
    connection.close()
    assert usable == [1]


@SERVERS
@pytest.mark.parametrize("seconds", [0, 3600])
def test_restarted_database_costs_no_file_if_connections_are_checked(sessions, age, seconds):
    age(seconds, CONN_HEALTH_CHECKS=True)
    connection.close()
    connections["default"] = connections.create_connection("default")  # with these settings
    save_in_transaction("before")
    sessions.end_all()
    close_old_connections()
    save_in_transaction("after")
    assert Pending.objects.count() == 2


@SERVERS
def test_restarted_database_costs_no_more_than_one_task(sessions, age):
    """Without checks a task fails, as those of the site do; the next one must not."""
    age(3600)
    save_in_transaction()
    sessions.end_all()
    with pytest.raises(OperationalError):
        Pending.objects.count()
    close_old_connections()
    save_in_transaction("after")
    assert Pending.objects.count() == 2


@SERVERS
def test_error_of_the_connection_closes_it(sessions, age):
    age(3600)
    save_in_transaction()
    mine = OWN._connection.connection
    with transaction.atomic():
        Pending.objects.count()
        other = sessions.ids()
        with module.connected() as own:
            own.errors_occurred = True
            own.is_usable = lambda: False
    assert mine is not None
    assert OWN._connection.connection is None
    assert sessions.become(len(other) - 1)


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
@pytest.mark.usefixtures("database", "transactional_db")
@pytest.mark.parametrize("name", ["of a server", "resto_1"])
def test_test_database_can_be_removed(new_database, name):
    """PostgreSQL removes none that somebody is connected to, whichever thread that was."""

    def record():
        open_lease()
        if not name.startswith("resto"):
            save_in_transaction()
            BaseDatabaseWrapper.close(connections["default"])  # as at the end of the thread
        return True

    with default_database(new_database("postgresql") | {"CONN_MAX_AGE": None}):
        call_command("migrate", "resto", verbosity=0)
        assert run_in_thread(name, record)
        assert OWN._connection.connection is not None
        connection.creation.destroy_test_db(verbosity=0)
        assert OWN._connection.connection is None


@SERVERS
def test_connection_is_to_the_database_that_the_settings_name_by_now(sessions, new_database):
    save_in_transaction()
    with default_database(new_database(connection.vendor.replace("mysql", "mariadb")) | {"CONN_MAX_AGE": None}):
        call_command("migrate", "resto", verbosity=0)
        save_in_transaction("b")
        assert [row.name for row in Pending.objects.all()] == ["b"]
    save_in_transaction("c")
    assert [row.name for row in Pending.objects.order_by("id")] == ["a", "c"]


@SERVERS
def test_connection_is_left_to_whoever_waits_for_it(sessions):
    """It need not be opened once more, if there is much to do."""
    has_it, raw = threading.Event(), []

    def wait_for_it(number):
        with transaction.atomic():
            Pending.objects.count()
            has_it.set()
            with module.connected() as own:
                raw.append(own.connection)

    with transaction.atomic():
        Pending.objects.count()
        with module.connected() as own:
            own.ensure_connection()
            raw.append(own.connection)
            thread = threading.Thread(target=at_once, args=[1, wait_for_it])
            thread.start()
            while OWN._queued < 2:
                has_it.wait(10)
    thread.join()
    assert raw[0] is not None
    assert raw[0] is raw[1]
    assert OWN._connection.connection is None


@SERVERS
def test_nobody_closes_it_while_it_is_used(sessions, age):
    age(3600)

    def close_all():
        with module.connected():
            connections.close_all()
            OWN._connection.close_at = 0
            close_old_connections()
        return True

    with transaction.atomic():
        Pending.objects.count()
        with module.connected() as own:
            own.ensure_connection()
            assert run_in_thread("of a server", close_all)
            assert own.connection is not None
            another = connections.create_connection("default")
            OWN.follow(another)
            another.close()  # such as in a receiver of a signal
            assert own.connection is not None
        assert own.connection is None  # it is too old


@SERVERS
def test_receiver_of_a_new_connection_may_save_a_file(sessions):
    def save(connection, **kwargs):
        connection_created.disconnect(save)
        open_lease("of the receiver", ("media-1",))

    with transaction.atomic():
        Pending.objects.count()
        connection_created.connect(save)
        open_lease("a", ("media-1",))
    assert set(Pending.objects.values_list("name", flat=True)) == {"a", "of the receiver"}


def test_connection_that_must_not_be_checked_is_closed(monkeypatch):
    def fail():
        raise RuntimeError("Database access not allowed")

    own = OwnConnection()
    with own.turn("default") as used:
        used.ensure_connection()
        closed = []
        monkeypatch.setattr(used, "close", lambda: closed.append(used))
        monkeypatch.setattr(used, "get_autocommit", fail)
    assert closed == [used]
    own.close()


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_threads_of_the_executor_have_one_connection_together(sessions, age):
    """Each with its own, and some processes, they are more than a server takes."""
    age(60)
    assert Pending.objects.count() == 0
    together, done = threading.Barrier(MAX_THREADS_PER_HOST), threading.Barrier(MAX_THREADS_PER_HOST + 1)
    outcomes = []

    def record(name):
        together.wait(10)
        for _ in range(5):
            lease = opening.open_lease("default", ("media-1",), name, present=True)
            lease.hand_over()
        done.wait(10)

    names = [str(number) for number in range(MAX_THREADS_PER_HOST)]
    open_lease("first", ("media-1",))
    ThreadExecutor().submit([Job("upload", "media-1", name, partial(record, name), outcomes.append) for name in names])
    done.wait(10)
    assert Pending.objects.count() == 5 * MAX_THREADS_PER_HOST + 1
    assert sessions.become(2)  # one is of this thread
    # And those in transactions use it, too.
    save_in_transaction()
    assert sessions.become(2)


@pytest.mark.usefixtures("database")
def test_connection_of_threads_of_the_executor_is_closed_after_the_turn(tmp_path, transactional_db):
    """As the connection of such a thread is that the site may have used, in an observer."""
    sqlite = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(tmp_path / "db.sqlite3")}

    def opened():
        files = []
        for entry in Path("/proc/self/fd").iterdir():
            with suppress(FileNotFoundError):  # it was that of this loop
                files.append(entry.readlink())
        return files.count(tmp_path / "db.sqlite3")

    def use():
        Pending.objects.count()
        with module.connected() as used:
            assert connections["default"] is used is OWN._connection
            assert Pending.objects.count() == 0
            assert opened() > before
        return opened()

    with default_database(sqlite):
        call_command("migrate", "resto", verbosity=0)
        open_lease().forget()
        before = opened()
        assert run_in_thread("resto_1", use) == before


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
                    found = used is callers, used is OWN._connection
                transaction.set_rollback(True)
                return found
        finally:
            close_all()

    open_lease().forget()
    is_sqlite = connection.vendor == "sqlite"
    assert run_in_thread("resto_1", save) == (is_sqlite, not is_sqlite)
    assert Pending.objects.count() == (0 if is_sqlite else 1)


@SERVERS
def test_forked_child_does_not_use_the_connection_of_its_parent(sessions, age):
    age(3600)
    save_in_transaction()
    parents = OWN._connection
    child = fork(lambda: OWN._connection is None and OWN._of_the_parent == [parents] and save_in_transaction("child"))
    assert child == 0
    assert OWN._connection is parents
    save_in_transaction("parent")
    assert {row.name for row in Pending.objects.all()} == {"a", "child", "parent"}


def fork(call):
    """Call something in a child, and return its status, which is 0 if it has returned what is true."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # newer Pythons warn of any fork of a process with threads
        child = os.fork()
    if child == 0:
        status = 1
        try:
            connections["default"] = connections.create_connection("default")
            status = 0 if call() else 2
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_fork_waits_for_the_end_of_the_turn():
    """A child would inherit the locks that SQLite holds at that moment, and wait for them for ever."""
    inside, done, forked = threading.Event(), threading.Event(), threading.Event()

    def use():
        with module.connected():
            inside.set()
            assert done.wait(10)

    def fork_now():
        fork(lambda: True)
        forked.set()

    user, forker = threading.Thread(target=use, name="resto_1"), threading.Thread(target=fork_now)
    user.start()
    assert inside.wait(10)
    forker.start()
    assert not forked.wait(0.1)
    done.set()
    assert forked.wait(10)
    user.join()
    forker.join()


def test_fork_by_whoever_has_the_turn_does_not_wait():
    def fork_in_turn():
        with module.connected():
            return fork(lambda: True)

    assert run_in_thread("resto_1", fork_in_turn) == 0
