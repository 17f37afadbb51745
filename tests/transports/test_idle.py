import gc
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.clock import Clock, stop_clock
from resto.transports import idle
from resto.transports.idle import MOST_IN_ALL, MOST_OF_A_HOST, IdlePool


LASTS = 10


class Item:
    def __init__(self, lasts=LASTS):
        self.lasts = lasts
        self.closed = 0

    def close(self):
        self.closed += 1


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    stop_clock(monkeypatch, clock)
    return clock


@pytest.fixture(autouse=True)
def _as_at_the_start():
    start_anew()


def start_anew():
    """Empty the pools of others, of which some may not be collected yet."""
    idle._forget_what_is_the_parents()
    idle._places[:] = [None] * MOST_IN_ALL


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
    clock.pass_(LASTS - 1)
    pool.give(young)
    clock.pass_(2)
    assert pool.take() is young
    assert pool.take() is None
    assert old.closed
    assert not young.closed


def test_giving_closes_what_waits_for_too_long(pool, clock):
    old = Item()
    pool.give(old)
    clock.pass_(LASTS + 1)
    pool.give(Item())
    assert old.closed


def test_of_too_many_the_one_that_was_not_used_for_longest_is_closed(pool):
    items = [Item() for _ in range(MOST_OF_A_HOST + 1)]
    for item in items:
        pool.give(item)
    assert [item.closed for item in items] == [1] + [0] * MOST_OF_A_HOST


def test_of_too_many_in_all_pools_the_one_that_would_be_closed_first_is_closed(clock):
    pools = [IdlePool() for _ in range(MOST_IN_ALL + 1)]
    items = [Item() for _ in pools]
    items[5].lasts = LASTS - 1
    for pool, item in zip(pools, items, strict=True):
        pool.give(item)
    assert [item.closed for item in items] == [number == 5 for number in range(len(items))]
    pools[0].give(Item())
    assert items[0].closed


ACTIONS = st.one_of(
    st.tuples(st.just("give"), st.integers(0, 11), st.sampled_from([0, 1, 4, 64])),
    st.tuples(st.just("take"), st.integers(0, 11)),
    st.tuples(st.just("clear"), st.integers(0, 11)),
    st.tuples(st.just("drop"), st.integers(0, 11)),
    st.tuples(st.just("lose"), st.just(0)),
    st.tuples(st.just("pass"), st.sampled_from([0.5, 1, 5, 60])),
)


@given(st.lists(ACTIONS, max_size=200))
def test_never_too_many_and_never_for_too_long(actions):
    """Whoever gives and takes, and even if an interruption has lost places; and nothing is closed that somebody has."""
    start_anew()
    clock, patch = Clock(), pytest.MonkeyPatch()
    stop_clock(patch, clock)
    pools = [IdlePool() for _ in range(12)]
    items, waiting = [], {}
    for action, number, *lasts in actions:
        if action == "give":
            item = Item(*lasts)
            items.append(item)
            waiting[item] = clock()
            pools[number].give(item)
        elif action == "take" and (item := pools[number].take()) is not None:
            assert clock() - waiting.pop(item) <= item.lasts
            assert not item.closed
        elif action == "clear":
            pools[number].clear()
            assert pools[number].take() is None
        elif action == "drop":
            pools[number] = IdlePool()
        elif action == "lose" and idle._places:
            idle._places.pop()
        elif action == "pass":
            clock.pass_(number)
        for pool in pools:
            assert len(pool._waiting) <= MOST_OF_A_HOST
        assert {item for item in waiting if not item.closed} == {one for pool in pools for _, one in pool._waiting}
        assert sum(len(pool._waiting) for pool in pools) <= MOST_IN_ALL
    assert all(item.closed <= 1 for item in items)
    patch.undo()


def test_places_that_an_interruption_has_lost_are_found_again(pool):
    del idle._places[:]
    items = [Item(), Item()]
    for item in items:
        pool.give(item)
    assert [pool.take(), pool.take()] == items[::-1]
    assert len(idle._places) == 2


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
    assert len(idle._places) == MOST_IN_ALL


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
    assert len(pool._waiting) + len(idle._places) == MOST_IN_ALL
