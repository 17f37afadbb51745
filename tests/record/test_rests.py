"""No row rests longer than it must, and nobody waits for the rows of others."""

import random

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext, override_settings
from hypothesis import given
from hypothesis import strategies as st

from kit.record import FULL, REFUSED, SILENT, open_lease, outcome
from resto.models import Pending
from resto.record import claims, leases, opening, rests


pytestmark = [pytest.mark.django_db]

YEARS = 10 * 365 * 86_400


def names(work):
    return sorted(one.name for one in work)


# A host that answers again.


@pytest.fixture
def parts(clock, monkeypatch):
    """Rows are made due two at a time."""
    monkeypatch.setattr(rests, "PART", 2)
    return clock


def miss(*names, storage="default", hosts=("media-1",)):
    for name in names:
        for host in hosts:
            open_lease(name, [host], storage).settle([outcome(host, REFUSED)])


def test_a_save_makes_one_part_due(parts):
    miss("a", "b", "c", "d", "e")
    for number in range(3):
        open_lease(f"saved {number}", ["media-1"]).settle([outcome("media-1")])
    assert names(claims.claim(10)) == ["a", "b"]


def test_a_drain_goes_on(parts):
    miss("a", "b", "c", "d", "e", hosts=["media-1", "media-2"])
    miss("f", storage="other")
    found = []
    for number in range(5):
        [lease] = opening.open_leases("default", [("media-1", f"drained {number}")])
        leases.settle_leases([(lease, outcome("media-1"))] * 3)
        found.append(names(claims.claim(10)))
    assert found == [["a", "b"], ["c", "d"], ["e", "f"], [], []]


def test_a_part_that_is_due_at_one_moment_is_followed_by_the_rest_of_it(parts):
    leases._unreachable.add("media-1")
    opened = opening.open_leases("default", [("media-1", name) for name in "abcde"])
    leases.release_leases(opened, 50)
    reached, found = rests.Reached(), []
    while reached is not None:
        reached = rests.hasten("media-1", parts[0], reached)
        found.append(names(claims.claim(10)))
    assert found == [["a", "b"], ["c", "d"], ["e"]]


def test_what_fails_for_a_reason_of_its_own_is_not_hastened_for_ever(parts, monkeypatch):
    """With each part that is made due, it would be refused again."""
    monkeypatch.setattr(leases, "retry_delay", lambda retries: min(2.0**retries, 600) * random.uniform(0.8, 1.2))
    leases._unreachable.add("media-1")
    miss(*(f"{number}" for number in range(20)))
    for number in range(5):  # more than a part
        open_lease(f"refused {number}", ["media-1"]).settle([outcome("media-1", FULL)])
    tried = 0
    for _ in range(150):
        parts[0] += 0.1
        work = claims.claim(2)
        [lease] = opening.open_leases("default", [("media-1", "another")])
        settled = [(one.lease, outcome("media-1", FULL if "refused" in one.name else None)) for one in work]
        tried += sum("refused" in one.name for one in work)
        leases.settle_leases([*settled, (lease, outcome("media-1"))])
    assert Pending.objects.count() == 5
    assert tried <= 5 * 15


# A clock that was wrong.


def failed(error):
    open_lease("a", ["media-1"]).settle([outcome("media-1", error)])


def handed_over(error):
    open_lease("a", ["media-1"]).hand_over()


def released(error):
    open_lease("a", ["media-1"]).release(7)


def killed(error):
    open_lease("a", ["media-1"])


@pytest.mark.parametrize(
    ("leave", "error", "seconds"),
    [
        (failed, REFUSED, 0),
        (failed, FULL, 0),
        (failed, SILENT, 300),
        (released, None, 0),
        (killed, None, 300),
        (handed_over, None, 300),
    ],
)
def test_row_of_a_clock_that_was_wrong_rests_no_longer_than_somebody_may_be_at_work(clock, leave, error, seconds):
    clock[0] += YEARS
    leave(error)
    clock[0] -= YEARS
    if seconds:
        assert claims.claim(10) == []
        clock[0] += seconds - 1
        assert claims.claim(10) == []
        clock[0] += 1
    assert names(claims.claim(10)) == ["a"]


def test_who_holds_a_row_by_a_clock_that_is_wrong_keeps_it_while_renewing(clock, monkeypatch):
    monkeypatch.setattr(leases, "clock", lambda: clock[0] + YEARS)
    lease = open_lease("a", ["media-1"])
    for _ in range(10):
        monkeypatch.setattr(leases, "clock", lambda: clock[0])
        assert claims.claim(10) == []
        clock[0] += 150
        assert claims.claim(10) == []
        monkeypatch.setattr(leases, "clock", lambda: clock[0] + YEARS)
        lease.keep()


@given(
    steps=st.lists(
        st.tuples(st.sampled_from([REFUSED, FULL, SILENT, "hand over", "release"]), st.integers(0, 9)), max_size=8
    ),
    ahead=st.sampled_from([0, 3600, 30 * 86_400, YEARS]),
    lease=st.sampled_from([2, 300]),
)
def test_any_row_is_claimed_after_the_longest_rest(clock, steps, ahead, lease):
    """Whatever was done with it, and whatever the clock of whoever did it said."""
    with override_settings(RESTO_LEASE=lease, RESTO_GRACE=lease / 2):
        _require_claim_after_the_longest_rest(clock, steps, ahead)


def _require_claim_after_the_longest_rest(clock, steps, ahead):
    Pending.objects.all().delete()
    now = clock[0]
    held = open_lease("a", ["media-1"])
    for step, attempts in steps:
        clock[0] = now + ahead
        held._attempts = attempts
        if step == "hand over":
            held.hand_over()
        elif step == "release":
            held.release(attempts)
        else:
            held.settle([outcome("media-1", step)])
    clock[0] = now
    claimed = claims.claim(1)
    rest = rests.longest_rest()
    assert Pending.objects.get().due <= now + rest
    clock[0] = now + rest
    assert claimed or claims.claim(1)


def test_nothing_far_ahead_costs_one_look(clock):
    open_lease("a", ["media-1"])
    with CaptureQueriesContext(connection) as queries:
        rests.call_back(clock[0])
    assert len(queries) == 1
