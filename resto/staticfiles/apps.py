"""The Django application whose ``collectstatic`` takes the place of Django's."""

from django.apps import AppConfig


__all__ = ["RestoStaticFilesConfig"]


class RestoStaticFilesConfig(AppConfig):
    """Has no models; only its management command is of use."""

    name = "resto.staticfiles"
    label = "resto_staticfiles"
