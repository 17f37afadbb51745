"""What is done aside."""

import threading

import pytest

from resto.clock import monotonic
from resto.repair.watch.aside import Aside


PATIENCE = 300


@pytest.fixture
def told():
    return []


@pytest.fixture
def aside(told):
    return Aside("resto-test", told.append)


def test_it_is_busy_until_the_end(aside, told):
    going_on = threading.Event()
    assert not aside.is_busy
    aside.begin(lambda check: going_on.wait(PATIENCE))
    assert aside.is_busy
    aside.join(monotonic() + 0.01)
    assert aside.is_busy
    going_on.set()
    aside.join(monotonic() + PATIENCE)
    assert not aside.is_busy
    assert told == []


def test_it_stops_where_it_checks(aside, told):
    steps = []
    begun = threading.Event()

    def work(check):
        while True:
            steps.append(1)
            begun.set()
            check()

    aside.begin(work)
    begun.wait(PATIENCE)
    aside.stop()
    aside.join(monotonic() + PATIENCE)
    assert not aside.is_busy
    assert steps
    assert told == []


def test_what_fails_is_told_and_the_next_can_begin(aside, told):
    def fail(check):
        raise ValueError("it is broken")

    for _ in range(2):
        aside.begin(fail)
        aside.join(monotonic() + PATIENCE)
    assert told == ["it is broken"] * 2
