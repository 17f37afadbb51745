"""The drain: makes hosts equal to the truth where the record says that they may not be."""

import logging
import math
from collections.abc import Iterator, Sequence
from contextlib import suppress

from resto.exceptions import ConfigurationError, HostUnavailableError
from resto.executors import Executor, Job
from resto.executors.queue import retry_delay
from resto.names import is_canonical, shown
from resto.outcomes import Outcome
from resto.plugins import get_plugin_manager
from resto.progress import Meter, Watcher, ignore
from resto.record import claims, leases, restores, rows
from resto.record.backlog import NOTHING, backlog_of
from resto.record.claims import PendingName
from resto.record.leases import Lease
from resto.record.meaning import wanted_rest
from resto.repair.drained import Drained, SoFar
from resto.repair.queues import left_by_the_queue
from resto.repair.refusals import refused_hosts_of, refused_storages, usable_storage
from resto.repair.strangers import Strangers
from resto.storage import HybridStorage, ReplicatedStorage
from resto.storage.finding import find_host, hosts_of, replicated_aliases


__all__ = ["Drained", "drain", "drain_into"]

logger = logging.getLogger("resto")

# Rows that are claimed at a time: few enough to be done long before the lease ends.
BATCH = 200

# Rows that are counted at a time to tell how many names are left: with a million it would take long.
MOST = 10_000


def drain(
    *,
    storage: Sequence[str] = (),
    hosts: Sequence[str] = (),
    limit: int | None = None,
    direct: bool | None = None,
    progress: Watcher = ignore,
) -> Drained:
    """Replicate what is due, oldest first, on several hosts at once; leave a host alone after it could not be reached.

    Where storages have a task queue, its workers are to do it. Several processes may drain at the same time.

    Args:
        storage: Aliases of storages; all if there are none.
        hosts: Hosts as they stand in the settings; all if there are none.
        limit: How many rows of the record at most; None for all that are due.
        direct: Whether to do what is for a task queue: always, never, or (None) if the queue does not take it, or nobody has
            taken it from there for two leases.
        progress: Told how far it is: how many names on hosts were dealt with, of those that are due.

    Returns:
        What was done.
    """
    total = Drained()
    drain_into(total, storage=storage, hosts=hosts, limit=limit, direct=direct, progress=progress)
    return total


def drain_into(
    total: Drained,
    *,
    storage: Sequence[str] = (),
    hosts: Sequence[str] = (),
    limit: int | None = None,
    direct: bool | None = None,
    watches: bool = False,
    progress: Watcher = ignore,
) -> None:
    """Do what `drain` does, for whoever wants to know what was done even if it is interrupted.

    Args:
        total: Is added to.
        storage: As for `drain`.
        hosts: As for `drain`.
        limit: As for `drain`.
        direct: As for `drain`.
        watches: Whether this is done again and again: hosts are looked at even if nothing is pending for them.
        progress: As for `drain`.
    """
    meter = Meter(progress)
    so_far, end = SoFar(total, meter, direct), math.inf if limit is None else total.claimed + limit
    strangers = Strangers(usable_storage, storage, hosts)
    so_far.strangers = strangers.pairs
    refused = refused_storages(storage)
    total.refused, total.refused_hosts = tuple(refused.items()), ()
    if refused:
        so_far.strangers.update(rows.pairs([*refused]))
    refused_hosts = refused_hosts_of(storage, hosts, refused, watches=watches)
    total.refused_hosts = tuple(refused_hosts.items())
    so_far.strangers.update(refused_hosts)
    total.kept += strangers.kept
    total.forgotten += strangers.forgotten
    while total.claimed < end:
        count = int(min(BATCH, end - total.claimed))
        work = claims.claim(count, storages=storage, hosts=hosts, without=so_far.strangers)
        if not work:
            rows.add_keys()
            break
        so_far.untouched = {one.lease.token: one.lease for one in work}
        try:
            if meter.is_watched and meter.done + len(work) > (meter.total or 0):
                most = max(0, int(min(MOST, end - total.claimed - len(work))))
                left = claims.count_due(most, storages=storage, hosts=hosts, without=so_far.strangers) if most else 0
                meter.total, meter.is_final = meter.done + len(work) + left, left < MOST
                meter.tell()
            _drop_what_is_no_name(work, so_far)
            _deal_with([one for one in work if is_canonical(one.name)], so_far)
        except KeyboardInterrupt:
            leases.release_leases([*so_far.untouched.values()], 0)
            raise
    meter.total, meter.is_final = meter.done, True
    meter.tell()
    _tell_observers(storage)


def _drop_what_is_no_name(work: list[PendingName], so_far: SoFar) -> None:
    """Forget rows that resto has not written: what they name may be anything, above the master copy, too."""
    bad = [one for one in work if not is_canonical(one.name)]
    for one in bad:
        logger.error(
            "Dropped a row of the record: %s on %s is not the name of a file.", shown(one.name), shown(one.host)
        )
        so_far.untouched.pop(one.lease.token)
    leases.forget_leases([one.lease for one in bad])
    so_far.total.dropped += len(bad)
    so_far.meter.add(len(bad))


def _tell_observers(aliases: Sequence[str]) -> None:
    manager = get_plugin_manager()
    if not manager.is_observed("resto_host_pending"):
        return
    for alias in replicated_aliases(aliases):
        found = backlog_of(alias)
        for host in hosts_of(alias):
            one = found.get(host, NOTHING)
            manager.notify_pending(alias, host, one.count, one.oldest, one.under_way)


def _deal_with(work: list[PendingName], so_far: SoFar) -> None:
    for alias in dict.fromkeys(one.storage for one in work):
        mine = [one for one in work if one.storage == alias]
        try:
            found = usable_storage(alias)
        except Exception as error:  # noqa: BLE001 - whatever a plugin raises: other storages have work to be done
            logger.error("Failed to drain STORAGES[%r]. %s", alias, error)  # noqa: TRY400 - as `manage.py check` says it
            leases.release_leases([one.lease for one in mine], retry_delay(1))
            so_far.total.failed += len(mine)
            so_far.meter.add(len(mine))
            continue
        if isinstance(found, ReplicatedStorage):
            _drain_storage(found, [one for one in mine if one.host in found.hosts], so_far)
            _settle_strangers(found, [one for one in mine if one.host not in found.hosts], so_far)
        else:
            _leave(mine, so_far)


def _drain_storage(storage: ReplicatedStorage, work: list[PendingName], so_far: SoFar) -> None:
    total, down = so_far.total, so_far.down
    given = len(work)
    work = _with_a_truth(storage, work, so_far)
    if storage.executor.needs_alias and so_far.direct is not True:
        work = left_by_the_queue(storage, work, so_far)
    so_far.meter.add(given - len(work))
    executor = get_plugin_manager().executor("thread")()
    # One name of each host first, to see who answers.
    for part in _first_of_each_host(work):
        skipped = [one for one in part if one.host in down]
        settled = _repair(storage, executor, [one for one in part if one.host not in down], so_far)
        for lease, outcome in settled:
            if isinstance(outcome.error, HostUnavailableError) or wanted_rest(outcome.error):
                down.setdefault(outcome.host, lease)
        for host in {one.host for one in skipped}:
            leases.skip_leases([one.lease for one in skipped if one.host == host], down[host])
        total.skipped += len(skipped)
        so_far.meter.add(len(skipped))


def _with_a_truth(storage: ReplicatedStorage, work: list[PendingName], so_far: SoFar) -> list[PendingName]:
    """Return what can be drained while files are brought back to the master copy, or were: see `record.restores`."""
    if not isinstance(storage, HybridStorage):
        return work
    is_restoring = storage.belief.is_restoring
    missing = {one.name: _is_missing(storage, one.name) for one in work if is_restoring or one.is_restored}
    forgotten = [one for one in work if one.is_restored and missing[one.name]]
    as_others = [one for one in work if one.is_restored and missing[one.name] is False]
    going_on = [one for one in work if missing.get(one.name, False) is False]
    left = [one for one in work if one not in forgotten and one not in going_on]
    for one in [*forgotten, *left]:
        so_far.untouched.pop(one.lease.token)
    leases.forget_leases([one.lease for one in forgotten])
    restores.claim_as_others([one.lease for one in as_others])
    leases.release_leases([one.lease for one in left], leases.lease_seconds())
    so_far.total.left += len(left)
    so_far.total.done += len(forgotten)
    return going_on


def _is_missing(storage: HybridStorage, name: str) -> bool | None:
    """Return whether the master copy lacks a file; None if that cannot be told."""
    try:
        return storage.lacks(name)
    except (OSError, ConfigurationError):
        return None


def _settle_strangers(storage: ReplicatedStorage, work: list[PendingName], so_far: SoFar) -> None:
    """Deal with what is pending for hosts that do not stand in the settings, or not like that."""
    for host in dict.fromkeys(one.host for one in work):
        mine = [one for one in work if one.host == host]
        spelling = find_host(storage, host)
        if spelling is None:
            _leave(mine, so_far)
        else:
            # Claimed anew, they are one piece of work with what is pending for that spelling.
            leases.release_leases([one.lease for one in mine], 0, host=spelling)


def _first_of_each_host(work: list[PendingName]) -> list[list[PendingName]]:
    first = list({one.host: one for one in reversed(work)}.values())
    return [part for part in (first, [one for one in work if one not in first]) if part]


def _repair(
    storage: ReplicatedStorage, executor: Executor, work: list[PendingName], so_far: SoFar
) -> list[tuple[Lease, Outcome]]:
    held = {(one.host, one.name): one.lease for one in work}
    settled = []
    busy: dict[str, Lease] = {}
    spared: list[tuple[str, Lease]] = []

    def jobs() -> Iterator[Job]:
        for job in storage.repair_jobs(work):
            lease = held[job.host, job.name]
            so_far.untouched.pop(lease.token)
            if job.host in busy:
                spared.append((job.host, lease))
            else:
                yield job

    try:
        for outcome in executor.run_each(jobs()):
            lease = held[outcome.host, outcome.name]
            settled.append((lease, outcome))
            if wanted_rest(outcome.error):
                busy.setdefault(outcome.host, lease)
            so_far.total.done += outcome.ok
            so_far.total.removed += _is_removal(outcome)
            so_far.total.failed += not outcome.ok
            so_far.meter.add(1, _size_sent(storage, outcome) if so_far.meter.is_watched else 0)
            storage.report(outcome)
    finally:
        leases.settle_leases(settled)
        for host, tried in busy.items():
            leases.skip_leases([lease for other, lease in spared if other == host], tried)
        so_far.total.skipped += len(spared)
    return settled


def _size_sent(storage: ReplicatedStorage, outcome: Outcome) -> int:
    """Return how large a file was that was sent; 0 if that cannot be told."""
    if outcome.ok and outcome.action == "repair" and type(outcome.value) is int:  # and not a bool
        return outcome.value
    if outcome.ok and outcome.action == "upload" and isinstance(storage, HybridStorage):
        with suppress(OSError, ConfigurationError):
            return storage.size(outcome.name)
    return 0


def _is_removal(outcome: Outcome) -> bool:
    is_without = outcome.action == "delete" or (outcome.action == "repair" and outcome.value is False)
    return outcome.ok and is_without


def _leave(work: list[PendingName], so_far: SoFar) -> None:
    """Leave alone what the settings do not have, and was recorded since this drain has begun."""
    so_far.strangers.update((one.storage, one.host) for one in work)
    leases.release_leases([one.lease for one in work], 0)
