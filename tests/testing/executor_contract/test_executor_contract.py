"""Each promise of executors is one that can be broken: the contracts find out, and let the executors of the docs pass."""

import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import islice

import pytest

from kit.contracts import Mutants, fails, keeps, promises
from kit.documents import ROOT, load_module
from resto.executors import Lanes, process_lanes
from resto.executors.inline import InlineExecutor
from resto.executors.queue import QueueExecutor
from resto.outcomes import Outcome
from resto.testing import ExecutorContract, QueueExecutorContract


PAGE = ROOT / "docs" / "write-an-executor.md"
PoolExecutor = load_module(PAGE, "resto_pool").PoolExecutor
SpoolExecutor = load_module(PAGE, "resto_spool").SpoolExecutor

BROKEN, BROKEN_QUEUES = Mutants(), Mutants()
breaks, breaks_queue = BROKEN.breaks, BROKEN_QUEUES.breaks


@pytest.fixture
def suite():
    return ExecutorContract()


@pytest.mark.parametrize("promise", promises(ExecutorContract))
def test_executor_of_the_docs_keeps_the_promise(suite, promise, request):
    executor = PoolExecutor(threads=2)
    keeps(suite, promise, request, executor=executor)
    executor.pool().shutdown()


@pytest.mark.parametrize("mutant", BROKEN, ids=str)
def test_broken_promise_is_found(suite, mutant, request):
    suite.patience = 0.25
    assert fails(suite, mutant.promise, request, executor=mutant.cls())


def test_every_promise_has_been_broken():
    assert {mutant.promise for mutant in BROKEN} == {*promises(ExecutorContract)}


# Outcomes.


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


# Courses.


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


@breaks("test_outcomes_are_those_of_the_jobs")
class WaitsForDeadlinesOnly(ChangesArrivals):
    def changed(self, arrival):
        self.kept += socket.socketpair()
        return replace(arrival, descriptor=self.kept[-1].fileno(), takes_more=False)


@breaks("test_outcomes_are_those_of_the_jobs")
class WaitsForAnswersOnly(ChangesArrivals):
    def changed(self, arrival):
        return replace(arrival, deadline=time.monotonic() + 60)


@breaks("test_outcomes_are_those_of_the_jobs")
class DoesNotSendMore(ChangesArrivals):
    def changed(self, arrival):
        return replace(arrival, takes_more=False)


# Lanes.


class HasNoLanes(PoolExecutor):
    def run(self, jobs):
        return list(self.pool().map(lambda job: job.run(), jobs))

    def submit(self, jobs):
        for job in jobs:
            self.pool().submit(job.run)


@breaks("test_lanes_keep_order", "test_lanes_are_those_of_the_process")
class RunsAtOnce(HasNoLanes):
    pass


@breaks("test_lanes_keep_order")
class RunsTheLastFirst(PoolExecutor):
    def submit(self, jobs):
        super().submit(jobs[::-1])


@breaks("test_lanes_are_those_of_the_process")
class HasItsOwnLanes(PoolExecutor):
    def __init__(self):
        super().__init__()
        self.lanes = Lanes()

    def run(self, jobs):
        return self.lanes.run(jobs, partial(self.offer, self.lanes))


@breaks("test_lanes_do_not_hold_up_each_other")
class DoesOneAtATime(PoolExecutor):
    lock = threading.Lock()

    def run(self, jobs):
        return super().run([replace(job, call=partial(self.call, job)) for job in jobs])

    def submit(self, jobs):
        super().submit([replace(job, call=partial(self.call, job)) for job in jobs])

    def call(self, job):
        with self.lock:
            return job.call()


# Waiting.


@breaks("test_submit_does_not_wait", "test_lanes_do_not_hold_up_each_other")
class WaitsWhenItSubmits(PoolExecutor):
    def submit(self, jobs):
        self.run(jobs)


@breaks("test_hosts_do_not_wait_for_each_other")
class AsksOneAfterAnother(PoolExecutor):
    run = InlineExecutor.run


@breaks("test_threads_may_share_it")
class MixesCallers(PoolExecutor):
    def run(self, jobs):
        self.jobs = jobs
        time.sleep(0.002)
        return super().run(self.jobs)


# Processes.


@breaks("test_forked_child_does_its_jobs_before_it_ends")
class IsTiedToItsProcess(PoolExecutor):
    def __init__(self):
        super().__init__()
        self.one = ThreadPoolExecutor(2)

    def pool(self):
        return self.one


@breaks("test_forked_child_does_its_jobs_before_it_ends")
class DropsWhatIsLate(PoolExecutor):
    def offer(self, lanes, task):
        with suppress(RuntimeError):
            self.pool().submit(lanes.attempt, task)


@breaks("test_forked_child_does_its_jobs_before_it_ends")
class HasDaemons(PoolExecutor):
    def submit(self, jobs):
        lanes = process_lanes()
        lanes.submit(jobs, lambda task: threading.Thread(target=lanes.attempt, args=[task], daemon=True).start())


# Task queues.


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


@pytest.mark.parametrize("mutant", BROKEN_QUEUES, ids=str)
def test_broken_promise_of_a_queue_is_found(mutant, request, spool, tmp_path):
    assert run_queue(fails, mutant.promise, request, mutant.cls, spool, tmp_path)


def test_every_promise_of_queues_has_been_broken():
    assert {mutant.promise for mutant in BROKEN_QUEUES} == {*promises(QueueExecutorContract)}


@breaks_queue("test_flags_tell_that_it_cannot_wait")
class NeedsNoAlias(SpoolExecutor):
    needs_alias = False


@breaks_queue("test_flags_tell_that_it_cannot_wait")
class SaysThatItCanWait(SpoolExecutor):
    supports_run = True


@breaks_queue("test_run_is_refused")
class RunsSomehow(SpoolExecutor):
    def run(self, jobs):
        self.submit(jobs)
        return []


@breaks_queue("test_every_job_travels_once")
class SendsTheFirstHost(SpoolExecutor):
    def enqueue(self, message):
        super().enqueue({**message, "hosts": message["hosts"][:1]})


@breaks_queue("test_every_job_travels_once")
class SendsEachHost(SpoolExecutor):
    def enqueue(self, message):
        for host in message["hosts"]:
            super().enqueue({**message, "hosts": [host]})


@breaks_queue("test_every_job_travels_once")
class EncodesNames(SpoolExecutor):
    def enqueue(self, message):
        super().enqueue({**message, "name": ascii(message["name"])})


@breaks_queue("test_every_job_travels_once")
class ForgetsTheRecord(SpoolExecutor):
    def enqueue(self, message):
        super().enqueue({**message, "record": ""})


@breaks_queue("test_submitted_job_has_no_outcome_yet")
class TakesSendingForDoing(SpoolExecutor):
    def submit(self, jobs):
        super().submit(jobs)
        for job in jobs:
            job.finished(Outcome(job.action, job.host, job.name, 0))


@breaks_queue("test_submitted_job_has_no_outcome_yet")
class DoesItHere(SpoolExecutor):
    def submit(self, jobs):
        for job in jobs:
            job.run()


@breaks_queue("test_job_that_cannot_travel_fails")
class ForgetsWhatCannotTravel(SpoolExecutor):
    def submit(self, jobs):
        super().submit([job for job in jobs if job.remote])


@breaks_queue("test_job_that_cannot_travel_fails")
class RefusesAll(SpoolExecutor):
    def submit(self, jobs):
        for job in jobs:
            if not job.remote:
                raise ValueError(job)


@breaks_queue("test_queue_that_is_down_fails_the_jobs")
class SwallowsErrors(SpoolExecutor):
    def enqueue(self, message):
        with suppress(OSError):
            super().enqueue(message)


@breaks_queue("test_queue_that_is_down_fails_the_jobs")
class RaisesErrors(SpoolExecutor):
    def submit(self, jobs):
        for job in jobs:
            self.enqueue(job.remote)


@breaks_queue("test_queue_that_is_down_fails_the_jobs")
class TriesForLong(SpoolExecutor):
    def enqueue(self, message):
        time.sleep(0.5)
        super().enqueue(message)


def test_the_executor_of_the_docs_is_one_of_queues():
    assert issubclass(SpoolExecutor, QueueExecutor)
