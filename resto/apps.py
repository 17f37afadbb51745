"""The Django application: system checks, and the durable record."""

from django.apps import AppConfig
from django.core.checks import Tags, register


__all__ = ["RestoConfig"]


class RestoConfig(AppConfig):
    """Registers the system checks."""

    name = "resto"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        # These need the models of all applications.
        from resto import checks, site_checks
        from resto.record import database

        for module in (checks, site_checks):
            for name in module.__all__:
                register(getattr(module, name), Tags.files)
        database.note_start()
