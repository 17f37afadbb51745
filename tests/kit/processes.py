"""Commands of a small site in processes of their own, and Ctrl-C, as an impatient person presses it."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from kit import forks
from kit.documents import ROOT


PATIENCE = 300  # seconds

SITE = """
import sys
from django.conf import settings
from django.core.management import execute_from_command_line

url, media, *arguments = sys.argv[1:]
settings.configure(
    INSTALLED_APPS=["resto"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": media + ".sqlite3"}},
    MEDIA_URL="/media/",
    RESTO_TIMEOUT=20,
    STORAGES={
        "default": {
            "BACKEND": "resto.storage.HybridStorage",
            "OPTIONS": {"hosts": [url], "transport": "webdav", "location": media},
        },
    },
)
execute_from_command_line(["manage.py", "migrate", "--verbosity", "0"])
"""


def start(
    program: str,
    url: str,
    media: Path,
    *arguments: str,
    within: Sequence[str] = (),
    forked: bool = False,
    **options: Any,
) -> "subprocess.Popen[str]":
    """Start a program on a site with one host; it finds ``url``, ``media`` and ``arguments`` under these names.

    Args:
        program: In Python.
        url: Of the host.
        media: The directory of the master copy.
        *arguments: For the program.
        within: The command that starts the command that it is given.
        forked: Whether the program runs in a fork, to which signals come a moment later.
        **options: Of the process.
    """
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    environment.pop("DJANGO_SETTINGS_MODULE", None)
    command = [*within, forks.python() if forked else sys.executable, "-c", SITE + program, url, str(media), *arguments]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, **options)


def interrupt(process: "subprocess.Popen[Any]", server: Any, when: Callable[[str], bool]) -> None:
    """Interrupt a process from a request on, which is not answered before, and again and again until it has ended.

    Args:
        process: What to interrupt.
        server: Gets its requests.
        when: Told the method of each request that the server has carried out; returns whether that is the one.
    """
    begun = threading.Event()

    def applied(method: str, path: str) -> None:
        if when(method):
            process.send_signal(signal.SIGINT)
            begun.set()

    server.on_applied = applied
    assert begun.wait(PATIENCE)
    while process.poll() is None:
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.01)
    server.on_applied = None
