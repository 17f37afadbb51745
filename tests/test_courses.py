"""Courses: whoever finishes one, whoever finds one again, and what becomes of one that is given up."""

import functools
import inspect
import signal
import socket
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resto.courses import Arrival, as_method, course_of, finish, has_course, waiting


@pytest.fixture
def line():
    near, far = socket.socketpair()
    with near, far:
        yield near, far


def soon(near, seconds=10, **options):
    return Arrival(near.fileno(), time.monotonic() + seconds, **options)


def patiently(near, deadline):
    """A course that looks for itself, as all do, and counts how often it was resumed."""
    near.setblocking(False)
    resumed = 0
    while True:
        yield Arrival(near.fileno(), deadline)
        resumed += 1
        try:
            return near.recv(9), resumed
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise TimeoutError from None


# Finishing.


@given(st.lists(st.booleans()))
def test_course_is_carried_out_to_its_end(waits):
    """Whatever steps it has."""
    near, far = socket.socketpair()
    steps = []

    def course():
        for number, is_arrival in enumerate(waits):
            yield soon(near) if is_arrival else None
            steps.append(number)
        return "result"

    with near, far:
        far.send(b"!")
        assert finish(course()) == "result"
    assert steps == [*range(len(waits))]


@pytest.mark.parametrize("steps", [0, 1], ids=["from its start", "under way"])
def test_what_arrives_is_waited_for(line, steps):
    """Also if the course is under way: whoever finishes it has not seen what it waits for."""
    near, far = line
    course = patiently(near, time.monotonic() + 10)
    for _ in range(steps):
        next(course)
    timer = threading.Timer(0.05, far.send, [b"answer"])
    timer.start()
    assert finish(course) == (b"answer", steps + 1)
    timer.join()


def test_waiting_ends_at_the_deadline(line):
    near, _ = line
    started = time.monotonic()
    with pytest.raises(TimeoutError):
        finish(patiently(near, started + 0.05))
    assert 0.05 <= time.monotonic() - started < 5


def test_deadline_that_is_over_is_not_waited_for(line):
    near, _ = line
    with pytest.raises(TimeoutError):
        finish(patiently(near, time.monotonic() - 10))


def test_host_that_takes_more_is_waited_for(line):
    near, _ = line

    def course():
        yield soon(near, takes_more=True)

    started = time.monotonic()
    finish(course())
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("error", [ValueError, SystemExit])
def test_error_of_a_course_is_raised(error):
    def course():
        yield None
        raise error("no")

    with pytest.raises(error, match="no"):
        finish(course())


def test_interrupted_course_is_closed(line):
    """Ctrl-C while its answer is waited for: nobody must use its connection again."""
    near, _ = line
    log = []

    def course():
        try:
            yield soon(near, 60)
        except GeneratorExit:
            log.append("closed")
            raise

    def interrupt():
        while inspect.getgeneratorstate(begun) != inspect.GEN_SUSPENDED:
            time.sleep(0.01)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    begun = course()
    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        finish(begun)
    thread.join()
    assert log == ["closed"]
    assert inspect.getgeneratorstate(begun) == inspect.GEN_CLOSED


# Methods.


class Greeter:
    greeting = "hello"

    @as_method
    def greet(self, name, *, times=1):
        """Say hello."""
        yield None
        return " ".join([self.greeting, *[name] * times])


class Polite(Greeter):
    greeting = "good day"


class Loud(Greeter):
    def greet(self, name, *, times=1):
        return super().greet(name, times=times).upper()


def decorated(method):
    @functools.wraps(method)
    def loud(self, *args, **kwargs):
        return method(self, *args, **kwargs).upper()

    return loud


class Decorated(Greeter):
    greet = decorated(Greeter.greet)


class Slow(Greeter):
    @as_method
    def greet(self, name, *, times=1):
        yield None
        return (yield from course_of(super().greet, name, times=times)) + "."


RESULTS = {
    Greeter: "hello you you",
    Polite: "good day you you",
    Loud: "HELLO YOU YOU",
    Decorated: "HELLO YOU YOU",
    Slow: "hello you you.",
}


@pytest.mark.parametrize("cls", RESULTS)
def test_method_finishes_its_course(cls):
    assert cls().greet("you", times=2) == RESULTS[cls]


@pytest.mark.parametrize("cls", RESULTS)
def test_course_of_a_method_does_what_the_method_does(cls):
    """That of a subclass which overrides it, however, is not bypassed."""
    assert finish(course_of(cls().greet, "you", times=2)) == RESULTS[cls]


def steps(course):
    return len(list(course))


def test_course_of_a_method_takes_its_steps():
    assert [steps(course_of(cls().greet, "you")) for cls in (Greeter, Slow)] == [1, 2]


def test_which_methods_have_a_course():
    assert {cls for cls in RESULTS if has_course(cls().greet)} == {Greeter, Polite, Slow}
    assert not has_course(str.upper)


def test_method_keeps_its_name_and_its_documentation():
    assert (Greeter.greet.__name__, Greeter.greet.__doc__) == ("greet", "Say hello.")


def test_method_can_return_the_course_of_another():
    """So that there is no generator more than needed."""

    class Short(Greeter):
        @as_method
        def hail(self, name):
            return course_of(self.greet, name)

    assert Short().hail("you") == "hello you"
    assert finish(course_of(Short().hail, "you")) == "hello you"


def test_plain_call_is_one_step_that_may_take_its_time():
    """Nothing is done before it: whoever has others under way closes it, and leaves it to a thread."""
    done = []
    course = course_of(done.append, "called")
    assert next(course) is None
    course.close()
    assert done == []
    finish(waiting(done.append, "called"))
    assert done == ["called"]


def test_error_of_a_plain_call_is_raised():
    with pytest.raises(ZeroDivisionError):
        finish(waiting(divmod, 1, 0))
