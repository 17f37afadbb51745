"""The rows of the record, as SQL finds and changes them."""

import time

import pytest
from django.core.management import call_command
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from kit.brokers import default_database
from kit.record import REFUSED, open_lease, outcome
from resto.models import Pending
from resto.record import claims, leases, opening, rows


pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("database")]

COMMON = {"storage": "default", "present": True, "quiet_until": 1.5, "due": 2.5, "created": 0.5}
NAME = "100%/%s/'\"\\\N{SNOWMAN}"


def insert(*own):
    rows.insert(COMMON | {"name": NAME}, [{"owner": owner, "host": host} for owner, host in own])


def owners(where=None):
    return [row.owner for row in rows.select(where or {"due > %s": 0})]


def test_rows_are_those_of_the_model():
    insert(("one", "media-1"), ("two", "media-2"))
    Pending.objects.create(**COMMON | {"present": False, "name": "b", "digest": "d", "opened_by": "e", "latest": "f"})
    found = rows.select({"due > %s": 0})
    assert [row._asdict() for row in found] == [*Pending.objects.order_by("id").values(*rows.Row._fields)]
    assert [row.present for row in found] == [True, True, False]
    assert Pending.objects.filter(name=NAME, error="", attempts=0, digest="", quiet_until=1.5, created=0.5).count() == 2


TEXTS, TIMES = st.sampled_from(["a", "A", "a/", "é"]), st.integers(1, 4).map(float)


@given(
    made=st.lists(st.tuples(TEXTS, TEXTS, TIMES), max_size=12),
    storage=TEXTS,
    host=TEXTS,
    since=st.sampled_from([0.0, 2.0]),
    until=st.sampled_from([None, 2.0, 3.0]),
    limit=st.integers(1, 5),
    direction=st.sampled_from(["", rows.LATEST_FIRST]),
)
def test_rows_of_a_host_are_found_as_they_are_due(made, storage, host, since, until, limit, direction):
    """Each kind of database is asked in another way."""
    Pending.objects.all().delete()
    if made:
        each = [{"owner": "one", "storage": storage, "host": host, "due": due} for storage, host, due in made]
        rows.insert({"present": True, "quiet_until": 1.5, "created": 0.5, "name": NAME}, each)
    found = rows.select_of_host(
        storage, host, {"quiet_until < %s": 2}, limit, since=since, until=until, direction=direction
    )
    due = [due for *pair, due in made if pair == [storage, host] and since <= due <= (until or 9.0)]
    assert [row.due for row in found] == sorted(due, reverse=bool(direction))[:limit]
    assert {(row.storage, row.host) for row in found} <= {(storage, host)}


def test_conditions_must_all_hold():
    insert(("one", "media-1"), ("two", "media-2"), ("one", "media-3"))
    assert owners({"owner = %s": "one", "host IN %s": ["media-1", "media-2"]}) == ["one"]
    assert owners({"name = %s": NAME, "host IN %s": []}) == []
    assert len(rows.select({"name = %s": NAME}, limit=2)) == 2


def test_change_tells_how_many_rows_it_was_of():
    insert(("one", "media-1"), ("two", "media-2"), ("one", "media-3"))
    assert rows.update({"owner = %s": "one"}, "attempts = attempts + 1", present=False) == 2
    assert rows.update({"owner = %s": "one"}, "attempts = attempts + 1", present=False) == 2
    assert {(row.owner, row.attempts, row.present) for row in rows.select({"due > %s": 0})} == {
        ("one", 2, False),
        ("two", 0, True),
    }
    assert rows.update({"owner = %s": "one"}, present=False) == 2  # as they are already
    assert rows.delete({"owner = %s": "one"}) == 2
    assert owners() == ["two"]


def test_each_row_is_given_to_an_owner_of_its_own():
    insert(("", "media-1"), ("", "media-2"), ("", "media-3"), ("", "media-4"))
    ids = [row.id for row in rows.select({"due > %s": 0})]
    with CaptureQueriesContext(connection) as queries:
        given = rows.assign(dict(zip(ids, "abc", strict=False)), {"host <> %s": "media-2"}, due=9.0)
    assert given == 2
    assert len(queries) == 1
    assert owners() == ["a", "", "c", ""]
    assert owners({"due = %s": 9.0}) == ["a", "c"]


# Clocks.

YEARS = 10 * 365 * 86_400


def test_a_process_whose_own_clock_is_wrong_takes_nothing_from_others(monkeypatch, caplog):
    """That of the database decides; with SQLite there is one machine."""
    open_lease("a", ["media-1"])
    before = Pending.objects.get().due
    monkeypatch.setattr(leases, "clock", lambda: time.time() - YEARS)
    assert claims.claim(10) == []
    if connection.vendor == "sqlite":
        assert rows.clock() is None
    else:
        assert Pending.objects.get().due == before
        assert "The clock of this machine differs by -3153" in caplog.text


def test_a_clock_that_is_right_is_believed(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(leases, "clock", lambda: time.time() + YEARS)
        open_lease("a", ["media-1"]).settle([outcome("media-1", REFUSED)])
    assert [one.name for one in claims.claim(10)] == ["a"]


# Pairs and keys.


def test_storages_and_hosts_that_there_are_rows_of():
    for storage, host in [("b", "media-2"), ("a", "media-1"), ("a", "media-2"), ("a", "media-1")]:
        open_lease("a", [host], storage)
    assert rows.pairs() == [("a", "media-1"), ("a", "media-2"), ("b", "media-2")]
    assert rows.pairs(["b", "c"]) == [("b", "media-2")]


def test_each_row_has_the_key_of_its_name(monkeypatch):
    monkeypatch.setattr(rows, "_MAX_ROWS", 2)
    opening.open_leases("default", [("media-1", name) for name in "abc"])
    opening.open_change("default", ["media-1"], NAME, present=True)
    keys = {row.name: row.key for row in Pending.objects.all()}
    assert keys == {name: rows.digest_of("default", name) for name in ("a", "b", "c", NAME)}
    Pending.objects.update(key="")
    rows.add_keys()
    assert {row.name: row.key for row in Pending.objects.all()} == keys


@pytest.fixture
def preparing(postgresql, django_db_setup, django_db_blocker):
    """PostgreSQL is the default database, and prepares each statement the first time."""
    options = {"server_side_binding": True, "prepare_threshold": 0}
    with django_db_blocker.unblock(), default_database(postgresql.new_database() | {"OPTIONS": options}):
        call_command("migrate", "resto", verbosity=0)
        yield


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)  # another one is put in its place
@pytest.mark.usefixtures("preparing")
def test_statements_that_every_save_makes_can_be_prepared():
    for owner in "ab":
        insert((owner, "media-1"), (owner, "media-2"))
    ids = [row.id for row in rows.select({"owner IN %s": ["a", "b"]}, limit=3)]
    assert rows.assign(dict.fromkeys(ids, "c"), {"(due <= %s OR digest <> '')": 3.0}, due=5.0) == 3
    assert rows.update({"owner = %s": "c", "present = %s": True}, "attempts = attempts + 1", due=1.0) == 3
    for owner in "bc":
        assert rows.delete({"owner = %s": owner}) == {"b": 1, "c": 3}[owner]
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT statement FROM pg_prepared_statements")
        prepared = [statement.split()[0] for (statement,) in cursor.fetchall() if " resto_pending " in statement]
    assert sorted(prepared) == ["DELETE", "INSERT", "SELECT", "UPDATE", "UPDATE"]
