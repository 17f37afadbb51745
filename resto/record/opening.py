"""Leases are opened: rows say that hosts are about to differ, before anything changes."""

import secrets
from collections.abc import Sequence
from typing import Any

from resto.record import leases, rows
from resto.record.leases import Lease, lease_seconds
from resto.record.rows import FILL, RESTORED, digest_of, in_parts


__all__ = ["insert_rows", "open_change", "open_fills", "open_lease", "open_leases", "open_restored"]


def open_lease(storage: str, hosts: Sequence[str], name: str, *, present: bool) -> Lease:
    """Record that hosts are about to differ from the master copy for a name; one row for each, in one statement.

    Args:
        storage: Alias of the storage in ``STORAGES``.
        hosts: The hosts as they stand in the settings.
        name: The file's name.
        present: Whether the master copy is about to have the file.

    Raises:
        ConfigurationError: The table is missing.
        DatabaseError: It could not be recorded, and nothing must be changed.
    """
    lease = Lease(secrets.token_hex(16), hosts)
    lease.settles_later = True
    insert_rows(lease, storage, hosts, name, present=present)
    return lease


def open_change(storage: str, hosts: Sequence[str], name: str, *, present: bool) -> Lease:
    """Record that hosts are about to change a name, where there is no master copy; one row for each, in one statement.

    Args:
        storage: As for `open_lease`.
        hosts: As for `open_lease`.
        name: As for `open_lease`.
        present: Whether hosts are about to have the file.

    Raises:
        ConfigurationError: As for `open_lease`.
        DatabaseError: As for `open_lease`.
    """
    lease = Lease(secrets.token_hex(16), hosts)
    lease.settles_all = True
    if present:
        lease.expect([lease.token])
    more = {"digest": digest_of(storage, name), "opened_by": lease.token, "latest": lease.token}
    insert_rows(lease, storage, hosts, name, present=present, **more)
    return lease


def open_leases(storage: str, pairs: Sequence[tuple[str, str]]) -> list[Lease]:
    """Record that hosts are found to differ from the master copy, each for a name of its own, in one statement.

    Args:
        storage: Alias of the storage in ``STORAGES``.
        pairs: Hosts and names.

    Returns:
        A lease for each pair.

    Raises:
        ConfigurationError: The table is missing.
        DatabaseError: It could not be recorded, and nothing must be sent.
    """
    opened = [Lease(secrets.token_hex(16), [host]) for host, _ in pairs]
    own = [
        {"owner": lease.token, "host": host, "name": name, "name_key": digest_of(storage, name)}
        for lease, (host, name) in zip(opened, pairs, strict=True)
    ]
    for part in in_parts(own):
        rows.insert(_opened(storage, lease_seconds(), present=True), part)
    return opened


def open_fills(storage: str, name: str, hosts: Sequence[str]) -> list[Lease]:
    """Record that hosts are found to lack what others have, or to have what they lack, where there is no master copy.

    These rows say that a host does not tell the truth, and nothing of what it is. It is made equal to hosts without any.

    Args:
        storage: As for `open_lease`.
        name: The file's name.
        hosts: The hosts as they stand in the settings.

    Returns:
        A lease for each host.

    Raises:
        ConfigurationError: As for `open_lease`.
        DatabaseError: It could not be recorded, and nothing must be sent.
    """
    opened = [Lease(secrets.token_hex(16), [host]) for host in hosts]
    key = digest_of(storage, name)
    common = _opened(storage, lease_seconds(), present=False) | {
        "name": name,
        "name_key": key,
        "digest": key,
        "opened_by": FILL,
    }
    own = [
        {"owner": lease.token, "latest": lease.token, "host": host} for lease, host in zip(opened, hosts, strict=True)
    ]
    for part in in_parts(own):
        rows.insert(common, part)
    return opened


def open_restored(storage: str, hosts: Sequence[str], names: Sequence[str]) -> dict[str, Lease]:
    """Record that hosts may differ for names whose files are being brought back to the master copy; a row for each of both.

    Until it is there, a drain that finds these rows must not take it for deleted: they say that they are a restore's.

    Args:
        storage: As for `open_leases`.
        hosts: The hosts as they stand in the settings.
        names: Of the files.

    Returns:
        A lease for each name.

    Raises:
        ConfigurationError: As for `open_leases`.
        DatabaseError: As for `open_leases`.
    """
    opened = {name: Lease(secrets.token_hex(16), hosts) for name in names}
    own = [
        {"owner": lease.token, "host": host, "name": name, "name_key": digest_of(storage, name)}
        for name, lease in opened.items()
        for host in hosts
    ]
    for part in in_parts(own):
        rows.insert(_opened(storage, lease_seconds(), present=True) | {"latest": RESTORED}, part)
    return opened


def insert_rows(lease: Lease, storage: str, hosts: Sequence[str], name: str, *, present: bool, **more: str) -> None:
    """Insert a row of a lease for each host.

    Args:
        lease: Whose rows they are.
        storage: As for `open_lease`.
        hosts: As for `open_lease`.
        name: As for `open_lease`.
        present: As for `open_lease`.
        **more: Other columns.

    Raises:
        ConfigurationError: As for `open_lease`.
        DatabaseError: As for `open_lease`.
    """
    which = {"owner": lease.token, "name": name, "name_key": digest_of(storage, name)}
    common = _opened(storage, lease.seconds, present=present) | which | more
    lease.created = common["created"]
    for part in in_parts(hosts):
        rows.insert(common, [{"host": host} for host in part])


def _opened(storage: str, seconds: float, *, present: bool) -> dict[str, Any]:
    now = leases.clock()
    until = now + seconds
    return {"storage": storage, "present": present, "created": now, "quiet_until": until, "due": until}
