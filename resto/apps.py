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
        from resto.checks import check_masters, check_plugins, check_record, check_secrets, check_storages
        from resto.record import database

        register(check_storages, Tags.files)
        register(check_masters, Tags.files)
        register(check_plugins, Tags.files)
        register(check_record, Tags.files)
        register(check_secrets, Tags.files)
        database.note_start()
