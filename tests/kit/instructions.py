"""Counts instructions with callgrind: of a program's own code, whatever else the machine does meanwhile."""

import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from kit.documents import ROOT
from kit.servers import REQUIRED


__all__ = ["count", "require_callgrind"]

# Another Python does the same in other instructions.
PINNED = "CPython", (3, 11), "x86_64"

# Defines `counting(label, times, call)` for a program. Valgrind takes a sequence of instructions that do nothing, called here
# as a function, for a request to itself: to begin and to stop counting, and to write down what was counted.
START = """
import ctypes, mmap
_page = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
_page.write(bytes.fromhex("4889f8 31d2 48c1c703 48c1c70d 48c1c73d 48c1c733 4887db 4889d0 c3"))
_ask = ctypes.CFUNCTYPE(ctypes.c_ulong, ctypes.c_void_p)(ctypes.addressof(ctypes.c_char.from_buffer(_page)))

def _request(number, text=None):
    buffer = None if text is None else ctypes.create_string_buffer(text.encode())
    arguments = (ctypes.c_ulong * 6)(0x43540000 + number, 0 if buffer is None else ctypes.addressof(buffer))
    _ask(ctypes.addressof(arguments))

def counting(label, times, call):
    _request(4)
    _request(1)
    for _ in range(times):
        call()
    _request(3, f"{label} {times}")
    _request(5)
"""


def require_callgrind():
    """Skip a test where instructions cannot be counted, or are others."""
    if (platform.python_implementation(), sys.version_info[:2], platform.machine()) != PINNED:
        pytest.skip("counts the instructions of CPython 3.11 on x86-64")
    if shutil.which("valgrind") is None:
        if os.environ.get(REQUIRED) == "1":
            pytest.fail("needs Debian's valgrind")
        pytest.skip("needs Debian's valgrind")


def count(program, *arguments):
    """Run a program that calls `counting`; return the instructions of one call by the labels."""
    with tempfile.TemporaryDirectory() as directory:
        command = ["valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={directory}/counted"]
        command += [sys.executable, "-c", START + program, *arguments]
        env = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=env | {"PYTHONHASHSEED": "0"})
        assert done.returncode == 0, done.stderr
        written = [path.read_text() for path in Path(directory).iterdir()]
    found = [
        (re.search(r"Client Request: (.+) (\d+)\n", one), re.search(r"^totals: (\d+)", one, re.M)) for one in written
    ]
    return {label[1]: int(total[1]) // int(label[2]) for label, total in found if label is not None}
