"""Takes times, so that whatever else the machine does hits all rivals."""

import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeVar

from benchmarks.results import CPU, CPU_SECONDS, SECONDS, WALL, Row


__all__ = ["Time", "in_milliseconds", "in_seconds", "in_turn", "interleave", "timed"]

WARM_UP = 2  # calls that are not counted: the first ones open connections

T = TypeVar("T")


class Time(NamedTuple):
    """What something took, in seconds: on the clock, and of the processor."""

    wall: float
    cpu: float


def timed(call: Callable[[], object]) -> Time:
    """Return what a call takes; the processor's time is that of all threads of this process."""
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    return Time(time.perf_counter() - wall, time.process_time() - cpu)


def interleave(calls: Mapping[str, Callable[[], T]], rounds: int, warm_up: int = 0) -> dict[str, list[T]]:
    """In each round, let every rival do its work once, in an order that changes; return what the calls returned.

    Args:
        calls: Name of a rival to what it does.
        rounds: How often.
        warm_up: Rounds before those that count.
    """
    found: dict[str, list[T]] = {rival: [] for rival in calls}
    order, shuffle = list(calls), random.Random(0).shuffle
    for number in range(warm_up + rounds):
        shuffle(order)
        for rival in order:
            result = calls[rival]()
            if number >= warm_up:
                found[rival].append(result)
    return found


def in_turn(work: str, calls: Mapping[str, Callable[[], object]], rounds: int, warm_up: int = WARM_UP) -> list[Row]:
    """Take the times of short calls."""

    def taking(call: Callable[[], object]) -> Callable[[], Time]:
        return lambda: timed(call)

    return in_milliseconds(work, interleave({rival: taking(call) for rival, call in calls.items()}, rounds, warm_up))


def in_milliseconds(work: str, samples: Mapping[str, Sequence[Time]]) -> list[Row]:
    """Make rows of times that are short."""
    return [
        Row.of(work, rival, {WALL: [time.wall * 1000 for time in times], CPU: [time.cpu * 1000 for time in times]})
        for rival, times in samples.items()
    ]


def in_seconds(work: str, samples: Mapping[str, Sequence[Time]]) -> list[Row]:
    """Make rows of times that are long."""
    return [
        Row.of(work, rival, {SECONDS: [time.wall for time in times], CPU_SECONDS: [time.cpu for time in times]})
        for rival, times in samples.items()
    ]
