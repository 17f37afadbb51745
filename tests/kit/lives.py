"""Processes that have ended."""

import functools
import subprocess
import sys


@functools.cache
def ended_life():
    """Return what `resto.life.this_life` has returned in a process that has ended."""
    program = "from resto.life import this_life; print(this_life(), end='')"
    return subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
