"""The contracts of executors, as tests that every executor passes: those that can wait, and those of task queues."""

import inspect
import logging
import multiprocessing
import os
import socket
import threading
import time
import warnings
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from resto.courses import Arrival, Course
from resto.exceptions import HostUnavailableError, TransportError
from resto.executors import Executor, Job, RemoteCall
from resto.executors.inline import InlineExecutor
from resto.outcomes import Outcome


__all__ = ["ExecutorContract", "QueueExecutorContract"]

_HOSTS = st.sampled_from(["media-1", "media-2", "media-3"])
_NAMES = st.sampled_from(["a.txt", "b/c.txt"])
_ERRORS = [
    None,
    ZeroDivisionError("division by zero"),
    TransportError("media-1", "a.txt", "upload", "no idea"),
    HostUnavailableError("media-1", "a.txt", "upload", "refused", ambiguous=True),
]

# What an action waits for, step by step: an answer that is there; a host that takes more; a deadline, which may be over; or
# it may take its time. None if the action is one call.
_STEPS = ["answer", "room", "silence", "overdue", "time"]
_STEP_LISTS = st.none() | st.lists(st.sampled_from(_STEPS), max_size=3)

# Seconds: of a deadline before which something happens, and of one before which nothing does.
_LONG, _SOON = 60, 0.002

_REMOTE = RemoteCall("default", "upload")


class ExecutorContract:
    """What every `resto.executors.Executor` promises that can wait for its jobs, as tests.

    Subclass it in a test module, under a name that starts with ``Test``, and override one fixture::

        import pytest
        from resto.testing import ExecutorContract


        class TestMyExecutor(ExecutorContract):
            @pytest.fixture
            def executor(self):
                return MyExecutor()

    A test that does not apply is left out by ``test_submit_does_not_wait = None``: an executor that runs jobs in the
    calling thread does so with this one, `test_hosts_do_not_wait_for_each_other` and
    `test_lanes_do_not_hold_up_each_other`. For executors of task queues there is `QueueExecutorContract`.

    Attributes:
        max_examples: How many examples `hypothesis` looks at in each test.
        patience: Seconds after which a test gives up waiting for what must happen.
    """

    max_examples: int = 10
    patience: float = 10.0

    @pytest.fixture
    def executor(self) -> Any:
        """Return an executor. To be overridden."""
        raise NotImplementedError(f"{type(self).__name__} must override the fixture 'executor', and return an executor")

    def test_flags_tell_that_it_can_wait(self, executor: Executor) -> None:
        """``supports_run`` is True; the other flags are booleans; its options are keyword arguments."""
        _check_class(executor)
        assert executor.supports_run is True, "for an executor that cannot wait there is QueueExecutorContract"

    # Outcomes.

    def test_nothing_is_fine(self, executor: Executor) -> None:
        """No jobs, no outcomes."""
        assert self._run(executor, []) == []
        self._submit(executor, [])

    def test_outcomes_are_those_of_the_jobs(self, executor: Executor) -> None:
        """One each, in their order, whatever becomes of them; each job is done once, and its ``finished`` told once."""

        @self._examples
        @given(st.lists(st.tuples(_HOSTS, _NAMES, st.sampled_from(_ERRORS), _STEP_LISTS), max_size=12))
        @example([(f"media-{number}", "a.txt", None, _STEPS) for number in range(3)])
        def are_those(batch: list[tuple[str, str, Exception | None, list[str] | None]]) -> None:
            begun: list[int] = []
            told: list[Outcome] = []
            actions = [
                _Action(_fail(error) if error else partial(int, number), steps, partial(begun.append, number))
                for number, (_, _, error, steps) in enumerate(batch)
            ]
            jobs = [
                _job(host, name, action, told.append) for (host, name, *_), action in zip(batch, actions, strict=True)
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

    def test_failure_is_an_outcome(self, executor: Executor) -> None:
        """It is not raised, and does not keep other jobs from running, nor the next one of its lane."""
        jobs = [_job("media-1", "a", _fail(ZeroDivisionError())), _job("media-2", "a", int), _job("media-1", "a", int)]
        outcomes = self._run(executor, jobs)
        assert [type(outcome.error) for outcome in outcomes] == [ZeroDivisionError, type(None), type(None)]

    def test_many_jobs_are_taken_when_there_is_room(self, executor: Executor) -> None:
        """`run_each` runs each job once, in the order of its lane, and does not take all before the first is done."""
        taken: list[int] = []
        done: list[tuple[str, int]] = []

        def jobs() -> Iterator[Job]:
            for number in range(2_000):
                taken.append(number)
                lane = f"{number % 50}"
                act = partial(done.append, (lane, number)) if number % 7 else _fail(KeyError())
                yield _job(f"media-{number % 3}", lane, _Action(act, ["answer", "time"] if number % 5 else None))

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
        jobs = [_job(f"media-{number}", "a", partial(divmod, 1, number), told.append) for number in range(5)]
        assert self._submit(executor, jobs) is None, "submit must return nothing"
        self._wait(lambda: len(told) >= 5, "a submitted job was lost")
        self._run(executor, [_job(f"media-{number}", "a", int) for number in range(5)])
        assert sorted((outcome.host, outcome.ok) for outcome in told) == [
            (f"media-{number}", number > 0) for number in range(5)
        ]

    def test_error_of_finished_goes_no_further(self, executor: Executor, caplog: pytest.LogCaptureFixture) -> None:
        """It is logged; the outcome is what it was, and the next job of the lane has its turn."""
        with caplog.at_level(logging.ERROR, "resto"):
            (outcome,) = self._run(executor, [_job("media-1", "a", lambda: 42, _raise_zero_division)])
            assert outcome.value == 42
            self._submit(executor, [_job("media-1", "a", int, _raise_zero_division)])
            assert self._run(executor, [_job("media-1", "a", lambda: "next")])[0].value == "next"
        assert len(caplog.records) == 2, "what 'finished' raises must be logged"

    def test_interruption_reaches_the_caller(self, executor: Executor) -> None:
        """What is no `Exception`, such as `KeyboardInterrupt`, leaves `run`, and nothing behind in the lanes."""
        for error in (SystemExit, KeyboardInterrupt):
            for steps in (None, [], ["answer"], ["answer", "time"]):
                self._check_interruption(executor, error, steps)

    def _check_interruption(self, executor: Executor, error: type[BaseException], steps: Sequence[str] | None) -> None:
        hosts = ["media-1", "media-2", "media-3"]
        actions = [_Action(int, ["silence"]), _Action(_fail(error()), steps), _Action(int, ["room", "time"])]
        with pytest.raises(error):
            self._run(executor, [_job(host, "a", act) for host, act in zip(hosts, actions, strict=True)])
        closed = "the courses of an interrupted caller must be closed, or carried out to their ends"
        self._wait(lambda: not any(action.under_way for action in actions), closed)
        outcomes = self._run(executor, [_job(host, "a", int) for host in hosts])
        assert all(outcome.ok for outcome in outcomes)

    # Lanes.

    def test_lanes_keep_order(self, executor: Executor) -> None:
        """Jobs with the same host and name run one at a time, in the order given, however they are given."""
        lanes = st.sampled_from([("media-1", "a.txt"), ("media-1", "b.txt"), ("media-2", "a.txt")])
        batches = st.lists(
            st.tuples(st.booleans(), st.lists(st.tuples(lanes, _STEP_LISTS), min_size=1, max_size=4)), max_size=4
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
                    jobs.append(_job(*lane, _Action(partial(act, lane, number), steps, begin), told.append))
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

        first = _start(InlineExecutor().run, [_job("media-1", "a", block)])
        assert blocked.wait(self.patience)
        overtaken = threading.Event()

        def follow() -> None:
            events.append("second")
            overtaken.set()

        second = _start(executor.run, [_job("media-1", "a", follow)])
        overtaken.wait(0.05)  # seconds in which it has no reason not to
        release.set()
        for caller in (first, second):
            caller.result(self.patience)
        assert events == ["first", "second"]

    def test_lanes_do_not_hold_up_each_other(self, executor: Executor) -> None:
        """A job that takes long holds up neither other names on its host nor other hosts."""
        release = threading.Event()
        told: list[Outcome] = []
        self._submit(executor, [_job("media-1", "a", lambda: release.wait(self.patience), told.append)])
        try:
            outcomes = self._run(executor, [_job("media-1", "b", int), _job("media-2", "a", int)])
            assert all(outcome.ok for outcome in outcomes)
            assert told == []
        finally:
            release.set()
        self._wait(lambda: told != [], "a submitted job was lost")

    # Waiting.

    def test_submit_does_not_wait(self, executor: Executor) -> None:
        """It returns while its jobs run, and while others of their lanes do."""
        release = threading.Event()
        told: list[Outcome] = []
        try:
            for _ in range(2):
                self._submit(executor, [_job("media-1", "a", lambda: release.wait(self.patience), told.append)])
            assert told == []
        finally:
            release.set()
        self._wait(lambda: len(told) == 2, "a submitted job was lost")

    def test_hosts_do_not_wait_for_each_other(self, executor: Executor) -> None:
        """The jobs of one `run` for different hosts run at the same time."""
        meeting = threading.Barrier(3)
        jobs = [_job(f"media-{number}", "a", lambda: meeting.wait(self.patience)) for number in range(3)]
        outcomes = self._run(executor, jobs)
        assert sorted(outcome.value for outcome in outcomes if outcome.ok) == [0, 1, 2]

    def test_threads_may_share_it(self, executor: Executor) -> None:
        """Each caller gets the outcomes of its own jobs."""
        together = threading.Barrier(6)

        def call(caller: int) -> list[Any]:
            together.wait(self.patience)
            values = []
            for turn in range(5):
                jobs = [_job(f"media-{host}", "a", partial(tuple, (caller, turn, host))) for host in range(3)]
                values += [outcome.value for outcome in executor.run(jobs)]
            return values

        callers = [_start(call, number) for number in range(6)]
        for number, caller in enumerate(callers):
            expected = [(number, turn, host) for turn in range(5) for host in range(3)]
            assert caller.result(self.patience) == expected, "a caller must get the outcomes of its own jobs"

    # Processes.

    def test_forked_child_does_its_jobs_before_it_ends(self, executor: Executor) -> None:
        """A child of a process that has used the executor can use it; what was submitted is done at a normal exit."""
        told: list[Outcome] = []
        pause = partial(time.sleep, 0.002)  # so that all threads there are come into use
        self._submit(executor, [_job(f"media-{number}", "a", pause, told.append) for number in range(8)])
        self._wait(lambda: len(told) == 8, "a submitted job was lost")
        reading, writing = os.pipe()

        def say(word: str) -> None:
            time.sleep(0.05)  # so that the process is on its way out
            os.write(writing, f"{word}\n".encode())

        def work() -> None:
            executor.run([_job(f"media-{number}", "a", lambda: say("run")) for number in range(2)])
            for number in range(4):
                executor.submit([_job(f"media-{number % 2}", "a", partial(say, str(number)))])

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

    # What the tests need.

    def _examples(self, test: Callable[..., None]) -> Callable[..., None]:
        return settings(max_examples=self.max_examples, deadline=None)(test)

    def _run(self, executor: Executor, jobs: Sequence[Job]) -> list[Outcome]:
        outcomes: list[Outcome] = _start(executor.run, jobs).result(self.patience)
        return outcomes

    def _submit(self, executor: Executor, jobs: Sequence[Job]) -> Any:
        return _start(executor.submit, jobs).result(self.patience)

    def _wait(self, condition: Callable[[], bool], problem: str) -> None:
        deadline = time.monotonic() + self.patience
        while not condition():
            assert time.monotonic() < deadline, problem
            time.sleep(0.001)


class QueueExecutorContract:
    """What every executor promises that hands its jobs to the workers of a task queue, as tests.

    Subclass it in a test module, under a name that starts with ``Test``, and override one fixture. It returns an
    executor, and a function that takes the messages from its queue, each as a dictionary; no worker may run::

        import pytest
        from resto.testing import QueueExecutorContract


        class TestMyExecutor(QueueExecutorContract):
            @pytest.fixture
            def executor_and_messages(self):
                queue = []
                return MyExecutor(queue), lambda: [queue.pop(0) for _ in range(len(queue))]

    Override `executor_without_queue` too, for what happens when the queue is down.

    Attributes:
        max_examples: How many examples `hypothesis` looks at in each test.
        patience: Seconds within which `submit` must return.
    """

    max_examples: int = 10
    patience: float = 10.0

    @pytest.fixture
    def executor_and_messages(self) -> Any:
        """Return an executor, and a function that takes the messages from its queue. To be overridden."""
        raise NotImplementedError(
            f"{type(self).__name__} must override the fixture 'executor_and_messages', "
            "and return an executor and a function"
        )

    @pytest.fixture
    def executor_without_queue(self) -> Any:
        """Return an executor whose queue is down. To be overridden."""
        pytest.skip(f"{type(self).__name__} does not override the fixture 'executor_without_queue'")

    def test_flags_tell_that_it_cannot_wait(self, executor_and_messages: tuple[Executor, Any]) -> None:
        """``supports_run`` is False, and ``needs_alias`` True: workers find storages by their aliases."""
        executor, _ = executor_and_messages
        _check_class(executor)
        assert executor.supports_run is False
        assert executor.needs_alias is True

    def test_run_is_refused(self, executor_and_messages: tuple[Executor, Any]) -> None:
        """It raises `NotImplementedError`, and neither runs the jobs nor hands them over."""
        executor, messages = executor_and_messages
        for jobs in ([], [_remote_job("media-1")]):
            with pytest.raises(NotImplementedError):
                executor.run(jobs)
        assert messages() == []

    def test_every_job_travels_once(self, executor_and_messages: tuple[Executor, Any]) -> None:
        """With its alias, action, host, name and record, as JSON; jobs that differ in the host only, in one message."""
        executor, messages = executor_and_messages
        calls = st.tuples(
            st.sampled_from(["default", "other"]), st.sampled_from(["upload", "remove"]), st.sampled_from(["", "r1"])
        )
        actions = st.tuples(calls, _NAMES | st.text("aé #?%/", min_size=1))

        @settings(max_examples=self.max_examples, deadline=None)
        @given(st.dictionaries(actions, st.lists(_HOSTS, min_size=1, unique=True), max_size=4))
        def travels_once(actions: dict[tuple[tuple[str, str, str], str], list[str]]) -> None:
            jobs = [
                _remote_job(host, name, RemoteCall(*call)) for (call, name), hosts in actions.items() for host in hosts
            ]
            executor.submit(jobs)
            sent = messages()
            found = [(((one["storage"], one["action"], one["record"]), one["name"]), one["hosts"]) for one in sent]
            assert dict(found) == actions, "every job must travel once"
            assert len(found) == len(actions), "all hosts of one action must travel in one message"

        travels_once()

    def test_submitted_job_has_no_outcome_yet(self, executor_and_messages: tuple[Executor, Any]) -> None:
        """It does not run here, and nobody is told that it succeeded: the host would pass for up to date."""
        executor, _ = executor_and_messages
        told: list[Outcome] = []
        executor.submit([_remote_job("media-1", finished=told.append)])
        assert told == []

    def test_job_that_cannot_travel_fails(self, executor_and_messages: tuple[Executor, Any]) -> None:
        """Its ``finished`` is told so; nothing is raised, and the others travel."""
        executor, messages = executor_and_messages
        told: list[Outcome] = []
        executor.submit([_remote_job("media-1", remote=None, finished=told.append), _remote_job("media-2")])
        assert [(outcome.host, type(outcome.error)) for outcome in told] == [("media-1", TransportError)]
        assert [message["hosts"] for message in messages()] == [["media-2"]]

    def test_queue_that_is_down_fails_the_jobs(self, executor_without_queue: Executor) -> None:
        """Every ``finished`` is told so, soon; nothing is raised."""
        told: list[Outcome] = []
        jobs = [_remote_job(f"media-{number}", finished=told.append) for number in range(2)]
        _start(executor_without_queue.submit, jobs).result(self.patience)
        assert [outcome.host for outcome in told] == ["media-0", "media-1"]
        assert all(isinstance(outcome.error, TransportError) for outcome in told)


class _Caller:
    """Calls a function in a thread of its own."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self._value: Any = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._call, args=[function, *arguments], daemon=True)
        self._thread.start()

    def _call(self, function: Callable[..., Any], *arguments: Any) -> None:
        try:
            self._value = function(*arguments)
        except BaseException as error:  # noqa: BLE001 - raised to who waits
            self._error = error

    def result(self, patience: float) -> Any:
        self._thread.join(patience)
        assert not self._thread.is_alive(), f"the executor did not return within {patience:g} seconds"
        if self._error is not None:
            raise self._error
        return self._value


def _start(function: Callable[..., Any], *arguments: Any) -> _Caller:
    return _Caller(function, *arguments)


class _Action:
    """What a job does, by one call or step by step.

    Args:
        act: The last step.
        steps: Those before it; None if there is only the call.
        begin: Called when the action begins.

    Attributes:
        under_way: How many of its courses are.
    """

    def __init__(self, act: Callable[[], Any], steps: Sequence[str] | None, begin: Callable[[], Any] = int) -> None:
        self._act = act
        self._steps = steps
        self._begin = begin
        self.under_way = 0

    def __call__(self) -> Any:
        self._begin()
        return self._act()

    def job_course(self) -> Callable[[], Course[Any]] | None:
        return None if self._steps is None else self._course

    def _course(self) -> Course[Any]:
        steps = deque(self._steps or ())
        near, far = socket.socketpair()
        self.under_way += 1
        try:
            if steps and steps[0] == "time":
                yield None  # nothing was done yet
                steps.popleft()
            self._begin()
            for step in steps:
                yield from _waiting_for(step, near, far)
            return self._act()
        finally:
            self.under_way -= 1
            near.close()
            far.close()


def _waiting_for(step: str, near: socket.socket, far: socket.socket) -> Course[None]:
    if step == "time":
        yield None
    elif step == "room":
        yield Arrival(near.fileno(), time.monotonic() + _LONG, takes_more=True)
    elif step == "answer":
        far.send(b"!")
        yield Arrival(near.fileno(), time.monotonic() + _LONG)
        near.recv(1)
    else:
        deadline = time.monotonic() + (_SOON if step == "silence" else -_SOON)
        yield Arrival(near.fileno(), deadline)
        while time.monotonic() < deadline:  # whoever has resumed it early has to do so again
            yield Arrival(near.fileno(), deadline)


def _job(host: str, name: str, call: Callable[[], Any], finished: Callable[[Outcome], Any] | None = None) -> Job:
    return Job("upload", host, name, call, finished, call.job_course() if isinstance(call, _Action) else None)


def _remote_job(
    host: str,
    name: str = "a #?.txt",
    remote: RemoteCall | None = _REMOTE,
    finished: Callable[[Outcome], Any] | None = None,
) -> Job:
    action = remote.action if remote else "upload"
    return Job(action, host, name, lambda: pytest.fail("the job must not run here"), finished, remote=remote)


def _fail(error: BaseException) -> Callable[[], Any]:
    def call() -> None:
        raise error

    return call


def _raise_zero_division(outcome: Outcome) -> None:
    raise ZeroDivisionError(outcome.host)


def _check_class(executor: Executor) -> None:
    assert isinstance(executor, Executor), "an executor must be a subclass of resto.executors.Executor"
    for flag in ("supports_run", "needs_alias", "has_literal_credentials"):
        assert isinstance(getattr(executor, flag), bool), f"{flag} must be True or False"
    for parameter in inspect.signature(type(executor)).parameters.values():
        by_name = parameter.kind in (parameter.KEYWORD_ONLY, parameter.POSITIONAL_OR_KEYWORD, parameter.VAR_KEYWORD)
        assert by_name, f"{parameter.name!r} must be a keyword argument"
