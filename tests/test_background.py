"""The helper thread."""

import os
import subprocess
import sys
import threading

import pytest

from resto import background
from resto.background import Helper


@pytest.fixture
def helper():
    helper = Helper()
    yield helper
    helper.end()


def threads():
    return [thread for thread in threading.enumerate() if thread.name == "resto-helper"]


def test_calls_are_made_again_and_again_until_they_are_ended(helper):
    calls = threading.Semaphore(0)
    end = helper.every(0.001, calls.release)
    for _ in range(5):
        assert calls.acquire(timeout=60)
    assert len(threads()) == 1
    [thread] = threads()
    end()
    end()
    thread.join(60)
    assert not thread.is_alive()


def test_one_thread_makes_all_calls(helper):
    seen = []
    first, second = threading.Event(), threading.Event()
    for event in (first, second):
        helper.every(0.001, lambda event=event: (seen.append(threading.current_thread()), event.set()))
    assert first.wait(60)
    assert second.wait(60)
    assert len(set(seen)) == 1


def test_it_begins_anew_after_its_end(helper):
    for _ in range(3):
        called = threading.Event()
        end = helper.every(0.001, called.set)
        assert called.wait(60)
        end()


def test_a_call_that_fails_is_made_again(helper, caplog):
    calls = threading.Semaphore(0)

    def fail():
        calls.release()
        raise ValueError("no")

    helper.every(0.001, fail)
    for _ in range(2):
        assert calls.acquire(timeout=60)
    helper.end()
    assert "is tried again in 0.001 s" in caplog.text


def test_the_first_call_waits_for_its_time(helper):
    called, other = threading.Event(), threading.Event()
    helper.every(600, called.set)
    helper.every(0.001, other.set)
    assert other.wait(60)
    assert not called.is_set()


def test_end_waits_for_the_call_that_is_under_way(helper):
    began, ended = threading.Event(), threading.Event()

    def call():
        began.set()
        helper_waits.wait(60)
        ended.set()

    helper_waits = threading.Event()
    helper.every(0.001, call)
    assert began.wait(60)
    threading.Timer(0.01, helper_waits.set).start()
    helper.end()
    assert ended.is_set()


def test_what_once_more_is_done_once_more_at_once(helper):
    calls = []
    end = helper.every(600, lambda: calls.append(threading.current_thread()), once_more=True)
    [thread] = threads()
    end()
    assert calls == [thread]
    assert not thread.is_alive()
    end()
    assert len(calls) == 1


def test_so_it_is_at_the_end_of_the_process_and_nothing_else(helper):
    calls = []
    for name, once_more in {"first": True, "second": False, "third": True}.items():
        helper.every(600, lambda name=name: calls.append(name), once_more=once_more)
    assert not helper.has_ended
    helper.end()
    assert sorted(calls) == ["first", "third"]
    assert helper.has_ended


def test_so_it_is_if_it_is_under_way(helper):
    began, calls = threading.Event(), []

    def call():
        calls.append(1)
        began.set()
        may_go_on.wait(60)

    may_go_on = threading.Event()
    end = helper.every(0.001, call, once_more=True)
    assert began.wait(60)
    threading.Timer(0.01, may_go_on.set).start()
    end()
    assert len(calls) == 2


def test_what_is_called_may_end_itself(helper):
    calls, ended = [], threading.Event()

    def call():
        calls.append(1)
        end() if len(calls) == 1 else ended.set()

    end = helper.every(0.1, call, once_more=True)
    assert ended.wait(60)


def test_nobody_waits_for_a_last_call_for_ever(helper, monkeypatch):
    monkeypatch.setattr(background, "LAST_WAIT", 0.01)
    may_go_on = threading.Event()
    end = helper.every(600, lambda: may_go_on.wait(60), once_more=True)
    [thread] = threads()
    end()
    assert thread.is_alive()
    may_go_on.set()
    thread.join(60)


def test_where_there_can_be_no_thread_nothing_is_called(helper, monkeypatch):
    def refuse(thread):
        raise RuntimeError("can't start new thread")

    called = threading.Event()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError, match="new thread"):
            helper.every(0.001, pytest.fail)
    helper.every(0.001, called.set)
    assert called.wait(60)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_fork_begins_without_calls():
    script = """
import os, threading, warnings
warnings.simplefilter("ignore")
from resto.background import HELPER
HELPER.every(600, print)
if os.fork() == 0:
    called = threading.Event()
    HELPER.every(0.001, called.set)
    assert called.wait(60)
    os._exit(7)
print(os.waitstatus_to_exitcode(os.wait()[1]))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "7\n", done.stderr
