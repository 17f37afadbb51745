"""easy-thumbnails deletes a thumbnail before it saves it, and takes for granted that it gets the name."""

from django.core.management import call_command
from django.db import models
from easy_thumbnails.fields import ThumbnailerImageField
from easy_thumbnails.files import get_thumbnailer

from sites.known_users.looking import assert_everywhere, assert_nowhere, picture


class Photo(models.Model):
    image = ThumbnailerImageField(upload_to="photos")

    def __str__(self):
        return self.image.name


def use():
    photo = Photo.objects.create(image=picture("red"))
    small = make_thumbnail(photo, "red")
    again = Photo.objects.get().image.get_thumbnail({"size": (20, 20)})
    assert again.name == small.name

    photo.image.delete_thumbnails()
    assert_nowhere(small.name)
    assert make_thumbnail(photo, "red").name == small.name

    # Its name is that of the source: a replaced source makes it outdated.
    original = photo.image.name
    photo.image.storage.delete(original)
    photo.image.save(original.removeprefix("photos/"), picture("blue"))
    assert photo.image.name == original
    assert make_thumbnail(photo, "blue").name == small.name
    assert get_thumbnailer(photo.image)["tiny"].width == 8
    call_command("thumbnail_cleanup", verbosity=0)

    thumbnails = [thumbnail.name for thumbnail in photo.image.get_thumbnails()]
    assert len(thumbnails) == 2
    photo.image.delete()
    assert_nowhere(original, *thumbnails)
    photo.delete()


def make_thumbnail(photo, colour):
    thumbnail = photo.image.get_thumbnail({"size": (20, 20)})
    thumbnail.open()
    assert_everywhere(thumbnail.name, thumbnail.read(), colour, (20, 15))
    assert thumbnail.size == thumbnail.storage.size(thumbnail.name)
    return thumbnail
