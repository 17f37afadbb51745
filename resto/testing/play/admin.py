"""Uploads in the admin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib.admin import ModelAdmin

from resto.forms import ReplicatedAdminMixin


if TYPE_CHECKING:
    from resto.testing.play.models import Upload

    _Admin = ModelAdmin[Upload]
else:
    _Admin = ModelAdmin


class UploadAdmin(ReplicatedAdminMixin, _Admin):
    """Shows the form again if a file cannot be stored."""
