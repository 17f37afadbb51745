"""What hosts and the record say as of now: all hosts are asked at once, and nobody waits for long."""

from dataclasses import dataclass, replace
from functools import partial

from django.db import DatabaseError

from resto.bounded import Bounded
from resto.clock import monotonic
from resto.executors import Job
from resto.plugins import get_plugin_manager
from resto.record.closing import close_all
from resto.repair.status import HostStatus, MasterStatus, Stranger, master_status, storage_status
from resto.storage.finding import replicated_aliases


__all__ = ["Look", "Looks", "forget", "look"]

# Seconds that a page waits for all hosts: with the usual timeout, those that are frozen take two.
PATIENCE = 6.0

# Seconds for which hosts are not asked again, be there many who look at the page.
KEPT = 2.0


@dataclass(frozen=True, slots=True)
class Look:
    """How a storage is.

    Attributes:
        storage: Its alias.
        master: Its master copy; None if it has none, or if that is not known.
        statuses: Its hosts.
        strangers: Hosts that something is pending for, and that it does not have.
        problem: Why the others are not known, a sentence fragment; empty if they are.
    """

    storage: str
    master: MasterStatus | None = None
    statuses: tuple[HostStatus, ...] = ()
    strangers: tuple[Stranger, ...] = ()
    problem: str = ""

    @property
    def is_lagging(self) -> bool:
        """Whether something is pending for a host."""
        return any(status.pending for status in self.statuses)


@dataclass(frozen=True, slots=True)
class Looks:
    """How all storages are.

    Attributes:
        looks: One for each; none if nobody has answered so far.
        taken: When that was, by `resto.clock.monotonic`; None as above.
        is_late: Whether hosts have not answered since then.
    """

    looks: tuple[Look, ...] = ()
    taken: float | None = None
    is_late: bool = False


_last = [Looks()]


def look() -> Looks:
    """Return how all storages are, or were a moment ago, or before hosts began to take too long."""
    try:
        _last[0] = _all.get()
    except TimeoutError:
        return replace(_last[0], is_late=True)
    return _last[0]


def forget() -> None:
    """Ask again, the next time."""
    _last[0] = Looks()
    _all.forget()


def _look_at_all() -> Looks:
    """Look at each storage in a thread, so that the hosts of none wait for those of another."""
    found: dict[str, Look] = {}

    def keep(alias: str) -> None:
        found[alias] = _look(alias)

    aliases = replicated_aliases()
    get_plugin_manager().executor("thread")().run(
        [Job("status", f"all hosts of {alias}", "", partial(keep, alias)) for alias in aliases]
    )
    return Looks(tuple(found[alias] for alias in aliases), monotonic())


def _look(alias: str) -> Look:
    try:
        statuses, strangers = storage_status(alias)
        return Look(alias, master_status(alias), tuple(statuses), tuple(strangers))
    except DatabaseError as error:
        return Look(alias, problem=f"the record cannot be read: {error}")
    except Exception as error:  # noqa: BLE001 - whatever a plugin raises; the hosts of others are asked
        return Look(alias, problem=str(error))
    finally:
        close_all()  # those of a thread that others use for something else


_all = Bounded(_look_at_all, PATIENCE, KEPT)
