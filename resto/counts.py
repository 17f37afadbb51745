"""How people are told how many of something there are."""

__all__ = ["amount_told", "counted", "counted_up_to", "size_told"]


def counted(number: int, noun: str) -> str:
    """Return a number of things, the noun as it suits the number."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def counted_up_to(number: int, *, has_more: bool) -> str:
    """Return a number of which it is said if it was not counted any further."""
    return f"more than {number:_}".replace("_", " ") if has_more else str(number)


def size_told(size: int | None) -> str:
    """Return the size of a file in bytes; one that is None is missing."""
    return "missing" if size is None else counted(size, "byte")


def amount_told(size: int) -> str:
    """Return so many bytes in the unit that suits them."""
    for unit, length in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= length:
            return f"{size / length:,.{0 if size >= 10 * length else 1}f} {unit}"
    return counted(size, "byte")
