"""The contract of executors that hand their jobs to the workers of a task queue."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resto.exceptions import TransportError
from resto.executors import Executor, Job, RemoteCall
from resto.outcomes import Outcome
from resto.testing.executor_contract.tools import HOSTS, NAMES, Caller, check_class


_REMOTE = RemoteCall("default", "upload")


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
        check_class(executor)
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
        actions = st.tuples(calls, NAMES | st.text("aé #?%/", min_size=1))

        @settings(max_examples=self.max_examples, deadline=None)
        @given(st.dictionaries(actions, st.lists(HOSTS, min_size=1, unique=True), max_size=4))
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
        Caller(executor_without_queue.submit, jobs).result(self.patience)
        assert [outcome.host for outcome in told] == ["media-0", "media-1"]
        assert all(isinstance(outcome.error, TransportError) for outcome in told)


def _remote_job(
    host: str,
    name: str = "a #?.txt",
    remote: RemoteCall | None = _REMOTE,
    finished: Callable[[Outcome], Any] | None = None,
) -> Job:
    action = remote.action if remote else "upload"
    return Job(action, host, name, lambda: pytest.fail("the job must not run here"), finished, remote=remote)
