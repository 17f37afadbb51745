"""Executors of task queues, and some that send too little, too much, or what they should not."""

import json
import time
from contextlib import suppress

import pytest

from kit.contracts import Mutants, fails, keeps, promises
from kit.docs_executors import SpoolExecutor
from resto.executors.queue import QueueExecutor
from resto.outcomes import Outcome
from resto.testing import QueueExecutorContract


BROKEN = Mutants()
breaks = BROKEN.breaks


@pytest.fixture
def spool(tmp_path):
    """A function that takes messages out of a folder, which is what a worker does."""

    def take():
        files = sorted(tmp_path.glob("*.json"))
        messages = [json.loads(file.read_text()) for file in files]
        for file in files:
            file.unlink()
        return messages

    return take


def run_queue(how, promise, request, executor, spool, tmp_path):
    suite = QueueExecutorContract()
    suite.patience = 0.4
    broken = executor(folder=tmp_path / "missing")
    fixtures = {
        "executor_and_messages": (executor(folder=tmp_path), spool),
        "executor_without_queue": broken,
    }
    return how(suite, promise, request, **fixtures)


@pytest.mark.parametrize("promise", promises(QueueExecutorContract))
def test_queue_executor_of_the_docs_keeps_the_promise(promise, request, spool, tmp_path):
    run_queue(keeps, promise, request, SpoolExecutor, spool, tmp_path)


@pytest.mark.parametrize("mutant", BROKEN, ids=str)
def test_broken_promise_of_a_queue_is_found(mutant, request, spool, tmp_path):
    assert run_queue(fails, mutant.promise, request, mutant.cls, spool, tmp_path)


def test_every_promise_of_queues_has_been_broken():
    assert {mutant.promise for mutant in BROKEN} == {*promises(QueueExecutorContract)}


@breaks("test_flags_tell_that_it_cannot_wait")
class NeedsNoAlias(SpoolExecutor):
    needs_alias = False


@breaks("test_flags_tell_that_it_cannot_wait")
class SaysThatItCanWait(SpoolExecutor):
    supports_run = True


@breaks("test_run_is_refused")
class RunsSomehow(SpoolExecutor):
    def run(self, jobs):
        self.submit(jobs)
        return []


@breaks("test_every_job_travels_once")
class SendsTheFirstHost(SpoolExecutor):
    def enqueue(self, message):
        super().enqueue({**message, "hosts": message["hosts"][:1]})


@breaks("test_every_job_travels_once")
class SendsEachHost(SpoolExecutor):
    def enqueue(self, message):
        for host in message["hosts"]:
            super().enqueue({**message, "hosts": [host]})


@breaks("test_every_job_travels_once")
class EncodesNames(SpoolExecutor):
    def enqueue(self, message):
        super().enqueue({**message, "name": ascii(message["name"])})


@breaks("test_every_job_travels_once")
class ForgetsTheRecord(SpoolExecutor):
    def enqueue(self, message):
        super().enqueue({**message, "record": ""})


@breaks("test_submitted_job_has_no_outcome_yet")
class TakesSendingForDoing(SpoolExecutor):
    def submit(self, jobs):
        super().submit(jobs)
        for job in jobs:
            job.finished(Outcome(job.action, job.host, job.name, 0))


@breaks("test_submitted_job_has_no_outcome_yet")
class DoesItHere(SpoolExecutor):
    def submit(self, jobs):
        for job in jobs:
            job.run()


@breaks("test_job_that_cannot_travel_fails")
class ForgetsWhatCannotTravel(SpoolExecutor):
    def submit(self, jobs):
        super().submit([job for job in jobs if job.remote])


@breaks("test_job_that_cannot_travel_fails")
class RefusesAll(SpoolExecutor):
    def submit(self, jobs):
        for job in jobs:
            if not job.remote:
                raise ValueError(job)


@breaks("test_queue_that_is_down_fails_the_jobs")
class SwallowsErrors(SpoolExecutor):
    def enqueue(self, message):
        with suppress(OSError):
            super().enqueue(message)


@breaks("test_queue_that_is_down_fails_the_jobs")
class RaisesErrors(SpoolExecutor):
    def submit(self, jobs):
        for job in jobs:
            self.enqueue(job.remote)


@breaks("test_queue_that_is_down_fails_the_jobs")
class TriesForLong(SpoolExecutor):
    def enqueue(self, message):
        time.sleep(0.5)
        super().enqueue(message)


def test_the_executor_of_the_docs_is_one_of_queues():
    assert issubclass(SpoolExecutor, QueueExecutor)
