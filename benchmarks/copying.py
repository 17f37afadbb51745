"""Who copies many small files to hosts: programs, each of which runs to its end."""

import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmarks.programs import Finished, find_program, run
from benchmarks.results import Row
from benchmarks.timing import Time, in_seconds, interleave


__all__ = [
    "FANOUT",
    "IN_PROCESS",
    "RCLONE",
    "SIZE",
    "WHOLE",
    "Call",
    "Folders",
    "create_files",
    "curl_copy",
    "into_empty",
    "one_after_another",
    "rclone_copy",
    "resto_sync",
    "rows_of",
]

SIZE = 4096  # bytes of a file
FANOUT = 100  # files of a directory

WHOLE, IN_PROCESS = "resto_sync, whole process", "resto_sync, in process"
RCLONE = "rclone copy"

# Prints the times, and the growth of memory in MB, without those of the start of Python, Django and resto.
SITE = """
import io, sys, time, django
import benchmarks
from django.conf import settings
from django.core.files.storage import storages
from django.core.management import call_command
from kit.memory import forget_peak, peak

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
forget_peak()
before, wall, cpu = peak(), time.perf_counter(), time.process_time()
call_command("resto_sync", *arguments, verbosity=0, stdout=io.StringIO())
print(time.perf_counter() - wall, time.process_time() - cpu, (peak() - before) * 1024 / 1_000_000)
"""

Call = Callable[[], Finished]
Folders = Sequence[tuple[str, Path]]  # the URL and the path of each


def rows_of(work: str, calls: Mapping[str, Call], rounds: int) -> list[Row]:
    """Let the programs run in turn; what resto does is in two rows, with and without its start."""
    samples = interleave(calls, rounds)
    times = {name: [Time(done.wall, done.cpu) for done in finished] for name, finished in samples.items()}
    in_process = [Time(*map(float, done.output.split()[:2])) for done in samples[WHOLE]]
    return in_seconds(work, {IN_PROCESS: in_process} | times)


def into_empty(master: Path, targets: Sequence[Path], call: Call) -> Call:
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


def resto_sync(master: Path, folders: Folders, *options: str) -> Call:
    """Return what lets resto compare, and send what is missing, in a process of its own."""
    urls = ",".join(url for url, _ in folders)
    return lambda: run(sys.executable, "-c", SITE, urls, str(master), *options)


def rclone_copy(master: Path, folders: Folders, transfers: int = 16) -> Call:
    """Return what lets rclone copy what is missing, to one host after another."""
    # Sizes only: these servers do not keep times.
    options = ["--transfers", f"{transfers}", "--checkers", "16", "--size-only", "--config", "/dev/null", "-q"]
    remotes = [f":webdav,url='{url}',vendor=other,pacer_min_sleep=0:" for url, _ in folders]
    return one_after_another([[find_program("rclone"), "copy", *options, str(master), remote] for remote in remotes])


def one_after_another(commands: Sequence[Sequence[str]]) -> Call:
    """Return what runs a program for each target: these know only one."""

    def call() -> Finished:
        finished = [run(*command) for command in commands]
        return Finished(sum(one.wall for one in finished), sum(one.cpu for one in finished), "")

    return call


def curl_copy(master: Path, folders: Folders, transfers: int) -> Call:
    """Return what lets curl upload each file, over connections that it keeps: it compares nothing, and makes no directories."""
    pairs = [
        f'upload-file = "{path}"\nurl = "{url}{path.relative_to(master)}"\n'
        for url, _ in folders
        for path in sorted(master.rglob("*.jpg"))
    ]
    config = master.with_name("curl")
    config.write_text("".join(pairs))
    options = ["--no-progress-meter", "--fail", "--parallel", "--parallel-max", f"{transfers}"]
    return lambda: run(find_program("curl"), *options, "--config", str(config))


def create_files(master: Path, files: int) -> None:
    """Make files of 4 KB, a hundred in a directory."""
    for number in range(files):
        path = master / f"{number // FANOUT:03}" / f"{number:06}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(number.to_bytes(4, "big") * (SIZE // 4))


def _count(folder: Path) -> int:
    return sum(1 for entry in folder.rglob("*") if entry.is_file())
