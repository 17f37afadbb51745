"""Lanes: jobs with the same host and name, one after another."""

import threading
import time
from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from resto.executors import Executor
from resto.executors.inline import InlineExecutor
from resto.testing.executor_contract.base import ExecutorSuite
from resto.testing.executor_contract.tools import STEP_LISTS, Action, Caller, make_job


if TYPE_CHECKING:
    from resto.outcomes import Outcome


class LaneOrder(ExecutorSuite):
    """What waits for what, and what does not."""

    def test_lanes_keep_order(self, executor: Executor) -> None:
        """Jobs with the same host and name run one at a time, in the order given, however they are given."""
        lanes = st.sampled_from([("media-1", "a.txt"), ("media-1", "b.txt"), ("media-2", "a.txt")])
        batches = st.lists(
            st.tuples(st.booleans(), st.lists(st.tuples(lanes, STEP_LISTS), min_size=1, max_size=4)), max_size=4
        )

        @self._examples
        @given(batches)
        def keep_order(batches: list[tuple[bool, list[tuple[tuple[str, str], list[str] | None]]]]) -> None:
            order: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
            events: list[tuple[tuple[str, str], int, str]] = []
            told: list[Outcome] = []

            def act(lane: tuple[str, str], number: int) -> None:
                time.sleep(0.0005)  # so that jobs which do not wait for each other meet
                events.append((lane, number, "end"))

            number = 0
            for waits, given_jobs in batches:
                jobs = []
                for lane, steps in given_jobs:
                    order[lane].append(number)
                    begin = partial(events.append, (lane, number, "begin"))
                    jobs.append(self._job(*lane, Action(partial(act, lane, number), steps, begin), told.append))
                    number += 1
                self._run(executor, jobs) if waits else self._submit(executor, jobs)
            self._wait(lambda: len(told) >= number, "a job was lost")
            for lane, numbers in order.items():
                expected = [(lane, number, step) for number in numbers for step in ("begin", "end")]
                assert [event for event in events if event[0] == lane] == expected, "a lane must keep its order"

        keep_order()

    def test_lanes_are_those_of_the_process(self, executor: Executor) -> None:
        """A job waits for those of its lane that were given to another executor: see `resto.executors.process_lanes`."""
        events: list[str] = []
        blocked, release = threading.Event(), threading.Event()

        def block() -> None:
            blocked.set()
            release.wait(self.patience)
            events.append("first")

        first = Caller(InlineExecutor().run, [make_job("media-1", "a", block)])
        assert blocked.wait(self.patience)
        overtaken = threading.Event()

        def follow() -> None:
            events.append("second")
            overtaken.set()

        second = Caller(executor.run, [self._job("media-1", "a", follow)])
        overtaken.wait(0.05)  # seconds in which it has no reason not to
        release.set()
        for caller in (first, second):
            caller.result(self.patience)
        assert events == ["first", "second"]

    def test_lanes_do_not_hold_up_each_other(self, executor: Executor) -> None:
        """A job that takes long holds up neither other names on its host nor other hosts."""
        release = threading.Event()
        told: list[Outcome] = []
        self._submit(executor, [self._job("media-1", "a", lambda: release.wait(self.patience), told.append)])
        try:
            outcomes = self._run(executor, [self._job("media-1", "b", int), self._job("media-2", "a", int)])
            assert all(outcome.ok for outcome in outcomes)
            assert told == []
        finally:
            release.set()
        self._wait(lambda: told != [], "a submitted job was lost")
