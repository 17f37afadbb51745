"""What is settled: its rows are removed a moment later, many at a time, so that nobody has to wait for that.

With a master copy, a row says that a host may differ. One that is left over costs one replication more if its process is killed, and
nothing else, as long as three rules hold. Without any one of them a host differs in the end, and nobody knows.

1. What is removed are rows of an owner *and* a host that were settled. The owner may have others, of hosts that have failed; and rows may
   have got another owner meanwhile.
2. Whoever renews a lease counts the rows of hosts that are not settled, and no others: see `resto.record.leases.Lease.keep`.
3. What has failed, or has to rest, is written at once; and each change has rows of its own, whatever is left over.

Where a host has failed, nothing is left over of the others: whoever looks for one that is up to date would take all for behind. Nor is it
without a master copy, where the rows themselves say which hosts have not followed.
"""

import logging
import os
import sys
import threading
from collections.abc import Callable, Collection

from django.db import DEFAULT_DB_ALIAS, Error

from resto.background import HELPER
from resto.clock import monotonic
from resto.exceptions import ConfigurationError
from resto.record import database, rows
from resto.record.own import OWN
from resto.settings import get_setting


__all__ = ["SETTLED", "Settled"]

logger = logging.getLogger("resto")

# Seconds for which rows are left over at most, and owners of whom they are.
LATER = 0.1
MOST = 64

# Seconds after which the helper thread is taken for held up, as in servers that let no threads run between requests.
_OVERDUE = 1.0

# Seconds for which somebody waits for whoever is removing rows.
_PATIENCE = 1.0

# How often the helper thread looks in vain until it looks no more; to begin anew takes a save as long as a statement.
_IN_VAIN = 600


class Settled:
    """Rows that are settled, and not removed yet: those of this process."""

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._waiting: list[tuple[frozenset[str], str]] = []
        self._since = 0.0
        self._changing = threading.Lock()
        self._removing = threading.RLock()
        self._is_removing = False
        self._end: Callable[[], None] | None = None
        self._in_vain = 0

    def take(self, owner: str, hosts: Collection[str]) -> bool:
        """Let rows be removed a moment later; return False where they must be removed at once.

        Args:
            owner: Whose rows they are.
            hosts: Those that are equal to the master copy.
        """
        if not _may_be_late() or not self._has_timer():
            return False
        now = monotonic()
        with self._changing:
            if not self._waiting:
                self._since = now
            self._waiting.append((frozenset(hosts), owner))
            is_enough = len(self._waiting) >= MOST or now - self._since > _OVERDUE
        if is_enough:
            self.remove_without_waiting()
        return True

    def _has_timer(self) -> bool:
        """Let the helper thread look for what waits, unless it does; return whether it will."""
        if self._end is None:
            with self._changing:
                if self._end is None:
                    try:
                        self._end = HELPER.every(LATER, self._look, once_more=True)
                    except RuntimeError:
                        return False
        return True

    def _look(self) -> None:
        self._in_vain = 0 if self._waiting else self._in_vain + 1
        self.remove()
        if self._in_vain > _IN_VAIN:
            self.stop()

    def stop(self) -> None:
        """Remove what waits, in the helper thread, and let that end."""
        with self._changing:
            end, self._end = self._end, None
        self._in_vain = 0
        if end is not None:
            end()

    def remove_without_waiting(self) -> None:
        """Remove what waits, unless somebody is at it."""
        self.remove(0.0)

    def remove(self, patience: float = _PATIENCE) -> None:
        """Remove what waits. For whoever is about to read rows, too, so that what is settled is not taken for under way.

        What cannot be removed is logged: these rows are due when the lease ends.

        Args:
            patience: Seconds to wait for somebody who is at it, at most.
        """
        if not (self._waiting or self._is_removing) or database.is_part_of_transaction():
            return
        if not self._removing.acquire(timeout=patience):
            return
        try:
            self._is_removing = True
            with self._changing:
                taken, self._waiting = self._waiting, []
            _remove_all(taken)
        finally:
            self._is_removing = False
            self._removing.release()

    def before_fork(self) -> None:
        """Leave nothing to a parent that ends after the fork, and no thread to the child."""
        if self._end is not None:
            self.stop()

    def after_fork_in_child(self) -> None:
        """Begin anew: what waits is the parent's."""
        self._begin()


def _may_be_late() -> bool:
    """Tell whether rows may be removed by another thread, a moment later.

    Not in a test, which may look at them; nor where they are part of a transaction of the caller; nor in a SQLite file that has more
    than the record in it: somebody else's transaction there fails if another connection writes in the middle of it.
    """
    if HELPER.has_ended or database.is_under_test() or _is_in_job_of_rq():
        return False
    if get_setting("DATABASE") == DEFAULT_DB_ALIAS and database.vendor() == "sqlite":
        return False
    return not database.is_part_of_transaction()


def _is_in_job_of_rq() -> bool:
    """Tell whether this process does a job of rq, which forks for each, and lets the child end without any ado."""
    jobs = sys.modules.get("rq.job")
    return jobs is not None and jobs.get_current_job() is not None


def _remove_all(settled: Collection[tuple[frozenset[str], str]]) -> None:
    owners: dict[frozenset[str], list[str]] = {}
    for hosts, owner in settled:
        owners.setdefault(hosts, []).append(owner)
    try:
        for hosts, those in owners.items():
            for part in rows.in_parts(those):
                rows.delete({"owner IN %s": [*part], "host IN %s": [*hosts]})
    except (Error, ConfigurationError):
        logger.exception("Failed to record that hosts have followed; they get the same files once more.")


SETTLED = Settled()

# Before a connection is closed, such as at the end of a request: else another one would be opened for what waits.
OWN.before_closing = SETTLED.remove_without_waiting

# After those of `resto.record.own`, so that it is called before them: they keep others from the connection.
os.register_at_fork(before=SETTLED.before_fork, after_in_child=SETTLED.after_fork_in_child)
