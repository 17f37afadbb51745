"""When somebody has drained or compared last."""

import time

import pytest

from kit.lives import ended_life
from resto.models import Run
from resto.record.latest import latest_of


pytestmark = pytest.mark.django_db(transaction=True)

NOW = time.time()


@pytest.fixture(autouse=True)
def _each_database(database):
    pass


def add(kind, storage="default", hosts="[]", *, ago, code=0, **values):
    """Make a run that has ended some seconds ago, unless it has not."""
    times = {"asked": 0.0, "started": NOW - ago, "seen": NOW - ago, "ended": None if code is None else NOW - ago}
    return Run.objects.create(kind=kind, storage=storage, hosts=hosts, code=code, **{**times, **values})


def test_nobody_so_far():
    add("sync", code=None, ago=1, seen=time.time())
    add("drain", code=None, ago=1, started=None, seen=None)
    latest = latest_of()
    assert latest.drained("default", "http://one/") is None
    assert latest.compared("default") is None
    assert latest.code_of_comparison("default") is None


def ago(moment):
    return round(NOW - moment)


def test_drains():
    """A process that stays counts by its signs of life, whether it lives or not; so does a drain that has failed."""
    add("drain", "", ago=70)
    add("drain", ago=60, code=1)
    add("watch", "static,default", code=None, ago=50)
    add("drain", hosts='["http://one/"]', ago=40)
    add("drain", "other", ago=30)
    add("sync", ago=20)
    latest = latest_of()
    assert ago(latest.drained("default", "http://one/")) == 40
    assert ago(latest.drained("default", "http://two/")) == 50
    assert ago(latest.drained("other", "http://two/")) == 30
    assert ago(latest.drained("third", "http://two/")) == 70


def test_comparisons():
    add("sync", "", ago=90)
    add("sync", ago=80)
    add("sync", ago=70, code=1)
    add("sync", ago=60, code=130)
    add("sync", ago=50, code=None, seen=time.time())
    add("sync", ago=40, hosts='["http://one/"]')
    add("sync", ago=30, options='{"prefix": "2026"}')
    add("drain", ago=20)
    latest = latest_of()
    assert (ago(latest.compared("default")), latest.code_of_comparison("default")) == (80, 130)
    assert (ago(latest.compared("other")), latest.code_of_comparison("other")) == (90, 0)


def test_comparison_that_was_killed():
    """It has no exit code; a shell would say this."""
    add("sync", ago=90)
    add("sync", ago=80, code=None, life=ended_life())
    assert latest_of().code_of_comparison("default") == 137
    add("sync", ago=70, code=None, seen=time.time())
    assert latest_of().code_of_comparison("default") == 137
    add("sync", ago=60)
    assert latest_of().code_of_comparison("default") == 0


def test_one_look_is_one_query(django_assert_num_queries):
    for number in range(50):
        add("drain", ago=number)
    with django_assert_num_queries(1):
        latest_of()
