"""The drain: makes hosts equal to the truth where the record says that they may not be."""

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from django.core.files.storage import storages

from resto import pending
from resto.base import ReplicatedStorage, hosts_of, replicated_aliases
from resto.exceptions import HostUnavailableError
from resto.executors import Executor, Job, RemoteCall
from resto.executors.queue import retry_delay
from resto.outcomes import Outcome
from resto.pending import Lease, PendingName
from resto.plugins import get_plugin_manager
from resto.settings import storage_settings


__all__ = ["Drained", "drain"]

logger = logging.getLogger("resto")

# Rows that are claimed at a time: few enough to be done long before the lease ends.
BATCH = 200


# Hosts that could not be reached -> seconds until they are tried again.
Down = dict[str, float]


@dataclass(slots=True)
class Drained:
    """What a drain has done.

    Attributes:
        done: Names on hosts that are equal to the truth now.
        failed: Names on hosts that are not, and will be tried again.
        skipped: Names on hosts that were not even tried, as the host is down.
        queued: Names on hosts that were handed to a task queue.
        forgotten: Names on hosts that the site does not have any more.
    """

    done: int = 0
    failed: int = 0
    skipped: int = 0
    queued: int = 0
    forgotten: int = 0

    @property
    def claimed(self) -> int:
        """How many names on hosts were due."""
        return self.done + self.failed + self.skipped + self.queued + self.forgotten


def drain(
    *,
    storage: Sequence[str] = (),
    hosts: Sequence[str] = (),
    limit: int | None = None,
    progress: Callable[[int], object] = lambda count: None,
) -> Drained:
    """Replicate what is due, oldest first, on several hosts at once; leave a host alone after it could not be reached.

    Several processes may do so at the same time.

    Args:
        storage: Aliases of storages; all if there are none.
        hosts: Hosts as they stand in the settings; all if there are none.
        limit: How many rows of the record at most; None for all that are due.
        progress: Called with the number of names that have just been dealt with.

    Returns:
        What was done.
    """
    total, left = Drained(), limit
    down: Down = {}
    while left is None or left > 0:
        work = pending.claim(BATCH if left is None else min(BATCH, left), storages=storage, hosts=hosts)
        if not work:
            break
        for one in _dealt_with(work, total, down):
            progress(one)
        left = None if left is None else left - len(work)
    _tell_observers(storage)
    return total


def _tell_observers(aliases: Sequence[str]) -> None:
    manager = get_plugin_manager()
    if not manager.is_observed("resto_host_pending"):
        return
    for alias in replicated_aliases(aliases):
        backlog = pending.backlog(alias)
        for host in hosts_of(alias):
            one = backlog.get(host)
            manager.notify_pending(alias, host, one.count if one else 0, one.oldest if one else None)


def _dealt_with(work: list[PendingName], total: Drained, down: Down) -> Iterable[int]:
    for alias in dict.fromkeys(one.storage for one in work):
        mine = [one for one in work if one.storage == alias]
        try:
            found = _find_storage(alias)
        except Exception as error:  # noqa: BLE001 - whatever a plugin raises: other storages have work to be done
            logger.error("Failed to drain STORAGES[%r]. %s", alias, error)  # noqa: TRY400 - as `manage.py check` says it
            pending.release_leases([one.lease for one in mine], retry_delay(1))
            total.failed += len(mine)
            yield len(mine)
            continue
        if isinstance(found, ReplicatedStorage):
            yield from _drain_storage(found, mine, total, down)
        else:
            logger.warning("Forgot %d names of STORAGES[%r], which is not a storage of resto.", len(mine), alias)
            yield _forget(mine, total)


def _find_storage(alias: str) -> object:
    """Return what ``STORAGES`` has under an alias, with sound options; None if it has nothing."""
    found = storages[alias] if alias in storage_settings() else None
    if isinstance(found, ReplicatedStorage):
        found.require_sound_options()
    return found


def _drain_storage(storage: ReplicatedStorage, work: list[PendingName], total: Drained, down: Down) -> Iterable[int]:
    hosts = storage.hosts
    unknown = [one for one in work if one.host not in hosts]
    if unknown:
        logger.warning("Forgot %d names of hosts that are none any more, such as %s.", len(unknown), unknown[0].host)
        yield _forget(unknown, total)
    known = [one for one in work if one.host in hosts]
    if storage.executor.needs_alias:
        yield _hand_over(storage, known, total)
        return
    executor = get_plugin_manager().executor("thread")()
    # One name of each host first, to see who answers.
    for part in _first_of_each_host(known):
        skipped = [one for one in part if one.host in down]
        settled = _repair(storage, executor, [one for one in part if one.host not in down])
        outcomes = [outcome for _, outcome in settled]
        for lease, outcome in settled:
            if isinstance(outcome.error, HostUnavailableError):
                down.setdefault(outcome.host, lease.delay())
        total.done += sum(outcome.ok for outcome in outcomes)
        total.failed += sum(not outcome.ok for outcome in outcomes)
        for host in {one.host for one in skipped}:
            # As long as the name that was tried: each of them would be the next try.
            pending.release_leases([one.lease for one in skipped if one.host == host], down[host])
        total.skipped += len(skipped)
        yield len(part)


def _first_of_each_host(work: list[PendingName]) -> list[list[PendingName]]:
    first = list({one.host: one for one in reversed(work)}.values())
    return [part for part in (first, [one for one in work if one not in first]) if part]


def _repair(storage: ReplicatedStorage, executor: Executor, work: list[PendingName]) -> list[tuple[Lease, Outcome]]:
    leases = {(one.host, one.name): one.lease for one in work}
    settled = []
    try:
        for outcome in executor.run_each(storage.repair_jobs(work)):
            storage.report(outcome)
            settled.append((leases[outcome.host, outcome.name], outcome))
    finally:
        pending.settle_leases(settled)
    return settled


def _hand_over(storage: ReplicatedStorage, work: list[PendingName], total: Drained) -> int:
    """Let workers do it: each name travels with its claim, as after a save."""
    for one in work:
        one.lease.hand_over()
        remote = RemoteCall(one.storage, "update" if one.present else "remove", one.lease.token)
        refused: list[Outcome] = []
        storage.executor.submit([Job("upload", one.host, one.name, lambda: None, refused.append, remote=remote)])
        for outcome in refused:
            storage.report(outcome)
            one.lease.settle([outcome])
        total.queued += not refused
        total.failed += bool(refused)
    return len(work)


def _forget(work: list[PendingName], total: Drained) -> int:
    pending.forget_leases([one.lease for one in work])
    total.forgotten += len(work)
    return len(work)
