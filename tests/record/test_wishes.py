"""What was asked for waits, is begun by one process, and again if that ends in the middle of it."""

import os
import platform
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.lives import ended_life
from resto.models import Run
from resto.record import wishes
from resto.record.runs import MOST_TIMES
from resto.record.traces import Trace
from resto.record.wishes import ask, begin, give_back, waiting, withdraw


pytestmark = pytest.mark.django_db(transaction=True)

on_each_database = pytest.mark.usefixtures("database")

KINDS = ("drain", "sync", "probe")


def claim():
    """Begin what waits for longest."""
    return next((run for one in waiting(KINDS) if (run := begin(one.id)) is not None), None)


@on_each_database
def test_what_is_asked_for_twice_is_done_once():
    first = ask("sync", "default", ["http://one/"], "alice", {"delete": False})
    assert ask("sync", "default", ["http://one/"], "bob", {"delete": False}) == first
    assert ask("sync", "default", [], "bob", {"delete": False}) != first
    run = claim()
    assert (run.id, run.machine, run.process) == (first, platform.node(), os.getpid())
    assert (run.asked_by, run.state, run.begun) == ("alice", "under way", 1)
    assert run.hosts == ("http://one/",)
    assert run.options == {"delete": False}
    assert ask("sync", "default", ["http://one/"], "bob", {"delete": False}) != first
    assert claim() is not None
    assert claim() is not None
    assert claim() is None


def test_a_lost_race_is_no_claim():
    """Somebody else begins it between the look and the claim."""
    ask("sync", "default", [], "alice")
    [late] = waiting(KINDS)
    assert begin(late.id) is not None
    assert begin(late.id) is None


@on_each_database
def test_of_each_kind_and_storage_the_oldest_comes_first_whatever_else_waits(django_assert_max_num_queries):
    first = [ask("sync", "default", [], "ann"), ask("probe", "other", [], "ann"), ask("sync", "", [], "ann")]
    wish = {"kind": "sync", "storage": "default", "asked": 1.0, "asked_by": "ann"}
    Run.objects.bulk_create(Run(**wish, options=f'{{"prefix": "{number}"}}') for number in range(2_000))
    ask("restore", "default", [], "ann")
    last = ask("drain", "default", [], "ann")
    with django_assert_max_num_queries(4):
        assert [run.id for run in waiting(KINDS)] == [*first, last]
    assert [run.id for run in waiting(["probe"])] == [first[1]]
    assert begin(first[0]) is not None
    assert [run.id for run in waiting(KINDS)] == [first[1], first[2], first[0] + 3, last]


def end_by_itself(run, code):
    with Trace(run.kind, [run.storage], asked=run) as trace:
        trace.begin()
        trace.end(code)


def be_interrupted(run, code):
    with suppress(KeyboardInterrupt), Trace(run.kind, [run.storage], asked=run) as trace:
        trace.begin()
        raise KeyboardInterrupt


def be_killed(run, code):
    Run.objects.filter(id=run.id).update(life=ended_life())


def fall_silent(run, code):
    Run.objects.filter(id=run.id).update(seen=1.0)


@given(
    ends=st.lists(
        st.tuples(st.sampled_from([end_by_itself, be_interrupted, be_killed, fall_silent]), st.integers(0, 2)),
        min_size=5,
        max_size=5,
    )
)
def test_it_is_begun_until_it_comes_to_its_end_but_not_for_ever(ends):
    number = ask("sync", "default", [], "ann")
    times = 0
    for end, code in ends:
        run = claim()
        if run is None:
            break
        times += 1
        assert (run.id, run.begun, run.asked_by) == (number, times, "ann")
        end(run, code)
    by_itself = [count for count, (end, _) in enumerate(ends, 1) if end is end_by_itself]
    assert times == min([*by_itself, MOST_TIMES])
    assert claim() is None
    Run.objects.all().delete()


@pytest.mark.parametrize("end", [be_killed, fall_silent, be_interrupted])
def test_what_nobody_has_asked_for_is_not_begun_again(end):
    """Such as a comparison that is due: it is due again anyway."""
    ask("sync", "default", [], "")
    end(claim(), 0)
    assert claim() is None


@on_each_database
def test_who_has_stood_still_changes_nothing_of_what_somebody_else_has_begun():
    ask("sync", "default", [], "ann")
    late = claim()
    fall_silent(late, 0)
    run = claim()
    end_by_itself(late, 1)
    assert not give_back(late.id, late.begun)
    found = Run.objects.get()
    assert (found.ended, found.begun, found.started) == (None, 2, run.started)
    end_by_itself(run, 0)
    assert Run.objects.get().code == 0


@on_each_database
def test_withdrawn_is_what_waits():
    waits, dead, alive, done = (ask("sync", "default", [], "ann", {"number": number}) for number in range(4))
    for number in (dead, alive, done):
        assert begin(number) is not None
    be_killed(Run.objects.get(id=dead), 0)
    Run.objects.filter(id=done).update(ended=2.0, code=0)
    assert withdraw([waits, dead, alive, done, done + 1], "bob") == 2
    assert withdraw([waits, dead], "bob") == 0
    assert claim() is None
    found = {run.id: run for run in wishes.find(wishes.Q(), 10)}
    assert [found[one].state for one in (waits, dead, alive, done)] == ["withdrawn", "withdrawn", "under way", "done"]
    assert found[waits].problems == ("withdrawn by bob",)
    assert ask("sync", "default", [], "ann", {"number": 0}) != waits
