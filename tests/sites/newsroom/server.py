"""Runs the newsroom as its operators would: under gunicorn, in processes of its own."""

import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import sqlite3
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self
from urllib.parse import urljoin

import requests

from kit import forks
from kit.servers import ADDRESS, clean_environment
from sites.newsroom import gunicorn_conf


TESTS = Path(__file__).resolve().parents[2]
EDITOR = ("editor", "editor@example.com", "a pass for the newsroom")
DEADLINE = 120.0  # seconds until anything must have happened; a busy machine needs a few
# A fork, which gets the socket as its standard input.
GUNICORN = """
import os, sys, warnings
from gunicorn.app.wsgiapp import run

warnings.simplefilter("always", ResourceWarning)
listener = os.dup(0)
with open(os.devnull) as nothing:
    os.dup2(nothing.fileno(), 0)
config = ["-c", "python:sites.newsroom.gunicorn_conf", "--bind", f"fd://{listener}"]
sys.argv = ["gunicorn", *config, "sites.newsroom.wsgi"]
run()
"""


class Newsroom:
    """One site with a folder, a database and a log of its own.

    Args:
        storage: The class of its default storage.
        hosts: What ``RESTO_MEDIA_HOSTS`` is; the first one serves the files.
        report_hosts: The same, for reports.
        database: A database to begin with.
        options: Of the default storage.
        apps: Further installed applications.
        environment: Further variables of its processes.
    """

    def __init__(
        self,
        storage: str,
        hosts: Sequence[str],
        report_hosts: Sequence[str] = ("http://127.0.0.1:9/",),
        database: Path | None = None,
        options: Mapping[str, Any] | None = None,
        apps: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.storage = storage
        self.hosts, self.report_hosts = hosts, report_hosts
        self.folders: list[Path] = []  # of the hosts, where somebody knows them
        self.folder = Path(tempfile.mkdtemp(prefix="resto-newsroom-"))
        self.media = self.folder / "media"
        self.password = secrets.token_hex(16)
        self.process: forks.Fork | None = None
        self.url = ""
        self._log = self.folder / "site.log"
        self._config = self.folder / "config.json"
        config = {
            "folder": str(self.folder),
            "cookie": f"session{secrets.token_hex(4)}",
            "storage": storage,
            "hosts": hosts,
            "media_url": hosts[0],
            "options": options or {},
            "report_hosts": report_hosts,
            "password": self.password,
            "apps": list(apps),
        }
        self._more = environment or {}
        self._config.write_text(json.dumps(config), encoding="utf-8")
        if database is not None:
            shutil.copy(database, self.folder / "db.sqlite3")

    # Life

    def start(self) -> Self:
        """Start gunicorn; requests wait until it serves them."""
        with socket.create_server((ADDRESS, 0), backlog=64) as listener, self._log.open("wb") as log:
            self.url = f"http://{ADDRESS}:{listener.getsockname()[1]}/"
            self.process = forks.start(["-c", GUNICORN], self.folder, self.environment(), listener, log, log)
        return self

    def terminate(self) -> None:
        """Ask gunicorn to stop (SIGTERM), and return when it takes no more requests."""
        self._ask_to_stop()
        wait_until(lambda: not self._listens())

    def wait(self) -> int:
        """Wait until gunicorn has ended, and return its status."""
        process = self.process
        assert process is not None
        try:
            wait_until(process.has_ended)
        finally:
            self.kill()
        return process.wait()

    def kill(self) -> None:
        """Kill what is left of gunicorn's processes (SIGKILL)."""
        process, self.process = self.process, None
        if process is not None:
            os.killpg(process.pid, signal.SIGKILL)  # nobody else's: not even the first process was reaped
            process.wait()

    def close(self) -> None:
        """Stop, and remove all files."""
        try:
            if self.process is not None:
                self._ask_to_stop()
                assert self.wait() == 0, self.log
        finally:
            self.kill()
            shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *error: object) -> None:
        self.close()

    def manage(self, *arguments: str) -> str:
        """Run a command of ``manage.py``, and return what it printed."""
        return self.run("-m", "django", *arguments)

    def run(self, *arguments: str) -> str:
        """Run Python with the newsroom's settings, and return what it printed."""
        status, printed = forks.run(arguments, self.folder, self.environment(), 2 * DEADLINE)
        assert status == 0, printed
        return printed

    # What is there

    @property
    def log(self) -> str:
        """What the site has logged."""
        return self._log.read_text(encoding="utf-8")

    def lines(self, *words: str) -> list[str]:
        """Return the lines of the log that contain all of these words."""
        return [line for line in self.log.splitlines() if all(word in line for word in words)]

    def rows(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Ask the site's database."""
        connection = sqlite3.connect(self.folder / "db.sqlite3", timeout=DEADLINE)
        try:
            return connection.execute(query, parameters).fetchall()
        finally:
            connection.close()

    def file_of(self, headline: str, field: str = "attachment", model: str = "article") -> str:
        """Return the name of the file that an article has."""
        [(name,)] = self.rows(f"SELECT {field} FROM newsroom_{model} WHERE headline = ?", headline)
        return name

    def key_of(self, headline: str, model: str = "article") -> int:
        """Return the primary key of an article."""
        [(key,)] = self.rows(f"SELECT id FROM newsroom_{model} WHERE headline = ?", headline)
        return key

    def count(self, model: str, headline: str) -> int:
        """Return how many articles have a headline."""
        return len(self.rows(f"SELECT id FROM newsroom_{model} WHERE headline = ?", headline))

    # Private

    def _ask_to_stop(self) -> None:
        process = self.process
        assert process is not None
        # Until a worker has handlers of its own, gunicorn's make it lose signals.
        wait_until(lambda: len(self.lines("is ready")) == gunicorn_conf.workers or process.has_ended())
        os.kill(process.pid, signal.SIGTERM)  # Fork's own method might free its number

    def environment(self) -> dict[str, str]:
        """Return the variables of the processes of the site."""
        environment = clean_environment()
        environment |= {
            "DJANGO_SETTINGS_MODULE": "sites.newsroom.settings",
            "NEWSROOM_CONFIG": str(self._config),
            "PYTHONPATH": str(TESTS),
            "TMPDIR": str(self.folder),
            **self._more,
        }
        return environment

    def _listens(self) -> bool:
        address = (ADDRESS, int(self.url.rsplit(":", 1)[1].strip("/")))
        try:
            with contextlib.suppress(ConnectionResetError):  # it is just closing what it has not accepted yet
                socket.create_connection(address, timeout=DEADLINE).close()
        except ConnectionRefusedError:
            return False
        return True


class Visitor:
    """Somebody who fills in the site's forms, without a browser."""

    def __init__(self, site: Newsroom) -> None:
        self._site = site
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers["Connection"] = "close"  # gunicorn may close idle ones at any moment

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._session.close()

    def submit(self, path: str, data: Mapping[str, str], **files: tuple[str, Any]) -> requests.Response:
        """Send a form as multipart/form-data, and return the answer, which may be a redirect."""
        url = urljoin(self._site.url, path)
        if "csrftoken" not in self._session.cookies:
            self._session.get(url, timeout=DEADLINE).raise_for_status()
        data = {**data, "csrfmiddlewaretoken": self._session.cookies["csrftoken"]}
        return self._session.post(url, data=data, files=files, timeout=DEADLINE, allow_redirects=False)

    def add(self, path: str, headline: str, name: str, content: bytes, **files: tuple[str, bytes]) -> requests.Response:
        """Send the form of an article, and return the answer, which is that it was stored."""
        answer = self.try_to_add(path, headline, name, content, **files)
        assert answer.status_code == 302, self._site.log
        return answer

    def try_to_add(
        self, path: str, headline: str, name: str, content: bytes, **files: tuple[str, bytes]
    ) -> requests.Response:
        """Send the form of an article, and return the answer."""
        return self.submit(path, {"headline": headline}, attachment=(name, content), **files)

    def note(self, action: str, name: str, text: str = "") -> str:
        """Let the site's code save, replace, write or delete a file, and return its name."""
        data = {"action": action, "name": name, "text": text}
        answer = self._session.post(urljoin(self._site.url, "notes/"), data=data, timeout=DEADLINE)
        assert answer.status_code == 200, self._site.log
        return str(answer.json()["name"])


def wait_until(condition: Callable[[], object], explanation: Callable[[], str] = lambda: "") -> None:
    """Wait until something in another process has happened."""
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, f"it did not happen in time\n{explanation()}"
        time.sleep(0.01)
