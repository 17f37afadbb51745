"""How long it takes to bring back what a host has to a master copy that has lost it, beside rclone: many small files."""

import sys
import tempfile
from collections.abc import Callable
from itertools import count
from pathlib import Path

from benchmarks.copying import RCLONE, SIZE, create_files
from benchmarks.programs import Finished, find_program, run
from benchmarks.results import Row
from benchmarks.sizes import Sizes
from benchmarks.timing import Time, in_seconds, interleave
from kit.servers import MediaServer


__all__ = ["measure"]

WHOLE, IN_PROCESS = "resto_restore, whole process", "resto_restore, in process"

# A new record, as the disk that was lost has had it. Prints the times without those of the start of Python, Django and resto.
SITE = """
import io, sys, time, django
from django.conf import settings
from django.core.files.storage import storages
from django.core.management import call_command

host, media, record = sys.argv[1:]
options = {"hosts": [host], "location": media, "transport": "webdav"}
wal = {"init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL"}
settings.configure(
    MEDIA_URL="/media/",
    INSTALLED_APPS=["resto"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": record, "OPTIONS": wal}},
    STORAGES={"default": {"BACKEND": "resto.storage.HybridStorage", "OPTIONS": options}},
    RESTO_TIMEOUT=60,
    LOGGING_CONFIG=None,
)
django.setup()
call_command("migrate", "resto", verbosity=0)
import resto.management.commands.resto_restore
assert storages["default"].transport
wall, cpu = time.perf_counter(), time.process_time()
call_command("resto_restore", "--no-input", verbosity=0, stdout=io.StringIO())
print(time.perf_counter() - wall, time.process_time() - cpu)
"""

# As it comes, and without the pause of 10 ms that it makes before each request.
PAUSES = {RCLONE: "", f"{RCLONE}, without its pauses": ",pacer_min_sleep=0"}


def measure(sizes: Sizes) -> list[Row]:
    """Bring back many small files from nginx: whole programs, in turn, each into a directory of its own."""
    with MediaServer("nginx-dav") as server, tempfile.TemporaryDirectory(prefix="resto-bench-") as directory:
        url, folder = server.new_folder()
        _create(folder, sizes.restored)
        numbers = count()

        def into_new_directory(call: Callable[[Path], Finished]) -> Callable[[], Finished]:
            def calling() -> Finished:
                target = Path(directory) / f"{next(numbers)}"
                target.mkdir()
                (folder / ".resto.host").unlink(missing_ok=True)  # that of the site of before
                finished = call(target)
                found = sum(1 for entry in target.rglob("*.jpg") if entry.stat().st_size == SIZE)
                assert found == sizes.restored
                return finished

            return calling

        calls = {WHOLE: into_new_directory(lambda target: _resto_restore(url, target))}
        for rival, option in PAUSES.items():
            calls[rival] = into_new_directory(lambda target, option=option: _rclone_copy(url, option, target))
        samples = interleave(calls, sizes.rounds)
    times = {name: [Time(done.wall, done.cpu) for done in finished] for name, finished in samples.items()}
    in_process = [Time(*map(float, done.output.split())) for done in samples[WHOLE]]
    return in_seconds("restore from nginx", {IN_PROCESS: in_process} | times)


def _resto_restore(url: str, target: Path) -> Finished:
    return run(sys.executable, "-c", SITE, url, str(target), f"{target}.sqlite3")


def _rclone_copy(url: str, option: str, target: Path) -> Finished:
    remote = f":webdav,url='{url}',vendor=other{option}:"
    return run(find_program("rclone"), "copy", "--config", "/dev/null", "-q", remote, str(target))


def _create(folder: Path, files: int) -> None:
    create_files(folder, files)
    for directory in folder.iterdir():
        directory.chmod(0o777)  # the server may be another user
