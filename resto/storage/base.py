"""What all storages of resto have in common: options, hosts, and the execution of actions on them."""

from collections.abc import Callable, Sequence
from functools import partial
from pickle import PicklingError
from typing import Any, Unpack
from urllib.parse import urljoin

from django.core.files.storage import Storage
from django.core.signals import setting_changed
from django.utils.encoding import filepath_to_uri

from resto.exceptions import ConfigurationError, ReplicationError, TransportError
from resto.executors import Executor, Job
from resto.outcomes import Outcome
from resto.plugins import get_plugin_manager
from resto.record import database
from resto.record.claims import PendingName
from resto.record.leases import Lease
from resto.settings import media_url
from resto.storage.composition import Composition, Options, StorageOptions, find_alias
from resto.storage.jobs import action_of, guarded_job, leased_job, run_jobs
from resto.storage.recognition import Recognition, owner_in_record
from resto.storage.reporting import forget_frames, log_failure, log_outcome, log_unrecorded
from resto.transports import Transport


__all__ = ["ReplicatedStorage"]


class ReplicatedStorage(Storage):
    """A storage composed of hosts, a transport and an executor.

    Options that are not given fall back to settings, each time they are used. Nothing is sent by the constructor.

    Attributes:
        recognition: Whether hosts are what they were.
    """

    waits_for_hosts = True

    # Set by Django's `deconstructible` on the classes that are used.
    _constructor_args: tuple[tuple[Any, ...], dict[str, Any]]

    def __init__(self, hosts: Any = None, base_url: str | None = None, **options: Unpack[StorageOptions]) -> None:
        unknown = sorted(set(options) - set(StorageOptions.__annotations__))
        if unknown:
            known = ", ".join(StorageOptions.__annotations__)
            raise TypeError(
                f"{type(self).__name__} has no option {', '.join(unknown)}; it has hosts, base_url, {known}"
            )
        self._options = Options(hosts, options)
        self._base_url = base_url
        self._composition: Composition | None = None
        self.recognition = Recognition(self, self._owner_of_hosts, self._directory)
        setting_changed.connect(self._forget_composition)

    def __reduce__(self) -> tuple[Any, ...]:
        if self.has_literal_credentials():
            # Whoever can read a task queue or a cache would read it.
            raise PicklingError(
                f"the options of this {type(self).__name__} hold a credential; put it into RESTO_SECRETS"
            )
        args, kwargs = self._constructor_args
        # Of resto it names the class alone, so that other versions can read it, too.
        return partial(type(self), *args, **kwargs), ()

    # Options, as they are in force.

    @property
    def hosts(self) -> tuple[str, ...]:
        """The addresses of the hosts."""
        composition = self._composition
        if composition is not None:
            return tuple(composition.transports)
        return tuple(host.address for host in self._options.hosts())

    @property
    def fatal_exceptions(self) -> bool:
        """Whether an action that fails on a host raises `ReplicationError`."""
        return bool(self._options.value("FATAL_EXCEPTIONS"))

    @property
    def show_traceback(self) -> bool:
        """Whether failures are logged with a traceback."""
        return bool(self._options.value("SHOW_TRACEBACK"))

    @property
    def base_url(self) -> str:
        """Where files are served from; ends with ``/``."""
        base_url = str(self._configured_base_url())
        return base_url if base_url.endswith("/") else base_url + "/"

    @property
    def transport(self) -> Transport:
        """The transport of the hosts that have no options of their own."""
        return self._composed().transport

    @property
    def executor(self) -> Executor:
        """Where and when actions run."""
        return self._composed().executor

    def transport_for(self, host: str) -> Transport:
        """Return the transport that speaks to a host.

        Raises:
            ValueError: The storage has no such host.
        """
        transports = self._composed().transports
        try:
            return transports[host]
        except KeyError:
            raise ValueError(f"{host!r} is not a host of this storage, which has {', '.join(transports)}") from None

    def problems(self) -> list[ConfigurationError]:
        """Return what is wrong with the options, without sending anything."""
        problems: dict[str, ConfigurationError] = {}
        for examine in (
            self._options.timeout,
            self._options.hosts,
            self._create_executor,
            self._create_transports,
            self.require_sound_options,
        ):
            try:
                examine()
            except ConfigurationError as problem:
                problems.setdefault(str(problem), problem)
        return list(problems.values())

    def has_literal_credentials(self) -> bool:
        """Return whether the options hold a credential instead of the name of one."""
        composed = self._composed()
        parts: tuple[Executor | Transport, ...] = (composed.executor, composed.transport, *composed.transports.values())
        return any(part.has_literal_credentials for part in parts)

    def exposed_hosts(self) -> list[str]:
        """Return the hosts to which requests show the network a secret, with which it can send others."""
        return [host for host, transport in self._composed().transports.items() if transport.exposes_credentials(host)]

    def _configured_base_url(self) -> str:
        return media_url() if self._base_url is None else self._base_url

    def _forget_composition(self, *, setting: str, **kwargs: Any) -> None:
        if setting.startswith("RESTO_") or setting in ("MEDIA_ROOT", "MEDIA_URL", "STORAGES"):
            self._composition = None
            self.recognition.forget()

    def _owner_of_hosts(self) -> str:
        """Return whose the hosts are: an id; empty if there is none yet."""
        return owner_in_record(self)

    def _directory(self) -> str | None:
        """Return the path of the master copy; None if there is none."""
        return None

    def require_sound_options(self) -> None:
        """Raise `ConfigurationError` before anything is written."""
        self._composed()

    def _composed(self) -> Composition:
        composition = self._composition
        if composition is None:
            # Two threads may do so at the same time, with the same result. A lock could be held at a fork.
            composition = self._composition = self._compose()
        return composition

    def _compose(self) -> Composition:
        transport, transports, identities = self._create_transports()
        return Composition(transport, transports, identities, self._create_executor(), self._find_alias())

    def _create_transports(self) -> tuple[Transport, dict[str, Transport], dict[str, str]]:
        return self._options.transports(self._configured_base_url())

    def _create_executor(self) -> Executor:
        return self._options.executor(type(self).__name__, self._find_alias(), waits=self.waits_for_hosts)

    def _find_alias(self) -> str | None:
        return find_alias(type(self), *self._constructor_args)

    def url(self, name: str | None) -> str:
        """Return the URL where a file is served."""
        return urljoin(self.base_url, (filepath_to_uri(name) or "").lstrip("/"))

    # The durable record.

    def is_recorded(self) -> bool:
        """Return whether changes are recorded, as far as the settings say."""
        return self._composed().alias is not None and database.is_installed()

    def record_alias(self) -> str | None:
        """Return the alias under which changes are recorded; None where nothing is recorded."""
        alias = self._composed().alias
        return alias if alias is not None and database.is_active() else None

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

    def repair_jobs(self, claims: Sequence[PendingName]) -> list[Job]:
        """Return the jobs of `repair_job` for what a drain has claimed."""
        return [self.repair_job(one.host, one.name, one.lease, present=one.present) for one in claims]

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
        return not all(outcome.ok for outcome in outcomes) and self.fatal_exceptions

    def _run(
        self, func: Callable[..., Any], hosts: tuple[str, ...], name: str, *args: Any, **kwargs: Any
    ) -> list[Outcome]:
        return self._run_on(self.executor, func, hosts, name, *args, **kwargs)

    def _run_on(
        self, executor: Executor, func: Callable[..., Any], hosts: Sequence[str], name: str, *args: Any, **kwargs: Any
    ) -> list[Outcome]:
        try:
            outcomes = run_jobs(executor, [self._job(func, host, name, *args, **kwargs) for host in hosts])
        except BaseException:
            for host in hosts:
                log_failure(action_of(func), name, host, "It was interrupted, and perhaps not carried out")
            raise
        for outcome in outcomes:
            self.report(outcome)
        return outcomes

    def _job(self, func: Callable[..., Any], host: str, name: str, *args: Any, **kwargs: Any) -> Job:
        return leased_job(self._guarded_job(action_of(func), func, host, name, *args, **kwargs))

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
            log_outcome(outcome, show_traceback=self.show_traceback)
        get_plugin_manager().notify(outcome)
        if isinstance(error, TransportError):
            forget_frames(error)
