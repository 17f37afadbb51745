import threading

from resto.executors import Job
from resto.executors.inline import InlineExecutor
from resto.executors.thread import ThreadExecutor


def job(host, name, call):
    return Job("upload", host, name, call)


def test_jobs_run_in_the_calling_thread():
    outcomes = InlineExecutor().run([job(f"media-{number}", "a", threading.get_ident) for number in range(3)])
    assert {outcome.value for outcome in outcomes} == {threading.get_ident()}


def test_jobs_run_in_the_order_given():
    ran = []
    InlineExecutor().run([job(f"media-{number}", "a", lambda number=number: ran.append(number)) for number in range(9)])
    assert ran == [*range(9)]


def test_submit_returns_when_all_is_done():
    ran = []
    InlineExecutor().submit([job("media-1", "a", lambda: ran.append(1)), job("media-2", "a", lambda: ran.append(2))])
    assert ran == [1, 2]


def test_no_thread_is_started(pool):
    before = threading.active_count()
    InlineExecutor().run([job(f"media-{number}", "a", lambda: None) for number in range(3)])
    assert threading.active_count() == before


def test_lanes_are_shared_with_other_executors(block, call_in_thread, wait_until):
    first = block("media-1", "a")
    ThreadExecutor().submit([first.job])
    assert first.started.wait(10)
    free = threading.Event()
    result = call_in_thread(
        InlineExecutor().run, [job("media-1", "a", first.finished.is_set), job("media-2", "a", free.set)]
    )
    assert free.wait(10)  # and does not wait for the job of the lane that is not free
    first.released.set()
    assert result()[0].value
