"""Ctrl-C, as an impatient person presses it."""

import signal
import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any


PATIENCE = 60  # seconds


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
