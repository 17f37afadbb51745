"""What a database server says of its connections."""

from django.db import connections


# Of a database and its vendor: the ids of connections to it, without the one that asks.
_QUERIES = {
    "postgresql": "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()",
    "mysql": "SELECT id FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()",
}
_END = {"postgresql": "SELECT pg_terminate_backend(%s)", "mysql": "KILL %s"}

PATIENCE = 2_000  # looks


class Sessions:
    """Connections to a database, as the server sees them, through one that it does not count.

    Args:
        alias: The database, in ``DATABASES``.
    """

    def __init__(self, alias="default"):
        self._control = connections.create_connection(alias)
        self._control.settings_dict = dict(self._control.settings_dict)  # as they are now
        self._control.inc_thread_sharing()

    def ids(self):
        with self._control.cursor() as cursor:
            cursor.execute(_QUERIES[self._control.vendor])
            return {row[0] for row in cursor.fetchall()}

    def become(self, count):
        """Return whether there are so many, once the server has noticed that others have gone."""
        return any(len(self.ids()) == count for _ in range(PATIENCE))

    def end_all(self):
        """Do what a restart of the database does to its clients."""
        for one in self.ids():
            with self._control.cursor() as cursor:
                cursor.execute(_END[self._control.vendor], [one])
        assert self.become(0)

    def close(self):
        self._control.close()
