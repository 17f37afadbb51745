"""How much memory a program needs: for programs that tests start, by ``from memory import ...``."""

from pathlib import Path


def forget_peak() -> None:
    """Let the peak be what is resident now (Linux, proc_pid_clear_refs(5))."""
    Path("/proc/self/clear_refs").write_text("5")


def peak() -> int:
    """Return the peak of the resident memory of this process, in KiB.

    Not getrusage: its peak includes that of the process which started this one, the tests themselves.
    """
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
