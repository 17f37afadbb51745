import pytest
import requests

from resto.testing.processes import MediaServer, Process


PATIENCE = 60  # seconds


@pytest.fixture
def server(tmp_path):
    with MediaServer(tmp_path / "media-1") as server:
        yield server


def put(server, timeout=PATIENCE):
    return requests.put(f"{server.url}d/a.txt", b"data", timeout=timeout).status_code


def test_files_survive_a_stop(server):
    assert (server.state, put(server)) == ("running", 201)
    url = server.url
    server.stop()
    assert server.state == "stopped"
    with pytest.raises(requests.ConnectionError):
        put(server)
    server.start()
    assert (server.state, server.url) == ("running", url)
    assert requests.get(f"{url}d/a.txt", timeout=PATIENCE).content == b"data"


def test_who_is_frozen_takes_connections_and_does_not_answer(server):
    server.freeze()
    assert server.state == "frozen"
    with pytest.raises(requests.ReadTimeout):
        put(server, timeout=0.1)
    server.start()
    assert server.state == "running"
    assert put(server) in {201, 204}  # as it may have done what nobody waits for any more


def test_who_is_frozen_can_be_stopped(server):
    server.freeze()
    server.stop()
    assert server.state == "stopped"
    server.freeze()
    assert server.state == "stopped"


def test_who_has_ended_by_itself_can_be_started_again(tmp_path):
    log = tmp_path / "log"
    with Process("version", "this", log=log) as process:
        process._process.wait(PATIENCE)
        assert process.state == "stopped"
        process.start()
        process._process.wait(PATIENCE)
    assert log.read_text().count("The Zen of Python") == 2


def test_wiped(server):
    assert put(server) == 201
    (server.directory / ".resto.host").write_text("")
    server.wipe()
    assert list(server.directory.iterdir()) == []
    assert put(server) == 201


def test_what_does_not_start(tmp_path):
    (tmp_path / "file").write_text("in the way")
    server = MediaServer(tmp_path / "file")
    with pytest.raises(OSError, match="file does not start"):
        server.start()
    assert server.state == "stopped"
