"""From which host a file is taken that the master copy lacks."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from resto.record import leases
from resto.record.identities import Known
from resto.record.rows import Row
from resto.repair.restore.report import Finding, RestoreOptions


__all__ = ["Missing", "Wanted", "choose", "is_proven", "known_since"]


@dataclass(frozen=True, slots=True)
class Missing:
    """A file that the master copy lacks.

    Attributes:
        name: The file's name.
        sizes: Host -> what it says that it has, in bytes; None if it lacks the file. Hosts that do not answer are left out.
    """

    name: str
    sizes: dict[str, int | None]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file that is to be brought.

    Attributes:
        name: The file's name.
        host: Where from.
        sizes: As for `Missing`.
        alike: Other hosts whose content has to be the same.
        known: What was pending for the name when that was decided, by the ids of rows.
    """

    name: str
    host: str
    sizes: dict[str, int | None]
    alike: tuple[str, ...] = ()
    known: frozenset[int] = frozenset()


def is_proven(known: Mapping[str, Known], host: str) -> bool:
    """Return whether a host is the one that it was, as far as that is known.

    Args:
        known: What is known of hosts.
        host: The host as it stands in the settings.
    """
    return host not in known or not known[host].state


def known_since(known: Mapping[str, Known]) -> dict[str, float]:
    """Return since when each host has been the one that it is.

    Args:
        known: What is known of hosts.
    """
    return {host: max(one.marks.values(), default=0.0) for host, one in known.items()}


def choose(
    missing: Missing,
    pending: Sequence[Row],
    proven: Collection[str],
    options: RestoreOptions,
    since: Mapping[str, float] = MappingProxyType({}),
) -> Wanted | Finding | None:
    """Return from where a file is to be brought, or why it is not; None if it is not missing: it was deleted.

    Args:
        missing: The file.
        pending: What is pending for it, oldest first.
        proven: The hosts that are what they were.
        options: What somebody has decided.
        since: Since when each host has been the one that it is: of what was changed before, it knows nothing.
    """
    sizes = {host: size for host, size in missing.sizes.items() if host in proven}
    behind = {row.host for row in pending}
    truthful = {host: size for host, size in sizes.items() if host not in behind}
    having = [host for host, size in truthful.items() if size is not None]
    known = frozenset(row.id for row in pending)
    source = options.source
    if source is not None and sizes.get(source) is not None and (source in having or _rests(pending, having)):
        return Wanted(missing.name, source, missing.sizes, (), known)
    if not having:
        is_absent = not pending or not pending[-1].present
        is_absent = is_absent or any(since.get(host, 0.0) <= pending[-1].created for host in truthful)
        return None if is_absent else Finding(missing.name, "lost", "", sizes)
    if len({truthful[host] for host in having}) > 1:
        return Finding(missing.name, "different", "", sizes)
    if len(having) < len(truthful) and not options.from_any:
        return Finding(missing.name, "partial", "", sizes)
    # Each of them in turn, so that all are busy; the same one each time for the same name.
    host = having[sum(missing.name.encode(errors="replace")) % len(having)]
    alike = tuple(one for one in having if one != host) if options.checksum else ()
    return Wanted(missing.name, host, missing.sizes, alike, known)


def _rests(pending: Sequence[Row], having: Sequence[str]) -> bool:
    """Tell whether no host has what was saved last, and nobody is at it: somebody may decide for what a host has."""
    now = leases.clock()
    return not having and all(row.present and row.quiet_until <= now for row in pending)
