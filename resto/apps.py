"""The Django application; it is needed for system checks only."""

from django.apps import AppConfig
from django.core.checks import Tags, register


__all__ = ["RestoConfig"]


class RestoConfig(AppConfig):
    """Registers the system checks."""

    name = "resto"

    def ready(self) -> None:
        from resto.checks import check_plugins, check_storages  # needs the models of all applications

        register(check_storages, Tags.files)
        register(check_plugins, Tags.files)
