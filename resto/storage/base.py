"""What all storages of resto have in common: options, hosts, and the execution of actions on them."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pickle import PicklingError
from typing import Any, TypedDict, TypeVar, Unpack, cast
from urllib.parse import urljoin

from django.core.files.storage import Storage, storages
from django.core.signals import setting_changed
from django.utils.encoding import filepath_to_uri
from django.utils.module_loading import import_string

from resto.courses import Course, course_of, finish, has_course
from resto.exceptions import (
    ConfigurationError,
    HostUnavailableError,
    RemoteFileNotFoundError,
    ReplicationError,
    TransportError,
)
from resto.executors import Executor, Job
from resto.health import Breaker, find_breaker
from resto.hosts import Host, parse_hosts, parse_timeout
from resto.outcomes import Outcome
from resto.plugins import get_plugin_manager, identity
from resto.record import leases as pending
from resto.record.changes import call_holding, course_holding, current_lease
from resto.record.leases import Lease, PendingName
from resto.settings import get_setting, media_url, storage_settings
from resto.transports import Transport


__all__ = [
    "ReplicatedStorage",
    "StorageOptions",
    "failed_by_executor",
    "find_host",
    "hosts_of",
    "is_replicated",
    "removed",
    "replicated_aliases",
    "replicated_storages",
    "uploaded",
]

logger = logging.getLogger("resto")

_LOG_MESSAGES = {
    "download": "Failed to download %s from %s. %s",
    "exists": "Failed to check if %s exists on %s. %s",
    "size": "Failed to get the size of %s from %s. %s",
    "listdir": "Failed to list %s on %s. %s",
    "modified_time": "Failed to get the modification time of %s from %s. %s",
    "repair": "Failed to repair %s on %s. %s",
}

# Actions for which it is no failure that a host does not have the file.
_READS = frozenset({"download", "exists", "size", "listdir", "modified_time"})

# What an action is called in messages, where its method has another name.
_ACTIONS = {"_exists": "exists", "update": "upload", "remove": "delete", "withdraw": "delete"}


@dataclass(frozen=True, slots=True)
class _Composition:
    """What the options of a storage amount to."""

    transport: Transport
    transports: Mapping[str, Transport]
    identities: Mapping[str, str]
    executor: Executor
    alias: str | None


T = TypeVar("T")


class StorageOptions(TypedDict, total=False):
    """The keyword-only options of all storages; None, or none given, falls back to the setting ``RESTO_<NAME>``.

    Attributes:
        fatal_exceptions: Whether an action that fails on a host raises.
        show_traceback: Whether failures are logged with a traceback.
        timeout: Seconds that a host may stay silent: while connecting, and at each read or write.
        transport: A plugin's name, a dotted path, or a class.
        transport_options: Keyword arguments of the transport.
        executor: A plugin's name, a dotted path, or a class.
        executor_options: Keyword arguments of the executor.
    """

    fatal_exceptions: bool | None
    show_traceback: bool | None
    timeout: float | None
    transport: str | type[Transport] | None
    transport_options: Mapping[str, Any] | None
    executor: str | type[Executor] | None
    executor_options: Mapping[str, Any] | None


class ReplicatedStorage(Storage):
    """A storage composed of hosts, a transport and an executor.

    Options that are not given fall back to settings, each time they are used. Nothing is sent by the constructor.
    """

    waits_for_hosts = True

    # Set by Django's `deconstructible` on the classes that are used.
    _constructor_args: tuple[tuple[Any, ...], dict[str, Any]]

    def __init__(
        self,
        hosts: Any = None,
        base_url: str | None = None,
        **options: Unpack[StorageOptions],
    ) -> None:
        unknown = sorted(set(options) - set(StorageOptions.__annotations__))
        if unknown:
            known = ", ".join(StorageOptions.__annotations__)
            raise TypeError(
                f"{type(self).__name__} has no option {', '.join(unknown)}; it has hosts, base_url, {known}"
            )
        self._options = {name.upper(): value for name, value in options.items()} | {"MEDIA_HOSTS": hosts}
        self._base_url = base_url
        self._composition: _Composition | None = None
        setting_changed.connect(self._forget_composition)

    def __reduce__(self) -> tuple[Any, ...]:
        if self.has_literal_credentials():
            # Whoever can read a task queue or a cache would read it.
            raise PicklingError(
                f"the options of this {type(self).__name__} hold a credential; put it into RESTO_CREDENTIALS"
            )
        args, kwargs = self._constructor_args
        return _rebuild, (type(self), args, kwargs)

    # Options, as they are in force.

    @property
    def hosts(self) -> tuple[str, ...]:
        """The addresses of the hosts."""
        composition = self._composition
        if composition is not None:
            return tuple(composition.transports)
        return tuple(host.address for host in self._parsed_hosts())

    @property
    def fatal_exceptions(self) -> bool:
        """Whether an action that fails on a host raises `ReplicationError`."""
        return bool(self._option("FATAL_EXCEPTIONS"))

    @property
    def show_traceback(self) -> bool:
        """Whether failures are logged with a traceback."""
        return bool(self._option("SHOW_TRACEBACK"))

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
            self._timeout,
            self._parsed_hosts,
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

    def _configured_base_url(self) -> str:
        return media_url() if self._base_url is None else self._base_url

    def _option(self, name: str) -> Any:
        value = self._options.get(name)
        return get_setting(name) if value is None else value

    def _timeout(self) -> float:
        return parse_timeout(self._option("TIMEOUT"))

    def _parsed_hosts(self) -> tuple[Host, ...]:
        return parse_hosts(self._option("MEDIA_HOSTS"))

    def _forget_composition(self, *, setting: str, **kwargs: Any) -> None:
        if setting.startswith("RESTO_") or setting in ("MEDIA_ROOT", "MEDIA_URL", "STORAGES"):
            self._composition = None

    def require_sound_options(self) -> None:
        """Raise `ConfigurationError` before anything is written."""
        self._composed()

    def _composed(self) -> _Composition:
        composition = self._composition
        if composition is None:
            # Two threads may do so at the same time, with the same result. A lock could be held at a fork.
            composition = self._composition = self._compose()
        return composition

    def _compose(self) -> _Composition:
        transport, transports, identities = self._create_transports()
        return _Composition(transport, transports, identities, self._create_executor(), self._find_alias())

    def _find_alias(self) -> str | None:
        """Return the alias in ``STORAGES`` that stands for a storage like this one."""
        args, kwargs = self._constructor_args
        options = _without_tuples(kwargs)
        for alias, parameters in storage_settings().items():
            # By its options, not by identity: two threads that ask for an alias at once get two storages.
            same = isinstance(parameters, Mapping) and _without_tuples(parameters.get("OPTIONS") or {}) == options
            if same and not args and _imported(parameters.get("BACKEND")) is type(self):
                return alias
        return None

    def _create_transports(self) -> tuple[Transport, dict[str, Transport], dict[str, str]]:
        common = self._create_transport({})
        transports: dict[str, Transport] = {}
        known: dict[str, str] = {}
        for host in self._parsed_hosts():
            transport = self._create_transport(dict(host.options)) if host.options else common
            identified = identity(transport, host.address)
            if identified in known:
                problem = f"hosts {known[identified]!r} and {host.address!r} are the same"
                raise ConfigurationError(problem, "List each host once.", code="E004")
            known[identified] = host.address
            transports[host.address] = transport
        return common, transports, {address: identified for identified, address in known.items()}

    def _create_transport(self, host_options: dict[str, Any]) -> Transport:
        options = _mapping(self._option("TRANSPORT_OPTIONS"), "transport_options") | host_options
        plugins, choice = get_plugin_manager(), self._option("TRANSPORT")
        plugins.transport(choice)  # that there is none is told first, and a wrong timeout by another examination
        options["timeout"] = parse_timeout(options.get("timeout", self._option("TIMEOUT")))
        return plugins.create_transport(choice, self._configured_base_url(), **options)

    def _create_executor(self) -> Executor:
        options = _mapping(self._option("EXECUTOR_OPTIONS"), "executor_options")
        executor = get_plugin_manager().create_executor(self._option("EXECUTOR"), **options)
        if self.waits_for_hosts and not executor.supports_run:
            raise ConfigurationError(
                f"{type(self).__name__} waits for its hosts, which {type(executor).__name__} cannot do",
                "Use AsyncStorage, or the executor 'thread'.",
                code="E009",
            )
        if executor.needs_alias and self._find_alias() is None:
            raise ConfigurationError(
                f"{type(executor).__name__} works for storages in STORAGES only: workers find them by alias",
                "Add this storage to STORAGES, and use storages[alias].",
                code="E011",
            )
        return executor

    def url(self, name: str | None) -> str:
        """Return the URL where a file is served."""
        return urljoin(self.base_url, (filepath_to_uri(name) or "").lstrip("/"))

    # The durable record.

    def record_alias(self) -> str | None:
        """Return the alias under which changes are recorded; None where nothing is recorded."""
        alias = self._composed().alias
        return alias if alias is not None and pending.is_active() else None

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

    def _run_repairs(
        self, jobs: Iterable[Job], leases: dict[tuple[str, str], Lease], at_once: int
    ) -> Iterator[Outcome]:
        """Run many repairs; yield each outcome, and settle the leases that were kept for them, some at a time."""
        done: list[tuple[Lease, Outcome]] = []
        try:
            for outcome in get_plugin_manager().executor("thread")().run_each(jobs):
                self.report(outcome)
                lease = leases.pop((outcome.host, outcome.name), None)
                if lease is not None:
                    done.append((lease, outcome))
                if len(done) >= at_once:
                    pending.settle_leases(done)
                    done.clear()
                yield outcome
        finally:
            pending.settle_leases(done)

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
        if self._has_failed(_action(func), outcomes):
            raise ReplicationError(_action(func), name, outcomes)
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
            outcomes = _outcomes_of(executor, [self._job(func, host, name, *args, **kwargs) for host in hosts])
        except BaseException:
            for host in hosts:
                self._log(_action(func), name, host, "It was interrupted, and perhaps not carried out")
            raise
        for outcome in outcomes:
            self.report(outcome)
        return outcomes

    def _job(self, func: Callable[..., Any], host: str, name: str, *args: Any, **kwargs: Any) -> Job:
        return self._leased_job(self._guarded_job(_action(func), func, host, name, *args, **kwargs))

    def _leased_job(self, job: Job) -> Job:
        """Return a job so that it may write under the lease that is held now, wherever and whenever it runs."""
        lease = current_lease()
        if lease is not None:
            job.call = partial(call_holding, lease, job.call)
            job.course = job.course and partial(course_holding, lease, job.course)
        return job

    def _guarded_job(
        self, action: str, func: Callable[..., Any], host: str, name: str, *args: Any, **kwargs: Any
    ) -> Job:
        """Return a job that asks the breaker of its host first. No action of a storage gets by it in another way."""

        def course() -> "Course[Any]":  # quoted: it would be evaluated for each action
            return _guarded(self._breaker(host), action, host, name, course_of(func, host, name, *args, **kwargs))

        return Job(action, host, name, lambda: finish(course()), course=course if has_course(func) else None)

    def _breaker(self, host: str) -> Breaker:
        return find_breaker(self._composed().identities.get(host, host))

    def ask_hosts(self, name: str) -> list[Outcome]:
        """Ask every host whether it has a file, whatever its breaker says; failures are not logged.

        Args:
            name: The file's name.

        Returns:
            What each host said, in the order of the hosts.
        """
        transports = self._composed().transports
        jobs = [
            Job("exists", host, name, partial(transport.exists, host, name)) for host, transport in transports.items()
        ]
        outcomes = get_plugin_manager().executor("thread")().run(jobs)
        for outcome in outcomes:
            get_plugin_manager().notify(outcome)
        return outcomes

    def report(self, outcome: Outcome) -> None:
        """Log a failure, and tell the observers."""
        error = outcome.error
        if error is not None and not (outcome.action in _READS and isinstance(error, RemoteFileNotFoundError)):
            problem = error.problem if isinstance(error, TransportError) else _described(error)
            self._log(outcome.action, outcome.name, outcome.host, problem, error if self.show_traceback else None)
        get_plugin_manager().notify(outcome)
        if isinstance(error, TransportError):
            _forget_frames(error)

    def _log(self, action: str, name: str, host: str, problem: str, error: Exception | None = None) -> None:
        message = _LOG_MESSAGES.get(action, f"Failed to {action} %s on %s. %s")
        begins_with_host = "://" in problem.partition(" ")[0]
        sentence = problem if begins_with_host else f"{problem[:1].upper()}{problem[1:]}"
        sentence += "" if problem.endswith(("?", ".")) else "."
        logger.error(message, name or "/", host, sentence, exc_info=error)


def _guarded(breaker: Breaker, action: str, host: str, name: str, course: Course[T]) -> Course[T]:
    """Let a course happen only if the breaker of the host does, and tell the breaker how it went."""
    turn = breaker.admit(host, name, action)
    try:
        value = yield from course
    except HostUnavailableError as error:
        breaker.failed(turn, error.problem)
        raise
    except TransportError:
        breaker.reached()  # that was an answer, if a bad one
        raise
    except BaseException:
        # A file of this machine that cannot be read, an interruption, or nothing was done: it tells nothing about the host.
        breaker.abandoned(turn)
        raise
    breaker.reached()
    return value


def _forget_frames(error: BaseException | None) -> None:
    """Let go of what was called when a host failed, which holds the content of an upload, and whoever has the outcome.

    These would be in memory until the next cyclic garbage collection. What such an error says needs no traceback.
    """
    if error is not None and error.__traceback__ is not None:
        error.__traceback__ = None
        _forget_frames(error.__cause__)
        _forget_frames(error.__context__)


def _outcomes_of(executor: Executor, jobs: list[Job]) -> list[Outcome]:
    """Return one outcome for each job, also if the executor does not keep its promise."""
    try:
        outcomes: Any = executor.run(jobs)
    except Exception as error:  # noqa: BLE001 - an executor may be anybody's
        return failed_by_executor(executor, jobs, f"raised {_described(error)}")
    if isinstance(outcomes, list) and len(outcomes) == len(jobs) and all(isinstance(one, Outcome) for one in outcomes):
        return outcomes
    return failed_by_executor(executor, jobs, "did not return a list with one outcome for each job")


def failed_by_executor(executor: Executor, jobs: Sequence[Job], what: str) -> list[Outcome]:
    """Return the outcomes of jobs of which nobody knows what has become, as the executor has failed.

    Args:
        executor: Which one.
        jobs: What it was given.
        what: What it has done, a sentence fragment.
    """
    problem = f"the executor {type(executor).__name__} {what}"
    return [job.fail(TransportError(job.host, job.name, job.action, problem)) for job in jobs]


def is_replicated(backend: Any) -> bool:
    """Return whether a ``BACKEND`` of ``STORAGES`` is a storage of resto, without making one."""
    found = _imported(backend)
    return isinstance(found, type) and issubclass(found, ReplicatedStorage)


def replicated_storages(aliases: Sequence[str] = ()) -> "dict[str, ReplicatedStorage]":
    """Return the storages of resto in ``STORAGES``, by their aliases.

    Args:
        aliases: Only these; all if there are none.
    """
    return {alias: cast("ReplicatedStorage", storages[alias]) for alias in replicated_aliases(aliases)}


def replicated_aliases(aliases: Sequence[str] = ()) -> list[str]:
    """Return the aliases of the storages of resto in ``STORAGES``, without making one.

    Args:
        aliases: Only these; all if there are none.
    """
    return [
        alias
        for alias, parameters in storage_settings().items()
        if is_replicated(parameters.get("BACKEND")) and (not aliases or alias in aliases)
    ]


def hosts_of(alias: str) -> tuple[str, ...]:
    """Return the hosts of a storage in ``STORAGES``; none if it cannot be used, of which ``manage.py check`` says why.

    Args:
        alias: Of a storage of resto.
    """
    try:
        return cast("ReplicatedStorage", storages[alias]).hosts
    except Exception:  # noqa: BLE001 - whatever its options or a plugin raise: others have work to be done
        return ()


def find_host(storage: ReplicatedStorage, spelling: str) -> str | None:
    """Return the host of a storage that an address means, however it is spelled; None if it has no such host.

    Args:
        storage: Which one.
        spelling: The address.
    """
    for host in storage.hosts:
        transport = storage.transport_for(host)
        with suppress(ConfigurationError):  # this one cannot reach such a host
            if identity(transport, spelling) == identity(transport, host):
                return host
    return None


def _imported(backend: Any) -> Any:
    """Return the class that a ``BACKEND`` names; None if it cannot be imported, of which Django says what is wrong."""
    try:
        return import_string(backend) if isinstance(backend, str) else backend
    except Exception:  # noqa: BLE001 - whatever the module raises
        return None


def uploaded(host: str, name: str, existed: bool) -> bool:  # noqa: FBT001 - what a transport told
    """Return what an upload has told, and log what it should not have."""
    if existed:
        logger.warning("PUT on existing file %s on %s.", name, host)
    return existed


def removed(host: str, name: str, existed: bool) -> bool:  # noqa: FBT001 - what a transport told
    """Return what a deletion has told, and log what it should not have."""
    if not existed:
        logger.warning("DELETE on missing file %s on %s.", name, host)
    return existed


def _described(error: Exception) -> str:
    """Return the text of an error, which may not say enough without its class."""
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _action(func: Callable[..., Any]) -> str:
    name: str = func.__name__
    return _ACTIONS.get(name, name)


def _rebuild(
    storage_class: type[ReplicatedStorage], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> ReplicatedStorage:
    return storage_class(*args, **kwargs)


def _without_tuples(value: Any) -> Any:
    """Return options as they are once they have been through JSON, as those of a storage that a task makes again."""
    if isinstance(value, Mapping):
        return {name: _without_tuples(item) for name, item in value.items()}
    return [_without_tuples(item) for item in value] if isinstance(value, list | tuple) else value


def _mapping(options: Any, option: str) -> dict[str, Any]:
    if not isinstance(options, Mapping):
        raise ConfigurationError(f"{option} must be a mapping, not {type(options).__name__}", code="E008")
    return dict(options)
