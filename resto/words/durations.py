"""How people are told how long something has been so."""

__all__ = ["due_in", "duration"]

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
