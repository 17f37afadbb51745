"""The end of a command that stays."""

import os
import signal
import subprocess
import sys

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


ENDING = """
import sys, threading, time
from resto.management import ending

class Slow:
    def __del__(self):
        time.sleep(20 * ending.MOMENT)

ending.MOMENT = 0.02
if "thread" in sys.argv:
    threading.Thread(target=threading.Event().wait).start()
else:
    sys.modules["slow"] = Slow()  # goes when Python has taken its handlers away
ending.end_soon()
"""


@pytest.mark.parametrize("why", ["thread", "Python"])
def test_a_process_ends_in_a_moment_and_well_whatever_takes_long(why):
    done = subprocess.run([sys.executable, "-c", ENDING, why], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


HANGING = """
import threading
from resto.management import ending

ending.PATIENCE = ending.LAST_PATIENCE = ending.TICK = 0.02
with ending.Ending():
    print("It waits.", flush=True)
    threading.Event().wait()
"""


def test_a_process_that_waits_for_ever_ends_as_if_it_was_killed():
    with subprocess.Popen([sys.executable, "-c", HANGING], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "It waits.\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 1
