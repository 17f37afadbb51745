"""What saves and reads take of the processor, in instructions of this process: they do not depend on what else a machine does."""

import subprocess
import sys

import pytest

from kit.instructions import count, require_callgrind


# With a margin of 5 %: builds of the same CPython differ, and so do the minor versions of Django.
MOST_FOR_3_HOSTS = 865_000
MOST_FOR_A_FURTHER_HOST = 149_000

# In parts, of what the whole file takes with one GET; near, of what `FileSystemStorage` takes.
MOST_FOR_PARTS = 1.1
MOST_FOR_NEAR = 1.5

SAVING = """
import gc, itertools, sys
from django.conf import settings
from django.core.files.base import ContentFile

settings.configure(INSTALLED_APPS=["resto"], RESTO_TIMEOUT=60)
import django
django.setup()
from resto.storage import HybridStorage
from resto.transports import keeping

keeping.LEAST = 600  # a busy machine may take seconds between two saves
location, *hosts = sys.argv[1:]
numbers = itertools.count()

def saving(storage):
    return lambda: storage.save(f"folder/{next(numbers)}", ContentFile(bytes(1000)))

gc.disable()
for some in (hosts[:3], hosts):
    save = saving(HybridStorage(some, "http://media.example.com/", location))
    for _ in range(12):
        save()
    for number in range(4):
        counting(f"{len(some)} hosts, {number}", 5, save)
"""

SITE = """
import gc, sys
from functools import partial
from django.conf import settings

folder, server = sys.argv[1:]
near = f"file://{folder}/host/"
options = {"hosts": [near], "transport": "directory"}
settings.configure(
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": f"{folder}/record.sqlite3"}},
    INSTALLED_APPS=["resto"],
    STORAGES={"default": {"BACKEND": "resto.storage.DistributedStorage", "OPTIONS": options}},
    RESTO_NEAR={near: f"{folder}/host"},
    RESTO_NEAR_LAG=3600,
    RESTO_TIMEOUT=60,
)
import django
django.setup()
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, storages
from django.core.management import call_command
from resto.storage import DistributedStorage
from resto.storage.files import RemoteFile
from resto.storage.reading import download
"""

BEGINNING = f"""{SITE}
call_command("migrate", verbosity=0)
storages["default"].save("1000", ContentFile(bytes(1000)))
"""

READING = f"""{SITE}
class Whole(DistributedStorage):
    def _open(self, name, mode="rb"):
        return RemoteFile(name, mode, partial(self._read, "download", name, partial(download, self.transport_for)))

def reading(storage, size):
    def read():
        with storage.open(str(size)) as file:
            assert len(file.read()) == size
    return read

gc.disable()
for label, storage, size in [
    ("disk", FileSystemStorage(f"{{folder}}/host"), 1_000),
    ("near", storages["default"], 1_000),
    ("whole", Whole([server], "/media/"), 10_000),
    ("parts", DistributedStorage([server], "/media/"), 10_000),
]:
    read = reading(storage, size)
    for _ in range(3):
        read()
    counting(label, 40, read)
"""


@pytest.fixture(scope="module")
def instructions(media_servers, tmp_path_factory):
    require_callgrind()
    server = media_servers("nginx")
    hosts = [server.new_folder()[0] for _ in range(12)]
    counted = count(SAVING, str(tmp_path_factory.mktemp("master")), *hosts)
    # The fewest of four times: on a busy machine, threads take turns more often, which takes instructions, too.
    return {few: min(number for label, number in counted.items() if label.startswith(f"{few} ")) for few in ("3", "12")}


def test_save_to_3_hosts(instructions):
    assert instructions["3"] < MOST_FOR_3_HOSTS


def test_save_to_a_further_host(instructions):
    assert (instructions["12"] - instructions["3"]) / 9 < MOST_FOR_A_FURTHER_HOST


@pytest.fixture(scope="module")
def reads(media_servers, tmp_path_factory):
    require_callgrind()
    folder = tmp_path_factory.mktemp("site")
    (folder / "host").mkdir()
    server, served = media_servers("nginx").new_folder()
    (served / "10000").write_bytes(bytes(10_000))
    subprocess.run([sys.executable, "-c", BEGINNING, folder, server], check=True)
    return count(READING, str(folder), server)


def test_read_in_parts(reads):
    assert reads["parts"] / reads["whole"] < MOST_FOR_PARTS


def test_read_of_a_near_host(reads):
    assert reads["near"] / reads["disk"] < MOST_FOR_NEAR
