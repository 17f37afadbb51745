"""Claims: rows that were left to others become the lease of one of them, a drain or a worker of a task queue."""

import hashlib
import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from resto.record import leases, rests, rows
from resto.record.leases import Lease, lease_seconds
from resto.record.opening import insert_rows, open_lease
from resto.record.rests import call_back, delete_by_parts
from resto.record.rows import RESTORED, Row, digest_of, in_parts


__all__ = [
    "STUCK_AFTER",
    "PendingName",
    "adopt_lease",
    "claim",
    "claim_name",
    "count_due",
    "forget_before",
    "take_back",
]

# For how many leases what was handed to a task queue has to rest there until a drain does it.
STUCK_AFTER = 2

# How often it is looked for rows that nobody else takes at the same moment: the more drains there are, the more often they do.
_TRIES = 20

# Seconds: clocks of the machines of a site do not agree to the last of them.
_TOLERANCE = 1.0


@dataclass(frozen=True, slots=True)
class PendingName:
    """What a drainer has to do: one name on one host.

    Attributes:
        storage: Alias of the storage in ``STORAGES``.
        host: The host as it stands in the settings.
        name: The file's name.
        present: Whether all changes that are pending left a file.
        lease: Holds all claimed rows of this name and host.
        created: When the last of these changes was made.
        is_stuck: Whether it was handed to a task queue, and nobody has taken it from there for `STUCK_AFTER` leases; so is what
            a drain has begun to do for that reason. Only with a master copy.
        is_restored: Whether all rows are those of a file that is being brought back to the master copy, or was.
    """

    storage: str
    host: str
    name: str
    present: bool
    lease: Lease
    created: float
    is_stuck: bool = False
    is_restored: bool = False


def claim(
    limit: int,
    *,
    storages: Sequence[str] = (),
    hosts: Sequence[str] = (),
    without: Collection[tuple[str, str]] = (),
) -> list[PendingName]:
    """Make rows that are due one's own, those first that have been due longest; no row is ever claimed by two.

    Args:
        limit: How many rows at most.
        storages: Aliases; all if there are none.
        hosts: Hosts; all if there are none.
        without: Storages and hosts of which nothing is claimed.

    Returns:
        What is to be replicated. Rows of the same name and host are one piece of work.
    """
    wanted = _wanted(storages, hosts, without)
    claimed: list[PendingName] = []
    for _ in range(_TRIES):
        now = leases.clock()
        due = _due(limit, now, wanted)
        if not due and call_back(now):
            due = _due(limit, now, wanted)
        claimed = _claimed(_with_resting(due, now), now)
        if claimed or not due:
            break  # else others were faster, and leave the next ones
    return claimed


def count_due(
    most: int,
    *,
    storages: Sequence[str] = (),
    hosts: Sequence[str] = (),
    without: Collection[tuple[str, str]] = (),
) -> int:
    """Return how many pieces of work are due, as `claim` would return them.

    Args:
        most: How many rows are looked at: no more are counted.
        storages: As for `claim`.
        hosts: As for `claim`.
        without: As for `claim`.
    """
    due = _due(most, leases.clock(), _wanted(storages, hosts, without))
    return len({(row.storage, row.host, row.name) for row in due})


def _wanted(
    storages: Sequence[str], hosts: Sequence[str], without: Collection[tuple[str, str]]
) -> list[tuple[str, str]] | None:
    if not (storages or hosts or without):
        return None
    return [pair for pair in rows.pairs(storages) if pair not in without and (not hosts or pair[1] in hosts)]


def _due(limit: int, now: float, wanted: Sequence[tuple[str, str]] | None) -> list[Row]:
    if wanted is None:
        return rows.select({"due <= %s": now}, limit, "due")
    each = (rows.select_of_host(alias, host, {}, limit, until=now) for alias, host in wanted)
    due = [row for found in each for row in found]
    return sorted(due, key=lambda row: (row.due, row.id))[:limit]


def _with_resting(due: Sequence[Row], now: float) -> list[Row]:
    """Return rows, and those that go with them.

    Without a master copy, all rows of a name and host go together: one that rests would keep the others waiting.
    """
    found = {row.id: row for row in due}
    pieces = {(row.digest, row.host) for row in due if row.digest}
    for part in in_parts(sorted({digest for digest, _ in pieces})):
        resting = rows.select({"digest IN %s": [*part], "quiet_until <= %s": now})
        found |= {row.id: row for row in resting if (row.digest, row.host) in pieces}
    return [*found.values()]


def _claimed(found: Sequence[Row], now: float) -> list[PendingName]:
    work: dict[tuple[str, str, str], list[Row]] = {}
    for row in found:
        work.setdefault((row.storage, row.host, row.name), []).append(row)
    # A lease begins before its rows are taken, however long that lasts: else it would be believed in for too long.
    claims = [(_claim(piece), piece) for piece in work.values()]
    mine = _taken({row.id: claim.lease.token for claim, piece in claims for row in piece}, now)
    return [claim for claim, _ in claims if claim.lease.token in mine]


def _claim(piece: Sequence[Row]) -> PendingName:
    first, present = piece[0], all(row.present for row in piece)
    lease = Lease(secrets.token_hex(16), [first.host], max(row.attempts for row in piece))
    # What has failed otherwise does not rest.
    lease.in_doubt = any(row.attempts and row.quiet_until for row in piece)
    created, stuck = max(row.created for row in piece), any(map(_is_stuck, piece))
    restored = all(row.latest == RESTORED for row in piece)
    return PendingName(first.storage, first.host, first.name, present, lease, created, stuck, restored)


def _is_stuck(row: Row) -> bool:
    if not row.opened_by:
        return False
    # Somebody who has made it his own since, and is no worker, was a drain that did not hand it over once more.
    is_taken = row.owner != row.opened_by
    return is_taken or 0 < row.quiet_until <= leases.clock() - STUCK_AFTER * lease_seconds() + _TOLERANCE


def _taken(owners: dict[int, str], now: float) -> set[str]:
    """Make rows their new owners', as far as nobody else was faster; return the owners that have got any."""
    # What is due is looked at once more in the same statement.
    until = leases.clock() + lease_seconds()
    free = {"quiet_until <= %s": now, "(due <= %s OR digest <> '')": now}
    taken: set[str] = set()
    for part in map(dict, in_parts([*owners.items()])):
        if rows.assign(part, free, quiet_until=until, due=until) == len(part):
            taken.update(part.values())
        else:
            taken.update(row.owner for row in rows.select({"owner IN %s": [*{*part.values()}]}))
    return taken


def forget_before(storage: str, host: str, moment: float) -> int:
    """Remove the rows of old changes that nobody deals with, and return how many names they were of.

    Args:
        storage: Alias of the storage in ``STORAGES``.
        host: The host as it stands in the settings of whoever has recorded it.
        moment: Seconds since the epoch; changes are old that were made before, or then.
    """
    free = {"created <= %s": moment, "quiet_until <= %s": leases.clock()}
    mine = {"storage = %s": storage, "host = %s": host, **free}
    parts = delete_by_parts(lambda: rows.select(mine, rests.PART, "created"), mine)
    return len({row.name for part, _ in parts for row in part})


def claim_name(storage: str, host: str, name: str) -> PendingName | None:
    """Make the rows of one name and host one's own, although they may not be due; return None if they may not be yet.

    Only for storages without a master copy.

    Args:
        storage: Alias of the storage in ``STORAGES``.
        host: The host as it stands in the settings.
        name: The file's name.
    """
    now = leases.clock()
    found = rows.select({**rows.of_name(storage, name), "host = %s": host, "quiet_until <= %s": now})
    return next(iter(_claimed(found, now)), None)


def adopt_lease(token: str, storage: str, hosts: Sequence[str], name: str, *, present: bool) -> Lease:
    """Take over the rows that another process has opened for this one.

    So are those that a drain has taken over meanwhile, and handed to the queue once more. Hosts whose rows somebody else is
    dealing with are left to them: else there would be more work with each try, and no end of it. What an earlier delivery
    of the same message has begun is done once more, under rows of its own: that worker may be dead. So is that for which
    there are no rows: it may be recorded elsewhere.

    Args:
        token: What the rows say of their owner; empty if there are none.
        storage: As for `open_lease`.
        hosts: As for `open_lease`.
        name: As for `open_lease`.
        present: As for `open_lease`.

    Returns:
        What holds the rows of those hosts that are not left to others: see `Lease.hosts`.
    """
    if not token:
        return open_lease(storage, hosts, name, present=present)
    heir = hashlib.sha256(token.encode(errors="replace")).hexdigest()[:32]
    found = rows.select({"owner IN %s": [token, heir], "host IN %s": [*hosts]})
    own = [row for row in found if row.owner == token]
    again = {row.host for row in found if row.owner == heir}
    missing = [host for host in hosts if host not in {row.host for row in found}]
    if missing:
        of_name = {"name_key IN %s": [digest_of(storage, name), ""], "storage = %s": storage, "name = %s": name}
        of_others = rows.select({**of_name, "host IN %s": missing})
        own += [row for row in of_others if row.opened_by and row.quiet_until <= leases.clock()]
        again.update({*missing} - {row.host for row in of_others})
    nothing_pending = again - {row.host for row in found}
    # Another owner than the earlier delivery, which may be alive.
    owner = secrets.token_hex(16) if again else heir
    attempts = max((row.attempts for row in own), default=0)
    # After a failure that may have been none they rest, whatever becomes of them now: the old request may arrive after the new
    # one.
    rests_until = max((row.quiet_until for row in own if row.attempts), default=0)
    lease = Lease(owner, again.union(row.host for row in own), attempts, rests_until)
    lease.caught_up = frozenset(nothing_pending)
    lease.in_doubt = attempts > 1  # the first may have been that of whoever has handed it over
    if own and not _inherited(own, lease):
        return adopt_lease(token, storage, hosts, name, present=present)  # somebody else was faster
    if again:
        insert_rows(lease, storage, sorted(again), name, present=present)
    return lease


def _inherited(own: Sequence[Row], lease: Lease) -> bool:
    """Make rows a lease's; return False if somebody else has taken some of them meanwhile."""
    until = leases.clock() + lease.seconds
    left = {"id IN %s": [row.id for row in own], "owner IN %s": [*{row.owner for row in own}]}
    return rows.update(left, owner=lease.token, opened_by="", quiet_until=until, due=until) == len(own)


def take_back(piece: PendingName) -> PendingName | None:
    """Make one's own again what was just handed to a task queue that has failed; return None if somebody else has it by now.

    Under another owner, as the queue may have taken the message all the same: whoever brings the old one gets rows of that, leased
    or not.

    Args:
        piece: What was handed over.
    """
    lease = Lease(secrets.token_hex(16), [piece.host], piece.lease.attempts)
    until = leases.clock() + lease.seconds
    left = {"owner = %s": piece.lease.token}
    if not rows.update(left, "attempts = attempts - 1", owner=lease.token, opened_by="", quiet_until=until, due=until):
        return None
    return replace(piece, lease=lease)
