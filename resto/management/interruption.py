"""What ends a command early: Ctrl-C, with one sentence, however often the keys are pressed; or a reader that has seen enough."""

import os
import signal
import sys
from contextlib import suppress
from types import FrameType
from typing import NoReturn

from django.core.management import BaseCommand

from resto.record.traces import INTERRUPTED
from resto.storage.finding import replicated_aliases, replicated_storages


__all__ = ["INTERRUPTED", "InterruptibleCommand", "tidy_up"]

# As shells have it for a program whose output nobody reads any more.
UNREAD = 128 + signal.SIGPIPE


class InterruptibleCommand(BaseCommand):
    """A command that is interrupted once, so that it can tidy up; `handle` says what was done.

    If nobody reads what it prints any more, as in ``resto_sync | head``, it ends quietly.
    """

    def run_from_argv(self, argv: list[str]) -> None:
        # Only here, where the process ends with the command.
        signal.signal(signal.SIGINT, _interrupt_once)
        try:
            super().run_from_argv(argv)
            sys.stdout.flush()
        except BrokenPipeError:
            # What is left to be printed would raise again when the process ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(UNREAD)


def tidy_up() -> None:
    """Remove from hosts what uploads have left there that were interrupted. They are over once nobody handles the interruption."""
    for alias in replicated_aliases():
        with suppress(Exception):  # whatever options or plugins raise: nothing was sent with them
            replicated_storages([alias])[alias].tidy_up()


def _interrupt_once(number: int, frame: FrameType | None) -> NoReturn:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt
