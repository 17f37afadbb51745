"""What a process leaves of what it does."""

import platform
import threading
from contextlib import suppress

import pytest
from django.core.management import CommandError
from django.db import DatabaseError

from kit.lives import ended_life
from resto.background import Helper
from resto.life import this_life
from resto.models import Run
from resto.progress import Progress
from resto.record import runs, traces, wishes
from resto.record.runs import WATCH
from resto.record.traces import Trace


pytestmark = pytest.mark.django_db(transaction=True)


def the_run():
    return Run.objects.get()


def test_a_run_from_its_beginning_to_its_end():
    with Trace("sync", ["default"], ["http://one/"], {"delete": True}) as trace:
        assert not Run.objects.exists()
        trace.begin()
        trace.begin()
        run = the_run()
        assert (run.kind, run.storage, run.hosts, run.options) == (
            "sync",
            "default",
            '["http://one/"]',
            '{"delete": true}',
        )
        assert run.machine == platform.node()
        assert run.asked <= run.started <= run.seen
        assert run.ended is None
        trace.note(Progress(3, 10, 30, 100, is_final=True))
        trace.end(1, counts={"sent": 3}, problems=["media-1 does not answer."], report={"x": 1})
        trace.end(0)
    run = the_run()
    assert run.ended >= run.started
    assert (run.code, run.counts, run.problems, run.report) == (
        1,
        '{"sent": 3}',
        '["media-1 does not answer."]',
        '{"x": 1}',
    )
    assert (run.done, run.total, run.is_total_final, run.sent_bytes, run.total_bytes) == (3, 10, True, 30, 100)


@pytest.mark.parametrize(
    ("error", "code", "problems"),
    [
        (KeyboardInterrupt(), 130, '["Interrupted."]'),
        (SystemExit(2), 2, "[]"),
        (SystemExit(), 0, "[]"),
        (SystemExit("no"), 1, "[]"),
        (CommandError("Not so.", returncode=3), 3, '["Not so."]'),
        (ValueError("x" * 2_000), 1, f'["{"x" * 1_000}"]'),
    ],
)
def test_an_error_ends_it(error, code, problems):
    trace = Trace("drain")
    trace.begin()
    with pytest.raises(type(error)), trace:
        raise error
    assert (the_run().code, the_run().problems) == (code, problems)


def claimed(begun):
    number = wishes.ask("sync", "default", [], "ann")
    Run.objects.update(begun=begun - 1)
    return wishes.begin(number)


@pytest.mark.parametrize(("begun", "code"), [(1, None), (2, None), (3, 130)])
def test_what_was_asked_for_waits_again_if_it_is_interrupted(begun, code):
    with suppress(KeyboardInterrupt), Trace("sync", ["default"], asked=claimed(begun)) as trace:
        trace.begin()
        trace.note(Progress(5, 7))
        raise KeyboardInterrupt
    trace.end(0)
    run = the_run()
    assert (run.begun, run.code) == (begun, code)
    if code is None:
        assert (run.started, run.seen, run.ended, run.machine, run.process) == (None, None, None, "", None)
        assert (run.life, run.done, run.total) == ("", 0, None)


def test_what_was_asked_for_and_fails_does_not_wait_again():
    with pytest.raises(ValueError, match="no"), Trace("sync", ["default"], asked=claimed(1)):
        raise ValueError("no")
    assert (the_run().code, the_run().problems) == (1, '["no"]')


def test_a_run_says_which_process_that_is():
    with Trace("sync") as trace:
        trace.begin()
        assert the_run().life == this_life() != ""
    Trace("drain").renew()
    assert Run.objects.get(kind="drain").life == this_life()


def test_processes_that_are_always_killed_leave_few_rows(monkeypatch):
    monkeypatch.setattr(runs, "MOST", 3)
    for _ in range(6):
        killed = Trace(WATCH)
        killed.begin()
        killed._give_no_more_signs()
        Run.objects.update(life=ended_life(), seen=1.0)
    assert Run.objects.count() == 3


def test_what_is_never_begun_leaves_nothing():
    with Trace("drain") as trace:
        trace.note(Progress(0))
    assert not Run.objects.exists()


def test_nothing_due_is_one_row_for_each_machine(monkeypatch):
    for _ in range(3):
        Trace("drain").renew()
    first = the_run()
    assert (first.done, first.code) == (0, 0)
    with Trace("drain") as trace:
        trace.begin()
        trace.end(0, counts={"sent": 1})
    Trace("drain").renew()
    assert Run.objects.count() == 2
    first.refresh_from_db()
    assert first.ended >= Run.objects.exclude(pk=first.pk).get().ended
    monkeypatch.setattr(platform, "node", lambda: "another")
    Trace("drain").renew()
    assert Run.objects.count() == 3


@pytest.fixture
def signs(monkeypatch):
    """Signs of life come at once, and again and again."""
    helper = Helper()
    given = threading.Semaphore(0)
    give = Trace._give_sign

    def give_and_tell(self):
        give(self)
        given.release()

    monkeypatch.setattr(Trace, "_give_sign", give_and_tell)
    monkeypatch.setattr(traces, "HELPER", helper)
    monkeypatch.setattr(traces, "interval", lambda: 0.001)
    yield given
    helper.end()


def wait_for_next(signs):
    """Wait for a sign of life that has begun after this call."""
    while signs.acquire(blocking=False):
        pass
    for _ in range(2):
        assert signs.acquire(timeout=60)


@pytest.mark.usefixtures("database")
def test_signs_of_life_tell_how_far_it_is(signs):
    with Trace("sync", ["default"]) as trace:
        trace.begin()
        began = the_run().seen
        trace.note(Progress(5, 7))
        wait_for_next(signs)
        assert (the_run().done, the_run().total) == (5, 7)
        assert the_run().seen >= began
    assert the_run().code == 0


def test_signs_of_a_process_tell_how_it_is(signs):
    state = {"breakers": {}}
    with Trace(WATCH, report=lambda: state) as trace:
        trace.begin()
        assert the_run().report == '{"breakers": {}}'
        state["breakers"] = {"http://one/": "open"}
        wait_for_next(signs)
        assert the_run().report == '{"breakers": {"http://one/": "open"}}'


def test_a_process_that_stays_is_written_down_again_where_the_record_was_made_anew(signs):
    with Trace(WATCH, report=lambda: {"breakers": []}) as trace:
        trace.begin()
        Run.objects.all().delete()
        wait_for_next(signs)
        assert (the_run().kind, the_run().report, the_run().ended) == (WATCH, '{"breakers": []}', None)
        first = the_run().pk
        wait_for_next(signs)
        assert the_run().pk == first
    assert the_run().code == 0


def test_a_process_that_stays_is_written_down_as_soon_as_the_record_is_there(signs, monkeypatch):
    def fail(connection):
        raise DatabaseError("gone")

    with Trace(WATCH) as trace:
        with monkeypatch.context() as patch:
            patch.setattr(traces, "runs_in", fail)
            trace.begin()
        assert not Run.objects.exists()
        wait_for_next(signs)
        assert (the_run().kind, the_run().ended) == (WATCH, None)
    assert the_run().code == 0


def test_nothing_is_said_of_a_run_of_another_process_that_has_got_the_number(signs):
    with Trace("sync", ["default"]) as trace:
        trace.begin()
        Run.objects.update(life="another", process=1, seen=1.0)
        wait_for_next(signs)
    assert (the_run().seen, the_run().ended) == (1.0, None)


def test_signs_end_with_it(signs):
    with Trace("sync") as trace:
        trace.begin()
        wait_for_next(signs)
    helper = traces.HELPER
    helper.end()
    assert helper._thread is None or not helper._thread.is_alive()


def test_signs_that_cannot_be_given_stop_nothing(signs, monkeypatch):
    with Trace("sync") as trace:
        trace.begin()

        def fail(connection):
            raise DatabaseError("locked")

        with monkeypatch.context() as patch:
            patch.setattr(traces, "runs_in", fail)
            wait_for_next(signs)
    assert the_run().code == 0


def test_a_record_that_cannot_be_used_stops_nothing(monkeypatch):
    def fail(connection):
        raise DatabaseError("gone")

    monkeypatch.setattr(traces, "runs_in", fail)
    with Trace("sync") as trace:
        trace.begin()
        trace.note(Progress(1))
        trace.end(0)
        trace.renew()


def test_without_the_record_nothing_is_left(settings):
    settings.INSTALLED_APPS = [app for app in settings.INSTALLED_APPS if app != "resto"]
    with Trace("sync") as trace:
        trace.begin()
    trace.renew()
    assert not Run.objects.exists()
