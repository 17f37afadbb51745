"""Where a file is: what the master copy and each host have of it."""

from dataclasses import dataclass
from posixpath import dirname

from django.core.exceptions import SuspiciousFileOperation
from django.db import DatabaseError

from resto.names import clean_name, shown
from resto.repair.names import Copy, file_status
from resto.words.files import content_of, what_is_pending


__all__ = ["FilePart", "Place", "find_file"]


@dataclass(frozen=True, slots=True)
class Place:
    """What there is to say of a place.

    Attributes:
        name: The host, or that it is the master copy.
        content: What it has of the file.
        pending: What it may have missed; empty for the master copy.
        is_wrong: Whether it does not say what it has.
    """

    name: str
    content: str
    pending: str
    is_wrong: bool


@dataclass(frozen=True, slots=True)
class FilePart:
    """What there is to say of a file.

    Attributes:
        name: As it is stored.
        directory: In which it is; empty for the root.
        places: Where it may be; none if there is a problem.
        agrees: Whether all places have the same.
        problem: Why nothing can be said, a sentence; else empty.
    """

    name: str
    directory: str = ""
    places: tuple[Place, ...] = ()
    agrees: bool = False
    problem: str = ""


def find_file(alias: str, name: str) -> FilePart:
    """Ask every host of a storage for a file.

    Args:
        alias: Of a storage of resto.
        name: The file's name, as somebody has typed it.
    """
    try:
        cleaned = clean_name(name)
        status = file_status(alias, cleaned)
    except (ValueError, SuspiciousFileOperation) as error:
        return FilePart(name, problem=shown(f"{error}."))
    except DatabaseError as error:
        return FilePart(name, problem=f"The record cannot be read: {error}")
    except Exception as error:  # noqa: BLE001 - whatever a plugin raises
        return FilePart(name, problem=shown(f"{alias}: {error}"))
    places = [] if status.master is None else [_place("master copy", status.master, "")]
    is_recorded = status.is_recorded
    places += [_place(copy.host, copy, what_is_pending(copy, is_recorded=is_recorded)) for copy in status.hosts]
    return FilePart(cleaned, dirname(cleaned), tuple(places), status.agrees)


def _place(name: str, copy: Copy, pending: str) -> Place:
    content = content_of(copy) if copy.is_known else "not a host of this storage"
    return Place(name, shown(content), shown(pending), is_wrong=bool(copy.problem))
