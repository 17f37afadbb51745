"""Outcomes: one for each job, in the order of the jobs, told once."""

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from hypothesis import example, given
from hypothesis import strategies as st

from resto.exceptions import HostUnavailableError, TransportError
from resto.executors import Executor, Job
from resto.testing.executor_contract.base import ExecutorSuite
from resto.testing.executor_contract.tools import (
    HOSTS,
    NAMES,
    STEP_LISTS,
    STEPS,
    Action,
    check_class,
    raising,
)


if TYPE_CHECKING:
    from resto.outcomes import Outcome


_ERRORS = [
    None,
    ZeroDivisionError("division by zero"),
    TransportError("media-1", "a.txt", "upload", "no idea"),
    HostUnavailableError("media-1", "a.txt", "upload", "refused", ambiguous=True),
]


class Outcomes(ExecutorSuite):
    """What comes of jobs, for who waits for them and who does not."""

    def test_flags_tell_that_it_can_wait(self, executor: Executor) -> None:
        """``supports_run`` is True; the other flags are booleans; its options are keyword arguments."""
        check_class(executor)
        assert executor.supports_run is True, "for an executor that cannot wait there is QueueExecutorContract"

    def test_nothing_is_fine(self, executor: Executor) -> None:
        """No jobs, no outcomes."""
        assert self._run(executor, []) == []
        self._submit(executor, [])

    def test_outcomes_are_those_of_the_jobs(self, executor: Executor) -> None:
        """One each, in their order, whatever becomes of them; each job is done once, and its ``finished`` told once."""

        @self._examples
        @given(st.lists(st.tuples(HOSTS, NAMES, st.sampled_from(_ERRORS), STEP_LISTS), max_size=12))
        @example([(f"media-{number}", "a.txt", None, STEPS) for number in range(3)])
        def are_those(batch: list[tuple[str, str, Exception | None, list[str] | None]]) -> None:
            begun: list[int] = []
            told: list[Outcome] = []
            actions = [
                Action(raising(error) if error else partial(int, number), steps, partial(begun.append, number))
                for number, (_, _, error, steps) in enumerate(batch)
            ]
            jobs = [
                self._job(host, name, action, told.append)
                for (host, name, *_), action in zip(batch, actions, strict=True)
            ]
            outcomes = self._run(executor, jobs)
            assert sorted(begun) == [*range(len(batch))], "each job must be done once"
            assert not any(action.under_way for action in actions), "a course must be carried out to its end, or closed"
            expected = [
                ("upload", host, name, None if error else number, error)
                for number, (host, name, error, _) in enumerate(batch)
            ]
            found = [(one.action, one.host, one.name, one.value, one.error) for one in outcomes]
            assert found == expected, "there must be one outcome for each job, in the order of the jobs"
            assert sorted(map(id, told)) == sorted(map(id, outcomes)), "each 'finished' must be told the outcome, once"

        are_those()

    def test_many_jobs_are_taken_when_there_is_room(self, executor: Executor) -> None:
        """`run_each` runs each job once, in the order of its lane, and does not take all before the first is done."""
        taken: list[int] = []
        done: list[tuple[str, int]] = []

        def jobs() -> Iterator[Job]:
            for number in range(2_000):
                taken.append(number)
                lane = f"{number % 50}"
                act = partial(done.append, (lane, number)) if number % 7 else raising(KeyError())
                yield self._job(f"media-{number % 3}", lane, Action(act, ["answer", "time"] if number % 5 else None))

        outcomes = executor.run_each(jobs())
        first = next(outcomes)
        assert len(taken) < 1_000, "run_each must take jobs when there is room for them, and not all at once"
        found = [first, *outcomes]
        assert len(found) == 2_000, "there must be one outcome for each job"
        assert sum(not outcome.ok for outcome in found) == sum(number % 7 == 0 for number in range(2_000))
        assert len(done) == sum(number % 7 != 0 for number in range(2_000)), "each job must be done once"
        by_lane = {lane: [number for other, number in done if other == lane] for lane, _ in done}
        lanes_of_hosts = [
            [number for number in numbers if number % 3 == host] for numbers in by_lane.values() for host in range(3)
        ]
        assert all(numbers == sorted(numbers) for numbers in lanes_of_hosts), "lanes must keep their order"

    def test_submitted_jobs_tell_their_outcomes(self, executor: Executor) -> None:
        """Each of them to its ``finished``, once, also if it failed; `submit` itself raises nothing."""
        told: list[Outcome] = []
        jobs = [self._job(f"media-{number}", "a", partial(divmod, 1, number), told.append) for number in range(5)]
        assert self._submit(executor, jobs) is None, "submit must return nothing"
        self._wait(lambda: len(told) >= 5, "a submitted job was lost")
        self._run(executor, [self._job(f"media-{number}", "a", int) for number in range(5)])
        assert sorted((outcome.host, outcome.ok) for outcome in told) == [
            (f"media-{number}", number > 0) for number in range(5)
        ]
