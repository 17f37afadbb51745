"""Begins what is due or was asked for, and says what a process that stays is at."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Self

from resto.clock import monotonic
from resto.record.runs import RunRow
from resto.repair.watch.aside import Aside
from resto.repair.watch.breakers import open_breakers
from resto.repair.watch.comparisons import Comparisons
from resto.repair.watch.errands import Errands
from resto.repair.watch.schedule import Schedule


__all__ = ["Attendant"]

# What is done, each in a thread of its own.
_KINDS = ("drain", "sync", "probe")

# Seconds that what is under way gets at the end: so long may a host take to answer.
PATIENCE = 5.0


class Attendant:
    """Does what a process that stays does beside draining, as long as its context lasts.

    Args:
        storage: Aliases of the storages that the process looks after; all if there are none.
        schedule: When storages are compared; None for never.
        direct: As for `resto.repair.drain.drain`.
        tell: Told what has failed.
    """

    def __init__(
        self,
        storage: Sequence[str] = (),
        schedule: Schedule | None = None,
        *,
        direct: bool | None = None,
        tell: Callable[[str], object],
    ) -> None:
        self._storage = storage
        self._errands = Errands(storage, direct=direct)
        self._comparisons = None if schedule is None else Comparisons(schedule, storage)
        self._asides = {kind: Aside(f"resto-{kind}", tell) for kind in _KINDS}
        self._doing: dict[str, RunRow] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        for aside in self._asides.values():
            aside.stop()
        deadline = monotonic() + PATIENCE
        for aside in self._asides.values():
            aside.join(deadline)

    def look(self) -> None:
        """Begin what is due or was asked for, unless something of that kind is under way here.

        Raises:
            DatabaseError: The record cannot be used.
        """
        if self._comparisons is not None and not self._asides["sync"].is_busy:
            self._begin(self._comparisons.claim())
        free = [kind for kind, aside in self._asides.items() if not aside.is_busy]
        if free:
            self._begin(self._errands.claim(free))

    def report(self) -> Mapping[str, Any]:
        """Return how the process is: breakers that are not closed, what it does, and when storages are to be compared."""
        doing = [
            {"run": run.id, "kind": kind, "storage": run.storage}
            for kind, run in [*self._doing.items()]  # another thread asks
            if self._asides[kind].is_busy
        ]
        due = {} if self._comparisons is None else self._comparisons.due
        return {"breakers": open_breakers(self._storage), "doing": doing, "comparisons_due": due}

    def _begin(self, run: RunRow | None) -> None:
        if run is not None:
            self._doing[run.kind] = run
            self._asides[run.kind].begin(partial(self._errands.do, run))
