"""The contract of executors."""

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from resto.courses import Course, waiting
from resto.names import shown
from resto.outcomes import Outcome


__all__ = ["Executor", "Job", "RemoteCall"]

logger = logging.getLogger("resto")

# How many of many jobs are run at a time.
_BATCH = 64


@dataclass(frozen=True, slots=True)
class RemoteCall:
    """How another process does the same as a job: it calls a method of a storage that its own settings name.

    Attributes:
        storage: Alias of the storage in ``STORAGES``.
        action: Name of the method, which is called with the job's host and name.
        record: What the rows of the durable record say of their owner; empty if there are none.
    """

    storage: str
    action: str
    record: str = ""


@dataclass(slots=True)  # not frozen: there are several of each action, and that would double their time
class Job:
    """One action to run on one host.

    Attributes:
        action: What is done, such as ``"upload"``.
        host: The host as it stands in the settings.
        name: The file's name. Jobs with the same host and name form a lane.
        call: Carries out the action, and returns its value or raises.
        finished: Told the outcome, in whichever thread the job ran. What it raises is logged.
        course: Returns the same action as a course, which has done nothing yet; None if there is only the call.
        remote: How another process does the same; None if only this one can.
    """

    action: str
    host: str
    name: str
    call: Callable[[], Any]
    finished: Callable[[Outcome], None] | None = None
    course: Callable[[], Course[Any]] | None = None
    remote: RemoteCall | None = None

    def run(self) -> Outcome:
        """Carry out the action, and return its outcome, whatever happens."""
        started = time.perf_counter()
        try:
            value = self.call()
        except Exception as error:  # noqa: BLE001 - a failure of any kind is an outcome, and reported as such
            return self._outcome(started, error=error)
        return self._outcome(started, value)

    def carry_out(self) -> Course[Outcome]:
        """Carry out the action as a course, and return its outcome, whatever happens."""
        started = time.perf_counter()
        try:
            value = yield from waiting(self.call) if self.course is None else self.course()
        except Exception as error:  # noqa: BLE001 - as in `run`
            return self._outcome(started, error=error)
        return self._outcome(started, value)

    def fail(self, error: Exception) -> Outcome:
        """Return the outcome of an action that could not even be attempted."""
        return self._outcome(time.perf_counter(), error=error)

    def _outcome(self, started: float, value: Any = None, error: Exception | None = None) -> Outcome:
        outcome = Outcome(self.action, self.host, self.name, time.perf_counter() - started, value, error)
        if self.finished is not None:
            self._tell(self.finished, outcome)
        return outcome

    def _tell(self, finished: Callable[[Outcome], None], outcome: Outcome) -> None:
        try:
            finished(outcome)
        except Exception:
            # The action has had its outcome, and the next job must have its turn.
            logger.exception(
                "Failed to process the outcome of the %s of %s on %s.", self.action, shown(self.name), self.host
            )


class Executor(ABC):
    """Decides where and when jobs run.

    An executor takes its options as keyword arguments. It is shared by all threads of a process. Jobs of one lane, that
    is with the same host and name, run one at a time, in the order in which they were given; so do jobs given to
    different executors of the same process: `resto.executors.process_lanes` sees to it. Executors that hand jobs to other
    processes keep no order: a job makes a host equal to the master copy as that is by then, so that any order ends well.
    A forked child can use the executor of its parent. `resto.testing.ExecutorContract` tries what is promised here.

    Attributes:
        supports_run: Whether `run` can wait for outcomes. Executors that hand jobs to another process cannot.
        needs_alias: Whether jobs must have a `RemoteCall`, so that only storages in ``STORAGES`` can use the executor.
        has_literal_credentials: Whether the options hold a credential instead of the name of one.
    """

    supports_run = True
    needs_alias = False
    has_literal_credentials = False

    @abstractmethod
    def run(self, jobs: Sequence[Job]) -> list[Outcome]:
        """Run jobs, each of them once, and wait for all of them.

        Returns:
            One outcome per job, in the order of the jobs. A failure is an outcome, never an exception.

        Raises:
            BaseException: What a job raised that is no `Exception`, such as KeyboardInterrupt; it holds up no lane.
        """

    def run_each(self, jobs: Iterable[Job]) -> Iterator[Outcome]:
        """Run many jobs, each of them once, and yield each outcome when it is there, in no order but that of lanes.

        The memory does not grow with the number of jobs: they are taken when there is room for them. If this ends before
        its time, no more are taken. An executor may do better than this, which runs some after the others.

        Raises:
            BaseException: As for `run`.
        """
        source = iter(jobs)
        while batch := list(islice(source, _BATCH)):
            yield from self.run(batch)

    @abstractmethod
    def submit(self, jobs: Sequence[Job]) -> None:
        """Run jobs, each of them once, without waiting for them, nor for others of their lanes.

        None is lost at a normal exit of the process. Outcomes reach only those who gave a ``finished``; nothing is raised.
        """
