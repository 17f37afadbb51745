"""django-imagekit never deletes what it has generated; a site does."""

import io
import pickle

from django.core.management import call_command
from django.db import models
from imagekit.cachefiles.backends import CacheFileState
from imagekit.models import ImageSpecField, ProcessedImageField
from imagekit.processors import ResizeToFit

from sites.known_users.looking import assert_everywhere, assert_nowhere, picture


class Photo(models.Model):
    image = ProcessedImageField(upload_to="photos", processors=[ResizeToFit(36, 36)], format="PNG")
    small = ImageSpecField(source="image", processors=[ResizeToFit(20, 20)], format="JPEG")

    def __str__(self):
        return self.image.name


def use():
    photo = Photo.objects.create(image=picture("red"))
    with photo.image.open() as file:
        assert_everywhere(photo.image.name, file.read(), "red", (36, 27))
    assert_generated(photo, "red")
    assert_generated(Photo.objects.get(), "red")
    assert pickle.loads(pickle.dumps(photo.small)).read() == photo.small.read()

    delete(photo.small)
    assert_generated(Photo.objects.get(), "red")
    delete(photo.small)
    call_command("generateimages", "known_users:photo:small", stdout=io.StringIO())
    assert_generated(photo, "red")

    original, outdated = photo.image.name, photo.small
    photo.image.save("another.png", picture("blue"))
    assert_generated(photo, "blue")
    photo.image.storage.delete(original)
    delete(outdated)

    original = photo.image.name
    delete(photo.small)
    photo.image.delete()
    assert_nowhere(original)
    photo.delete()


def assert_generated(photo, colour):
    assert photo.small
    assert_everywhere(photo.small.name, photo.small.read(), colour, (20, 15))


def delete(generated):
    generated.storage.delete(generated.name)
    generated.cachefile_backend.set_state(generated, CacheFileState.DOES_NOT_EXIST)
    assert_nowhere(generated.name)
