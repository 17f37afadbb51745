"""What a drain leaves alone: directories that are not the master copy, and hosts that are not what they were."""

import math
from collections.abc import Collection, Sequence

from django.core.files.storage import storages

from resto.exceptions import ConfigurationError
from resto.record import leases, rows
from resto.settings import misshapen_storages, storage_settings
from resto.storage import HybridStorage, ReplicatedStorage
from resto.storage.finding import replicated_aliases
from resto.storage.host_findings import Finding, problem_of
from resto.storage.identified import has_identities


__all__ = ["refused_hosts_of", "refused_storages", "usable_storage"]

# Seconds after which a drain that watches looks at hosts again.
LOOKED_EACH = 60

# When storages and hosts were looked at, and what these were.
_looked: dict[tuple[str, str], tuple[float, Finding | None]] = {}


def usable_storage(alias: str) -> object:
    """Return what ``STORAGES`` has under an alias, with sound options; None if it has nothing.

    Raises:
        ConfigurationError: Nobody can say what it has there.
    """
    if {alias, None} & misshapen_storages().keys():
        raise ConfigurationError(f"STORAGES has no usable {alias!r}", "See what manage.py check says.", "E033")
    found = storages[alias] if alias in storage_settings() else None
    if isinstance(found, ReplicatedStorage):
        found.require_sound_options()
    return found


def refused_storages(aliases: Sequence[str]) -> dict[str, str]:
    """Return the storages whose directory does not prove to be the master copy; their rows stay for whoever has the right one."""
    refused = {}
    for alias in replicated_aliases(aliases):
        try:
            found = usable_storage(alias)
        except Exception:  # noqa: BLE001, S112 - whatever a plugin raises: it is told where there is something to drain
            continue
        if isinstance(found, HybridStorage):
            try:
                found.belief.require()
            except ConfigurationError as error:
                refused[alias] = str(error)
    return refused


def refused_hosts_of(
    aliases: Sequence[str], hosts: Sequence[str], refused: Collection[str], *, watches: bool
) -> dict[tuple[str, str], str]:
    """Return the hosts that are not what they were; their rows stay until somebody has decided what they are.

    Args:
        aliases: As for `drain`.
        hosts: As for `drain`.
        refused: Storages that are not looked at.
        watches: Whether hosts are looked at for which nothing is pending.
    """
    found = {}
    for alias in replicated_aliases(aliases):
        try:
            storage = None if alias in refused else usable_storage(alias)
        except Exception:  # noqa: BLE001, S112 - as above
            continue
        if isinstance(storage, ReplicatedStorage) and has_identities(storage):
            chosen = [host for host in storage.hosts if not hosts or host in hosts]
            if not watches:
                pending = {host for _, host in rows.pairs([alias])}
                chosen = [host for host in chosen if host in pending]
            for host, finding in _looked_at(alias, storage, chosen).items():
                if finding.is_left_alone:
                    found[alias, host] = problem_of(finding)
    return found


def _looked_at(alias: str, storage: ReplicatedStorage, hosts: Sequence[str]) -> dict[str, Finding]:
    """Return what hosts were found to be in the last minute; look at the others, and give those an identity that are new."""
    now = leases.monotonic()
    due = [host for host in hosts if now - _looked.get((alias, host), (-math.inf, None))[0] >= LOOKED_EACH]
    if due:
        findings = storage.recognition.examine(due, begins=True)
        _looked.update({(alias, host): (now, findings.get(host)) for host in due})
    latest = {host: _looked[alias, host][1] for host in hosts}
    return {host: finding for host, finding in latest.items() if finding is not None}
