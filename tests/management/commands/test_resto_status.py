"""The command that says how the hosts are."""

import io
import json
import re

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.core.management import CommandError, call_command
from django.db import DatabaseError

from resto.management.commands.resto_status import _count, _due, _duration
from resto.record import backlog, database
from resto.repair import status


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


def timeless(text):
    """It takes a busy machine some time to ask how long ago something was."""
    return re.sub(r"the oldest for \d+ seconds?", "the oldest for a while", text)


def test_backlog(server, capsys):
    miss(server)
    with pytest.raises(SystemExit) as caught:
        call_command("resto_status")
    assert caught.value.code == 1
    printed = timeless(capsys.readouterr().out)
    assert printed.startswith(f"default: {server.url} answers; 1 pending, the oldest for a while, the next ")
    assert " is due in " in printed
    assert "connection refused" in printed


def test_host_that_is_not_in_the_settings(server, settings, resto_server_factory, capsys):
    miss(server)
    other = resto_server_factory(webdav=False)
    settings.RESTO_MEDIA_HOSTS = [other.url]
    with pytest.raises(SystemExit) as caught:
        call_command("resto_status")
    assert caught.value.code == 1
    assert timeless(capsys.readouterr().out) == (
        f"default: {other.url} answers; nothing is pending.\n"
        f"default: {server.url} is not a host of this storage; 1 pending, the oldest for a while, forgotten after a week.\n"
    )
    with pytest.raises(SystemExit) as caught:
        call_command("resto_status", json=True)
    assert caught.value.code == 1
    printed = capsys.readouterr()
    assert [status["host"] for status in json.loads(printed.out)] == [other.url]
    assert f"default: {server.url} is not a host of this storage; 1 pending" in printed.err


def test_host_that_is_spelled_otherwise_in_the_settings(server, settings, capsys):
    miss(server)
    respelled = server.url.replace("http", "HTTP")
    settings.RESTO_MEDIA_HOSTS = [respelled]
    with pytest.raises(SystemExit):
        call_command("resto_status")
    assert timeless(capsys.readouterr().out).splitlines()[1] == (
        f"default: {server.url} is {respelled} in the settings; 1 pending, the oldest for a while, which a drain sends there."
    )


def test_down(server, capsys):
    server.refuse = True
    with pytest.raises(SystemExit) as caught:
        call_command("resto_status")
    assert caught.value.code == 2
    assert (
        capsys.readouterr().out == f"default: {server.url} does not answer: connection refused; nothing is pending.\n"
    )


def test_breaker(server, capsys):
    for _ in range(3):
        miss(server)
    with pytest.raises(SystemExit) as caught:
        call_command("resto_status")
    assert caught.value.code == 1
    assert capsys.readouterr().out.startswith(f"default: {server.url} answers; its breaker is open; 3 pending, ")


def test_probe(server, capsys):
    call_command("resto_status", probe=True)
    assert capsys.readouterr().out.splitlines()[:3] == [
        f"default: {server.url} answers; nothing is pending.",
        "  Files can be written, read, replaced and deleted.",
        "  No credentials are configured: any machine whose address the host accepts can write there.",
    ]


def test_probe_that_fails(server, capsys):
    server.readonly = True
    with pytest.raises(SystemExit) as caught:
        call_command("resto_status", probe=True)
    assert caught.value.code == 2
    first, second = capsys.readouterr().out.splitlines()
    assert first == f"default: {server.url} answers; nothing is pending."
    assert second.startswith("  A file cannot be written: PUT was answered 403 Forbidden; ")


def test_probe_as_json(server, capsys):
    server.readonly = True
    with pytest.raises(SystemExit):
        call_command("resto_status", probe=True, json=True)
    [status] = json.loads(capsys.readouterr().out)
    assert (status["host"], status["reachable"], status["probe"]["remarks"]) == (server.url, True, [])
    assert status["probe"]["problem"].startswith("A file cannot be written")


def test_record_that_cannot_be_read(server, monkeypatch):
    def fail(storage):
        raise DatabaseError("it is down")

    monkeypatch.setattr(status, "backlog_of", fail)
    with pytest.raises(CommandError, match="The record cannot be read: it is down") as caught:
        call_command("resto_status")
    assert caught.value.returncode == 2


def test_nothing_is_recorded(server, capsys, monkeypatch):
    monkeypatch.setattr(database, "is_active", lambda: False)
    call_command("resto_status")
    assert capsys.readouterr().out == f"default: {server.url} answers; nothing is recorded.\n"


def test_what_is_under_way_is_fine(server, capsys):
    storages["default"].open_lease("a", (server.url,), present=True)
    call_command("resto_status")
    assert capsys.readouterr().out == f"default: {server.url} answers; nothing is pending; 1 under way.\n"


def test_more_than_are_counted(server, capsys, monkeypatch):
    monkeypatch.setattr(backlog, "MOST", 1)
    for name in "ab":
        storages["default"].open_lease(name, (server.url, "http://media-9/"), present=True).release(0)
    with pytest.raises(SystemExit):
        call_command("resto_status")
    first, second = capsys.readouterr().out.splitlines()
    assert f"{server.url} answers; more than 1 pending, the oldest for" in first
    assert "http://media-9/ is not a host of this storage; more than 1 pending, the oldest for" in second
    assert _count(10_000, has_more=True) == "more than 10 000"


def test_json(server, capsys):
    miss(server)
    with pytest.raises(SystemExit):
        call_command("resto_status", json=True)
    [status] = json.loads(capsys.readouterr().out)
    assert (status["host"], status["reachable"], status["pending"]) == (server.url, True, 1)
    assert "probe" not in status


def test_wrong_settings(server, settings):
    settings.RESTO_MEDIA_HOSTS = []
    settings.STORAGES = settings.STORAGES | {
        "other": {"BACKEND": "resto.storage.HybridStorage", "OPTIONS": {"hosts": [server.url]}}
    }
    output, errors = io.StringIO(), io.StringIO()
    with pytest.raises(SystemExit) as caught:
        call_command("resto_status", stdout=output, stderr=errors)
    assert caught.value.code == 2
    assert "default: no hosts" in errors.getvalue()
    assert f"other: {server.url} answers" in output.getvalue()  # which is not to be hidden


def test_unknown_storage(server):
    with pytest.raises(CommandError, match="resto has no storage 'defualt'; STORAGES has default") as caught:
        call_command("resto_status", storage=["defualt"])
    assert caught.value.returncode == 2


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(5, "5 seconds"), (119, "119 seconds"), (180, "3 minutes"), (7_200, "2 hours"), (864_000, "10 days")],
)
def test_durations(seconds, text):
    assert _duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (40.4, "the next is due in 40 seconds"),
        (-3.2, "the next has been due for 3 seconds"),
        (-7_200, "the next has been due for 2 hours: does a drain run?"),
    ],
)
def test_what_is_due(seconds, text):
    assert _due(seconds) == text
