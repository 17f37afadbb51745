"""What the record knows of the identities of master copies and hosts: which ones they are, and which marks they had."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db import IntegrityError

from resto.record import leases
from resto.record.database import connected, outside_loops


if TYPE_CHECKING:
    from django.db.models import QuerySet

    from resto.models import Host

__all__ = [
    "BEING_MADE",
    "COUNTS",
    "GONE",
    "LEFT_OUT",
    "MARGIN",
    "MASTER",
    "NEW",
    "TURN",
    "Known",
    "add",
    "change_mark",
    "change_places",
    "confirm",
    "find",
    "find_all",
    "finish_mark",
    "forget",
    "note",
    "note_trial",
    "put",
    "reopen",
    "retire",
    "rows_in",
]

# Stands for the master copy where a host has its address, and for who goes through all files; no host has these addresses.
MASTER, TURN = "", "*"

# States of a host: its first identity is on its way; it has lost that, and so its files, or something else has its address; or it is
# known to have none, and without a master copy is left out until it is filled.
BEING_MADE, GONE, NEW = "making", "gone", "new"

# What the marks of a host that is, or was, left out are called: when that has begun, and when it has ended; see
# `resto.record.left_out`. They stay while the host is `GONE`.
LEFT_OUT, COUNTS = "left out", "counts"

# Seconds from when that is recorded: by then every process knows, whatever its clock says.
MARGIN = 10.0

# How often something is changed anew that others change at the same time. Within a transaction, a database may say the same each time.
_TRIES = 10

# Marks that are kept: four days of them, if there is a save in each hour.
_MAX_MARKS = 100


@dataclass(frozen=True, slots=True)
class Known:
    """What the record knows of a host, or of a master copy; see `resto.models.Host`.

    Attributes:
        marks: The last ones, each with when it came.
        places: Directories below that were mounted or links, each with what it was on. Of a host that is a directory: machines,
            each with the identity that it has seen there, empty for none.
        directories: What a host has shown that it does with directories; empty if that is not known.
    """

    storage: str
    host: str
    identity: str
    mark: str
    next_mark: str
    marks: Mapping[str, float]
    places: Mapping[str, str]
    directories: Mapping[str, Any]
    state: str
    looked: float

    @property
    def is_left_out(self) -> bool:
        """Whether it is a host that is left out until it is filled, or is about to be, whatever else is the matter with it."""
        return LEFT_OUT in self.marks and COUNTS not in self.marks


def find(storages: Sequence[str], host: str = MASTER) -> list[Known]:
    """Return what is known of one host, or of the master copy, of several storages, in the order of their aliases.

    Args:
        storages: Aliases.
        host: As it stands in the settings.

    Raises:
        ConfigurationError: The table is missing.
        DatabaseError: It cannot be read.
    """
    found = {one.storage: one for one in _read(lambda hosts: hosts.filter(storage__in=storages, host=host))}
    return [found[alias] for alias in storages if alias in found]


def find_all(storage: str) -> dict[str, Known]:
    """Return what is known of all hosts of a storage, and of its master copy, by their addresses.

    Args:
        storage: Its alias.

    Raises:
        Exception: As for `find`.
    """
    return {one.host: one for one in _read(lambda hosts: hosts.filter(storage=storage).exclude(host=TURN))}


@outside_loops
def _read(choose: "Callable[[QuerySet[Host]], QuerySet[Host]]") -> list[Known]:
    with connected() as connection:
        return [_known(row) for row in choose(rows_in(connection))]


@outside_loops
def add(storage: str, host: str, identity: str, mark: str = "", state: str = "", *, is_left_out: bool = False) -> bool:
    """Make something known, unless it is; return whether it was not.

    Args:
        storage: Alias of the storage.
        host: As for `find`.
        identity: Of the host, or of the master copy.
        mark: Of the master copy; of a host its owner.
        state: As for `put`.
        is_left_out: Whether it is a host that will be `NEW` once it has its identity.

    Raises:
        Exception: As for `find`.
    """
    with connected() as connection:
        row = rows_in(connection).filter(storage=storage, host=host)
        if row.exists():
            return False
        try:
            values = _values(identity, mark, state, is_left_out=is_left_out)
            rows_in(connection).create(storage=storage, host=host, **values)
        except IntegrityError:
            if connection.in_atomic_block or not row.exists():
                raise
            return False
    return True


@outside_loops
def confirm(storages: Sequence[str], identity: str, mark: str) -> None:
    """Record the identity of a master copy that is being made, unless somebody else was first.

    Args:
        storages: Aliases, by which it may be known.
        identity: That its directory has.
        mark: That its directory has.

    Raises:
        Exception: As for `find`.
    """
    with connected() as connection:
        row = rows_in(connection).filter(storage__in=storages, host=MASTER, identity="")
        row.update(identity=identity, mark=mark, marks=_marks({}, mark), looked=leases.clock())


@outside_loops
def reopen(known: Known) -> None:
    """Let a master copy be made anew, unless somebody else was first.

    Args:
        known: What was read a moment ago.

    Raises:
        Exception: As for `find`.
    """
    with connected() as connection:
        row = _rows_of(connection, known).filter(mark=known.mark)
        row.update(identity="", mark="", next_mark="", places="{}")


@outside_loops
def put(storage: str, host: str, identity: str, mark: str = "", state: str = "") -> None:
    """Make something known in place of whatever was known before.

    Args:
        storage: As for `add`.
        host: As for `add`.
        identity: As for `add`.
        mark: As for `add`.
        state: What is the matter with it, such as `NEW`; empty if nothing is.

    Raises:
        Exception: As for `find`.
    """
    values = _values(identity, mark, state, is_left_out=False) | {"next_mark": "", "places": "{}", "directories": "{}"}
    with connected() as connection:
        rows = rows_in(connection)
        if not rows.filter(storage=storage, host=host).update(**values):
            rows.create(storage=storage, host=host, **values)


@outside_loops
def forget(storage: str, host: str) -> None:
    """Forget what is known.

    Args:
        storage: As for `add`.
        host: As for `add`.

    Raises:
        Exception: As for `find`.
    """
    with connected() as connection:
        rows_in(connection).filter(storage=storage, host=host).delete()


@outside_loops
def change_mark(known: Known, following: str) -> str:
    """Announce that a master copy is about to get another mark; return which one: that of whoever was first.

    Args:
        known: What was read a moment ago.
        following: The mark.

    Raises:
        Exception: As for `find`.
    """
    with connected() as connection:
        row = _rows_of(connection, known)
        row.filter(mark=known.mark, next_mark="").update(next_mark=following)
        announced: str = row.filter(mark=known.mark).values_list("next_mark", flat=True).first() or ""
    return announced


@outside_loops
def finish_mark(known: Known, following: str) -> None:
    """Take note that a master copy has got another mark.

    Args:
        known: What was read before it was announced.
        following: The mark.

    Raises:
        Exception: As for `find`.
    """
    with connected() as connection:
        row = rows_in(connection).filter(storage=known.storage, host=known.host, next_mark=following)
        row.update(mark=following, next_mark="", marks=_marks(known.marks, following))


@outside_loops
def retire(known: Known) -> None:
    """Take note that hosts have gone on without a master copy: no directory is believed to be it until one is restored or adopted.

    Args:
        known: What was read a moment ago.

    Raises:
        Exception: As for `find`.
    """
    with connected() as connection:
        _rows_of(connection, known).filter(mark=known.mark).update(mark="", next_mark="")


@outside_loops
def note(known: Known, **values: Any) -> None:
    """Change what is known, if it is still about the same directory or server.

    Args:
        known: What was read.
        **values: Columns and their new values; mappings are kept as JSON.

    Raises:
        Exception: As for `find`.
    """
    values = {name: json.dumps(value) if isinstance(value, Mapping) else value for name, value in values.items()}
    with connected() as connection:
        _rows_of(connection, known).update(**values)


@outside_loops
def change_places(
    known: Known, change: Callable[[Mapping[str, str]], Mapping[str, str]], **values: str
) -> Mapping[str, str]:
    """Change which directories below a master copy are remembered, without losing what others remember at the same time.

    Args:
        known: What was read.
        change: Returns what is to be remembered, given what is; may be called several times.
        **values: Other columns and their new values.

    Returns:
        What is remembered now; what was read, if that could not be changed.

    Raises:
        Exception: As for `find`.
    """
    with connected() as connection:
        row = _rows_of(connection, known)
        for _ in range(_TRIES):
            before = row.values_list("places", flat=True).first()
            if before is None:
                break
            places = change(json.loads(before))
            if row.filter(places=before).update(places=json.dumps(places), **values):
                return places
    return known.places


@outside_loops
def note_trial(storage: str, host: str, trial: Mapping[str, Any]) -> None:
    """Keep what a host has shown that it does with directories, if it is known which server it is, and nothing newer was shown.

    Args:
        storage: As for `add`.
        host: As for `add`.
        trial: What it has shown; ``"tried"`` says when.

    Raises:
        Exception: As for `find`.
    """
    with connected() as connection:
        row = rows_in(connection).filter(storage=storage, host=host)
        before = row.values_list("directories", flat=True).first()
        tried = 0 if before is None else json.loads(before).get("tried", 0)
        # One of the future is from a clock that was wrong.
        if before is not None and not trial["tried"] <= tried <= leases.clock():
            row.filter(directories=before).update(directories=json.dumps(trial))


def _rows_of(connection: Any, known: Known) -> "QuerySet[Host]":
    """Return the row of what is known, if it is still about the same directory or server."""
    return rows_in(connection).filter(storage=known.storage, host=known.host, identity=known.identity)


def _values(identity: str, mark: str, state: str, *, is_left_out: bool) -> dict[str, Any]:
    """Return the columns of something new; it begins to be left out when all processes know."""
    now = leases.clock()
    marks = json.dumps({LEFT_OUT: now + MARGIN}) if is_left_out or state == NEW else _marks({}, mark)
    return {"identity": identity, "mark": mark, "marks": marks, "state": state, "looked": now}


def _marks(before: Mapping[str, float], mark: str) -> str:
    known = [*before.items(), (mark, leases.clock())] if mark else []
    return json.dumps(dict(known[-_MAX_MARKS:]))


def _known(row: "Host") -> Known:
    return Known(
        row.storage,
        row.host,
        row.identity,
        row.mark,
        row.next_mark,
        json.loads(row.marks),
        json.loads(row.places),
        json.loads(row.directories),
        row.state,
        row.looked,
    )


def rows_in(connection: Any) -> "QuerySet[Host]":
    """Return all rows of hosts and master copies.

    Args:
        connection: As `connected` gives it.
    """
    from resto.models import Host  # cannot be imported unless the application is installed

    return Host._base_manager.using(connection.alias)  # noqa: SLF001 - as in `resto.record.queries`
