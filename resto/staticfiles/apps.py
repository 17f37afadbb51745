"""The Django application whose ``collectstatic`` takes the place of Django's."""

from django.apps import AppConfig
from django.core.checks import Tags, register


__all__ = ["RestoStaticFilesConfig"]


class RestoStaticFilesConfig(AppConfig):
    """Has no models; its management command is of use, and it registers its system check."""

    name = "resto.staticfiles"
    label = "resto_staticfiles"

    def ready(self) -> None:
        # As in `resto.apps`.
        from resto.staticfiles.checks import check_application

        register(check_application, Tags.files)
