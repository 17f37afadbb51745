"""The end of a command that stays."""

import os
import signal

import pytest

from resto.management import ending
from resto.management.ending import Ending


def send(number):
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_by_itself_if_it_does_so_soon(number):
    with Ending() as found:
        assert not found
        with found.interruptible():
            send(number)
        assert found
        found.wait(1_000)
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


@pytest.mark.parametrize("impatient", [True, False])
def test_what_takes_long_is_interrupted_then_or_at_the_second_signal(monkeypatch, impatient):
    monkeypatch.setattr(ending, "PATIENCE", 1_000 if impatient else 0.01)
    monkeypatch.setattr(ending, "TICK", 0.02)
    steps = []
    with Ending() as found:
        with found.interruptible():
            send(signal.SIGTERM)
            if impatient:
                send(signal.SIGTERM)
            while True:
                signal.pause()
        steps.append("after")
        if impatient:
            send(signal.SIGTERM)  # nothing is under way
        steps.append("at the end")
    assert steps == ["after", "at the end"]


def test_what_else_interrupts_goes_on():
    with Ending() as found, pytest.raises(KeyboardInterrupt), found.interruptible():
        raise KeyboardInterrupt


def test_handlers_are_as_before():
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM)]
    with Ending():
        pass
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM)] == before
