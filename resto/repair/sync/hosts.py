"""The hosts of a comparison: what they are asked, what they answer, and which of them are given up."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from functools import partial
from itertools import zip_longest
from typing import Any, BinaryIO, Protocol, TypeVar

from resto.courses import course_of, finish, has_course
from resto.exceptions import HostUnavailableError, RemoteFileNotFoundError
from resto.executors import Job
from resto.names import problems_of_parts
from resto.outcomes import Outcome
from resto.plugins import get_plugin_manager
from resto.record.meaning import wanted_rest
from resto.repair.sync.report import HostReport, problem_of
from resto.storage import ReplicatedStorage
from resto.storage.host_findings import problem_of as problem_of_host
from resto.transports import Directory


__all__ = ["BLOCK", "Hosts", "Listings", "in_turn", "lacks", "tells"]

# A host is given up when so many requests in a row have brought no answer.
PATIENCE = 16

# Seconds for which a host may want to be left alone in the course of a comparison; then it is given up.
LONGEST_WAIT = 600

# A host is given up when it has failed to list so many directories.
MAX_PROBLEMS = 20

# How much is read of a file at a time.
BLOCK = 64 * 1024

# What each host has in one directory; None if it does not list it. Hosts that failed are left out.
Listings = dict[str, Directory | None]


class _OfHost(Protocol):
    @property
    def host(self) -> str: ...


T = TypeVar("T", bound=_OfHost)
PairT = tuple[str, str]

sleep = time.sleep  # replaced by tests


class Hosts:
    """The hosts that are compared, and what is said of each. Those that do not answer are given up.

    Attributes:
        reports: Host -> its report, in the order of the hosts.
    """

    def __init__(self, storage: ReplicatedStorage, chosen: frozenset[str] | None) -> None:
        self._storage = storage
        self._executor = get_plugin_manager().executor("thread")()
        self._given_up: set[str] = set()
        self._waited: dict[str, float] = dict.fromkeys(storage.hosts, 0.0)  # seconds
        self.reports = {host: HostReport(host) for host in storage.hosts if chosen is None or host in chosen}

    def active(self) -> list[str]:
        """Return the hosts that have not been given up."""
        return [host for host in self.reports if host not in self._given_up]

    def is_active(self, host: str) -> bool:
        """Return whether a host has not been given up."""
        return host not in self._given_up

    def recognize(self, *, is_dry_run: bool) -> None:
        """Report hosts that are not what they were; give them up, unless nothing is sent or removed anyway.

        Args:
            is_dry_run: Whether nothing is changed.

        Raises:
            DatabaseError: The record cannot be read.
        """
        for host, finding in self._storage.recognition.examine(self.active(), begins=not is_dry_run).items():
            if finding.problem is not None:
                self.reports[host].problems.append(str(finding.problem) if is_dry_run else problem_of_host(finding))
                if finding.is_left_alone and not is_dry_run:
                    self._given_up.add(host)

    # Listings.

    def begin_listing(self, host: str, name: str) -> Callable[[], Outcome]:
        """Ask a host what is in a directory, without waiting.

        Returns:
            Waits for the answer, and returns it.
        """
        job = _job("listdir", self._storage.transport_for(host).browse, host, name)
        course = job.carry_out()
        answer: Future[Outcome] = Future()
        try:
            if next(course) is not None:
                return partial(finish, course)
        except StopIteration as stop:
            answer.set_result(stop.value)
            return answer.result
        course.close()  # nothing was done
        job.finished = answer.set_result
        self._executor.submit([job])
        return answer.result

    def read_listings(self, outcomes: Iterable[Outcome]) -> Listings:
        """Return what hosts have in a directory; report those that do not tell, or give them up."""
        listings: Listings = {}
        for first in _observed(outcomes):
            outcome = self._listed_later(first)
            if self.is_active(outcome.host) and self._has_told(outcome):
                listings[outcome.host] = outcome.value if outcome.ok else Directory()
        return listings

    def _listed_later(self, outcome: Outcome) -> Outcome:
        """Ask again for a listing when the host wants to be asked."""
        host = outcome.host
        while self.is_active(host) and self._waits(host, wanted_rest(outcome.error)):
            outcome = _job("listdir", self._storage.transport_for(host).browse, host, outcome.name).run()
        return outcome

    def _has_told(self, outcome: Outcome) -> bool:
        report = self.reports[outcome.host]
        where = outcome.name or "/"
        if outcome.ok and _is_listing(outcome.value):
            report.unlisted += outcome.value is None
            return True
        if isinstance(outcome.error, RemoteFileNotFoundError):
            return True
        if outcome.ok:
            transport = type(self._storage.transport_for(outcome.host)).__name__
            report.problems.append(f"{where}: the transport {transport} returned no Directory with names")
        else:
            report.problems.append(f"{where} cannot be listed: {problem_of(outcome.error)}")
        if outcome.ok or isinstance(outcome.error, HostUnavailableError) or len(report.problems) >= MAX_PROBLEMS:
            self._given_up.add(outcome.host)
        return False

    # Files.

    def size_job(self, host: str, name: str) -> Job:
        """Return the job that asks a host for the size of a file."""
        return _job("size", self._storage.transport_for(host).size, host, name)

    def open(self, host: str, name: str) -> BinaryIO:
        """Return a stream of the content that a file has on a host."""
        return self._storage.transport_for(host).open(host, name)

    def repair_each(
        self, pairs: Iterable[PairT], repair: Callable[[Iterable[PairT]], Iterator[Outcome]]
    ) -> Iterator[Outcome]:
        """Repair files on hosts, and yield what became of each; one that a host wants to get later it gets later.

        Args:
            pairs: Hosts and names, each pair once. They are taken when there is room.
            repair: Repairs them, and yields what became of each.
        """
        left: Iterable[PairT] = pairs
        while True:
            resting: dict[str, float] = {}
            later: list[PairT] = []
            for outcome in repair(_of_awake(left, resting, later)):
                host, seconds = outcome.host, wanted_rest(outcome.error)
                if self._may_wait(host, seconds):
                    resting[host] = max(seconds, resting.get(host, 0))
                    later.append((host, outcome.name))
                else:
                    yield outcome
            for host, seconds in resting.items():
                self._waits(host, seconds)
            if not later:
                return
            left = later

    def _may_wait(self, host: str, seconds: float) -> bool:
        """Return whether a host wants to be left alone, and for no longer than the comparison can wait; give it up if it is longer."""
        if seconds and self._waited[host] + seconds > LONGEST_WAIT and self.is_active(host):
            problem = f"it wants to be left alone for {seconds:.0f} s, after {self._waited[host]:.0f} s before, and was given up"
            self.reports[host].problems.append(problem)
            self._given_up.add(host)
        return bool(seconds) and self.is_active(host)

    def _waits(self, host: str, seconds: float) -> bool:
        """Leave a host alone for a while; return whether it wanted to be."""
        if not self._may_wait(host, seconds):
            return False
        self._waited[host] += seconds
        sleep(seconds)
        return True

    def run_each(self, jobs: Iterable[Job]) -> Iterator[Outcome]:
        """Run many jobs, and yield what became of each; failures are not logged, as reports have them.

        Args:
            jobs: Taken when there is room. Those of hosts that were given up are left out.
        """
        outcomes = self._executor.run_each(job for job in jobs if self.is_active(job.host))
        return self.listening(_observed(outcomes))

    def listening(self, outcomes: Iterable[Outcome]) -> Iterator[Outcome]:
        """Yield outcomes of many requests, and give up hosts that do not answer them."""
        silence = _Silence()
        for outcome in outcomes:
            if silence.note(outcome):
                self._give_up_silent(silence, {outcome.host})
            yield outcome
        self._give_up_silent(silence, silence.unheard())

    def _give_up_silent(self, silence: "_Silence", hosts: set[str]) -> None:
        for host in hosts - self._given_up:
            self.reports[host].problems.append(f"it does not answer, and was given up: {silence.problem(host)}")
            self._given_up.add(host)


class _Silence:
    """Which hosts do not answer."""

    def __init__(self) -> None:
        self._heard: set[str] = set()
        self._unanswered: Counter[str] = Counter()
        self._problems: dict[str, str] = {}

    def note(self, outcome: Outcome) -> bool:
        """Take note of an outcome; return whether its host has not answered for long enough to be given up."""
        host = outcome.host
        if isinstance(outcome.error, HostUnavailableError):
            self._problems[host] = outcome.error.problem
            self._unanswered[host] += 1
            return self._unanswered[host] == PATIENCE
        self._heard.add(host)
        if self._unanswered:
            self._unanswered[host] = 0
        return False

    def problem(self, host: str) -> str:
        """Return why a host could not be reached the last time."""
        return self._problems[host]

    def unheard(self) -> set[str]:
        """Return the hosts that have not answered at all."""
        return self._problems.keys() - self._heard


def _of_awake(pairs: Iterable[PairT], resting: Mapping[str, float], later: list[PairT]) -> Iterator[PairT]:
    """Yield pairs of hosts that do not want to be left alone, and put the others off, until they are asked for."""
    for pair in pairs:
        if pair[0] in resting:
            later.append(pair)
        else:
            yield pair


def lacks(there: Directory | None, part: str) -> bool:
    """Return whether a host is known not to have a directory: nginx does not list names with a dot in front.

    What is listed as something else may be a directory that the host does not tell of now.
    """
    if there is None or part in there.directories or part in there.others:
        return False
    return part in there.files or not part.startswith(".")


def tells(there: Directory | None, part: str, *, host_lacks_all: bool) -> bool:
    """Return whether a listing says if a file is there, and how large it is."""
    if there is None or part in there.files:
        return there is not None and there.files[part] is not None
    if part in there.others:
        return False
    return host_lacks_all or part in there.directories or not part.startswith(".")  # nginx, as in `lacks`


def in_turn(items: Iterable[T]) -> Iterator[T]:
    """Yield items of each host in turn, so that all hosts are busy."""
    queues: dict[str, list[T]] = {}
    for item in items:
        queues.setdefault(item.host, []).append(item)
    for turn in zip_longest(*queues.values()):
        yield from (item for item in turn if item is not None)


def _observed(outcomes: Iterable[Outcome]) -> Iterator[Outcome]:
    for outcome in outcomes:
        get_plugin_manager().notify(outcome)
        yield outcome


def _is_listing(there: Any) -> bool:
    """Tell whether a transport has told what a directory holds, or that it cannot; it may be anybody's."""
    if there is None:
        return True
    if not isinstance(there, Directory):
        return False
    directories: Any = there.directories
    files: Any = there.files
    if not isinstance(directories, set) or not isinstance(files, dict):
        return False
    parts = [*directories, *files]
    return all(issubclass(kind, str) for kind in set(map(type, parts))) and not problems_of_parts(parts)


def _job(action: str, method: Callable[[str, str], Any], host: str, name: str) -> Job:
    course = partial(course_of, method, host, name) if has_course(method) else None
    return Job(action, host, name, partial(method, host, name), course=course)
