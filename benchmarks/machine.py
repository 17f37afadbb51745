"""What the benchmarks ran on, and with which versions."""

import os
import platform
import re
import subprocess
from importlib.metadata import version
from pathlib import Path

from benchmarks.programs import find_program
from kit.brokers import MariaDB, PostgreSQL


__all__ = ["describe"]

PACKAGES = ["Django", "urllib3", "requests", "django-resto", "django-storages", "django-webdav-storage", "rq", "celery"]
PROGRAMS = {
    "nginx": ["nginx", "-v"],
    "Apache": ["apache2", "-v"],
    "rclone": ["rclone", "version"],
    "rsync": ["rsync", "--version"],
    "curl": ["curl", "--version"],
    "Redis": ["redis-server", "--version"],
    "PostgreSQL": [str(PostgreSQL.program()), "--version"],
    "MariaDB": [str(MariaDB.program()), "--version"],
}


def describe() -> dict[str, str]:
    """Return the machine and the versions, by name."""
    return {
        "CPU": _processor(),
        "cores": str(os.cpu_count()),
        "kernel": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        **{package: version(package) for package in PACKAGES},
        **{name: _program_version(*command) for name, command in PROGRAMS.items()},
    }


def _processor() -> str:
    found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else platform.machine()


def _program_version(program: str, option: str) -> str:
    done = subprocess.run(
        [find_program(program), option],
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    found = re.search(r"\d+\.\d+(\.\d+)?", done.stdout)
    return found[0] if found else "unknown"
