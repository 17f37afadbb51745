"""How long a full comparison takes beside rclone's: with nothing to do, and with everything missing."""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from servers import MediaServer


__all__ = ["report"]

SIZE = 4096  # bytes of a file
FANOUT = 100  # files of a directory
ROOT = str(Path(__file__).resolve().parent.parent)

OURS, WITHOUT_START = "resto_sync", "resto_sync, without the start of Python and Django"

SITE = """
import sys, time, django
from django.conf import settings
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
started = time.perf_counter()
call_command("resto_sync", *arguments, verbosity=0)
print(time.perf_counter() - started)
"""


def report(files: int, rounds: int) -> None:
    """Print a table for each server: the medians of each program, whole processes, in turn."""
    program = _rclone()
    with tempfile.TemporaryDirectory(prefix="resto-bench-") as directory:
        master = Path(directory) / "master"
        _create(master, files)
        for kinds in (["nginx-dav"], ["apache"], ["nginx-dav"] * 3):
            servers = [MediaServer(kind).start() for kind in kinds]
            try:
                _report_server(servers, master, program, files, rounds)
            finally:
                for server in servers:
                    server.close()
        _report_local(master, Path(directory), files)


def _report_server(servers: list[MediaServer], master: Path, program: str | None, files: int, rounds: int) -> None:
    folders = [server.new_folder() for server in servers]
    urls = [url for url, _ in folders]
    ours = [sys.executable, "-c", SITE, ",".join(urls), str(master)]
    missing: dict[str, Callable[[], object]] = {OURS: lambda: _run(ours)}
    unchanged: dict[str, Callable[[], object]] = {
        OURS: lambda: _run(ours),
        "resto_sync --delete": lambda: _run([*ours, "--delete"]),
        "resto_sync --checksum": lambda: _run([*ours, "--checksum"]),
    }
    if program:
        missing["rclone copy"] = lambda: [_run(_rclone_command(program, "copy", master, url)) for url in urls]
        unchanged["rclone copy"] = missing["rclone copy"]
        unchanged["rclone check --size-only"] = lambda: [
            _run([*_rclone_command(program, "check", master, url), "--size-only"]) for url in urls
        ]
    label = f"{len(servers)} {servers[0].name}, {files:,} files of 4 KB"
    for state, calls in {"missing": missing, "unchanged": unchanged}.items():
        print(f"\n{f'{label}, {state}':<52}{'wall s':>9}{'ratio':>9}")
        medians = _medians(calls, rounds, folders if state == "missing" else [], files, master)
        for name, median in medians.items():
            print(f"{name:<52}{median:>9.2f}{median / medians[OURS]:>8.2f}x")


def _medians(
    calls: dict[str, Callable[[], object]], rounds: int, to_empty: list[tuple[str, Path]], files: int, master: Path
) -> dict[str, float]:
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            for _, path in to_empty:
                for entry in path.iterdir():
                    shutil.rmtree(entry)
            started = time.perf_counter()
            printed = call()
            times[name].append(time.perf_counter() - started)
            if name == OURS:
                times.setdefault(WITHOUT_START, []).append(float(str(printed).split()[-1]))
            for _, path in to_empty:
                assert sum(1 for entry in path.rglob("*") if entry.is_file()) == files, name
    return {name: statistics.median(values) for name, values in times.items()}


def _report_local(master: Path, directory: Path, files: int) -> None:
    """What a copy on the same disk takes, to compare: there is no server, and no network."""
    print(f"\n{f'local copy, {files:,} files of 4 KB':<52}{'wall s':>9}")
    commands = {"cp -r": ["cp", "-r", f"{master}/.", str(directory / "cp")]}
    if shutil.which("rsync"):
        commands["rsync -r"] = ["rsync", "-r", f"{master}/", str(directory / "rsync")]
        commands["rsync -rn, unchanged"] = ["rsync", "-rn", "--size-only", f"{master}/", str(directory / "rsync")]
    for name, command in commands.items():
        started = time.perf_counter()
        _run(command)
        print(f"{name:<52}{time.perf_counter() - started:>9.2f}")


def _create(master: Path, files: int) -> None:
    for number in range(files):
        path = master / f"{number // FANOUT:03}" / f"{number:06}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(number.to_bytes(4, "big") * (SIZE // 4))


def _rclone() -> str | None:
    return shutil.which("rclone", path=str(Path(sys.executable).parent)) or shutil.which("rclone")


def _rclone_command(program: str, action: str, master: Path, url: str) -> list[str]:
    remote = f":webdav,url='{url}',vendor=other,pacer_min_sleep=0:"
    # Sizes only: these servers do not keep times.
    options = ["--checkers", "8", "--transfers", "8", "--config", "/dev/null", "-q"]
    return [program, action, *options, *(["--size-only"] if action == "copy" else []), str(master), remote]


def _run(command: list[str]) -> str:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([ROOT, os.environ.get("PYTHONPATH", "")])}
    return subprocess.run(command, check=True, env=environment, stdout=subprocess.PIPE, text=True).stdout
