"""What a verbosity of 0 keeps off the console, and what it does not."""

import logging

import pytest
from django.core.management import BaseCommand, CommandError

from resto.management.quiet import end_with_failure, quiet


@pytest.mark.parametrize(("verbosity", "told"), [(0, ""), (1, "host is down\n")])
def test_console(capsys, caplog, monkeypatch, verbosity, told):
    monkeypatch.setattr(logging.getLogger(), "handlers", [logging.StreamHandler(), caplog.handler])
    with quiet(verbosity):
        logging.getLogger("resto").error("host is down")
        logging.getLogger("site").error("other")
    assert capsys.readouterr().err == f"{told}other\n"
    assert caplog.messages == ["host is down", "other"]  # as a file has it
    logging.getLogger("resto").error("later")
    assert capsys.readouterr().err == "later\n"


def test_console_without_any_handler(monkeypatch, capsys):
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    with quiet(0):
        logging.getLogger("resto").error("host is down")
    assert capsys.readouterr().err == ""
    logging.getLogger("resto").error("host is down")
    assert capsys.readouterr().err == "host is down\n"


@pytest.mark.parametrize("verbosity", [0, 1])
@pytest.mark.parametrize("is_on_the_command_line", [True, False])
def test_failure(verbosity, is_on_the_command_line):
    command = BaseCommand()
    command._called_from_command_line = is_on_the_command_line
    is_quiet = is_on_the_command_line and not verbosity
    with pytest.raises(SystemExit if is_quiet else CommandError) as caught:
        end_with_failure(command, "Not everything agrees.", verbosity)
    assert (caught.value.code if is_quiet else caught.value.returncode) == 1
