"""Real brokers for the tests: Redis, and RabbitMQ; and real databases: PostgreSQL, and MariaDB.

A pytest plugin, as `servers`. The session shares one of each kind (``redis_server``, ``rabbitmq``); a test that stops its
broker starts one of its own (``start_redis``).
"""

import contextlib
import itertools
import os
import secrets
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import pymysql
import pytest
from celery import Celery, _state
from django.core.management import call_command
from django.db import connections

from kit.kinds import SYSTEM_PROGRAMS, VENV_PROGRAMS
from kit.servers import ADDRESS, REQUIRED, ServerError, clean_environment, free_port


RABBITMQ_PROGRAMS = "/usr/lib/rabbitmq/bin"  # Debian's /usr/sbin/rabbitmq-server insists on the user of its own
# Django asks for mysqlclient, which has no wheels for Linux: to install it takes a compiler.
pymysql.install_as_MySQLdb()

DEADLINE = 300.0  # seconds for a broker to start, or to go away; RabbitMQ takes ten on an idle machine


class Broker:
    """One broker with a folder and a port of its own.

    ``stop``, ``kill`` and ``start`` may follow each other in any order: what is queued, port and URL stay.
    """

    name = "broker"
    scheme = ""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=f"resto-{self.name}-"))
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self._output = self.folder / "output.log"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{ADDRESS}:{self.port}/"

    def command(self) -> list[str]:
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        return clean_environment()

    def answers(self) -> bool:
        raise NotImplementedError

    def start(self) -> Self:
        """Start, and return when the broker answers."""
        with self._output.open("ab") as output:
            self.process = subprocess.Popen(
                self.command(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env=self.environment(),
                start_new_session=True,
            )
        deadline = time.monotonic() + DEADLINE
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise ServerError(f"{self.name} did not start\n{self._output.read_text(errors='replace')[-3000:]}")
            time.sleep(0.02)
        return self

    def stop(self) -> None:
        """Ask the broker to stop (SIGTERM), and wait until it has."""
        if self.process is not None:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(DEADLINE)
            self.kill()

    def kill(self) -> None:
        """Kill the broker and the processes that it started (SIGKILL)."""
        process, self.process = self.process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def close(self) -> None:
        """Stop, and remove all files."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


class RedisServer(Broker):
    """Redis; what is in it survives that it is killed."""

    name = "redis"
    scheme = "redis"

    @staticmethod
    def program() -> str | None:
        return shutil.which("redis-server", path=os.pathsep.join([VENV_PROGRAMS, SYSTEM_PROGRAMS]))

    def command(self) -> list[str]:
        options = {"--bind": ADDRESS, "--port": str(self.port), "--appendonly": "yes", "--appendfsync": "no"}
        return [str(self.program()), *(word for pair in options.items() for word in pair)]

    def answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection((ADDRESS, self.port), timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")  # and not that it is still loading
        return False


class RabbitMQ(Broker):
    """RabbitMQ, with the process that tells its nodes where others are."""

    name = "rabbitmq"
    scheme = "amqp"

    def __init__(self) -> None:
        super().__init__()
        self._mapper_port, self._distribution_port = free_port(), free_port()
        self._node = f"resto{secrets.token_hex(4)}@localhost"
        (self.folder / "rabbitmq.conf").write_text("log.console = true\n", encoding="ascii")
        (self.folder / "plugins").write_text("[].", encoding="ascii")
        self._mapper = subprocess.Popen(
            [str(shutil.which("epmd", path=SYSTEM_PROGRAMS)), "-port", str(self._mapper_port), "-address", ADDRESS],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    @staticmethod
    def program() -> str | None:
        return shutil.which("rabbitmq-server", path=RABBITMQ_PROGRAMS)

    def command(self) -> list[str]:
        return [str(self.program())]

    def environment(self) -> dict[str, str]:
        return clean_environment() | {
            "HOME": str(self.folder),  # for the secret that nodes share
            "ERL_EPMD_PORT": str(self._mapper_port),
            "ERL_EPMD_ADDRESS": ADDRESS,
            "RABBITMQ_NODENAME": self._node,
            "RABBITMQ_NODE_IP_ADDRESS": ADDRESS,
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self._distribution_port),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "database"),
            "RABBITMQ_LOG_BASE": str(self.folder / "log"),
            "RABBITMQ_GENERATED_CONFIG_DIR": str(self.folder / "config"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "plugins"),
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": os.devnull,
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1} +sbwt none +sbwtdcpu none +sbwtdio none",
        }

    def answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection((ADDRESS, self.port), timeout=5) as connection:
            connection.sendall(b"AMQP\x00\x00\x09\x01")
            return connection.recv(1) == b"\x01"  # it begins to negotiate
        return False

    def close(self) -> None:
        super().close()
        self._mapper.kill()
        self._mapper.wait()


class PostgreSQL(Broker):
    """PostgreSQL, which is no broker, but is started as one."""

    name = "postgresql"

    def __init__(self) -> None:
        super().__init__()
        self._data = self.folder / "data"
        self._numbers = itertools.count()
        if os.geteuid() == 0:  # as whom it refuses to run
            shutil.chown(self.folder, "postgres", "postgres")
        self._run("initdb", "--pgdata", str(self._data), "--username", "postgres", "--auth", "trust", "--no-sync")

    @staticmethod
    def program(name: str = "postgres") -> str | None:
        folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
        return shutil.which(name, path=str(folders[-1])) if folders else None

    def command(self) -> list[str]:
        options = {
            "listen_addresses": ADDRESS,
            "unix_socket_directories": str(self.folder),
            "fsync": "off",
            "autovacuum": "off",  # what it sees in the middle of a test would decide how statements are carried out
            "dynamic_shared_memory_type": "mmap",  # files among the data, where nothing outlives them
        }
        settings = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        return [*self._as_user(), str(self.program()), "-D", str(self._data), "-p", str(self.port), *settings]

    def answers(self) -> bool:
        command = [str(self.program("pg_isready")), "-q", "-h", ADDRESS, "-p", str(self.port)]
        return subprocess.run(command, check=False).returncode == 0

    def kill(self) -> None:
        """Kill the server, and wait until its processes have noticed: before that it does not start again."""
        processes = [] if self.process is None else _children(self.process.pid)
        super().kill()
        for process in processes:
            select.select([process], [], [], DEADLINE)
            os.close(process)

    def close(self) -> None:
        self.kill()
        self._remove_shared_memory()
        super().close()

    def _remove_shared_memory(self) -> None:
        """Remove what marks the data as in use; a server that is killed leaves that to the next one that starts here."""
        file = self._data / "postmaster.pid"
        lines = file.read_text().splitlines() if file.exists() else []
        if len(lines) > 6:  # else it was not started, or has ended by itself
            _key, segment = lines[6].split()
            subprocess.run(["ipcrm", "--shmem-id", segment], check=True)

    def new_database(self) -> dict[str, Any]:
        """Make a database, and return what Django's setting says of it."""
        name = f"resto{next(self._numbers)}"
        self._run("createdb", "-h", ADDRESS, "-p", str(self.port), "-U", "postgres", name)
        return {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": name,
            "USER": "postgres",
            "HOST": ADDRESS,
            "PORT": self.port,
        }

    def _run(self, program: str, *arguments: str) -> None:
        command = [*self._as_user(), str(self.program(program)), *arguments]
        subprocess.run(command, check=True, capture_output=True, cwd=self.folder)

    @staticmethod
    def _as_user() -> list[str]:
        if os.geteuid() != 0:
            return []
        return ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups", "--"]


def _children(pid: int) -> list[int]:
    """Return what becomes readable when a child of a process ends, for each that is there."""
    found = []
    with contextlib.suppress(FileNotFoundError):
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            with contextlib.suppress(ProcessLookupError):
                found.append(os.pidfd_open(int(child)))
    return found


class MariaDB(Broker):
    """MariaDB, the MySQL that Debian has."""

    name = "mariadb"

    def __init__(self) -> None:
        super().__init__()
        self._numbers = itertools.count()
        self._options = [f"--datadir={self.folder / 'data'}"]
        if os.geteuid() == 0:  # as whom it refuses to run
            shutil.chown(self.folder, "mysql", "mysql")
            self._options.append("--user=mysql")
        command = [str(self.program("mariadb-install-db")), "--no-defaults", "--auth-root-authentication-method=normal"]
        subprocess.run([*command, "--skip-test-db", *self._options], check=True, capture_output=True)

    @staticmethod
    def program(name: str = "mariadbd") -> str | None:
        return shutil.which(name, path=SYSTEM_PROGRAMS)

    def command(self) -> list[str]:
        network = [f"--bind-address={ADDRESS}", f"--port={self.port}", f"--socket={self.folder / 'socket'}"]
        innodb = ["--innodb-flush-log-at-trx-commit=2", "--innodb-use-native-aio=0", "--innodb-flush-method=fsync"]
        return [str(self.program()), "--no-defaults", *self._options, *network, *innodb]

    def answers(self) -> bool:
        return subprocess.run(self._client("mariadb-admin", "ping"), check=False, capture_output=True).returncode == 0

    def new_database(self) -> dict[str, Any]:
        """Make a database, and return what Django's setting says of it."""
        name = f"resto{next(self._numbers)}"
        subprocess.run(self._client("mariadb", "--execute", f"CREATE DATABASE {name}"), check=True)
        return {
            "ENGINE": "django.db.backends.mysql",
            "NAME": name,
            "USER": "root",
            "HOST": ADDRESS,
            "PORT": self.port,
        }

    def _client(self, program: str, *arguments: str) -> list[str]:
        options = ["--no-defaults", f"--host={ADDRESS}", f"--port={self.port}", "--user=root"]
        return [str(self.program(program)), *options, *arguments]


def require(kind: type[RedisServer] | type[RabbitMQ] | type[PostgreSQL] | type[MariaDB]) -> None:
    """Skip the test that needs this program; fail it where all of them must be there."""
    if kind.program() is None:
        package = kind.name if kind is PostgreSQL else f"{kind.name}-server"
        reason = f"needs {kind.name}: Debian's {package}"
        if os.environ.get(REQUIRED) == "1":
            pytest.fail(f"{reason} ({REQUIRED} is set)")
        pytest.skip(reason)


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """The session's Redis; a test uses queues with names of its own."""
    require(RedisServer)
    server = RedisServer()
    try:
        yield server.start()
    finally:
        server.close()


@pytest.fixture
def start_redis() -> Iterator[Callable[[], RedisServer]]:
    """A function that starts a Redis for this test only."""
    require(RedisServer)
    with contextlib.ExitStack() as stack:

        def start() -> RedisServer:
            server = RedisServer()
            stack.callback(server.close)
            return server.start()

        yield start


@pytest.fixture
def configure_django_rq(settings, monkeypatch):
    """A function that sets ``RQ_QUEUES``, which django-rq reads when it is imported."""

    def configure(queues: dict[str, Any]) -> None:
        settings.RQ_QUEUES = queues
        import django_rq.settings

        monkeypatch.setattr(django_rq.settings, "QUEUES", queues)

    return configure


@pytest.fixture
def make_celery_app(monkeypatch) -> Iterator[Callable[..., Celery]]:
    """A function that makes the app of this process, for all its threads, until the test ends."""
    with contextlib.ExitStack() as apps:

        def make(broker: str, **options: Any) -> Celery:
            app = apps.enter_context(Celery("site", broker=broker, set_as_current=False, **options))
            monkeypatch.setattr(_state, "default_app", app)
            return app

        yield make


@pytest.fixture(scope="session")
def rabbitmq() -> Iterator[RabbitMQ]:
    """The session's RabbitMQ; a test that stops it starts it again."""
    require(RabbitMQ)
    server = RabbitMQ()
    try:
        yield server.start()
    finally:
        server.close()


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """The session's PostgreSQL; a test makes a database of its own."""
    require(PostgreSQL)
    server = PostgreSQL()
    try:
        yield server.start()
    finally:
        server.close()


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaDB]:
    """The session's MariaDB; a test makes a database of its own."""
    require(MariaDB)
    server = MariaDB()
    try:
        yield server.start()
    finally:
        server.close()


@pytest.fixture(scope="session")
def new_database(request: pytest.FixtureRequest) -> Callable[[str], dict[str, Any]]:
    """A function that makes a database on a server, and returns what Django's setting says of it."""

    def make(kind: str) -> dict[str, Any]:
        return dict(request.getfixturevalue(kind).new_database())

    return make


@contextlib.contextmanager
def default_database(setting: dict[str, Any]) -> Iterator[None]:
    """Let Django's default database be another one, meanwhile."""
    usual_setting, usual = connections.settings["default"], connections["default"]
    try:
        with database_as("default", setting):
            yield
    finally:
        connections.settings["default"], connections["default"] = usual_setting, usual


@contextlib.contextmanager
def database_as(alias: str, setting: dict[str, Any]) -> Iterator[None]:
    """Let Django have a database of that alias, meanwhile."""
    connections.settings[alias] = connections.configure_settings({"default": {}, alias: setting})[alias]
    connections[alias] = connections.create_connection(alias)
    try:
        yield
    finally:
        connections[alias].close()
        del connections.settings[alias], connections[alias]


@pytest.fixture(scope="module", params=["sqlite", "postgresql", "mariadb"])
def database(
    request: pytest.FixtureRequest,
    django_db_setup: None,
    django_db_blocker: Any,
    new_database: Callable[[str], dict[str, Any]],
) -> Iterator[None]:
    """Each kind of database in turn is the default one."""
    if request.param == "sqlite":
        yield
        return
    with django_db_blocker.unblock(), default_database(new_database(request.param)):
        call_command("migrate", verbosity=0)
        with django_db_blocker.block():
            yield
