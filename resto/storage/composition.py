"""What the options of a storage amount to: a transport for each host, and an executor."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import permutations
from os import PathLike
from pathlib import PurePath
from typing import Any, TypedDict

from django.utils.module_loading import import_string

from resto.exceptions import ConfigurationError
from resto.executors import Executor
from resto.hosts import Host, parse_hosts, parse_timeout, stand_in
from resto.offers import HANDING_OVER
from resto.plugins import get_plugin_manager, identity
from resto.sensitive import sensitive_variables
from resto.settings import get_setting, remembered, storage_settings
from resto.storage.signing import Signing, signing_of
from resto.transports import Transport


__all__ = ["Composition", "Options", "StorageOptions", "are_nested", "find_alias", "imported_backend", "require_apart"]


# Options of a transport by which it proves what it is, or a host does: a machine where tests are run need not have such files.
_OF_THE_HOST_ITSELF = frozenset({"auth", "auth_scheme", "ca_bundle", "client_cert", "session"})


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
        url_from: ``"base_url"``, or ``"hosts"``: a host that has the file.
        sign: How URLs of private files are signed: ``"nginx"``, ``"lighttpd"``, or the dotted path of a function.
        sign_options: With which secret, which files, and for how long.
    """

    fatal_exceptions: bool | None
    show_traceback: bool | None
    timeout: float | None
    transport: str | type[Transport] | None
    transport_options: Mapping[str, Any] | None
    executor: str | type[Executor] | None
    executor_options: Mapping[str, Any] | None
    url_from: str | None
    sign: str | None
    sign_options: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Composition:
    """What a storage is made of.

    Attributes:
        transport: Of the hosts that have neither a transport nor options of their own.
        transports: Of each host, in the order of the settings.
        identities: What all spellings of each host have in common.
        urls: Below which visitors find what each host has, of those that show it.
        executor: Where and when actions run.
        alias: Under which ``STORAGES`` has a storage like this one; None if it has none.
    """

    transport: Transport
    transports: Mapping[str, Transport]
    identities: Mapping[str, str]
    urls: Mapping[str, str]
    executor: Executor
    alias: str | None


class Options:
    """The options of one storage, as they are in force, and the parts that they amount to.

    Args:
        hosts: As the storage was given them.
        given: The other options that it was given.
    """

    def __init__(self, hosts: Any, given: Mapping[str, Any]) -> None:
        self._given = {name.upper(): value for name, value in given.items()} | {"MEDIA_HOSTS": hosts}

    def value(self, name: str) -> Any:
        """Return what an option is, or the setting that it falls back to.

        Args:
            name: In capitals, as that of the setting.
        """
        value = self._given.get(name)
        return get_setting(name) if value is None else value

    def timeout(self) -> float:
        """Return how many seconds a host may stay silent."""
        return parse_timeout(self.value("TIMEOUT"))

    @sensitive_variables()  # options may hold a credential, and so may an address that is refused
    def hosts(self) -> tuple[Host, ...]:
        """Return the hosts, with their own options."""
        return parse_hosts(self.value("MEDIA_HOSTS"))

    @sensitive_variables()
    def transports(self, base_url: str) -> tuple[Transport, dict[str, Transport], dict[str, str]]:
        """Return the transport of hosts that have nothing of their own, that of each host, and what identifies each host.

        Args:
            base_url: Where files are served from.
        """
        common = self._transport(base_url, {})
        transports: dict[str, Transport] = {}
        known: dict[str, str] = {}
        for host in self.hosts():
            transport = self._transport_of(host, base_url) if host.options else common
            identified = identity(transport, host.address)
            if identified in known:
                problem = f"hosts {known[identified]!r} and {host.address!r} are the same"
                raise ConfigurationError(problem, "List each host once.", code="E004")
            known[identified] = host.address
            transports[host.address] = transport
        _require_no_nesting(known)
        return common, transports, {address: identified for identified, address in known.items()}

    @sensitive_variables()
    def _transport_of(self, host: Host, base_url: str) -> Transport:
        try:
            return self._transport(base_url, dict(host.options))
        except ConfigurationError as error:
            problem = f"host {host.address!r}: {error.problem}"
            raise ConfigurationError(problem, error.hint, error.code) from error.__cause__

    def _transport(self, base_url: str, host_options: dict[str, Any]) -> Transport:
        """Return a transport; the options of the storage's own are none of another one's.

        Args:
            base_url: Where files are served from.
            host_options: Those of a host, among them ``transport`` and ``transport_options``.
        """
        options = _mapping(self.value("TRANSPORT_OPTIONS"), "transport_options")
        plugins, choice = get_plugin_manager(), self.value("TRANSPORT")
        found = plugins.transport(choice)  # that there is none is told first; a wrong timeout by another examination
        own = host_options.pop("transport", None)
        if own is not None:
            is_other, choice = plugins.transport(own) is not found, own
            found, options = plugins.transport(own), {} if is_other else options
        options |= _mapping(host_options.pop("transport_options", {}), "transport_options") | host_options
        if stand_in() is not None:
            choice, options = _in_place_of(found, choice, options)
        options["timeout"] = parse_timeout(options.get("timeout", self.value("TIMEOUT")))
        return plugins.create_transport(choice, base_url, **options)

    def url_from(self) -> str:
        """Return where URLs lead.

        Raises:
            ConfigurationError: It is neither of the two.
        """
        value = self.value("URL_FROM")
        if value not in ("base_url", "hosts"):
            problem = f"url_from is {value!r}"
            raise ConfigurationError(problem, "It is 'base_url' or 'hosts'.", "E031")
        return str(value)

    @sensitive_variables()  # the name of a secret may be one itself
    def signing(self) -> Signing | None:
        """Return what signs URLs; None if they are not signed."""
        return signing_of(self.value("SIGN"), self.value("SIGN_OPTIONS"))

    @sensitive_variables()
    def executor(self, storage: str, alias: str | None, *, waits: bool) -> Executor:
        """Return the executor, if it suits the storage.

        Args:
            storage: The name of its class.
            alias: Under which ``STORAGES`` has such a storage; None if it has none.
            waits: Whether it waits for its hosts.
        """
        options = _mapping(self.value("EXECUTOR_OPTIONS"), "executor_options")
        plugins, choice = get_plugin_manager(), self.value("EXECUTOR")
        if waits and isinstance(choice, str) and choice in HANDING_OVER:  # whether or not its package is installed
            raise _not_waiting(storage, f"the executor {choice!r}")
        if stand_in() is not None and plugins.executor(choice).needs_alias:
            choice, options = "thread", {}  # workers are other processes, and would go to the hosts themselves
        executor = plugins.create_executor(choice, **options)
        if waits and not executor.supports_run:
            raise _not_waiting(storage, type(executor).__name__)
        if executor.needs_alias and alias is None:
            raise ConfigurationError(
                f"{type(executor).__name__} works for storages in STORAGES only: workers find them by alias",
                "Add this storage to STORAGES, and use storages[alias].",
                code="E011",
            )
        return executor


def find_alias(storage_class: type, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str | None:
    """Return the alias in ``STORAGES`` that stands for a storage like this one; None if there is none.

    Args:
        storage_class: Of the storage.
        args: That it was constructed with.
        kwargs: That it was constructed with.
    """
    if args:
        return None
    # By its options, not by identity: two threads that ask for an alias at once get two storages.
    options = _without_tuples(kwargs)
    known = _options_by_place() if storage_settings() else {}
    for alias, of_alias, backend in known.get(_place(options), ()):
        if of_alias == options and imported_backend(backend) is storage_class:
            return alias
    return None


@remembered
def _options_by_place() -> dict[str, list[tuple[str, Any, Any]]]:
    """Return the options in ``STORAGES``, each with its alias and ``BACKEND``, by what tells storages from each other as a rule."""
    known: dict[str, list[tuple[str, Any, Any]]] = {}
    for alias, parameters in storage_settings().items():
        options = _without_tuples(parameters.get("OPTIONS") or {})
        known.setdefault(_place(options), []).append((alias, options, parameters.get("BACKEND")))
    return known


def _place(options: Any) -> str:
    """Return the same text for the same options; without looking into what is lazy, which is perhaps not to be known yet."""
    places = (options.get("location"), options.get("hosts")) if isinstance(options, dict) else ()
    return "".join(_texts(places))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, list | tuple):
        yield "["
        for item in value:
            yield from _texts(item)
    elif isinstance(value, dict):
        yield from _texts(value.get("url"))
    elif type(value) is str:
        yield f"{value}\n"


def imported_backend(backend: Any) -> Any:
    """Return what a ``BACKEND`` names; None if it is no path, or cannot be imported, of which Django says what is wrong."""
    try:
        return import_string(backend) if isinstance(backend, str) else None
    except Exception:  # noqa: BLE001 - whatever the module raises
        return None


def require_apart(location: str | PathLike[str], transports: Mapping[str, Transport]) -> None:
    """Raise if a host is the directory of the master copy, or lies in it, or around it: files would be copied for ever.

    Args:
        location: The path of the master copy.
        transports: Of each host.

    Raises:
        ConfigurationError: One does.
    """
    place = PurePath(os.path.abspath(location))  # noqa: PTH100 - as it is configured
    # That of the master copy was looked at. Disks of hosts may hang: see `resto.storage.host_looks` for where links lead to there.
    places = {place, PurePath(os.path.realpath(location))}
    for host, transport in transports.items():
        path = transport.local_path(host)
        if path is not None and any(are_nested(one, path) for one in places):
            problem = f"the host {host!r} and the master copy, {place}, lie in each other, or are the same"
            raise ConfigurationError(problem, "Give the host a directory elsewhere.", "E003")


def are_nested(one: str | PathLike[str], other: str | PathLike[str]) -> bool:
    """Return whether one path leads into the other one, or both are the same, by their spelling.

    Args:
        one: An absolute path.
        other: An absolute path.
    """
    return PurePath(one).is_relative_to(other) or PurePath(other).is_relative_to(one)


def _without_tuples(value: Any) -> Any:
    """Return options as they are once they have been through JSON, as those of a storage that a task makes again."""
    if isinstance(value, Mapping):
        return {name: _without_tuples(item) for name, item in value.items()}
    return [_without_tuples(item) for item in value] if isinstance(value, list | tuple) else value


def _in_place_of(
    transport: type[Transport], choice: str | type[Transport], options: dict[str, Any]
) -> tuple[str | type[Transport], dict[str, Any]]:
    """Return the transport, and its options, for what a test has put in place of a host, where nobody asks for credentials."""
    from resto.transports.http import HttpTransport  # no site imports it for this

    if not issubclass(transport, HttpTransport):
        return "webdav", {name: value for name, value in options.items() if name == "timeout"}
    return choice, {name: value for name, value in options.items() if name not in _OF_THE_HOST_ITSELF}


def _not_waiting(storage: str, executor: str) -> ConfigurationError:
    problem = f"{storage} waits for its hosts, which {executor} cannot do"
    return ConfigurationError(problem, "Use AsyncStorage, or the executor 'thread'.", code="E009")


def _require_no_nesting(known: Mapping[str, str]) -> None:
    """Raise if a host lies in another one, for which its files would be extra ones, and so removed by a comparison."""
    for outer, inner in permutations(known, 2):
        if inner.startswith(f"{outer.rstrip('/')}/"):
            problem = f"host {known[inner]!r} lies in host {known[outer]!r}, which would take its files for its own"
            raise ConfigurationError(problem, "Give each host a folder of its own, inside of no other.", code="E004")


def _mapping(options: Any, option: str) -> dict[str, Any]:
    if not isinstance(options, Mapping):
        raise ConfigurationError(f"{option} must be a mapping, not {type(options).__name__}", code="E008")
    for name in options:
        if not isinstance(name, str):
            raise ConfigurationError(f"{option} has a name of type {type(name).__name__}, not a string", code="E008")
    return dict(options)
