"""How commands say what a drain has done."""

import math
import time

from django.core.management.base import OutputWrapper

from resto.names import shown
from resto.repair.drain import Drained


__all__ = ["Teller", "summary"]

# Seconds in which the same refusal is said once.
REFUSAL_INTERVAL = 3_600.0

# Injected by tests.
monotonic = time.monotonic


class Teller:
    """Prints what drains have done.

    Args:
        output: Where to.
        errors: Where refusals go.
    """

    def __init__(self, output: OutputWrapper, errors: OutputWrapper) -> None:
        self._output = output
        self._errors = errors
        self._told: dict[str, float] = {}

    def tell(self, sentence: str) -> None:
        """Print a sentence, at once."""
        self._output.write(sentence)
        self._output.flush()

    def complain(self, sentence: str) -> None:
        """Print a sentence where errors go."""
        self._errors.write(sentence)

    def report(self, drained: Drained, pending: str = "") -> None:
        """Print what was done.

        Args:
            drained: What was.
            pending: What waits for its time, if nothing was done.
        """
        self.tell(f"{summary(drained) or f'Nothing is due{pending}'}.")

    def refusals(self, drained: Drained) -> None:
        """Print which storages and hosts are left alone, and why, unless that was said in the last hour."""
        hosts = {f"{host} of STORAGES[{alias!r}]": problem for (alias, host), problem in drained.refused_hosts}
        storages = {f"STORAGES[{alias!r}]": problem for alias, problem in drained.refused}
        for what, problem in {**storages, **hosts}.items():
            if monotonic() - self._told.get(problem, -math.inf) >= REFUSAL_INTERVAL:
                self._told[problem] = monotonic()
                self.complain(shown(f"{what} is not drained: {problem}"))


def summary(drained: Drained) -> str:
    """Return what was done, a sentence fragment; empty if there was nothing to do."""
    parts = [
        f"{count} {text}"
        for count, text in [
            (drained.done - drained.removed, "sent"),
            (drained.removed, "removed"),
            (drained.queued, "handed to the task queue"),
            (drained.failed, "failed"),
            (drained.skipped, "left for later, as a host is down"),
            (drained.left, "left until the master copy is restored"),
            (drained.kept, "kept for a week, as the settings lack a host or storage"),
            (drained.forgotten, "forgotten, as a host or storage is gone"),
            (drained.dropped, "dropped, as no file has such a name"),
        ]
        if count
    ]
    return ", ".join(parts)
