"""Failures: how far they go, of jobs, of who is told about them, and of the caller."""

import logging
from collections.abc import Sequence

import pytest

from resto.executors import Executor
from resto.outcomes import Outcome
from resto.testing.executor_contract.base import ExecutorSuite
from resto.testing.executor_contract.tools import IN_ONE_PASS, Action, raising


class Failures(ExecutorSuite):
    """What fails, or is interrupted, and what goes on nevertheless."""

    def test_failure_is_an_outcome(self, executor: Executor) -> None:
        """It is not raised, and does not keep other jobs from running, nor the next one of its lane."""
        jobs = [
            self._job("media-1", "a", raising(ZeroDivisionError())),
            self._job("media-2", "a", int),
            self._job("media-1", "a", int),
        ]
        outcomes = self._run(executor, jobs)
        assert [type(outcome.error) for outcome in outcomes] == [ZeroDivisionError, type(None), type(None)]

    def test_error_of_finished_goes_no_further(self, executor: Executor, caplog: pytest.LogCaptureFixture) -> None:
        """It is logged; the outcome is what it was, and the next job of the lane has its turn."""
        with caplog.at_level(logging.ERROR, "resto"):
            (outcome,) = self._run(executor, [self._job("media-1", "a", lambda: 42, _raise_zero_division)])
            assert outcome.value == 42
            self._submit(executor, [self._job("media-1", "a", int, _raise_zero_division)])
            assert self._run(executor, [self._job("media-1", "a", lambda: "next")])[0].value == "next"
        assert len(caplog.records) == 2, "what 'finished' raises must be logged"

    def test_interruption_reaches_the_caller(self, executor: Executor) -> None:
        """What is no `Exception`, such as `KeyboardInterrupt`, leaves `run`, and nothing behind in the lanes."""
        for error in (SystemExit, KeyboardInterrupt):
            for steps in (None, [], ["answer"], ["others"], ["answer", "time"], IN_ONE_PASS):
                self._check_interruption(executor, error, steps)

    def _check_interruption(self, executor: Executor, error: type[BaseException], steps: Sequence[str] | None) -> None:
        hosts = ["media-1", "media-2", "media-3"]
        actions = [Action(int, ["silence"]), Action(raising(error()), steps), Action(int, ["room", "time"])]
        with pytest.raises(error):
            self._run(executor, [self._job(host, "a", act) for host, act in zip(hosts, actions, strict=True)])
        closed = "the courses of an interrupted caller must be closed, or carried out to their ends"
        self._wait(lambda: not any(action.under_way for action in actions), closed)
        outcomes = self._run(executor, [self._job(host, "a", int) for host in hosts])
        assert all(outcome.ok for outcome in outcomes)


def _raise_zero_division(outcome: Outcome) -> None:
    raise ZeroDivisionError(outcome.host)
