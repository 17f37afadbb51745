"""What comparisons leave to drains."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from kit.record import FULL, open_lease, outcome
from resto.models import Pending
from resto.record import claims, compared, opening
from resto.record.compared import Left


pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]

PAIRS = st.tuples(st.sampled_from(["media-1", "media-2"]), st.sampled_from("abc"))


def pairs(storage="default"):
    return sorted(Pending.objects.filter(storage=storage).values_list("host", "name"))


@given(left=st.lists(st.lists(PAIRS, unique=True)), waiting=st.sets(PAIRS), held=st.sets(PAIRS))
def test_one_row_waits_for_each_pair(clock, left, waiting, held):
    """What somebody deals with does not count, as nothing may come of it."""
    Pending.objects.all().delete()
    for host, name in held:
        open_lease(name, [host])
    for host, name in waiting:
        open_lease(name, [host]).release(50)
    open_lease("a", ["media-1"], storage="other").release(0)
    for some in left:
        compared.leave("default", some, present=True)
    wanted = {pair for some in left for pair in some}
    assert pairs() == sorted([*held, *waiting, *(wanted - waiting)])
    assert compared.count_waiting("default") == len(wanted - waiting)


def test_rows_are_due_at_once_and_say_what_is_to_be_done(clock):
    compared.leave("default", [("media-1", "a")], present=True)
    compared.leave("default", [("media-1", "b")], present=False)
    assert [(one.name, one.present, one.is_restored) for one in claims.claim(10)] == [
        ("a", True, False),
        ("b", False, False),
    ]


def test_row_that_has_failed_is_still_that_of_a_comparison(clock):
    compared.leave("default", [("media-1", "a")], present=True)
    [one] = claims.claim(10)
    one.lease.settle([outcome("media-1", FULL)])
    assert compared.count_waiting("default") == 1


def test_hosts_are_left_to_be_filled(clock):
    for _ in range(2):
        compared.leave_fills("default", [("media-1", "a"), ("media-1", "b"), ("media-2", "a")])
    assert pairs() == [("media-1", "a"), ("media-1", "b"), ("media-2", "a")]
    mine = Pending.objects.order_by("id").values("digest", "key", "opened_by", "present", "quiet_until", "due")
    [lease] = opening.open_fills("default", "a", ["media-1"])
    lease.release(0)
    *_, other = [*mine]
    assert mine[0] == other
    assert compared.count_waiting("default") == 4


def test_few_statements_leave_many_names(clock):
    many = [("media-1", str(number)) for number in range(200)]
    with CaptureQueriesContext(connection) as queries:
        compared.leave("default", many, present=True)
    assert [query["sql"].split()[0] for query in queries] == ["SELECT", "SELECT", "INSERT", "INSERT"]


def test_what_is_left_is_what_was_there_at_the_time(clock):
    compared.leave("default", [("media-1", name) for name in "abc"], present=True)
    moment = clock[0]
    clock[0] += 1
    open_lease("new", ["media-1"])
    assert compared.left_of_host("default", "media-1", moment) == Left(3, 0)
    first, second = claims.claim(2)
    first.lease.settle([outcome("media-1")])
    second.lease.settle([outcome("media-1", FULL)])
    assert compared.left_of_host("default", "media-1", moment) == Left(2, 1)
    assert compared.left_of_host("default", "media-2", moment) == Left(0, 0)
