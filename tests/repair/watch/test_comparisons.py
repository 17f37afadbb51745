"""Comparisons begin when they are due, once."""

import time

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages

from kit.lives import ended_life
from resto.models import Run
from resto.record import leases
from resto.record.turns import Turn
from resto.repair.watch import alone
from resto.repair.watch.comparisons import Comparisons
from resto.repair.watch.schedule import Schedule


pytestmark = pytest.mark.django_db

HOUR = 3_600.0


@pytest.fixture
def passes(monkeypatch):
    """A function that lets time pass for whoever waits to look again."""
    now = [1_000.0]
    monkeypatch.setattr(leases, "monotonic", lambda: now[0])

    def passes(seconds):
        now[0] += seconds

    return passes


@pytest.fixture(autouse=True)
def storage(settings, media_root, resto_server_factory, passes, identities_apply):
    options = {"hosts": [resto_server_factory().url], "transport": "webdav"}
    settings.STORAGES = {"default": {"BACKEND": "resto.storage.HybridStorage", "OPTIONS": options}}
    storages["default"].save("a", ContentFile(b"content"))
    return storages["default"]


def make(every=HOUR):
    return Comparisons(Schedule(every))


def add(ended, code=0, options="{}", **values):
    """A comparison that has ended so many seconds ago, unless that is None."""
    now = time.time()
    end = None if ended is None else now - ended
    times = {"asked": now - 9_000, "started": now - 9_000, "seen": now, "ended": end}
    values = {"code": None if ended is None else code, "options": options, **times, **values}
    return Run.objects.create(kind="sync", storage="default", **values)


def test_the_first_one_begins_at_once_and_only_once():
    one, other = make(), make()
    run = one.claim()
    assert (run.kind, run.storage, run.hosts, run.options, run.asked_by) == ("sync", "default", (), {}, "")
    assert run.state == "under way"
    assert one.claim() is None
    assert other.claim() is None
    assert other.due == {}
    assert Run.objects.count() == 1


def test_of_two_that_look_at_the_same_time_one_begins(monkeypatch):
    """The other one begins between the look and the turn."""
    late, others = make(), []
    real = alone.Turn

    def turn(*args):
        if not others:
            others.append(None)
            others.append(make().claim())
        return real(*args)

    monkeypatch.setattr(alone, "Turn", turn)
    assert late.claim() is None
    assert others[1] is not None
    assert Run.objects.count() == 1


@pytest.mark.parametrize(
    ("run", "is_due"),
    [
        ({"ended": 1_800}, False),
        ({"ended": 1_800, "code": 1}, False),
        ({"ended": 3_700}, True),
        ({"ended": 1_800, "code": 130}, True),
        ({"ended": 1_800, "code": 143}, True),
        ({"ended": 1_800, "options": '{"dry_run": true}'}, True),
        ({"ended": 1_800, "options": '{"prefix": "a"}'}, True),
        ({"ended": 1_800, "hosts": '["http://media-1/"]'}, True),
        ({"ended": None}, False),
        ({"ended": None, "seen": time.time() - 3_600}, True),
        ({"ended": None, "options": '{"prefix": "a"}'}, False),
        ({"ended": None, "storage": "other"}, True),
        ({"ended": 1_800, "storage": "other"}, True),
    ],
)
def test_whether_it_is_due_after_another_one(run, is_due):
    values = {"storage": "default", **run}
    storage = values.pop("storage")
    add(**values)
    Run.objects.update(storage=storage)
    assert (make().claim() is not None) is is_due


def test_it_is_due_at_once_after_one_that_was_killed():
    add(None, life=ended_life())
    assert make().claim() is not None


def test_it_looks_each_minute_and_when_it_is_due(passes, django_assert_num_queries):
    add(HOUR - 90)
    found = make()
    assert found.claim() is None
    assert found.due["default"] == pytest.approx(time.time() + 90, abs=5)
    passes(59)
    with django_assert_num_queries(0):
        assert found.claim() is None
    Run.objects.update(ended=time.time() - HOUR + 10)
    passes(2)
    assert found.claim() is None
    passes(9)
    with django_assert_num_queries(0):
        assert found.claim() is None
    Run.objects.update(ended=time.time() - HOUR - 1)
    passes(2)
    assert found.claim() is not None


def test_a_directory_that_is_not_the_master_copy_is_left_to_others(media_root, passes):
    (media_root / ".resto.master").unlink()
    found = make()
    assert found.claim() is None
    assert not Run.objects.exists()


def test_nothing_is_compared_while_the_master_copy_is_being_restored(passes):
    found = make()
    with Turn("default", "restore"):
        assert found.claim() is None
    assert not Run.objects.exists()
    passes(61)
    assert found.claim() is not None


def test_a_storage_without_hosts_is_not_compared(settings):
    options = {"hosts": "none"}
    settings.STORAGES = {"default": {"BACKEND": "resto.storage.HybridStorage", "OPTIONS": options}}
    assert make().claim() is None
