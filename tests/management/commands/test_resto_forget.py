"""The command that ends what is recorded for a host that is gone."""

import io

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError

from resto.management.commands import resto_forget
from resto.models import Pending
from resto.record import chosen, database, leases, opening, rests


pytestmark = pytest.mark.django_db

GONE = "http://gone.example.com/"


@pytest.fixture(autouse=True)
def server(resto_server_factory, settings, media_root):
    server = resto_server_factory(webdav=False)
    settings.RESTO_MEDIA_HOSTS = [server.url]
    settings.STORAGES = {"default": {"BACKEND": "resto.storage.HybridStorage", "OPTIONS": {"fatal_exceptions": False}}}
    return server


@pytest.fixture
def terminal(monkeypatch):
    """A function that lets somebody sit at a terminal, who gives an answer."""

    def sit(answer):
        keyboard = io.StringIO(f"{answer}\n")
        keyboard.isatty = lambda: True
        monkeypatch.setattr("sys.stdin", keyboard)

    return sit


def record(*names, storage="default", host=GONE):
    opening.open_leases(storage, [(host, name) for name in names])
    Pending.objects.update(quiet_until=0)


def test_host_that_is_gone_is_forgotten(server, capsys, monkeypatch):
    monkeypatch.setattr(rests, "PART", 2)
    record("a", "b", "c", "c")
    record("a", host=server.url)
    call_command("resto_forget", GONE, "--no-input")
    assert capsys.readouterr().out == f"default: 3 names are recorded for {GONE}.\nForgotten.\n"
    assert Pending.objects.get().host == server.url
    call_command("resto_forget", GONE, "--no-input")
    assert capsys.readouterr().out == f"Nothing is recorded for {GONE}.\n"


@pytest.mark.parametrize(("answer", "agrees"), [("y", True), ("yes", True), ("", False), ("n", False)])
def test_terminal_is_asked(terminal, capsys, answer, agrees):
    record("a")
    terminal(answer)
    if agrees:
        call_command("resto_forget", GONE)
    else:
        with pytest.raises(CommandError, match=r"^Nothing was forgotten\.$"):
            call_command("resto_forget", GONE)
    printed = capsys.readouterr().out
    assert printed.startswith(f"default: 1 name is recorded for {GONE}.\nForget ")
    assert printed.endswith("Forgotten.\n") is agrees
    assert Pending.objects.exists() is not agrees


def test_nobody_can_be_asked(monkeypatch):
    record("a")
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    with pytest.raises(CommandError, match="Give --no-input to forget without asking"):
        call_command("resto_forget", GONE)
    assert Pending.objects.exists()


def test_host_of_the_settings_is_refused(server, settings):
    record("a", host=server.url)
    with pytest.raises(
        CommandError, match=rf"{server.url} stands in the settings of STORAGES\['default'\]\. Remove it"
    ):
        call_command("resto_forget", server.url, "--no-input")
    respelled = server.url.replace("http", "HTTP")
    settings.RESTO_MEDIA_HOSTS = [respelled]
    with pytest.raises(CommandError, match=f"{server.url} is {respelled} in the settings .*; a drain sends there"):
        call_command("resto_forget", server.url, "--no-input")
    assert Pending.objects.exists()


def test_host_that_has_left_one_of_two_storages(server, settings, capsys):
    other = {"BACKEND": "resto.storage.HybridStorage", "OPTIONS": {"hosts": [GONE], "location": "/tmp/other"}}
    settings.STORAGES = settings.STORAGES | {"other": other}
    record("a")
    record("b", storage="other")
    with pytest.raises(CommandError, match=r"stands in the settings of STORAGES\['other'\]"):
        call_command("resto_forget", GONE, "--no-input", storage=["other"])
    with pytest.raises(CommandError, match=r"stands in the settings of STORAGES\['other'\]"):
        call_command("resto_forget", GONE, "--no-input", storage=["default", "other"])
    call_command("resto_forget", GONE, "--no-input")
    assert capsys.readouterr().out == f"default: 1 name is recorded for {GONE}.\nForgotten.\n"
    assert Pending.objects.get().storage == "other"
    with pytest.raises(CommandError, match=r"stands in the settings of STORAGES\['other'\]"):
        call_command("resto_forget", GONE, "--no-input")


def test_storage_that_is_gone(capsys):
    record("a", storage="old")
    record("a", storage="older")
    call_command("resto_forget", GONE, "--no-input", storage=["old"])
    assert capsys.readouterr().out == f"old: 1 name is recorded for {GONE}.\nForgotten.\n"
    assert Pending.objects.get().storage == "older"


def test_what_another_process_holds_stays(capsys):
    record("a")
    opening.open_lease("default", [GONE], "b", present=True)
    call_command("resto_forget", GONE, "--no-input")
    assert capsys.readouterr().out.splitlines()[1] == (
        "1 name is left, as somebody may still be sending it: does another process have settings with the host?"
    )
    assert Pending.objects.get().name == "b"


def test_what_is_claimed_at_the_last_moment_stays(monkeypatch):
    """The statement that removes rows looks once more."""
    record("a")
    select = chosen.rows.select_of_host

    def claimed_meanwhile(*args):
        found = select(*args)
        Pending.objects.update(quiet_until=leases.clock() + 300)
        return found

    monkeypatch.setattr(chosen.rows, "select_of_host", claimed_meanwhile)
    call_command("resto_forget", GONE, "--no-input")
    assert Pending.objects.exists()


def test_wrong_settings(settings):
    settings.RESTO_MEDIA_HOSTS = []
    record("a")
    with pytest.raises(CommandError, match="no hosts"):
        call_command("resto_forget", GONE, "--no-input")


def test_database_that_fails(monkeypatch):
    def fail(host):
        raise OperationalError("it is down")

    monkeypatch.setattr(resto_forget, "names_by_storage", fail)
    with pytest.raises(CommandError, match="The record cannot be reached: it is down"):
        call_command("resto_forget", GONE)


def test_nothing_is_recorded_without_the_application(monkeypatch):
    monkeypatch.setattr(database, "is_active", lambda: False)
    with pytest.raises(CommandError, match="INSTALLED_APPS"):
        call_command("resto_forget", GONE)


@pytest.mark.parametrize(("number", "told"), [(1, "1 row"), (2, "2 rows")])
def test_interruption_says_what_was_done(monkeypatch, number, told):
    def forget(storage, host):
        yield number
        raise KeyboardInterrupt

    record("a", "b", "c")
    monkeypatch.setattr(resto_forget, "forget_host", forget)
    with pytest.raises(
        CommandError, match=rf"^Interrupted: {told} forgotten\. Run the command again for the rest\.$"
    ) as caught:
        call_command("resto_forget", GONE, "--no-input")
    assert caught.value.returncode == 130


def test_storage_that_is_mistyped(capsys):
    record("a", storage="gone")
    with pytest.raises(CommandError, match=r"^resto has no storage 'defualt'; it has default\.$"):
        call_command("resto_forget", GONE, "--no-input", storage=["defualt"])
    call_command("resto_forget", GONE, "--no-input", storage=["gone"])
    assert "Forgotten." in capsys.readouterr().out
