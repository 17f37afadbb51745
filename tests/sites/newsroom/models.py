"""What the newsroom keeps: articles in the default storage, and reports in one of their own."""

from functools import partial
from typing import ClassVar

from django.conf import settings
from django.db import models, transaction
from django.db.models.signals import post_delete
from django.dispatch import receiver

from resto.storage import HybridStorage


class Article(models.Model):
    headline = models.CharField(max_length=100)
    attachment = models.FileField(upload_to="attachments")
    photo = models.ImageField(upload_to="photos", width_field="photo_width", height_field="photo_height", blank=True)
    photo_width = models.IntegerField(null=True, editable=False)
    photo_height = models.IntegerField(null=True, editable=False)

    files: ClassVar = ["attachment", "photo"]

    def __str__(self):
        return self.headline


class Report(models.Model):
    headline = models.CharField(max_length=100)
    attachment = models.FileField(
        upload_to="reports",
        storage=HybridStorage(
            hosts=settings.CONFIG["report_hosts"],
            base_url=settings.CONFIG["report_hosts"][0],
            location=settings.FOLDER / "reports",
            transport="webdav",
            transport_options={"auth": "media"},
            allow_overwrite=True,
        ),
    )

    files: ClassVar = ["attachment"]

    def __str__(self):
        return self.headline


@receiver(post_delete, sender=Article)
@receiver(post_delete, sender=Report)
def delete_files(instance, **kwargs):
    """Django leaves the files of a deleted object alone; this site does not."""
    for name in instance.files:
        if file := getattr(instance, name):
            transaction.on_commit(partial(file.storage.delete, file.name))
