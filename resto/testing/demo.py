"""``python -m resto.testing.demo [--keep] [FILE...]``: resto at work, with media servers of its own; nothing else is needed."""

from __future__ import annotations

import argparse
import filecmp
import logging
import random
import signal
import sys
import tempfile
import textwrap
import threading
import unicodedata
from contextlib import ExitStack, contextmanager, suppress
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import django
from django.apps import apps
from django.conf import settings  # noqa: TID251 - the demo is a site, with settings of its own
from django.core.exceptions import SuspiciousFileOperation
from django.core.files import File
from django.core.files.storage import storages
from django.core.management import call_command
from django.db import connections
from django.test import override_settings

from resto.exceptions import ReplicationError
from resto.executors.thread import ThreadExecutor
from resto.testing.processes import MediaServer


if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from resto.executors import Job
    from resto.outcomes import Outcome


WIDTH = 96  # columns
NAME_WIDTH = 24  # columns; longer names are cut in the middle

# Bytes; what is larger takes its time, so that it is said before what is done with it.
LARGE = 50_000_000

# What is saved if no files are given, in bytes; the names show that they need not be ASCII.
SAMPLES = {"hello.txt": 64, "Grüße aus Köln.txt": 40_000, "photo.jpg": 900_000, "film.mp4": 6_000_000}


class MeasuringExecutor(ThreadExecutor):
    """The default executor, which also remembers how long the last upload to each host took."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def run(self, jobs: Sequence[Job]) -> list[Outcome]:
        outcomes = super().run(jobs)
        if any(outcome.action == "upload" for outcome in outcomes):
            self.seconds = {outcome.host: outcome.seconds for outcome in outcomes if outcome.ok}
        return outcomes


class Demo:
    """The story that the demo tells.

    Args:
        directory: A new one, for everything that is written.
        files: What to save; some samples if there are none.
        keeps: Whether the directory stays.
    """

    def __init__(self, directory: Path, files: Sequence[Path], *, keeps: bool) -> None:
        self.directory = directory
        self.keeps = keeps
        self.files = files or _create_samples(directory / "originals")
        self.master = directory / "master"
        # The first two speak WebDAV; the transport copes with the third, which does not.
        self.servers = [MediaServer(directory / f"media-{number}", plain=number == 3) for number in (1, 2, 3)]
        self.saved: list[str] = []

    def run(self) -> None:
        """Tell all of it."""
        with ExitStack() as stack:
            for server in self.servers:
                stack.enter_context(server)
            self.configure()
            self.save_files()
            self.lose_a_server()
            self.regain_the_server()
            self.end()

    def configure(self) -> None:
        """Set the site up as any site does: with settings."""
        say("Three media servers, each a process with a directory of its own:")
        for server in self.servers:
            say(f"  {server.name}  {server.url}  {'plain HTTP' if server.plain else 'WebDAV'}")
        options = {"hosts": [server.url for server in self.servers], "transport": "webdav"}
        database = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(self.directory / "site.sqlite3")}
        settings.configure(
            INSTALLED_APPS=["resto"],
            DATABASES={"default": database},
            MEDIA_ROOT=str(self.master),
            STORAGES={"default": {"BACKEND": "resto.storage.HybridStorage", "OPTIONS": options}},
            RESTO_EXECUTOR=MeasuringExecutor,
            LOGGING={
                "version": 1,
                "handlers": {"demo": {"class": f"{__name__}.SayingHandler"}},
                "loggers": {"resto": {"handlers": ["demo"]}},
            },
        )
        django.setup()
        call_command("migrate", verbosity=0)
        say("", "The settings of the site:")
        say(f"  MEDIA_ROOT = {str(self.master)!r}")
        say('  STORAGES = {"default": {"BACKEND": "resto.storage.HybridStorage", "OPTIONS": {')
        say('      "hosts": [', *(f'          "{server.url}",' for server in self.servers), "      ],")
        say('      "transport": "webdav"}}}')
        say('  INSTALLED_APPS = ["resto"]')

    @property
    def storage(self) -> Any:
        """The storage that Django makes of the settings."""
        return storages["default"]

    def save(self, path: Path, name: str) -> list[str]:
        """Save a file as a site does, and return its row in the table."""
        size = path.stat().st_size
        if size > LARGE:
            say(f"  {path.name} has {size:,} bytes: it is written to the master copy, and sent to the hosts ...")
        with path.open("rb") as stream:
            saved = self.storage.save(f"demo/{name}", File(stream))
        self.saved.append(saved)
        return self.row(saved, self.storage.executor.seconds)

    def row(self, name: str, seconds: dict[str, float] | None = None) -> list[str]:
        """Return what the directories hold of a name, as a row of the table."""
        copies = [self.master, *(server.directory for server in self.servers)]
        cells = [_shorten(name), *(_describe_copy(directory / name, self.master / name) for directory in copies)]
        for position, server in enumerate(self.servers, 2):
            if seconds and server.url in seconds:
                cells[position] += f" {1000 * seconds[server.url]:5.1f} ms"
        return cells

    def show(self, rows: list[list[str]]) -> None:
        """Say a table of files and hosts."""
        headings = ["file", "master", *(server.name for server in self.servers)]
        columns = list(zip(headings, *rows, strict=True))
        widths = [max(_columns(cell) for cell in column) for column in columns]
        say("")
        for row in [headings, *rows]:
            first, *others = [
                " " * (width - _columns(cell)) + cell for cell, width in zip(row, [0, *widths[1:]], strict=True)
            ]
            padding = " " * (widths[0] - _columns(first))
            say("  " + "  ".join([first + padding, *others]))
        say("")

    def save_files(self) -> None:
        """The main job."""
        say("", "1. SAVE", "Bytes on the disk of each server, and the time until it had answered:")
        self.show([self.save(path, path.name) for path in self.files])
        if sum(path.stat().st_size for path in self.files) > LARGE:
            say("All copies are compared with the master copy ...")
        self.require(self.saved, self.servers)
        say("Every copy is the same as the master copy, byte for byte.")

    def lose_a_server(self) -> None:
        """What a save does when a host is down."""
        lost = self.servers[1]
        lost.stop()
        say("", f"2. A HOST IS DOWN: {lost.name} has been stopped")
        smallest = self.smallest()
        say("", "With RESTO_FATAL_EXCEPTIONS = True, the default, save() logs a line and raises ReplicationError:")
        try:
            self.save(smallest, "all-or-nothing.txt")
        except ReplicationError as error:
            say(f"    {error}.")
            say("The file is nowhere:")
            self.show([self.row(error.name)])
        say("With RESTO_FATAL_EXCEPTIONS = False, save() logs a line and succeeds:")
        with override_settings(RESTO_FATAL_EXCEPTIONS=False):
            self.show([self.save(smallest, "best-effort.txt")])
        self.require(self.saved[-1:], [server for server in self.servers if server is not lost])
        say("What it has missed is recorded:")
        self.manage("resto_status")

    def smallest(self) -> Path:
        """Return the file that costs least to be saved again."""
        return min(self.files, key=lambda path: path.stat().st_size)

    def regain_the_server(self) -> None:
        """What happens when the host is back."""
        back, missed = self.servers[1], self.saved[-1]
        back.start()
        say("", f"3. THE HOST IS BACK: {back.name} has been started again", "The next save reaches it:")
        self.show([self.row(missed), self.save(self.smallest(), "afterwards.txt")])
        say("It gets what it has missed from a process that runs all the time, or now and then:")
        self.manage("resto_drain")
        self.show([self.row(missed)])
        self.manage("resto_status")
        self.require(self.saved, self.servers)

    def end(self) -> None:
        """Say what is left."""
        if self.keeps:
            say(f"The files are in {self.directory}:")
            say("  " + ", ".join(["master (the master copy)", *(server.name for server in self.servers)]) + ".")
        else:
            say("All copies are removed; with --keep (make demo KEEP=1) they stay, to be looked at.")
        say("The servers are stopped. To save your own files: make demo FILES=\"photo.jpg 'my paper.pdf'\"")

    def manage(self, command: str) -> None:
        """Run a command of ``manage.py``, and show what it prints."""
        with StringIO() as output:
            # The status of a command is for monitoring.
            with suppress(SystemExit):
                call_command(command, stdout=output)
            say(f"    $ python manage.py {command}", *(f"    {line}" for line in output.getvalue().splitlines()), "")

    def require(self, names: Sequence[str], servers: Sequence[MediaServer]) -> None:
        """Make sure that servers have what the story says they have."""
        for server in servers:
            for name in names:
                if not _is_copy(server.directory / name, self.master / name):
                    raise OSError(f"{server.name} has no copy of {name}")


class SayingHandler(logging.Handler):
    """Shows what the site logs as a part of the story."""

    def emit(self, record: logging.LogRecord) -> None:
        say(f"    {record.levelname} {record.name}: {record.getMessage()}")


def main(arguments: list[str] | None = None) -> None:
    """Run the demo; it ends by itself.

    Args:
        arguments: The command line without the program's name; `sys.argv` if not given.
    """
    parser = argparse.ArgumentParser(prog="python -m resto.testing.demo", description="Show resto at work.")
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="what to save; samples if none are given")
    parser.add_argument("--keep", action="store_true", help="leave all copies in demo-files, to be looked at")
    chosen = parser.parse_args(arguments)
    files = chosen.files
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # it is a TextIOWrapper
    # Otherwise the servers would outlive a demo that is told to end.
    signal.signal(signal.SIGTERM, _end)
    try:
        for file in files:
            file.open("rb").close()
        with _kept() if chosen.keep else _removed() as directory:
            Demo(directory, files, keeps=chosen.keep).run()
    except (OSError, SuspiciousFileOperation) as error:
        sys.exit(f"The demo cannot go on: {_sentence(error)}")
    except KeyboardInterrupt:
        sys.exit(130)


# Whether the demo was told to end. What ends it is an exception, which may come where nobody lets it through.
_is_told_to_end = threading.Event()


def _end(*_: object) -> None:
    _is_told_to_end.set()
    sys.exit(1)


def say(*lines: str) -> None:
    """Print lines, wrapped if they are longer than a terminal is wide, with the indentation that they have."""
    if _is_told_to_end.is_set():
        sys.exit(1)
    for line in "\n".join(lines).split("\n"):
        if len(line) > WIDTH and line.startswith("    ") and " " in line.strip():
            line = "\n".join(textwrap.wrap(line, WIDTH, subsequent_indent="    ", break_long_words=False))
        sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


@contextmanager
def _kept() -> Iterator[Path]:
    yield _new_directory()


@contextmanager
def _removed() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="resto-demo-") as directory:
        try:
            yield Path(directory)
        finally:
            if apps.ready:
                connections.close_all()


def _new_directory() -> Path:
    """Create a directory for this run below the current one, or a temporary one if that is not possible."""
    number = 1
    while True:
        directory = Path("demo-files", f"run-{number}").absolute()
        try:
            directory.mkdir(parents=True)
        except FileExistsError:
            number += 1
        except OSError:
            return Path(tempfile.mkdtemp(prefix="resto-demo-"))
        else:
            return directory


def _create_samples(directory: Path) -> list[Path]:
    directory.mkdir()
    noise = random.Random(1)  # noqa: S311 - the same files every time
    for name, size in SAMPLES.items():
        (directory / name).write_bytes(noise.randbytes(size))
    return [directory / name for name in SAMPLES]


def _describe_copy(copy: Path, original: Path) -> str:
    if not copy.exists():
        return "missing" if original.exists() else "none"
    return f"{copy.stat().st_size:,}" if _is_copy(copy, original) else "DIFFERENT"


def _is_copy(copy: Path, original: Path) -> bool:
    return copy.exists() and filecmp.cmp(copy, original, shallow=False)


def _shorten(name: str) -> str:
    if len(name) <= NAME_WIDTH:
        return name
    half = (NAME_WIDTH - 3) // 2
    return f"{name[:half]}...{name[-half:]}"


def _columns(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    return len(text) + wide - sum(unicodedata.combining(character) > 0 for character in text)


def _sentence(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.filename}: {error.strerror.lower()}."
    return f"{error}."


if __name__ == "__main__":
    main()
