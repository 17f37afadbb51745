"""How long a full comparison takes beside rclone, rsync and cp: with everything missing, and with nothing to do."""

import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmarks.programs import Finished, find_program, run
from benchmarks.results import Row
from benchmarks.sizes import Sizes
from benchmarks.timing import Time, in_seconds, interleave
from kit.servers import MediaServer


__all__ = ["measure"]

SIZE = 4096  # bytes of a file
FANOUT = 100  # files of a directory

WHOLE, IN_PROCESS = "resto_sync, whole process", "resto_sync, in process"
SERVERS = {"nginx": ["nginx-dav"], "Apache": ["apache"], "3 nginx": ["nginx-dav"] * 3}

# Prints the times without those of the start of Python, Django and resto.
SITE = """
import io, sys, time, django
from django.conf import settings
from django.core.files.storage import storages
from django.core.management import call_command

hosts, media, *arguments = sys.argv[1:]
options = {"hosts": hosts.split(","), "location": media, "transport": "webdav"}
settings.configure(
    MEDIA_URL="/media/",
    INSTALLED_APPS=["resto"],
    STORAGES={"default": {"BACKEND": "resto.storage.HybridStorage", "OPTIONS": options}},
    RESTO_TIMEOUT=60,
    LOGGING_CONFIG=None,
)
django.setup()
import resto.management.commands.resto_sync
assert storages["default"].transport
wall, cpu = time.perf_counter(), time.process_time()
call_command("resto_sync", *arguments, verbosity=0, stdout=io.StringIO())
print(time.perf_counter() - wall, time.process_time() - cpu)
"""

Calls = dict[str, Callable[[], Finished]]


def measure(sizes: Sizes) -> list[Row]:
    """Compare and copy many small files: whole programs, in turn."""
    rows = []
    with tempfile.TemporaryDirectory(prefix="resto-bench-") as directory:
        master = Path(directory) / "master"
        _create(master, sizes.files)
        for label, kinds in SERVERS.items():
            with ExitStack() as stack:
                folders = [stack.enter_context(MediaServer(kind)).new_folder() for kind in kinds]
                local = [Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="resto-bench-"))) for _ in kinds]
                # One after another: in the end, everybody finds everything.
                rows += _rows(f"copy to {label}", _copies(master, folders, local), sizes.rounds)
                if len(kinds) == 1:
                    rows += _rows(f"compare with {label}", _comparisons(master, folders, local), sizes.rounds)
    return rows


def _rows(work: str, calls: Calls, rounds: int) -> list[Row]:
    samples = interleave(calls, rounds)
    times = {name: [Time(done.wall, done.cpu) for done in finished] for name, finished in samples.items()}
    in_process = [Time(*map(float, done.output.split())) for done in samples[WHOLE]]
    return in_seconds(work, {IN_PROCESS: in_process} | times)


def _copies(master: Path, folders: Sequence[tuple[str, Path]], local: Sequence[Path]) -> Calls:
    roots = [path for _, path in folders]
    return {
        WHOLE: _into(master, roots, _resto_sync(master, folders)),
        "rclone copy": _into(master, roots, _rclone_copy(master, folders)),
        "rsync -r, local": _into(master, local, _rsync("-r", master, local)),
        "cp -r, local": _into(
            master, local, _one_after_another([["cp", "-r", f"{master}/.", str(path)] for path in local])
        ),
    }


def _comparisons(master: Path, folders: Sequence[tuple[str, Path]], local: Sequence[Path]) -> Calls:
    return {
        WHOLE: _resto_sync(master, folders),
        "resto_sync --checksum, which reads everything": _resto_sync(master, folders, "--checksum"),
        "rclone copy": _rclone_copy(master, folders),
        "rsync -rn, local": _rsync("-rn", master, local),
    }


def _into(master: Path, targets: Sequence[Path], call: Callable[[], Finished]) -> Callable[[], Finished]:
    """Empty the targets before a call, and insist on all files after it."""
    expected = _count(master)

    def call_with_nothing_there() -> Finished:
        for target in targets:
            for entry in target.iterdir():
                shutil.rmtree(entry)
        finished = call()
        assert [_count(target) for target in targets] == [expected] * len(targets)
        return finished

    return call_with_nothing_there


def _resto_sync(master: Path, folders: Sequence[tuple[str, Path]], *options: str) -> Callable[[], Finished]:
    urls = ",".join(url for url, _ in folders)
    return lambda: run(sys.executable, "-c", SITE, urls, str(master), *options)


def _rclone_copy(master: Path, folders: Sequence[tuple[str, Path]]) -> Callable[[], Finished]:
    # Sizes only: these servers do not keep times.
    options = ["--transfers", "16", "--checkers", "16", "--size-only", "--config", "/dev/null", "-q"]
    remotes = [f":webdav,url='{url}',vendor=other,pacer_min_sleep=0:" for url, _ in folders]
    return _one_after_another([[find_program("rclone"), "copy", *options, str(master), remote] for remote in remotes])


def _rsync(options: str, master: Path, local: Sequence[Path]) -> Callable[[], Finished]:
    command = [find_program("rsync"), options, "--size-only", f"{master}/"]
    return _one_after_another([[*command, str(path)] for path in local])


def _one_after_another(commands: Sequence[Sequence[str]]) -> Callable[[], Finished]:
    """Return what runs a program for each target: these know only one."""

    def call() -> Finished:
        finished = [run(*command) for command in commands]
        return Finished(sum(one.wall for one in finished), sum(one.cpu for one in finished), "")

    return call


def _create(master: Path, files: int) -> None:
    for number in range(files):
        path = master / f"{number // FANOUT:03}" / f"{number:06}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(number.to_bytes(4, "big") * (SIZE // 4))


def _count(folder: Path) -> int:
    return sum(1 for entry in folder.rglob("*") if entry.is_file())
