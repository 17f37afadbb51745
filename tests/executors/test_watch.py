import socket
import time

import pytest

from resto.executors.watch import Watch
from resto.outcomes import Arrival


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
    assert watch.add("near", soon(near))
    assert watch.add("other", soon(other))
    far.send(b"!")
    assert watch.wait() == ["near"]
    assert len(watch) == 1


def test_what_may_go_on_sending_is_ready_when_the_host_takes_more(pair):
    watch = Watch()
    near, _ = pair()
    watch.add("answer", soon(near, seconds=0.05))
    assert watch.wait() == ["answer"]  # only because it is overdue
    watch.add("sending", soon(near, takes_more=True))
    assert watch.wait() == ["sending"]


def test_what_is_overdue_is_returned_and_the_rest_waited_for(pair):
    watch = Watch()
    (first, _), (second, _) = pair(), pair()
    watch.add("first", soon(first, seconds=0.05))
    watch.add("second", soon(second))
    start = time.monotonic()
    assert watch.wait() == ["first"]
    assert time.monotonic() - start < 5
    assert len(watch) == 1


def test_what_cannot_be_watched_is_refused(pair):
    watch = Watch()
    near, _ = pair()
    assert not watch.add("unknown", None)
    assert watch.add("one", soon(near))
    assert not watch.add("the same descriptor", soon(near))
    assert len(watch) == 1


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
