"""What is pending for each host."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.record import FULL, REFUSED, SILENT, open_lease, outcome
from resto.models import Pending
from resto.record import backlog, claims


pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]


def backlog_of(host="media-1"):
    return backlog.backlog_of("default").get(host, backlog.NOTHING)


def test_backlog_of_a_storage(clock):
    assert backlog.backlog_of("default") == {}
    open_lease("a", ["media-1"]).settle([outcome("media-1", REFUSED)])
    clock[0] += 10
    open_lease("b", ["media-1", "media-2"])
    open_lease("c", ["media-3"], storage="other")
    assert backlog.backlog_of("default") == {
        "media-1": backlog.Backlog(1, has_more=False, under_way=1, oldest=10, due=-9, error="refused"),
        "media-2": backlog.Backlog(0, has_more=False, under_way=1, oldest=None, due=None, error=""),
    }


def test_lease_that_has_ended_leaves_something_pending(clock):
    open_lease("a", ["media-1"])
    assert (backlog_of().count, backlog_of().under_way) == (0, 1)
    clock[0] += 300
    assert (backlog_of().count, backlog_of().under_way, backlog_of().due) == (1, 0, 0)
    [one] = claims.claim(1)
    assert (backlog_of().count, backlog_of().under_way) == (0, 1)
    one.lease.settle([outcome("media-1", FULL)])
    clock[0] += 1
    claims.claim(1)
    assert (backlog_of().count, backlog_of().under_way, backlog_of().error) == (1, 0, "full")  # it has failed


@pytest.mark.parametrize("leave", ["hand_over", "release", "forbid"])
def test_what_nobody_holds_is_pending(clock, leave):
    lease = open_lease("a", ["media-1"])
    if leave == "hand_over":
        lease.hand_over()
    elif leave == "release":
        lease.release(50)
    else:
        lease.settle([outcome("media-1", SILENT)])
    assert (backlog_of().count, backlog_of().under_way) == (1, 0)


def test_row_of_a_clock_that_was_wrong_is_not_under_way_for_ever(clock):
    clock[0] += 10 * 365 * 86_400
    open_lease("a", ["media-1"])
    clock[0] -= 10 * 365 * 86_400
    assert (backlog_of().count, backlog_of().under_way) == (1, 0)


@pytest.mark.parametrize("created", [10 * 365 * 86_400, float("inf")])
def test_row_of_a_time_that_is_still_to_come_has_just_been_made(clock, created):
    open_lease("a", ["media-1"])
    Pending.objects.update(created=clock[0] + created)
    clock[0] += 300
    assert backlog_of().oldest == 0


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=8))
def test_names_are_counted_and_not_rows(clock, changes):
    Pending.objects.all().delete()
    for name, fails in changes:
        lease = open_lease(name, ["media-1"])
        if fails:
            lease.settle([outcome("media-1", FULL)])
    pending = {name for name, fails in changes if fails}
    under_way = {name for name, _ in changes} - pending
    assert (backlog_of().count, backlog_of().under_way) == (len(pending), len(under_way))


def test_counting_stops(clock, monkeypatch):
    monkeypatch.setattr(backlog, "MOST", 3)
    for name in "abcd":
        assert not backlog_of().has_more
        open_lease(name, ["media-1"]).settle([outcome("media-1", FULL if name == "d" else REFUSED)])
        clock[0] += 10
    open_lease("e", ["media-1"])
    found = backlog_of()
    assert (found.count, found.has_more, found.under_way, found.oldest, found.error) == (3, True, 1, 40, "full")
