"""Who drains and compares, and when somebody did so last."""

from dataclasses import dataclass

from django.db.models import Q

from resto.record import database
from resto.record.runs import WATCH, RunRow, find, last_of, watching


__all__ = ["Work", "work_on"]

# Processes that stay, of which the last ones count.
_FEW = 50


@dataclass(frozen=True, slots=True)
class Work:
    """Who looks after a storage.

    Attributes:
        storage: Its alias in ``STORAGES``.
        watching: Processes that stay and drain it, and live.
        died: One that has died, if nobody has drained since; else None.
        drained: The last drain; None if there was none, or if it is forgotten.
        compared: The last comparison that was about all hosts and files; None as above.
        agreed: The last of these after which everything agreed; None as above.
        judged: The last of these that nobody is at any more, be it that it was broken off; None as above.
    """

    storage: str
    watching: tuple[RunRow, ...]
    died: RunRow | None
    drained: RunRow | None
    compared: RunRow | None
    agreed: RunRow | None
    judged: RunRow | None

    @property
    def is_in_doubt(self) -> bool:
        """Whether hosts may lack something, as the last comparison has found that, or was broken off."""
        return self.judged is not None and self.judged.state != "done"

    @property
    def is_known(self) -> bool:
        """Whether anybody has done anything so far."""
        return bool(self.watching or self.died or self.drained or self.compared)


def work_on(alias: str) -> Work | None:
    """Return who looks after a storage; None if nothing is recorded.

    Args:
        alias: Of the storage in ``STORAGES``.

    Raises:
        ConfigurationError: The table is missing.
        DatabaseError: It cannot be read.
    """
    if not database.is_active():
        return None
    living = tuple(run for run in watching() if not run.hosts and run.is_about(alias))
    stayed = find(Q(kind=WATCH, ended__isnull=True, hosts="[]"), _FEW)
    died = next((run for run in stayed if run.is_about(alias) and run.state == "dead"), None)
    drained = last_of("drain", alias)
    is_replaced = died is not None and drained is not None and drained.age < died.age
    return Work(
        alias,
        living,
        None if living or is_replaced else died,
        drained,
        last_of("sync", alias),
        last_of("sync", alias, succeeded=True),
        last_of("sync", alias, is_over=True),
    )
