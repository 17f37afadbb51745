"""Pictures for the packages, and a look at what every host has of them."""

import io
import time

import requests
from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from PIL import Image

from resto.models import Pending


# Seconds until hosts must have followed: those who wait for them have waited already.
PATIENCE = 20 if settings.CONFIG["storage"] == "AsyncStorage" else 0

CAN_LIST = settings.CONFIG["storage"] != "DistributedStorage" or default_storage.transport.supports_listdir

_session = requests.Session()
_session.trust_env = False


def picture(colour, name="a picture é.png"):
    """Return an image of one colour, to be saved."""
    with io.BytesIO() as file:
        Image.new("RGB", (40, 30), colour).save(file, "PNG")
        return ContentFile(file.getvalue(), name)


def assert_everywhere(name, content, colour, size):
    """Every host, and whoever reads through the storage, has this content, which is an image of this colour and size."""
    _wait_until_all_have(name, content)
    with default_storage.open(name) as file:
        assert file.read() == content
    assert default_storage.size(name) == len(content)
    assert _get(default_storage.url(name)) == content
    with Image.open(io.BytesIO(content)) as image:
        assert image.size == size
        red, _, blue = image.convert("RGB").getpixel((1, 1))
        assert (red > blue) == (colour == "red"), f"{name} is not {colour}"


def assert_nowhere(*names):
    """No host has any of these, nor has the storage."""
    for name in names:
        assert not default_storage.exists(name), f"{name} exists"
        _wait_until_all_have(name, None)


def assert_nothing_is_pending():
    """The record has nothing left to be done."""
    _wait_until(lambda: [(row.host, row.name) for row in Pending.objects.all()], [])


def _wait_until_all_have(name, content):
    url = default_storage.url(name).removeprefix(settings.MEDIA_URL)
    _wait_until(
        lambda: [_get(host + url) for host in settings.CONFIG["hosts"]], [content] * len(settings.CONFIG["hosts"])
    )


def _wait_until(look, expected):
    deadline = time.monotonic() + PATIENCE
    while (found := look()) != expected:
        assert time.monotonic() < deadline, f"{found} instead of {expected}"
        time.sleep(0.01)


def _get(url):
    answer = _session.get(url, timeout=20)
    if answer.status_code == requests.codes.not_found:
        return None
    answer.raise_for_status()
    return answer.content
