"""What is recorded while files are brought back to a master copy, and what was recorded of them before."""

from collections.abc import Iterator, Mapping, Sequence

from resto.record import leases, rows
from resto.record.leases import Lease
from resto.record.opening import insert_rows
from resto.record.rows import RESTORED, Row, digest_of, in_parts


__all__ = ["claim_as_others", "make_as_others", "pending_names", "pending_of"]

# Rows that are looked at at a time.
_PAGE = 1_000


def pending_of(storages: Sequence[str], names: Sequence[str]) -> dict[str, list[Row]]:
    """Return what is pending for names, oldest first, but for what restores have left that were killed.

    Args:
        storages: Aliases under which the names may be recorded.
        names: Of the files.
    """
    # Version 0.1 knows no keys, and may be at work while a site is deployed.
    keys = ["", *(digest_of(alias, name) for alias in storages for name in names)]
    wanted = {*names}
    found: dict[str, list[Row]] = {}
    for part in in_parts(keys):
        for row in rows.select({"name_key IN %s": [*part]}):
            if row.storage in storages and row.name in wanted and row.latest != RESTORED:
                found.setdefault(row.name, []).append(row)
    return found


def pending_names(storages: Sequence[str]) -> Iterator[list[str]]:
    """Yield all names that something is pending for, some at a time; one may come more than once.

    Args:
        storages: Aliases.
    """
    last = 0
    while page := rows.select({"storage IN %s": [*storages], "id > %s": last}, _PAGE):
        last = page[-1].id
        yield [*dict.fromkeys(row.name for row in page if row.latest != RESTORED)]


def make_as_others(storage: str, held: Mapping[str, Lease]) -> None:
    """Let the rows of files that are in the master copy by now be as those of any other file; open those that are gone.

    A drain has forgotten them if the lease has ended before. Nothing is sent to a host before this.

    Args:
        storage: Alias of the storage in ``STORAGES``.
        held: The lease of each name, as `open_restored` returns it.
    """
    for part in in_parts([*held]):
        until = leases.clock() + leases.lease_seconds()
        tokens = [held[name].token for name in part]
        count = sum(len(held[name].hosts) for name in part)
        if rows.update({"owner IN %s": tokens}, latest="", quiet_until=until, due=until) < count:
            _open_again(storage, {name: held[name] for name in part})


def _open_again(storage: str, held: Mapping[str, Lease]) -> None:
    found = rows.select({"owner IN %s": [lease.token for lease in held.values()]})
    there = {(row.owner, row.host) for row in found}
    for name, lease in held.items():
        gone = [host for host in lease.hosts if (lease.token, host) not in there]
        if gone:
            insert_rows(lease, storage, gone, name, present=True)


def claim_as_others(held: Sequence[Lease]) -> None:
    """Let rows that a drain has claimed be as those of any other file, as the master copy has it.

    Args:
        held: What holds them.
    """
    for part in in_parts(held):
        rows.update({"owner IN %s": [lease.token for lease in part]}, latest="")
