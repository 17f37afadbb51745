"""Calls that are not waited for so long."""

import os
import threading

import pytest

from kit.clock import Clock
from resto.bounded import Bounded


@pytest.fixture
def clock():
    return Clock()


def test_result_is_kept_for_a_while(clock):
    results = iter([1, 2])
    bounded = Bounded(lambda: next(results), 1, 5, clock)
    assert [bounded.get(), bounded.get()] == [1, 1]
    clock.now += 4.9
    assert bounded.get() == 1
    clock.now += 0.2
    assert bounded.get() == 2


def test_error_is_kept_as_well(clock):
    results = iter([1])
    bounded = Bounded(lambda: next(results) / 0, 1, 5, clock)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            bounded.get()


def test_call_that_hangs_holds_up_one_thread(clock):
    """The next ones to ask do not even wait; what it returns in the end counts."""
    go_on, calls = threading.Event(), []

    def call():
        calls.append(threading.current_thread())
        go_on.wait()
        return len(calls)

    bounded = Bounded(call, 0, 5, clock)
    for _ in range(3):
        with pytest.raises(TimeoutError):
            bounded.get()
    assert len(calls) == 1
    go_on.set()
    calls[0].join()
    assert bounded.get() == 1


def test_who_asks_meanwhile_waits_for_the_same_call():
    go_on, calls, found = threading.Event(), [], []

    def call():
        calls.append(1)
        go_on.wait()
        return "found"

    bounded = Bounded(call, 60, 60)
    asking = [threading.Thread(target=lambda: found.append(bounded.get())) for _ in range(3)]
    for thread in asking:
        thread.start()
    go_on.set()
    for thread in asking:
        thread.join()
    assert (found, calls) == (["found"] * 3, [1])


def test_several_are_waited_for_at_the_same_time(clock):
    """Whoever has begun all of them waits as long as for one."""
    go_on = threading.Event()
    several = [Bounded(go_on.wait, 5, 60, clock) for _ in range(3)]
    for one in several:
        one.begin()
    clock.now += 5
    for one in several:
        with pytest.raises(TimeoutError):
            one.get()
    go_on.set()


def test_forget():
    results = iter([1, 2])
    bounded = Bounded(lambda: next(results), 60, 60)
    assert bounded.get() == 1
    bounded.forget()
    assert bounded.get() == 2


def test_fork_does_not_wait_for_its_parents_call():
    go_on = threading.Event()
    bounded = Bounded(lambda: go_on.wait() and os.getpid(), 0, 60)
    with pytest.raises(TimeoutError):
        bounded.get()
    child = os.fork()
    if not child:
        go_on.set()
        bounded._seconds = 60
        os._exit(bounded.get() != os.getpid())
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    go_on.set()
