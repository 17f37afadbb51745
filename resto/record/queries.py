"""Rows in the ORM of Django: for questions that are not part of a save, and that differ from each other."""

from typing import TYPE_CHECKING

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Q, QuerySet

from resto.record.rests import longest_rest
from resto.record.rows import COMPARED, FILL, Conditions


if TYPE_CHECKING:
    from resto.models import Pending

__all__ = ["OF_COMPARISONS", "is_under_way", "not_under_way", "rows_in", "under_way"]


# The condition for rows that comparisons have left.
OF_COMPARISONS = Q(latest=COMPARED) | Q(opened_by=FILL)


def rows_in(connection: BaseDatabaseWrapper) -> "QuerySet[Pending]":
    """Return all rows.

    Args:
        connection: As `resto.record.database.connected` has it.
    """
    from resto.models import Pending  # cannot be imported unless the application is installed

    return Pending._base_manager.using(connection.alias)  # noqa: SLF001 - a public API of Django (topics/db/managers)


def under_way(now: float) -> Q:
    """Return the condition for rows that are under way: they have not failed, and somebody holds them.

    Args:
        now: Seconds since the epoch.
    """
    return Q(error="", quiet_until__gt=now, quiet_until__lte=now + longest_rest())


def not_under_way(now: float) -> Conditions:
    """Return the opposite, for `resto.record.rows.select`.

    Args:
        now: Seconds since the epoch.
    """
    return {"(error <> '' OR quiet_until <= %s OR quiet_until > %s)": (now, now + longest_rest())}


def is_under_way(row: "Pending", now: float) -> bool:
    """Return whether that holds of a row."""
    return not row.error and now < row.quiet_until <= now + longest_rest()
