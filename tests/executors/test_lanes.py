import queue
import signal
import socket
import threading
import time
from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resto.executors import Job
from resto.executors.inline import InlineExecutor
from resto.executors.lanes import Lanes, process_lanes
from resto.executors.thread import ThreadExecutor
from resto.outcomes import Arrival, Begun


def job(host, name, call=lambda: None, begin=None):
    return Job("upload", host, name, call, begin=begin)


def jobs_in_lane(lane):
    return len(process_lanes()._lanes.get(lane, ()))


# How jobs get into their lanes: handed to the pool, or run by a caller who waits for them.
WAYS = {"submit": ThreadExecutor().submit, "run": ThreadExecutor().run, "inline": InlineExecutor().run}

lanes = st.tuples(st.sampled_from(["media-1", "media-2"]), st.sampled_from("ab"))
batches = st.one_of(
    st.tuples(st.sampled_from(["submit", "run"]), st.lists(lanes, min_size=1, max_size=3)),
    st.tuples(st.just("inline"), st.lists(lanes, min_size=1, max_size=1)),
)


@given(st.lists(batches, min_size=1, max_size=4), st.data())
def test_lanes_keep_order_and_do_not_hold_up_each_other(wait_until, batches, data):
    """For any jobs, given in any way, that come to an end in any order that their lanes allow."""
    order = defaultdict(list)
    released = []
    started = queue.Queue()
    callers = []

    def call(number):
        started.put(number)
        released[number].wait(10)

    for way, batch in batches:
        jobs = []
        for lane in batch:
            number = len(released)
            order[lane].append(number)
            jobs.append(job(*lane, lambda number=number: call(number)))
            released.append(threading.Event())
        callers.append(threading.Thread(target=WAYS[way], args=[jobs]))
        callers[-1].start()
        wait_until(lambda batch=batch: all(jobs_in_lane(lane) == len(order[lane]) for lane in batch))

    running = set()
    try:
        while order:
            heads = {numbers[0]: lane for lane, numbers in order.items()}
            while running != set(heads):
                number = started.get(timeout=10)
                assert number in set(heads) - running
                running.add(number)
            finishing = data.draw(st.sampled_from(sorted(running)))
            running.remove(finishing)
            del order[heads[finishing]][0]
            order = {lane: numbers for lane, numbers in order.items() if numbers}
            released[finishing].set()
    finally:
        for event in released:
            event.set()
        for caller in callers:
            caller.join(10)
    assert started.empty()


def test_caller_runs_what_is_ready_while_another_lane_is_not(block, call_in_thread):
    first = block("media-1", "a")
    ThreadExecutor().submit([first.job])
    assert first.started.wait(10)
    ran = threading.Event()
    result = call_in_thread(process_lanes().run, [job("media-1", "a"), job("media-2", "a", ran.set)])
    assert ran.wait(10)
    first.released.set()
    assert [outcome.host for outcome in result()] == ["media-1", "media-2"]


def test_task_is_run_once():
    offered = []
    own = Lanes()
    own.submit([job("media-1", "a")], offered.append)
    assert own.attempt(offered[0])
    assert not own.attempt(offered[0])


def test_tasks_are_offered_when_they_are_ready():
    offered = []
    own = Lanes()
    own.submit([job("media-1", "a"), job("media-1", "a"), job("media-2", "a")], offered.append)
    assert [task.job.host for task in offered] == ["media-1", "media-2"]
    own.attempt(offered[0])
    assert [task.job.host for task in offered] == ["media-1", "media-2", "media-1"]


def test_caller_keeps_the_first_task_for_itself():
    offered = []
    Lanes().run([job("media-1", "a"), job("media-2", "a"), job("media-3", "a")], offered.append)
    assert [task.job.host for task in offered] == ["media-2", "media-3"]


def test_caller_begins_all_before_it_waits_for_any():
    log = []

    def begin(host):
        log.append(f"begin {host}")
        return Begun(lambda: log.append(f"resume {host}"))

    Lanes().run([job(host, "a", begin=lambda host=host: begin(host)) for host in ("media-1", "media-2")])
    assert log == ["begin media-1", "begin media-2", "resume media-1", "resume media-2"]


def test_actions_of_several_requests_take_turns():
    log = []

    def step(host, number):
        log.append((host, number))
        return Begun(lambda: step(host, number + 1)) if number < 3 else number

    outcomes = Lanes().run([job(host, "a", begin=lambda host=host: step(host, 0)) for host in ("one", "two")])
    assert log == [(host, number) for number in range(4) for host in ("one", "two")]
    assert [outcome.value for outcome in outcomes] == [3, 3]


def test_job_that_cannot_begin_is_run(executor):
    assert executor.run([job("media-1", "a", lambda: "ran", begin=lambda: None)])[0].value == "ran"


def test_jobs_that_cannot_begin_are_offered_when_the_caller_waits_for_others():
    offered = []
    jobs = [job("media-1", "a", begin=lambda: Begun(lambda: None)), job("media-2", "a"), job("media-3", "a")]
    Lanes().run(jobs, offered.append)
    assert [task.job.host for task in offered] == ["media-2", "media-3"]


def test_submitted_job_is_not_begun():
    """Nobody waits for it: the thread that runs it can wait for the host."""
    log, done = [], threading.Event()

    def begin():
        log.append("begun")
        return Begun(lambda: None)

    ThreadExecutor().submit(
        [Job("upload", "media-1", "a", lambda: log.append("ran"), lambda outcome: done.set(), begin)]
    )
    assert done.wait(10)
    assert log == ["ran"]


def test_job_begins_only_when_its_lane_is_free(executor, block, call_in_thread, wait_until):
    first = block("media-1", "a")
    ThreadExecutor().submit([first.job])
    assert first.started.wait(10)
    begun = threading.Event()
    result = call_in_thread(executor.run, [job("media-1", "a", begin=lambda: begun.set())])
    wait_until(lambda: jobs_in_lane(("media-1", "a")) == 2)
    assert not begun.is_set()
    first.released.set()
    assert result()[0].ok


def test_begun_job_keeps_its_lane(executor):
    order = []

    def submit_another():
        order.append("begin")
        ThreadExecutor().submit([job("media-1", "a", lambda: order.append("another"))])
        return Begun(lambda: Begun(lambda: order.append("end")))

    executor.run([job("media-1", "a", begin=submit_another)])
    executor.run([job("media-1", "a")])
    assert order == ["begin", "end", "another"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_caller_interrupted_while_actions_are_under_way_frees_its_lanes(executor, error):
    def interrupt():
        raise error

    jobs = [job("media-1", "a", begin=lambda: Begun(interrupt)), job("media-2", "a", begin=lambda: Begun(int))]
    with pytest.raises(error):
        executor.run(jobs)
    assert not process_lanes()._lanes


def test_interrupted_caller_does_not_block_its_lanes(executor, block, wait_until):
    """Ctrl-C while the caller waits for its turn: the job that waits is given up, those after it are not."""
    first = block("media-1", "a")
    ran = []
    interrupter = threading.Thread(target=lambda: interrupt_when_waiting(wait_until, ("media-1", "a")))
    ThreadExecutor().submit([first.job])
    assert first.started.wait(10)
    interrupter.start()
    with pytest.raises(KeyboardInterrupt):
        executor.run([job("media-2", "a"), job("media-1", "a", lambda: ran.append("interrupted"))])
    interrupter.join()
    first.released.set()
    assert executor.run([job("media-1", "a", lambda: ran.append("next"))])[0].ok
    assert ran == ["next"]


def interrupt_when_waiting(wait_until, lane):
    wait_until(lambda: jobs_in_lane(lane) == 2 and is_waited_for(process_lanes()._lanes[lane][1]))
    signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)


def is_waited_for(task):
    return task.caller._changed is not None and task.caller._changed._waiters


class InterruptedLock:
    """A lock whose release is interrupted, once."""

    def __init__(self, releases):
        self._lock = threading.Lock()
        self._releases = releases

    def acquire(self, *args):
        return self._lock.acquire(*args)

    def release(self):
        self._lock.release()
        self._releases -= 1
        if self._releases == 0:
            raise KeyboardInterrupt

    def __enter__(self):
        self.acquire()

    def __exit__(self, *error):
        self.release()


# The caller enters its jobs, finds, claims and leaves each of them, and finds that all are done.
@pytest.mark.parametrize(
    ("begin", "moments"),
    [(None, 8), (lambda: None, 10), (lambda: Begun(int), 4)],
    ids=["run", "not begun", "begun"],
)
def test_interruption_at_any_moment_does_not_block_the_lanes(begin, moments, subtests):
    for moment in range(1, moments + 1):
        with subtests.test(moment=moment):
            own = Lanes()
            own._lock = InterruptedLock(moment)
            with pytest.raises(KeyboardInterrupt):
                own.run([job("media-1", "a", begin=begin), job("media-2", "a", begin=begin)])
            assert not own._lanes


@pytest.mark.parametrize("releases", [3, 5])
def test_interruption_does_not_lose_the_jobs_of_others(releases):
    """The next task of the lane is offered even if the thread that left the lane was interrupted there."""
    own = Lanes()
    own._lock = InterruptedLock(releases)
    offered = []
    first = job("media-1", "a", lambda: own.submit([job("media-1", "a")], offered.append))
    with pytest.raises(KeyboardInterrupt):
        own.run([first])
    assert [own.attempt(task) for task in offered] == [True] * len(offered)
    assert not own._lanes


def test_interrupted_submission_does_not_block_the_lanes():
    def interrupt(task):
        raise KeyboardInterrupt

    own = Lanes()
    with pytest.raises(KeyboardInterrupt):
        own.submit([job("media-1", "a"), job("media-1", "a"), job("media-2", "a")], interrupt)
    assert not own._lanes


# Answers that arrive in another order than they were asked for.


class Line:
    """A connection to a host: what is begun over it ends when somebody answers."""

    def __init__(self, order, name, seconds=10):
        self.near, self.far = socket.socketpair()
        self.order, self.name = order, name
        self.arrival = Arrival(self.near.fileno(), time.monotonic() + seconds)

    def begin(self):
        return Begun(self._resume, self.arrival)

    def _resume(self):
        self.near.settimeout(max(self.arrival.deadline - time.monotonic(), 0.001))
        answer = self.near.recv(1)
        self.order.append(self.name)
        return answer

    def close(self):
        self.near.close()
        self.far.close()


@pytest.fixture
def lines():
    made = []

    def make(*args, **kwargs):
        made.append(Line(*args, **kwargs))
        return made[-1]

    yield make
    for line in made:
        line.close()


def test_host_that_answers_late_does_not_hold_up_the_lanes_of_others(lines):
    order = []
    slow, fast = lines(order, "slow"), lines(order, "fast")
    caller = threading.Thread(
        target=InlineExecutor().run, args=[[job("slow", "a", begin=slow.begin), job("fast", "a", begin=fast.begin)]]
    )
    caller.start()
    fast.far.send(b"x")
    # This one waits for its turn in the lane of the fast host, which comes while the slow one is still waited for.
    assert InlineExecutor().run([job("fast", "a", lambda: order.copy())])[0].value == ["fast"]
    slow.far.send(b"x")
    caller.join(10)
    assert order == ["fast", "slow"]


def test_hosts_that_never_answer_cost_one_timeout_together(lines):
    order = []
    silent = [lines(order, number, seconds=0.3) for number in range(4)]
    started = time.monotonic()
    outcomes = InlineExecutor().run([job(f"media-{line.name}", "a", begin=line.begin) for line in silent])
    assert [type(outcome.error) for outcome in outcomes] == [TimeoutError] * 4
    assert time.monotonic() - started < 0.9
