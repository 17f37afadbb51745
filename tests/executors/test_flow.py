"""A flow of many jobs: what is under way at a time, and what becomes of whom."""

import itertools
import math
import socket
import threading
import time
from collections import Counter, defaultdict
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.clock import Clock, stop_clock
from resto.courses import Arrival
from resto.executors import Job, flow
from resto.executors.flow import BACKLOG, SLOW, WIDENED_BY, WIDEST, WINDOW
from resto.executors.lanes import process_lanes
from resto.executors.thread import ThreadExecutor
from resto.executors.watch import Watch


class Host:
    """Answers what is under way, each over a line of its own, when it is told to."""

    def __init__(self):
        self.lines = {}
        self.begun = []
        self.most = 0

    def course(self, name, react=lambda: None):
        """Ask, let a test react to that, and wait for the answer."""
        near, far = self.lines[name] = socket.socketpair()
        near.setblocking(False)
        self.begun.append(name)
        self.most = max(self.most, len(self.lines))
        react()
        with near, far:
            while True:
                yield Arrival(near.fileno(), time.monotonic() + 10)
                try:
                    near.recv(1)
                except BlockingIOError:
                    continue
                del self.lines[name]
                return f"{name} answered"

    def answer(self, name):
        self.lines[name][1].send(b"!")


@pytest.fixture
def hosts():
    hosts = defaultdict(Host)
    yield hosts
    for host in hosts.values():
        for line in itertools.chain(*host.lines.values()):
            line.close()


@pytest.fixture(autouse=True)
def _near(monkeypatch):
    """Let no host seem far away, as it would be for a busy machine."""
    monkeypatch.setattr(flow, "SLOW", math.inf)


def run_each(jobs):
    return ThreadExecutor().run_each(jobs)


def quick(host, name, call=lambda: None):
    return Job("upload", host, name, call)


names = st.tuples(st.sampled_from(["media-1", "media-2", "media-3"]), st.sampled_from("abcdef"))
ways = st.sampled_from(
    ["begins", "two requests", "connects first", "connects later", "fails later", "in a thread", "fails"]
)


@given(st.lists(st.tuples(names, ways), max_size=60), st.data())
def test_each_job_runs_once_in_the_order_of_its_lane(jobs, data):
    """However they run, and in whatever order hosts answer."""
    hosts = defaultdict(Host)
    order = defaultdict(list)

    def make(number, lane, way):
        host, name = lane

        def call():
            order[lane].append(number)
            if way.startswith("fails"):
                raise ValueError(number)
            return number

        def course():
            if way == "connects first":
                yield None
            line = f"{name} {number}"
            for _ in range(1 + (way == "two requests")):
                yield from hosts[host].course(line, lambda: hosts[host].answer(line))
            if way == "connects later":
                yield None
            return call()

        return Job("upload", host, name, call, course=None if way in ("in a thread", "fails") else course)

    given_jobs = [make(number, lane, way) for number, (lane, way) in enumerate(jobs)]
    outcomes = list(run_each(iter(given_jobs)))

    assert Counter((outcome.host, outcome.name) for outcome in outcomes) == Counter(lane for lane, _ in jobs)
    assert sum(not outcome.ok for outcome in outcomes) == sum(way.startswith("fails") for _, way in jobs)
    for lane, numbers in order.items():
        assert numbers == [number for number, (other, _) in enumerate(jobs) if other == lane]
    assert not process_lanes()._lanes


def test_no_more_than_the_window_is_under_way_and_the_next_begins_with_each_answer(hosts):
    total = 5 * WINDOW
    host = hosts["media-1"]

    def react(number):
        if number == total - 1:
            for name in host.lines:
                host.answer(name)
        elif len(host.lines) == WINDOW:
            host.answer(str(number))  # the latest, so that the first is under way to the end

    jobs = [
        Job("upload", "media-1", str(number), list, course=partial(host.course, str(number), partial(react, number)))
        for number in range(total)
    ]
    outcomes = list(run_each(jobs))
    assert sorted(int(outcome.name) for outcome in outcomes) == list(range(total))
    assert host.most == WINDOW
    assert host.begun == [str(number) for number in range(total)]
    assert {outcome.name for outcome in outcomes[-WINDOW:]} >= {"0"}


@pytest.fixture
def far(hosts, monkeypatch):
    """A host for which each wait for answers takes some seconds, and then some of those to be answered are."""
    clock, host, wait = Clock(), hosts["media-1"], Watch.wait
    stop_clock(monkeypatch, clock)
    monkeypatch.setattr(flow, "SLOW", SLOW)
    host.sizes = []  # how many were under way at each wait

    def make(seconds, at_a_time):
        def wait_for(watch):
            clock.pass_(seconds)
            host.sizes.append(len(host.lines))
            for name in [*host.lines][:at_a_time]:
                host.answer(name)
            return wait(watch)

        monkeypatch.setattr(Watch, "wait", wait_for)
        return host

    return make


def jobs_of(host, fails):
    def course(number):
        yield from host.course(str(number))
        if fails(number):
            raise TimeoutError

    return [Job("upload", "media-1", str(number), list, course=partial(course, number)) for number in range(7 * WIDEST)]


@pytest.mark.parametrize(
    ("seconds", "at_a_time", "fails", "most"),
    [
        (0, None, False, WINDOW),
        (SLOW, None, False, WINDOW),
        (2 * SLOW, None, False, WIDEST),
        (2 * SLOW, 1, False, WINDOW),
        (2 * SLOW, None, True, WINDOW),
    ],
    ids=["here", "near", "far", "busy", "fails"],
)
def test_more_is_under_way_on_hosts_that_are_far_away(far, seconds, at_a_time, fails, most):
    host = far(seconds, at_a_time)
    outcomes = list(run_each(jobs_of(host, lambda number: fails)))
    assert {outcome.ok for outcome in outcomes} == {not fails}
    assert sorted(int(outcome.name) for outcome in outcomes) == list(range(len(outcomes)))
    assert host.most == most


def test_less_is_under_way_on_a_host_that_has_failed(far):
    host, last = far(1, None), 5 * WIDEST
    for outcome in run_each(jobs_of(host, lambda number: number == last)):
        if not outcome.ok:
            break
        waits = len(host.sizes)
    assert host.sizes[waits - 1] == WIDEST
    assert len(host.lines) <= WINDOW + WIDENED_BY  # as the other answers have come


def test_each_job_begins_where_the_last_one_has_ended(hosts):
    """Before another one ends: it can use the connection of that one, and none is left over."""
    host, events = hosts["media-1"], []

    def course(number):
        is_last = number == WINDOW - 1
        yield from host.course(str(number), lambda: is_last and [host.answer(name) for name in host.lines])
        events.append("ends")

    def follow():
        events.append("follows")
        yield from ()

    jobs = [Job("upload", "media-1", str(number), list, course=partial(course, number)) for number in range(WINDOW)]
    jobs += [Job("upload", "media-1", f"after {number}", list, course=follow) for number in range(WINDOW**2)]
    list(run_each(jobs))
    assert Counter(events) == {"ends": WINDOW, "follows": WINDOW**2}
    assert ("ends", "ends") not in itertools.pairwise(events)


def test_slow_host_holds_up_only_itself_as_long_as_there_is_room(hosts):
    slow = hosts["slow"]
    jobs = [
        Job("upload", "slow", str(number), list, course=partial(slow.course, str(number)))
        for number in range(WINDOW + BACKLOG // 2)
    ]
    jobs += [quick("fast", str(number)) for number in range(200)]
    outcomes = run_each(jobs)
    first = list(itertools.islice(outcomes, 200))
    assert {outcome.host for outcome in first} == {"fast"}
    assert len(slow.lines) == WINDOW
    outcomes.close()


def test_jobs_are_taken_when_there_is_room(hosts):
    taken = []
    slow = hosts["slow"]

    def jobs():
        for number in itertools.count():
            taken.append(number)
            yield Job("upload", "slow", str(number), list, course=partial(slow.course, str(number), answer_the_first))

    def answer_the_first():
        if slow.begun == ["0"]:
            slow.answer("0")

    outcomes = run_each(jobs())
    assert not taken
    assert next(outcomes).name == "0"
    assert WINDOW <= len(taken) <= WINDOW + BACKLOG + 1
    outcomes.close()


def test_what_ends_early_leaves_its_lanes_and_takes_no_more(hosts, block):
    ran = []
    blocked = block("media-1", "blocked")
    slow = hosts["media-2"]
    jobs = [
        quick("media-3", "first"),
        blocked.job,
        Job("upload", "media-2", "begun", list, course=partial(slow.course, "begun")),
        quick("media-1", "blocked", lambda: ran.append("waited for its turn")),
    ]
    outcomes = run_each(itertools.chain(jobs, (quick("media-4", str(number), list) for number in itertools.count())))
    assert next(outcomes).host in ("media-3", "media-4")
    outcomes.close()
    blocked.released.set()
    assert blocked.finished.wait(10)
    assert ran == []
    assert [line.fileno() for line in slow.lines["begun"]] == [-1, -1]


def test_what_ends_early_in_another_thread_leaves_its_lanes(hosts, call_in_thread):
    """As a generator may, of which nobody knows any more."""
    slow = hosts["slow"]
    outcomes = run_each([Job("upload", "slow", "a", list, course=partial(slow.course, "a")), quick("media-1", "a")])
    assert call_in_thread(next, outcomes)().host == "media-1"
    outcomes.close()
    assert not process_lanes()._lanes
    assert [line.fileno() for line in slow.lines["a"]] == [-1, -1]


# The steps before the one that does not end.
STEPS = {"no course": None, "at once": [], "later": [Arrival(0, 0)], "in a thread": [Arrival(0, 0), None]}


@pytest.mark.parametrize("steps", STEPS.values(), ids=STEPS)
def test_what_is_no_exception_is_raised_and_holds_up_no_lane(hosts, wait_until, steps):
    def stop():
        raise KeyboardInterrupt

    def course():
        yield from steps
        stop()

    slow = hosts["slow"]
    jobs = [
        Job("upload", "slow", "a", list, course=partial(slow.course, "a")),
        Job("upload", "media-1", "a", stop, course=None if steps is None else course),
        quick("media-1", "a"),
        quick("media-2", "b"),
    ]
    with pytest.raises(KeyboardInterrupt):
        list(run_each(jobs))
    wait_until(lambda: not process_lanes()._lanes)  # what a thread does already, it does to the end
    assert {line.fileno() for line in slow.lines.get("a", [])} <= {-1}


def test_jobs_that_cannot_be_made_end_it(hosts):
    def jobs():
        yield quick("media-1", "a")
        raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        list(run_each(jobs()))


def test_what_is_answered_needs_no_thread(hosts, pool):
    host = hosts["media-1"]
    jobs = [
        Job("upload", "media-1", name, list, course=partial(host.course, name, partial(host.answer, name)))
        for name in "abc"
    ]
    assert {outcome.value for outcome in run_each(jobs)} == {"a answered", "b answered", "c answered"}
    assert not pool._threads._threads


def test_what_cannot_go_on_at_once_goes_to_a_thread(hosts):
    """Such as the second try of a request whose connection was closed: to connect takes its time."""
    threads = set()

    def course():
        yield Arrival(near.fileno(), time.monotonic() + 10)
        yield None
        threads.add(threading.current_thread())
        return "connected"

    near, far = socket.socketpair()
    with near, far:
        far.send(b"!")
        (outcome,) = run_each([Job("upload", "media-1", "a", list, course=course)])
    assert outcome.value == "connected"
    assert threading.current_thread() not in threads
