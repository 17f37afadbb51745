import signal
import subprocess
import sys

import pytest


PATIENCE = 60  # seconds

# Says what it was told, and waits for a signal as a module may.
WAITER = """
import signal, sys

signals = {signal.SIGTERM, signal.SIGINT}
signal.pthread_sigmask(signal.SIG_BLOCK, signals)
print(*sys.argv[1:], __name__, flush=True)
print(signal.sigwait(signals).name, flush=True)
"""


@pytest.fixture
def child(tmp_path):
    (tmp_path / "waiter.py").write_text(WAITER)
    command = [sys.executable, "-W", "error", "-m", "resto.testing.child", "waiter", "one", "two"]
    with subprocess.Popen(
        command, cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout.readline() == "one two __main__\n"
        yield process
        process.kill()


def test_it_ends_with_its_input(child):
    assert child.communicate(timeout=PATIENCE)[0] == "SIGTERM\n"
    assert child.returncode == 0


def test_the_module_decides_what_signals_do(child):
    child.send_signal(signal.SIGINT)
    assert child.stdout.readline() == "SIGINT\n"
    assert child.wait(PATIENCE) == 0
