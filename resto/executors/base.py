"""The contract of executors."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from resto.outcomes import Outcome


__all__ = ["Executor", "Job"]


@dataclass(frozen=True, slots=True)
class Job:
    """One action to run on one host.

    Attributes:
        action: What is done, such as ``"upload"``.
        host: The host as it stands in the settings.
        name: The file's name. Jobs with the same host and name form a lane.
        call: Carries out the action, and returns its value or raises.
        finished: Told the outcome, in whichever thread the job ran.
    """

    action: str
    host: str
    name: str
    call: Callable[[], Any]
    finished: Callable[[Outcome], None] | None = None

    def run(self) -> Outcome:
        """Carry out the action, and return its outcome, whatever happens."""
        started = time.perf_counter()
        value: Any = None
        error: Exception | None = None
        try:
            value = self.call()
        except Exception as raised:  # noqa: BLE001 - a failure of any kind is an outcome, and reported as such
            error = raised
        outcome = Outcome(self.action, self.host, self.name, time.perf_counter() - started, value, error)
        if self.finished is not None:
            self.finished(outcome)
        return outcome


class Executor(ABC):
    """Decides where and when jobs run.

    An executor takes its options as keyword arguments. It is shared by all threads of a process. Jobs of one lane, that
    is with the same host and name, run one at a time, in the order in which they were given; so do jobs given to
    different executors of the same process.

    Attributes:
        supports_run: Whether `run` can wait for outcomes. Executors that hand jobs to another process cannot.
    """

    supports_run = True

    @abstractmethod
    def run(self, jobs: Sequence[Job]) -> list[Outcome]:
        """Run jobs, and wait for all of them.

        Returns:
            One outcome per job, in the order of the jobs. A failure is an outcome, never an exception.
        """

    @abstractmethod
    def submit(self, jobs: Sequence[Job]) -> None:
        """Run jobs without waiting for them.

        None is lost at a normal exit of the process. Outcomes reach only those who gave a ``finished``.
        """
