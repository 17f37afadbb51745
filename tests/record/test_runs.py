"""Runs, as they are found."""

import time

import pytest
from django.db.models import Q

from kit.lives import ended_life
from resto.life import this_life
from resto.models import Run
from resto.record import runs
from resto.record.runs import DatabaseClock, find, last_of, last_runs, prune, row_of, under_way, watching


pytestmark = pytest.mark.django_db(transaction=True)

DAY = 86_400.0


@pytest.fixture(autouse=True)
def _each_database(database):
    pass


def add(kind="sync", storage="default", *, ended=0.0, **values):
    """Make a run that has ended, unless it has not; times are seconds ago."""
    now = time.time()
    end = None if ended is None else now - ended
    times = {"asked": now - 10, "started": now - 10, "seen": now, "ended": end, **values}
    return Run.objects.create(kind=kind, storage=storage, **{"code": None if ended is None else 0, **times}).pk


def test_the_clock_is_that_of_the_database():
    add()
    before = time.time()
    [run] = find(Q(), 1)
    assert before - 2 < run.now < time.time() + 2  # MariaDB has whole seconds and a fraction, SQLite milliseconds


def test_the_clock_can_be_written():
    before = time.time()
    Run.objects.create(kind="sync", asked=DatabaseClock())
    Run.objects.update(started=DatabaseClock())
    [run] = find(Q(), 1)
    assert before - 2 < run.asked <= run.started <= run.now


@pytest.mark.parametrize(
    ("values", "state"),
    [
        ({"started": None, "seen": None, "ended": None}, "asked"),
        ({"ended": None}, "under way"),
        ({"ended": None, "seen": time.time() - 3600}, "dead"),
        ({"ended": None, "life": "here"}, "under way"),
        ({"ended": None, "life": "there"}, "dead"),
        ({"ended": None, "life": "here", "seen": time.time() - 3600}, "dead"),
        ({"life": "there"}, "done"),
        ({"started": None, "seen": None}, "withdrawn"),
        ({}, "done"),
        ({"code": 1}, "failed"),
        ({"code": 130}, "failed"),
    ],
)
def test_state(values, state):
    lives = {"here": this_life, "there": ended_life}
    add(**values | ({"life": lives[values["life"]]()} if "life" in values else {}))
    [run] = find(Q(), 1)
    assert run.state == state


def test_a_run_is_dead_after_six_signs_of_life_that_are_missing():
    now = time.time()
    add(ended=None, seen=now - 5 * runs.interval())
    add(ended=None, seen=now - 7 * runs.interval())
    assert [run.state for run in find(Q(), 2)] == ["dead", "under way"]


def test_run_of_the_model():
    number = add(hosts='["http://one/"]', counts='{"sent": 1}')
    run = row_of(Run.objects.annotate(now=DatabaseClock()).get())
    assert (run.id, run.hosts, run.counts, run.state) == (number, ("http://one/",), {"sent": 1}, "done")


def test_last_of():
    assert last_of("sync", "default") is None
    good = add()
    bad = add(code=1)
    add("drain")
    add(storage="other")
    add(hosts='["http://one/"]')
    add(started=None, ended=None, seen=None)
    assert last_of("sync", "default").id == bad
    assert last_of("sync", "default", succeeded=True).id == good
    every = add(storage="")
    assert last_of("sync", "default").id == every
    some = add(storage="static,default")
    assert last_of("sync", "default").id == some
    assert last_of("sync", "fault") is not None  # the one of all
    assert last_of("sync", "fault").id == every


def test_only_living_processes_watch():
    now = time.time()
    alive = add("watch", "", ended=None)
    add("watch", "", ended=None, seen=now - 3600)
    add("watch", "", ended=None, life=ended_life())
    add("watch", "")
    assert [run.id for run in watching()] == [alive]


def test_what_is_under_way_and_what_nobody_is_at_any_more():
    """What was asked for and has died in the middle of it waits, but not for ever."""
    waits = {"ended": None, "started": None, "seen": None}
    open_ones = [add(ended=None), add(**waits), add(ended=None, seen=1.0, asked_by="ann", begun=2)]
    over = [add(ended=None, seen=1.0), add(ended=None, life=ended_life()), add(), add(code=1)]
    over += [add(ended=None, seen=1.0, asked_by="ann", begun=3), add(started=None, seen=None, code=None)]
    add("watch", ended=None)
    add("watch")
    assert [run.id for run in under_way(100)] == open_ones[::-1]
    assert [run.id for run in under_way(1)] == open_ones[2:]
    assert [run.id for run in last_runs(100)] == over[::-1]
    assert [run.id for run in last_runs(2)] == over[:-3:-1]


def test_last_comparison_that_is_over():
    assert last_of("sync", "default", is_over=True) is None
    done = add()
    add(ended=None)
    assert last_of("sync", "default", is_over=True).id == done
    dead = add(ended=None, seen=1.0)
    add(ended=None)
    assert last_of("sync", "default", is_over=True).id == dead
    killed = add("sync", "other,default", ended=None, life=ended_life())
    assert last_of("sync", "default", is_over=True).id == killed


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setattr(runs, "MOST", 3)


def test_old_runs_go_but_not_the_last_that_succeeded(few):
    good = add()
    failed = [add(code=1) for _ in range(5)]
    other = [add(storage="other"), add("drain")]
    prune("sync", "default")
    assert set(Run.objects.values_list("pk", flat=True)) == {good, *failed[-3:], *other}


def test_runs_go_after_ninety_days():
    now = time.time()
    older = add(asked=now - 92 * DAY)
    old = add(asked=now - 91 * DAY)
    dead = add(asked=now - 91 * DAY, ended=None, seen=now - 91 * DAY)
    prune("sync", "default")
    assert set(Run.objects.values_list("pk", flat=True)) == {old}
    newer = add()
    prune("sync", "default")
    assert set(Run.objects.values_list("pk", flat=True)) == {newer}
    assert {older, dead}.isdisjoint(Run.objects.values_list("pk", flat=True))


def test_what_waits_and_who_lives_is_kept_however_many_others_there_are(few):
    alive, waits = add(ended=None), add(started=None, seen=None, ended=None)
    old = add(ended=None, asked=time.time() - 91 * DAY)
    dead = [add(ended=None, seen=1.0) for _ in range(5)]
    prune("sync", "default")
    assert set(Run.objects.values_list("pk", flat=True)) == {alive, waits, old, *dead[-3:]}
