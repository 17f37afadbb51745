"""What a drain leaves to the workers of a task queue, and what it does in their place."""

import logging
import math

from resto.exceptions import TransportError
from resto.executors import Job, RemoteCall
from resto.names import shown
from resto.outcomes import Outcome
from resto.record import claims, leases
from resto.record.claims import PendingName
from resto.repair.drained import SoFar
from resto.storage import ReplicatedStorage


__all__ = ["left_by_the_queue", "problem_of"]

logger = logging.getLogger("resto")

# Seconds in which a drain that watches says once that a queue is of no use.
SAID_EACH = 3_600

# What was said of the queues of storages, and when.
_warned: dict[tuple[str, str], float] = {}


def left_by_the_queue(storage: ReplicatedStorage, work: list[PendingName], so_far: SoFar) -> list[PendingName]:
    """Let workers do it, and return what this drain is to do in their place.

    Args:
        storage: Which has the queue.
        work: What was claimed of it.
        so_far: What the drain has done and found out.
    """
    left = []
    for one in work:
        if so_far.direct is None and (one.is_stuck or one.storage in so_far.mute):
            if one.is_stuck:
                _warn_of_queue(one.storage, "Nobody takes what is in the task queue; does a worker run?")
            left.append(one)
            continue
        own = _hand_over(storage, one, so_far)
        if own is not None:
            so_far.untouched[own.lease.token] = own.lease
            left.append(own)
    return left


def _hand_over(storage: ReplicatedStorage, one: PendingName, so_far: SoFar) -> PendingName | None:
    """Let workers do it: each name travels with its claim, as after a save. Return what the queue does not take."""
    so_far.untouched.pop(one.lease.token)
    one.lease.hand_over(None if so_far.direct is False else claims.STUCK_AFTER)
    remote = RemoteCall(one.storage, "update" if one.present else "remove", one.lease.token)
    refused: list[Outcome] = []
    storage.executor.submit([Job("upload", one.host, one.name, lambda: None, refused.append, remote=remote)])
    if not refused:
        so_far.total.queued += 1
        return None
    if so_far.direct is False:
        storage.report(refused[0])
        one.lease.settle(refused)
        so_far.total.failed += 1
        return None
    problem = problem_of(refused[0])
    so_far.mute.add(one.storage)
    _warn_of_queue(one.storage, f"{problem[:1].upper()}{problem[1:]}.")
    # Before anything is sent: the queue may have taken it all the same.
    own = claims.take_back(one)
    so_far.total.queued += own is None
    return own


def problem_of(outcome: Outcome) -> str:
    """Return why an action has failed, as a sentence fragment."""
    return outcome.error.problem if isinstance(outcome.error, TransportError) else str(outcome.error)


def _warn_of_queue(alias: str, reason: str) -> None:
    """Say once in a while why a drain does not leave it to the workers."""
    now = leases.clock()
    if now - _warned.get((alias, reason), -math.inf) >= SAID_EACH:
        _warned[alias, reason] = now
        logger.warning("%s This drain does what is due of STORAGES[%r] itself.", shown(reason), alias)
