"""Failures, and executors that hide them, or fail with them."""

import threading
from contextlib import suppress
from dataclasses import replace
from functools import partial

import pytest

from kit.contracts import Mutants, promises
from kit.docs_executors import PoolExecutor
from resto.testing import ExecutorContract
from resto.testing.executor_contract.failures import Failures


BROKEN = Mutants()
breaks = BROKEN.breaks


@pytest.mark.parametrize("mutant", BROKEN, ids=str)
def test_broken_promise_is_found(finds, mutant):
    assert finds(mutant)


def test_every_promise_has_been_broken():
    assert {*promises(Failures)} <= {mutant.promise for mutant in BROKEN} <= {*promises(ExecutorContract)}


@breaks("test_failure_is_an_outcome")
class RaisesFailures(PoolExecutor):
    def run(self, jobs):
        outcomes = super().run(jobs)
        for outcome in outcomes:
            if outcome.error is not None:
                raise outcome.error
        return outcomes


@breaks("test_failure_is_an_outcome", "test_outcomes_are_those_of_the_jobs")
class StopsAtAFailure(PoolExecutor):
    def run(self, jobs):
        outcomes = []
        for job in jobs:
            outcomes += super().run([job])
            if not outcomes[-1].ok:
                break
        return outcomes


class CallsByItself(PoolExecutor):
    """Does not leave it to `Job.run` to make an outcome."""

    def run(self, jobs):
        return super().run([replace(job, call=partial(self.call, job), finished=None, course=None) for job in jobs])

    def call(self, job):
        outcome = replace(job, finished=None).run()
        job.finished(outcome)
        if outcome.error:
            raise outcome.error
        return outcome.value


@breaks("test_error_of_finished_goes_no_further")
class TakesFinishedForTheJob(CallsByItself):
    pass


@breaks("test_error_of_finished_goes_no_further")
class SwallowsErrorsOfFinished(CallsByItself):
    def call(self, job):
        with suppress(ZeroDivisionError):
            return super().call(job)
        return 42


@breaks("test_interruption_reaches_the_caller")
class TakesInterruptionsForFailures(PoolExecutor):
    def run(self, jobs):
        return super().run([replace(job, call=partial(self.call, job)) for job in jobs])

    def call(self, job):
        try:
            return job.call()
        except BaseException as error:
            raise RuntimeError("interrupted") from error


@breaks("test_interruption_reaches_the_caller")
class KeepsALockWhenInterrupted(PoolExecutor):
    def __init__(self):
        super().__init__()
        self.lock = threading.Lock()

    def run(self, jobs):
        self.lock.acquire()
        outcomes = super().run(jobs)
        self.lock.release()
        return outcomes
