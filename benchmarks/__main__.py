"""Speed and memory of resto beside django-resto 1.3, in turn, on the same three nginx: ``make bench``.

Files are kept in memory where there is /dev/shm, to measure the packages and not the disk. Times drift on a shared machine;
the ratios within one run hold.
"""

import argparse
import os
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import django
from django.conf import settings


# The servers are started as the tests start them.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))


MEMORY = Path("/dev/shm")


def main() -> None:
    """Run the benchmarks and print their tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=400, help="saves of each size for each package (%(default)s)")
    parser.add_argument("--large", type=int, default=300, help="megabytes of the large file (%(default)s)")
    parser.add_argument("--queued", type=int, default=600, help="saves that workers replicate (%(default)s)")
    parser.add_argument("--compared", type=int, default=10_000, help="files of the full comparison (%(default)s)")
    parser.add_argument("--only", choices=["saves", "record", "memory", "queues", "sync"], help="one of the parts")
    parser.add_argument("--memory-of", help=argparse.SUPPRESS)
    parser.add_argument("--addresses", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()

    if MEMORY.is_dir() and "TMPDIR" not in os.environ:
        os.environ["TMPDIR"] = tempfile.tempdir = str(MEMORY)
    # django-resto's timeout is for a whole upload, resto's for a silence.
    settings.configure(RESTO_TIMEOUT=60, LOGGING_CONFIG=None, INSTALLED_APPS=["resto"])
    django.setup()
    from benchmarks import memory, queues, record, saves, sync

    if arguments.memory_of:
        print(*memory.growth(arguments.memory_of, arguments.addresses, arguments.large))
        return
    if arguments.only in (None, "sync"):
        sync.report(arguments.compared, 3)
    if arguments.only == "sync":
        return
    from servers import MediaServer

    with ExitStack() as stack:
        servers = [stack.enter_context(MediaServer("nginx")) for _ in range(3)]
        addresses = [server.url.removeprefix("http://").rstrip("/") for server in servers]
        if arguments.only in (None, "saves"):
            saves.report(addresses, arguments.rounds, {"1 KB": 1_000, "100 KB": 100_000})
        if arguments.only in (None, "record"):
            record.report(addresses, arguments.rounds, arguments.compared)
        if arguments.only in (None, "memory"):
            memory.report(addresses, arguments.large)
        if arguments.only in (None, "queues"):
            queues.report(addresses, [server.root for server in servers], arguments.rounds, arguments.queued)


if __name__ == "__main__":
    main()
