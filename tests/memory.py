"""What is in memory, and how much: also for programs that tests start, by ``from memory import ...``."""

import gc
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


@contextmanager
def collecting_left(*classes: type) -> Iterator[list[object]]:
    """Yield a list that is filled, at the end, with what was made meanwhile and is still there without a cyclic collection."""

    def alive() -> list[object]:
        return [thing for thing in gc.get_objects() if type(thing) in classes]

    gc.collect()
    gc.disable()
    before, left = alive(), list[object]()
    try:
        yield left
        known = set(map(id, before))
        left += [thing for thing in alive() if id(thing) not in known]
    finally:
        gc.enable()
