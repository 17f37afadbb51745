import socket
import time

import pytest

from resto.courses import Arrival
from resto.executors.watch import Watch


@pytest.fixture
def pair():
    made = []

    def make():
        made.extend(socket.socketpair())
        return made[-2:]

    yield make
    for end in made:
        end.close()


def soon(descriptor, seconds=10, **options):
    return Arrival(descriptor.fileno(), time.monotonic() + seconds, **options)


def test_what_is_ready_is_returned_once(pair):
    watch = Watch()
    (near, far), (other, _) = pair(), pair()
    watch.add("near", soon(near))
    watch.add("other", soon(other, seconds=0.05))
    far.send(b"!")
    assert watch.wait() == ["near"]
    assert watch.wait() == ["other"]  # overdue; what has arrived for the first is no longer looked at
    assert not watch


def test_what_may_go_on_sending_is_ready_when_the_host_takes_more(pair):
    watch = Watch()
    near, _ = pair()
    watch.add("answer", soon(near, seconds=0.05))
    assert watch.wait() == ["answer"]  # only because it is overdue
    start = time.monotonic()
    watch.add("sending", soon(near, takes_more=True))
    assert watch.wait() == ["sending"]
    assert time.monotonic() - start < 5


def test_what_is_overdue_is_returned_and_the_rest_waited_for(pair):
    watch = Watch()
    (first, _), (second, _) = pair(), pair()
    start = time.monotonic()
    watch.add("first", soon(first, seconds=0.05))
    watch.add("second", soon(second))
    assert watch.wait() == ["first"]
    assert 0.05 <= time.monotonic() - start < 5
    assert watch


def test_what_is_overdue_does_not_wait_for_what_is_always_ready(pair):
    watch = Watch()
    (busy, far), (silent, _) = pair(), pair()
    far.send(b"!")
    watch.add("silent", soon(silent, seconds=-1))
    watch.add("busy", soon(busy))
    assert sorted(watch.wait()) == ["busy", "silent"]
    assert not watch


@pytest.mark.parametrize("first", ["answer", "sending"])
def test_courses_may_share_a_descriptor(pair, first):
    """Whichever of them can go on: the other looks for itself, and is watched over again."""
    watch = Watch()
    near, far = pair()
    arrivals = {"answer": soon(near), "sending": soon(near, takes_more=True)}
    for key in sorted(arrivals, reverse=first == "sending"):
        watch.add(key, arrivals[key])
    start = time.monotonic()
    assert sorted(watch.wait()) == ["answer", "sending"]
    assert time.monotonic() - start < 5
    assert not watch
    watch.add("answer", soon(near))
    watch.add("another answer", soon(near))
    far.send(b"!")
    assert watch.wait() == ["answer", "another answer"]


def test_courses_that_share_a_descriptor_have_deadlines_of_their_own(pair):
    watch = Watch()
    near, _ = pair()
    start = time.monotonic()
    watch.add("patient", soon(near))
    watch.add("hasty", soon(near, seconds=0.05))
    assert watch.wait() == ["patient", "hasty"]
    assert 0.05 <= time.monotonic() - start < 5


def test_what_was_sending_is_no_longer_ready_when_the_host_takes_more(pair):
    """Otherwise whoever waits for its answer would never rest."""
    watch = Watch()
    near, _ = pair()
    watch.add("sending", soon(near, takes_more=True))
    assert watch.wait() == ["sending"]
    start = time.monotonic()
    watch.add("answer", soon(near, seconds=0.05))
    assert watch.wait() == ["answer"]
    assert time.monotonic() - start >= 0.05


def test_whoever_waits_can_be_woken(pair):
    bell, ringer = pair()
    watch = Watch(bell.fileno())
    near, far = pair()
    watch.add("near", soon(near))
    ringer.send(b"!")
    assert watch.wait() == []
    assert watch.was_woken
    bell.recv(1)
    far.send(b"!")
    assert watch.wait() == ["near"]
    assert not watch.was_woken
