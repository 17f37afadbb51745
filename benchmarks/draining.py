"""Drains what is pending, in a process of its own, as soon as it is told to.

python -m benchmarks.draining SETTINGS
"""

import json
import sys

from benchmarks.site import configure


__all__ = ["READY"]

READY = "ready"


def main(settings: str) -> None:
    """Load everything, wait for a line, drain, and say how many names were sent."""
    configure(**json.loads(settings))
    from resto.repair.drain import drain
    from resto.storage.finding import replicated_storages

    replicated_storages()
    print(READY, flush=True)
    sys.stdin.readline()
    print(drain().done, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
