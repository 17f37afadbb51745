import gc
import threading

import pytest

from resto.transports import idle
from resto.transports.idle import MAX_IDLE, IdlePool


class Item:
    closed = False

    def close(self):
        self.closed = True


@pytest.fixture
def clock(monkeypatch):
    """The time that a pool sees, in a list of one."""
    now = [100.0]
    monkeypatch.setattr(idle, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def pool():
    return IdlePool()


def test_an_empty_pool_has_nothing(pool):
    assert pool.take() is None


def test_the_latest_is_taken_first(pool):
    first, second = Item(), Item()
    pool.give(first)
    pool.give(second)
    assert [pool.take(), pool.take(), pool.take()] == [second, first, None]


def test_what_waits_for_too_long_is_closed(pool, clock):
    old, young = Item(), Item()
    pool.give(old)
    clock[0] += MAX_IDLE - 1
    pool.give(young)
    clock[0] += 2
    assert pool.take() is young
    assert pool.take() is None
    assert old.closed
    assert not young.closed


def test_giving_closes_what_waits_for_too_long(pool, clock):
    old = Item()
    pool.give(old)
    clock[0] += MAX_IDLE + 1
    pool.give(Item())
    assert old.closed


def test_less_than_the_shortest_timeout_of_a_server():
    assert MAX_IDLE < 5  # Apache's


def test_clearing_closes_everything(pool):
    items = [Item(), Item()]
    for item in items:
        pool.give(item)
    pool.clear()
    assert all(item.closed for item in items)
    assert pool.take() is None


def test_a_pool_that_nobody_uses_any_more_closes_what_it_has():
    item, pool = Item(), IdlePool()
    pool.give(item)
    del pool
    gc.collect()
    assert item.closed


@pytest.mark.parametrize("use", ["take", "clear"])
def test_forked_child_starts_with_an_empty_pool(pool, use):
    """A real fork is part of the contract of transports."""
    item = Item()
    pool.give(item)
    idle._forget_what_is_the_parents()
    assert getattr(pool, use)() is None
    assert item.closed


def test_threads_never_share_an_item(pool):
    busy, clashes = set(), []

    def work():
        for _ in range(300):
            item = pool.take() or Item()
            if id(item) in busy:
                clashes.append(item)
            busy.add(id(item))
            busy.discard(id(item))
            pool.give(item)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not clashes
