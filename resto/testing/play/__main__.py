"""``python -m resto.testing.play [--port PORT]``: a site to play with, until Ctrl-C; nothing else is needed."""

from __future__ import annotations

import argparse
import signal
import socket
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import django
from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.core.handlers.wsgi import WSGIHandler
from django.core.management import call_command
from django.db import connections

from resto.testing.play.apps import PlayConfig
from resto.testing.play.scene import Scene
from resto.testing.play.server import Server
from resto.testing.play.site import configure


if TYPE_CHECKING:
    from collections.abc import Iterator


def main(arguments: list[str] | None = None) -> None:
    """Run the site until SIGINT, SIGTERM or SIGHUP, and remove all that belongs to it.

    Args:
        arguments: The command line without the program's name; `sys.argv` if not given.
    """
    parser = argparse.ArgumentParser(prog="python -m resto.testing.play", description="Run a site to play with.")
    parser.add_argument("--port", type=int, default=0, help="TCP port of the site; by default a free one")
    options = parser.parse_args(arguments)
    try:
        with (
            _alarm() as alarm,
            tempfile.TemporaryDirectory(prefix="resto-play-") as directory,
            running(Path(directory), options.port),
        ):
            alarm.recv(1)
    except OSError as error:
        sys.exit(f"The site cannot run: {(error.strerror or str(error)).lower()}.")


@contextmanager
def _alarm() -> Iterator[socket.socket]:
    """Yield what can be read from once somebody wants this process to end."""
    # An event would not do: nothing wakes who waits for it if the signal comes to another thread.
    alarm, bell = socket.socketpair()
    with alarm, bell:
        bell.settimeout(0)
        signal.set_wakeup_fd(bell.fileno())
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda *_: None)
        try:
            yield alarm
        finally:
            signal.set_wakeup_fd(-1)


@contextmanager
def running(directory: Path, port: int) -> Iterator[None]:
    """Run all that belongs to the site, and say where it is.

    Args:
        directory: A new one, for everything that is written.
        port: Of the site; 0 takes a free one.
    """
    with Scene(directory) as scene:
        configure(directory)
        django.setup()
        PlayConfig.scene = scene
        for alias in connections:
            call_command("migrate", database=alias, run_syncdb=True, verbosity=0)
        connections.close_all()
        with Server(port, StaticFilesHandler(WSGIHandler())) as server:
            scene.watcher.start()
            _say(directory, f"{server.url}enter/{scene.token}/")
            yield
            # Now, as requests that wait for hosts that are frozen would take their time.
            scene.end()


def _say(directory: Path, url: str) -> None:
    manage = f"{sys.executable} -m resto.testing.play.manage {directory}"
    lines = [
        "A site with three hosts, and a process that watches the record. Open this address in a browser; it logs you in:",
        "",
        f"    {url}",
        "",
        "What manage.py is for other sites:",
        "",
        f"    {manage} resto_status",
        "",
        "Ctrl-C ends all of it, and removes what was written.",
    ]
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


if __name__ == "__main__":
    main()
