"""What a comparison finds is handed to drains: it is recorded as pending, and any number of machines send it."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice

from resto.outcomes import Outcome
from resto.record import leases
from resto.record.compared import Left, count_waiting, left_of_host
from resto.repair.sync.report import HostReport
from resto.storage import ReplicatedStorage


__all__ = ["HandingOver", "wait_for_drains"]

logger = logging.getLogger("resto")

# Rows of comparisons that wait at a time, for each storage, and how many of these have to be gone before there are more.
MOST_WAITING = 100_000
ROOM = MOST_WAITING // 10

# How many names are recorded at a time.
LOT = 100

# Seconds between two looks at what is left, and after how many of them without any change it is said.
INTERVAL = 1.0
PATIENCE = 60

sleep = time.sleep  # replaced by tests


class HandingOver:
    """Records what differs; if much waits already, not before there is room.

    Args:
        storage: Whose hosts differ.
        keep: Called while it is waited; raises if the comparison is to be given up.
    """

    def __init__(self, storage: ReplicatedStorage, keep: Callable[[], object]) -> None:
        self._storage = storage
        self._alias = storage.record_alias() or ""
        self._keep = keep
        self._room = 0

    def each(self, pairs: Iterable[tuple[str, str]], *, present: bool = True) -> Iterator[Outcome]:
        """Yield for each pair whether it is recorded.

        Args:
            pairs: Hosts and names.
            present: Whether hosts are to get the files, and not to lose them.
        """
        source = iter(pairs)
        while part := list(islice(source, LOT)):
            self.make_room(len(part))
            yield from self._storage.hand_over(part, present=present)

    def make_room(self, wanted: int) -> None:
        """Wait until there is room, where too much waits already.

        Args:
            wanted: For how many names.
        """
        if self._room < wanted:
            waiting = count_waiting(self._alias)
            if waiting + wanted > MOST_WAITING:
                waiting = self._waited_for(MOST_WAITING - ROOM)
            self._room = max(wanted, min(ROOM, MOST_WAITING - waiting))  # others may record as well meanwhile
        self._room -= wanted

    def _waited_for(self, most: int) -> int:
        """Return how many rows wait, as soon as there are no more than so many."""
        patience = _Patience(self._alias)
        while (waiting := count_waiting(self._alias)) > most:
            self._keep()
            patience.wait(waiting)
        return waiting


def wait_for_drains(
    storage: ReplicatedStorage, reports: Mapping[str, HostReport], progress: Callable[[int], object]
) -> None:
    """Wait until nothing is pending any more of what was by now, or all that is has failed; say so in the reports.

    Args:
        storage: As for `HandingOver`.
        reports: Of the hosts, in which what was handed over becomes what is repaired, or has failed.
        progress: Told now and then how many more files were dealt with.
    """
    alias, moment = storage.record_alias() or "", leases.clock()
    handed = sum(report.handed_over for report in reports.values())
    patience, done = _Patience(alias), 0
    while True:
        left = {host: left_of_host(alias, host, moment) for host in reports}
        count = sum(one.rows for one in left.values())
        now_done = max(done, handed - count)
        progress(now_done - done)
        done = now_done
        if all(one.rows == one.resting for one in left.values()):
            break
        patience.wait(count)
    for host, report in reports.items():
        _conclude(report, left[host])
    progress(handed - done)


def _conclude(report: HostReport, left: Left) -> None:
    failed = min(report.handed_over, left.rows)
    report.failed += failed
    report.repaired += report.handed_over - failed
    report.removed += min(report.extras_handed_over, report.handed_over - failed)
    report.handed_over = report.extras_handed_over = 0
    if left.rows:
        report.problems.append(
            f"{left.rows:,} that drains have tried wait for their next try: run manage.py resto_status"
        )


class _Patience:
    """Waits for drains, and says once that there seem to be none."""

    def __init__(self, alias: str) -> None:
        self._alias = alias
        self._before: int | None = None
        self._looks = 0

    def wait(self, waiting: int) -> None:
        """Wait until it is time to look again.

        Args:
            waiting: How many rows wait.
        """
        self._looks = 0 if waiting != self._before else self._looks + 1
        self._before = waiting
        if self._looks == PATIENCE:
            logger.warning("Nobody sends what STORAGES[%r] has waiting: run manage.py resto_drain.", self._alias)
        sleep(INTERVAL)
