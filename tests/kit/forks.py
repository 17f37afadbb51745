"""Python processes that are forks of one which has imported what most of them need: else that is most of what they do.

`start` takes what stands after ``python`` on a command line, and returns what `subprocess.Popen` would, as far as tests need
it. The environment holds from the fork on: what Python itself reads when it starts (``PYTHONPATH``) is that of `SEARCHED`.
"""

import atexit
import contextlib
import functools
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kit.servers import clean_environment


SEARCHED = Path(__file__).resolve().parents[1]
IMPORTED = (
    "PIL.Image",
    "celery.app.amqp",
    "celery.app.base",
    "django.contrib.staticfiles.storage",
    "django.core.files.storage",
    "django.core.management.commands.migrate",
    "django.db.backends.sqlite3.base",
    "django.forms",
    "django.template",
    "django.test",
    "django.views",
    "kombu.transport.pyamqp",
    "kombu.transport.redis",
    "pymysql",
    "psycopg",
    "redis",
    "requests",
    "rq",
    "resto.executors.rq",
    "resto.executors.thread",
    "resto.repair.drain",
    "resto.storage",
    "resto.transports.webdav",
)
LARGEST = 100_000  # bytes of a request


class Fork:
    """A process that was forked.

    Its number is its own until somebody has been told that it has ended, as with `subprocess.Popen`.
    """

    def __init__(self, channel: socket.socket) -> None:
        self.returncode: int | None = None
        self._channel = channel
        self.pid = int(channel.recv(100))

    def poll(self) -> int | None:
        """Return its status, or None if it still runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it has ended, and return its status: the negative number of the signal that has killed it."""
        if self.returncode is None:
            if not select.select([self._channel], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(["python"], timeout or 0)
            with self._channel:
                self.returncode = int(self._channel.recv(100))
        return self.returncode

    def terminate(self) -> None:
        """Ask it to stop (SIGTERM)."""
        if self.poll() is None:
            os.kill(self.pid, signal.SIGTERM)


def start(
    arguments: Sequence[str], folder: Path, environment: Mapping[str, str], stdin: Any, stdout: Any, stderr: Any
) -> Fork:
    """Start a process in a session of its own.

    Args:
        arguments: ``-m``, a module and its arguments, or ``-c``, a program and its arguments.
        folder: Where it runs.
        environment: All of its variables.
        stdin: What has a file descriptor; so have the other two.
        stdout: Where it prints.
        stderr: Where it complains.
    """
    request = {"arguments": list(arguments), "folder": str(folder), "environment": dict(environment)}
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        files = [theirs.fileno(), *(stream.fileno() for stream in (stdin, stdout, stderr))]
        socket.send_fds(_server(), [json.dumps(request).encode()], files)
    return Fork(ours)


def run(arguments: Sequence[str], folder: Path, environment: Mapping[str, str], patience: float) -> tuple[int, str]:
    """Run a process to its end; return its status, and all that it has printed."""
    with tempfile.TemporaryFile() as printed, open(os.devnull) as nothing:  # noqa: PTH123 - has a descriptor
        process = start(arguments, folder, environment, nothing, printed, printed)
        try:
            status = process.wait(patience)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
        printed.seek(0)
        return status, printed.read().decode(errors="replace")


@functools.cache
def _server() -> socket.socket:
    """Start the process that forks; return where it takes requests. It ends when nobody can make any."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-m", "kit.forks", str(theirs.fileno())],
            stdin=subprocess.DEVNULL,
            env=clean_environment() | {"PYTHONPATH": str(SEARCHED), "PYTHONUNBUFFERED": "1"},
            pass_fds=[theirs.fileno()],
            start_new_session=True,
        )

    def close() -> None:
        ours.close()
        process.wait()

    atexit.register(close)
    return ours


# In the process that forks.


class _Children:
    """Those that run, and those of which nobody has read yet that they have ended."""

    def __init__(self) -> None:
        self.running: dict[int, tuple[int, socket.socket]] = {}  # by file descriptors of processes
        self.ended: dict[socket.socket, int] = {}

    def add(self, pid: int, channel: socket.socket) -> None:
        self.running[os.pidfd_open(pid)] = pid, channel

    def tell(self, process: int) -> None:
        """Tell that a process has ended, and let it keep its number."""
        pid, channel = self.running.pop(process)
        os.close(process)
        found = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        assert found is not None
        status = found.si_status if found.si_code == os.CLD_EXITED else -found.si_status
        with contextlib.suppress(BrokenPipeError):
            channel.send(str(status).encode())
        self.ended[channel] = pid

    def forget(self, channel: socket.socket) -> None:
        os.waitpid(self.ended.pop(channel), 0)
        channel.close()

    def close(self) -> None:
        """Leave them to the process that has started them."""
        for process, (_, channel) in self.running.items():
            os.close(process)
            channel.close()
        for channel in self.ended:
            channel.close()


def _serve(requests: socket.socket) -> list[str]:
    """Fork until nobody asks for it any more; return in the fork, with what it has to do."""
    children = _Children()
    while True:
        ready, _, _ = select.select([requests, *children.running, *children.ended], [], [])
        for found in ready:
            if found in children.running:
                children.tell(found)
            elif found in children.ended:
                children.forget(found)
            elif (arguments := _fork(requests, children)) is not None:
                return arguments


def _fork(requests: socket.socket, children: _Children) -> list[str] | None:
    """Take a request, and fork; return the arguments in the fork."""
    message, files, _, _ = socket.recv_fds(requests, LARGEST, 4)
    if not message:
        raise SystemExit
    channel = socket.socket(fileno=files.pop(0))
    pid = os.fork()
    if pid:
        children.add(pid, channel)
        for file in files:
            os.close(file)
        return None
    children.close()
    with channel:
        os.setsid()
        channel.send(str(os.getpid()).encode())  # not before one can kill it with its children
    return _become(json.loads(message), files)


def _become(request: dict[str, Any], files: list[int]) -> list[str]:
    """Make this process what was asked for; return its arguments."""
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.path[0] = request["folder"]
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    return list(request["arguments"])


def _run(arguments: list[str]) -> None:
    """Do what ``python`` does with these arguments."""
    option, what, *sys.argv[1:] = arguments
    if option == "-m":
        runpy.run_module(what, run_name="__main__", alter_sys=True)
    else:
        sys.argv[0] = option
        exec(compile(what, "<string>", "exec"), {"__name__": "__main__"})


def _main() -> None:
    for name in IMPORTED:
        importlib.import_module(name)
    gc.freeze()  # else each fork copies the memory of all objects
    with socket.socket(fileno=int(sys.argv[1])) as requests:
        arguments = _serve(requests)
    _run(arguments)


if __name__ == "__main__":
    _main()
