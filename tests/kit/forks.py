"""Python processes that are forks of one which has imported what most of them need: else that is most of what they do.

`start` takes what stands after ``python`` on a command line, and returns what `subprocess.Popen` would, as far as tests need
it; `write_python` writes a program that does the same for shells, and `python` is such a program. What Python itself reads from
its environment when it starts does not count, but for ``PYTHONPATH``; nor do its options, but for ``-W`` and one word.
"""

import atexit
import contextlib
import errno
import functools
import gc
import importlib
import io
import json
import os
import runpy
import secrets
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, cast

from kit.servers import clean_environment


TESTS = Path(__file__).resolve().parents[1]
IMPORTED = (
    "PIL.Image",
    "PIL.ImageOps",
    "celery.app.amqp",
    "celery.app.base",
    "celery.app.events",
    "celery.apps.worker",
    "celery.bin.celery",
    "celery.concurrency.prefork",
    "celery.concurrency.solo",
    "celery.contrib.django.task",
    "celery.fixups.django",
    "django.contrib.admin.apps",
    "django.contrib.admin.migrations.0003_logentry_add_action_flag_choices",
    "django.contrib.admin.templatetags.admin_list",
    "django.contrib.admin.templatetags.admin_modify",
    "django.contrib.admin.templatetags.log",
    "django.contrib.admin.views.main",
    "django.contrib.auth.apps",
    "django.contrib.auth.context_processors",
    "django.contrib.auth.tokens",
    "django.contrib.contenttypes.apps",
    "django.contrib.messages.apps",
    "django.contrib.messages.context_processors",
    "django.contrib.messages.middleware",
    "django.contrib.messages.storage.fallback",
    "django.contrib.messages.views",
    "django.contrib.sessions.apps",
    "django.contrib.sessions.backends.db",
    "django.contrib.sessions.middleware",
    "django.contrib.sitemaps",
    "django.contrib.staticfiles.apps",
    "django.contrib.staticfiles.storage",
    "django.contrib.syndication.views",
    "django.core.cache.backends.locmem",
    "django.core.files.storage",
    "django.core.management.commands.makemigrations",
    "django.core.management.commands.migrate",
    "django.core.management.commands.shell",
    "django.db.backends.postgresql.base",
    "django.db.backends.sqlite3.base",
    "django.db.models.sql.compiler",
    "django.forms",
    "django.middleware.clickjacking",
    "django.middleware.common",
    "django.middleware.csrf",
    "django.middleware.security",
    "django.template",
    "django.template.context_processors",
    "django.template.loaders.app_directories",
    "django.template.loaders.cached",
    "django.test",
    "django.utils.translation.reloader",
    "django.views",
    "django.views.csrf",
    "django.views.defaults",
    "gunicorn.app.wsgiapp",
    "gunicorn.glogging",
    "gunicorn.workers.gthread",
    "kombu.transport.pyamqp",
    "kombu.transport.redis",
    "psycopg",
    "pymysql",
    "redis",
    "requests",
    "resto.apps",
    "resto.executors.celery",
    "resto.executors.rq",
    "resto.executors.tasks",
    "resto.executors.thread",
    "resto.management.commands.resto_drain",
    "resto.management.commands.resto_status",
    "resto.management.commands.resto_sync",
    "resto.migrations.0004_host",
    "resto.repair.drain",
    "resto.storage",
    "resto.transports.webdav",
    "rq.cli",
    "rq.scheduler",
    "tracemalloc",
)
LARGEST = 100_000  # bytes of a request
STAY = b"stay"  # as long as the connection over which this comes


class Fork:
    """A process that was forked.

    Its number is its own until somebody has been told that it has ended, as with `subprocess.Popen`.
    """

    def __init__(self, channel: socket.socket) -> None:
        self.returncode: int | None = None
        self._channel = channel
        self.pid = int(channel.recv(100))

    def has_ended(self) -> bool:
        """Tell whether it has ended, and let it keep its number."""
        return self.returncode is not None or bool(select.select([self._channel], [], [], 0)[0])

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
        arguments: Of ``python``: ``-m`` and a module, ``-c`` and a program, or a file; and what these take.
        folder: Where it runs.
        environment: All of its variables.
        stdin: What has a file descriptor; so have the other two.
        stdout: Where it prints.
        stderr: Where it complains.
    """
    request = {"arguments": list(arguments), "folder": str(folder), "environment": dict(environment)}
    channel = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    channel.connect(_address())
    files = [stream.fileno() for stream in (stdin, stdout, stderr)]
    socket.send_fds(channel, [json.dumps(request).encode()], files)
    return Fork(channel)


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


PYTHON = """#!{python} -IS
import json, os, signal, socket, sys
if sys.argv[1] not in ("-c", "-m", "-W") and not os.path.isfile(sys.argv[1]):
    os.execv({python!r}, sys.argv)
request = {{"arguments": sys.argv[1:], "folder": os.getcwd(), "environment": dict(os.environ)}}
with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as channel:
    channel.connect({address!r})
    socket.send_fds(channel, [json.dumps(request).encode()], [0, 1, 2])
    number = int(channel.recv(100))
    for passed_on in (signal.SIGINT, signal.SIGTERM):
        signal.signal(passed_on, lambda signum, frame: os.kill(number, signum))
    status = int(channel.recv(100))
    for passed_on in (signal.SIGINT, signal.SIGTERM):
        signal.signal(passed_on, signal.SIG_IGN)
    sys.exit(status)
"""


def write_python(path: Path) -> None:
    """Write a program that does what ``python`` does, in a fork: it passes signals on, and one that is killed takes it along."""
    path.write_text(PYTHON.format(python=sys.executable, address=_address()))
    path.chmod(0o755)


@functools.cache
def python() -> str:
    """Return the path of such a program, which stays as long as this process."""
    folder = Path(tempfile.mkdtemp(prefix="resto-python-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    write_python(folder / "python")
    return str(folder / "python")


@functools.cache
def _address() -> str:
    """Return where a process that forks takes requests: one for all processes of xdist, which ends when they have."""
    address = f"\0resto-forks-{os.environ.get('PYTEST_XDIST_TESTRUNUID') or secrets.token_hex(8)}"  # no file
    user = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    while True:
        process = _start_at(address)
        with contextlib.suppress(ConnectionRefusedError):  # it has just ended
            user.connect(address)
            user.send(STAY)
            break
    atexit.register(_leave, user, process)
    return address


def _start_at(address: str) -> subprocess.Popen[bytes] | None:
    """Start the process that forks; return None if there is one."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        try:
            listener.bind(address)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            return None
        listener.listen()
        return subprocess.Popen(
            [sys.executable, "-m", "kit.forks", str(listener.fileno())],
            stdin=subprocess.DEVNULL,
            env=clean_environment() | {"PYTHONPATH": str(TESTS), "PYTHONUNBUFFERED": "1"},
            pass_fds=[listener.fileno()],
            start_new_session=True,
        )


def _leave(user: socket.socket, process: subprocess.Popen[bytes] | None) -> None:
    """Use it no more; whoever has started it waits until nobody else does either."""
    user.close()
    if process is not None:
        process.wait()


# In the process that forks.


class _Children:
    """Those that run, and those of which nobody has read yet that they have ended."""

    def __init__(self) -> None:
        self._running: dict[int, socket.socket] = {}  # by the descriptors of processes
        self._numbers: dict[socket.socket, int] = {}

    def readable(self) -> list[Any]:
        return [*self._running, *self._numbers]

    def add(self, pid: int, channel: socket.socket) -> None:
        self._numbers[channel] = pid
        self._running[os.pidfd_open(pid)] = channel

    def look(self, found: Any) -> None:
        """A process has ended, or nobody wants to know of it any more."""
        if found in self._running:
            self._tell(found)
        elif found in self._running.values():
            with contextlib.suppress(ProcessLookupError):  # it has not come as far as to have a group
                os.killpg(self._numbers[found], signal.SIGKILL)
        elif found in self._numbers:
            os.waitpid(self._numbers.pop(found), 0)
            found.close()

    def _tell(self, process: int) -> None:
        """Tell that a process has ended, and let it keep its number until that is known."""
        channel = self._running.pop(process)
        os.close(process)
        found = os.waitid(os.P_PID, self._numbers[channel], os.WEXITED | os.WNOWAIT)
        assert found is not None
        status = found.si_status if found.si_code == os.CLD_EXITED else -found.si_status
        with contextlib.suppress(BrokenPipeError):
            channel.send(str(status).encode())

    def close(self) -> None:
        """Leave them to the process that has started them."""
        for process in self._running:
            os.close(process)
        for channel in self._numbers:
            channel.close()


def _serve(listener: socket.socket) -> list[str]:
    """Fork until nobody can ask for it any more; return in the fork, with what it has to do."""
    children, users = _Children(), set[socket.socket]()
    while True:
        ready, _, _ = select.select([listener, *users, *children.readable()], [], [])
        for found in ready:
            if found in users:
                users.remove(found)
                found.close()
                if not users:
                    raise SystemExit
            elif found is not listener:
                children.look(found)
            elif (arguments := _fork(listener.accept()[0], children, users)) is not None:
                return arguments


def _fork(channel: socket.socket, children: _Children, users: set[socket.socket]) -> list[str] | None:
    """Read a request, and fork; return the arguments in the fork."""
    message, files, _, _ = socket.recv_fds(channel, LARGEST, 3)
    if message == STAY:
        users.add(channel)
        return None
    pid = os.fork()
    if pid:
        children.add(pid, channel)
        for file in files:
            os.close(file)
        return None
    children.close()
    for user in users:
        user.close()
    with channel:
        os.setsid()
        channel.send(str(os.getpid()).encode())  # not before one can kill it with its children
    return _become(json.loads(message), files)


def _become(request: dict[str, Any], files: list[int]) -> list[str]:
    """Make this process what was asked for; return its arguments."""
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.path[:2] = [request["folder"], *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    # These may be pipes where those before were files.
    sys.stdin = io.TextIOWrapper(io.BufferedReader(io.FileIO(0, closefd=False)), encoding="utf-8")
    sys.stdout, sys.stderr = _unbuffered(1, "strict"), _unbuffered(2, "backslashreplace")
    return list(request["arguments"])


def _unbuffered(number: int, errors: str) -> io.TextIOWrapper:
    file = cast("BinaryIO", io.FileIO(number, "w", closefd=False))
    return io.TextIOWrapper(file, encoding="utf-8", errors=errors, write_through=True)


def _run(arguments: list[str]) -> None:
    """Do what ``python`` does with these arguments."""
    if arguments[0] == "-W":
        warnings.simplefilter(arguments[1])  # type: ignore[arg-type]
        arguments = arguments[2:]
    if arguments[0] == "-m":
        sys.argv[1:] = arguments[2:]
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    elif arguments[0] == "-c":
        sys.argv[:] = ["-c", *arguments[2:]]
        exec(compile(arguments[1], "<string>", "exec"), {"__name__": "__main__"})
    else:
        sys.argv[:] = arguments
        sys.path[0] = str(Path(arguments[0]).parent.absolute())
        runpy.run_path(arguments[0], run_name="__main__")


def _main() -> None:
    assert sys.path[1] == str(TESTS)
    for name in IMPORTED:
        importlib.import_module(name)
    gc.freeze()  # else each fork copies the memory of all objects
    with socket.socket(fileno=int(sys.argv[1])) as listener:
        arguments = _serve(listener)
    _run(arguments)


if __name__ == "__main__":
    _main()
