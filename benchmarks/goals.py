"""How fast resto is to be, as ratios of what was measured in one run."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks import network, scale
from benchmarks.copying import IN_PROCESS as SYNC
from benchmarks.copying import RCLONE
from benchmarks.drains import WORK, drains
from benchmarks.network import away
from benchmarks.reads import DISK, NEAR, WHOLE
from benchmarks.results import (
    CPU,
    CPU_SECONDS,
    MEMORY,
    MICROSECONDS,
    RATES,
    REPLICATIONS,
    ROUND_TRIPS,
    SAVES,
    SECONDS,
    WALL,
    Row,
)
from benchmarks.rivals import DISTRIBUTED, DJANGO_RESTO, FLOOR, HYBRID
from benchmarks.threads import ONE_THREAD


__all__ = ["GOALS", "Goal", "judge"]


@dataclass(frozen=True)
class Goal:
    """A comparison of two rows, or of one with a limit.

    Attributes:
        part: Of the benchmarks.
        work: Of both rows.
        figure: What is compared.
        ours: Whose figure is to be good.
        rival: Whose it is compared with; None for a limit in the unit of the figure.
        wanted: How many times better than the rival's ours is at least, or how many times as bad at most.
        is_better: Which of the two.
        more: What ours may take beside that, in the unit of the figure.
    """

    part: str
    work: str
    figure: str
    ours: str
    rival: str | None
    wanted: float
    is_better: bool
    more: float = 0

    @property
    def wish(self) -> str:
        if self.rival is None:
            return f"under {self.wanted:g}"
        if self.is_better:
            return f"at least {self.wanted:g} x better"
        return f"at most {self.wanted:g} x" + (f" + {self.more:g}" if self.more else "")

    def measured(self, rows: Sequence[Row]) -> float | None:
        """Return the ratio, or the figure itself where there is no rival; None if it was not measured."""
        medians = {
            row.rival: row.figures[self.figure].median
            for row in rows
            if row.work == self.work and self.figure in row.figures
        }
        ours = medians.get(self.ours)
        if self.rival is None or ours is None:
            return ours
        theirs = medians.get(self.rival)
        if theirs is None:
            return None
        return theirs / ours if self.is_better != (self.figure in RATES) else (ours - self.more) / theirs

    def holds(self, measured: float) -> bool:
        """Return whether a ratio is good enough, as it is shown: with two decimals."""
        rounded = round(measured, 2)
        return rounded >= self.wanted if self.is_better else rounded <= self.wanted


def better(part: str, work: str, wanted: float, than: str, figure: str = WALL, ours: str = HYBRID) -> Goal:
    return Goal(part, work, figure, ours, than, wanted, is_better=True)


def within(
    part: str, work: str, wanted: float, of: str | None, figure: str = WALL, ours: str = HYBRID, more: float = 0
) -> Goal:
    return Goal(part, work, figure, ours, of, wanted, is_better=False, more=more)


SILENT = "1 KB save, 3 hosts, one silent"
RESTORE, DRAIN = "resto_restore, in process", "resto_drain"

GOALS = [
    within("saves", "1 KB save, 3 hosts", 2.2, of=FLOOR),
    better("saves", "1 KB save, 3 hosts", 4.4, than=DJANGO_RESTO),
    better("saves", "1 KB save, 3 hosts", 6.5, than=DJANGO_RESTO, figure=CPU),
    within("saves", "1 KB save, 12 hosts", 1.65, of=FLOOR),
    better("saves", "1 KB save, 12 hosts", 7.2, than=DJANGO_RESTO),
    better("saves", "1 KB save, 12 hosts", 13, than=DJANGO_RESTO, figure=CPU),
    better("saves", "100 KB save, 3 hosts", 2.6, than=DJANGO_RESTO),
    better("saves", "1 KB save over HTTPS, 3 hosts", 9.5, than=DJANGO_RESTO),
    better("threads", "1 KB saves, 3 hosts, 8 threads", 6, than=DJANGO_RESTO, figure=SAVES),
    better("threads", "1 KB saves, 3 hosts, 8 threads", 0.5, than=ONE_THREAD, figure=SAVES),
    within("reads", "1 KB read", 1.5, of=DISK, ours=NEAR, more=0.01),
    within("reads", "10 KB read", 1.1, of=WHOLE, ours=DISTRIBUTED),
    within("reads", "10 MB read", 1.1, of=WHOLE, ours=DISTRIBUTED),
    within("large", "large save, 3 hosts", 1.0, of="curl -T x 3", figure=SECONDS),
    within("large", "large save, 3 hosts", 1.0, of="curl -T x 3", figure=SECONDS, ours=DISTRIBUTED),
    within("large", "large save, 3 hosts", 8, of=None, figure=MEMORY),
    within("large", "large save, 3 hosts", 8, of=None, figure=MEMORY, ours=DISTRIBUTED),
    within("large", "large save, 3 hosts", 1.15, of="curl -T x 3", figure=SECONDS),
    within("large", "large save, 3 hosts", 0.3, of="curl -T x 3", figure=CPU_SECONDS),
    *(
        within("network", f"1 KB save{after}, {number} hosts, {away(seconds)}", trips, of=None, figure=ROUND_TRIPS)
        for seconds, trips in ((0.005, 1.7), (0.05, 1.2))
        for after in ("", " after a pause")
        for number in (3, 12)
    ),
    within("network", network.LARGE, 1.1, of=network.CURL, figure=SECONDS),
    better("network", network.COPY, 1, than=f"{RCLONE}, 64 transfers", figure=SECONDS, ours=SYNC),
    within("network", network.COPY, 2.2, of=None, figure=network.MULTIPLE, ours=SYNC),
    *(better("scale", f"compare {share}", 2, than=RCLONE, figure=SECONDS, ours=SYNC) for share in scale.SHARES),
    within("scale", scale.PER_FILE, 1.1, of=scale.FEW, figure=MICROSECONDS, ours=scale.ALL),
    within("scale", scale.PER_FILE, 1, of=scale.FEW, figure=MEMORY, ours=scale.ALL, more=3),
    *(
        within("record", "1 KB save, 3 hosts, Hybrid with a record", 1, of="no record", ours=database, more=most)
        for database, most in (("SQLite (WAL)", 0.3), ("PostgreSQL", 0.65), ("PostgreSQL, prepared", 0.5))
    ),
    within("outage", SILENT, 1.1, of=f"{HYBRID}, all healthy", ours=f"{HYBRID}, one silent"),
    better("sync", "copy to nginx", 3.2, than=RCLONE, figure=SECONDS, ours=SYNC),
    better("sync", "copy to Apache", 2.3, than=RCLONE, figure=SECONDS, ours=SYNC),
    better("sync", "compare with nginx", 3, than=RCLONE, figure=SECONDS, ours=SYNC),
    better("sync", "compare with Apache", 3, than=RCLONE, figure=SECONDS, ours=SYNC),
    within("restore", "restore from nginx", 1, of=RCLONE, figure=SECONDS, ours=RESTORE),
    within("record", "catch up with 1 % of all names", 0.1, of="resto_sync", figure=SECONDS, ours=DRAIN),
    *(
        within("record", f"1 KB save, 3 hosts, {storage} with a record", 2, of="no record", ours=database)
        for storage in ("Hybrid", "Distributed")
        for database in ("SQLite (WAL)", "PostgreSQL")
    ),
    better("drains", WORK, 1.6, than=drains(1), figure=REPLICATIONS, ours=drains(2)),
    better("drains", WORK, 2.5, than=drains(1), figure=REPLICATIONS, ours=drains(4)),
    *(
        goal
        for database in ("SQLite (WAL)", "PostgreSQL", "MariaDB")
        for goal in (
            within(
                "backlog",
                "1 KB save, 3 hosts, another host down",
                1.15,
                of=f"{database}, no backlog",
                ours=f"{database}, a backlog",
            ),
            within("backlog", "claim of 200 rows, none of them due", 3, of=None, ours=f"{database}, a backlog"),
            within("backlog", "count of what is pending", 500, of=None, ours=f"{database}, a backlog"),
            within("lists", "list of pending names", 500, of=None, ours=f"{database}, a backlog"),
        )
    ),
]


def judge(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return all goals as they stand in results.json: what was measured, and whether it is good enough."""
    judged = []
    for goal in GOALS:
        measured = goal.measured(rows)
        judged.append(
            asdict(goal) | {"measured": measured, "holds": None if measured is None else goal.holds(measured)}
        )
    return judged
