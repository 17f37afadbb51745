"""What the identity of a host says, against what the record knows of it: the host that it was, or what is wrong with it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

from resto.exceptions import ConfigurationError
from resto.record.identities import BEING_MADE, Known
from resto.storage.host_identity import HostIdentity


__all__ = ["Finding", "Kind", "finding_of", "nested_finding", "problem_of", "served_finding", "taken_finding"]

# "sound" is the host that it was; one of "unknown" has no identity, on neither side; one that "follows" has that of the master
# copy of before; what one that is "unread" has is not known. The others are faults.
Kind = Literal[
    "sound", "unknown", "follows", "unread", "same", "served", "foreign", "taken", "gone", "blank", "swapped"
]

# Faults of a host to which nothing is sent, and from which nothing is removed: it is not this storage's, or is the master copy,
# or a directory in place of a disk.
_REFUSED = frozenset({"served", "foreign", "taken", "blank"})

# Faults of a host that has the files of something else, or those of the master copy.
_OTHERS = frozenset({"served", "foreign", "swapped"})

# Faults of a host that has lost its files: saves go on there, and whatever they bring stays pending.
_LOST = frozenset({"gone", "swapped"})

_SERVED = (
    "{host} serves {more}, which is the master copy itself",
    "Take it out of the hosts, or give it a directory of its own.",
)

_TEXTS: Mapping[str, tuple[str, str]] = {
    "same": (
        "{host} and {more} are the same server, or one has a copy of the other's disk",
        "List it once; if it is a copy, run: manage.py resto_adopt --host {host}.",
    ),
    "foreign": (
        "{host} belongs to something else: another site, or another master copy",
        "Correct the address; if it is to be a host of this one from now on, run: manage.py resto_adopt --host {host}.",
    ),
    "gone": (
        "{host} has no file .resto.host any more: it has lost its files, or its disk",
        "Is the disk mounted there? If it is to be filled anew, run: manage.py resto_adopt --host {host}.",
    ),
    "blank": (
        "{host} has nothing in its file .resto.host by which resto could know it: it is not mounted, or has lost its files",
        "Mount it; if it is to be filled anew, run: manage.py resto_adopt --host {host}.",
    ),
    "swapped": (
        "{host} is another host of this site than it was",
        "Correct the address, or mount its disk; if this is the host from now on, run: manage.py resto_adopt --host {host}.",
    ),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found out about one host.

    Attributes:
        host: The host as it stands in the settings.
        kind: What it is.
        identity: What the host has shown; empty if it has none, or does not tell.
        problem: What is wrong with it, and what to do; None if nothing is.
        remark: Why it is not known what it is, a sentence fragment; empty if it is known.
        error: What has kept the host from telling; None if nothing has.
    """

    host: str
    kind: Kind
    identity: str = ""
    problem: ConfigurationError | None = None
    remark: str = ""
    error: Exception | None = None

    @property
    def is_refused(self) -> bool:
        """Whether nothing at all may be sent or removed."""
        return self.kind in _REFUSED

    @property
    def is_lost(self) -> bool:
        """Whether the host has lost its files, so that it counts as behind with whatever is saved."""
        return self.kind in _LOST

    @property
    def is_another(self) -> bool:
        """Whether nothing is read there. Of a host that the settings give to two storages, the site's own files are read."""
        return self.kind in _OTHERS or (self.kind == "taken" and self.identity != "")

    @property
    def is_left_alone(self) -> bool:
        """Whether drains and comparisons send nothing, and remove nothing."""
        return self.is_refused or self.is_lost


def finding_of(
    host: str,
    found: HostIdentity | None,
    known: Mapping[str, Known],
    hosts: Collection[str],
    owner: str,
    others: Collection[str] = (),
    *,
    is_directory: bool = False,
) -> Finding:
    """Return what a host is.

    Args:
        host: The host as it stands in the settings.
        found: Its identity; None if it says that it has none.
        known: What the record knows of each host.
        hosts: Those that the settings have.
        owner: Whose it should be, hashed.
        others: Whose it may be as well: other storages of the same site with the same directory.
        is_directory: Whether it is a directory of this machine, which tells what it has where a server may answer something else.
    """
    mine = known.get(host)
    is_made = mine is not None and mine.state != BEING_MADE
    if found is None:
        return _fault(host, "gone") if is_made else Finding(host, "unknown")
    if not found.id and is_directory and is_made:
        return _fault(host, "blank")
    if not found.id:
        return Finding(host, "unread", remark="it answers something else when it is asked for its file .resto.host")
    if found.owner != owner and found.owner not in others:
        follows = mine is not None and (mine.identity, mine.mark, mine.next_mark) == (found.id, found.owner, owner)
        return Finding(host, "follows", found.id) if follows else _fault(host, "foreign", found.id)
    if mine is not None and mine.identity != found.id:
        return _fault(host, "swapped", found.id)
    twins = [one for one, row in known.items() if one != host and one in hosts and row.identity == found.id]
    return _fault(host, "same", found.id, twins[0]) if twins else Finding(host, "sound", found.id)


def served_finding(host: str, identity: str, location: str) -> Finding:
    """Return what is said of a host that is the directory of the master copy itself.

    Args:
        host: The host as it stands in the settings.
        identity: What it has shown.
        location: The path of the directory.
    """
    problem, hint = _SERVED
    return Finding(host, "served", identity, ConfigurationError(problem.format(host=host, more=location), hint))


def nested_finding(host: str, location: str) -> Finding:
    """Return what is said of a host that is a directory in that of the master copy, or around it, or the same.

    Args:
        host: The host as it stands in the settings.
        location: The path of the master copy.
    """
    problem = f"{host} and the master copy, {location}, lie in each other, or are the same"
    return Finding(host, "served", "", ConfigurationError(problem, "Give the host a directory elsewhere."))


def taken_finding(host: str, identity: str, problem: ConfigurationError) -> Finding:
    """Return what is said of a host that belongs to another storage of the same site.

    Args:
        host: The host as it stands in the settings.
        identity: What it has shown; empty if the settings say whose it is.
        problem: Which storage that is.
    """
    return Finding(host, "taken", identity, problem)


def problem_of(finding: Finding) -> str:
    """Return what is wrong with a host in one sentence, and what that has for a consequence; empty if nothing is."""
    if finding.problem is None:
        return ""
    consequence = "nothing is sent or removed: " if finding.is_left_alone else ""
    return f"{consequence}{finding.problem}"


def _fault(host: str, kind: Kind, identity: str = "", more: str = "") -> Finding:
    problem, hint = (text.format(host=host, more=more) for text in _TEXTS[kind])
    return Finding(host, kind, identity, ConfigurationError(problem, hint))
