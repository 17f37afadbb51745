"""Three boxes, with one PostgreSQL: each has a site under gunicorn, a process that drains, an nginx, and a loopback address."""

import http.client
import json
import os
import shutil
import signal
import socket
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

from kit import forks
from kit.servers import ADDRESS, MediaServer, clean_environment
from sites.boxes.network import Network
from sites.workshop.site import files_below, wait_until


TESTS = Path(__file__).resolve().parents[2]
ADDRESSES = ["127.0.0.11", "127.0.0.12", "127.0.0.13"]

# Seconds that a look of each box at the record holds; one looks each time.
LAGS = [0, 0.5, 1]

# Seconds in which a site has answered, or never will: it may wait for hosts, and for the database.
PATIENCE = 30

# A fork, which gets the socket as its standard input.
GUNICORN = """
import os, sys
from gunicorn.app.wsgiapp import run

listener = os.dup(0)
with open(os.devnull) as nothing:
    os.dup2(nothing.fileno(), 0)
sys.argv = ["gunicorn", "-c", "python:sites.boxes.gunicorn_conf", "--bind", f"fd://{listener}", "sites.boxes.wsgi"]
run()
"""


class Box:
    """One machine. What is killed comes back with its files; what is cut off goes on alone.

    Attributes:
        number: Of the box, from 0 on.
        lag: Seconds by which its reads may lag.
        server: Its nginx.
        host: The gate before that: the address that hosts have in the settings.
        database: The gate to the database.
        changes: How often something has become of it.
    """

    def __init__(self, number, network, database, folder):
        self.number, self.lag, self._folder = number, LAGS[number], folder / f"box-{number}"
        self._folder.mkdir()
        self.server = MediaServer("nginx", writers="127.0.0.0/8").start()
        self.host = network.gate(ADDRESSES[number], (ADDRESS, self.server.port))
        self.database = network.gate(ADDRESSES[number], (database["HOST"], database["PORT"]))
        self.is_up, self.is_cut_off, self.changes = False, False, 0
        self._settings, self._processes, self._site = database, [], None

    def configure(self, hosts):
        """Let the site know all hosts, and which of them is near."""
        host, port = self.database.address
        options = {"connect_timeout": 5}
        config = {
            "hosts": hosts,
            "near": {self.host.url: str(self.server.root)},
            "lag": self.lag,
            "database": {**self._settings, "HOST": host, "PORT": port, "OPTIONS": options},
        }
        path = self._folder / "config.json"
        path.write_text(json.dumps(config))
        self._environment = clean_environment() | {
            "BOXES_CONFIG": str(path),
            "DJANGO_SETTINGS_MODULE": "sites.boxes.settings",
            "PYTHONPATH": str(TESTS),
            "TMPDIR": str(self._folder),
        }

    # Life.

    def start(self):
        """Start what the box runs."""
        if not self.server.running:
            self.server.start()
        with socket.create_server((ADDRESSES[self.number], 0), backlog=64) as listener:
            self._site = listener.getsockname()
            self._run(["-c", GUNICORN], listener)
        with open(os.devnull) as nothing:  # noqa: PTH123 - has a descriptor
            self._run(["-m", "django", "resto_drain", "--watch"], nothing)
        self.is_up = True

    def _run(self, arguments, stdin):
        with self.log.open("ab") as log:
            self._processes.append(forks.start(arguments, self._folder, self._environment, stdin, log, log))

    def kill(self):
        """Pull the plug."""
        self.is_up, self.changes = False, self.changes + 1
        for process in self._processes:
            os.killpg(process.pid, signal.SIGKILL)
        for process in self._processes:
            process.wait()
        self._processes = []
        self.server.kill()

    def cut_off(self):
        """Pull the cable: nobody reaches the host, and the box does not reach the database."""
        self.is_cut_off, self.changes = True, self.changes + 1
        self.host.cut()
        self.database.cut()

    def come_back(self):
        """Undo what has become of it."""
        if self.is_cut_off:
            self.host.heal()
            self.database.heal()
            self.is_cut_off = False
        if not self.is_up:
            self.start()

    @property
    def is_well(self):
        return self.is_up and not self.is_cut_off

    def close(self):
        self.kill()
        self.server.close()

    # What it is asked for.

    def manage(self, *arguments):
        """Run a command of ``manage.py``, and return its exit code and what it printed."""
        return forks.run(["-m", "django", *arguments], self._folder, self._environment, 2 * PATIENCE)

    def ask(self, action, name, body=None):
        """Ask the site; return status and body. Raises `OSError` if there is no answer."""
        connection = http.client.HTTPConnection(*self._site, timeout=PATIENCE)
        try:
            connection.request("GET" if body is None else "POST", f"/{action}/{name}", body)
            with connection.getresponse() as answer:
                return answer.status, answer.read()
        except http.client.HTTPException as error:
            raise ConnectionError(str(error)) from error
        finally:
            connection.close()

    @property
    def log(self):
        return self._folder / "box.log"

    def files(self):
        """Return the content of each file of the site that its host has, by name."""
        return files_below(self.server.root)


class Fleet:
    """The boxes, and their database."""

    def __init__(self, postgresql):
        self._stack, self._postgresql = ExitStack(), postgresql

    def __enter__(self):
        with ExitStack() as stack:
            folder = Path(tempfile.mkdtemp(prefix="resto-boxes-"))
            stack.callback(shutil.rmtree, folder)
            network = stack.enter_context(Network())
            self.database = self._postgresql.new_database()
            self.boxes = []
            for number in range(len(ADDRESSES)):
                self.boxes.append(Box(number, network, self.database, folder))
                stack.callback(self.boxes[-1].close)
            hosts = [box.host.url for box in self.boxes]
            assert [urlsplit(host).hostname for host in hosts] == ADDRESSES
            for box in self.boxes:
                box.configure(hosts)
            status, printed = self.boxes[0].manage("migrate", "--verbosity", "0")
            assert status == 0, printed
            for box in self.boxes:
                box.start()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exc_info):
        self._stack.close()

    def pending(self):
        """Return how many rows the record has."""
        options = {"host": self.database["HOST"], "port": self.database["PORT"], "user": self.database["USER"]}
        with psycopg.connect(dbname=self.database["NAME"], **options) as connection:
            return connection.execute("SELECT count(*) FROM resto_pending").fetchone()[0]

    def settle(self):
        """Wait until nothing is pending any more; each box drains what is not due yet, in turn."""
        printed = []

        def is_settled():
            box = self.boxes[len(printed) % len(self.boxes)]
            printed.append(box.manage("resto_drain", "--now"))
            return self.pending() == 0

        wait_until(is_settled, lambda: f"{printed[-3:]}\n{self.logs()}")
        return len(printed)

    def wait_until_ready(self):
        for box in self.boxes:
            wait_until(lambda box=box: _answers(box), self.logs)

    def logs(self):
        return "\n".join(box.log.read_text(errors="replace")[-3_000:] for box in self.boxes)


def _answers(box):
    try:
        return box.ask("read", "missing")[0] == 404
    except OSError:
        time.sleep(0.01)
        return False
