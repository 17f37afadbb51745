"""sorl-thumbnail keeps what it knows of thumbnails, and of their storages, in a table and a cache."""

from django.core.management import call_command
from django.db import models
from sorl.thumbnail import ImageField, delete, get_thumbnail

from sites.known_users.looking import CAN_LIST, assert_everywhere, assert_nowhere, picture


class Photo(models.Model):
    image = ImageField(upload_to="photos")

    def __str__(self):
        return self.image.name


def use():
    photo = Photo.objects.create(image=picture("red"))
    small = make_thumbnail(photo, "red")
    assert get_thumbnail(Photo.objects.get().image, "20x20").name == small.name

    delete(photo.image, delete_file=False)
    assert_nowhere(small.name)
    assert make_thumbnail(photo, "red").name == small.name

    original = photo.image.name
    delete(photo.image)
    assert_nowhere(original, small.name)
    photo.image.save(original.removeprefix("photos/"), picture("blue"))
    assert photo.image.name == original
    assert make_thumbnail(photo, "blue").name == small.name

    call_command("thumbnail", "cleanup", verbosity=0)
    call_command("thumbnail", "clear_delete_referenced", verbosity=0)
    assert_nowhere(small.name)
    if CAN_LIST:
        make_thumbnail(photo, "blue")
        call_command("thumbnail", "clear_delete_all", verbosity=0)
        assert_nowhere(small.name)
    delete(photo.image)
    assert_nowhere(original)
    photo.delete()


def make_thumbnail(photo, colour):
    thumbnail = get_thumbnail(photo.image, "20x20")
    assert thumbnail.exists()
    assert_everywhere(thumbnail.name, thumbnail.read(), colour, (20, 15))
    return thumbnail
