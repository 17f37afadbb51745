"""What a restore says: how it is to be done, what it finds, and what it comes to."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from resto.repair.sync.report import HostReport


__all__ = ["Finding", "Kind", "RestoreOptions", "RestoreReport", "Told"]

Kind = Literal["restored", "found", "different", "partial", "lost", "left", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreOptions:
    """What to bring back, and from where.

    Attributes:
        prefix: Only what is below this directory.
        dry_run: Whether to change nothing.
        source: The host that decides where hosts disagree; None if none does.
        from_any: Whether to bring files that some hosts have and others lack.
        checksum: Whether the contents of files of the same size are compared.
    """

    prefix: str = ""
    dry_run: bool = False
    source: str | None = None
    from_any: bool = False
    checksum: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """What became of one file that the master copy lacks.

    Attributes:
        name: The file's name.
        kind: ``"restored"``; ``"found"`` if nothing was to be done; ``"different"`` if hosts have different ones; ``"partial"`` if
            some have it and others lack it, although nothing is pending; ``"lost"`` if no host is known to have what was
            saved last; ``"left"`` if it was saved or deleted meanwhile; ``"failed"``.
        host: Where it comes from; empty if it does not.
        sizes: Host -> what it has, in bytes; None if it lacks the file.
        problem: What went wrong, or what happened meanwhile; a sentence fragment, or empty.
    """

    name: str
    kind: Kind
    host: str = ""
    sizes: dict[str, int | None] = field(default_factory=dict)
    problem: str = ""

    @property
    def is_in_doubt(self) -> bool:
        """Whether somebody has to decide about it, or to try again."""
        if self.kind == "lost":
            return any(size is not None for size in self.sizes.values())
        return self.kind in ("different", "partial", "failed")


@dataclass(slots=True)
class RestoreReport:
    """What the restore of one storage came to.

    Attributes:
        hosts: What is said of each host.
        present: How many files that hosts have were in the master copy.
        counts: How many files were found of each kind.
        size: Of what was restored, in bytes.
        in_doubt: How many files somebody has to decide about, or to try again.
        is_restoring: Whether the master copy is still being restored at the end.
        problems: What went wrong with the storage as a whole, sentence fragments.
    """

    hosts: list[HostReport]
    present: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    size: int = 0
    in_doubt: int = 0
    is_restoring: bool = False
    problems: list[str] = field(default_factory=list)

    @property
    def is_complete(self) -> bool:
        """Whether nothing is left in doubt of what was looked at."""
        return not self.in_doubt and not self.problems and not any(host.problems for host in self.hosts)

    def add(self, finding: Finding) -> None:
        """Count a file."""
        self.counts[finding.kind] += 1
        self.in_doubt += finding.is_in_doubt


# Told what is found, one at a time.
Told = Callable[[Finding], None]
