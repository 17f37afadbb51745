"""Saves a large file through one storage, in a process of its own, and prints what that took as JSON.

python -m benchmarks.large_save RIVAL SOURCE LOCATION ADDRESS...
"""

import json
import shutil
import sys
from pathlib import Path

from django.core.files.base import ContentFile
from django.core.files.uploadedfile import TemporaryUploadedFile

from benchmarks.hosts import Hosts
from benchmarks.results import CPU_SECONDS, MEMORY, SECONDS
from benchmarks.rivals import STORAGES
from benchmarks.site import configure
from benchmarks.timing import timed
from kit.memory import forget_peak, peak


__all__ = ["FOLDER", "MEGABYTE"]

FOLDER = "large"
MEGABYTE = 1_000_000


def main(rival: str, source: str, location: str, *addresses: str) -> None:
    """Save a small file, then the large one."""
    configure()
    storage = STORAGES[rival](Hosts(list(addresses), []), location)
    storage.save(f"{FOLDER}/warm-up", ContentFile(b"x"))
    with _uploaded(Path(source)) as file:
        forget_peak()
        before = peak()
        time = timed(lambda: storage.save(f"{FOLDER}/large", file))
    grown = (peak() - before) * 1024 / MEGABYTE
    print(json.dumps({SECONDS: time.wall, CPU_SECONDS: time.cpu, MEMORY: grown}))


def _uploaded(source: Path) -> TemporaryUploadedFile:
    """Return a file as Django hands it over when somebody has uploaded more than 2.5 MB."""
    file = TemporaryUploadedFile(source.name, "application/octet-stream", source.stat().st_size, None)
    shutil.copyfile(source, file.temporary_file_path())
    return file


if __name__ == "__main__":
    main(*sys.argv[1:])
