"""The site begins with one command, and ends with Ctrl-C; nothing is left."""

import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from kit.play import PATIENCE, PlaySite
from sites.workshop.site import wait_until


def processes_of(directory):
    """The processes that have a directory in their command lines."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it has just ended
            if str(directory).encode() in path.read_bytes():
                found.append(int(path.parent.name))
    return found


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_nothing_is_left(tmp_path, end):
    with PlaySite(tmp_path) as site:
        assert len(processes_of(site.directory)) == 4
        # Who is frozen keeps nobody waiting, nor does a browser that has opened a connection and asks nothing.
        site.click("freeze media-1")
        site.click("freeze watcher")
        with socket.create_connection(("127.0.0.1", int(site.url.rpartition(":")[2].strip("/")))):
            site.process.send_signal(end)
            assert site.process.wait(PATIENCE) == 0
        assert processes_of(site.directory) == []
        assert [path.name for path in tmp_path.iterdir()] == ["errors.log"]
        assert site.errors == ""


def test_no_process_outlives_one_that_is_killed(tmp_path):
    with PlaySite(tmp_path) as site:
        site.click("freeze media-1")
        site.process.kill()
        wait_until(lambda: processes_of(site.directory) == [])


def test_a_port_that_is_taken(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        command = [sys.executable, "-m", "resto.testing.play", "--port", str(taken.getsockname()[1])]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "The site cannot run: address already in use.\n")
