"""What has not come to its end, as a process was killed: uploads and trials lie on hosts under temporary names, and are removed from there."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial

from resto.exceptions import HostUnavailableError, RemoteFileNotFoundError, TransportError
from resto.executors import Job
from resto.names import is_unfinished
from resto.repair.sync.hosts import Hosts
from resto.repair.sync.report import Notice
from resto.transports import Transport
from resto.transports.base import FILE_OF_TRIAL


__all__ = ["Unfinished"]

# What is younger may still be under way.
AGE = timedelta(days=1)


class Unfinished:
    """The uploads and trials that have not come to their end on the hosts of a comparison.

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
        """Remove an upload or a trial if it is old enough; return whether it is gone, and None if it was before.

        Raises:
            TransportError: The host does not say how old it is, or does not remove it, or it is something else.
        """
        transport = self._transport_for(host)
        try:
            age = transport.age(host, name)
        except HostUnavailableError:
            raise
        except TransportError as error:  # Apache may say of a directory that nothing is there, others give no date
            return self._remove_trial(transport, host, name, error)
        if not self._is_to_go(age):
            return False
        transport.delete(host, name)
        return True

    def _remove_trial(self, transport: Transport, host: str, name: str, error: TransportError) -> bool | None:
        file = f"{name}/{FILE_OF_TRIAL}"
        try:
            there = transport.browse(host, name)
            # Apache does not list a directory with such a file in it.
            has_file = there is None or FILE_OF_TRIAL in there.files
            age = transport.age(host, file) if has_file else None
        except RemoteFileNotFoundError:
            if isinstance(error, RemoteFileNotFoundError):
                return None  # it has come to its end
            raise error from None
        if there is not None and (there.directories or there.others or there.files.keys() - {FILE_OF_TRIAL}):
            raise error
        if not self._is_to_go(age):
            return False
        if has_file:
            transport.delete(host, file)  # not every server removes a directory with it
        transport.remove_directory(host, name)
        return True

    def _is_to_go(self, age: timedelta | None) -> bool:
        # To remove an empty directory does no harm to a trial that is under way: it has shown nothing, and is repeated.
        return not self._is_dry_run and (age is None or age >= AGE)
