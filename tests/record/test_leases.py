"""The record: leases and claims."""

import json
from contextlib import contextmanager

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.db import DatabaseError, IntegrityError, connection
from django.test.utils import CaptureQueriesContext
from django.utils.module_loading import import_string
from hypothesis import given
from hypothesis import strategies as st

from resto.exceptions import (
    ConfigurationError,
    HostUnavailableError,
    LeaseLostError,
    RemoteFileNotFoundError,
    TransportError,
    UnexpectedStatusCode,
)
from resto.models import Pending
from resto.outcomes import Outcome
from resto.record import leases as pending


pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("database")]

HOSTS = ("media-1", "media-2", "media-3")
REFUSED = HostUnavailableError("media-1", "a", "upload", "refused")
SILENT = HostUnavailableError("media-1", "a", "upload", "silent", ambiguous=True)
FULL = UnexpectedStatusCode("media-1", "a", "upload", 507, "full")


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    """A clock that stands still until a test moves it."""
    clock = [1_000_000.0]
    monkeypatch.setattr(pending, "clock", lambda: clock[0])
    monkeypatch.setattr(pending, "monotonic", lambda: clock[0])
    monkeypatch.setattr(pending, "retry_delay", lambda retries: 2.0**retries)
    monkeypatch.setattr(pending, "_unreachable", set())
    return clock


def open_lease(name="a", hosts=HOSTS, storage="default"):
    return pending.open_lease(storage, hosts, name, present=True)


def outcome(host, error=None):
    return Outcome("upload", host, "a", 0.1, error=error)


def rows():
    return {row.host: row for row in Pending.objects.all()}


# Opening and settling.


def test_one_statement_opens_and_one_settles():
    with CaptureQueriesContext(connection) as queries:
        lease = open_lease()
    inserts = [query["sql"] for query in queries if "INSERT" in query["sql"]]
    assert len(inserts) == 1
    assert set(rows()) == set(HOSTS)
    with CaptureQueriesContext(connection) as queries:
        lease.settle([outcome(host) for host in HOSTS])
    assert [query["sql"].split()[0] for query in queries] == ["DELETE"]
    assert rows() == {}


def test_row_belongs_to_its_owner_for_the_time_of_a_lease(clock, settings):
    settings.RESTO_LEASE = 100
    open_lease()
    assert {(row.due, row.quiet_until, row.created) for row in rows().values()} == {
        (clock[0] + 100, clock[0] + 100, clock[0])
    }
    assert pending.claim(10) == []
    clock[0] += 100
    assert len(pending.claim(10)) == 3


def test_what_failed_stays_and_is_due_after_a_while(clock):
    open_lease().settle([outcome("media-1", REFUSED), outcome("media-2"), outcome("media-3", FULL)])
    found = rows()
    assert set(found) == {"media-1", "media-3"}
    for row in found.values():
        assert (row.due, row.quiet_until, row.attempts) == (clock[0] + 1, clock[0], 1)
    assert found["media-3"].error == FULL.problem


@pytest.mark.parametrize("error", [SILENT, TransportError("media-1", "a", "upload", "cut off"), RuntimeError("a bug")])
def test_what_may_still_land_is_left_alone_for_the_grace(clock, settings, error):
    settings.RESTO_GRACE = 50
    open_lease(hosts=["media-1"]).settle([outcome("media-1", error)])
    [row] = rows().values()
    assert (row.due, row.quiet_until) == (clock[0] + 50, clock[0] + 50)


@pytest.mark.parametrize(
    ("error", "expected"),
    [(None, False), (REFUSED, False), (SILENT, True), (FULL, False), (OSError(), True),
     (RemoteFileNotFoundError("media-1", "a", "delete", "404"), False)],
)  # fmt: skip
def test_may_still_land(error, expected):
    assert pending.may_still_land(error) is expected


def test_hosts_that_differ_in_case_only_are_two():
    """MariaDB would take them for one."""
    hosts = ["http://media/a/", "http://media/A/"]
    open_lease(hosts=hosts).settle([outcome(hosts[0]), outcome(hosts[1], REFUSED)])
    assert set(rows()) == {hosts[1]}
    assert set(pending.backlog("default")) == {hosts[1]}


def test_any_text_can_be_recorded():
    name, problem = "\N{GREEK SMALL LETTER ALPHA}/\N{GRINNING FACE}" * 50, "no\N{GRINNING FACE}" * 1_000
    open_lease(name, ["media-1"]).settle([outcome("media-1", TransportError("media-1", name, "upload", problem))])
    [row] = rows().values()
    assert (row.name, row.error) == (name, problem[:1_000])


def test_some_hosts_later_than_others():
    lease = open_lease()
    lease.settle([outcome("media-1")])
    assert set(rows()) == {"media-2", "media-3"}
    lease.settle([outcome("media-2"), outcome("media-3")])
    assert rows() == {}


def test_only_own_rows_are_removed():
    first, second = open_lease(), open_lease()
    first.settle([outcome(host) for host in HOSTS])
    assert len(rows()) == 3
    second.forget()
    assert rows() == {}


def test_record_that_fails_is_logged_and_the_rows_stay(monkeypatch, caplog):
    lease = open_lease()

    def fail(where):
        raise DatabaseError("gone")

    monkeypatch.setattr(pending.rows, "delete", fail)
    lease.settle([outcome(host) for host in HOSTS])
    assert "Failed to record what became of a." in caplog.text
    assert len(rows()) == 3


# Keeping.


def test_lease_is_renewed_in_time_and_not_more_often(clock, settings):
    settings.RESTO_LEASE = 300
    lease = open_lease()
    clock[0] += 90
    with CaptureQueriesContext(connection) as queries:
        lease.keep()
    assert len(queries) == 0
    clock[0] += 20
    lease.keep()
    assert {row.due for row in rows().values()} == {clock[0] + 300}


@contextmanager
def slow_statements(clock, verb, *seconds):
    """Let statements of a kind take their time before they do anything."""
    times = iter(seconds)

    def execute(run, sql, *args):
        if sql.startswith(verb):
            clock[0] += next(times, 0)
        return run(sql, *args)

    with connection.execute_wrapper(execute):
        yield


def test_lease_that_is_renewed_slowly_is_renewed_again(clock):
    lease = open_lease()
    clock[0] += 200
    with slow_statements(clock, "UPDATE", 310, 90):
        lease.keep()
    assert {row.quiet_until for row in rows().values()} == {clock[0] - 90 + 300}


def test_lease_that_ends_while_it_is_renewed_is_lost(clock, monkeypatch):
    lease, update = open_lease(), pending.rows.update

    def update_slowly(where, **values):
        clock[0] += 310
        held = update(where, **values)
        Pending.objects.update(owner="another")
        return held

    monkeypatch.setattr(pending.rows, "update", update_slowly)
    clock[0] += 200
    with pytest.raises(LeaseLostError, match="somebody else has taken over"):
        lease.keep()


def test_lease_of_rows_that_were_claimed_slowly_is_renewed_before_they_end(clock):
    open_lease().release(0)
    with slow_statements(clock, "SELECT", 150), slow_statements(clock, "UPDATE", 90):
        (one, *_) = pending.claim(10)
    with CaptureQueriesContext(connection) as queries:
        clock[0] += 20
        one.lease.keep()
    assert len(queries) == 1


def test_lease_that_was_taken_over_is_lost(clock):
    lease = open_lease()
    clock[0] += 301
    [first, *_] = pending.claim(10)
    with pytest.raises(LeaseLostError, match="somebody else has taken over"):
        lease.keep()
    first.lease.keep()


def test_lease_that_cannot_be_renewed_is_lost_before_it_ends(clock, monkeypatch):
    lease = open_lease()

    def fail(where, **values):
        raise DatabaseError("gone")

    monkeypatch.setattr(pending.rows, "update", fail)
    clock[0] += 150
    lease.keep()  # there is time to try again
    clock[0] += 60
    with pytest.raises(LeaseLostError, match="cannot be reached"):
        lease.keep()


# Claiming.


def test_work_is_claimed_once(clock):
    open_lease()
    clock[0] += 301
    assert len(pending.claim(10)) == 3
    assert pending.claim(10) == []


def test_rows_of_one_name_are_one_piece_of_work(clock):
    open_lease(hosts=["media-1"])
    pending.open_lease("default", ["media-1"], "a", present=False)
    clock[0] += 301
    [one] = pending.claim(10)
    assert (one.storage, one.host, one.name, one.present) == ("default", "media-1", "a", False)
    one.lease.settle([outcome("media-1")])
    assert rows() == {}


def test_many_names_are_claimed_and_settled_by_few_statements(clock):
    with CaptureQueriesContext(connection) as queries:
        pending.open_leases("default", [("media-1", str(number)) for number in range(400)])
    assert len([query for query in queries if "INSERT" in query["sql"]]) == 2
    clock[0] += 301
    with CaptureQueriesContext(connection) as queries:
        work = pending.claim(400)
    assert [one.name for one in work] == [str(number) for number in range(400)]
    assert [query["sql"].split()[0] for query in queries] == ["SELECT", "UPDATE", "UPDATE"]
    assert len({one.lease.token for one in work}) == 400
    with CaptureQueriesContext(connection) as queries:
        pending.settle_leases([(one.lease, outcome(one.host)) for one in work])
    assert [query["sql"].split()[0] for query in queries] == ["DELETE", "DELETE"]
    assert rows() == {}


def test_what_somebody_else_has_claimed_at_the_same_moment_is_left_to_them(clock, monkeypatch):
    for name in "abc":
        open_lease(name, ["media-1"])
    clock[0] += 301
    theirs, original = [], pending.rows.assign

    def assign(owners, where, **values):
        monkeypatch.setattr(pending.rows, "assign", original)
        theirs.extend(pending.claim(2))
        return original(owners, where, **values)

    monkeypatch.setattr(pending.rows, "assign", assign)
    mine = pending.claim(10)
    assert [one.name for one in theirs] == ["a", "b"]
    assert [one.name for one in mine] == ["c"]
    for one in [*theirs, *mine]:
        one.lease.keep()


def test_rows_of_a_name_and_host_without_a_master_copy_are_claimed_together(clock):
    """Also those that are not due, as long as no request for them may be under way."""
    for _ in range(3):
        pending.open_change("default", ["media-1", "media-2"], "a", present=True).release(50)
    first, second, third = Pending.objects.filter(host="media-1").order_by("id")
    Pending.objects.filter(id=first.id).update(due=clock[0])
    Pending.objects.filter(id=second.id).update(quiet_until=clock[0] + 10)
    [one] = pending.claim(10)
    assert {row.id for row in Pending.objects.filter(owner=one.lease.token)} == {first.id, third.id}


def test_oldest_come_first_and_no_more_than_asked_for(clock):
    for name in "abc":
        open_lease(name, ["media-1"])
    clock[0] += 301
    assert [one.name for one in pending.claim(2)] == ["a", "b"]


def test_choice_of_hosts_and_storages(clock):
    open_lease("a", ["media-1"])
    open_lease("b", ["media-2"])
    open_lease("c", ["media-1"], storage="other")
    clock[0] += 301
    assert [one.name for one in pending.claim(9, hosts=["media-1"], storages=["other"])] == ["c"]
    assert [one.name for one in pending.claim(9, hosts=["media-2"])] == ["b"]


@given(st.lists(st.sampled_from(["claim", "wait", "fail", "done"]), max_size=20))
def test_backoff_grows_with_each_failure(clock, steps):
    Pending.objects.all().delete()
    open_lease(hosts=["media-1"])
    held, failures = None, 0
    for step in steps:
        if step == "claim" and held is None:
            held = next(iter(pending.claim(1)), None)
        elif step == "wait":
            clock[0] += 400
        elif step == "fail" and held:
            held.lease.settle([outcome("media-1", REFUSED)])
            [row] = rows().values()
            failures += 1
            assert (row.attempts, row.due) == (failures, clock[0] + 2.0 ** (failures - 1))
            held = None
        elif step == "done" and held:
            held.lease.settle([outcome("media-1")])
            assert rows() == {}
            return


def test_released_rows_are_due_later_without_a_failure(clock):
    open_lease(hosts=["media-1"])
    clock[0] += 301
    [one] = pending.claim(1)
    one.lease.release(5)
    [row] = rows().values()
    assert (row.due, row.quiet_until, row.attempts) == (clock[0] + 5, clock[0], 0)


def test_claimed_rows_may_be_those_of_a_host_that_is_spelled_otherwise(clock):
    open_lease("a", ["media-1"])
    clock[0] += 301
    [old] = pending.claim(10)
    open_lease("a", ["MEDIA-1"])
    pending.release_leases([old.lease], 0, host="MEDIA-1")
    assert pending.claim(10, hosts=["media-1"]) == []
    [one] = pending.claim(10, hosts=["MEDIA-1"])
    assert one.lease.token != old.lease.token
    one.lease.settle([outcome("MEDIA-1")])
    assert list(rows()) == ["MEDIA-1"]  # what belongs to somebody is left to them


def test_claim_knows_when_the_last_change_was_made(clock):
    began = clock[0]
    open_lease("a", ["media-1"])
    clock[0] += 10
    open_lease("a", ["media-1"])
    clock[0] += 301
    [one] = pending.claim(10)
    assert one.created == began + 10


# Hastening.


def test_backlog_of_a_host_is_due_when_it_answers_again(clock):
    for name in "abc":
        open_lease(name, ["media-1"]).settle([outcome("media-1", REFUSED)])
    assert pending.claim(10) == []
    open_lease("d", ["media-1"]).settle([outcome("media-1")])
    assert [one.name for one in pending.claim(10)] == ["a", "b", "c"]


def test_backlog_of_a_storage(clock):
    assert pending.backlog("default") == {}
    open_lease("a", ["media-1"]).settle([outcome("media-1", REFUSED)])
    clock[0] += 10
    open_lease("b", ["media-1", "media-2"])
    open_lease("c", ["media-3"], storage="other")
    assert pending.backlog("default") == {
        "media-1": pending.Backlog(2, oldest=10, due=-9, error="refused"),
        "media-2": pending.Backlog(1, oldest=0, due=300, error=""),
    }


def test_answer_that_is_a_failure_hastens_nothing(clock):
    """The host is up; it would refuse the same name again with each save of another one."""
    open_lease("a", ["media-1"]).settle([outcome("media-1", FULL)])
    open_lease("b", ["media-1"]).settle([outcome("media-1")])
    assert pending.claim(10) == []


def test_what_may_still_land_is_not_hastened(clock):
    open_lease("a", ["media-1"]).settle([outcome("media-1", SILENT)])
    open_lease("b", ["media-1"])
    open_lease("c", ["media-1"]).settle([outcome("media-1")])
    assert pending.claim(10) == []


def test_host_that_has_not_failed_costs_nothing():
    lease = open_lease()
    with CaptureQueriesContext(connection) as queries:
        lease.settle([outcome(host) for host in HOSTS])
    assert len(queries) == 1


# Many at once.


def test_many_names_take_one_statement_each_way():
    with CaptureQueriesContext(connection) as queries:
        leases = pending.open_leases("default", [("media-1", "a"), ("media-2", "b"), ("media-1", "c")])
    assert len([query for query in queries if "INSERT" in query["sql"]]) == 1
    with CaptureQueriesContext(connection) as queries:
        pending.settle_leases([(lease, outcome("media-1")) for lease in leases])
    assert len(queries) == 1
    assert rows() == {}


def test_of_many_names_those_that_failed_stay(caplog, monkeypatch):
    leases = pending.open_leases("default", [("media-1", "a"), ("media-2", "b")])
    pending.settle_leases([(leases[0], outcome("media-1", REFUSED)), (leases[1], outcome("media-2"))])
    [row] = rows().values()
    assert (row.name, row.attempts) == ("a", 1)
    pending.settle_leases([])

    def fail(where):
        raise DatabaseError("gone")

    monkeypatch.setattr(pending.rows, "delete", fail)
    pending.settle_leases([(leases[0], outcome("media-1"))])
    assert "Failed to record what became of a." in caplog.text


def test_row_that_another_change_has_followed_becomes_due(clock):
    lease = pending.open_change("default", HOSTS, "a", present=True)
    later = pending.open_change("default", HOSTS, "a", present=False)
    later.overrule("default", "a", present=False)
    lease.settle([outcome(host) for host in HOSTS])
    assert {(row.due, row.present) for row in Pending.objects.filter(owner=lease.token)} == {(clock[0], False)}
    later.settle([outcome(host) for host in HOSTS])
    assert {row.owner for row in Pending.objects.all()} == {lease.token}


def test_row_that_nothing_is_known_of_becomes_due(clock):
    lease = open_lease()
    lease.expect([])
    lease.settle([outcome(host) for host in HOSTS])
    assert {row.due for row in rows().values()} == {clock[0]}


def test_of_many_names_those_that_another_change_has_followed_become_due(clock):
    for name in "ab":
        pending.open_change("default", ["media-1"], name, present=True).release(0)
    work = pending.claim(10)
    for one in work:
        one.lease.expect(row.latest for row in pending.rows_of_name("default", one.name))
    later = pending.open_change("default", ["media-1"], "b", present=False)
    later.overrule("default", "b", present=False)
    pending.settle_leases([(one.lease, outcome("media-1")) for one in work])
    assert [(row.name, row.due) for row in Pending.objects.exclude(owner=later.token)] == [("b", clock[0])]


def test_host_that_answers_again_has_its_backlog_hastened_by_many_too(clock):
    open_lease("a", ["media-1"]).settle([outcome("media-1", REFUSED)])
    leases = pending.open_leases("default", [("media-1", "b"), ("media-1", "c")])
    assert pending.claim(10) == []
    pending.settle_leases([(lease, outcome("media-1")) for lease in leases])
    assert [one.name for one in pending.claim(10)] == ["a"]


# Adopting.


def test_worker_takes_over_what_was_opened_for_it():
    lease = open_lease()
    adopted = pending.adopt_lease(lease.token, "default", HOSTS, "a", present=True)
    assert len(rows()) == 3
    lease.settle([outcome(host) for host in HOSTS])  # whoever has handed it over, has
    assert len(rows()) == 3
    adopted.settle([outcome(host) for host in HOSTS])
    assert rows() == {}


def test_second_worker_has_rows_of_its_own():
    lease = open_lease()
    pending.adopt_lease(lease.token, "default", HOSTS, "a", present=True)
    second = pending.adopt_lease(lease.token, "default", HOSTS, "a", present=True)
    assert Pending.objects.count() == 6
    second.settle([outcome(host) for host in HOSTS])
    assert Pending.objects.count() == 3


def test_worker_without_a_record_opens_one():
    pending.adopt_lease("", "default", HOSTS, "a", present=True)
    assert set(rows()) == set(HOSTS)


def adopt(token, hosts=("media-1",), name="a"):
    return pending.adopt_lease(token, "default", list(hosts), name, present=True)


def test_worker_opens_anew_what_is_recorded_nowhere():
    """As where its database is another one."""
    assert adopt("of another database").hosts == {"media-1"}
    assert set(rows()) == {"media-1"}


def test_worker_leaves_to_a_drain_what_that_has_taken_over(clock):
    lease = open_lease("a", HOSTS)
    clock[0] += 301
    claims = pending.claim(1)
    adopted = adopt(lease.token, HOSTS)
    assert adopted.hosts == {*HOSTS} - {claims[0].host}
    assert Pending.objects.count() == len(HOSTS)
    assert Pending.objects.get(host=claims[0].host).owner == claims[0].lease.token


def test_worker_takes_what_a_drain_has_handed_to_the_queue_once_more(clock):
    """It may stand far behind in a long queue."""
    lease = open_lease(hosts=["media-1"])
    clock[0] += 301
    (claimed,) = pending.claim(1)
    claimed.lease.hand_over()
    adopted = adopt(lease.token)
    assert (Pending.objects.get().owner, adopted.hosts) == (adopted.token, {"media-1"})
    assert adopt(claimed.lease.token).hosts == set()
    adopted.settle([outcome("media-1", REFUSED)])
    assert adopt(claimed.lease.token).hosts == set()


def test_worker_leaves_to_a_later_change_what_was_settled_before():
    open_lease("a", ["media-1"]).forget()
    later = open_lease("a", ["media-1"])
    open_lease("b", ["media-2"])
    assert adopt("settled").hosts == set()
    assert adopt("settled", ["media-2"]).hosts == {"media-2"}
    assert later.token in {row.owner for row in Pending.objects.all()}


def test_grace_counts_for_workers_too(clock):
    """The old request may arrive after the new one."""
    lease = open_lease(hosts=["media-1"])
    lease.settle([outcome("media-1", SILENT)])
    clock[0] += 10
    adopted = adopt(lease.token)
    adopted.settle([outcome("media-1")])
    row = Pending.objects.get()
    assert (row.owner, row.quiet_until, row.due) == (adopted.token, clock[0] + 50, clock[0] + 50)
    clock[0] += 51
    (claimed,) = pending.claim(10)
    claimed.lease.settle([outcome("media-1")])
    assert Pending.objects.count() == 0


def test_grace_is_not_cut_short_by_a_failure_that_is_certain(clock):
    lease = open_lease(hosts=["media-1"])
    lease.settle([outcome("media-1", SILENT)])
    clock[0] += 10
    adopt(lease.token).settle([outcome("media-1", REFUSED)])
    assert Pending.objects.get().quiet_until == clock[0] + 50


def test_grace_that_is_over_counts_no_longer(clock):
    lease = open_lease(hosts=["media-1"])
    lease.settle([outcome("media-1", SILENT)])
    clock[0] += 61
    adopt(lease.token).settle([outcome("media-1")])
    assert Pending.objects.count() == 0


def test_each_failure_in_a_worker_makes_the_next_try_later(clock):
    lease, delays = open_lease(hosts=["media-1"]), []
    for _ in range(5):
        lease = adopt(lease.token)
        lease.settle([outcome("media-1", REFUSED)])
        delays.append(Pending.objects.get().due - clock[0])
    assert [0.8 * 2**number <= delay <= 1.2 * 2**number for number, delay in enumerate(delays)] == [True] * 5


def test_a_queue_is_given_twice_as_long_each_time(clock):
    open_lease(hosts=["media-1"])
    patience = []
    for _ in range(9):
        clock[0] = Pending.objects.get().due + 1
        (claimed,) = pending.claim(10)
        claimed.lease.hand_over()
        patience.append(Pending.objects.get().due - clock[0])
    assert patience == [300, 600, 1200, 2400, 4800, 9600, 19200, 19200, 19200]


def test_workers_that_get_one_message_at_the_same_moment_hold_different_rows(monkeypatch):
    lease = open_lease(hosts=["media-1"])
    select, adopted = pending.rows.select, []

    def select_late(where, limit=None):
        found = select(where, limit)
        if not adopted:
            adopted.append(None)
            adopted[:] = [adopt(lease.token)]
        return found

    monkeypatch.setattr(pending.rows, "select", select_late)
    second = adopt(lease.token)
    assert {row.owner for row in Pending.objects.all()} == {adopted[0].token, second.token}
    assert adopted[0].token != second.token


# Where it is.


@pytest.mark.django_db(transaction=True)
def test_missing_table_is_named_with_what_to_do():
    with connection.schema_editor() as editor:
        editor.delete_model(Pending)
    try:
        with pytest.raises(ConfigurationError, match=r"table of the record is missing.*manage.py migrate resto"):
            open_lease()
    finally:
        with connection.schema_editor() as editor:
            editor.create_model(Pending)


def test_another_error_of_the_database_is_what_it_is():
    with pytest.raises(IntegrityError, match="name"):
        open_lease(None)


def test_not_recorded_without_the_application(settings):
    settings.INSTALLED_APPS = [app for app in settings.INSTALLED_APPS if app != "resto"]
    assert not pending.is_active()


def test_not_recorded_without_a_database(monkeypatch, settings):
    """Such sites have the application for its checks."""
    assert pending.is_active()
    monkeypatch.setattr(connection, "vendor", "unknown")
    settings.RESTO_DATABASE = "default"  # what was known is looked up again
    assert not pending.is_active()


def test_storage_without_an_alias_is_not_recorded(resto_server_factory, media_root):
    from resto.storage import HybridStorage

    HybridStorage([resto_server_factory(webdav=False).url], "/media/").save("a", ContentFile(b""))
    assert rows() == {}


def test_storage_that_a_task_makes_again_is_recorded(settings):
    """Wagtail deletes files so: what `deconstruct` says has been through JSON, which has no tuples."""
    options = {"hosts": ("media-1", {"url": "http://media-2/media/"}), "transport_options": {"headers": {"A": ("b",)}}}
    settings.STORAGES = {"default": {"BACKEND": "resto.storage.HybridStorage", "OPTIONS": options}}
    path, args, kwargs = json.loads(json.dumps(storages["default"].deconstruct()))
    assert import_string(path)(*args, **kwargs)._find_alias() == "default"
    kwargs["hosts"].reverse()
    assert import_string(path)(*args, **kwargs)._find_alias() is None


@pytest.fixture
def storage(settings, media_root, resto_server_factory):
    server = resto_server_factory(webdav=False)
    settings.RESTO_MEDIA_HOSTS = [server.url]
    settings.STORAGES = {"default": {"BACKEND": "resto.storage.HybridStorage"}}
    return storages["default"], server


def test_bare_action_is_recorded(storage):
    """Somebody calls `upload` by hand, or from a task queue of their own."""
    storage, server = storage
    storage.save("a", ContentFile(b"content"))
    server.refuse = True
    with pytest.raises(HostUnavailableError):
        storage.upload(server.url, "a")
    assert set(rows()) == {server.url}
    server.refuse = False
    storage.upload(server.url, "a")
    assert Pending.objects.count() == 1  # of the failure, which a drain looks at
