"""The page of hosts, as it is now: what is wrong, each storage with its hosts, and what is done about it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from django.db import DatabaseError

from resto.clock import monotonic
from resto.exceptions import ConfigurationError
from resto.names import shown
from resto.page.asking import Button, buttons, due_value
from resto.page.looks import Look, Looks
from resto.page.run_lines import RunLine, line_of
from resto.record.runs import RunRow, last_runs, under_way, watching
from resto.repair.status import HostStatus
from resto.repair.unusable import unusable_entries
from resto.repair.work import Work, work_on
from resto.storage.finding import has_no_hosts
from resto.words.absence import absence_of_hosts
from resto.words.durations import duration
from resto.words.hosts import (
    answer_of,
    backlog_of,
    lines_of_identity,
    sentence_of_host,
    sentence_of_master,
    sentence_of_stranger,
)
from resto.words.working import sentence_of_death, sentences_of_doubt, sentences_of_work


__all__ = ["HostPart", "Now", "StoragePart", "now"]

# Runs that are shown: of those under way, and of those that have ended.
_MOST, _LAST = 50, 10


@dataclass(frozen=True, slots=True)
class HostPart:
    """What a line of a table says of a host.

    Attributes:
        host: As it stands in the settings.
        answer: Whether it answers, and how fast.
        breakers: Which processes do not ask it.
        backlog: What it may have missed.
        identity: What is to be said of what it has shown to be, sentences.
        level: ``"wrong"``, ``"lagging"`` or ``"fine"``.
        is_lagging: Whether something is pending for it.
        query: Of the list of what is.
        buttons: What can be asked for.
        due: What the button sends that makes due what is pending.
    """

    host: str
    answer: str
    breakers: str
    backlog: str
    identity: tuple[str, ...]
    level: str
    is_lagging: bool
    query: str
    buttons: tuple[Button, ...]
    due: str


@dataclass(frozen=True, slots=True)
class StoragePart:
    """What there is to say of a storage.

    Attributes:
        alias: In ``STORAGES``.
        sentences: Of its master copy, of who drains and compares, and of hosts that it does not have.
        hosts: Its hosts.
        buttons: What can be asked for.
    """

    alias: str
    sentences: tuple[str, ...]
    hosts: tuple[HostPart, ...]
    buttons: tuple[Button, ...]


@dataclass(frozen=True, slots=True)
class Now:
    """What the page shows.

    Attributes:
        wrong: What is wrong, sentences.
        lagging: What lags, sentences.
        doubts: What hosts may lack, as comparisons have failed or were broken off, sentences.
        parts: One for each storage.
        age: How old that is, in words; empty if it is of this moment, or if nothing is known.
        is_known: Whether hosts have answered so far.
        processes: Those that watch, and do what is asked for here.
        under_way: Runs that were asked for or have begun.
        last: Runs that nobody is at any more, the last ones.
    """

    wrong: tuple[str, ...]
    lagging: tuple[str, ...]
    doubts: tuple[str, ...]
    parts: tuple[StoragePart, ...]
    age: str
    is_known: bool
    processes: tuple[RunRow, ...]
    under_way: tuple[RunLine, ...]
    last: tuple[RunLine, ...]


@dataclass(frozen=True, slots=True)
class _Runs:
    """What the record says of runs; nothing if it cannot be read."""

    watching: Sequence[RunRow] = ()
    under_way: Sequence[RunRow] = ()
    last: Sequence[RunRow] = ()
    problem: str = ""


def now(looks: Looks) -> Now:
    """Return what the page shows.

    Args:
        looks: How all storages are.
    """
    runs, works = _runs(), {look.storage: _work(look.storage) for look in looks.looks}
    wrong = [one.sentence for one in unusable_entries()]
    wrong += [runs.problem] if runs.problem else []
    lagging: list[str] = []
    doubts: list[str] = []
    for look in looks.looks:
        work = works[look.storage]
        wrong += _wrong(look, work)
        lagging += _lagging(look)
        doubts += [] if work is None else [f"{look.storage}: {sentence}" for sentence in sentences_of_doubt(work)]
    age = 0.0 if looks.taken is None else monotonic() - looks.taken
    return Now(
        tuple(map(shown, wrong)),
        tuple(map(shown, lagging)),
        tuple(map(shown, doubts)),
        tuple(_part(look, works[look.storage], runs.watching) for look in looks.looks),
        duration(age) if looks.is_late and age else "",
        looks.taken is not None,
        tuple(runs.watching),
        tuple(map(line_of, runs.under_way)),
        tuple(map(line_of, runs.last)),
    )


def _runs() -> _Runs:
    try:
        return _Runs(watching(), under_way(_MOST), last_runs(_LAST))
    except (DatabaseError, ConfigurationError) as error:
        return _Runs(problem=f"The record cannot be read: {error}")


def _work(alias: str) -> Work | None:
    try:
        return work_on(alias)
    except (DatabaseError, ConfigurationError):
        return None  # `_runs` says so


def _wrong(look: Look, work: Work | None) -> Iterator[str]:
    if look.problem:
        yield f"{look.storage}: {look.problem.rstrip('.')}."
    if look.master is not None and look.master.problem:
        yield sentence_of_master(look.master)
    for status in look.statuses:
        if not status.reachable:
            yield sentence_of_host(status)
        if status.identity_problem:
            yield f"{look.storage}: {status.host}: {status.identity_problem}"
    if work is not None and work.died is not None:
        yield f"{look.storage}: {sentence_of_death(work.died)}"


def _lagging(look: Look) -> Iterator[str]:
    for status in look.statuses:
        if status.reachable and status.pending:
            yield sentence_of_host(status)
        if status.left_out and not status.identity_problem:
            yield from (f"{look.storage}: {status.host}: {line}" for line in lines_of_identity(status))
    for stranger in look.strangers:
        yield sentence_of_stranger(look.storage, stranger)


def _part(look: Look, work: Work | None, processes: Sequence[RunRow]) -> StoragePart:
    hosts = tuple(_host(status, processes) for status in look.statuses)
    return StoragePart(look.storage, tuple(map(shown, _sentences(look, work))), hosts, tuple(buttons(look.storage)))


def _sentences(look: Look, work: Work | None) -> Iterator[str]:
    if has_no_hosts(look.storage):
        yield absence_of_hosts(look.storage)
    if look.master is not None and (look.master.problem or look.master.looked is not None):
        yield sentence_of_master(look.master)
    for stranger in look.strangers:
        yield sentence_of_stranger(look.storage, stranger)
    if work is not None:
        for sentence in sentences_of_work(work, is_lagging=look.is_lagging):
            yield f"{look.storage}: {sentence}"


def _host(status: HostStatus, processes: Sequence[RunRow]) -> HostPart:
    speed = "" if status.seconds is None else f" in {status.seconds * 1000:.0f} ms"
    level = "lagging" if status.pending or status.left_out else "fine"
    return HostPart(
        status.host,
        shown(answer_of(status) + speed),
        "; ".join(_breakers(status, processes)) or "closed",
        shown(backlog_of(status)),
        tuple(map(shown, lines_of_identity(status))) or ("nothing is wrong" if status.reachable else "not known",),
        level if status.reachable and not status.identity_problem else "wrong",
        bool(status.pending),
        urlencode({"of": f"{status.storage} {status.host}"}),
        tuple(buttons(status.storage, status.host)),
        due_value(status.storage, status.host),
    )


def _breakers(status: HostStatus, processes: Sequence[RunRow]) -> Iterator[str]:
    """Yield who does not ask a host, of the processes that watch and this one."""
    if status.breaker != "closed":
        yield f"{status.breaker} in this process"
    for run in processes:
        for breaker in run.report.get("breakers", []):
            if (breaker["storage"], breaker["host"]) == (status.storage, status.host):
                yield f"{breaker['state']} in process {run.process} of {run.machine}"
