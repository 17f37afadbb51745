"""Lanes, and executors that have none, or others."""

import threading
from dataclasses import replace
from functools import partial

import pytest

from kit.contracts import Mutants, promises
from kit.docs_executors import PoolExecutor
from resto.executors import Lanes
from resto.testing import ExecutorContract
from resto.testing.executor_contract.lanes import LaneOrder


BROKEN = Mutants()
breaks = BROKEN.breaks


@pytest.mark.parametrize("mutant", BROKEN, ids=str)
def test_broken_promise_is_found(finds, mutant):
    assert finds(mutant)


def test_every_promise_has_been_broken():
    assert {*promises(LaneOrder)} <= {mutant.promise for mutant in BROKEN} <= {*promises(ExecutorContract)}


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
