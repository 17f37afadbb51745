import http.client
import signal
import subprocess
import sys
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages


PATIENCE = 20  # seconds


@contextmanager
def running(*arguments, end=signal.SIGTERM, until=None):
    command = [sys.executable, "-W", "error", "-m", "resto.testing", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process.stdout.readline().strip() if until is None else "".join(iter(process.stdout.readline, until))
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


def settings_of(text):
    """The settings that were printed, which are Python as they stand."""
    values = {}
    exec(text, values)
    return values


@pytest.fixture
def use(settings, media_root):
    def use(printed):
        values = settings_of(f"{printed}}}\n")
        settings.STORAGES, settings.RESTO_MEDIA_HOSTS = values["STORAGES"], values["RESTO_MEDIA_HOSTS"]
        return storages["default"]

    return use


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
def test_several_hosts_and_the_settings_for_them(use, end):
    with running("--hosts", "3", end=end, until="}\n") as printed:
        storage = use(printed)
        assert len(storage.hosts) == 3
        assert storage.problems() == []
        name = storage.save("d/a.txt", ContentFile(b"data"))
        assert all(storage.transport_for(host).content(host, name) == b"data" for host in storage.hosts)
    assert "in memory; they are others the next time" in printed


def test_several_hosts_that_keep_their_files(use, tmp_path):
    for number in range(2):
        with running("--hosts", "2", "--directory", str(tmp_path / "hosts"), "--port", "0", until="}\n") as printed:
            use(printed).save(f"d/{number}", ContentFile(b""))
    assert f"in {tmp_path}/hosts; their ports are others the next time" in printed
    names = {str(path.relative_to(tmp_path / "hosts")) for path in (tmp_path / "hosts").rglob("[0-9]")}
    assert names == {f"media-{host}/media/d/{number}" for host in (1, 2) for number in (0, 1)}


def failure_of(*arguments):
    command = [sys.executable, "-W", "error", "-m", "resto.testing", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert (done.returncode != 0, done.stdout) == (True, "")
    return done.stderr


def test_port_that_is_taken(resto_server):
    port = resto_server.address.partition(":")[2]
    sentence = "It cannot be served there: address already in use; try another --port or --directory.\n"
    assert failure_of("--port", port) == sentence
    assert failure_of("--hosts", "2", "--port", port) == sentence


@pytest.mark.parametrize("number", ["0", "-1", "many"])
def test_number_that_is_none(number):
    assert f"{number!r} is no number of servers" in failure_of(f"--hosts={number}")
