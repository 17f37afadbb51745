"""What a process that stays does, and prints, until it ends."""

import time
from collections.abc import Sequence
from dataclasses import replace

from django.db import Error, close_old_connections

from resto.exceptions import ConfigurationError
from resto.management.drained import Teller
from resto.management.ending import Ending
from resto.repair.drain import Drained
from resto.repair.traced import TracedDrain
from resto.repair.watch import Attendant


__all__ = ["watch"]

# Seconds between two looks at the record, which cost a few queries each.
INTERVAL = 1.0

# Seconds between two reports while a backlog is worked off.
REPORT_INTERVAL = 60.0

# Rows that are drained at a time: few, so that a signal does not have to wait for long.
LOT = 50

# Where the database was replaced, or its file has vanished and SQLite has made an empty one.
_NO_TABLE = "E012"

# Injected by tests.
monotonic = time.monotonic


def watch(
    storage: Sequence[str],
    hosts: Sequence[str],
    attendant: Attendant,
    ending: Ending,
    teller: Teller,
    *,
    direct: bool | None,
) -> None:
    """Drain, and look after what else is to be done, until the end.

    Args:
        storage: As for `resto.repair.drain.drain`.
        hosts: As for `resto.repair.drain.drain`.
        attendant: Does what else is to be done.
        ending: Knows when the end has come.
        teller: Prints.
        direct: As for `resto.repair.drain.drain`.

    Raises:
        ConfigurationError: The record lacks tables when this begins, or a setting is wrong.
    """
    has_worked, problem = False, ""
    while not ending:
        try:
            attendant.look()
            with ending.interruptible(), TracedDrain(storage, hosts, stays=True) as drain:
                _work_off(drain, attendant, ending, teller, direct=direct)
        except (Error, ConfigurationError) as error:
            # A table that is missing from the start was never made.
            if isinstance(error, ConfigurationError) and not (has_worked and error.code == _NO_TABLE):
                raise
            close_old_connections()
            if str(error) != problem:
                problem = str(error)
                teller.complain(f"The record cannot be reached, and is tried again: {problem}")
        else:
            if problem:
                teller.tell("The record can be used again.")
            has_worked, problem = True, ""
        ending.wait(INTERVAL)


def _work_off(drain: TracedDrain, attendant: Attendant, ending: Ending, teller: Teller, *, direct: bool | None) -> None:
    """Drain until nothing is due, and report that, and once in a while before."""
    told, reported = Drained(), monotonic()
    try:
        while not ending and drain.drain(limit=LOT, direct=direct):
            attendant.look()
            if monotonic() - reported > REPORT_INTERVAL:
                teller.report(drain.total.since(told))
                told, reported = replace(drain.total), monotonic()
    finally:
        if drain.total.claimed > told.claimed:
            teller.report(drain.total.since(told))
        teller.refusals(drain.total)
