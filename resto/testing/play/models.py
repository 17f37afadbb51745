"""What is uploaded."""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class Upload(models.Model):
    """One uploaded file."""

    file = models.FileField(max_length=500)

    objects: ClassVar[models.Manager[Upload]] = models.Manager()

    class Meta:
        """The application is not installed where modules are only looked at."""

        app_label = "play"

    def __str__(self) -> str:
        return str(self.file.name)
