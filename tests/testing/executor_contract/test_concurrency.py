"""What goes on at the same time, and executors that wait, mix callers, or lose jobs."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from kit.contracts import Mutants, promises
from kit.docs_executors import PoolExecutor
from resto.executors import process_lanes
from resto.executors.inline import InlineExecutor
from resto.testing import ExecutorContract
from resto.testing.executor_contract.concurrency import Concurrency


BROKEN = Mutants()
breaks = BROKEN.breaks


@pytest.mark.parametrize("mutant", BROKEN, ids=str)
def test_broken_promise_is_found(finds, mutant):
    assert finds(mutant)


def test_every_promise_has_been_broken():
    assert {*promises(Concurrency)} <= {mutant.promise for mutant in BROKEN} <= {*promises(ExecutorContract)}


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
