"""Many repairs at a time, and the rows of the record that they are done under."""

import threading
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

from resto.exceptions import ConfigurationError, LeaseLostError
from resto.executors import Job
from resto.outcomes import Outcome
from resto.plugins import get_plugin_manager
from resto.record.changes import holding
from resto.record.leases import Lease, release_leases, settle_leases
from resto.record.opening import open_leases


if TYPE_CHECKING:
    from resto.courses import Course


__all__ = ["Leases", "recorded_jobs", "run_repairs"]

# How many rows of the record are written at a time.
BATCH = 64

# What holds the rows of each host and name that is repaired.
Leases = dict[tuple[str, str], Lease]


def run_repairs(
    jobs: Iterable[Job], leases: Leases, report: Callable[[Outcome], None], *, at_once: int = BATCH
) -> Iterator[Outcome]:
    """Run many repairs; yield each outcome, and settle its lease, some at a time.

    Args:
        jobs: Taken when there is room.
        leases: Of jobs that have been taken; each leaves when its job is done.
        report: Told each outcome first.
        at_once: How many leases are settled at a time.
    """
    done: list[tuple[Lease, Outcome]] = []
    begun = _Begun()
    try:
        for outcome in get_plugin_manager().executor("thread")().run_each(map(begun.noting, jobs)):
            report(outcome)
            lease = leases.pop((outcome.host, outcome.name), None)
            begun.leave((outcome.host, outcome.name))
            if lease is not None:
                done.append((lease, outcome))
            if len(done) >= at_once:
                settle_leases(done)
                done.clear()
            yield outcome
    finally:
        settle_leases(done)
        # Of a run that was interrupted: nothing was sent of what was not begun.
        under_way = begun.end()
        release_leases([lease for pair, lease in leases.items() if pair not in under_way], 0)


class _Begun:
    """Which jobs are under way; none begins after the end."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pairs: set[tuple[str, str]] = set()
        self._has_ended = False

    def noting(self, job: Job) -> Job:
        """Return a job that notes when it begins."""
        pair, call, course = (job.host, job.name), job.call, job.course

        def noting_call() -> Any:
            self._begin(pair)
            return call()

        def noting_course() -> "Course[Any]":  # quoted: it would be evaluated for each job
            self._begin(pair)
            return (yield from course())  # type: ignore[misc]  # there is one

        job.call, job.course = noting_call, None if course is None else noting_course
        return job

    def _begin(self, pair: tuple[str, str]) -> None:
        with self._lock:
            if self._has_ended:
                raise LeaseLostError("the run that it belongs to was interrupted")
            self._pairs.add(pair)

    def leave(self, pair: tuple[str, str]) -> None:
        """Take note that a job is done."""
        with self._lock:
            self._pairs.discard(pair)

    def end(self) -> frozenset[tuple[str, str]]:
        """Let no more jobs begin, and return which are under way."""
        with self._lock:
            self._has_ended = True
            return frozenset(self._pairs)


def recorded_jobs(
    differences: Iterable[tuple[str, str]],
    leases: Leases,
    alias: str | None,
    job: Callable[[str, str], Job],
    require: Callable[[], object] | None,
) -> Iterator[Job]:
    """Yield a job for each difference, under a row of its own; some rows are opened at a time.

    Args:
        differences: Pairs of a host and the name of a file.
        leases: Are added to.
        alias: Under which changes are recorded; None if nothing is.
        job: Returns the job of a host and a name.
        require: Raises `FileNotFoundError` where the truth is not to be believed; the jobs then fail. None if it always is.
    """
    source = iter(differences)
    while pairs := list(islice(source, BATCH)):
        try:
            if require is not None:
                require()
        except (FileNotFoundError, ConfigurationError) as error:
            yield from (Job("repair", host, name, partial(_fail, error)) for host, name in pairs)
            continue
        if alias is None:
            yield from (job(host, name) for host, name in pairs)
            continue
        for pair, lease in zip(pairs, open_leases(alias, pairs), strict=True):
            leases[pair] = lease
            with holding(lease):
                prepared = job(*pair)
            yield prepared


def _fail(error: Exception) -> None:
    raise error
