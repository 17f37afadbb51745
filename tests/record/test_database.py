"""The database of the record: in autocommit, where Django lets it be used, from event loops, and beside the site's."""

import asyncio
import logging
import shutil
import threading
import unittest
from types import ModuleType

import pytest
from asgiref.current_thread_executor import CurrentThreadExecutor
from asgiref.sync import AsyncToSync, async_to_sync, sync_to_async
from django.contrib.auth.models import Group
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage, storages
from django.core.management import call_command
from django.db import DatabaseError, IntegrityError, connection, connections, transaction
from django.db.backends.signals import connection_created
from django.http import HttpResponse
from django.test import SimpleTestCase, TestCase, TransactionTestCase, override_settings
from django.urls import path

from kit.brokers import database_as, default_database
from kit.record import open_lease
from resto.models import Host, Pending
from resto.record import backlog, leases, opening
from resto.record import database as module
from resto.record.own import OWN


KINDS = ["Hybrid", "Async", "Distributed"]


@pytest.fixture
def servers(resto_server_factory):
    return [resto_server_factory() for _ in range(2)]


@pytest.fixture(params=KINDS)
def storage(request, settings, servers, media_root):
    """Each storage in turn, over two hosts."""
    options = {"hosts": [server.url for server in servers], "transport": "webdav", "fatal_exceptions": False}
    settings.STORAGES = {"default": {"BACKEND": f"resto.storage.{request.param}Storage", "OPTIONS": options}}
    return storages["default"]


def wait_for_hosts(storage, *names):
    """Wait until all that the storage's executor was given is done: each lane is served in order."""
    for name in names or ["a", "b"]:
        storage._run(lambda host, name: None, storage.hosts, name)


def use(storage, name="a"):
    """Do all that needs the record."""
    name = storage.save(name, ContentFile(b"content"))
    wait_for_hosts(storage)
    with storage.open(name) as file:
        assert file.read() == b"content"
    assert storage.exists(name)
    assert storage.size(name) == 7
    storage.delete(name)
    wait_for_hosts(storage)
    assert not storage.exists(name)


# Statements.


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


@pytest.mark.django_db
def test_transaction_of_a_test_case_is_shared():
    with transaction.atomic():
        opening.open_lease("default", ("media-1",), "a", present=True)
        assert Pending.objects.count() == 1
        transaction.set_rollback(True)
    assert Pending.objects.count() == 0


@pytest.mark.django_db
@pytest.mark.usefixtures("database")
def test_async_storage_in_a_test_case(settings, servers, media_root, django_capture_on_commit_callbacks):
    """The thread of the test is the one that sees its rows."""
    options = {"hosts": [server.url for server in servers], "executor": "inline"}
    settings.STORAGES = {"default": {"BACKEND": "resto.storage.AsyncStorage", "OPTIONS": options}}
    with django_capture_on_commit_callbacks(execute=True):
        storages["default"].save("a", ContentFile(b"content"))
        assert Pending.objects.count() == 2
    assert [set(server.files) for server in servers] == [{"a"}, {"a"}]
    assert Pending.objects.count() == 0


# Tests that must not use the database.


@pytest.fixture
def real(tmp_path, django_db_blocker):
    """The file of a site's database, which is made when it is opened, by those tests of the site that may."""
    file = tmp_path / "real.sqlite3"
    setting = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(file)}
    with django_db_blocker.unblock(), default_database(setting):
        yield file


def run(case_class, call, **attributes):
    """Run a test case of the site, which calls something."""
    attributes["runTest"] = lambda self: call()
    result = unittest.TestResult()
    unittest.TestSuite([type("Case", (case_class,), attributes)()]).run(result)
    assert [text for _, text in result.errors + result.failures] == []


@pytest.mark.parametrize("case_class", [SimpleTestCase, TransactionTestCase, TestCase])
def test_nothing_is_recorded_in_a_test_case_without_the_database(real, storage, case_class):
    """It works as without the application."""
    run(case_class, lambda: use(storage), databases=set())
    assert not real.exists()


def test_nothing_is_recorded_in_a_test_case_without_the_alias_of_the_record(real, storage, settings, tmp_path):
    settings.RESTO_DATABASE = "record"
    file = tmp_path / "record.sqlite3"
    with database_as("record", {"ENGINE": "django.db.backends.sqlite3", "NAME": str(file)}):
        run(TestCase, lambda: use(storage), databases={"default"})
    assert not file.exists()


def test_nothing_is_recorded_in_a_test_without_the_mark(storage):
    opened = []
    receiver = lambda **kwargs: opened.append(kwargs)  # noqa: E731 - receivers are held weakly
    connection_created.connect(receiver)
    use(storage)
    connection_created.disconnect(receiver)
    assert opened == []


def test_that_is_said_once(storage, caplog):
    module._say_once.cache_clear()
    caplog.set_level(logging.INFO, "resto")
    use(storage)
    use(storage)
    records = [(record.levelname, record.getMessage()) for record in caplog.records if record.name == "resto"]
    assert records == [("INFO", "Nothing is recorded: this test must not use the database 'default'.")]


@pytest.mark.parametrize("storage", ["Async"], indirect=True)
def test_what_a_test_has_not_recorded_is_not_recorded_after_it(real, storage, servers):
    """The job runs when the database is not forbidden any more, and is that of the site."""
    answer = threading.Event()
    for server in servers:
        server.on_request = lambda method, path: answer.wait(10)
    run(SimpleTestCase, lambda: storage.save("a", ContentFile(b"content")) and None)
    assert module.is_active()
    answer.set()
    wait_for_hosts(storage)
    assert [dict(server.files) for server in servers] == [{"a": b"content"}] * 2
    assert not real.exists()


@pytest.mark.parametrize("storage", ["Async"], indirect=True)
@pytest.mark.parametrize("after", ["forbidden", "another database"])
def test_job_that_outlives_its_test_opens_no_other_database(
    real, storage, servers, tmp_path, caplog, django_db_blocker, after
):
    """The test database is gone by then, and Django's settings name the site's again."""
    call_command("migrate", "resto", verbosity=0)
    answer, other = threading.Event(), tmp_path / "other.sqlite3"
    for server in servers:
        server.on_request = lambda method, path: answer.wait(10)
    storage.save("a", ContentFile(b"content"))
    assert Pending.objects.count() == 2
    OWN.close()

    def end():
        answer.set()
        wait_for_hosts(storage)

    if after == "forbidden":
        with django_db_blocker.block():
            end()
    else:
        with default_database({"ENGINE": "django.db.backends.sqlite3", "NAME": str(other)}):
            end()
    assert "Failed to record what became of a." in caplog.text
    assert Pending.objects.count() == 2
    assert not other.exists()


# Event loops.


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("database")
def test_storage_can_be_used_in_a_running_event_loop(storage, servers):
    """It blocks, and is recorded."""

    async def view():
        use(storage)
        servers[0].refuse = True
        storage.save("b", ContentFile(b"content"))
        wait_for_hosts(storage)
        return backlog.backlog_of("default"), backlog.rows_below("default", "")

    open_lease().forget()
    found, rows = asyncio.run(view())
    assert {host: one.count for host, one in found.items()} == {servers[0].url: 1}
    assert list(rows) == ["b"]
    assert [row.name for row in Pending.objects.all()] == ["b"]


@pytest.mark.parametrize("database", ["postgresql", "mariadb"], indirect=True)
def test_event_loop_leaves_no_connection(sessions):
    async def view():
        open_lease().forget()

    asyncio.run(view())
    assert sessions.become(0)


@pytest.mark.django_db
@pytest.mark.usefixtures("database")
def test_event_loop_in_a_transaction_of_its_thread_is_part_of_it():
    """As in an async test: else rows would stay when the test has ended, or wait for it for ever."""

    async def view():
        open_lease()

    with transaction.atomic():
        asyncio.run(view())
        assert Pending.objects.count() == 3
        transaction.set_rollback(True)
    assert Pending.objects.count() == 0


@pytest.mark.django_db
@pytest.mark.usefixtures("database")
def test_asynchronous_view_in_a_test_case_is_part_of_its_transaction(storage, servers):
    """The client of the test runs its event loop in another thread, and waits."""

    async def view():
        use(storage)
        servers[0].refuse = True
        storage.save("b", ContentFile(b"content"))
        wait_for_hosts(storage, "b")

    with transaction.atomic():
        open_lease("c").forget()
        async_to_sync(view)()
        waits = storage.waits_for_hosts
        assert {row.name for row in Pending.objects.all()} == ({"b"} if waits else {"a", "b"})
        assert servers[1].has_file("b") is waits  # else after the transaction
        transaction.set_rollback(True)
    assert Pending.objects.count() == 0


@pytest.mark.django_db
@pytest.mark.usefixtures("database", "storage")
def test_client_of_a_test_case_asks_an_asynchronous_view(settings, client):
    settings.ROOT_URLCONF = ModuleType("urls")
    settings.ROOT_URLCONF.urlpatterns = [path("save/", save_and_tell)]
    open_lease("c")  # writes in the transaction of the test
    assert client.get("/save/").content == b"a b"
    assert {row.name for row in Pending.objects.all()} <= {"a", "b", "c"}


async def save_and_tell(request):
    names = [default_storage.save("a", ContentFile(b"plain"))]
    names.append(await sync_to_async(default_storage.save)("b", ContentFile(b"in a thread")))
    return HttpResponse(" ".join(names))


@pytest.mark.django_db
@pytest.mark.parametrize("how", ["busy", "gone"])
def test_thread_that_should_wait_for_an_event_loop_is_not_waited_for_for_ever(monkeypatch, how):
    """It may be busy with what waits for the loop in turn; or have gone on, and left a task behind."""
    monkeypatch.setattr(module, "_PATIENCE", 0.05)
    executor = CurrentThreadExecutor(None)
    executor._broken = how == "gone"

    async def view():
        AsyncToSync.executors.current = executor
        open_lease()

    with transaction.atomic():
        asyncio.run(view())
        assert Pending.objects.count() == 3
        transaction.set_rollback(True)


@pytest.mark.django_db(transaction=True)
def test_thread_is_not_needed_where_django_allows_it_unsafe(monkeypatch):
    """As in a notebook."""

    async def view():
        open_lease()
        connections.close_all()

    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
    monkeypatch.setattr(module, "call_in_thread", lambda call: pytest.fail("a thread"))
    asyncio.run(view())
    assert Pending.objects.count() == 3


# Transactions that have failed.


def fail_and_clean_up(storage, clean_up):
    """Do what a view does whose row meets a constraint."""
    Group.objects.create(name="taken")
    storage.save("a", ContentFile(b"content"))
    wait_for_hosts(storage)
    with transaction.atomic():
        try:
            Group.objects.create(name="taken")
        except IntegrityError:
            clean_up()
            raise


def clean_up_with(storage, server):
    def clean_up():
        server.refuse = True
        storage.delete("a")
        storage.save("b", ContentFile(b"content"))
        wait_for_hosts(storage)

    return clean_up


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.usefixtures("database")
def test_file_is_deleted_in_a_failed_transaction(storage, servers, caplog):
    """What the host misses is logged, and not recorded: SQLite has one writer, which is the caller."""
    with pytest.raises(IntegrityError):
        fail_and_clean_up(storage, clean_up_with(storage, servers[0]))
    assert_cleaned_up(storage, servers, caplog)


@pytest.mark.django_db
@pytest.mark.parametrize("storage", KINDS[:1] + KINDS[2:], indirect=True)
@pytest.mark.usefixtures("database")
def test_file_is_deleted_in_a_failed_transaction_of_a_test_case(storage, servers, caplog):
    with pytest.raises(IntegrityError):
        fail_and_clean_up(storage, clean_up_with(storage, servers[0]))
    assert_cleaned_up(storage, servers, caplog)


@pytest.mark.django_db
@pytest.mark.parametrize("storage", KINDS[1:2], indirect=True)
@pytest.mark.usefixtures("database")
def test_hosts_do_not_wait_for_the_end_of_a_transaction_that_has_failed(storage, servers, media_root):
    """Nothing is recorded by which they would follow after it."""
    with pytest.raises(IntegrityError):
        fail_and_clean_up(storage, clean_up_with(storage, servers[0]))
    assert [path.name for path in media_root.iterdir()] == ["b"]
    assert [set(server.files) for server in servers] == [set(), {"b"}]
    assert {row.name for row in Pending.objects.all()} == {
        "a"
    }  # its save waits for the end of the test case, which never comes


def assert_cleaned_up(storage, servers, caplog):
    text = "What hosts miss of %s is not recorded: that would be part of a transaction that has failed."
    assert [record.args[0] for record in caplog.records if record.msg == text] == ["a", "b"]
    assert "Failed to delete a" in caplog.text
    assert Pending.objects.count() == 0
    assert [set(server.files) for server in servers] == [{"a"}, {"b"}]
    servers[0].refuse = False
    assert storage.exists("b")


@pytest.mark.django_db
@pytest.mark.parametrize("database", ["postgresql"], indirect=True)  # others let one go on
@pytest.mark.usefixtures("database")
def test_transaction_that_has_failed_unknown_to_django(storage):
    storage.save("a", ContentFile(b"content"))
    with connection.cursor() as cursor, pytest.raises(DatabaseError):
        cursor.execute("SELECT nonsense")
    storage.delete("a")
    wait_for_hosts(storage)
    assert not storage.exists("a")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("database", ["postgresql", "mariadb"], indirect=True)
@pytest.mark.usefixtures("database")
def test_failed_transaction_does_not_matter_where_a_second_connection_can_write(storage, servers, caplog):
    with pytest.raises(IntegrityError):
        fail_and_clean_up(storage, clean_up_with(storage, servers[0]))
    assert "not recorded" not in caplog.text
    assert set(Pending.objects.values_list("host", "name")) >= {(servers[0].url, "a"), (servers[0].url, "b")}


# A database of its own.


class Router:
    """The record is in a database of its own, and nothing else is; whoever asks for a model is sent to a replica."""

    def db_for_read(self, model, **hints):
        return "replica" if model._meta.app_label == "resto" else None

    db_for_write = db_for_read

    def allow_migrate(self, db, app_label, **hints):
        return (db == "record") == (app_label == "resto")


@pytest.fixture(scope="module", params=["sqlite", "postgresql", "mariadb"])
def migrated(request, tmp_path_factory, new_database, django_db_blocker):
    """The kind of a database that has the tables of the record, its setting, and that of one that has all others."""
    folder = tmp_path_factory.mktemp("migrated")
    site, record = ({"ENGINE": "django.db.backends.sqlite3", "NAME": str(folder / name)} for name in ("site", "record"))
    if request.param != "sqlite":
        record = new_database(request.param)
    routed = override_settings(DATABASE_ROUTERS=[Router()], RESTO_DATABASE="record")
    with routed, django_db_blocker.unblock(), default_database(site), database_as("record", record):
        call_command("migrate", verbosity=0)
        call_command("migrate", "resto", database="record", verbosity=0)
    return request.param, record, site


@pytest.fixture
def record_of_its_own(migrated, settings, tmp_path, django_db_blocker):
    """The record has a database; Django's default one has no table of it."""
    kind, record, site = migrated
    settings.DATABASE_ROUTERS = [Router()]
    settings.RESTO_DATABASE = "record"
    site = site | {"NAME": shutil.copy(site["NAME"], tmp_path)}
    with django_db_blocker.unblock(), default_database(site), database_as("record", record):
        for model in (Pending, Host):
            model.objects.using("record").all().delete()
        yield kind
        OWN.close()


@pytest.mark.parametrize("storage", KINDS[:1] + KINDS[2:], indirect=True)  # Async waits for the end of the transaction
def test_record_of_its_own_is_outside_of_transactions_of_the_site(record_of_its_own, storage, servers):
    assert "resto_pending" not in connection.introspection.table_names()
    use(storage)
    servers[0].refuse = True
    with transaction.atomic():
        storage.save("b", ContentFile(b"content"))
        transaction.set_rollback(True)
    assert [row.name for row in Pending.objects.using("record")] == ["b"]
    assert set(backlog.backlog_of("default")) == {servers[0].url}


@pytest.mark.parametrize("storage", KINDS, indirect=True)
def test_transaction_of_the_database_of_the_record(record_of_its_own, storage):
    with transaction.atomic(using="record"):
        use(storage)
        open_lease()
        transaction.set_rollback(True, using="record")
    assert Pending.objects.using("record").count() == (0 if record_of_its_own == "sqlite" else 3)


@pytest.mark.parametrize("storage", KINDS, indirect=True)
def test_failed_transaction_of_the_site_does_not_concern_a_record_of_its_own(record_of_its_own, storage, servers):
    with pytest.raises(IntegrityError):
        fail_and_clean_up(storage, clean_up_with(storage, servers[0]))
    names = set(Pending.objects.using("record").values_list("host", "name"))
    assert names >= {(servers[0].url, "a"), (servers[0].url, "b")}


@pytest.mark.parametrize("storage", KINDS, indirect=True)
@pytest.mark.usefixtures("record_of_its_own")
def test_event_loop_with_a_record_of_its_own(storage):
    async def view():
        use(storage)

    asyncio.run(view())
    assert Pending.objects.using("record").count() == 0
