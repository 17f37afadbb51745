"""Wagtail deletes files in a task, which makes the storage again from what its `deconstruct` has said."""

import io

from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from wagtail.images.models import Image
from wagtail.models import Collection

from sites.known_users.looking import assert_everywhere, assert_nowhere, picture


def use():
    from wagtail.images.forms import get_image_form  # which needs all models

    root = Collection.get_first_root_node() or Collection.add_root(name="Root")
    image = Image.objects.create(title="A picture", file=picture("red"), collection=root)
    small = make_rendition(image, "red")
    assert Image.objects.get().get_rendition("max-20x20") == small

    small.delete()
    assert_nowhere(small.file.name)
    small = make_rendition(image, "red")
    call_command("wagtail_update_image_renditions", stdout=io.StringIO())
    assert_nowhere(small.file.name)
    small = make_rendition(image, "red")

    original = image.file.name
    upload = SimpleUploadedFile("another.png", picture("blue").read())
    form = get_image_form(Image)({"title": "Another", "collection": root.pk}, {"file": upload}, instance=image)
    assert form.is_valid(), form.errors
    image = form.save()
    assert_nowhere(original, small.file.name)

    renditions = image.get_renditions("max-20x20", "max-10x10", "fill-8x8")
    names = [rendition.file.name for rendition in renditions.values()]
    make_rendition(image, "blue")
    original = image.file.name
    image.delete()
    assert_nowhere(original, *names)


def make_rendition(image, colour):
    rendition = image.get_rendition("max-20x20")
    with rendition.file.open() as file:
        assert_everywhere(rendition.file.name, file.read(), colour, (20, 15))
    assert image.get_file_size() == image.file.size
    return rendition
