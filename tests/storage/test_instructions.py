"""What a save takes of the processor, in instructions of this process: they do not depend on what else a machine does."""

import pytest

from kit.instructions import count, require_callgrind


# With a margin of 5 %: builds of the same CPython differ, and so do the minor versions of Django.
MOST_FOR_3_HOSTS = 865_000
MOST_FOR_A_FURTHER_HOST = 149_000

PROGRAM = """
import gc, itertools, sys
from django.conf import settings
from django.core.files.base import ContentFile

settings.configure(INSTALLED_APPS=["resto"], RESTO_TIMEOUT=60)
import django
django.setup()
from resto.storage import HybridStorage

location, *hosts = sys.argv[1:]
numbers = itertools.count()

def saving(storage):
    return lambda: storage.save(f"folder/{next(numbers)}", ContentFile(bytes(1000)))

gc.disable()
for some in (hosts[:3], hosts):
    save = saving(HybridStorage(some, "http://media.example.com/", location))
    for _ in range(3):
        save()
    counting(len(some), 40, save)
"""


@pytest.fixture(scope="module")
def instructions(media_servers, tmp_path_factory):
    require_callgrind()
    server = media_servers("nginx")
    hosts = [server.new_folder()[0] for _ in range(12)]
    return count(PROGRAM, str(tmp_path_factory.mktemp("master")), *hosts)


def test_save_to_3_hosts(instructions):
    assert instructions["3"] < MOST_FOR_3_HOSTS


def test_save_to_a_further_host(instructions):
    assert (instructions["12"] - instructions["3"]) / 9 < MOST_FOR_A_FURTHER_HOST
