"""The breakers: whom they let through, and what they make of what becomes of it."""

import os
import random
import threading
from contextlib import suppress

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from kit.clock import Clock
from resto import health
from resto.exceptions import HostUnavailableError
from resto.health import FIRST_PAUSE, JITTER, LONGEST_PAUSE, MAX_FAILURES, PROBE_PATIENCE, Breaker, Health


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def breaker(clock):
    return Breaker(clock, lambda low, high: 1)


def admit(breaker):
    return breaker.admit("media-1", "a.txt", "upload")


def fail(breaker):
    breaker.failed(admit(breaker), "connection refused")


def refusal(breaker):
    with pytest.raises(HostUnavailableError) as caught:
        admit(breaker)
    return caught.value


@pytest.fixture
def opened(breaker):
    for _ in range(MAX_FAILURES):
        fail(breaker)
    return breaker


# What it does.


def test_host_is_asked_until_it_has_failed_three_times_in_a_row(breaker):
    for _ in range(2):
        fail(breaker)
        fail(breaker)
        admit(breaker)
        breaker.reached()
    assert breaker.health() == Health("closed", 0, 0)

    for number in range(MAX_FAILURES):
        assert breaker.health() == Health("closed", number, 0)
        fail(breaker)
    assert breaker.health() == Health("open", MAX_FAILURES, FIRST_PAUSE)


def test_refusal_says_why_and_for_how_long(opened):
    error = refusal(opened)

    assert (error.host, error.name, error.action, error.ambiguous) == ("media-1", "a.txt", "upload", False)
    assert error.problem == (
        "it could not be reached 3 times in a row (connection refused); it is not asked again for 1 s"
    )


def test_one_action_is_let_through_after_the_pause(opened, clock):
    clock.pass_(FIRST_PAUSE - 0.01)
    refusal(opened)
    clock.pass_(0.01)
    admit(opened)

    assert refusal(opened).problem.endswith("; it is not asked again before another action has tried")
    assert opened.health() == Health("probing", MAX_FAILURES, PROBE_PATIENCE)


def test_answer_to_the_probe_closes_it_and_begins_anew(opened, clock):
    clock.pass_(FIRST_PAUSE)
    fail(opened)
    clock.pass_(2 * FIRST_PAUSE)
    admit(opened)
    opened.reached()

    assert opened.health() == Health("closed", 0, 0)
    for _ in range(MAX_FAILURES):
        fail(opened)
    assert opened.health() == Health("open", MAX_FAILURES, FIRST_PAUSE)


def test_each_probe_that_fails_doubles_the_pause_up_to_a_limit(opened, clock):
    pauses = []
    for _ in range(8):
        pauses.append(opened.health().seconds)
        clock.pass_(pauses[-1])
        fail(opened)

    assert pauses == [1, 2, 4, 8, 16, 30, 30, 30]
    assert opened.health() == Health("open", MAX_FAILURES + 8, LONGEST_PAUSE)


def test_pauses_differ_between_processes(clock):
    pauses = set()
    for seed in range(20):
        breaker = Breaker(clock, random.Random(seed).uniform)
        for _ in range(MAX_FAILURES):
            fail(breaker)
        pauses.add(breaker.health().seconds)

    assert len(pauses) == 20
    assert (1 - JITTER) * FIRST_PAUSE <= min(pauses) < max(pauses) <= (1 + JITTER) * FIRST_PAUSE


def test_abandoned_probe_lets_the_next_action_be_one(opened, clock):
    clock.pass_(FIRST_PAUSE)
    opened.abandoned(admit(opened))

    assert opened.health() == Health("open", MAX_FAILURES, 0)
    fail(opened)
    assert opened.health() == Health("open", MAX_FAILURES + 1, 2 * FIRST_PAUSE)


def test_abandoned_action_that_is_no_probe_changes_nothing(breaker, clock):
    early = admit(breaker)
    breaker.abandoned(early)
    assert breaker.health() == Health("closed", 0, 0)
    for _ in range(MAX_FAILURES):
        fail(breaker)
    clock.pass_(FIRST_PAUSE)
    admit(breaker)
    breaker.abandoned(early)
    refusal(breaker)


def test_probe_of_which_nothing_is_heard_is_replaced(opened, clock):
    clock.pass_(FIRST_PAUSE)
    lost = admit(opened)
    clock.pass_(PROBE_PATIENCE)
    admit(opened)
    opened.failed(lost, "no answer within 10 s")

    assert opened.health().state == "probing"
    opened.reached()
    assert opened.health().state == "closed"


def test_what_was_under_way_before_does_not_open_it_again(breaker, clock):
    """Eight threads that have waited for a host tell so when it has long been back."""
    early = [admit(breaker) for _ in range(8)]
    for turn in early[:MAX_FAILURES]:
        breaker.failed(turn, "no answer")
    clock.pass_(FIRST_PAUSE)
    admit(breaker)
    breaker.reached()
    for turn in early[MAX_FAILURES:]:
        breaker.failed(turn, "no answer")

    assert breaker.health() == Health("closed", 0, 0)


def test_answer_to_what_was_under_way_before_closes_it(breaker):
    admit(breaker)
    for _ in range(MAX_FAILURES):
        fail(breaker)
    breaker.reached()

    admit(breaker)


# Any sequence of events.


class BreakerMachine(RuleBasedStateMachine):
    """A breaker beside a model, which keeps the whole story of each action."""

    def __init__(self):
        super().__init__()
        self.clock = Clock()
        self.breaker = Breaker(self.clock, lambda low, high: high)
        self.state, self.failures, self.pause, self.until, self.epoch = "closed", 0, 0, 0.0, 0
        self.under_way = []  # what `admit` has returned, and in which epoch of the model

    def move(self, state, until=0.0):
        self.state, self.until, self.epoch = state, until, self.epoch + 1

    @rule(seconds=st.sampled_from([0.1, 1.0, 1.2, 2.4, 10.0, 36.0]))
    def wait(self, seconds):
        self.clock.pass_(seconds)

    @rule()
    def wait_for_the_end_of_the_pause(self):
        self.clock.now = max(self.clock.now, self.until)

    @rule()
    def ask(self):
        if self.state != "closed" and self.clock.now < self.until:
            refusal(self.breaker)
            return
        if self.state != "closed":
            self.move("probing", self.clock.now + PROBE_PATIENCE)
        self.under_way.append((admit(self.breaker), self.epoch))

    @precondition(lambda self: self.under_way)
    @rule(data=st.data())
    def answer(self, data):
        self.take(data)
        self.breaker.reached()
        self.failures = self.pause = 0
        if self.state != "closed":
            self.move("closed")

    @precondition(lambda self: self.under_way)
    @rule(data=st.data())
    def fail(self, data):
        turn, epoch = self.take(data)
        self.breaker.failed(turn, "no answer")
        if epoch != self.epoch:
            return
        self.failures += 1
        if self.state == "probing" or self.failures == MAX_FAILURES:
            self.pause = min(max(2 * self.pause, FIRST_PAUSE), LONGEST_PAUSE)
            self.move("open", self.clock.now + self.pause * (1 + JITTER))

    @precondition(lambda self: self.under_way)
    @rule(data=st.data())
    def abandon(self, data):
        turn, epoch = self.take(data)
        self.breaker.abandoned(turn)
        if epoch == self.epoch and self.state == "probing":
            self.move("open", self.clock.now)

    @precondition(lambda self: self.under_way)
    @rule(data=st.data())
    def lose(self, data):
        """Nobody ever tells what became of it."""
        self.take(data)

    def take(self, data):
        return self.under_way.pop(data.draw(st.integers(0, len(self.under_way) - 1)))

    @invariant()
    def tells_what_the_model_knows(self):
        seconds = max(self.until - self.clock.now, 0) if self.state != "closed" else 0
        assert self.breaker.health() == Health(self.state, self.failures, seconds)

    @invariant()
    def never_refuses_for_longer_than_the_longest_pause(self):
        assert self.breaker.health().seconds <= LONGEST_PAUSE * (1 + JITTER)


TestAnySequence = BreakerMachine.TestCase
TestAnySequence.settings = settings(stateful_step_count=40)


# Threads and processes.


def test_one_of_many_threads_probes(opened, clock):
    for _ in range(20):
        clock.pass_(LONGEST_PAUSE)
        barrier, admitted = threading.Barrier(8), []

        def ask(barrier=barrier, admitted=admitted):
            barrier.wait(10)
            with suppress(HostUnavailableError):
                admitted.append(admit(opened))

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(admitted) == 1
        opened.failed(admitted[0], "no answer")


def test_failures_of_many_threads_are_all_counted(breaker, monkeypatch):
    monkeypatch.setattr(health, "MAX_FAILURES", 10_000)
    threads = [threading.Thread(target=lambda: [fail(breaker) for _ in range(500)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert breaker.health().failures == 4_000


def test_all_who_ask_for_a_host_get_the_same_breaker():
    barrier, found = threading.Barrier(8), []

    def find():
        barrier.wait(10)
        found.append(health.find_breaker("http://media-1/"))

    threads = [threading.Thread(target=find) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert set(found) == {health.find_breaker("http://media-1/")}
    assert health.find_breaker("http://media-2/") not in found


def test_state_of_a_host():
    for _ in range(MAX_FAILURES):
        fail(health.find_breaker("http://media-1/"))

    assert health.state("http://media-1/").state == "open"
    assert health.state("http://media-2/") == Health("closed", 0, 0)
    health.forget()
    assert health.state("http://media-1/") == Health("closed", 0, 0)


def test_forked_child_starts_afresh():
    breaker = health.find_breaker("http://media-1/")
    for _ in range(MAX_FAILURES):
        fail(breaker)
    with breaker._lock:  # as if another thread of the parent held it during the fork
        pid = os.fork()
        if pid == 0:
            fresh = False
            try:
                admit(health.find_breaker("http://media-1/"))
                fresh = health.state("http://media-1/") == Health("closed", 0, 0)
            finally:
                os._exit(0 if fresh else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert health.state("http://media-1/").state == "open"
