import http.client
import signal
import subprocess
import sys
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest


PATIENCE = 20  # seconds


@contextmanager
def running(*arguments, end=signal.SIGTERM):
    command = [sys.executable, "-W", "error", "-m", "resto.testing", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process.stdout.readline().strip()
            process.send_signal(end)
            out, err = process.communicate(timeout=PATIENCE)
            assert (process.returncode, out, err) == (0, "", "")
        finally:
            process.kill()


def send(url, method, path, body=None):
    client = http.client.HTTPConnection(urlsplit(url).netloc, timeout=PATIENCE)
    client.request(method, path, body)
    status = client.getresponse().status
    client.close()
    return status


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
def test_serves_a_directory_until_a_signal(tmp_path, end):
    with running("--root", str(tmp_path), end=end) as url:
        assert url.startswith("http://127.0.0.1:")
        assert send(url, "PUT", "/a.txt", b"data") == 201
        assert send(url, "OPTIONS", "/") == 200
    assert (tmp_path / "a.txt").read_bytes() == b"data"


def test_plain_with_a_directory_of_its_own():
    with running("--plain") as url:
        assert send(url, "PUT", "/d/a.txt", b"data") == 201
        assert send(url, "OPTIONS", "/") == 405
