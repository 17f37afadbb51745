"""The one module that reads Django's settings, when a value is needed, and again after `override_settings`."""

import sys
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from functools import cache
from typing import Any, ParamSpec, TypeVar, cast

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed

from resto.exceptions import ConfigurationError
from resto.sensitive import sensitive_variables


__all__ = [
    "DEFAULTS",
    "OLD_SECRETS",
    "get_credential",
    "get_setting",
    "has_old_secrets",
    "is_debugged",
    "media_root",
    "media_url",
    "misshapen_storages",
    "misspelt_settings",
    "names_of_settings",
    "remembered",
    "rq_queues",
    "settings_have_changed",
    "static_root",
    "static_url",
    "storage_settings",
    "use_tz",
    "wrong_secrets",
]

P = ParamSpec("P")
T = TypeVar("T")

DEFAULTS: dict[str, Any] = {
    "MEDIA_HOSTS": (),
    "FATAL_EXCEPTIONS": True,
    "SHOW_TRACEBACK": False,
    "TIMEOUT": 2,
    "TRANSPORT": "http",
    "TRANSPORT_OPTIONS": {},
    "EXECUTOR": "thread",
    "EXECUTOR_OPTIONS": {},
    "SECRETS": {},
    "DATABASE": "default",
    "LEASE": 300,
    "GRACE": 60,
    "NEAR": {},
    "NEAR_LAG": 1,
    "URL_FROM": "base_url",
    "SIGN": None,
    "SIGN_OPTIONS": {},
}

# What 0.1 called RESTO_SECRETS. Django, which hides settings by their names, shows it. Goes with 0.3.
OLD_SECRETS = "RESTO_CREDENTIALS"


# Prefixes that are like that of resto: of Django REST framework, and of what somebody calls so.
_OF_OTHERS = ("REST", "RESTORE")


def remembered(function: Callable[P, T]) -> Callable[P, T]:
    """Call a function of the settings once for all, or until they are changed, as only tests do.

    Django searches for a setting that is not there in several places, and any save needs some.
    """
    cached = cache(function)

    def forget(**kwargs: Any) -> None:
        cached.cache_clear()

    setting_changed.connect(forget, weak=False)
    return cast("Callable[P, T]", cached)


_changes: list[str] = []


def _note_change(*, setting: str, **kwargs: Any) -> None:
    if not _changes:
        _changes.append(setting)


setting_changed.connect(_note_change)


def settings_have_changed() -> bool:
    """Return whether any setting was changed since the site has started, as only tests do."""
    return bool(_changes)


def get_setting(name: str) -> Any:
    """Return the value of one of resto's settings.

    Args:
        name: Name of the setting without its prefix: ``"TIMEOUT"`` for ``RESTO_TIMEOUT``.

    Returns:
        The value in Django's settings, or the default.

    Raises:
        KeyError: There is no such setting.
    """
    try:
        return _setting(name)
    except ImproperlyConfigured:
        # Without DJANGO_SETTINGS_MODULE a storage can still be built directly, from its arguments alone.
        return DEFAULTS[name]


@remembered
def _setting(name: str) -> Any:
    value = getattr(settings, f"RESTO_{name}", DEFAULTS[name])
    if name == "SECRETS" and has_old_secrets():
        return {**getattr(settings, OLD_SECRETS), **value}
    return value


def has_old_secrets() -> bool:
    """Return whether a site still has its credentials in a setting that Django shows."""
    return hasattr(settings, OLD_SECRETS)


def names_of_settings() -> list[str]:
    """Return the settings of the site whose names begin as those of resto."""
    return [name for name in dir(settings) if name.startswith("RESTO_")]


def misspelt_settings() -> dict[str, str]:
    """Return the settings of the site that seem to mean one of resto's, and have another prefix, each with that one.

    Django leaves out those of a module that are not in capitals.
    """
    module = sys.modules.get(getattr(settings, "SETTINGS_MODULE", ""))
    names = [name for name in {*dir(settings), *vars(module or object)} if not name.startswith(("RESTO_", "_"))]
    found = {name: name.upper() for name in names if name.upper().startswith("RESTO_") and name.upper()[6:] in DEFAULTS}
    for name in names:
        prefix, _, rest = name.partition("_")
        if rest in DEFAULTS and prefix not in _OF_OTHERS and get_close_matches(prefix, ["RESTO"], 1, 0.75):
            found[name] = f"RESTO_{rest}"
    if "MEDIA_HOSTS" in names:
        found["MEDIA_HOSTS"] = "RESTO_MEDIA_HOSTS"
    return dict(sorted(found.items()))


def wrong_secrets() -> str | None:
    """Return the setting that should hold credentials by their names, and holds something else; None if there is none."""
    for setting in ("RESTO_SECRETS", OLD_SECRETS):
        try:
            value = getattr(settings, setting, {})
        except ImproperlyConfigured:
            return None  # as in `get_setting`
        if not isinstance(value, Mapping):
            return setting
    return None


@sensitive_variables()  # what is given as a name may be the secret itself
def get_credential(name: str, *, option: str, code: str = "E008") -> Any:
    """Return what ``RESTO_SECRETS`` holds under a name. For the constructors of transports and executors.

    Args:
        name: What an option gives in place of a secret.
        option: The option, for the error.
        code: As for `ConfigurationError`; for options of an executor, ``"E007"``.

    Raises:
        ConfigurationError: There is no such name.
    """
    wrong = wrong_secrets()
    if wrong is not None:
        raise ConfigurationError(f"{wrong} is no mapping", "It maps names to credentials.", "E018")
    credentials = get_setting("SECRETS")
    if name not in credentials:
        known = ", ".join(sorted(map(str, credentials))) or "none"
        # Without what was given: it may be the secret itself.
        problem = f"RESTO_SECRETS has no credential of the name that is given as {option!r}"
        raise ConfigurationError(problem, f"It has: {known}.", code)
    return credentials[name]


def media_url() -> str:
    """Return ``MEDIA_URL``, where files are served from unless a storage has a ``base_url`` of its own."""
    return settings.MEDIA_URL


def media_root() -> Any:
    """Return ``MEDIA_ROOT``, the directory of the master copy unless a storage has a ``location`` of its own."""
    return settings.MEDIA_ROOT


def static_url() -> str:
    """Return ``STATIC_URL``, where static files are served from unless a storage has a ``base_url`` of its own."""
    return settings.STATIC_URL or ""


def static_root() -> Any:
    """Return ``STATIC_ROOT``, the directory that static files are collected in; None if it is not set."""
    return settings.STATIC_ROOT


def is_debugged() -> bool:
    """Return ``DEBUG``, as the site has it: whether this is where it is developed. Django's tests turn it off."""
    tests = getattr(sys.modules.get("django.test.utils"), "_TestState", None)
    return settings.DEBUG or getattr(getattr(tests, "saved_data", None), "debug", False)


def use_tz() -> bool:
    """Return whether times are aware, as ``USE_TZ`` says."""
    return settings.USE_TZ


def storage_settings() -> dict[str, Any]:
    """Return ``STORAGES``: alias -> ``{"BACKEND": ..., "OPTIONS": ...}``.

    What is not like that is left out; `misshapen_storages` tells of it.
    """
    try:
        return {**_well_shaped_storages()}
    except ImproperlyConfigured:
        return {}  # as in `get_setting`


def misshapen_storages() -> dict[Any, str]:
    """Return the aliases in ``STORAGES`` that Django can make no storage of, whatever it is, and why, a sentence fragment.

    The alias is None if it is ``STORAGES`` itself.
    """
    found = _storages()
    if not isinstance(found, Mapping):
        return {None: f"it is of type {type(found).__name__}, and must be a mapping"}
    return {
        alias: f"it is of type {type(entry).__name__}, and must be a mapping"
        if isinstance(alias, str)
        else f"its alias is of type {type(alias).__name__}, and must be a string"
        for alias, entry in found.items()
        if _is_misshapen(alias, entry)
    }


@remembered
def _well_shaped_storages() -> dict[str, Any]:
    found = settings.STORAGES
    is_mapping = isinstance(found, Mapping)
    return {alias: entry for alias, entry in found.items() if not _is_misshapen(alias, entry)} if is_mapping else {}


def _storages() -> Any:
    try:
        return settings.STORAGES
    except ImproperlyConfigured:
        return {}  # as in `get_setting`


def _is_misshapen(alias: object, entry: object) -> bool:
    return not (isinstance(alias, str) and isinstance(entry, Mapping))


def rq_queues() -> dict[str, Any]:
    """Return ``RQ_QUEUES``, the queues of django-rq: name -> options; empty where django-rq is not configured."""
    try:
        return getattr(settings, "RQ_QUEUES", {})
    except ImproperlyConfigured:
        return {}  # as in `get_setting`
