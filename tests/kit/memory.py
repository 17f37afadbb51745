"""What is in memory, and how much: also for programs that tests start, by ``from memory import ...``."""

import gc
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def forget_peak() -> None:
    """Let the peak be what is resident now (Linux, proc_pid_clear_refs(5))."""
    Path("/proc/self/clear_refs").write_text("5")


def peak() -> int:
    """Return the peak of the resident memory of this process, in KiB.

    Not getrusage: its peak includes that of the process which started this one, the tests themselves.
    """
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


PATIENCE = 5  # seconds


@contextmanager
def collecting_left(*classes: type) -> Iterator[list[object]]:
    """Yield a list that is filled, at the end, with what was made meanwhile and is still there without a cyclic collection."""

    def alive() -> list[object]:
        return [thing for thing in gc.get_objects() if type(thing) in classes and id(thing) not in known]

    known: set[int] = set()
    gc.collect()
    gc.disable()
    before, left = alive(), list[object]()
    known.update(map(id, before))
    try:
        yield left
        deadline = time.monotonic() + PATIENCE
        while (found := alive()) and time.monotonic() < deadline:
            del found
            time.sleep(0.01)  # a thread that has done its job lets go of it in a moment, and says nothing
        left += found
    finally:
        gc.enable()


@contextmanager
def little_memory(most: int = 20 * 1024 * 1024) -> Iterator[None]:
    """Fail if more than so many bytes were taken meanwhile, by all threads."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < most
    finally:
        tracemalloc.stop()
