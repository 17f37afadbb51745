"""What all storages of resto have in common: hosts, the record, and the execution of actions on them."""

from collections.abc import Callable, Sequence
from typing import Any, Unpack

from django.apps import apps

from resto.exceptions import ConfigurationError, ReplicationError, RestoError
from resto.executors import Executor, Job
from resto.names import canonical_name
from resto.outcomes import Outcome
from resto.plugins import get_plugin_manager
from resto.record import database
from resto.record.attempts import noting_failure
from resto.record.claims import PendingName
from resto.record.leases import Lease
from resto.storage.composed import ComposedStorage
from resto.storage.composition import StorageOptions
from resto.storage.host_urls import chosen, is_reached, lag_at_present
from resto.storage.jobs import action_of, guarded_job, guarded_jobs, run_jobs
from resto.storage.own_hosts import OwnHosts
from resto.storage.recognition import Recognition, owner_in_record
from resto.storage.reporting import forget_frames, log_failure, log_outcome, log_unrecorded, log_without_record
from resto.storage.sharing import Reserved


__all__ = ["ReplicatedStorage"]


class ReplicatedStorage(ComposedStorage):
    """A storage that records what hosts may miss, and executes actions on them.

    Attributes:
        recognition: Whether hosts are what they were.
        own_hosts: Which hosts are not something else, and may be read.
    """

    _reserved: Reserved | None = None

    def __init__(self, hosts: Any = None, base_url: str | None = None, **options: Unpack[StorageOptions]) -> None:
        super().__init__(hosts, base_url, **options)
        self.recognition = Recognition(self, self._owner_of_hosts, self._directory)
        self.own_hosts = OwnHosts(self, self.recognition.found, self._guarded_job, self.report)

    def _forget_composition(self, *, setting: str, **kwargs: Any) -> None:
        super()._forget_composition(setting=setting, **kwargs)
        self._reserved = None
        if self._composition is None:
            self.recognition.forget()

    @property
    def reserved(self) -> Reserved:
        """The directories in which other storages keep their files."""
        reserved = self._reserved
        if reserved is None:
            reserved = self._reserved = Reserved(self.alias, self._directory())
        return reserved

    def _owner_of_hosts(self) -> str:
        """Return whose the hosts are: an id; empty if there is none yet."""
        return owner_in_record(self)

    def _directory(self) -> str | None:
        """Return the path of the master copy; None if there is none."""
        return None

    def _url_of_host(self, name: str | None) -> str | None:
        if self._assigned_base_url or self._options.value("URL_FROM") != "hosts":
            return None
        canonical = canonical_name(name)
        if canonical is None:
            return None
        try:
            composed = self._composition or self._composed()
            alias = composed.alias if self.is_recorded() else None
        except ConfigurationError:
            return None
        lag = None if alias is None else lag_at_present(alias, tuple(composed.transports))
        if lag is None:
            return None
        others = self.own_hosts.others(composed.urls)
        shown = [(host, url) for host, url in composed.urls.items() if host not in others]
        having = [url for host, url in shown if not lag.has(host, canonical) and is_reached(composed.identities[host])]
        return chosen(having, canonical)

    # The durable record.

    def is_recorded(self) -> bool:
        """Return whether changes are recorded, as far as the settings say: without hosts there is nothing to record."""
        return self._alias_with_hosts() is not None and database.is_installed()

    def record_alias(self) -> str | None:
        """Return the alias under which changes are recorded; None where nothing is recorded."""
        alias = self._alias_with_hosts()
        return alias if alias is not None and database.is_active() else None

    def _alias_with_hosts(self) -> str | None:
        composed = self._composition or self._composed()
        return composed.alias if composed.transports else None

    def _alias_for_change(self, name: str) -> str | None:
        """Return the alias under which a change of a name is recorded; None where nothing is, which is logged if it is unusual."""
        alias = self.record_alias()
        if alias is None and self.is_recorded() and database.is_broken():
            log_unrecorded(name)
        return alias

    def open_lease(self, name: str, hosts: tuple[str, ...], *, present: bool) -> Lease | None:
        """Record that hosts are about to differ for a name; return None where nothing is recorded.

        Args:
            name: The file's name.
            hosts: The hosts as they stand in the settings.
            present: Whether the hosts are about to have the file.
        """
        raise NotImplementedError

    def left_out(self, lease: Lease | None = None) -> frozenset[str]:
        """Return the hosts that are left out until they are filled: none, unless there is no master copy.

        Args:
            lease: That of a change, for which it is looked up; None for names that nothing is pending for.
        """
        return frozenset()

    def repair_job(self, host: str, name: str, lease: Lease, *, present: bool) -> Job:
        """Return the job that makes one host equal to the truth, whatever was missed.

        Args:
            host: The host as it stands in the settings.
            name: The file's name.
            lease: Holds the rows of this host and name.
            present: Whether the file should be there, as far as these rows know.
        """
        raise NotImplementedError

    def hand_over(self, pairs: Sequence[tuple[str, str]], *, present: bool) -> list[Outcome]:
        """Leave it to drains to make hosts equal to the truth, as a comparison has found that they are not.

        Args:
            pairs: Hosts and names.
            present: Whether hosts are to get the files, and not to lose them.

        Returns:
            For each pair whether that is recorded.

        Raises:
            DatabaseError: It could not be recorded.
        """
        raise NotImplementedError

    def repair_jobs(self, claims: Sequence[PendingName]) -> list[Job]:
        """Return the jobs of `repair_job` for what a drain has claimed."""
        return [self.repair_job(one.host, one.name, one.lease, present=one.present) for one in claims]

    # Django's storage API.

    def save(self, name: str | None, content: Any, max_length: int | None = None) -> str:
        with noting_failure(content):
            return super().save(name, content, max_length)

    # The execution of actions.

    def execute(self, func: Callable[..., Any], name: str, *args: Any, **kwargs: Any) -> list[Outcome] | None:
        """Run an action on all hosts, and wait for it. Subclasses may override this.

        Args:
            func: Called as ``func(host, name, *args, **kwargs)`` for each host.
            name: The file's name.
            *args: Passed on.
            **kwargs: Passed on.

        Returns:
            What happened on each host, in the order of the hosts.

        Raises:
            ReplicationError: The action failed on a host, and ``fatal_exceptions`` is set.
        """
        outcomes = self._run(func, self.hosts, name, *args, **kwargs)
        if self._has_failed(action_of(func), outcomes):
            raise ReplicationError(action_of(func), name, outcomes)
        return outcomes

    def _has_failed(self, action: str, outcomes: Sequence[Outcome]) -> bool:
        return any(outcome.error is not None for outcome in outcomes) and self.fatal_exceptions

    def _run(
        self, func: Callable[..., Any], hosts: tuple[str, ...], name: str, *args: Any, **kwargs: Any
    ) -> list[Outcome]:
        return self._run_on(self.executor, func, hosts, name, *args, **kwargs)

    def _run_on(
        self, executor: Executor, func: Callable[..., Any], hosts: Sequence[str], name: str, *args: Any, **kwargs: Any
    ) -> list[Outcome]:
        if not hosts:
            return []
        try:
            outcomes = run_jobs(executor, self._jobs(func, hosts, name, *args, **kwargs))
        except BaseException:
            for host in hosts:
                log_failure(action_of(func), name, host, "It was interrupted, and perhaps not carried out")
            raise
        is_observed = get_plugin_manager().is_observed("resto_action_finished")
        for outcome in outcomes:
            if is_observed or outcome.error is not None or outcome.action == "delete":  # which may have been a trial
                self.report(outcome)
        return outcomes

    def _job(self, func: Callable[..., Any], host: str, name: str, *args: Any, **kwargs: Any) -> Job:
        [job] = self._jobs(func, (host,), name, *args, **kwargs)
        return job

    def _jobs(self, func: Callable[..., Any], hosts: Sequence[str], name: str, *args: Any, **kwargs: Any) -> list[Job]:
        identities = self._composed().identities
        return guarded_jobs(identities, action_of(func), func, hosts, name, *args, **kwargs)

    def _guarded_job(
        self, action: str, func: Callable[..., Any], host: str, name: str, *args: Any, **kwargs: Any
    ) -> Job:
        """Return a job that asks the breaker of its host first. No action of a storage gets by it in another way."""
        identified = self._composed().identities.get(host, host)
        return guarded_job(identified, action, func, host, name, *args, **kwargs)

    def report(self, outcome: Outcome) -> None:
        """Log a failure, and tell the observers."""
        error = outcome.error
        if error is not None:
            log_outcome(outcome, show_traceback=self.show_traceback, is_recorded=self.is_recorded())
            if apps.ready and not apps.is_installed("resto"):
                log_without_record()
        self.recognition.trials.keep(outcome.host)
        get_plugin_manager().notify(outcome)
        if isinstance(error, RestoError):
            forget_frames(error)
