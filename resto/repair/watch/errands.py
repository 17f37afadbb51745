"""What was asked for on the page of hosts, done by a process that stays."""

from collections.abc import Callable, Sequence
from contextlib import suppress

from django.core.exceptions import SuspiciousFileOperation

from resto.exceptions import ConfigurationError
from resto.record.chosen import make_due
from resto.record.runs import RunRow
from resto.record.traces import Trace
from resto.record.wishes import begin, waiting
from resto.repair.directories import possible_directory
from resto.repair.refusals import refused_storages, usable_storage
from resto.repair.sync import SyncOptions
from resto.repair.traced import TracedDrain, traced_probe, traced_sync
from resto.repair.watch.alone import alone, is_compared
from resto.storage import HybridStorage, ReplicatedStorage
from resto.storage.finding import replicated_aliases, replicated_storages


__all__ = ["Errands", "compare"]

# Rows that are drained at a time.
LOT = 50


class Errands:
    """Begins what was asked for, and does it.

    Args:
        storage: Aliases of the storages that this process looks after; all if there are none.
        direct: As for `resto.repair.drain.drain`.
    """

    def __init__(self, storage: Sequence[str] = (), *, direct: bool | None = None) -> None:
        self._storage = storage
        self._direct = direct
        self._calls: dict[str, Callable[[RunRow, Callable[[], None]], None]] = {
            "drain": self._drain,
            "sync": self._compare,
            "probe": self._probe,
        }

    def claim(self, kinds: Sequence[str]) -> RunRow | None:
        """Begin the run that was asked for, that waits for longest, and that this process can do; None if there is none.

        Args:
            kinds: Of which kinds.

        Raises:
            DatabaseError: The record cannot be used.
        """
        for run in waiting(kinds):
            if self._can_do(run) and (begun := self._begun(run)) is not None:
                return begun
        return None

    def _begun(self, run: RunRow) -> RunRow | None:
        """Begin a run; a comparison only if nobody compares its storages."""
        if run.kind != "sync":
            return begin(run.id)
        aliases = replicated_aliases(_asked(run))
        if is_compared(aliases):  # at first without a turn, which has to be written down
            return None
        with alone(aliases) as is_alone:
            return begin(run.id) if is_alone else None

    def do(self, run: RunRow, check: Callable[[], None]) -> None:
        """Do what was begun.

        Args:
            run: As `claim` has returned it.
            check: Called now and then; raises if it is to be stopped.
        """
        self._calls[run.kind](run, check)

    def _can_do(self, run: RunRow) -> bool:
        """Tell whether its storages are here, and their directories the master copies: else it is left to another process."""
        asked = _asked(run)
        here = replicated_aliases(self._storage)
        is_here = set(asked) <= set(here) if asked else not self._storage
        return is_here and not refused_storages(asked)

    def _drain(self, run: RunRow, check: Callable[[], None]) -> None:
        with TracedDrain(_asked(run), run.hosts, asked=run) as drain:
            if run.options.get("now", True):
                make_due(_asked(run), run.hosts)
            while drain.drain(limit=LOT, direct=self._direct):
                check()

    def _compare(self, run: RunRow, check: Callable[[], None]) -> None:
        aliases = replicated_aliases(_asked(run))
        if len(aliases) == 1:
            compare(aliases[0], run, check, asked=run)
            return
        with Trace("sync", aliases, run.hosts, asked=run) as trace:
            trace.begin()
            agrees = [compare(alias, run, check) for alias in aliases]
            trace.end(0 if all(agrees) else 1)

    def _probe(self, run: RunRow, check: Callable[[], None]) -> None:
        traced_probe(_asked(run), asked=run)


def compare(alias: str, what: RunRow, check: Callable[[], None], asked: RunRow | None = None) -> bool:
    """Compare a storage with its hosts; return whether everything agrees then. Nothing is removed that only a host has.

    Args:
        alias: Of the storage in ``STORAGES``.
        what: Of which hosts, and how.
        check: Called now and then; raises if it is to be stopped.
        asked: The run that stands for it; None if it is to have one of its own.
    """
    try:
        storage, options = _usable(alias, what.hosts, is_alone=asked is not None), _options(what)
    except Exception:
        with Trace("sync", [alias], what.hosts, asked=asked) as trace:
            trace.begin()
            raise
    if options.hosts is not None and options.hosts.isdisjoint(storage.hosts):
        return True
    report = traced_sync(alias, storage, options, lambda event: check(), lambda progress: check(), asked=asked)
    if isinstance(storage, HybridStorage):
        with suppress(FileNotFoundError, ConfigurationError):  # the comparison says so
            storage.sweep_abandoned(check)
    return report.agrees


def _asked(run: RunRow) -> list[str]:
    """Return the aliases of the storages that something was asked for; none stand for all."""
    return run.storage.split(",") if run.storage else []


def _usable(alias: str, hosts: Sequence[str], *, is_alone: bool) -> ReplicatedStorage:
    storage = usable_storage(alias)
    if not isinstance(storage, ReplicatedStorage):
        raise ConfigurationError(f"STORAGES has no {alias!r} of resto")
    others = [] if is_alone else replicated_storages().values()
    known = [host for one in (storage, *others) for host in one.hosts]
    unknown = [host for host in hosts if host not in known]
    if unknown:
        raise ConfigurationError(f"there is no host {unknown[0]} here")
    return storage


def _options(run: RunRow) -> SyncOptions:
    """Return what was asked for; what can lose files is left to commands."""
    try:
        prefix = possible_directory(str(run.options.get("prefix", "")))
    except SuspiciousFileOperation as error:
        raise ConfigurationError(str(error)) from error
    return SyncOptions(hosts=frozenset(run.hosts) or None, prefix=prefix, checksum=run.options.get("checksum") is True)
