"""The table is changed under a site that goes on, and back."""

from contextlib import contextmanager

import pytest
from django.core.management import call_command
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext

from kit.brokers import default_database
from resto.models import Pending
from resto.record import claims


# What version 0.1 does for each save, as PostgreSQL, MariaDB and SQLite get it.
COLUMNS_OF_0_1 = (
    "storage, host, name, present, owner, quiet_until, due, attempts, error, created, digest, opened_by, latest"
)
ROW_OF_0_1 = ("default", "media-1", "a", True, "old", 1.0, 1.0, 0, "", 1.0, "", "", "")


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def database(request, tmp_path, new_database, django_db_setup, django_db_blocker):
    """A database of each kind with the table of version 0.1, with a row."""
    sqlite = {"ENGINE": "django.db.backends.sqlite3", "NAME": tmp_path / "db.sqlite3"}
    setting = sqlite if request.param == "sqlite" else new_database(request.param)
    with django_db_blocker.unblock(), default_database(setting):
        migrate("0001")
        insert_as_0_1()
        yield request.param


def migrate(target="zero"):
    call_command("migrate", "resto", target, verbosity=0)


def insert_as_0_1():
    with connection.cursor() as cursor:
        places = ", ".join(["%s"] * len(ROW_OF_0_1))
        cursor.execute(f"INSERT INTO resto_pending ({COLUMNS_OF_0_1}) VALUES ({places})", ROW_OF_0_1)


def indexes():
    with connection.cursor() as cursor:
        found = connection.introspection.get_constraints(cursor, "resto_pending")
    return {name: one["columns"] for name, one in found.items() if one["index"] and not one["primary_key"]}


def test_version_0_1_works_on_the_new_table(database):
    migrate("0003")
    insert_as_0_1()
    assert list(Pending.objects.values_list("name", "key")) == [("a", "")] * 2


def test_rows_without_a_key_are_found_by_name(database):
    """A worker leaves to others what they are dealing with."""
    migrate("0003")
    assert claims.adopt_lease("settled", "default", ["media-1"], "a", present=True).hosts == set()


def test_back_and_forth(database):
    before = indexes()
    for _ in range(2):
        migrate("0003")
        assert set(indexes()) - set(before) == {
            "resto_pending_key",
            "resto_pending_host_due",
            "resto_pending_host_age",
        }
        migrate("0001")
        assert indexes() == before
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {COLUMNS_OF_0_1} FROM resto_pending")
        assert list(cursor.fetchall()) == [ROW_OF_0_1]


@contextmanager
def statements():
    with CaptureQueriesContext(connection) as queries:
        found = []
        yield found
    found += [query["sql"] for query in queries if "resto_pending" in query["sql"]]


def test_nobody_waits_for_the_table_to_be_copied(database):
    with statements() as found:
        migrate("0003")
    assert not [sql for sql in found if sql.startswith(("CREATE TABLE", "INSERT"))]
    assert len([sql for sql in found if sql.startswith("ALTER TABLE") and " ADD COLUMN " in sql]) == 1
    if database == "postgresql":
        assert len([sql for sql in found if sql.startswith("CREATE INDEX CONCURRENTLY")]) == 3
        with statements() as found:
            migrate("0001")
        assert len([sql for sql in found if "DROP INDEX CONCURRENTLY" in sql]) == 3


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_index_that_was_not_finished_is_made_again(database):
    migrate("0002")
    with connection.cursor() as cursor:
        cursor.execute("CREATE INDEX resto_pending_key ON resto_pending (name)")
    migrate("0003")
    assert indexes()["resto_pending_key"] == ["name_key"]


@pytest.mark.parametrize("database", ["mariadb"], indirect=True)
def test_keys_are_equal_only_if_they_are_the_same(database):
    migrate("0003")
    with connections["default"].cursor() as cursor:
        cursor.execute("SHOW FULL COLUMNS FROM resto_pending LIKE 'name_key'")
        assert cursor.fetchone()[2] == "utf8mb4_bin"
