"""Leases: rows belong to whoever holds them, and are settled in the end."""

from contextlib import contextmanager

import pytest
from django.db import DatabaseError, connection
from django.test.utils import CaptureQueriesContext

from kit.record import FULL, HOSTS, REFUSED, SILENT, open_lease, outcome, recorded
from resto.exceptions import (
    HostUnavailableError,
    LeaseLostError,
    TransportError,
    UnexpectedStatusCode,
)
from resto.health import Breaker
from resto.models import Pending
from resto.record import backlog, claims, leases, opening, rows


pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]


# Opening and settling.


def test_one_statement_opens_and_one_settles():
    with CaptureQueriesContext(connection) as queries:
        lease = open_lease()
    inserts = [query["sql"] for query in queries if "INSERT" in query["sql"]]
    assert len(inserts) == 1
    assert set(recorded()) == set(HOSTS)
    with CaptureQueriesContext(connection) as queries:
        lease.settle([outcome(host) for host in HOSTS])
    assert [query["sql"].split()[0] for query in queries] == ["DELETE"]
    assert recorded() == {}


def test_row_belongs_to_its_owner_for_the_time_of_a_lease(clock, settings):
    settings.RESTO_LEASE = 100
    open_lease()
    assert {(row.due, row.quiet_until, row.created) for row in recorded().values()} == {
        (clock[0] + 100, clock[0] + 100, clock[0])
    }
    assert claims.claim(10) == []
    clock[0] += 100
    assert len(claims.claim(10)) == 3


def test_what_failed_stays_and_is_due_after_a_while(clock):
    open_lease().settle([outcome("media-1", REFUSED), outcome("media-2"), outcome("media-3", FULL)])
    found = recorded()
    assert set(found) == {"media-1", "media-3"}
    for row in found.values():
        assert (row.due, row.quiet_until, row.attempts) == (clock[0] + 1, 0, 1)
    assert found["media-3"].error == FULL.problem


def test_what_a_host_is_to_get_later_is_not_due_before(clock):
    busy = UnexpectedStatusCode("media-1", "a", "upload", 503, "busy", 120)
    open_lease(hosts=["media-1"]).settle([outcome("media-1", busy)])
    [row] = recorded().values()
    assert (row.due, row.quiet_until) == (clock[0] + 120, 0)


@pytest.mark.parametrize("error", [SILENT, TransportError("media-1", "a", "upload", "cut off"), RuntimeError("a bug")])
def test_what_may_still_land_is_left_alone_for_the_grace(clock, settings, error):
    settings.RESTO_GRACE = 50
    open_lease(hosts=["media-1"]).settle([outcome("media-1", error)])
    [row] = recorded().values()
    assert (row.due, row.quiet_until) == (clock[0] + 50, clock[0] + 50)


def test_hosts_that_differ_in_case_only_are_two():
    """MariaDB would take them for one."""
    hosts = ["http://media/a/", "http://media/A/"]
    open_lease(hosts=hosts).settle([outcome(hosts[0]), outcome(hosts[1], REFUSED)])
    assert set(recorded()) == {hosts[1]}
    assert set(backlog.backlog_of("default")) == {hosts[1]}


def test_any_text_can_be_recorded():
    name, problem = "\N{GREEK SMALL LETTER ALPHA}/\N{GRINNING FACE}" * 50, "no\N{GRINNING FACE}" * 1_000
    open_lease(name, ["media-1"]).settle([outcome("media-1", TransportError("media-1", name, "upload", problem))])
    [row] = recorded().values()
    assert (row.name, row.error) == (name, problem[:1_000])


def test_some_hosts_later_than_others():
    lease = open_lease()
    lease.settle([outcome("media-1")])
    assert set(recorded()) == {"media-2", "media-3"}
    lease.settle([outcome("media-2"), outcome("media-3")])
    assert recorded() == {}


def test_only_own_rows_are_removed():
    first, second = open_lease(), open_lease()
    first.settle([outcome(host) for host in HOSTS])
    assert len(recorded()) == 3
    second.forget()
    assert recorded() == {}


def test_record_that_fails_is_logged_and_the_rows_stay(monkeypatch, caplog):
    lease = open_lease()

    def fail(where):
        raise DatabaseError("gone")

    monkeypatch.setattr(rows, "delete", fail)
    lease.settle([outcome(host) for host in HOSTS])
    assert "Failed to record what became of a." in caplog.text
    assert len(recorded()) == 3


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
    assert {row.due for row in recorded().values()} == {clock[0] + 300}


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
    assert {row.quiet_until for row in recorded().values()} == {clock[0] - 90 + 300}


def test_lease_that_ends_while_it_is_renewed_is_lost(clock, monkeypatch):
    lease, update = open_lease(), rows.update

    def update_slowly(where, **values):
        clock[0] += 310
        held = update(where, **values)
        Pending.objects.update(owner="another")
        return held

    monkeypatch.setattr(rows, "update", update_slowly)
    clock[0] += 200
    with pytest.raises(LeaseLostError, match="somebody else has taken over"):
        lease.keep()


def test_lease_of_rows_that_were_claimed_slowly_is_renewed_before_they_end(clock):
    open_lease().release(0)
    with slow_statements(clock, "SELECT", 150), slow_statements(clock, "UPDATE", 90):
        (one, *_) = claims.claim(10)
    with CaptureQueriesContext(connection) as queries:
        clock[0] += 20
        one.lease.keep()
    assert len(queries) == 1


def test_lease_that_was_taken_over_is_lost(clock):
    lease = open_lease()
    clock[0] += 301
    [first, *_] = claims.claim(10)
    with pytest.raises(LeaseLostError, match="somebody else has taken over"):
        lease.keep()
    first.lease.keep()


def test_lease_that_cannot_be_renewed_is_lost_before_it_ends(clock, monkeypatch):
    lease = open_lease()

    def fail(where, **values):
        raise DatabaseError("gone")

    monkeypatch.setattr(rows, "update", fail)
    clock[0] += 150
    lease.keep()  # there is time to try again
    clock[0] += 60
    with pytest.raises(LeaseLostError, match="cannot be reached"):
        lease.keep()


# Hastening.


def test_backlog_of_a_host_is_due_when_it_answers_again(clock):
    for name in "abc":
        open_lease(name, ["media-1"]).settle([outcome("media-1", REFUSED)])
    assert claims.claim(10) == []
    open_lease("d", ["media-1"]).settle([outcome("media-1")])
    assert [one.name for one in claims.claim(10)] == ["a", "b", "c"]


def test_answer_that_is_a_failure_hastens_nothing(clock):
    """The host is up; it would refuse the same name again with each save of another one."""
    open_lease("a", ["media-1"]).settle([outcome("media-1", FULL)])
    open_lease("b", ["media-1"]).settle([outcome("media-1")])
    assert claims.claim(10) == []


def test_what_may_still_land_is_not_hastened(clock):
    open_lease("a", ["media-1"]).settle([outcome("media-1", SILENT)])
    open_lease("b", ["media-1"])
    open_lease("c", ["media-1"]).settle([outcome("media-1")])
    assert claims.claim(10) == []


def test_host_that_has_not_failed_costs_nothing():
    lease = open_lease()
    with CaptureQueriesContext(connection) as queries:
        lease.settle([outcome(host) for host in HOSTS])
    assert len(queries) == 1


# Many at once.


def test_many_names_take_one_statement_each_way():
    with CaptureQueriesContext(connection) as queries:
        opened = opening.open_leases("default", [("media-1", "a"), ("media-2", "b"), ("media-1", "c")])
    assert len([query for query in queries if "INSERT" in query["sql"]]) == 1
    with CaptureQueriesContext(connection) as queries:
        leases.settle_leases([(lease, outcome("media-1")) for lease in opened])
    assert len(queries) == 1
    assert recorded() == {}


def test_of_many_names_those_that_failed_stay(caplog, monkeypatch):
    opened = opening.open_leases("default", [("media-1", "a"), ("media-2", "b")])
    leases.settle_leases([(opened[0], outcome("media-1", REFUSED)), (opened[1], outcome("media-2"))])
    [row] = recorded().values()
    assert (row.name, row.attempts) == ("a", 1)
    leases.settle_leases([])

    def fail(where):
        raise DatabaseError("gone")

    monkeypatch.setattr(rows, "delete", fail)
    leases.settle_leases([(opened[0], outcome("media-1"))])
    assert "Failed to record what became of a." in caplog.text


def test_row_that_another_change_has_followed_becomes_due(clock):
    lease = opening.open_change("default", HOSTS, "a", present=True)
    later = opening.open_change("default", HOSTS, "a", present=False)
    later.overrule("default", "a")
    lease.settle([outcome(host) for host in HOSTS])
    assert {(row.due, row.present) for row in Pending.objects.filter(owner=lease.token)} == {(clock[0], False)}
    later.settle([outcome(host) for host in HOSTS])
    assert {row.owner for row in Pending.objects.all()} == {lease.token}


def test_deletion_is_settled_although_another_one_has_followed(clock):
    lease = opening.open_change("default", HOSTS, "a", present=False)
    later = opening.open_change("default", HOSTS, "a", present=False)
    later.overrule("default", "a")
    assert lease.settle([outcome(host) for host in HOSTS])
    assert {row.owner for row in Pending.objects.all()} == {later.token}


def test_lease_is_lost_with_one_host_although_another_one_has_more_rows(clock):
    opening.open_change("default", HOSTS[:1], "a", present=False).release(0)
    lease = opening.open_change("default", HOSTS, "a", present=True)
    assert len(lease.take_over("default", "a")) == 4
    clock[0] += 400
    lease.keep()
    Pending.objects.filter(host=HOSTS[1]).update(owner="a drain")
    clock[0] += 400
    with pytest.raises(LeaseLostError):
        lease.keep()
    assert lease.settle([outcome(host) for host in HOSTS])
    assert not lease.settle([outcome(HOSTS[0], REFUSED), *map(outcome, HOSTS[1:])])
    assert len(recorded()) == 3


def test_row_that_nothing_is_known_of_becomes_due(clock):
    lease = open_lease()
    lease.expect([])
    lease.settle([outcome(host) for host in HOSTS])
    assert {row.due for row in recorded().values()} == {clock[0]}


def test_of_many_names_those_that_another_change_has_followed_become_due(clock):
    for name in "ab":
        opening.open_change("default", ["media-1"], name, present=True).release(0)
    work = claims.claim(10)
    for one in work:
        one.lease.expect(row.latest for row in backlog.rows_of_name("default", one.name))
    later = opening.open_change("default", ["media-1"], "b", present=False)
    later.overrule("default", "b")
    leases.settle_leases([(one.lease, outcome("media-1")) for one in work])
    assert [(row.name, row.due) for row in Pending.objects.exclude(owner=later.token)] == [("b", clock[0])]


def test_host_that_answers_again_has_its_backlog_hastened_by_many_too(clock):
    open_lease("a", ["media-1"]).settle([outcome("media-1", REFUSED)])
    opened = opening.open_leases("default", [("media-1", "b"), ("media-1", "c")])
    assert claims.claim(10) == []
    leases.settle_leases([(lease, outcome("media-1")) for lease in opened])
    assert [one.name for one in claims.claim(10)] == ["a"]


# Why it failed.


def refused_by_breaker(host="media-1"):
    breaker = Breaker()
    for _ in range(3):
        breaker.failed(breaker.admit(host, "a", "upload"), "no route to host")
    with pytest.raises(HostUnavailableError, match="could not be reached 3 times in a row") as caught:
        breaker.admit(host, "a", "upload")
    return caught.value


def test_cause_of_a_failure_stays_while_the_host_is_not_asked():
    lease = open_lease(hosts=["media-1", "media-2"])
    lease.settle([outcome("media-1", FULL), outcome("media-2", refused_by_breaker())])
    lease.settle([outcome("media-1", refused_by_breaker())])
    errors = {row.host: (row.error, row.attempts) for row in recorded().values()}
    assert errors == {"media-1": ("full", 2), "media-2": ("no route to host", 1)}
    lease.settle([outcome("media-1", REFUSED)])
    assert recorded()["media-1"].error == "refused"


def test_names_that_are_not_tried_count_as_tried_as_often_as_the_one_that_was(clock):
    """Each of them may be the next one that is tried, and a host that is down is to be asked less and less often."""
    tried, *others = (open_lease(name, ["media-1"]) for name in "abc")
    for _ in range(3):
        tried.settle([outcome("media-1", REFUSED)])
        tried = claim_again(clock, tried)
    leases.skip_leases(others, tried)
    rows_of = {row.name: row for row in Pending.objects.all()}
    assert {name: rows_of[name].attempts for name in "abc"} == {"a": 3, "b": 4, "c": 4}
    assert (rows_of["b"].due, rows_of["b"].quiet_until) == (clock[0] + 2.0**3, 0)
    tried.settle([outcome("media-1", REFUSED)])
    leases.skip_leases(others, others[0])
    assert {row.attempts for row in Pending.objects.all()} == {4}


def claim_again(clock, lease):
    clock[0] = Pending.objects.get(owner=lease.token).due
    return next(one.lease for one in claims.claim(1))
