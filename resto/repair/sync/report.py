"""What a comparison says: how it is to be done, what it finds, and what it comes to for each host."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal

from resto.exceptions import TransportError
from resto.outcomes import Outcome


__all__ = [
    "Difference",
    "Disagreement",
    "Found",
    "HostReport",
    "Notice",
    "Settled",
    "SyncOptions",
    "SyncReport",
    "problem_of",
    "settled",
    "unreadable",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncOptions:
    """What to compare, and what to do about differences.

    Attributes:
        hosts: Which hosts; None for all.
        prefix: Only what is below this directory.
        dry_run: Whether to change nothing.
        delete: Whether files that only a host has are removed from it.
        max_delete: Percentage of a host's files; if more of them would be removed, none is.
        force: Whether files are removed however many, and even if the master copy is empty.
        checksum: Whether the contents of files of the same size are compared.
        source: The host that the others are made equal to where nothing else says which is right; empty for none. Only without a
            master copy.
        hand_over: Whether what differs is recorded as pending, in place of being sent and removed: drains do it.
        wait: Whether it is waited then until they have.
    """

    hosts: frozenset[str] | None = None
    prefix: str = ""
    dry_run: bool = False
    delete: bool = False
    max_delete: float = 10
    force: bool = False
    checksum: bool = False
    source: str = ""
    hand_over: bool = False
    wait: bool = False


@dataclass(frozen=True, slots=True)
class Difference:
    """A file in which a host differs from the master copy.

    Attributes:
        host: The host as it stands in the settings.
        name: The file's name.
        kind: ``"unknown"`` if the host does not tell.
        here: Size in the master copy, in bytes; None if it is not there.
        there: Size on the host, in bytes; None if it is not there, or not known.
        state: ``"found"`` if nothing was to be done; ``"kept"`` if it is an extra file that was to stay;
            ``"handed over"`` if it is recorded as pending.
        problem: What went wrong, a sentence fragment; else empty.
    """

    host: str
    name: str
    kind: Literal["missing", "different", "extra", "unknown"]
    here: int | None
    there: int | None
    state: Literal["found", "repaired", "kept", "failed", "handed over"]
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A file in which hosts without a master copy differ from each other.

    Attributes:
        name: The file's name.
        sizes: Host -> size in bytes; None if it is not there.
        contents_differ: Whether sizes are the same, and contents are not.
    """

    name: str
    sizes: dict[str, int | None]
    contents_differ: bool = False


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that is not compared.

    Attributes:
        host: Where it is; empty for the master copy.
        name: What it is called there.
        reason: Why it is not compared, a sentence fragment.
    """

    host: str
    name: str
    reason: str


@dataclass(slots=True)
class HostReport:
    """What the comparison of one host came to.

    Attributes:
        host: The host as it stands in the settings.
        compared: How many files were compared.
        missing: How many the host did not have.
        different: How many were different there.
        extra: How many only the host had.
        repaired: How many of these differences are there no longer.
        removed: How many of those that were repaired were extra files.
        handed_over: How many of these differences are recorded as pending, and nobody has waited for them.
        extras_handed_over: How many of those that were handed over are extra files.
        failed: How many files could not be compared or repaired.
        unfinished: How many uploads that had not come to their end were found; they may still be under way.
        swept: How many of these were a day old, and are there no longer.
        unlisted: How many directories the host does not list: extra files in them cannot be seen.
        problems: What went wrong with the host as a whole, sentence fragments.
        fill: Whether the host is left out until it has been filled: ``"filling"`` if it still is at the end, ``"pending"`` if only
            what the record has for it is left to be done, and ``"filled"`` if it counts again; empty for any other host.
    """

    host: str
    compared: int = 0
    missing: int = 0
    different: int = 0
    extra: int = 0
    repaired: int = 0
    removed: int = 0
    handed_over: int = 0
    extras_handed_over: int = 0
    failed: int = 0
    unfinished: int = 0
    swept: int = 0
    unlisted: int = 0
    problems: list[str] = field(default_factory=list)
    fill: Literal["", "filling", "pending", "filled"] = ""

    @property
    def agrees(self) -> bool:
        """Whether the host has what it should have, as far as can be seen."""
        return self.is_dealt_with and not self.handed_over and self.fill not in ("filling", "pending")

    @property
    def is_dealt_with(self) -> bool:
        """Whether nothing has failed: what differed was repaired, or handed over."""
        found = self.missing + self.different + self.extra
        return not self.problems and not self.failed and found == self.repaired + self.handed_over


@dataclass(slots=True)
class SyncReport:
    """What the comparison of one storage came to.

    Attributes:
        hosts: One report for each host.
        disagreements: How many files differ between hosts without a master copy.
        problems: What went wrong with the storage as a whole, sentence fragments.
    """

    hosts: list[HostReport]
    disagreements: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def found_any(self) -> bool:
        """Whether there was any file, here or on a host."""
        return bool(self.disagreements) or any(host.compared or host.extra for host in self.hosts)

    @property
    def agrees(self) -> bool:
        """Whether everything agrees at the end."""
        return not self.problems and not self.disagreements and all(host.agrees for host in self.hosts)

    @property
    def is_dealt_with(self) -> bool:
        """Whether everything agrees, or does so as soon as drains have done what was handed over to them."""
        if self.problems or self.disagreements:
            return False
        return all(host.agrees or (host.handed_over and host.is_dealt_with) for host in self.hosts)


# What a difference is when nothing is left to be done about it by the comparison.
Settled = Literal["repaired", "handed over"]

# Told what is found, one at a time.
Found = Callable[[Difference | Disagreement | Notice], None]


def settled(difference: Difference, outcome: Outcome, state: Settled = "repaired") -> Difference:
    """Return what a difference has become by its repair, or by being recorded, if that has not failed."""
    if outcome.ok:
        return replace(difference, state=state)
    return replace(difference, state="failed", problem=problem_of(outcome.error))


def unreadable(name: str, error: OSError) -> str:
    """Return what is said of a directory of the master copy that cannot be read.

    Args:
        name: Of the directory.
        error: Why.
    """
    return f"{name or '/'} of the master copy cannot be read: {(error.strerror or str(error)).lower()}"


def problem_of(error: Exception | None) -> str:
    """Return what went wrong, in words for a report."""
    if isinstance(error, TransportError):
        return error.problem
    return f"{type(error).__name__}: {error}"
