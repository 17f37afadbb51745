"""What is settled is removed a moment later, wherever nobody can be misled by that."""

import os
import sqlite3
import threading

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.db import DatabaseError, InterfaceError, connection, transaction
from django.test.utils import CaptureQueriesContext
from redis import Redis
from rq import Queue

from kit import forks
from kit.record import HOSTS, REFUSED, open_lease, outcome, pending_for, recorded
from resto.background import Helper
from resto.exceptions import LeaseLostError
from resto.models import Pending
from resto.record import backlog, chosen, claims, lag, opening, rows, settled
from resto.record import database as record_database
from resto.record.leases import Lease
from resto.record.own import OWN
from resto.record.settled import SETTLED


POSTGRESQL = pytest.mark.parametrize("database", ["postgresql"], indirect=True)

pytestmark = pytest.mark.django_db(transaction=True)

PATIENCE = 300  # seconds


@pytest.fixture
def at_work(monkeypatch, database):
    """This is no test, and the helper thread waits for longer than any test takes."""
    monkeypatch.setattr(record_database, "is_under_test", lambda: False)
    monkeypatch.setattr(settled, "LATER", 3600)
    yield
    SETTLED.stop()


def settle(lease, *failed):
    lease.settle([outcome(host) for host in HOSTS if host not in failed])


def statements(call):
    with CaptureQueriesContext(connection) as queries:
        call()
    return [query["sql"].split()[0] for query in queries]


# Later.


@POSTGRESQL
@pytest.mark.parametrize("kind", ["Hybrid", "Async"])
@pytest.mark.usefixtures("at_work")
def test_a_change_waits_for_one_statement(kind, resto_server, media_root, settings):
    options = {"hosts": [resto_server.url], "executor": "inline", "allow_overwrite": True}
    settings.STORAGES = {"default": {"BACKEND": f"resto.storage.{kind}Storage", "OPTIONS": options}}
    storage = storages["default"]
    changes = [
        lambda: storage.save("a", ContentFile(b"content")),
        lambda: storage.open("a", "ab").close(),
        lambda: storage.delete("a"),
    ]
    for change in changes:  # the first ones make the master copy and the host known
        change()
    SETTLED.remove()
    for change in changes:
        assert statements(change) == ["INSERT"]
    assert len(pending_for()) == 3
    SETTLED.remove()
    assert pending_for() == []


@POSTGRESQL
@pytest.mark.usefixtures("at_work")
def test_helper_removes_what_is_settled_a_moment_later(monkeypatch):
    removed, delete = threading.Event(), rows.delete
    monkeypatch.setattr(settled, "LATER", 0.01)
    monkeypatch.setattr(rows, "delete", lambda where: (delete(where), removed.set()))
    SETTLED.stop()
    settle(open_lease())
    assert removed.wait(PATIENCE)
    assert recorded() == {}


@POSTGRESQL
@pytest.mark.usefixtures("at_work")
def test_whoever_settles_as_many_as_one_statement_takes_removes_them(monkeypatch):
    monkeypatch.setattr(settled, "MOST", 3)
    opened = [open_lease(name) for name in "abc"]
    assert statements(lambda: settle(opened[0])) == []
    assert statements(lambda: settle(opened[1])) == []
    assert statements(lambda: settle(opened[2])) == ["DELETE"]
    assert recorded() == {}


@POSTGRESQL
@pytest.mark.usefixtures("at_work")
def test_whoever_finds_the_helper_held_up_removes_them(monkeypatch):
    opened = [open_lease(name) for name in "ab"]
    assert statements(lambda: settle(opened[0])) == []
    monkeypatch.setattr(settled, "_OVERDUE", 0)
    assert statements(lambda: settle(opened[1])) == ["DELETE"]


@POSTGRESQL
@pytest.mark.usefixtures("at_work")
def test_transactions_remove_nothing_themselves():
    with transaction.atomic():
        settle(open_lease())
        assert len(recorded()) == 3
    assert len(recorded()) == 3
    SETTLED.remove()
    assert recorded() == {}


@POSTGRESQL
@pytest.mark.usefixtures("at_work")
def test_whoever_reads_sees_nothing_of_it():
    asked = [
        lambda: backlog.backlog_of("default"),
        lambda: lag.lag_of("default", HOSTS).names,
        lambda: chosen.rows_of_file("default", "a"),
        lambda: chosen.names_by_storage("media-1"),
        lambda: list(chosen.pending_files(["default"])),
    ]
    for ask in asked:
        settle(open_lease())
        assert not ask()


@POSTGRESQL
@pytest.mark.parametrize("close", ["close", "close_if_unusable_or_obsolete"])
@pytest.mark.usefixtures("at_work")
def test_connection_that_is_about_to_be_closed_is_used_once_more(close, sessions, monkeypatch):
    """As at the end of a request: no other one is opened for that."""
    settle(open_lease())
    assert sessions.become(1)
    monkeypatch.setattr(OWN, "turn", None)  # it would open the other one
    getattr(connection, close)()
    monkeypatch.undo()
    assert connection.connection is None
    assert recorded() == {}


@POSTGRESQL
@pytest.mark.parametrize("error", [DatabaseError, InterfaceError])
@pytest.mark.usefixtures("at_work")
def test_what_cannot_be_removed_is_logged_and_left(error, monkeypatch, caplog):
    def fail(where):
        raise error("gone")

    settle(open_lease())
    with monkeypatch.context() as patch:
        patch.setattr(rows, "delete", fail)
        SETTLED.remove()
    assert "Failed to record that hosts have followed" in caplog.text
    assert len(recorded()) == 3
    assert statements(SETTLED.remove) == []


@POSTGRESQL
@pytest.mark.usefixtures("at_work")
def test_whoever_reads_waits_for_a_removal_but_not_for_ever(monkeypatch):
    removing, may_end, delete = threading.Event(), threading.Event(), rows.delete

    def delete_slowly(where):
        removing.set()
        may_end.wait(PATIENCE)
        delete(where)

    settle(open_lease())
    with monkeypatch.context() as patch:
        patch.setattr(rows, "delete", delete_slowly)
        thread = threading.Thread(target=SETTLED.remove, name="resto-test")
        thread.start()
        assert removing.wait(PATIENCE)
        SETTLED.remove(0.01)
        assert len(recorded()) == 3
        may_end.set()
        SETTLED.remove(PATIENCE)
    assert recorded() == {}
    thread.join()


@POSTGRESQL
@pytest.mark.usefixtures("at_work")
def test_helper_ends_after_it_has_looked_in_vain_for_long(monkeypatch):
    monkeypatch.setattr(settled, "_IN_VAIN", 2)
    settle(open_lease())
    for _ in range(3):
        SETTLED._look()
        assert SETTLED._end is not None
    SETTLED._look()
    assert SETTLED._end is None
    settle(open_lease())
    assert SETTLED._end is not None


# The rules.


@POSTGRESQL
@pytest.mark.usefixtures("at_work")
def test_what_has_failed_is_recorded_at_once_and_stays():
    lease = open_lease()
    settle(lease, "media-1")
    assert statements(lambda: lease.settle([outcome("media-1", REFUSED)])) == ["UPDATE"]
    assert recorded()["media-1"].error == "refused"
    SETTLED.remove()
    assert set(recorded()) == {"media-1"}


@POSTGRESQL
@pytest.mark.usefixtures("at_work")
def test_others_do_not_look_as_if_they_were_behind_a_host_that_has_failed():
    """Else a visitor of another process may be led to that host, as it seems to be no worse."""
    open_lease().settle([outcome("media-1", REFUSED), outcome("media-2"), outcome("media-3")])
    assert set(recorded()) == {"media-1"}


@POSTGRESQL
@pytest.mark.usefixtures("at_work")
def test_row_that_somebody_else_has_by_now_stays():
    settle(open_lease())
    Pending.objects.filter(host="media-1").update(owner="a drain")
    SETTLED.remove()
    assert set(recorded()) == {"media-1"}


@POSTGRESQL
@pytest.mark.usefixtures("at_work", "clock")
def test_lease_is_renewed_for_hosts_that_are_not_settled_and_for_no_others(clock):
    lease = open_lease()
    lease.settle([outcome("media-1")])
    clock[0] += 200
    lease.keep()
    assert {host: row.quiet_until - clock[0] for host, row in recorded().items()} == {
        "media-1": 100,
        "media-2": 300,
        "media-3": 300,
    }
    Pending.objects.filter(host="media-2").update(owner="a drain")
    clock[0] += 200
    with pytest.raises(LeaseLostError):
        lease.keep()


@POSTGRESQL
@pytest.mark.usefixtures("at_work")
def test_rows_that_must_rest_are_written_at_once(clock):
    lease = Lease("0" * 32, HOSTS, 1, clock[0] + 60)
    lease.settles_later = True
    opening.insert_rows(lease, "default", HOSTS, "a", present=True)
    assert statements(lambda: settle(lease)) == ["UPDATE"]
    SETTLED.remove()
    assert {row.due for row in recorded().values()} == {clock[0] + 60}


@POSTGRESQL
@pytest.mark.usefixtures("at_work")
def test_change_without_a_master_copy_is_settled_at_once():
    """Others read from its rows which hosts have not followed."""
    lease = opening.open_change("default", HOSTS, "a", present=True)
    assert "DELETE" in statements(lambda: settle(lease))
    assert recorded() == {}


@POSTGRESQL
@pytest.mark.usefixtures("at_work")
def test_what_a_drain_or_a_worker_settles_is_removed_at_once():
    open_lease().release(-1)
    for piece in claims.claim(10):
        piece.lease.settle([outcome(piece.host)])
    assert recorded() == {}
    token = open_lease().token
    settle(claims.adopt_lease(token, "default", HOSTS, "a", present=True))
    assert recorded() == {}


# At once.


@POSTGRESQL
@pytest.mark.usefixtures("database")
def test_in_a_test_nothing_is_left_over():
    assert statements(lambda: settle(open_lease())) == ["INSERT", "DELETE"]
    assert recorded() == {}


@POSTGRESQL
@pytest.mark.django_db
@pytest.mark.usefixtures("at_work")
def test_nor_in_a_test_case_that_the_settings_do_not_tell_from_the_site():
    assert statements(lambda: settle(open_lease())) == ["INSERT", "DELETE"]


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.usefixtures("at_work")
def test_nor_in_a_sqlite_file_that_has_more_than_the_record_in_it():
    """A transaction of the site that has read, and is about to write, fails if somebody else writes in between."""
    assert statements(lambda: settle(open_lease())) == ["INSERT", "DELETE"]


def settle_in_a_job():
    settle(open_lease())
    return pending_for()


@POSTGRESQL
@pytest.mark.usefixtures("at_work")
def test_nor_in_a_job_of_rq(redis_server):
    """Its process ends right after it, without any ado."""
    with Redis.from_url(redis_server.url) as redis:
        job = Queue(is_async=False, connection=redis).enqueue(settle_in_a_job)
        assert job.return_value() == []
    settle_in_a_job()
    assert len(recorded()) == 3


@POSTGRESQL
@pytest.mark.usefixtures("at_work")
def test_nor_where_there_can_be_no_helper(monkeypatch):
    helper = Helper()
    monkeypatch.setattr(settled, "HELPER", helper)
    SETTLED.stop()

    def refuse(*args, **options):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        assert statements(lambda: settle(open_lease())) == ["INSERT", "DELETE"]
    helper.end()
    assert statements(lambda: settle(open_lease())) == ["INSERT", "DELETE"]


# Ends and forks of processes.

PROGRAM = """
import os, sys
from contextlib import suppress
from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.core.management import call_command
from django.db import transaction

url, end = sys.argv[1:]
settings.configure(
    INSTALLED_APPS=["resto"],
    DATABASES={
        "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "site.sqlite3"},
        "record": {"ENGINE": "django.db.backends.sqlite3", "NAME": "record.sqlite3"},
    },
    RESTO_DATABASE="record",
    STORAGES={
        "default": {"BACKEND": "resto.storage.HybridStorage", "OPTIONS": {"hosts": [url], "location": "media"}},
    },
)
import django
django.setup()
call_command("migrate", "resto", database="record", verbosity=0)
from resto.record import settled
settled.LATER = 3600

def save(name):
    storages["default"].save(name, ContentFile(b"content"))

save("a")
if end == "exit":
    sys.exit()
if end == "fork":
    if os.fork() == 0:
        save("b")
        sys.exit()
    os.wait()
if end == "transaction":
    with suppress(ZeroDivisionError), transaction.atomic(using="record"):
        save("b")
        settled.SETTLED.remove()  # not here, where a rollback would take it back
        1 / 0
    settled.SETTLED.remove()
os._exit(0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.parametrize(("end", "left"), [("exit", 0), ("fork", 0), ("transaction", 0), ("os._exit", 1)])
def test_process_leaves_nothing_unless_it_ends_without_any_ado(resto_server, tmp_path, end, left):
    status, printed = forks.run(["-c", PROGRAM, resto_server.url, end], tmp_path, dict(os.environ), PATIENCE)
    assert (status, printed) == (0, "")
    record = sqlite3.connect(tmp_path / "record.sqlite3")
    assert record.execute("SELECT count(*) FROM resto_pending").fetchone() == (left,)
    record.close()
