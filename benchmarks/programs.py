"""Runs programs, and takes the time of their processes."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from benchmarks import ROOT
from kit.kinds import SYSTEM_PROGRAMS, VENV_PROGRAMS


__all__ = ["Finished", "find_program", "run", "run_together", "serving"]


class Finished(NamedTuple):
    """Programs that have ended well.

    Attributes:
        wall: Seconds from the start of the first to the end of the last.
        cpu: Seconds of the processor, for all their processes and threads.
        output: What they printed.
    """

    wall: float
    cpu: float
    output: str


@contextmanager
def serving(module: str, *arguments: object) -> Iterator[list[str]]:
    """Run a module of the benchmarks that serves until it is ended, and prints addresses in one line; yield these."""
    command = [sys.executable, "-m", f"benchmarks.{module}", *map(str, arguments)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().split()
        finally:
            process.kill()


def run(*command: str) -> Finished:
    """Run one program."""
    return run_together([command])


def run_together(commands: Sequence[Sequence[str]]) -> Finished:
    """Run several programs at the same time.

    Raises:
        CalledProcessError: One has failed.
    """
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # what is installed has been compiled
    started = time.perf_counter()
    processes = [
        subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        for command in commands
    ]
    ended = [_wait(process) for process in processes]
    wall = time.perf_counter() - started
    for process in processes:
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, process.args)
    return Finished(wall, sum(cpu for _, cpu in ended), "".join(output for output, _ in ended))


def _wait(process: subprocess.Popen[str]) -> tuple[str, float]:
    assert process.stdout is not None
    with process.stdout:
        output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return output, usage.ru_utime + usage.ru_stime


def find_program(name: str) -> str:
    """Return the path of a program; what the virtual environment has goes before the system's, which may be old."""
    program = shutil.which(name, path=os.pathsep.join([VENV_PROGRAMS, SYSTEM_PROGRAMS]))
    if program is None:
        message = f"there is no {name} here; scripts/install-servers installs it"
        raise FileNotFoundError(message)
    return program
