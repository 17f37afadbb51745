"""Runs the workshop: its storage in the process of the test, its workers in processes of their own."""

import base64
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path, PurePath
from typing import Any

from kit import forks
from kit.kinds import VENV_PROGRAMS
from kit.servers import clean_environment
from resto.names import is_temporary


TESTS = Path(__file__).resolve().parents[2]
PATIENCE = 300.0  # seconds until anything must have happened; a busy machine needs a few


class Worker:
    """A process of its own, with a log.

    Args:
        command: Program and arguments; ``python`` without a path is a fork of `kit.forks`.
        folder: Where it runs, and logs.
        environment: Of the process.
    """

    def __init__(self, command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
        self._log = Path(tempfile.mkstemp(dir=folder, suffix=".log")[1])
        self.process: subprocess.Popen[bytes] | forks.Fork
        with self._log.open("wb") as log, open(os.devnull) as nothing:  # noqa: PTH123 - has a descriptor
            if command[0] == "python":
                self.process = forks.start(command[1:], folder, environment, nothing, log, log)
                return
            self.process = subprocess.Popen(
                command,
                stdin=nothing,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env=environment,
                start_new_session=True,
            )

    @property
    def log(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")

    def wait_for(self, text: str) -> None:
        """Return when the worker has logged something."""
        wait_until(lambda: text in self.log or self.process.poll() is not None, lambda: self.log)
        assert text in self.log, self.log

    def children(self) -> list[int]:
        """Return the processes that the worker has started and that still run."""
        return [
            int(child)
            for child in Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        ]

    def kill(self) -> None:
        """Kill the worker and the processes that it started (SIGKILL)."""
        if self.process.returncode is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def stop(self) -> None:
        """Ask the worker to stop (SIGTERM), and wait until it has."""
        self.process.terminate()
        self.process.wait(PATIENCE)


class Clerk:
    """The process of a site that changes files, and hands jobs to the queue.

    Args:
        folder: Where it runs, and logs.
        environment: Of the process.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._log = folder / "clerk.log"
        self._calls, theirs = socket.socketpair()
        with theirs, self._log.open("wb") as log:
            self._process = forks.start(["-m", "sites.workshop.clerk"], folder, environment, theirs, theirs, log)
        self._answers = self._calls.makefile(encoding="utf-8")

    @property
    def log(self) -> str:
        return self._log.read_text(encoding="utf-8")

    def save(self, name: str, content: bytes) -> str:
        """Save a file, and return its name."""
        return str(self._call("save", name, base64.b64encode(content).decode()))

    def delete(self, name: str) -> None:
        """Delete a file."""
        self._call("delete", name)

    def send(self, message: Mapping[str, Any]) -> None:
        """Give a message to the queue that somebody has made by hand."""
        self._call("send", message)

    def _call(self, *call: Any) -> Any:
        self._calls.sendall(json.dumps(call).encode() + b"\n")
        answer = self._answers.readline()
        assert answer, self.log
        return json.loads(answer)

    def close(self) -> None:
        """Let the process end."""
        with self._answers, self._calls:
            self._calls.shutdown(socket.SHUT_WR)
            self._process.wait(PATIENCE)


class Workshop:
    """One site with a folder, a master copy, and hosts.

    Args:
        hosts: What ``RESTO_MEDIA_HOSTS`` is.
        options: Of the default storage, an `AsyncStorage`.
        apps: Further installed applications.
        backend: Class of the default storage.
        environment: Of workers.
        database: A database to begin with.
        **settings: Further settings; they can be written as JSON.
    """

    def __init__(
        self,
        hosts: Sequence[str],
        options: Mapping[str, Any] | None = None,
        apps: Sequence[str] = (),
        backend: str = "resto.storage.AsyncStorage",
        environment: Mapping[str, str] | None = None,
        database: Path | None = None,
        **settings: Any,
    ) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="resto-workshop-"))
        self.media = self.folder / "media"
        self.media.mkdir()
        self.settings = {
            "RESTO_MEDIA_HOSTS": list(hosts),
            "STORAGES": {"default": {"BACKEND": backend, "OPTIONS": dict(options or {})}},
            **settings,
        }
        self.workers: list[Worker] = []
        self._apps = list(apps)
        self._config = self.folder / "config.json"
        self.add_settings()
        if database is not None:
            shutil.copy(database, self.folder / "db.sqlite3")
        self._environment = clean_environment() | {
            "DJANGO_SETTINGS_MODULE": "sites.workshop.settings",
            "WORKSHOP_CONFIG": str(self._config),
            "PYTHONPATH": str(TESTS),
            "PYTHONUNBUFFERED": "1",
            **(environment or {}),
        }

    def add_settings(self, **settings: Any) -> None:
        """Let further settings hold in processes that start from now on."""
        self.settings |= settings
        config = {"folder": str(self.folder), "apps": self._apps, "settings": self.settings}
        self._config.write_text(json.dumps(config))

    def start(self, program: str, *arguments: str, ready: str) -> Worker:
        """Start a worker, and return when it has logged that it is ready.

        Args:
            program: ``python``, which is a fork; or one of the virtual environment.
            *arguments: Of the program.
            ready: What it logs then.
        """
        path = program if program == "python" else f"{VENV_PROGRAMS}/{program}"
        worker = Worker([path, *arguments], self.folder, self._environment)
        self.workers.append(worker)
        worker.wait_for(ready)
        return worker

    def rq(self, redis: str, queue: str = "default", *options: str, forked: bool = True) -> Worker:
        """Start a worker of rq; a fork has imported already what it needs."""
        program = _in_fork("rq") if forked else ["rq"]
        return self.start(*program, "worker", queue, "--url", redis, *options, ready="Listening on")

    def celery(self, *options: str, forked: bool = True) -> Worker:
        """Start a worker of Celery; a fork has imported already what it needs."""
        program = _in_fork("celery") if forked else ["celery"]
        return self.start(*program, "-A", "sites.workshop.celery", "worker", "-l", "INFO", *options, ready=" ready.")

    def manage(self, *arguments: str, ready: str) -> Worker:
        """Start a command of ``manage.py`` that goes on until it is stopped."""
        return self.start("python", "-m", "django", *arguments, ready=ready)

    def run(self, *arguments: str) -> str:
        """Run Python with the workshop's settings, and return what it printed."""
        status, printed = forks.run(arguments, self.folder, self._environment, PATIENCE)
        assert status == 0, printed
        return printed

    @cached_property
    def clerk(self) -> Clerk:
        """The process that changes files."""
        return Clerk(self.folder, self._environment)

    def pending(self) -> int:
        """Return how many rows the record has."""
        alias = self.settings.get("RESTO_DATABASE", "default")
        code = f"from resto.models import Pending; print(Pending.objects.using({alias!r}).count())"
        return int(self.run("-m", "django", "shell", "-v", "0", "-c", code))

    @property
    def log(self) -> str:
        """What all workers have logged."""
        return "\n".join(worker.log for worker in self.workers)

    def close(self) -> None:
        """Stop what runs, and remove all files."""
        if "clerk" in vars(self):
            self.clerk.close()
        for worker in self.workers:
            worker.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


def _in_fork(program: str) -> list[str]:
    """Return the command that runs a Python program of the virtual environment in a fork."""
    return ["python", f"{VENV_PROGRAMS}/{program}"]


def wait_until(condition: Callable[[], object], explanation: Callable[[], str] = lambda: "") -> None:
    """Wait until something in another process has happened."""
    deadline, pause = time.monotonic() + PATIENCE, 0.01
    while not condition():
        assert time.monotonic() < deadline, f"it did not happen in time\n{explanation()}"
        time.sleep(pause)
        pause = min(1.2 * pause, 0.1)  # who looks all the time takes the processor from what is waited for


def is_own(path: PurePath) -> bool:
    """Tell whether something is resto's own, or lies in a directory that is, such as what a killed process leaves of a trial."""
    return any(map(is_temporary, path.parts))


def held(server: Any) -> dict[str, bytes]:
    """Return what a test server has, by name, but for what is resto's own."""
    return {name: content for name, content in server.files.items() if not is_own(PurePath(name))}


def files_below(directory: Path) -> dict[str, bytes]:
    """Return the content of all complete files, by name."""
    found = {}
    for folder, _, names in os.walk(directory):  # which minds no directory that is gone in the meantime
        for path in map(Path(folder).joinpath, names):
            if not is_own(path.relative_to(directory)):
                with suppress(FileNotFoundError):  # nor does this mind such a file
                    found[path.relative_to(directory).as_posix()] = path.read_bytes()
    return found
