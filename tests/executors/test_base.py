"""The contract of executors, for those that can wait, and their jobs."""

import threading
from functools import partial

import pytest

from resto.courses import Arrival, finish
from resto.exceptions import TransportError
from resto.executors import Executor, Job


def job(host="media-1", name="a.txt", call=lambda: None, finished=None, course=None):
    return Job("upload", host, name, call, finished, course)


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


def test_job_without_a_course_is_one_step_that_may_take_its_time():
    ran, outcomes = [], []
    course = job(call=lambda: ran.append(1), finished=outcomes.append).carry_out()
    assert next(course) is None
    assert (ran, outcomes) == ([], [])
    assert [finish(course)] == outcomes
    assert ran == [1]


def test_job_takes_the_steps_of_its_course():
    outcomes = []
    arrivals = [Arrival(0, 0), None, Arrival(1, 1)]
    under_way = job(finished=outcomes.append, course=partial(steps, arrivals)).carry_out()
    assert [next(under_way) for _ in arrivals] == arrivals
    assert outcomes == []
    outcome = finish(under_way)
    assert (outcome.action, outcome.host, outcome.name, outcome.value) == ("upload", "media-1", "a.txt", 42)
    assert outcomes == [outcome]


def steps(arrivals):
    yield from arrivals
    return 42


def failing_later():
    yield None
    raise ZeroDivisionError


@pytest.mark.parametrize("course", [lambda: fail(ZeroDivisionError()), failing_later], ids=["at once", "later"])
def test_course_that_fails_has_an_outcome(course):
    """Also if it cannot even be made."""
    outcomes = []
    outcome = finish(job(course=course, finished=outcomes.append).carry_out())
    assert isinstance(outcome.error, ZeroDivisionError)
    assert outcomes == [outcome]


def test_course_measures_its_time():
    assert 0.05 <= finish(job(call=lambda: threading.Event().wait(0.05)).carry_out()).seconds < 5


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_course_that_ends_its_thread_has_no_outcome(error):
    outcomes = []
    with pytest.raises(error):
        finish(job(call=lambda: fail(error()), finished=outcomes.append).carry_out())
    assert outcomes == []


def test_course_that_is_given_up_is_closed_and_has_no_outcome():
    closed, outcomes = [], []

    def course():
        try:
            yield Arrival(0, 0)
        finally:
            closed.append(1)

    under_way = job(course=course, finished=outcomes.append).carry_out()
    next(under_way)
    under_way.close()
    assert (closed, outcomes) == ([1], [])


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
