"""Closing of connections by threads that end, or rest, and that no request of Django's belongs to."""

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper


__all__ = ["close", "close_all"]


def close(connection: BaseDatabaseWrapper) -> None:
    """Close a connection that nobody else uses, even one to a database in memory.

    SQLite's `DatabaseWrapper.close` keeps those, as their database would go with the last one. But Django's tests keep one open, and
    of one that is left to the garbage collector, Python 3.13 warns.

    Args:
        connection: As threads have them in ``django.db.connections``.
    """
    BaseDatabaseWrapper.close(connection)


def close_all() -> None:
    """Close the connections of this thread as Django does, and those to databases in memory, unless they are shared or in a transaction."""
    connections.close_all()
    for connection in connections.all(initialized_only=True):
        if not (connection.allow_thread_sharing or connection.in_atomic_block):
            close(connection)
