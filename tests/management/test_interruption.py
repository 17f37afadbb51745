"""A command that is interrupted tidies up, and is not interrupted in that."""

import signal
import threading

import pytest
from django.core.files.storage import storages
from django.core.management import CommandError, call_command

from resto.courses import course_of
from resto.management.interruption import INTERRUPTED, InterruptibleCommand
from resto.repair import traced


class Command(InterruptibleCommand):
    """Is interrupted, and again while it tidies up."""

    requires_system_checks = []  # noqa: RUF012 - as Django types it

    def handle(self, *args, **options):
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            signal.raise_signal(signal.SIGINT)
            raise CommandError("It is tidy.", returncode=INTERRUPTED) from None


@pytest.fixture(autouse=True)
def handler():
    """What happens at Ctrl-C, here and after the test."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # other tests leave what a command has set
    yield signal.default_int_handler
    signal.signal(signal.SIGINT, before)


def test_second_interruption_changes_nothing(capsys):
    with pytest.raises(SystemExit) as caught:
        Command().run_from_argv(["manage.py", "command"])
    assert caught.value.code == 130
    assert capsys.readouterr().err == "CommandError: It is tidy.\n"


def test_process_that_goes_on_keeps_its_handler(handler):
    with pytest.raises(KeyboardInterrupt):
        call_command(Command())
    assert signal.getsignal(signal.SIGINT) is handler


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["resto_sync", "resto_drain"])
def test_what_was_interrupted_is_removed_from_hosts(settings, media_root, resto_server_factory, monkeypatch, name):
    server, stored = resto_server_factory(in_place=True), threading.Event()
    hosts = {"hosts": [server.url], "transport": "webdav"}
    settings.STORAGES = {"default": {"BACKEND": "resto.storage.HybridStorage", "OPTIONS": hosts}}
    transport = storages["default"].transport_for(server.url)
    transport.exists(server.url, "a")
    server.on_applied = lambda method, path: stored.set() if method == "PUT" else None

    def interrupt(*args, **kwargs):
        server.fault_methods, server.delay = {"PUT"}, 60
        course = course_of(transport.create, server.url, "a", b"content")
        next(course)
        assert stored.wait(10)
        assert server.files
        server.heal()
        raise KeyboardInterrupt

    for function in ("drain_into", "synchronize"):
        monkeypatch.setattr(traced, function, interrupt)
    with pytest.raises(CommandError, match="Interrupted"):
        call_command(name)
    assert server.files == {}
