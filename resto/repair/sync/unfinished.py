"""Uploads that have not come to their end, as a process was killed: they lie on hosts under temporary names, and are removed from there."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial

from resto.exceptions import TransportError
from resto.executors import Job
from resto.names import is_unfinished
from resto.repair.sync.hosts import Hosts
from resto.repair.sync.report import Notice
from resto.transports import Transport


__all__ = ["Unfinished"]

# What is younger may still be under way.
AGE = timedelta(days=1)

# Injected by tests.
clock = partial(datetime.now, UTC)


class Unfinished:
    """The uploads that have not come to their end on the hosts of a comparison.

    Args:
        hosts: Of the comparison.
        transport_for: Returns the transport of a host.
        found: Told what is there under such a name, and is no file, or does not say how old it is.
        is_dry_run: Whether they are counted only.
    """

    def __init__(
        self,
        hosts: Hosts,
        transport_for: Callable[[str], Transport],
        found: Callable[[Notice], None],
        *,
        is_dry_run: bool,
    ) -> None:
        self._hosts = hosts
        self._transport_for = transport_for
        self._found = found
        self._is_dry_run = is_dry_run
        self._notices: dict[tuple[str, str], Notice] = {}

    def takes(self, notice: Notice) -> bool:
        """Take note of what is not compared, if it is such an upload of a host that can say how old it is."""
        if not notice.host or not is_unfinished(notice.name):
            return False
        if not self._transport_for(notice.host).supports_modified_time:
            return False
        self._notices[notice.host, notice.name] = notice
        return True

    def sweep(self) -> None:
        """Count what was found since, and remove what is old enough."""
        notices, self._notices = self._notices, {}
        for outcome in self._hosts.run_each(Job("delete", *pair, partial(self._remove, *pair)) for pair in notices):
            if outcome.ok and outcome.value is not None:
                report = self._hosts.reports[outcome.host]
                report.unfinished += 1
                report.swept += outcome.value
            elif not outcome.ok:
                self._found(notices[outcome.host, outcome.name])

    def _remove(self, host: str, name: str) -> bool | None:
        """Remove an upload if it is old enough; return whether it is gone, and None if it was before.

        Raises:
            TransportError: The host does not say how old it is, or does not remove it.
        """
        transport = self._transport_for(host)
        try:
            age = clock() - transport.modified_time(host, name)
        except TransportError as error:
            if isinstance(error, FileNotFoundError):
                return None  # it has come to its end
            raise
        if self._is_dry_run or age < AGE:
            return False
        transport.delete(host, name)
        return True
