"""The contract of executors, for those that can wait, and their jobs."""

import threading

import pytest

from resto.exceptions import TransportError
from resto.executors import Executor, Job
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


def test_same_job_twice(executor):
    one = job(call=lambda: 42)
    assert [outcome.value for outcome in executor.run([one, one])] == [42, 42]


def test_job_may_run_jobs(executor):
    """A job waits for others, of lanes that are not its own, although its host's share of threads is used up."""

    def call(number):
        return executor.run([job("media-1", f"{number}/inner", lambda: number)])[0].value

    outcomes = executor.run([job("media-1", str(number), lambda number=number: call(number)) for number in range(20)])
    assert [outcome.value for outcome in outcomes] == [*range(20)]
