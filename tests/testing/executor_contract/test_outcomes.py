"""Outcomes, and executors that lose, mix or repeat them."""

import socket
import time
from dataclasses import replace
from functools import partial
from itertools import islice

import pytest

from kit.contracts import Mutants, promises
from kit.docs_executors import PoolExecutor
from resto.courses import WITH_OTHERS
from resto.executors import Lanes
from resto.testing import ExecutorContract
from resto.testing.executor_contract.outcomes import Outcomes


BROKEN = Mutants()
breaks = BROKEN.breaks


@pytest.mark.parametrize("mutant", BROKEN, ids=str)
def test_broken_promise_is_found(finds, mutant):
    assert finds(mutant)


def test_every_promise_has_been_broken():
    assert {*promises(Outcomes)} <= {mutant.promise for mutant in BROKEN} <= {*promises(ExecutorContract)}


@breaks("test_many_jobs_are_taken_when_there_is_room")
class TakesAllAtOnce(PoolExecutor):
    def run_each(self, jobs):
        yield from self.run(list(jobs))


@breaks("test_many_jobs_are_taken_when_there_is_room")
class LosesSome(PoolExecutor):
    def run_each(self, jobs):
        return (outcome for outcome in super().run_each(jobs) if outcome.ok)


@breaks("test_many_jobs_are_taken_when_there_is_room")
class OvertakesInLanes(PoolExecutor):
    def run_each(self, jobs):
        source = iter(jobs)
        while batch := list(islice(source, 200)):
            yield from self.run(batch[::-1])


@breaks("test_flags_tell_that_it_can_wait")
class CannotTell(PoolExecutor):
    supports_run = 1


@breaks("test_flags_tell_that_it_can_wait")
class TakesPositions(PoolExecutor):
    def __init__(self, threads=8, /):
        super().__init__(threads=threads)


@breaks("test_nothing_is_fine")
class NeedsAJob(PoolExecutor):
    def run(self, jobs):
        jobs[0]
        return super().run(jobs)


@breaks("test_outcomes_are_those_of_the_jobs")
class LosesTheOrder(PoolExecutor):
    def run(self, jobs):
        return sorted(super().run(jobs), key=lambda outcome: outcome.host)


@breaks("test_outcomes_are_those_of_the_jobs")
class RunsTwice(PoolExecutor):
    def run(self, jobs):
        super().run(jobs)
        return super().run(jobs)


@breaks("test_outcomes_are_those_of_the_jobs")
class TellsTwice(PoolExecutor):
    def run(self, jobs):
        outcomes = super().run(jobs)
        for job, outcome in zip(jobs, outcomes, strict=True):
            job.finished(outcome)
        return outcomes


@breaks("test_outcomes_are_those_of_the_jobs")
class TellsNobody(PoolExecutor):
    def run(self, jobs):
        return super().run([replace(job, finished=None) for job in jobs])


@breaks("test_submitted_jobs_tell_their_outcomes", "test_submit_does_not_wait")
class LosesJobs(PoolExecutor):
    def submit(self, jobs):
        super().submit(jobs[1:])


@breaks("test_submitted_jobs_tell_their_outcomes")
class KeepsFailuresToItself(PoolExecutor):
    def submit(self, jobs):
        super().submit([replace(job, finished=partial(self.tell, job)) for job in jobs])

    def tell(self, job, outcome):
        if outcome.ok:
            job.finished(outcome)


@breaks("test_submitted_jobs_tell_their_outcomes")
class RaisesWhenItSubmits(PoolExecutor):
    def submit(self, jobs):
        for job in jobs:
            job.call()


@breaks("test_submitted_jobs_tell_their_outcomes")
class ReturnsAPromise(PoolExecutor):
    def submit(self, jobs):
        super().submit(jobs)
        return True


class ChangesCourses(PoolExecutor):
    """Does not leave it to its lanes how courses go on; hangs only by itself."""

    lanes_class = Lanes

    def __init__(self):
        super().__init__()
        self.lanes = self.lanes_class()
        self.kept = []

    def run(self, jobs):
        return self.lanes.run([replace(job, course=job.course and partial(self.go_on, job.course)) for job in jobs])

    def go_on(self, course):
        return course()


@breaks("test_outcomes_are_those_of_the_jobs")
class ResumesOnce(ChangesCourses):
    def go_on(self, course):
        begun = course()
        try:
            yield next(begun)
            next(begun)
        except StopIteration as stop:
            return stop.value


@breaks("test_outcomes_are_those_of_the_jobs")
class DoesNotResume(ChangesCourses):
    def go_on(self, course):
        try:
            yield next(course())
        except StopIteration as stop:
            return stop.value


@breaks("test_outcomes_are_those_of_the_jobs")
class RunsCoursesTwice(ChangesCourses):
    def go_on(self, course):
        yield from course()
        return (yield from course())


@breaks("test_outcomes_are_those_of_the_jobs")
class BeginsAnewWhereItWouldWait(ChangesCourses):
    def go_on(self, course):
        begun = course()
        try:
            while (arrival := next(begun)) is not None:
                yield arrival
        except StopIteration as stop:
            return stop.value
        begun.close()
        return (yield from course())


class ForgetfulLanes(Lanes):
    def _give_back(self, task):
        pass


@breaks("test_outcomes_are_those_of_the_jobs")
class ForgetsWhatWouldWait(ChangesCourses):
    lanes_class = ForgetfulLanes


@breaks("test_outcomes_are_those_of_the_jobs", "test_interruption_reaches_the_caller")
class ForgetsToClose(ChangesCourses):
    def go_on(self, course):
        begun = course()
        self.kept.append(begun)
        try:
            while True:
                yield next(begun)
        except StopIteration as stop:
            return stop.value


class ChangesArrivals(ChangesCourses):
    def go_on(self, course):
        begun = course()
        try:
            while True:
                arrival = next(begun)
                yield arrival and self.changed(arrival)
        except StopIteration as stop:
            return stop.value


# Never closed: the thread that waits for them may outlive its test.
SILENT = []


@breaks("test_outcomes_are_those_of_the_jobs")
class WaitsForDeadlinesOnly(ChangesArrivals):
    def changed(self, arrival):
        SILENT.extend(socket.socketpair())
        return replace(arrival, descriptor=SILENT[-1].fileno(), takes_more=False)


@breaks("test_outcomes_are_those_of_the_jobs")
class WaitsForAnswersOnly(ChangesArrivals):
    def changed(self, arrival):
        return replace(arrival, deadline=time.monotonic() + 60)


@breaks("test_outcomes_are_those_of_the_jobs")
class DoesNotSendMore(ChangesArrivals):
    def changed(self, arrival):
        return replace(arrival, takes_more=False)


@breaks("test_outcomes_are_those_of_the_jobs")
class BeginsAnewAfterTheOthers(PoolExecutor):
    """Where all hosts are gone over in one pass."""

    def run(self, jobs):
        return super().run([replace(job, course=self.twice(job.course)) if job.course else job for job in jobs])

    def twice(self, course):
        def begun_anew():
            first = course()
            for arrival in first:
                if arrival is WITH_OTHERS:
                    break
                yield arrival
            else:
                return None
            first.close()
            return (yield from course())

        return begun_anew
