"""The rows of the record, in SQL: the ORM takes several times as long for statements that are part of any save.

Each function is one statement in autocommit, repeated if the database has undone it. Conditions are SQL with one ``%s`` each,
and the value that stands there, or a list of them after ``IN``; or with several, and a tuple. All of them must hold.
"""

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple, TypeVar

from django.db.backends.utils import CursorWrapper

from resto.record.database import execute, vendor


__all__ = [
    "COMPARED",
    "FILL",
    "LATEST_FIRST",
    "RESTORED",
    "Row",
    "add_keys",
    "assign",
    "clock",
    "delete",
    "digest_of",
    "in_parts",
    "insert",
    "make_findable",
    "names_of_hosts",
    "of_keys",
    "of_name",
    "pairs",
    "select",
    "select_of_host",
    "update",
]

Conditions = Mapping[str, Any]

T = TypeVar("T")

# What a row says of the change that has opened it, if none has: a host is being made equal to others.
FILL = "fill"

# What the rows of a file that is being brought back to the master copy have as their last change, until it is there.
RESTORED = "restored"

# What rows have as their last change that a comparison with a master copy has left to drains.
COMPARED = "compared"

# The opposite of an order.
LATEST_FIRST = " DESC"

_TABLE = "resto_pending"

# What an index has in this order.
_HOST_DUE = ("storage", "host", "due")

_MAX_ROWS = 240  # of one statement, with four values for each: older SQLite takes 999

# What a new row has unless it is given, as SQL. The database is not asked for it: most columns have no defaults there.
_DEFAULTS = {"attempts": "0", "error": "''", "digest": "''", "opened_by": "''", "latest": "''"}

_CLOCKS = {"postgresql": "SELECT extract(epoch FROM clock_timestamp())", "mysql": "SELECT unix_timestamp(now(6))"}


class Row(NamedTuple):
    """What the record knows of one host and name; see `resto.models.Pending`."""

    id: int
    storage: str
    host: str
    name: str
    present: bool
    owner: str
    quiet_until: float
    attempts: int
    digest: str
    opened_by: str
    latest: str
    created: float
    due: float


def insert(common: Mapping[str, Any], own: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows.

    Args:
        common: Columns in which all have the same, and their values.
        own: For each row its other columns, the same ones for all.
    """
    values = dict(common)
    for number, row in enumerate(own):
        for column, value in row.items():
            values[f"{column}_{number}"] = value
    execute(_insertion(tuple(common), tuple(own[0]), len(own)), values, _nothing)


@cache
def _insertion(common: tuple[str, ...], own: tuple[str, ...], count: int) -> str:
    columns = {**_DEFAULTS, **{column: f"%({column})s" for column in common}}
    rows = [{**columns, **{column: f"%({column}_{number})s" for column in own}} for number in range(count)]
    values = ", ".join(f"({', '.join(row.values())})" for row in rows)
    return f"INSERT INTO {_TABLE} ({', '.join(rows[0])}) VALUES {values}"  # noqa: S608 - made of constants


def update(where: Conditions, *more: str, **values: Any) -> int:
    """Update rows, and return how many.

    Args:
        where: Which rows.
        more: Assignments in SQL.
        values: Columns and their new values.
    """
    return _update(where, [*(f"{column} = %s" for column in values), *more], [*values.values()])


def assign(owners: Mapping[int, str], where: Conditions, **values: Any) -> int:
    """Give rows to owners, each one to its own, and return how many.

    Args:
        owners: The id of each row, and its new owner.
        where: What must hold of a row besides.
        values: Other columns, and their new values.
    """
    case = f"owner = CASE id {'WHEN %s THEN %s ' * len(owners)}END"
    pairs = [value for pair in owners.items() for value in pair]
    columns = [f"{column} = %s" for column in values]
    return _update({"id IN %s": [*owners], **where}, [case, *columns], [*pairs, *values.values()])


def _update(where: Conditions, assignments: Sequence[str], values: list[Any]) -> int:
    condition, parameters = _condition(where)
    statement = f"UPDATE {_TABLE} SET {', '.join(assignments)} WHERE {condition}"  # noqa: S608 - made of constants
    return execute(statement, values + parameters, _count)


def delete(where: Conditions) -> int:
    """Delete rows, and return how many."""
    condition, parameters = _condition(where)
    return execute(f"DELETE FROM {_TABLE} WHERE {condition}", parameters, _count)  # noqa: S608 - made of constants


def select(where: Conditions, limit: int | None = None, order: str = "id") -> list[Row]:
    """Return rows, oldest first unless another order is given; no more than the limit if there is one."""
    return _select(_TABLE, where, limit, order)


def select_of_host(
    storage: str,
    host: str,
    where: Conditions,
    limit: int,
    *,
    since: float = 0.0,
    until: float | None = None,
    direction: str = "",
) -> list[Row]:
    """Return rows of a host, in the order in which they are due, without a look at those of others.

    Databases would look for them in the index of what is due, too, and pass by all rows of other hosts that are due at the same
    moment. PostgreSQL does not if the condition is one for all three columns of the other index; MariaDB has to be told.

    Args:
        storage: Alias of the storage.
        host: The host as it stands in the settings of whoever has recorded it.
        where: What must hold of a row besides.
        limit: How many rows at most.
        since: Seconds since the epoch, when the first of them are due.
        until: When the last of them are due; None for all.
        direction: `LATEST_FIRST` for the opposite order.
    """
    table, mine, order = _of_host(storage, host, since, until, direction)
    return _select(table, {**mine, **where}, limit, order)


def _of_host(storage: str, host: str, since: float, until: float | None, direction: str) -> tuple[str, Conditions, str]:
    """Return the table, the condition and the order of `select_of_host`."""
    kind = vendor()
    if kind == "postgresql":
        end = math.inf if until is None else until
        row = f"({', '.join(_HOST_DUE)})"
        mine = {f"{row} >= (%s, %s, %s)": (storage, host, since), f"{row} <= (%s, %s, %s)": (storage, host, end)}
        return _TABLE, mine, ", ".join(f"{column}{direction}" for column in _HOST_DUE)
    table = f"{_TABLE} FORCE INDEX (resto_pending_host_due)" if kind == "mysql" else _TABLE
    until_then = {} if until is None else {"due <= %s": until}
    return table, {"storage = %s": storage, "host = %s": host, "due >= %s": since, **until_then}, f"due{direction}"


def _select(table: str, where: Conditions, limit: int | None, order: str) -> list[Row]:
    statement, parameters = _selection(Row._fields, table, where, limit, order)
    return execute(statement, parameters, _rows)


def _selection(
    columns: Sequence[str], table: str, where: Conditions, limit: int | None, order: str
) -> tuple[str, list[Any]]:
    condition, parameters = _condition(where)
    limited = "" if limit is None else f" LIMIT {limit:d}"
    statement = f"SELECT {', '.join(columns)} FROM {table} WHERE {condition} ORDER BY {order}{limited}"  # noqa: S608 - made of constants
    return statement, parameters


def names_of_hosts(storage: str, hosts: Sequence[str], limit: int) -> tuple[str, list[Any]]:
    """Return a statement for hosts and names, to be joined to others, and its parameters: of each host no more than the limit.

    Args:
        storage: Alias of the storage.
        hosts: As they stand in the settings of whoever has recorded them.
        limit: How many rows of a host at most.
    """
    parts, parameters = [], []
    for number, host in enumerate(hosts):
        table, mine, order = _of_host(storage, host, 0.0, None, "")
        statement, its = _selection(("host", "name"), table, mine, limit, order)
        parts.append(f"SELECT host, name FROM ({statement}) of_host_{number}")  # noqa: S608 - made of constants
        parameters += its
    return " UNION ALL ".join(parts), parameters


def pairs(storages: Sequence[str] = ()) -> list[tuple[str, str]]:
    """Return the storages and hosts that there are rows of, by two looks at an index for each.

    Args:
        storages: Aliases; all if there are none.
    """
    aliases = storages or [*_distinct("storage", {})]
    return [(alias, host) for alias in aliases for host in _distinct("host", {"storage = %s": alias})]


def _distinct(column: str, where: Conditions) -> Iterator[str]:
    """Yield each value that a column has, as no database does without a look at all rows."""
    following, last = f"{column} >= %s", ""
    while found := execute(*_first(column, {**where, following: last}), _values):
        following, last = f"{column} > %s", found[0]
        yield last


def _first(column: str, where: Conditions) -> tuple[str, list[Any]]:
    condition, parameters = _condition(where)
    return f"SELECT {column} FROM {_TABLE} WHERE {condition} ORDER BY {column} LIMIT 1", parameters  # noqa: S608 - made of constants


def add_keys() -> None:
    """Give its key to each row that has none, as version 0.1 has written it."""
    while without := select({"name_key = %s": ""}, _MAX_ROWS, "name_key, id"):
        case = f"name_key = CASE id {'WHEN %s THEN %s ' * len(without)}END"
        keys = [value for row in without for value in (row.id, digest_of(row.storage, row.name))]
        _update({"id IN %s": [row.id for row in without]}, [case], keys)


def _condition(where: Conditions) -> tuple[str, list[Any]]:
    parts, parameters = [], []
    for part, value in where.items():
        if isinstance(value, list):
            # A list must not be empty in SQL; nothing is equal to NULL.
            parts.append(part.replace("%s", f"({', '.join(['%s'] * len(value)) or 'NULL'})"))
            parameters += value
        elif isinstance(value, tuple):
            parts.append(part)
            parameters += value
        else:
            parts.append(part)
            parameters.append(value)
    return " AND ".join(parts), parameters


def clock() -> float | None:
    """Return what time the database says it is, in seconds since the epoch; None if it only knows that of this machine."""
    sql = _CLOCKS.get(vendor())
    return None if sql is None else execute(sql, (), _number)


def _number(cursor: CursorWrapper) -> float:
    return float(cursor.fetchone()[0])


def _nothing(cursor: CursorWrapper) -> None:
    pass


def _values(cursor: CursorWrapper) -> list[str]:
    return [value for (value,) in cursor.fetchall()]


def _count(cursor: CursorWrapper) -> int:
    return int(cursor.rowcount)


def _rows(cursor: CursorWrapper) -> list[Row]:
    rows = map(Row._make, cursor.fetchall())
    return [row._replace(present=bool(row.present)) for row in rows]  # most databases have numbers for it


def digest_of(storage: str, name: str) -> str:
    """Return the key of rows of a name.

    Args:
        storage: Alias of the storage in ``STORAGES``.
        name: The file's name.
    """
    return hashlib.sha256(f"{storage}\0{name}".encode(errors="surrogatepass")).hexdigest()[:32]


def of_name(storage: str, name: str) -> Conditions:
    """Return the condition for the rows of a name, whichever storage class, and whichever version has written them.

    Args:
        storage: As for `digest_of`.
        name: As for `digest_of`.
    """
    return of_keys([digest_of(storage, name)])


def of_keys(keys: Sequence[str]) -> Conditions:
    """Return the condition for the rows of several names, as for `of_name`.

    Args:
        keys: As `digest_of` returns them.
    """
    either = "OR".join(
        " {} IN ({}) ".format(column, ", ".join(["%s"] * len(keys))) for column in ("name_key", "digest")
    )
    return {f"({either})": (*keys, *keys)}  # version 0.1 has written the second, or neither


def make_findable(owner: str, storage: str, name: str) -> None:
    """Let rows be found by their name, which a storage with a master copy has left: the site had one at that time.

    Args:
        owner: Who holds them.
        storage: As for `digest_of`.
        name: As for `digest_of`.
    """
    key = digest_of(storage, name)
    update({"owner = %s": owner, "digest = %s": ""}, digest=key, name_key=key, latest=owner)


def in_parts(many: Sequence[T]) -> Iterator[Sequence[T]]:
    """Yield parts of what is too much for one statement."""
    for number in range(0, len(many), _MAX_ROWS):
        yield many[number : number + _MAX_ROWS]
