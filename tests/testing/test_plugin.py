"""The fixtures, in a pytest of their own."""

import os
import subprocess
import sys


TESTS = """
import http.client
import threading

def send(server, method, path, body=None):
    client = http.client.HTTPConnection(server.address, timeout=10)
    client.request(method, path, body)
    status = client.getresponse().status
    client.close()
    return status

def test_server(resto_server):
    assert send(resto_server, "PUT", "/a", b"data") == 201
    assert resto_server.files == {"a": b"data"}

def test_factory(resto_server_factory, tmp_path):
    one, two = resto_server_factory(), resto_server_factory(root=tmp_path, webdav=False)
    assert send(two, "PUT", "/d/a", b"data") == 201
    assert (tmp_path / "d" / "a").exists()
    assert one.files == {}

def test_servers_are_stopped():
    assert threading.active_count() == 1
"""


def test_fixtures(tmp_path):
    (tmp_path / "test_fixtures.py").write_text(TESTS)
    command = [sys.executable, "-W", "error", "-m", "pytest", "-p", "resto.testing.plugin", "-c", os.devnull, "-v"]
    command += ["--rootdir", tmp_path, "-p", "no:cacheprovider", tmp_path]
    # Without the entry points the plugin is loaded once, whether resto is installed or not.
    env = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=env)
    assert "3 passed" in done.stdout, done.stdout + done.stderr
