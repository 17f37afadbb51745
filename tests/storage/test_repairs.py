"""Many repairs at a time, and the rows of the record that they are done under."""

import threading
import time

import pytest

from kit.record import pending_for
from resto.exceptions import LeaseLostError, TransportError
from resto.executors import Job
from resto.models import Pending
from resto.record.changes import current_lease
from resto.storage import repairs
from resto.storage.repairs import BATCH, recorded_jobs, run_repairs


pytestmark = pytest.mark.django_db

NAMES = [f"{number:03}" for number in range(BATCH + 10)]
PAIRS = [("one", name) for name in NAMES]


def job(host, name):
    lease = current_lease()
    return Job("repair", host, name, lambda: lease)


def test_each_job_is_done_under_a_row_of_its_own():
    leases = {}
    outcomes = list(run_repairs(recorded_jobs(PAIRS, leases, "default", job, None), leases, lambda outcome: None))
    assert sorted(outcome.name for outcome in outcomes) == NAMES
    assert len({outcome.value.token for outcome in outcomes}) == len(NAMES)
    assert pending_for() == []


def test_rows_are_opened_when_there_is_room():
    leases = {}
    next(recorded_jobs(PAIRS, leases, "default", job, None))
    assert len(pending_for()) == BATCH


def test_nothing_is_recorded_where_there_is_no_record():
    leases = {}
    jobs = list(recorded_jobs(PAIRS, leases, None, job, None))
    assert [one.name for one in jobs] == NAMES
    assert (leases, pending_for()) == ({}, [])


def test_nothing_is_done_where_the_truth_is_not_to_be_believed():
    def require():
        raise FileNotFoundError("is it mounted?")

    leases = {}
    outcomes = list(run_repairs(recorded_jobs(PAIRS, leases, "default", job, require), leases, lambda outcome: None))
    assert {str(outcome.error) for outcome in outcomes} == {"is it mounted?"}
    assert len(outcomes) == len(NAMES)
    assert pending_for() == []


def test_what_fails_stays_recorded_and_is_reported():
    def failing(host, name):
        return Job("repair", host, name, lambda: _raise(TransportError(host, name, "repair", "507")))

    def _raise(error):
        raise error

    leases, reported = {}, []
    jobs = recorded_jobs(PAIRS[:3], leases, "default", failing, None)
    outcomes = list(run_repairs(jobs, leases, reported.append))
    assert outcomes == reported
    assert [name for _, name, _ in pending_for()] == NAMES[:3]


def test_what_was_not_begun_is_due_at_once():
    leases, begun, go_on = {}, [], threading.Event()

    def waiting(host, name):
        def call():
            begun.append(name)
            return name == NAMES[0] or go_on.wait()

        return Job("repair", host, name, call)

    done = run_repairs(recorded_jobs(PAIRS, leases, "default", waiting, None), leases, lambda outcome: None)
    try:
        next(done)
        done.close()
        due = {row.name for row in Pending.objects.filter(due__lte=time.time())}
    finally:
        go_on.set()
    assert due == {row.name for row in Pending.objects.all()} - {*begun}
    assert len(due) > BATCH / 2


def test_nothing_begins_after_the_end():
    begun = repairs._Begun()
    late = begun.noting(Job("repair", "one", "late", lambda: None))
    early = begun.noting(Job("repair", "one", "early", lambda: None))
    assert early.run().ok
    assert begun.end() == {("one", "early")}
    assert isinstance(late.run().error, LeaseLostError)


def test_whoever_ends_early_settles_what_was_done():
    leases = {}
    done = run_repairs(recorded_jobs(PAIRS[:5], leases, "default", job, None), leases, lambda outcome: None)
    first = next(done)
    done.close()
    assert first.name not in [name for _, name, _ in pending_for()]
