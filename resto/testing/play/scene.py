"""All that runs beside the site: the hosts, and the watching process."""

from __future__ import annotations

import secrets
import subprocess
import sys
import threading
from collections import deque
from typing import TYPE_CHECKING, NamedTuple, Self

from resto.testing.play.site import write_hosts
from resto.testing.processes import MediaServer, Process


if TYPE_CHECKING:
    from pathlib import Path


# Seconds for a command of manage.py.
PATIENCE = 60


class Told(NamedTuple):
    """What a command of ``manage.py`` has said."""

    command: str
    text: str


class Scene:
    """Three hosts, and a process that watches the record; from ``with`` on they run.

    Args:
        directory: Of the site, with all that belongs to it.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.token = secrets.token_urlsafe()
        self.hosts = [MediaServer(directory / f"media-{number}") for number in (1, 2, 3)]
        self.watcher = Process(
            "resto_drain --watch", *self._manage("resto_drain", "--watch"), log=directory / "watcher.log"
        )
        self.told: deque[Told] = deque(maxlen=3)
        self._one_command = threading.Lock()

    @property
    def processes(self) -> dict[str, Process]:
        """All that can be stopped and started, by name."""
        return {**{host.name: host for host in self.hosts}, "watcher": self.watcher}

    def manage(self, *arguments: str) -> None:
        """Run a command of ``manage.py``, as if somebody had typed it, and note what it says."""
        command = [sys.executable, "-m", *self._manage(*arguments)]
        with self._one_command:
            done = subprocess.run(  # noqa: S603 - our own program
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=PATIENCE,
                check=False,
            )
            self.told.append(Told(" ".join(["manage.py", *arguments]), done.stdout.strip()))

    def end(self) -> None:
        """End all processes; the second call does nothing."""
        for process in self.processes.values():
            process.stop()

    def __enter__(self) -> Self:
        try:
            for host in self.hosts:
                host.start()
        except OSError:
            self.end()
            raise
        write_hosts(self.directory, [host.url for host in self.hosts])
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.end()

    def _manage(self, *arguments: str) -> list[str]:
        return ["resto.testing.play.manage", str(self.directory), *arguments]
