"""A directory that somebody names, to compare or restore what is below it."""

from collections.abc import Sequence
from pathlib import Path

from django.core.exceptions import SuspiciousFileOperation

from resto.names import clean_directory, require_possible, require_storable
from resto.spelling import did_you_mean


__all__ = ["possible_directory", "problem_of_directory"]


def possible_directory(name: str) -> str:
    """Return the canonical form of a directory's name; ``""`` is the root of the storage.

    Args:
        name: What somebody has written.

    Raises:
        SuspiciousFileOperation: As for `resto.names.clean_directory`, or no directory can have it, as it is too long.
    """
    cleaned = clean_directory(name)
    require_storable(cleaned)
    try:
        require_possible(cleaned)
    except OSError as error:
        raise SuspiciousFileOperation(f"the name of a directory is too long: {len(cleaned)} characters") from error
    return cleaned


def problem_of_directory(name: str, masters: Sequence[Path], *, on_hosts: bool) -> str:
    """Return what is wrong with a directory, a sentence fragment; empty if somebody has it.

    Args:
        name: Of the directory; empty for everything.
        masters: The directories of master copies.
        on_hosts: Whether a host may have it.
    """
    if not name or any((master / name).is_dir() for master in masters):
        return ""
    if any((master / name).is_file() for master in masters):
        return f"{name!r} is a file, and no directory"
    if on_hosts:
        return ""
    siblings = [path.name for master in masters for path in (master / name).parent.glob("*/")]
    question = did_you_mean(name.rpartition("/")[2], siblings)
    return f"there is no directory {name!r}, neither here nor on a host" + (f". {question}" if question else "")
