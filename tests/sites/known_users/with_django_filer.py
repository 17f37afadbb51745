"""django-filer makes storages of its own, and moves files between the public and the private one."""

import io

from django.core.management import call_command
from filer.models import File, Image

from sites.known_users.looking import CAN_LIST, assert_everywhere, assert_nowhere, picture


def use():
    image = Image.objects.create(original_filename="picture.png", file=picture("red"))
    small = make_thumbnail(image, "red")

    image.file.delete_thumbnails()
    assert_nowhere(small.name)
    assert make_thumbnail(image, "red").name == small.name

    public = image.file.name
    image.is_public = False
    image.save()
    assert_nowhere(public, small.name)
    image.is_public = True
    image.save()
    make_thumbnail(image, "red")

    # It leaves a replaced file where it is, and its command finds it.
    old = image.file.name
    image.file.delete_thumbnails()
    image.file = picture("blue")
    image.save()
    make_thumbnail(image, "blue")
    assert image.size == len(picture("blue"))
    if CAN_LIST:
        output = io.StringIO()
        call_command("filer_check", "--delete-orphans", "--no-input", stdout=output)
        assert old.rpartition("/")[2] in output.getvalue()
    else:
        image.file.storage.delete(old)
    assert_nowhere(old)
    make_thumbnail(image, "blue")
    output = io.StringIO()
    call_command("filer_check", "--missing", stdout=output)
    assert not output.getvalue()

    names = [image.file.name, *(thumbnail.name for thumbnail in image.file.get_thumbnails())]
    assert len(names) == 2
    image.delete()
    assert not File.objects.exists()
    assert_nowhere(*names)


def make_thumbnail(image, colour):
    image.file.open()
    assert_everywhere(image.file.name, image.file.read(), colour, (40, 30))
    thumbnail = image.file.get_thumbnail({"size": (20, 20)})
    thumbnail.open()
    assert_everywhere(thumbnail.name, thumbnail.read(), colour, (20, 15))
    return thumbnail
