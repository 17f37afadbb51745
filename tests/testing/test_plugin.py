"""What the plugin does, in a pytest of its own."""

import os
import re
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

HOSTS = """
import pytest
from django.conf import settings

settings.configure(
    MEDIA_ROOT="media",
    STORAGES={"default": {"BACKEND": "resto.storage.HybridStorage", "OPTIONS": {"hosts": ["media-1.example.com"]}}},
)

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

@pytest.mark.parametrize("name", ["a", "b"])
def test_hosts(resto_hosts, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    default_storage.save(name, ContentFile(b"data"))
    assert resto_hosts.servers["media-1.example.com"].files == {name: b"data"}
"""

CONTRACTS = """
import pytest

from resto.executors.inline import InlineExecutor
from resto.testing import ExecutorContract, QueueExecutorContract, TransportContract
from resto.transports.http import HttpTransport

class Unsure(InlineExecutor):
    supports_run = "perhaps"

class TestExecutor(ExecutorContract):
    @pytest.fixture
    def executor(self):
        return Unsure()

class TestQueue(QueueExecutorContract):
    @pytest.fixture
    def executor_and_messages(self):
        return InlineExecutor(), list

class TestTransport(TransportContract):
    @pytest.fixture
    def transport_and_host(self, resto_server):
        transport = HttpTransport("/media/", timeout=2)
        transport.supports_scan = "perhaps"
        yield transport, resto_server.url
        transport.close()
"""


def run_pytest(directory, *options):
    command = [sys.executable, "-W", "error", "-m", "pytest", "-p", "resto.testing.plugin", "-c", os.devnull, "-v"]
    command += ["--rootdir", directory, "-p", "no:cacheprovider", *options, directory]
    # Without the entry points the plugin is loaded once, whether resto is installed or not.
    env = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=env)
    return done.stdout + done.stderr


def test_fixtures(tmp_path):
    (tmp_path / "test_fixtures.py").write_text(TESTS)
    shown = run_pytest(tmp_path)
    assert "3 passed" in shown, shown


def test_throwaway_hosts(tmp_path):
    """Each test has its own, whether pytest-django is used or not."""
    (tmp_path / "test_hosts.py").write_text(HOSTS)
    shown = run_pytest(tmp_path)
    assert "2 passed" in shown, shown


def test_assertions_of_the_contracts_show_what_they_have_found(tmp_path):
    (tmp_path / "test_contracts.py").write_text(CONTRACTS)
    shown = run_pytest(tmp_path, "-k", "flags")
    assert "4 failed" in shown, shown
    assert len(re.findall(r"^E .*= isinstance\('perhaps', bool\)", shown, re.MULTILINE)) == 3, shown
    assert "assert True is False" in shown, shown
