"""What commands leave out with ``--verbosity 0``: whatever a terminal, or the mail of a timer, would show of hosts."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from django.core.management import BaseCommand, CommandError


__all__ = ["end_with_failure", "quiet"]


@contextmanager
def quiet(verbosity: int) -> Iterator[None]:
    """Keep what is logged of hosts off the console with a verbosity of 0; files and other handlers get it as always."""
    if verbosity > 0:
        yield
        return
    logger = logging.getLogger("resto")
    unheard = logging.NullHandler()  # without any handler, Python writes to the console
    consoles = [handler for handler in _handlers(logger) if _is_console(handler)]
    logger.addHandler(unheard)
    for handler in consoles:
        handler.addFilter(_is_of_others)
    try:
        yield
    finally:
        logger.removeHandler(unheard)
        for handler in consoles:
            handler.removeFilter(_is_of_others)


def end_with_failure(command: BaseCommand, sentence: str, verbosity: int) -> NoReturn:
    """End a command with status 1, and say why unless the verbosity is 0.

    Args:
        command: Which one.
        sentence: Why.
        verbosity: That of the command.

    Raises:
        CommandError: With the sentence, which is printed, or told to whoever has called the command.
        SystemExit: Without.
    """
    if verbosity > 0 or not getattr(command, "_called_from_command_line", False):
        raise CommandError(sentence)
    sys.exit(1)


def _handlers(logger: logging.Logger | None) -> Iterator[logging.Handler]:
    while logger is not None:
        yield from logger.handlers
        logger = logger.parent if logger.propagate else None


def _is_console(handler: logging.Handler) -> bool:
    return isinstance(handler, logging.StreamHandler) and handler.stream in (sys.stdout, sys.stderr)


def _is_of_others(record: logging.LogRecord) -> bool:
    return record.name != "resto"
