"""How people are told how long something has been so, and how they say how long it is to be."""

import re


__all__ = ["due_in", "duration", "seconds_in"]

# Seconds after which it is worth asking: a drain that watches the record, and has little to do, is never so late.
LATE = 60


def due_in(seconds: float) -> str:
    """Return when the next try is due, a sentence fragment."""
    if seconds > 0:
        return f"the next is due in {duration(seconds)}"
    return f"the next has been due for {duration(-seconds)}" + (": does a drain run?" if seconds < -LATE else "")


def duration(seconds: float) -> str:
    """Return a time in the unit that suits it."""
    for unit, length in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return "1 second" if round(seconds) == 1 else f"{seconds:.0f} seconds"


def seconds_in(text: str) -> float | None:
    """Return the seconds of a duration such as ``"90m"``, ``"24h"`` or ``"7d"``; None if it is none."""
    found = re.fullmatch(r"(\d{1,6})([smhd])", text, re.ASCII)
    if found is None:
        return None
    return float(found[1]) * {"s": 1, "m": 60, "h": 3_600, "d": 86_400}[found[2]]
