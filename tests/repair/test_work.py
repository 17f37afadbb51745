"""Who drains and compares."""

import time

import pytest

from kit.lives import ended_life
from resto.models import Run
from resto.record import database
from resto.repair.work import work_on


pytestmark = pytest.mark.django_db(transaction=True)


def add(kind, storage="default", *, silent=0.0, ended=True, **values):
    now = time.time()
    times = {"asked": now - silent, "started": now - silent, "seen": now - silent}
    end = {"ended": now - silent, "code": 0} if ended else {}
    return Run.objects.create(kind=kind, storage=storage, **{**times, **end, **values}).pk


def test_nobody_has_done_anything():
    work = work_on("default")
    assert not work.is_known
    assert (work.watching, work.died, work.drained, work.compared, work.agreed) == ((), None, None, None, None)


def test_nothing_is_recorded(monkeypatch):
    monkeypatch.setattr(database, "is_active", lambda: False)
    assert work_on("default") is None


def test_somebody_watches():
    first = add("watch", "", ended=False)
    add("watch", "other", ended=False)
    add("watch", "", ended=False, silent=3600)
    work = work_on("default")
    assert [run.id for run in work.watching] == [first]
    assert work.died is None


def test_who_watched_has_died():
    dead = add("watch", "", ended=False, silent=3600)
    assert work_on("default").died.id == dead
    add("drain", silent=7200)
    assert work_on("default").died.id == dead
    add("drain", "other")
    assert work_on("default").died.id == dead
    add("drain", "default")
    assert work_on("default").died is None


def test_who_has_ended_is_not_dead():
    add("watch", "", silent=3600)
    assert work_on("default").died is None


def test_comparisons():
    good = add("sync")
    bad = add("sync", code=1)
    add("sync", options='{"prefix": "d"}')
    work = work_on("default")
    assert (work.agreed.id, work.compared.id, work.judged.id) == (good, bad, bad)


@pytest.mark.parametrize(
    ("values", "is_in_doubt"),
    [
        ({}, False),
        ({"code": 1}, True),
        ({"code": 130}, True),
        ({"ended": False}, False),
        ({"ended": False, "silent": 3600}, True),
        ({"options": '{"prefix": "d"}', "code": 1}, False),
        ({"started": None, "seen": None, "code": None}, False),  # it was withdrawn
    ],
)
def test_doubt(values, is_in_doubt):
    assert not work_on("default").is_in_doubt
    add("sync", silent=7200)
    run = add("sync", **values)
    work = work_on("default")
    assert work.is_in_doubt is is_in_doubt
    if is_in_doubt:
        add("sync", ended=False)
        assert work_on("default").judged.id == run


def test_one_that_lives_is_found_among_many_that_were_killed():
    alive = add("watch", "", ended=False)
    for _ in range(60):
        add("watch", "", ended=False, silent=3600)
    work = work_on("default")
    assert ([run.id for run in work.watching], work.died) == ([alive], None)


def test_who_was_killed_is_known_to_be_dead_at_once():
    dead = add("watch", "", ended=False, life=ended_life())
    assert work_on("default").died.id == dead
