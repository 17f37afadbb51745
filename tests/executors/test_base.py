"""The contract of executors, for those that can wait, and their jobs."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resto.exceptions import HostUnavailableError, TransportError
from resto.executors import Executor, Job
from resto.executors.inline import InlineExecutor
from resto.executors.thread import ThreadExecutor
from resto.outcomes import Begun


def job(host="media-1", name="a.txt", call=lambda: None, finished=None, begin=None):
    return Job("upload", host, name, call, finished, begin)


def fail(error):
    raise error


def test_job_returns_the_value():
    outcome = job(call=lambda: 42).run()
    assert (outcome.action, outcome.host, outcome.name, outcome.value) == ("upload", "media-1", "a.txt", 42)
    assert outcome.ok


def test_job_returns_the_error():
    error = TransportError("media-1", "a.txt", "upload", "no idea")
    outcome = job(call=lambda: fail(error)).run()
    assert outcome.error is error
    assert outcome.value is None


def test_job_measures_its_time():
    assert 0.05 <= job(call=lambda: threading.Event().wait(0.05)).run().seconds < 5


@pytest.mark.parametrize("call", [lambda: 42, lambda: fail(ZeroDivisionError())], ids=["value", "error"])
def test_job_tells_its_outcome(call):
    outcomes = []
    assert [job(call=call, finished=outcomes.append).run()] == outcomes


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_job_that_ends_its_thread_has_no_outcome(error):
    outcomes = []
    with pytest.raises(error):
        job(call=lambda: fail(error()), finished=outcomes.append).run()
    assert outcomes == []


def test_error_of_finished_is_logged(caplog):
    outcome = job(call=lambda: 42, finished=lambda outcome: fail(ZeroDivisionError())).run()
    assert outcome.value == 42
    [record] = caplog.records
    assert record.getMessage() == "Failed to process the outcome of the upload of a.txt on media-1."
    assert record.exc_info[0] is ZeroDivisionError


@pytest.mark.parametrize("begin", [None, lambda: None], ids=["nothing", "not at once"])
def test_job_that_cannot_begin(begin):
    outcomes = []
    assert job(begin=begin, finished=outcomes.append).start() is None
    assert outcomes == []


def test_job_begins_without_waiting():
    resumed, outcomes = [], []
    begun = job(begin=lambda: Begun(lambda: resumed.append(1) or 42), finished=outcomes.append).start()
    assert (resumed, outcomes) == ([], [])
    outcome = begun.resume()
    assert (outcome.action, outcome.host, outcome.name, outcome.value) == ("upload", "media-1", "a.txt", 42)
    assert (resumed, outcomes) == ([1], [outcome])


def test_job_of_several_requests_has_one_outcome():
    outcomes = []
    begun = job(begin=lambda: Begun(lambda: Begun(lambda: 42)), finished=outcomes.append).start()
    again = begun.resume()
    assert isinstance(again, Begun)
    assert outcomes == []
    assert [again.resume()] == outcomes


@pytest.mark.parametrize(
    "begin",
    [
        lambda: fail(ZeroDivisionError()),
        lambda: Begun(lambda: fail(ZeroDivisionError())),
    ],
    ids=["at once", "later"],
)
def test_job_that_fails_after_it_began(begin):
    outcomes = []
    outcome = job(begin=begin, finished=outcomes.append).start().resume()
    assert isinstance(outcome.error, ZeroDivisionError)
    assert outcomes == [outcome]


def test_executor_is_abstract():
    with pytest.raises(TypeError, match=r"run'?, '?submit"):
        Executor()


def test_executor_can_wait_unless_it_says_otherwise(executor):
    assert executor.supports_run


def test_run_nothing(executor):
    assert executor.run([]) == []


def test_submit_nothing(executor):
    executor.submit([])


def test_outcomes_are_in_the_order_of_the_jobs(executor):
    hosts = [f"media-{number}" for number in range(20)]
    outcomes = executor.run([job(host, call=lambda host=host: host) for host in hosts])
    assert [outcome.value for outcome in outcomes] == hosts
    assert [outcome.host for outcome in outcomes] == hosts


def test_same_job_twice(executor):
    one = job(call=lambda: 42)
    assert [outcome.value for outcome in executor.run([one, one])] == [42, 42]


def test_failure_does_not_keep_others_from_running(executor):
    first, second = executor.run([job("media-1", call=lambda: fail(ZeroDivisionError())), job("media-2")])
    assert isinstance(first.error, ZeroDivisionError)
    assert second.ok


def test_submitted_jobs_tell_their_outcomes(executor):
    outcomes = []
    both = threading.Semaphore(0)

    def finished(outcome):
        outcomes.append(outcome)
        both.release()

    executor.submit([job("media-1", finished=finished), job("media-2", finished=finished)])
    assert both.acquire(timeout=10)
    assert both.acquire(timeout=10)
    assert {outcome.host for outcome in outcomes} == {"media-1", "media-2"}


def test_error_of_finished_does_not_block_the_lane(executor, caplog):
    done = threading.Event()
    executor.submit([job(finished=lambda outcome: fail(ZeroDivisionError()))])
    executor.submit([job(finished=lambda outcome: done.set())])
    assert done.wait(10)
    assert "Failed to process the outcome" in caplog.text


def test_job_may_run_jobs(executor):
    """A job waits for others, of lanes that are not its own, although its host's share of threads is used up."""

    def call(number):
        return executor.run([job("media-1", f"{number}/inner", lambda: number)])[0].value

    outcomes = executor.run([job("media-1", str(number), lambda number=number: call(number)) for number in range(20)])
    assert [outcome.value for outcome in outcomes] == [*range(20)]


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_job_that_ends_its_thread_does_so_to_the_caller(executor, error, caplog):
    """Whichever thread ran the job; and nothing is left in its lane."""
    with pytest.raises(error):
        executor.run([job("media-1"), job("media-2", call=lambda: fail(error())), job("media-3")])
    assert [outcome.ok for outcome in executor.run([job(f"media-{number}") for number in (1, 2, 3)])] == [True] * 3


failures = st.sampled_from(
    [
        None,
        ZeroDivisionError("division by zero"),
        TransportError("media-1", "a.txt", "upload", "no idea"),
        HostUnavailableError("media-1", "a.txt", "upload", "refused", ambiguous=True),
    ]
)
# How a job can begin: how many requests it takes, or None if it cannot.
requests = st.none() | st.integers(0, 3)
batches = st.lists(
    st.tuples(st.sampled_from(["media-1", "media-2", "media-3"]), st.sampled_from("ab"), failures, requests),
    max_size=12,
)


@given(batches)
def test_inline_and_thread_give_the_same_outcomes(batch):
    """For any set of jobs and failures; and each job is done once, in whatever way."""

    def outcomes(executor):
        done = []

        def create(number, host, name, error, requests):
            def call():
                done.append(number)
                return fail(error) if error else number

            def step(left):
                return Begun(lambda: step(left - 1)) if left else call()

            return job(host, name, call, begin=lambda: Begun(lambda: step(requests)) if requests is not None else None)

        outcomes = executor.run([create(number, *parameters) for number, parameters in enumerate(batch)])
        assert sorted(done) == [*range(len(batch))]
        return [(outcome.action, outcome.host, outcome.name, outcome.value, outcome.error) for outcome in outcomes]

    assert outcomes(ThreadExecutor()) == outcomes(InlineExecutor())
