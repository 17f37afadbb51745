"""What a directory is, by what its identity file says and by what the record knows of it, in sentences for people."""

from collections.abc import Sequence
from datetime import UTC, datetime

from resto.exceptions import ConfigurationError
from resto.master.identity import Found
from resto.record.identities import Known


__all__ = ["CODE", "is_made", "matching", "problem_of", "problem_of_place", "problem_of_reading"]

CODE = "E019"


def problem_of(location: str, found: Found | None, known: Known | None) -> ConfigurationError | None:
    """Return why a directory is not the master copy; None if it is, or if there is no identity at all.

    Args:
        location: Its path.
        found: What its identity file says.
        known: What the record knows of it.
    """
    if not is_made(known):
        return None if found is None else _problem(*_ONLY_THE_DIRECTORY, location)
    assert known is not None  # noqa: S101 - it is made
    if found is None:
        return _problem(*_ONLY_THE_RECORD, location)
    if found.identity.id != known.identity:
        return _problem(*_ANOTHER, location)
    mark = found.identity.mark
    if not known.mark:
        return _problem(*_RETIRED, location)
    if mark in (known.mark, known.next_mark):
        return None
    if mark in known.marks:
        return _problem(*_OLDER, location, f"{datetime.fromtimestamp(known.marks[mark], UTC):%Y-%m-%d %H:%M} UTC")
    return _problem(*_UNKNOWN_MARK, location)


def problem_of_place(location: str, path: str, known: Known) -> ConfigurationError:
    """Return what is wrong with a directory below that is not mounted.

    Args:
        location: Of the master copy.
        path: Of the directory, in there.
        known: What the record knows of the master copy.
    """
    return _problem(*_NOT_MOUNTED, f"{location}/{path}", known.places[path])


def problem_of_reading(location: str, error: OSError) -> ConfigurationError:
    """Return what is wrong with a directory of which it cannot be seen what it is.

    Args:
        location: Its path.
        error: What has come of it.
    """
    return _problem(*_UNREADABLE, location, (error.strerror or str(error)).lower())


_UNREADABLE = (
    "the file .resto.master in {} cannot be read: {}",
    "Let this user read it, and the directory. If it is no file, move it away, and run: manage.py resto_restore.",
)
_NOT_MOUNTED = (
    "{} was {}, and is none; is it mounted?",
    "If its files are lost, run: manage.py resto_restore. If it shall be as it is, run: manage.py resto_adopt.",
)
_ONLY_THE_DIRECTORY = (
    "the database does not know {}, which is a master copy",
    "Was the database thrown away, or is it that of another site? If this is to be the master copy of this one, run: "
    "manage.py resto_adopt.",
)
_ONLY_THE_RECORD = (
    "{} is not the master copy: it has no file .resto.master",
    "Is it mounted? If the disk is lost, run: manage.py resto_restore. If this is a copy of the site, give it hosts of its own, "
    "and run: manage.py resto_adopt.",
)
_ANOTHER = (
    "{} is the master copy of something else",
    "Correct the directory, or the database; if this is to be the master copy from now on, run: manage.py resto_adopt.",
)
_OLDER = (
    "{} is a copy or a backup of the master copy, as it was made on {}",
    "Mount the master copy; or run: manage.py resto_restore, which brings what this one lacks.",
)
_RETIRED = (
    "{} is not the master copy any more: a storage that has none has changed files on the hosts since",
    "Set BACKEND to that storage again, on this machine, too; or bring the files into an empty directory: manage.py resto_restore.",
)
_UNKNOWN_MARK = (
    "{} has gone on without this database, which may be a backup; or a copy of it has",
    "If it is the master copy, run: manage.py resto_adopt.",
)


def _problem(problem: str, hint: str, *values: str) -> ConfigurationError:
    return ConfigurationError(problem.format(*values), hint, CODE)


def is_made(known: Known | None) -> bool:
    """Return whether the record knows a master copy, and not only that one is being made."""
    return known is not None and known.identity != ""


def matching(rows: Sequence[Known], found: Found | None) -> Known | None:
    """Return what is known of a directory that several storages may share.

    Args:
        rows: What is known of the master copies of these storages.
        found: What the identity file says.
    """
    mine = [row for row in rows if found is not None and row.identity == found.identity.id]
    return next(iter([*mine, *rows]), None)
