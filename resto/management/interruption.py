"""What Ctrl-C does to a command: it ends with one sentence, however often the keys are pressed."""

import signal
from contextlib import suppress
from types import FrameType
from typing import NoReturn

from django.core.management import BaseCommand

from resto.storage.finding import replicated_aliases, replicated_storages


__all__ = ["INTERRUPTED", "InterruptibleCommand", "tidy_up"]

# As shells have it for a program that was ended by Ctrl-C.
INTERRUPTED = 128 + signal.SIGINT


class InterruptibleCommand(BaseCommand):
    """A command that is interrupted once, so that it can tidy up; `handle` says what was done."""

    def run_from_argv(self, argv: list[str]) -> None:
        # Only here, where the process ends with the command.
        signal.signal(signal.SIGINT, _interrupt_once)
        super().run_from_argv(argv)


def tidy_up() -> None:
    """Remove from hosts what uploads have left there that were interrupted. They are over once nobody handles the interruption."""
    for alias in replicated_aliases():
        with suppress(Exception):  # whatever options or plugins raise: nothing was sent with them
            replicated_storages([alias])[alias].tidy_up()


def _interrupt_once(number: int, frame: FrameType | None) -> NoReturn:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt
