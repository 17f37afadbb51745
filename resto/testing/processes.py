"""Processes for demos: they can be stopped, frozen and started again, and end when this process does, however that ends."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit


if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


# Seconds for a process to end by itself.
PATIENCE = 10


class Process:
    """A Python module that is run by a process of its own. Threads may share it.

    Args:
        name: What people call it.
        *arguments: The module and its arguments.
        log: File that it writes to.
    """

    def __init__(self, name: str, *arguments: str, log: Path | None = None) -> None:
        self.name = name
        self.log = log
        self._arguments: Sequence[str] = arguments
        self._lock = threading.RLock()
        self._process: subprocess.Popen[str] | None = None
        self._is_frozen = False

    @property
    def state(self) -> str:
        """What it does: ``"running"``, ``"frozen"`` or ``"stopped"``."""
        with self._lock:
            if self._process is None or self._process.poll() is not None:
                return "stopped"
            return "frozen" if self._is_frozen else "running"

    def start(self) -> None:
        """Start it if it is stopped, and let it go on if it is frozen."""
        with self._lock:
            if self.state == "stopped":
                self.stop()
                self._process = self._spawn()
            elif self._process is not None:
                self._process.send_signal(signal.SIGCONT)
            self._is_frozen = False

    def freeze(self) -> None:
        """Let it do nothing from now on, if it runs: the kernel takes connections, and nobody answers."""
        with self._lock:
            if self._process is not None and self.state == "running":
                self._process.send_signal(signal.SIGSTOP)
                if sys.platform != "darwin":  # Python has it there since 3.13 only
                    # On a busy machine it answers one more request before the signal has come to it.
                    os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
                self._is_frozen = True

    def stop(self) -> None:
        """End it, if it runs or is frozen, and wait until it has ended."""
        with self._lock:
            if self._process is None:
                return
            # It ends with its input, too. Who is frozen cannot.
            with self._process as process:
                if self._is_frozen:
                    process.kill()
                process.terminate()
                try:
                    process.wait(PATIENCE)
                except subprocess.TimeoutExpired:
                    process.kill()
            self._process = None
            self._is_frozen = False

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def _spawn(self) -> subprocess.Popen[str]:
        output = subprocess.PIPE if self.log is None else self.log.open("a")
        command = [sys.executable, "-m", "resto.testing.child", *self._arguments]
        try:
            # Ctrl-C is for this process, which ends the others. A group of their own is also what makes the kernel wake and
            # end those that are frozen when this process is killed (POSIX, orphaned process groups).
            return subprocess.Popen(  # noqa: S603 - our own program
                command, stdin=subprocess.PIPE, stdout=output, stderr=self._errors, text=True, process_group=0
            )
        finally:
            if not isinstance(output, int):
                output.close()

    @property
    def _errors(self) -> int | None:
        return None if self.log is None else subprocess.STDOUT


class MediaServer(Process):
    """One media server: a process, and a directory.

    Args:
        directory: Where it keeps its files; its name is that of the server.
        plain: Speak plain HTTP instead of WebDAV.
    """

    def __init__(self, directory: Path, *, plain: bool = False) -> None:
        super().__init__(directory.name)
        self.directory = directory
        self.plain = plain
        self.url = ""

    def wipe(self) -> None:
        """Remove all that it has, whatever it does, as if it had got a new disk."""
        for path in self.directory.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)

    def _spawn(self) -> subprocess.Popen[str]:
        """Start it where it was before."""
        port = urlsplit(self.url).port or 0
        plain = ["--plain"] if self.plain else []
        self._arguments = ["resto.testing", "--root", str(self.directory), "--port", str(port), *plain]
        process = super()._spawn()
        assert process.stdout is not None  # noqa: S101 - it was asked for
        self.url = process.stdout.readline().strip()
        if not self.url:
            with process:
                process.kill()
            raise OSError(f"{self.name} does not start")
        return process
