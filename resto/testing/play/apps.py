"""The application, and what runs beside the site."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from django.apps import AppConfig, apps


if TYPE_CHECKING:
    from resto.testing.play.scene import Scene


class PlayConfig(AppConfig):
    """Registers the model with the admin."""

    name = "resto.testing.play"

    scene: ClassVar[Scene]
    """What runs beside the site, in the process that has started it."""

    def ready(self) -> None:
        from django.contrib import admin

        from resto.testing.play.admin import UploadAdmin
        from resto.testing.play.models import Upload

        admin.site.register(Upload, UploadAdmin)


def current_scene() -> Scene:
    """Return what runs beside the site."""
    return cast("PlayConfig", apps.get_app_config("play")).scene
