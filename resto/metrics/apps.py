"""The Django application that lets each process count what hosts are asked for."""

from django.apps import AppConfig

from resto import traffic
from resto.metrics import without_package
from resto.plugins import get_plugin_manager


__all__ = ["RestoMetricsConfig"]


class RestoMetricsConfig(AppConfig):
    """Has no models; it adds the observer that counts."""

    name = "resto.metrics"
    label = "resto_metrics"

    def ready(self) -> None:
        try:
            from resto.metrics import actions
        except ModuleNotFoundError as error:
            raise without_package(error) from error
        traffic.watch(actions.note_sent)
        get_plugin_manager().add_bundled("resto.metrics", actions)
