"""What a process that stays does beside draining; `management/test_watching.py` has processes."""

import threading

import pytest

from resto.clock import monotonic
from resto.models import Run
from resto.record import runs, wishes
from resto.repair.watch import Attendant, Schedule, attendant
from resto.repair.watch.errands import Errands


PATIENCE = 300

pytestmark = pytest.mark.django_db


@pytest.fixture
def going_on(monkeypatch):
    """What is done takes until this is set, and checks then; it does not use the database, which is that of the test's thread."""
    going_on = threading.Event()

    def do(self, run, check):
        going_on.wait(PATIENCE)
        check()

    monkeypatch.setattr(Errands, "do", do)
    yield going_on
    going_on.set()


@pytest.fixture
def storage(settings, media_root, resto_server_factory):
    options = {"hosts": [resto_server_factory().url], "transport": "webdav"}
    settings.STORAGES = {"default": {"BACKEND": "resto.storage.HybridStorage", "OPTIONS": options}}


def begun():
    return sorted(run.kind for run in runs.under_way(100) if run.started is not None)


def test_one_of_each_kind_at_a_time(storage, going_on):
    told = []
    with Attendant(tell=told.append) as found:
        for kind in ("sync", "sync", "probe"):
            wishes.ask(kind, "default", [], "alice", {"number": len(runs.under_way(100))})
        assert found.report() == {"breakers": [], "doing": [], "comparisons_due": {}}
        for _ in range(3):
            found.look()
        assert begun() == ["probe", "sync"]
        assert sorted((one["kind"], one["storage"]) for one in found.report()["doing"]) == [
            ("probe", "default"),
            ("sync", "default"),
        ]
        going_on.set()
        for aside in found._asides.values():
            aside.join(monotonic() + PATIENCE)
        assert Run.objects.filter(kind="sync", started__isnull=False).update(ended=1.0) == 1
        found.look()
        assert begun() == ["probe", "sync"]
    assert told == []


def test_what_is_due_comes_before_what_was_asked_for(storage, going_on):
    with Attendant(["default"], Schedule(3_600), tell=print) as found:
        wishes.ask("sync", "default", [], "alice", {"checksum": True})
        found.look()
        [run] = [run for run in runs.under_way(100) if run.started is not None]
        assert run.options == {}
        going_on.set()


def test_the_end_does_not_wait_for_long(storage, going_on, monkeypatch):
    monkeypatch.setattr(attendant, "PATIENCE", 0.01)
    with Attendant(tell=print) as found:
        wishes.ask("sync", "default", [], "alice")
        found.look()
    assert found._asides["sync"].is_busy
