"""The command that says how the hosts are."""

import json

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.core.management import CommandError, call_command

from resto.management.commands.resto_status import _duration


pytestmark = pytest.mark.django_db


@pytest.fixture
def server(resto_server_factory, settings, media_root):
    server = resto_server_factory(webdav=False)
    settings.RESTO_MEDIA_HOSTS = [server.url]
    settings.STORAGES = {"default": {"BACKEND": "resto.storage.HybridStorage", "OPTIONS": {"fatal_exceptions": False}}}
    return server


def miss(server):
    server.refuse = True
    storages["default"].save("a", ContentFile(b"1"))
    server.refuse = False


def test_fine(server, capsys):
    call_command("resto_status")
    assert capsys.readouterr().out == f"default: {server.url} answers; nothing is pending.\n"


def test_backlog(server, capsys):
    miss(server)
    with pytest.raises(SystemExit) as caught:
        call_command("resto_status")
    assert caught.value.code == 1
    printed = capsys.readouterr().out
    assert printed.startswith(f"default: {server.url} answers; 1 pending, the oldest for 0 seconds (last error: ")
    assert "connection refused" in printed


def test_down(server, capsys):
    server.refuse = True
    with pytest.raises(SystemExit) as caught:
        call_command("resto_status")
    assert caught.value.code == 2
    assert (
        capsys.readouterr().out == f"default: {server.url} does not answer: connection refused; nothing is pending.\n"
    )


def test_json(server, capsys):
    miss(server)
    with pytest.raises(SystemExit):
        call_command("resto_status", json=True)
    [status] = json.loads(capsys.readouterr().out)
    assert (status["host"], status["reachable"], status["pending"]) == (server.url, True, 1)


def test_wrong_settings(server, settings):
    settings.RESTO_MEDIA_HOSTS = []
    with pytest.raises(CommandError, match="no hosts"):
        call_command("resto_status")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(5, "5 seconds"), (119, "119 seconds"), (180, "3 minutes"), (7_200, "2 hours"), (864_000, "10 days")],
)
def test_durations(seconds, text):
    assert _duration(seconds) == text
