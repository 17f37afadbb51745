"""How a site is, as its record and the directories of its master copies say. No host is asked, and nobody waits for long."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cache, partial
from typing import Any, TypeVar

from django.db import DatabaseError
from django.db.models import Q

from resto.bounded import Bounded
from resto.exceptions import ConfigurationError
from resto.record import database, identities, leases, runs
from resto.record.backlog import Backlog, backlog_of_host
from resto.record.closing import close_all
from resto.record.identities import GONE
from resto.record.latest import Latest, latest_of
from resto.record.runs import RunRow
from resto.repair.unusable import Unusable, unusable_storages
from resto.storage import HybridStorage
from resto.storage.finding import hosts_of, replicated_aliases, replicated_storages


__all__ = [
    "HostOverview",
    "StorageOverview",
    "forget",
    "master_problems",
    "overview",
    "reason_not_to_be_ready",
    "record_problem",
    "unusable",
]

T = TypeVar("T")

# Seconds for which it is waited whether the record or a directory answers: a load balancer gives up after one or two.
PATIENCE = 1.0

# Seconds for which it is waited for all that the record says: Prometheus gives up after ten.
LONG_PATIENCE = 5.0

# Seconds for which what was said is not asked again: several may ask, and a long backlog takes a while to count.
KEPT = 5.0


@dataclass(frozen=True, slots=True)
class HostOverview:
    """What the record says of one host of one storage. Times are seconds since the epoch.

    Attributes:
        host: The host as it stands in the settings.
        pending: How many names it may have missed.
        has_more: Whether there are more than that: no more than 10 000 are counted.
        under_way: How many other names somebody is dealing with at this moment.
        oldest: When the oldest change that is pending was made; None if none is.
        due: Since when, or from when on, the next of them may be sent; None if none is pending.
        error: Why the one that failed last did; empty if none has.
        is_gone: Whether it has lost its files, or is another host than it was.
        is_left_out: Whether nothing is read from it until a comparison has filled it.
        drained: When whoever drains for it has given the last sign of life; None if nobody has.
        open_breakers: How many processes that stay and drain do not ask it at present, as it does not answer.
        compared: How many of the names that are pending are so only as a comparison has found that the host differs.
    """

    host: str
    pending: int
    has_more: bool
    under_way: int
    oldest: float | None
    due: float | None
    error: str
    is_gone: bool
    is_left_out: bool
    drained: float | None
    open_breakers: int
    compared: int


@dataclass(frozen=True, slots=True)
class StorageOverview:
    """What the record says of one storage. Times are seconds since the epoch.

    Attributes:
        storage: Its alias.
        hosts: Those that stand in the settings.
        compared: When the last comparison with all of them that succeeded has ended; None if there was none.
        code_of_comparison: The exit code of the last one that has ended; None if there was none.
        watching: How many processes stay and drain it, and live.
    """

    storage: str
    hosts: tuple[HostOverview, ...]
    compared: float | None
    code_of_comparison: int | None
    watching: int

    def as_dict(self) -> dict[str, Any]:
        """Return the attributes, for JSON."""
        return asdict(self)


def overview() -> list[StorageOverview]:
    """Return what the record says of the storages of the site, or has said a moment ago.

    Raises:
        ConfigurationError: There is no record, or a table is missing.
        DatabaseError: The record cannot be read.
        TimeoutError: It does not answer in time.
    """
    return _overview.get()


def _read() -> list[StorageOverview]:
    if not database.is_installed():
        raise ConfigurationError('"resto" is not in INSTALLED_APPS', "Nothing is recorded without it.")
    latest, staying = latest_of(), runs.watching()
    return [_storage(alias, latest, [run for run in staying if run.is_about(alias)]) for alias in replicated_aliases()]


def _storage(alias: str, latest: Latest, staying: Sequence[RunRow]) -> StorageOverview:
    open_breakers = Counter(
        breaker["host"]
        for run in staying
        for breaker in run.report.get("breakers", ())
        if breaker["storage"] == alias and breaker["state"] != "closed"
    )
    known = identities.find_all(alias)
    now = leases.clock()
    hosts = []
    for host in hosts_of(alias):
        one: Backlog = backlog_of_host(alias, host)
        mine = known.get(host)
        hosts.append(
            HostOverview(
                host,
                one.count,
                one.has_more,
                one.under_way,
                oldest=None if one.oldest is None else now - one.oldest,
                due=None if one.due is None else now + one.due,
                error=one.error,
                is_gone=mine is not None and mine.state == GONE,
                is_left_out=mine is not None and mine.is_left_out,
                drained=latest.drained(alias, host),
                open_breakers=open_breakers[host],
                compared=one.compared,
            )
        )
    return StorageOverview(
        alias, tuple(hosts), latest.compared(alias), latest.code_of_comparison(alias), watching=len(staying)
    )


def record_problem() -> str:
    """Return why the record does not answer, or not in time, a sentence fragment; empty if it does, or if there is none."""
    try:
        _record.get()
    except TimeoutError:
        return f"its database has not answered for {PATIENCE:g} s"
    except Exception as error:  # noqa: BLE001 - whatever a database or its driver raises
        return str(error) or repr(error)
    return ""


def _ask_record() -> None:
    if database.is_installed():
        runs.find(Q(), 1)


def master_problems() -> dict[str, str]:
    """Return what is wrong with the directory of each storage that has a master copy, by their aliases; empty if nothing is.

    Those of which that is not known, as the record does not answer, are left out.
    """
    if record_problem():
        return {}
    found = {}
    looks = {alias: _master(alias) for alias in replicated_aliases()}
    for look in looks.values():
        look.begin()
    for alias, look in looks.items():
        try:
            problem = look.get()
        except TimeoutError:
            problem = f"its directory has not answered for {PATIENCE:g} s"
        except DatabaseError:
            continue
        except Exception as error:  # noqa: BLE001 - whatever its options or a plugin raise: others are asked
            problem = str(error) or repr(error)
        if problem is not None:
            found[alias] = problem
    return found


def _examine(alias: str) -> str | None:
    storage = replicated_storages([alias])[alias]
    if not isinstance(storage, HybridStorage):
        return None
    problem, _ = storage.belief.examine()
    return "" if problem is None else str(problem)


def reason_not_to_be_ready() -> str:
    """Return why this process cannot save files, in a sentence that anybody may read; empty if it can.

    A host that is down is no reason: that is what a record is for.
    """
    for one in unusable():
        return f"{one.what} cannot be used: manage.py check says why."
    if record_problem():
        return "The record cannot be read."
    for alias, problem in master_problems().items():
        if problem:
            return f"The directory of STORAGES[{alias!r}] does not prove to be its master copy."
    return ""


def unusable() -> list[Unusable]:
    """Return the settings that cannot be used; none while that is not known."""
    try:
        return _unusable.get()
    except TimeoutError:
        return []


def _tidily(call: Callable[[], T]) -> T:
    """Make a call in a thread that nobody else uses, whose connections nobody else would close."""
    try:
        return call()
    finally:
        close_all()


_unusable = Bounded(partial(_tidily, unusable_storages), PATIENCE, KEPT)
_record = Bounded(partial(_tidily, _ask_record), PATIENCE, KEPT)
_overview = Bounded(partial(_tidily, _read), LONG_PATIENCE, KEPT)


@cache
def _master(alias: str) -> Bounded[str | None]:
    return Bounded(partial(_tidily, partial(_examine, alias)), PATIENCE, KEPT)


def forget() -> None:
    """Ask the record and the directories again."""
    _unusable.forget()
    _record.forget()
    _overview.forget()
    _master.cache_clear()
