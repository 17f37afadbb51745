"""What a drain has done."""

from dataclasses import dataclass, field, fields, replace

from resto.progress import Meter
from resto.record.leases import Lease


__all__ = ["Drained", "SoFar"]


@dataclass  # without slots: what an older version has pickled lacks what was added since
class Drained:
    """What a drain has done.

    Attributes:
        done: Names on hosts that are equal to the truth now.
        removed: Those of them that the host should not have.
        failed: Names on hosts that are not, and will be tried again.
        skipped: Names on hosts that were not even tried, as the host is down.
        queued: Names on hosts that were handed to a task queue.
        kept: Names on hosts that the settings do not have, which are left as they are until they are a week old. They are
            counted as often as the log says so.
        forgotten: Names on hosts that the settings do not have, after that week.
        dropped: Rows whose name is not that of a file.
        left: Names on hosts that are left as they are, as the master copy is being restored, and lacks the file so far.
        refused: Storages of which nothing was drained, as the directory of their master copy does not prove to be it, each with
            why.
        refused_hosts: Storages and hosts, to which nothing was sent, as they are not the hosts that they were, each with why.
    """

    done: int = 0
    failed: int = 0
    skipped: int = 0
    queued: int = 0
    kept: int = 0
    forgotten: int = 0
    dropped: int = 0
    left: int = 0
    refused: tuple[tuple[str, str], ...] = ()
    refused_hosts: tuple[tuple[tuple[str, str], str], ...] = ()
    removed: int = field(default=0, compare=False)  # a part of what is done

    @property
    def claimed(self) -> int:
        """How many names on hosts were due, of those that the settings have."""
        return self.done + self.failed + self.skipped + self.queued + self.dropped + self.left

    def since(self, before: "Drained") -> "Drained":
        """Return what was done since then.

        Args:
            before: What had been done.
        """
        names = [one.name for one in fields(self) if one.type is int]
        return replace(self, **{name: getattr(self, name) - getattr(before, name) for name in names})


Drained.__module__ = "resto.repair.drain"  # its public path, which pickles name


@dataclass(slots=True)
class SoFar:
    """What a drain has done and found out so far.

    Attributes:
        total: What it returns at the end.
        meter: Tells how far it is.
        direct: As for `drain`.
        mute: Storages whose task queue has not taken what it was given.
        untouched: The token of each lease that is held, and of which nothing was sent -> the lease.
        down: Hosts that could not be reached, or want to be left alone, and what holds the name that was tried.
        strangers: Storages and hosts that the settings do not have.
    """

    total: Drained
    meter: Meter
    direct: bool | None = None
    mute: set[str] = field(default_factory=set)
    untouched: dict[str, Lease] = field(default_factory=dict)
    down: dict[str, Lease] = field(default_factory=dict)
    strangers: set[tuple[str, str]] = field(default_factory=set)
