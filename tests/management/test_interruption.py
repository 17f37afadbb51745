"""A command that is interrupted tidies up, and is not interrupted in that."""

import signal

import pytest
from django.core.management import CommandError, call_command

from resto.management.interruption import INTERRUPTED, InterruptibleCommand


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
    before = signal.getsignal(signal.SIGINT)
    yield before
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
