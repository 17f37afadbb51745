"""File systems that only a test sees, in a mount namespace, which only Linux has."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest


UNSHARE = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--user", "--map-root-user"])]
ENTER = ["nsenter", "--mount", *([] if os.geteuid() == 0 else ["--user", "--preserve-credentials"])]


def require_namespaces(path: Path) -> None:
    """Skip the test where nothing can be mounted.

    Args:
        path: A directory.
    """
    if shutil.which("unshare") is None:
        pytest.skip("needs Linux, and Debian's util-linux")
    done = subprocess.run([*UNSHARE, "mount", "-t", "tmpfs", "tmpfs", path], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")
