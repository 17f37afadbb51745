"""What storages are composed of, as the options and settings have it that are in force."""

from collections.abc import Callable, Mapping
from functools import partial
from pickle import PicklingError
from typing import Any, Unpack
from urllib.parse import urljoin

from django.core.files.storage import Storage
from django.core.signals import setting_changed
from django.utils.encoding import filepath_to_uri

from resto.exceptions import ConfigurationError
from resto.executors import Executor
from resto.hosts import NO_HOSTS, Host, require_base_url
from resto.sensitive import sensitive_variables
from resto.settings import media_url
from resto.spelling import options_of, unknown_options
from resto.storage.composition import Composition, Options, StorageOptions, find_alias
from resto.storage.kinds import require_flag
from resto.storage.signing import Signing
from resto.transports import Transport


__all__ = ["ComposedStorage"]


class ComposedStorage(Storage):
    """A storage composed of hosts, a transport and an executor.

    Options that are not given fall back to settings, each time they are used. Nothing is sent by the constructor.
    """

    waits_for_hosts = True
    can_do_without_hosts = False

    _assigned_base_url: tuple[()] | tuple[str | None] = ()

    # Set by Django's `deconstructible` on the classes that are used.
    _constructor_args: tuple[tuple[Any, ...], dict[str, Any]]

    def __init__(self, hosts: Any = None, base_url: str | None = None, **options: Unpack[StorageOptions]) -> None:
        unknown = set(options) - set(StorageOptions.__annotations__)
        if unknown:
            problem, hint = unknown_options(type(self), unknown, options_of(type(self)))
            raise TypeError(f"{problem} ({hint})" if hint else problem)
        self._options = Options(hosts, options)
        self._base_url = base_url
        self._composition: Composition | None = None
        self._signing: tuple[Signing | None] | None = None  # None until it is known
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
        return tuple(host.address for host in self._configured_hosts())

    @property
    def fatal_exceptions(self) -> bool:
        """Whether an action that fails on a host raises `ReplicationError`."""
        return bool(self._options.value("FATAL_EXCEPTIONS"))

    @property
    def show_traceback(self) -> bool:
        """Whether failures are logged with a traceback."""
        return bool(self._options.value("SHOW_TRACEBACK"))

    @property
    def url_from(self) -> str:
        """Where `url` leads: ``"base_url"``, or ``"hosts"``."""
        return self._options.url_from()

    @property
    def base_url(self) -> str | None:
        """Where files are served from; ends with ``/``. What is assigned says so for `url` alone: hosts stay what they are."""
        if self._assigned_base_url:
            return self._assigned_base_url[0]
        configured: object = self._configured_base_url()
        if not isinstance(configured, str):
            require_base_url(configured)
        return _with_slash(str(configured))

    @base_url.setter
    def base_url(self, value: str | None) -> None:
        self._assigned_base_url = (value,)

    @property
    def transport(self) -> Transport:
        """The transport of the hosts that have neither a transport nor options of their own."""
        return self._composed().transport

    @property
    def executor(self) -> Executor:
        """Where and when actions run."""
        return (self._composition or self._composed()).executor

    def transport_for(self, host: str) -> Transport:
        """Return the transport that speaks to a host.

        Raises:
            ValueError: The storage has no such host.
        """
        transports = (self._composition or self._composed()).transports
        try:
            return transports[host]
        except KeyError:
            raise ValueError(f"{host!r} is not a host of this storage, which has {', '.join(transports)}") from None

    @property
    def alias(self) -> str | None:
        """The alias under which ``STORAGES`` has a storage like this one; None if it has none."""
        return self._find_alias()

    def host_identities(self) -> Mapping[str, str]:
        """Return what all spellings of each host have in common."""
        composition = self._composition
        return self._create_transports()[2] if composition is None else composition.identities

    def tidy_up(self) -> None:
        """Remove from hosts what uploads have left there that were interrupted in this process."""
        if self._composition is not None:
            for transport in {id(one): one for one in self._composition.transports.values()}.values():
                transport.tidy_up()

    def problems(self) -> list[ConfigurationError]:
        """Return what is wrong with the options, without sending anything."""
        problems: dict[str, ConfigurationError] = {}
        for examine in (
            *self._examinations(),
            self._options.timeout,
            self._configured_hosts,
            self._create_executor,
            self._create_transports,
            self.require_sound_options,
        ):
            try:
                examine()
            except ConfigurationError as problem:
                problems.setdefault(str(problem), problem)
        return list(problems.values())

    def _examinations(self) -> list[Callable[[], object]]:
        """Return what raises `ConfigurationError` for an option that is of no use, apart from hosts, transport and executor."""
        flags = ("fatal_exceptions", "show_traceback")
        return [
            *(partial(require_flag, flag, self._options.value(flag.upper())) for flag in flags),
            lambda: require_base_url(self._configured_base_url()),
            self._options.url_from,
            self._options.signing,
        ]

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
            self._composition = self._signing = None

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
        for examine in self._examinations():
            examine()
        transport, transports, identities = self._create_transports()
        self._configured_hosts()
        shown = {host: one.public_url(host) for host, one in transports.items()}
        urls = {host: url for host, url in shown.items() if url is not None}
        return Composition(transport, transports, identities, urls, self._create_executor(), self._find_alias())

    @sensitive_variables()  # as those of the options
    def _configured_hosts(self) -> tuple[Host, ...]:
        hosts = self._options.hosts()
        if not hosts and not self.can_do_without_hosts:
            raise ConfigurationError(
                f"hosts is {NO_HOSTS!r}, and {type(self).__name__} keeps files on hosts only",
                "Name hosts; or take HybridStorage, which has a master copy.",
                code="E002",
            )
        return hosts

    def _create_transports(self) -> tuple[Transport, dict[str, Transport], dict[str, str]]:
        return self._options.transports(self._configured_base_url())

    def _create_executor(self) -> Executor:
        return self._options.executor(type(self).__name__, self._find_alias(), waits=self.waits_for_hosts)

    def _find_alias(self) -> str | None:
        return find_alias(type(self), *self._constructor_args)

    def url(self, name: str | None, *, expire: float | None = None) -> str:
        """Return the URL where a file is served, signed if it is private.

        Args:
            name: The file's name.
            expire: Seconds for which the URL of a private file is good; another one is good for ever.

        Raises:
            ConfigurationError: Options say in a wrong way how to sign it.
            ValueError: There is no URL; or it is not signed, or not for so long.
        """
        base_url, signing = self.base_url, self._signing_in_force()
        if base_url is None:
            raise ValueError("This file is not accessible via a URL.")
        if expire is not None and signing is None:
            raise ValueError("URLs that expire are those of storages with the option 'sign'.")
        url = urljoin(self._url_of_host(name) or base_url, (filepath_to_uri(name) or "").lstrip("/"))
        return url if signing is None or not name or not signing.covers(name) else signing.signed(url, expire)

    def _url_of_host(self, name: str | None) -> str | None:
        """Return the URL of a host that has a file, if there is one to lead to; it ends with ``/``.

        Args:
            name: The file's name.
        """
        return None

    def _signing_in_force(self) -> Signing | None:
        if self._signing is None:
            self._signing = (self._options.signing(),)
        return self._signing[0]


def _with_slash(url: str) -> str:
    return url if url.endswith("/") else url + "/"
