"""Saves files, each when it is told to, in a process of its own: what a process leaves for a moment later does not depend on others then.

python -m benchmarks.recording SETTINGS
"""

import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import Any, Self

from benchmarks import ROOT
from benchmarks.site import configure
from benchmarks.timing import Time


__all__ = ["Recording"]

CONTENT = os.urandom(1_000)


class Recording:
    """A process that saves.

    Args:
        settings: Of its site.
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        command = [sys.executable, "-m", __name__, json.dumps(settings)]
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._process.communicate()

    def save(self, alias: str) -> Time:
        """Save a file in a storage; return what it took, and of the processor all since the last one: also what nobody waited for."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{alias}\n")
        wall, cpu = self._process.stdout.readline().split()
        return Time(float(wall), float(cpu))


def main(settings: str) -> None:
    """Save a file in the storage that each line names, and say what it took."""
    values = json.loads(settings)
    configure(**values)
    from django.core.files.base import ContentFile
    from django.core.files.storage import storages
    from django.core.management import call_command

    if "DATABASES" in values:
        call_command("migrate", "resto", database="record", verbosity=0)
    numbers = itertools.count()
    cpu = time.process_time()
    for line in sys.stdin:
        storage = storages[line.strip()]
        began = time.perf_counter()
        storage.save(f"saved/{next(numbers)}", ContentFile(CONTENT))
        wall = time.perf_counter() - began
        cpu, before = time.process_time(), cpu
        print(wall, cpu - before, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
