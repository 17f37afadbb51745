"""django-cleanup deletes files that their objects do not name any more, when the transaction ends."""

from django.db import models, transaction

from sites.known_users.looking import assert_everywhere, assert_nowhere, picture


class Photo(models.Model):
    image = models.ImageField(upload_to="photos")

    def __str__(self):
        return self.image.name


def use():
    photo = Photo.objects.create(image=picture("red"))
    first = photo.image.name
    assert_everywhere(first, picture("red").read(), "red", (40, 30))

    photo = Photo.objects.get()
    photo.image = picture("blue")
    photo.save()
    second = photo.image.name
    assert second != first
    assert_nowhere(first)
    assert_everywhere(second, picture("blue").read(), "blue", (40, 30))

    photo.image = None
    photo.save()
    assert_nowhere(second)

    photo.image = picture("red")
    photo.save()
    third = photo.image.name
    with transaction.atomic():
        photo.delete()
        assert_everywhere(third, picture("red").read(), "red", (40, 30))
    assert_nowhere(third)
