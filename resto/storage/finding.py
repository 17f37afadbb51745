"""What ``STORAGES`` has of resto."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, cast

from django.core.files.storage import storages
from django.utils.module_loading import import_string

from resto.exceptions import ConfigurationError
from resto.plugins import identity
from resto.settings import misshapen_storages, storage_settings
from resto.storage.base import ReplicatedStorage
from resto.storage.composed import ComposedStorage
from resto.storage.composition import imported_backend


__all__ = [
    "find_host",
    "has_no_hosts",
    "hosts_of",
    "is_replicated",
    "name_in_storages",
    "problem_of_backend",
    "problem_of_storage",
    "replicated_aliases",
    "replicated_storages",
    "unusable_backends",
]


def is_replicated(backend: Any) -> bool:
    """Return whether a ``BACKEND`` of ``STORAGES`` is a storage of resto, without making one."""
    found = imported_backend(backend)
    return isinstance(found, type) and issubclass(found, ReplicatedStorage) and not _is_base(found)


def _is_base(backend: Any) -> bool:
    """Tell whether a backend is one of the classes that storages of resto have in common; those that can be used can be deconstructed."""
    return isinstance(backend, type) and issubclass(backend, ComposedStorage) and not hasattr(backend, "deconstruct")


def replicated_storages(aliases: Sequence[str] = ()) -> dict[str, ReplicatedStorage]:
    """Return the storages of resto in ``STORAGES``, by their aliases.

    Args:
        aliases: Only these; all if there are none.

    Raises:
        ConfigurationError: One has options of which nothing can be made.
    """
    return {alias: _made(alias) for alias in replicated_aliases(aliases)}


def _made(alias: str) -> ReplicatedStorage:
    try:
        return cast("ReplicatedStorage", storages[alias])
    except ConfigurationError:
        raise
    except Exception as error:
        options = storage_settings()[alias].get("OPTIONS", {})
        if not isinstance(options, Mapping):
            problem = f"its OPTIONS are of type {type(options).__name__}, and must be a mapping"
            raise ConfigurationError(f"STORAGES[{alias!r}]: {problem}", code="E028") from error
        problem = str(error) if isinstance(error, TypeError) else repr(error)  # the first of options that there are not
        raise ConfigurationError(f"STORAGES[{alias!r}]: wrong options: {problem}", code="E001") from error


def replicated_aliases(aliases: Sequence[str] = ()) -> list[str]:
    """Return the aliases of the storages of resto in ``STORAGES``, without making one.

    Args:
        aliases: Only these; all if there are none.
    """
    return [
        alias
        for alias, parameters in storage_settings().items()
        if (not aliases or alias in aliases) and is_replicated(parameters.get("BACKEND"))
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


def has_no_hosts(alias: str) -> bool:
    """Return whether a storage in ``STORAGES`` has no hosts on purpose; False if it cannot be used.

    Args:
        alias: Of a storage of resto.
    """
    try:
        return not cast("ReplicatedStorage", storages[alias]).hosts
    except Exception:  # noqa: BLE001 - as in `hosts_of`
        return False


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


def unusable_backends(aliases: Sequence[str] = ()) -> dict[Any, str]:
    """Return what stands in ``STORAGES`` that no storage can be made of, so that nobody knows whose it is, and why.

    Args:
        aliases: Only these; all if there are none.

    Returns:
        Alias -> a sentence fragment. The alias is None if it is ``STORAGES`` itself.
    """
    found = misshapen_storages()
    for alias, parameters in storage_settings().items():
        backend = parameters.get("BACKEND")
        imported = imported_backend(backend)
        if not callable(imported) or _is_base(imported):
            found[alias] = problem_of_backend(backend)
    return {alias: problem for alias, problem in found.items() if not aliases or alias is None or alias in aliases}


def name_in_storages(alias: Any) -> str:
    """Return how messages call what stands in ``STORAGES`` under an alias, or ``STORAGES`` itself if that is None."""
    return "STORAGES" if alias is None else f"STORAGES[{alias!r}]"


def problem_of_backend(backend: Any) -> str:
    """Return why a ``BACKEND`` of ``STORAGES`` cannot be used, a sentence fragment.

    Args:
        backend: One that no storage can be made with.
    """
    if backend is None:
        return "it has no BACKEND"
    if isinstance(backend, type):
        return f"its BACKEND is the class {backend.__name__}, and must be its dotted path, in a string"
    if not isinstance(backend, str):
        return f"its BACKEND is of type {type(backend).__name__}, and must be the path of a class, in a string"
    try:
        found = import_string(backend)
    except Exception as error:  # noqa: BLE001 - whatever the module raises
        return f"its BACKEND {backend!r} cannot be imported: {type(error).__name__}: {error}"
    if _is_base(found):
        return f"its BACKEND {backend!r} is the base class of storages, and none itself"
    return f"its BACKEND {backend!r} is {'None' if found is None else 'no class'}"


def problem_of_storage(alias: str) -> str:
    """Return why a storage cannot be used, and what to do, a sentence fragment; empty if it can.

    Args:
        alias: Of a storage of resto.
    """
    try:
        problems = _made(alias).problems()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - whatever a subclass or a plugin raises, SystemExit too
        return str(error).removeprefix(f"STORAGES[{alias!r}]: ") or repr(error)
    return str(problems[0]) if problems else ""
