"""Concurrency: who does not wait for whom, threads, and forked children."""

import multiprocessing
import os
import threading
import time
import warnings
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resto.executors import Executor
from resto.testing.executor_contract.base import ExecutorSuite
from resto.testing.executor_contract.tools import Caller


if TYPE_CHECKING:
    from resto.outcomes import Outcome


class Concurrency(ExecutorSuite):
    """What goes on at the same time."""

    def test_submit_does_not_wait(self, executor: Executor) -> None:
        """It returns while its jobs run, and while others of their lanes do."""
        release = threading.Event()
        told: list[Outcome] = []
        try:
            for _ in range(2):
                self._submit(executor, [self._job("media-1", "a", lambda: release.wait(self.patience), told.append)])
            assert told == []
        finally:
            release.set()
        self._wait(lambda: len(told) == 2, "a submitted job was lost")

    def test_hosts_do_not_wait_for_each_other(self, executor: Executor) -> None:
        """The jobs of one `run` for different hosts run at the same time."""
        meeting = threading.Barrier(3)
        jobs = [self._job(f"media-{number}", "a", lambda: meeting.wait(self.patience)) for number in range(3)]
        outcomes = self._run(executor, jobs)
        assert sorted(outcome.value for outcome in outcomes if outcome.ok) == [0, 1, 2]

    def test_threads_may_share_it(self, executor: Executor) -> None:
        """Each caller gets the outcomes of its own jobs."""
        together = threading.Barrier(6)

        def call(caller: int) -> list[Any]:
            together.wait(self.patience)
            values = []
            for turn in range(5):
                jobs = [self._job(f"media-{host}", "a", partial(tuple, (caller, turn, host))) for host in range(3)]
                values += [outcome.value for outcome in executor.run(jobs)]
            return values

        callers = [Caller(call, number) for number in range(6)]
        for number, caller in enumerate(callers):
            expected = [(number, turn, host) for turn in range(5) for host in range(3)]
            assert caller.result(self.patience) == expected, "a caller must get the outcomes of its own jobs"

    def test_forked_child_does_its_jobs_before_it_ends(self, executor: Executor) -> None:
        """A child of a process that has used the executor can use it; what was submitted is done at a normal exit."""
        told: list[Outcome] = []
        pause = partial(time.sleep, 0.002)  # so that all threads there are come into use
        self._submit(executor, [self._job(f"media-{number}", "a", pause, told.append) for number in range(8)])
        self._wait(lambda: len(told) == 8, "a submitted job was lost")
        reading, writing = os.pipe()

        def say(word: str) -> None:
            time.sleep(0.05)  # so that the process is on its way out
            os.write(writing, f"{word}\n".encode())

        def work() -> None:
            executor.run([self._job(f"media-{number}", "a", lambda: say("run")) for number in range(2)])
            for number in range(4):
                executor.submit([self._job(f"media-{number % 2}", "a", partial(say, str(number)))])

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # Python warns of threads that the child does not have
            child = multiprocessing.get_context("fork").Process(target=work)
            child.start()
        child.join(self.patience)
        ended = child.exitcode
        child.kill()
        child.join()
        os.close(writing)
        said = Path(f"/dev/fd/{reading}").read_text().split()
        os.close(reading)
        assert ended == 0, "a forked child did not end"
        assert sorted(said) == ["0", "1", "2", "3", "run", "run"], "a submitted job was lost at the end of the process"
