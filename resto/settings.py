"""The one module that reads Django's settings, each time a value is needed."""

from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured


__all__ = ["DEFAULTS", "get_setting", "media_url", "storage_settings", "use_tz"]

DEFAULTS: dict[str, Any] = {
    "MEDIA_HOSTS": (),
    "FATAL_EXCEPTIONS": True,
    "SHOW_TRACEBACK": False,
    "TIMEOUT": 2,
    "TRANSPORT": "http",
    "TRANSPORT_OPTIONS": {},
    "EXECUTOR": "thread",
    "EXECUTOR_OPTIONS": {},
    "CREDENTIALS": {},
}


def get_setting(name: str) -> Any:
    """Return the value of one of resto's settings.

    Args:
        name: Name of the setting without its prefix: ``"TIMEOUT"`` for ``RESTO_TIMEOUT``.

    Returns:
        The value in Django's settings, or the default.

    Raises:
        KeyError: There is no such setting.
    """
    default = DEFAULTS[name]
    try:
        return getattr(settings, f"RESTO_{name}", default)
    except ImproperlyConfigured:
        # Without DJANGO_SETTINGS_MODULE a storage can still be built directly, from its arguments alone.
        return default


def media_url() -> str:
    """Return ``MEDIA_URL``, where files are served from unless a storage has a ``base_url`` of its own."""
    return settings.MEDIA_URL


def use_tz() -> bool:
    """Return whether times are aware, as ``USE_TZ`` says."""
    return settings.USE_TZ


def storage_settings() -> dict[str, Any]:
    """Return ``STORAGES``: alias -> ``{"BACKEND": ..., "OPTIONS": ...}``."""
    return settings.STORAGES
