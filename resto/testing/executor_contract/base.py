"""What an author overrides, and every theme uses."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import settings

from resto.executors import Executor, Job
from resto.outcomes import Outcome
from resto.testing.executor_contract.tools import IN_ONE_PASS, Action, Caller, make_job


class ExecutorSuite:
    """The fixture and the attributes of the contract, which `resto.testing.ExecutorContract` explains."""

    max_examples: int = 10
    patience: float = 10.0

    _is_in_one_pass = False

    @pytest.fixture(autouse=True, params=["by calls", "in one pass"])
    def _way(self, request: pytest.FixtureRequest) -> None:
        """Let each promise hold for jobs that are calls, and for those that go over all hosts together."""
        self._is_in_one_pass = request.param == "in one pass"

    @pytest.fixture
    def executor(self) -> Any:
        """Return an executor. To be overridden."""
        raise NotImplementedError(f"{type(self).__name__} must override the fixture 'executor', and return an executor")

    def _examples(self, test: Callable[..., None]) -> Callable[..., None]:
        return settings(max_examples=self.max_examples, deadline=None)(test)

    def _job(
        self, host: str, name: str, call: Callable[[], Any], finished: Callable[[Outcome], Any] | None = None
    ) -> Job:
        if self._is_in_one_pass and not isinstance(call, Action):
            call = Action(call, IN_ONE_PASS)
        return make_job(host, name, call, finished)

    def _run(self, executor: Executor, jobs: Sequence[Job]) -> list[Outcome]:
        outcomes: list[Outcome] = Caller(executor.run, jobs).result(self.patience)
        return outcomes

    def _submit(self, executor: Executor, jobs: Sequence[Job]) -> Any:
        return Caller(executor.submit, jobs).result(self.patience)

    def _wait(self, condition: Callable[[], bool], problem: str) -> None:
        deadline = time.monotonic() + self.patience
        while not condition():
            assert time.monotonic() < deadline, problem
            time.sleep(0.001)
