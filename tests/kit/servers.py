"""Real media servers for the tests, started with the configuration files of docs/servers.

A pytest plugin: name it in the conftest with ``pytest_plugins = ["kit.servers"]``. Tests then ask ``media_servers(kind)`` for
a server that the whole session shares, or ``start_server(kind)`` for one of their own, which they may kill.
"""

import base64
import contextlib
import functools
import getpass
import grp
import hashlib
import http.client
import importlib.util
import os
import pwd
import re
import secrets
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Literal, NamedTuple, Protocol, Self

import pytest

from kit.kinds import BESIDES, DISGUISED, KINDS
from kit.other_kinds import NODE_MODULES, OTHERS


PLACEHOLDER = re.compile("@[A-Z_]+@")

ADDRESS = "127.0.0.1"
NOBODY = "127.255.255.254"  # an address of this machine at which nobody listens
USERNAME, PASSWORD, REALM = "media", "a pass:word with 100% colons", "media"
SECRET = "of-those-who-sign-and-those-who-look"
DEADLINE = 120.0  # seconds for a server to start, or to go away; a busy machine needs a few
REQUIRED = "RESTO_REQUIRE_SERVERS"

ALL_KINDS = KINDS | BESIDES | DISGUISED | OTHERS


@functools.cache
def available(kind: str) -> str | None:
    """Return None if this kind of server can run here, else the reason why not."""
    spec = ALL_KINDS[kind]
    if spec.behind and available(spec.behind):
        return available(spec.behind)
    program = shutil.which(spec.program, path=spec.path)
    if program is None:
        return f"{kind} needs {spec.package}: no {spec.program} in {spec.path}"
    missing = [name for name in spec.files if not [*Path(name).parent.glob(Path(name).name)]]
    if missing:
        return f"{kind} needs {spec.package}: no {', '.join(missing)}"
    if spec.wheel and importlib.util.find_spec(spec.wheel) is None:
        return f"{kind} needs {spec.package}"
    if spec.tls and importlib.util.find_spec("trustme") is None:
        return f"{kind} needs the wheel trustme"
    if spec.version:
        found = subprocess.run([program, "version"], capture_output=True, text=True, check=True).stdout
        if not found.startswith(spec.version):
            return f"{kind} needs {spec.package}: {program} is {found.splitlines()[0]}"
    return None


def require(kind: str) -> None:
    """Skip the test that needs this kind of server; fail it where all servers must be there."""
    reason = available(kind)
    if reason is not None and os.environ.get(REQUIRED) == "1":
        pytest.fail(f"{reason} ({REQUIRED} is set)")
    elif reason is not None:
        pytest.skip(reason)


class ServerError(Exception):
    """A media server did not start; the message ends with what it logged."""


class PortTakenError(ServerError):
    """Another program was faster to listen on the port."""


class Answer(NamedTuple):
    """What a server answered."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes


class MediaServer:
    """One media server with a folder, a port and log files of its own.

    ``stop``, ``kill`` and ``start`` may follow each other in any order: files, port and URL stay. ``close`` is the end.

    Args:
        kind: A key of ``ALL_KINDS``.
        edits: Pieces of the configuration file to replace; each must be there.
        placeholders: Values for the file's placeholders that differ from the usual: ``writers="192.0.2.1"``.
    """

    def __init__(self, kind: str, edits: Mapping[str, str] | None = None, **placeholders: str) -> None:
        self.name = kind
        self.kind = ALL_KINDS[kind]
        self.process: subprocess.Popen[bytes] | None = None
        self.port = 0
        self.folder = Path(tempfile.mkdtemp(prefix=f"resto-{kind}-"))
        self.folder.chmod(0o755)  # a server that is not root must reach what is inside
        self.behind = MediaServer(self.kind.behind) if self.kind.behind else None
        self.root = self.behind.root if self.behind else self.folder / "root"
        self.ca = self.folder / "ca.pem"  # for clients, to verify the server (TLS)
        self.client_certificate = self.folder / "client.pem"  # certificate and key in one file (TLS)
        self.credentials = (USERNAME, PASSWORD) if self.kind.auth else None
        self._edits = {**self.kind.edits, **(edits or {})}
        self._values = self._default_values() | {f"@{key.upper()}@": value for key, value in placeholders.items()}
        self.logs = Path(self._values["@LOGS@"])
        self._output = self.folder / "output.log"
        for name in ("@TMP@", "@LOGS@", "@RUN@"):
            Path(self._values[name]).mkdir(exist_ok=True)
        for path in (self.root, *(Path(fill_in(name, self._values)) for name in self.kind.own)):
            path.mkdir(exist_ok=True)
            self.give_to_server(path)
        if self.kind.tls:
            self._make_certificates()
        if self.kind.auth:
            self.use_passwords(self.kind.auth)

    @property
    def url(self) -> str:
        """The URL of the root, ending in ``/``."""
        return f"{'https' if self.kind.tls else 'http'}://{ADDRESS}:{self.port}/"

    @property
    def running(self) -> bool:
        """Whether the server was started, and neither stopped nor killed."""
        return self.process is not None

    # Life

    def start(self) -> Self:
        """Start, and return when the server answers."""
        if self.process is not None:
            msg = f"{self.name} is running"
            raise RuntimeError(msg)
        if self.behind and not self.behind.running:
            self.behind.start()
        if self.port:
            self._start()
            return self
        for attempts_left in (4, 3, 2, 1, 0):
            self.port = free_port()
            try:
                self._start()
            except PortTakenError:
                if not attempts_left:
                    raise
            else:
                break
        return self

    def stop(self) -> None:
        """Ask the server to stop (SIGTERM), and wait until it has."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self.kill()
        self._gone()

    def kill(self) -> None:
        """Kill the server and the processes that it started (SIGKILL), and wait until nothing listens."""
        if self.process is None:
            return
        self._kill_group(self.process)
        self._gone()

    def restart(self) -> Self:
        """Stop if necessary, then start on the same port with the same files."""
        self.stop()
        return self.start()

    def close(self) -> None:
        """Stop, and remove all files."""
        self.stop()
        if self.behind:
            self.behind.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self if self.running else self.start()

    def __exit__(self, *error: object) -> None:
        self.close()

    # Files and requests

    def request(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        timeout: float = 10.0,
        source: str = ADDRESS,
    ) -> Answer:
        """Send one request on a connection of its own; ``path`` is percent-encoded and starts with ``/``.

        Where the server wants Basic authentication, the request carries it. Digest is up to the caller. The request comes
        from the address ``source``.
        """
        with contextlib.closing(self._connection(timeout)) as connection:
            connection.source_address = (source, 0)
            connection.request(method, path, body, {**self._authorization(), **(headers or {})})
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())

    def write(self, name: str, content: bytes) -> Path:
        """Put a file on the disk behind the server's back, so that the server may change or delete it."""
        path = self.root / name
        for folder in reversed(path.relative_to(self.root).parents[:-1]):
            if not (self.root / folder).exists():
                (self.root / folder).mkdir()
                self.give_to_server(self.root / folder)
        path.write_bytes(content)
        self.give_to_server(path)
        return path

    def new_folder(self) -> tuple[str, Path]:
        """Make an empty folder, and return its URL (ending in ``/``) and its path: a test's own corner."""
        name = f"f{secrets.token_hex(6)}"
        if self.kind.program == "rclone":  # which does not notice at once what others do on its disk
            answer = self.request("MKCOL", f"/{name}/")
            if answer.status != http.HTTPStatus.CREATED:
                msg = f"MKCOL was answered with {answer.status}"
                raise ServerError(msg)
        else:
            (self.root / name).mkdir()
            self.give_to_server(self.root / name)
        return f"{self.url}{name}/", self.root / name

    def give_to_server(self, path: Path) -> None:
        """Make the user that the server runs as the owner of a file."""
        if (self.behind or self).kind.changes_user and os.geteuid() == 0:
            shutil.chown(path, *server_user())

    def log_tail(self, lines: int = 30) -> str:
        """Return the end of what the server printed and logged."""
        logs = [self._output, *sorted(self.logs.glob("*.log"))]
        return "\n".join(line for log in logs for line in log.read_text(errors="replace").splitlines()[-lines:])

    # Private

    def _start(self) -> None:
        for log in self.logs.glob("*.log"):
            log.unlink()  # what is read there must be about this start
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                self._command(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env=clean_environment(),
                start_new_session=True,  # a process group for kill(), and no Ctrl-C from the terminal
            )
        try:
            self._wait_until_ready(self.process)
        except BaseException:
            self._kill_group(self.process)
            self.process = None
            raise

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + DEADLINE
        while process.poll() is None and time.monotonic() < deadline:
            try:
                self.request("GET", "/", timeout=1)
            except (OSError, http.client.HTTPException):
                time.sleep(0.01)
                continue
            if not self._port_was_taken():  # else it is another program that answered
                return
            break
        problem = "did not answer" if process.poll() is None else f"ended with status {process.returncode}"
        error = PortTakenError if self._port_was_taken() else ServerError
        raise error(f"{self.name} on port {self.port} {problem}\n{self.log_tail()}")

    @staticmethod
    def _kill_group(process: subprocess.Popen[bytes]) -> None:
        if process.returncode is None:  # else the number may belong to somebody else by now
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def _port_was_taken(self) -> bool:
        return "address already in use" in self.log_tail().lower()

    def _gone(self) -> None:
        """Wait until nothing listens any more: workers may outlive the first process by a moment."""
        self.process = None
        deadline = time.monotonic() + DEADLINE
        while time.monotonic() < deadline:
            try:
                socket.create_connection((ADDRESS, self.port), timeout=1).close()
            except ConnectionRefusedError:
                return
            except OSError:
                pass
            time.sleep(0.005)
        msg = f"{self.name} still listens on port {self.port}"
        raise ServerError(msg)

    def _command(self) -> list[str]:
        program = shutil.which(self.kind.program, path=self.kind.path)
        if program is None:
            raise ServerError(available(self.name))
        config = self.folder / self.kind.config
        behind = str(self.behind.port if self.behind else 9)
        values = self._values | {
            "@PORT@": str(self.port),
            "@RCLONE@": program,
            "@CONFIG@": str(config),
            "@BEHIND@": f"{ADDRESS}:{behind}",
            "@BEHIND_PORT@": behind,
        }
        text = (self.kind.configs / self.kind.config).read_text(encoding="utf-8")
        config.write_text(fill_in(replace_each(text, self._edits), values), encoding="utf-8")
        for part in self.kind.parts:
            text = (self.kind.configs / part).read_text(encoding="utf-8")
            (self.folder / part).write_text(fill_in(text, values), encoding="utf-8")
        first = "/bin/sh" if self.kind.shell else program
        return [first, *(fill_in(argument, values) for argument in self.kind.command)]

    def _default_values(self) -> dict[str, str]:
        user, group = server_user()
        return {
            "@ROOT@": str(self.root),
            "@CONFIGS@": str(self.folder),
            "@TMP@": str(self.folder / "tmp"),
            "@LOGS@": str(self.folder / "logs"),
            "@RUN@": str(self.folder / "run"),
            "@ADDRESS@": ADDRESS,
            "@BEHIND_ADDRESS@": ADDRESS,
            "@NODE_MODULES@": str(NODE_MODULES),
            "@WRITERS@": ADDRESS,
            "@USER@": user,
            "@GROUP@": group,
            "@MODULES@": self.kind.modules,
            "@PASSWORDS@": str(self.folder / "passwords"),
            "@CERTIFICATE@": str(self.folder / "server.pem"),
            "@KEY@": str(self.folder / "server.key"),
            "@CLIENT_CA@": str(self.ca),
            **dict.fromkeys(("@FIRST@", "@SECOND@", "@THIRD@"), f"{NOBODY}:9"),
            "@OTHER_ADDRESS@": NOBODY,
            "@PRIVATE@": "/private/",
            "@SECRET_NAME@": "links-1",
            "@SECRET@": SECRET,
        }

    def _connection(self, timeout: float) -> http.client.HTTPConnection:
        if not self.kind.tls:
            return http.client.HTTPConnection(ADDRESS, self.port, timeout=timeout)
        context = ssl.create_default_context(cafile=self.ca)
        return http.client.HTTPSConnection(ADDRESS, self.port, timeout=timeout, context=context)

    def _authorization(self) -> dict[str, str]:
        if self.kind.auth != "basic":
            return {}
        return {"Authorization": "Basic " + base64.b64encode(f"{USERNAME}:{PASSWORD}".encode()).decode()}

    def _make_certificates(self) -> None:
        import trustme  # here, so that without it the other servers still run

        authority = trustme.CA()
        authority.cert_pem.write_to_path(self.ca)
        server = authority.issue_cert(ADDRESS, "localhost")
        server.cert_chain_pems[0].write_to_path(self._values["@CERTIFICATE@"])
        server.private_key_pem.write_to_path(self._values["@KEY@"])
        authority.issue_cert("application.example.com").private_key_and_cert_chain_pem.write_to_path(
            self.client_certificate
        )

    def use_passwords(self, auth: Literal["basic", "digest"]) -> None:
        if auth == "basic":  # as "htpasswd -s" does
            line = f"{USERNAME}:{{SHA}}{base64.b64encode(hashlib.sha1(PASSWORD.encode()).digest()).decode()}"
        else:  # as "htdigest" does
            line = f"{USERNAME}:{REALM}:{hashlib.md5(f'{USERNAME}:{REALM}:{PASSWORD}'.encode()).hexdigest()}"
        passwords = Path(self._values["@PASSWORDS@"])
        passwords.write_text(f"{line}\n", encoding="utf-8")
        self.give_to_server(passwords)


def fill_in(text: str, values: Mapping[str, str]) -> str:
    """Replace the placeholders in a configuration; an unknown one is a KeyError."""
    return PLACEHOLDER.sub(lambda match: values[match[0]], text)


def replace_each(text: str, edits: Mapping[str, str]) -> str:
    """Replace pieces of a configuration, and insist that they are there."""
    for old, new in edits.items():
        if old not in text:
            msg = f"the configuration has no {old!r}"
            raise ValueError(msg)
        text = text.replace(old, new)
    return text


def server_user() -> tuple[str, str]:
    """Return user and group for a server: servers refuse to be root, and ours should not be what the tests are."""
    if os.geteuid() != 0:
        with contextlib.suppress(KeyError):  # a container's user may have no name; only root's server needs one
            return getpass.getuser(), grp.getgrgid(os.getegid()).gr_name
        return "nobody", "nogroup"
    names = {entry.pw_name: entry for entry in pwd.getpwall()}
    user = names.get("www-data") or names["nobody"]
    return user.pw_name, grp.getgrgid(user.pw_gid).gr_name


_reserved: deque[socket.socket] = deque()


def free_port() -> int:
    """Return a loopback port on which nothing listens, and which no other process of tests gets meanwhile.

    Not one of those that the system gives to outgoing connections: while a server is down, a client could get its
    port, or connect to itself.
    """
    ports = range(10_000, first_outgoing_port()) or range(1)
    for _ in range(100):
        # Not "random", which pytest-randomly seeds: two test runs would want the same ports.
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind((ADDRESS, secrets.choice(ports)))
            port = int(probe.getsockname()[1])
            _reserve(port)
            return port
    msg = f"no free port in {ports}"
    raise ServerError(msg)


def _reserve(port: int) -> None:
    """Raise OSError if another process has got this port: its server may listen in a moment, and answer for that of this one."""
    if sys.platform != "linux":
        return
    name = socket.socket(socket.AF_UNIX)
    try:
        name.bind(f"\0resto-tests-{port}")  # without a file: it goes with the process
    except OSError:
        name.close()
        raise
    _reserved.append(name)
    if len(_reserved) > 100:
        _reserved.popleft().close()


def first_outgoing_port() -> int:
    """Return the lowest port that the system gives to outgoing connections."""
    try:
        return int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii").split()[0])
    except OSError:  # not Linux
        return 32_768


def clean_environment() -> dict[str, str]:
    """Return the environment without what would change a server's behaviour."""
    return {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "RCLONE_", "COVERAGE"))}


class StartServer(Protocol):
    """The type of the fixture ``start_server``."""

    def __call__(self, kind: str, edits: Mapping[str, str] | None = None, **placeholders: str) -> MediaServer: ...


@pytest.fixture(scope="session")
def media_servers() -> Iterator[Callable[[str], MediaServer]]:
    """A function: kind -> the session's server of that kind, started when first asked for.

    Shared: a test works in its own ``new_folder()``, and neither stops nor kills it.
    """
    servers: dict[str, MediaServer] = {}
    with contextlib.ExitStack() as stack:

        def get(kind: str) -> MediaServer:
            require(kind)
            if kind not in servers:
                servers[kind] = MediaServer(kind)
                stack.callback(servers[kind].close)
            server = servers[kind]
            return server if server.running else server.start()

        yield get


@pytest.fixture
def start_server() -> Iterator[StartServer]:
    """A function that starts a server for this test only; takes what ``MediaServer`` takes."""
    with contextlib.ExitStack() as stack:

        def start(kind: str, edits: Mapping[str, str] | None = None, **placeholders: str) -> MediaServer:
            require(kind)
            server = MediaServer(kind, edits, **placeholders)
            stack.callback(server.close)
            return server.start()

        yield start
