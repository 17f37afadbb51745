"""Which process this is, and whether another one has ended, as far as that can be told from here.

A number says little of a process: another machine, or another container of this one, has processes of the same numbers, and one that
has ended leaves its number to others. So a life is told by the machine since it has started, the namespace of the numbers, the
number, and when the process began. Of a process in the same place the kernel knows whether it is there. Of all others nothing is
said, nor where the system is not Linux, or hides processes.
"""

import hashlib
import os
import platform
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


__all__ = ["has_ended", "is_seen", "this_life"]

_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class _Stat:
    state: str
    threads: int
    began: str


def this_life() -> str:
    """Return which process this is; empty where that cannot be told."""
    place, stat = _place(), _stat("self")
    return f"{place} {os.getpid()} {stat.began}" if place and stat is not None else ""


def has_ended(life: str) -> bool:
    """Return whether a process has ended for certain.

    Args:
        life: What `this_life` has returned in that process.
    """
    if not is_seen(life):
        return False
    _, number, began = life.split(" ")
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return True
    except OSError:  # somebody else's
        pass
    if not _shows_numbers_of_this_process():
        return False
    stat = _stat(number)
    return stat is not None and (stat.began != began or _is_dead(stat))


def is_seen(life: str) -> bool:
    """Return whether it would be known here that a process has ended.

    Args:
        life: As for `has_ended`.
    """
    return bool(life) and life.partition(" ")[0] == _place()


def _place() -> str:
    """Return where numbers of processes mean the same as here, as long as the machine runs; empty if that is not known."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text()
        numbers = (_PROC / "self/ns/pid").stat().st_ino
    except OSError:
        return ""
    clock = 0  # of the times at which processes have begun
    with suppress(OSError):  # an old kernel
        clock = (_PROC / "self/ns/time").stat().st_ino
    # The name, too: machines that were made of one picture of a running one have the rest in common.
    return hashlib.sha256(f"{boot} {numbers} {clock} {platform.node()}".encode()).hexdigest()[:32]


def _shows_numbers_of_this_process() -> bool:
    """Tell whether the directory of processes is that of the namespace of this one."""
    return (_PROC / "self").readlink().name == str(os.getpid())


def _stat(number: str) -> _Stat | None:
    """Return what is known of a process; None if nothing is."""
    try:
        text = (_PROC / number / "stat").read_text(errors="replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()  # a name may have anything in it
    return _Stat(fields[0], int(fields[17]), fields[19])


def _is_dead(stat: _Stat) -> bool:
    """Tell whether a process has ended, of which its parent has not taken note; others are there as long as a thread of them is."""
    return stat.state in ("Z", "X") and stat.threads <= 1
