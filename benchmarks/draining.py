"""Drains what is pending, in a process of its own, as soon as it is told to.

python -m benchmarks.draining SETTINGS
"""

import json
import sys

from benchmarks.site import configure


__all__ = ["READY"]

READY = "ready"


def main(settings: str) -> None:
    """Save a file, which makes the directory a master copy, wait for a line, drain, and say how many names were sent."""
    configure(**json.loads(settings))
    from django.core.files.base import ContentFile
    from django.core.files.storage import storages

    from resto.repair.drain import drain

    storages["default"].save("first.jpg", ContentFile(b"1"))
    print(READY, flush=True)
    sys.stdin.readline()
    print(drain().done, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
