"""How far something is that takes a while."""

from functools import partial

import pytest

from resto import progress
from resto.progress import Meter, Progress


@pytest.fixture
def clock(monkeypatch):
    """Seconds, in a list."""
    now = [1000.0]
    monkeypatch.setattr(progress, "monotonic", partial(now.__getitem__, 0))
    return now


def test_it_is_told_how_far_it_is_from_the_beginning(clock):
    told = []
    meter = Meter(told.append)
    meter.total, meter.total_bytes = 5, 100
    for _ in range(2):
        clock[0] += 1
        meter.add(2, 30)
    meter.is_final = True
    meter.tell()
    assert told == [
        Progress(2, 5, 30, 100),
        Progress(4, 5, 60, 100),
        Progress(4, 5, 60, 100, is_final=True),
    ]


def test_names_that_arrive_are_a_part_of_the_total_until_they_are_settled(clock):
    told = []
    meter = Meter(told.append, hosts=2)
    for number in (10, 20):
        clock[0] += 1
        meter.arrive(number)
    assert told == [Progress(0, 5), Progress(0, 15)]
    meter.settle(31)
    meter.total = 24
    meter.tell()
    assert told[-1] == Progress(0, 12)
    meter.arrive(50)  # what has nothing to do with it
    meter.is_final = True
    meter.tell()
    assert told[-1] == Progress(0, 12, is_final=True)


def test_it_is_not_told_for_each_of_many_names(clock):
    told = []
    meter = Meter(told.append)
    for _ in range(1000):
        clock[0] += 0.001
        meter.add(1)
    meter.tell()
    assert len(told) <= 11
    assert told[-1] == Progress(1000)
