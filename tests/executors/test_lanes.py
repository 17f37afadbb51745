import queue
import signal
import socket
import threading
import time
from collections import defaultdict
from contextlib import nullcontext
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resto.courses import WITH_OTHERS, Arrival, are_in_one_pass, finish
from resto.executors import Job
from resto.executors.inline import InlineExecutor
from resto.executors.lanes import Lanes, process_lanes
from resto.executors.thread import ThreadExecutor


def job(host, name, call=lambda: None, course=None):
    return Job("upload", host, name, call, course=course)


def at_once():
    """What need not be waited for."""
    return Arrival(0, 0)


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

    def course(host):
        log.append(f"begin {host}")
        yield at_once()
        log.append(f"end {host}")

    Lanes().run([job(host, "a", course=partial(course, host)) for host in ("media-1", "media-2")])
    assert log == ["begin media-1", "begin media-2", "end media-1", "end media-2"]


def test_actions_of_several_requests_take_turns():
    log = []

    def course(host):
        for number in range(3):
            log.append((host, number))
            yield at_once()
        log.append((host, 3))
        return 3

    outcomes = Lanes().run([job(host, "a", course=partial(course, host)) for host in ("one", "two")])
    assert log == [(host, number) for number in range(4) for host in ("one", "two")]
    assert [outcome.value for outcome in outcomes] == [3, 3]


def waits_first(log):
    """A course that can do nothing at once."""
    try:
        yield None
        log.append("went on")
    finally:
        log.append("closed")


def done_at_once():
    return
    yield


def test_job_that_cannot_begin_is_run(executor):
    """What was asked whether it can is closed, and keeps nothing from whoever may have to wait."""
    log = []
    assert executor.run([job("media-1", "a", lambda: log.append("ran"), partial(waits_first, log))])[0].ok
    assert log == ["closed", "ran"]


def test_jobs_that_cannot_begin_are_offered_when_the_caller_waits_for_others():
    offered = []

    def course():
        yield at_once()

    jobs = [
        job("media-1", "a", course=course),
        job("media-2", "a"),
        job("media-3", "a", course=partial(waits_first, [])),
    ]
    Lanes().run(jobs, offered.append)
    assert [task.job.host for task in offered] == ["media-2", "media-3"]


def test_caller_keeps_the_first_of_those_that_cannot_begin():
    """What is done at once is not waited for."""
    offered = []
    jobs = [job("media-1", "a", course=done_at_once)]
    jobs += [job(f"media-{number}", "a", course=partial(waits_first, [])) for number in (2, 3)]
    Lanes().run(jobs, offered.append)
    assert [task.job.host for task in offered] == ["media-3"]


# Courses that would wait when they are under way, such as those whose connection turns out to be closed.


def reconnecting(log, host, *, connects=True):
    yield at_once()
    if connects:
        yield None
        log.append((host, threading.current_thread()))
    yield at_once()
    return host


def test_what_would_wait_later_goes_on_in_a_thread_while_others_are_under_way():
    log, own = [], Lanes()
    threads = []

    def offer(task):
        threads.append(threading.Thread(target=own.attempt, args=[task]))
        threads[-1].start()

    jobs = [
        job(host, "a", pytest.fail, partial(reconnecting, log, host, connects=host != "media-1"))
        for host in ("media-1", "media-2", "media-3")
    ]
    outcomes = own.run(jobs, offer)
    assert [outcome.value for outcome in outcomes] == ["media-1", "media-2", "media-3"]
    assert sorted(log, key=lambda entry: entry[0]) == [("media-2", threads[0]), ("media-3", threads[1])]


def test_what_would_wait_later_stays_with_the_caller_if_nothing_else_is_under_way():
    log, offered = [], []
    jobs = [
        job("media-1", "a", pytest.fail, done_at_once),
        job("media-2", "a", pytest.fail, partial(reconnecting, log, "media-2")),
    ]
    outcomes = Lanes().run(jobs, offered.append)
    assert (outcomes[1].value, offered) == ("media-2", [])
    assert log == [("media-2", threading.current_thread())]


def test_what_would_wait_later_is_not_begun_anew(executor):
    """Although nobody else has time for it."""
    log = []
    jobs = [job(host, "a", pytest.fail, partial(reconnecting, log, host)) for host in ("media-1", "media-2")]
    assert [outcome.value for outcome in executor.run(jobs)] == ["media-1", "media-2"]
    assert sorted(host for host, _ in log) == ["media-1", "media-2"]


def test_submitted_job_is_not_begun():
    """Nobody waits for it: the thread that runs it can wait for the host."""
    log, done = [], threading.Event()

    def course():
        log.append("begun")
        yield at_once()

    ThreadExecutor().submit(
        [Job("upload", "media-1", "a", lambda: log.append("ran"), lambda outcome: done.set(), course)]
    )
    assert done.wait(10)
    assert log == ["ran"]


def test_job_begins_only_when_its_lane_is_free(executor, block, call_in_thread, wait_until):
    first = block("media-1", "a")
    ThreadExecutor().submit([first.job])
    assert first.started.wait(10)
    begun = threading.Event()

    def course():
        begun.set()
        yield at_once()

    result = call_in_thread(executor.run, [job("media-1", "a", begun.set, course)])
    wait_until(lambda: jobs_in_lane(("media-1", "a")) == 2)
    assert not begun.is_set()
    first.released.set()
    assert result()[0].ok


def test_begun_job_keeps_its_lane(executor):
    order = []

    def course():
        order.append("begin")
        ThreadExecutor().submit([job("media-1", "a", lambda: order.append("another"))])
        yield at_once()
        yield None
        order.append("end")

    executor.run([job("media-1", "a", course=course)])
    executor.run([job("media-1", "a")])
    assert order == ["begin", "end", "another"]


def test_next_job_of_the_lane_of_a_course_is_offered():
    offered = []

    def course():
        yield at_once()

    Lanes().run([job("media-1", "a", course=course), job("media-1", "a"), job("media-1", "a")], offered.append)
    assert len(offered) == 2


# Interruptions.


class Courses:
    """Courses of any steps, one of which is interrupted; knows which of them are open."""

    def __init__(self, interrupted, error):
        self.open = set()
        self.interrupted = interrupted
        self.error = error

    def course(self, number, waits):
        self.open.add(number)
        try:
            for step, is_arrival in enumerate([*waits, True]):
                if (number, step) == self.interrupted:
                    raise self.error
                yield at_once() if is_arrival else None
        finally:
            self.open.remove(number)

    def call(self, number):
        if number == self.interrupted[0]:
            raise self.error


@given(
    st.lists(st.tuples(lanes, st.none() | st.lists(st.booleans(), max_size=3)), min_size=1, max_size=5),
    st.sampled_from([KeyboardInterrupt, SystemExit]),
    st.data(),
)
def test_interrupted_caller_closes_its_courses_and_frees_its_lanes(executor, wait_until, given_jobs, error, data):
    """Whichever step of whichever course it is that does not end, and whoever goes on with the others."""
    number = data.draw(st.integers(0, len(given_jobs) - 1))
    step = data.draw(st.integers(0, len(given_jobs[number][1] or ())))
    courses = Courses((number, step), error)
    jobs = [
        job(*lane, partial(courses.call, number), None if waits is None else partial(courses.course, number, waits))
        for number, (lane, waits) in enumerate(given_jobs)
    ]
    with pytest.raises(error):
        executor.run(jobs)
    wait_until(lambda: not process_lanes()._lanes)  # what a thread does already, it does to the end
    assert not courses.open


def test_course_that_waits_for_a_thread_is_closed_when_its_caller_is_interrupted():
    log = []

    def waits():
        try:
            yield at_once()
            yield None
        finally:
            log.append("closed")

    def interrupted():
        yield at_once()
        yield at_once()
        raise KeyboardInterrupt

    offered, own = [], Lanes()
    with pytest.raises(KeyboardInterrupt):
        own.run([job("media-1", "a", course=waits), job("media-2", "a", course=interrupted)], offered.append)
    assert (len(offered), log) == (1, ["closed"])
    assert not own.attempt(offered[0])
    assert not own._lanes


def test_job_of_an_interrupted_caller_keeps_its_lane_while_a_thread_runs_it(block):
    first, own, threads = block("media-1", "a"), Lanes(), []

    def offer(task):
        threads.append(threading.Thread(target=own.attempt, args=[task]))
        threads[-1].start()
        assert first.started.wait(10)

    def interrupted():
        yield at_once()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        own.run([first.job, job("media-2", "a", course=interrupted)], offer)
    assert list(own._lanes) == [("media-1", "a")]
    first.released.set()
    threads[0].join(10)
    assert not own._lanes


def test_course_that_cannot_be_closed_does_not_block_the_lanes():
    """As when Ctrl-C is pressed once more."""

    def stubborn():
        try:
            yield at_once()
        finally:
            raise KeyboardInterrupt

    def interrupted():
        yield at_once()
        raise SystemExit

    own = Lanes()
    jobs = [job("media-1", "a", course=stubborn), job("media-1", "a"), job("media-2", "a", course=stubborn)]
    with pytest.raises(KeyboardInterrupt):
        own.run([job("media-0", "a", course=interrupted), *jobs])
    assert not own._lanes


def test_interrupted_caller_does_not_block_its_lanes(executor, block, wait_until, request):
    """Ctrl-C while the caller waits for its turn: the job that waits is given up, those after it are not."""
    first = block("media-1", "a")
    ran = []
    interrupted = threading.Event()

    def interrupt_once(*_):
        if not interrupted.is_set():
            interrupted.set()
            raise KeyboardInterrupt

    request.addfinalizer(partial(signal.signal, signal.SIGINT, signal.signal(signal.SIGINT, interrupt_once)))
    interrupter = threading.Thread(target=lambda: interrupt_when_waiting(wait_until, ("media-1", "a"), interrupted))
    ThreadExecutor().submit([first.job])
    assert first.started.wait(10)
    interrupter.start()
    with pytest.raises(KeyboardInterrupt):
        executor.run([job("media-2", "a"), job("media-1", "a", lambda: ran.append("interrupted"))])
    interrupter.join()
    first.released.set()
    assert executor.run([job("media-1", "a", lambda: ran.append("next"))])[0].ok
    assert ran == ["next"]


def interrupt_when_waiting(wait_until, lane, interrupted):
    wait_until(lambda: jobs_in_lane(lane) == 2 and is_waited_for(process_lanes()._lanes[lane][1]))
    while not interrupted.is_set():  # Python does not see a signal that comes just before the wait until it is over
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        interrupted.wait(0.1)


def is_waited_for(task):
    return task.caller._changed is not None and task.caller._changed._waiters


class InterruptedLock:
    """A lock that is interrupted once: before it is acquired or after it is released."""

    def __init__(self, moment):
        self._lock = threading.Lock()
        self._moments = moment

    def _pass(self):
        self._moments -= 1
        if self._moments == 0:
            raise KeyboardInterrupt

    def acquire(self, *args):
        self._pass()
        return self._lock.acquire(*args)

    def release(self):
        self._lock.release()
        self._pass()

    def __enter__(self):
        self.acquire()

    def __exit__(self, *error):
        self.release()


# The caller enters its jobs, finds, claims and leaves each of them, and finds that all are done.
@pytest.mark.parametrize(
    ("waits", "moments"),
    [(None, 16), ([False], 20), ([True], 6), ([True, False], 20), ([], 6)],
    ids=["run", "not begun", "begun", "given back", "at once"],
)
def test_interruption_at_any_moment_does_not_block_the_lanes(waits, moments, subtests):
    for moment in range(1, moments + 2):
        with subtests.test(moment=moment):
            is_open = set()

            def course(host, is_open=is_open):
                is_open.add(host)
                try:
                    for is_arrival in waits:
                        yield at_once() if is_arrival else None
                finally:
                    is_open.remove(host)

            own = Lanes()
            own._lock = InterruptedLock(moment)
            with pytest.raises(KeyboardInterrupt) if moment <= moments else nullcontext():
                own.run(
                    [
                        job(host, "a", course=None if waits is None else partial(course, host))
                        for host in ("media-1", "media-2")
                    ]
                )
            assert not own._lanes
            assert not is_open


@pytest.mark.parametrize("moment", range(3, 11))
def test_interruption_does_not_lose_the_jobs_of_others(moment):
    """The next task of the lane is offered even if the thread that left the lane was interrupted there."""
    own = Lanes()
    own._lock = InterruptedLock(moment)
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


# What is done once for all that come as far.


def gathering(log, host, arrival=None):
    """A course that would do something that can be done once, after something has arrived."""
    if arrival is not None:
        yield arrival
    log.append((host, "came"))
    if are_in_one_pass():
        yield WITH_OTHERS
    log.append((host, "went on"))


def test_courses_wait_for_each_other_where_something_can_be_done_once():
    log = []
    jobs = [job("one", "a", course=partial(gathering, log, "one"))]
    jobs.append(job("two", "a", course=partial(gathering, log, "two", at_once())))
    jobs.append(job("three", "a", course=partial(gathering, log, "three")))
    assert all(outcome.ok for outcome in Lanes().run(jobs))
    assert [what for _, what in log] == ["came"] * 3 + ["went on"] * 3


def test_courses_do_not_wait_for_one_that_takes_much_longer():
    log, near, far = [], *socket.socketpair()
    with near, far:
        slow = Arrival(near.fileno(), time.monotonic() + 10)

        def ends_the_wait():
            yield from gathering(log, "one")
            far.send(b"!")  # else it would last for 10 s

        jobs = [job("one", "a", course=ends_the_wait), job("two", "a", course=partial(gathering, log, "two", slow))]
        assert all(outcome.ok for outcome in Lanes().run(jobs))
    assert log == [("one", "came"), ("one", "went on"), ("two", "came"), ("two", "went on")]


def test_courses_alone_wait_for_nobody(executor):
    log = []
    executor.submit([job("one", "a", partial(finish, gathering(log, "one")))])
    list(executor.run_each([job("two", "a", course=partial(gathering, log, "two"))]))
    assert not are_in_one_pass()
    assert [what for host, what in log if host == "two"] == ["came", "went on"]


# Answers that arrive in another order than they were asked for.


def test_all_jobs_are_waited_for(wait_until):
    """Those, too, that a job has given while it was waited for."""
    done = []
    following = job("media-2", "b", lambda: done.append("following"))

    def call():
        wait_until(lambda: jobs_in_lane(("media-1", "a")) > 1)
        ThreadExecutor().submit([following])
        done.append("first")

    ThreadExecutor().submit([job("media-1", "a", call)])
    process_lanes().wait_for_all()
    assert sorted(done) == ["first", "following"]


class Line:
    """A connection to a host: what is begun over it ends when somebody answers."""

    def __init__(self, order, name, seconds=10):
        self.near, self.far = socket.socketpair()
        self.near.setblocking(False)
        self.order, self.name, self.seconds = order, name, seconds

    def course(self):
        arrival = Arrival(self.near.fileno(), time.monotonic() + self.seconds)
        while True:
            yield arrival
            try:
                answer = self.near.recv(1)
            except BlockingIOError:
                if time.monotonic() >= arrival.deadline:
                    raise TimeoutError from None
            else:
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
        target=InlineExecutor().run, args=[[job("slow", "a", course=slow.course), job("fast", "a", course=fast.course)]]
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
    silent = [lines(order, number, seconds=0.5) for number in range(20)]
    started = time.monotonic()
    outcomes = InlineExecutor().run([job(f"media-{line.name}", "a", course=line.course) for line in silent])
    assert [type(outcome.error) for outcome in outcomes] == [TimeoutError] * 20
    assert time.monotonic() - started < 5  # one after another: 10
