"""Rows that were left to others are claimed by a drain, and adopted by workers of task queues."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from kit.record import HOSTS, REFUSED, SILENT, open_lease, outcome, recorded
from resto.models import Pending
from resto.record import claims, leases, opening, rows


pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]


# Claiming.


def test_work_is_claimed_once(clock):
    open_lease()
    clock[0] += 301
    assert len(claims.claim(10)) == 3
    assert claims.claim(10) == []


def test_rows_of_one_name_are_one_piece_of_work(clock):
    open_lease(hosts=["media-1"])
    opening.open_lease("default", ["media-1"], "a", present=False)
    clock[0] += 301
    [one] = claims.claim(10)
    assert (one.storage, one.host, one.name, one.present) == ("default", "media-1", "a", False)
    one.lease.settle([outcome("media-1")])
    assert recorded() == {}


def test_many_names_are_claimed_and_settled_by_few_statements(clock):
    with CaptureQueriesContext(connection) as queries:
        opening.open_leases("default", [("media-1", str(number)) for number in range(400)])
    assert len([query for query in queries if "INSERT" in query["sql"]]) == 2
    clock[0] += 301
    with CaptureQueriesContext(connection) as queries:
        work = claims.claim(400)
    assert [one.name for one in work] == [str(number) for number in range(400)]
    assert [query["sql"].split()[0] for query in queries] == ["SELECT", "UPDATE", "UPDATE"]
    assert len({one.lease.token for one in work}) == 400
    with CaptureQueriesContext(connection) as queries:
        leases.settle_leases([(one.lease, outcome(one.host)) for one in work])
    assert [query["sql"].split()[0] for query in queries] == ["DELETE", "DELETE"]
    assert recorded() == {}


def claimed_by_another(monkeypatch):
    """Let another drain claim two rows after the next one has looked, and before it claims; return what they are then."""
    theirs, original = [], rows.assign

    def assign(owners, where, **values):
        monkeypatch.setattr(rows, "assign", original)
        theirs.extend(claims.claim(2))
        return original(owners, where, **values)

    monkeypatch.setattr(rows, "assign", assign)
    return theirs


def test_what_somebody_else_has_claimed_at_the_same_moment_is_left_to_them(clock, monkeypatch):
    for name in "abc":
        open_lease(name, ["media-1"])
    clock[0] += 301
    theirs = claimed_by_another(monkeypatch)
    mine = claims.claim(10)
    assert [one.name for one in theirs] == ["a", "b"]
    assert [one.name for one in mine] == ["c"]
    for one in [*theirs, *mine]:
        one.lease.keep()


def test_drain_that_was_too_slow_takes_what_comes_next(clock, monkeypatch):
    """Else many drains of one backlog would keep each other from it."""
    for name in "abcd":
        open_lease(name, ["media-1"])
    clock[0] += 301
    theirs = claimed_by_another(monkeypatch)
    assert [one.name for one in claims.claim(2)] == ["c", "d"]
    assert [one.name for one in theirs] == ["a", "b"]
    monkeypatch.setattr(rows, "assign", lambda owners, where, **values: 0)  # such as rows that contradict themselves
    Pending.objects.update(quiet_until=0, due=0)
    assert claims.claim(2) == []


def test_rows_of_a_name_and_host_without_a_master_copy_are_claimed_together(clock):
    """Also those that are not due, as long as no request for them may be under way."""
    for _ in range(3):
        opening.open_change("default", ["media-1", "media-2"], "a", present=True).release(50)
    first, second, third = Pending.objects.filter(host="media-1").order_by("id")
    Pending.objects.filter(id=first.id).update(due=clock[0])
    Pending.objects.filter(id=second.id).update(quiet_until=clock[0] + 10)
    [one] = claims.claim(10)
    assert {row.id for row in Pending.objects.filter(owner=one.lease.token)} == {first.id, third.id}


@pytest.mark.parametrize("choice", [{}, {"storages": ["default"]}, {"hosts": ["media-1", "media-2"]}])
def test_what_has_been_due_longest_comes_first_and_no_more_than_asked_for(clock, choice):
    for number, name in enumerate("abcd"):
        open_lease(name, [f"media-{number % 2 + 1}"]).release(-number % 3)
    clock[0] += 3
    assert [one.name for one in claims.claim(3, **choice)] == ["a", "d", "c"]


def test_choice_of_hosts_and_storages(clock):
    open_lease("a", ["media-1"])
    open_lease("b", ["media-2"])
    open_lease("c", ["media-1"], storage="other")
    clock[0] += 301
    assert [one.name for one in claims.claim(9, hosts=["media-1"], storages=["other"])] == ["c"]
    assert [one.name for one in claims.claim(9, hosts=["media-2"])] == ["b"]


@given(st.lists(st.sampled_from(["claim", "wait", "fail", "done"]), max_size=20))
def test_backoff_grows_with_each_failure(clock, steps):
    Pending.objects.all().delete()
    open_lease(hosts=["media-1"])
    held, failures = None, 0
    for step in steps:
        if step == "claim" and held is None:
            held = next(iter(claims.claim(1)), None)
        elif step == "wait":
            clock[0] += 400
        elif step == "fail" and held:
            held.lease.settle([outcome("media-1", REFUSED)])
            [row] = recorded().values()
            failures += 1
            assert (row.attempts, row.due) == (failures, clock[0] + 2.0 ** (failures - 1))
            held = None
        elif step == "done" and held:
            held.lease.settle([outcome("media-1")])
            assert recorded() == {}
            return


def test_released_rows_are_due_later_without_a_failure(clock):
    open_lease(hosts=["media-1"])
    clock[0] += 301
    [one] = claims.claim(1)
    one.lease.release(5)
    [row] = recorded().values()
    assert (row.due, row.quiet_until, row.attempts) == (clock[0] + 5, 0, 0)


def test_claimed_rows_may_be_those_of_a_host_that_is_spelled_otherwise(clock):
    open_lease("a", ["media-1"])
    clock[0] += 301
    [old] = claims.claim(10)
    open_lease("a", ["MEDIA-1"])
    leases.release_leases([old.lease], 0, host="MEDIA-1")
    assert claims.claim(10, hosts=["media-1"]) == []
    [one] = claims.claim(10, hosts=["MEDIA-1"])
    assert one.lease.token != old.lease.token
    one.lease.settle([outcome("MEDIA-1")])
    assert list(recorded()) == ["MEDIA-1"]  # what belongs to somebody is left to them


def test_claim_knows_when_the_last_change_was_made(clock):
    began = clock[0]
    open_lease("a", ["media-1"])
    clock[0] += 10
    open_lease("a", ["media-1"])
    clock[0] += 301
    [one] = claims.claim(10)
    assert one.created == began + 10


# Adopting.


def test_worker_takes_over_what_was_opened_for_it():
    lease = open_lease()
    adopted = claims.adopt_lease(lease.token, "default", HOSTS, "a", present=True)
    assert len(recorded()) == 3
    lease.settle([outcome(host) for host in HOSTS])  # whoever has handed it over, has
    assert len(recorded()) == 3
    adopted.settle([outcome(host) for host in HOSTS])
    assert recorded() == {}


def test_second_worker_has_rows_of_its_own():
    lease = open_lease()
    claims.adopt_lease(lease.token, "default", HOSTS, "a", present=True)
    second = claims.adopt_lease(lease.token, "default", HOSTS, "a", present=True)
    assert Pending.objects.count() == 6
    second.settle([outcome(host) for host in HOSTS])
    assert Pending.objects.count() == 3


def test_worker_without_a_record_opens_one():
    claims.adopt_lease("", "default", HOSTS, "a", present=True)
    assert set(recorded()) == set(HOSTS)


def adopt(token, hosts=("media-1",), name="a"):
    return claims.adopt_lease(token, "default", list(hosts), name, present=True)


def test_worker_opens_anew_what_is_recorded_nowhere():
    """As where its database is another one."""
    assert adopt("of another database").hosts == {"media-1"}
    assert set(recorded()) == {"media-1"}


def test_worker_leaves_to_a_drain_what_that_has_taken_over(clock):
    lease = open_lease("a", HOSTS)
    clock[0] += 301
    (claimed,) = claims.claim(1)
    adopted = adopt(lease.token, HOSTS)
    assert adopted.hosts == {*HOSTS} - {claimed.host}
    assert Pending.objects.count() == len(HOSTS)
    assert Pending.objects.get(host=claimed.host).owner == claimed.lease.token


def test_worker_takes_what_a_drain_has_handed_to_the_queue_once_more(clock):
    """It may stand far behind in a long queue."""
    lease = open_lease(hosts=["media-1"])
    clock[0] += 301
    (claimed,) = claims.claim(1)
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
    (claimed,) = claims.claim(10)
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
        (claimed,) = claims.claim(10)
        claimed.lease.hand_over()
        patience.append(Pending.objects.get().due - clock[0])
    assert patience == [300, 600, 1200, 2400, 4800, 9600, 19200, 19200, 19200]


def test_workers_that_get_one_message_at_the_same_moment_hold_different_rows(monkeypatch):
    lease = open_lease(hosts=["media-1"])
    select, adopted = rows.select, []

    def select_late(where, limit=None):
        found = select(where, limit)
        if not adopted:
            adopted.append(None)
            adopted[:] = [adopt(lease.token)]
        return found

    monkeypatch.setattr(rows, "select", select_late)
    second = adopt(lease.token)
    assert {row.owner for row in Pending.objects.all()} == {adopted[0].token, second.token}
    assert adopted[0].token != second.token


def test_what_was_handed_over_is_taken_back_under_another_owner(clock):
    open_lease("a", ["media-1"])
    clock[0] += 301
    [claimed] = claims.claim(10)
    claimed.lease.hand_over()
    taken = claims.take_back(claimed)
    row = Pending.objects.get()
    assert row.owner == taken.lease.token != claimed.lease.token
    assert (row.opened_by, row.attempts, row.quiet_until, row.due) == ("", 0, clock[0] + 300, clock[0] + 300)
    assert claims.adopt_lease(claimed.lease.token, "default", ["media-1"], "a", present=True).hosts == frozenset()
    assert claims.take_back(claimed) is None
    taken.lease.settle([outcome("media-1")])
    assert Pending.objects.count() == 0


def test_what_rests_in_a_queue_is_stuck_after_two_leases(clock):
    open_lease("a", ["media-1"])
    clock[0] += 301
    [claimed] = claims.claim(10)
    assert not claimed.is_stuck
    claimed.lease.hand_over(1)
    clock[0] += 300
    [claimed] = claims.claim(10)
    assert not claimed.is_stuck
    claimed.lease.hand_over(2)
    clock[0] += 599
    assert claims.claim(10) == []
    clock[0] += 1
    [claimed] = claims.claim(10)
    assert claimed.is_stuck
    claimed.lease.release(0)
    [claimed] = claims.claim(10)
    assert claimed.is_stuck  # whoever had it has not handed it over
    claimed.lease.hand_over(2)
    claims.adopt_lease(claimed.lease.token, "default", ["media-1"], "a", present=True)
    clock[0] += 601
    [claimed] = claims.claim(10)
    assert not claimed.is_stuck  # a worker had it


def test_worker_is_told_for_which_hosts_nothing_was_pending(clock):
    lease = open_lease("a", ["media-1", "media-2", "media-3"])
    other = open_lease("a", ["media-3"])
    for _ in range(2):  # the second delivery does not know whether the first one has finished
        assert claims.adopt_lease(lease.token, "default", HOSTS, "a", present=True).caught_up == frozenset()
    Pending.objects.exclude(owner=other.token).delete()
    late = claims.adopt_lease(lease.token, "default", HOSTS, "a", present=True)
    assert late.caught_up == late.hosts == {"media-1", "media-2"}
    # Without a record of its own, nobody knows what it is about.
    assert claims.adopt_lease("", "default", HOSTS, "a", present=True).caught_up == frozenset()
