"""System checks of the application of static files."""

from typing import Any

from django.apps import apps
from django.core import checks

from resto.record import database


__all__ = ["check_application"]


def check_application(app_configs: Any, **kwargs: Any) -> list[checks.CheckMessage]:
    """Check that something records what hosts have."""
    # The settings of a record are checked by the application that has it.
    if apps.is_installed("resto") or not apps.is_installed("resto.staticfiles") or database.is_installed():
        return []
    return [
        checks.Warning(
            "'resto.staticfiles' is in INSTALLED_APPS without 'resto': nothing records what hosts miss, so that collectstatic "
            "sends everything again each time",
            hint="Add 'resto' to INSTALLED_APPS, and run manage.py migrate resto.",
            id="resto.W013",
        )
    ]
