"""What is known about the hosts of a site: who answers, who is asked, and what is pending."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

from resto import health
from resto.exceptions import HostUnavailableError
from resto.executors import Job
from resto.outcomes import Outcome
from resto.plugins import get_plugin_manager
from resto.record import database, leases
from resto.record.backlog import NOTHING, Backlog, backlog_of, backlog_of_host
from resto.storage import HybridStorage, ReplicatedStorage
from resto.storage.finding import find_host, replicated_storages
from resto.storage.host_findings import Finding, problem_of


__all__ = ["HostStatus", "MasterStatus", "Stranger", "host_statuses", "master_status", "storage_status"]

# Asked of each host to see whether it answers. That there is no such file is an answer.
_NAME = "resto-status"


@dataclass(frozen=True, slots=True)
class HostStatus:
    """How one host of one storage is.

    Attributes:
        storage: Alias of the storage in ``STORAGES``.
        host: The host as it stands in the settings.
        reachable: Whether it answers, whatever that is.
        problem: Why it does not; empty if it does.
        breaker: ``"closed"`` if this process asks the host, ``"open"`` if it does not at present, ``"probing"`` while one
            action finds out. Other processes may do otherwise.
        pending: How many names it may have missed; None if nothing is recorded.
        has_more: Whether there are more than that: no more than 10 000 are counted.
        under_way: How many other names somebody is dealing with at this moment; None if nothing is recorded.
        oldest: Seconds since the oldest change that is pending; None if there is none.
        due: Seconds until the next of them is due, that is, may be sent; negative if it has been due for a while, which
            is a drain's to change. None if there is none.
        error: Why the last of them failed; empty if none has.
        identity_problem: What is wrong with what the host has shown to be, and what to do, a sentence; empty if nothing is.
        identity_remark: Why that is not known, a sentence fragment; empty if it is known, or if hosts have no identities.
        left_out: Whether nothing is read from it, and it counts for no quorum, until a comparison has filled it.
        seconds: Until it has answered; None if it has not.
        compared: How many of those that are pending are so only as a comparison has found that the host differs; None if nothing is
            recorded.
    """

    storage: str
    host: str
    reachable: bool
    problem: str
    breaker: str
    pending: int | None
    has_more: bool
    under_way: int | None
    oldest: float | None
    due: float | None
    error: str
    identity_problem: str = ""
    identity_remark: str = ""
    left_out: bool = False
    seconds: float | None = None
    compared: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the attributes, for JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class MasterStatus:
    """How the master copy of one storage is.

    Attributes:
        storage: Alias of the storage in ``STORAGES``.
        location: The path of its directory.
        problem: Why nothing is written, sent or removed on its account, and what to do; empty if the directory has proven what it is,
            or nothing is known of it on either side.
        looked: Seconds since somebody has seen last that it has; None if nothing is known.
    """

    storage: str
    location: str
    problem: str
    looked: float | None


@dataclass(frozen=True, slots=True)
class Stranger:
    """A host that something is pending for, and that does not stand in the settings like that.

    Attributes:
        host: The host as it stood in the settings of whoever has recorded it.
        spelling: The host as it stands in the settings; None if it does not.
        backlog: What is pending.
    """

    host: str
    spelling: str | None
    backlog: Backlog


def host_statuses(aliases: Sequence[str] = (), hosts: Sequence[str] = ()) -> list[HostStatus]:
    """Ask every host whether it answers, whatever its breaker says, and the record what is pending.

    Args:
        aliases: Of storages; all of resto's if there are none.
        hosts: As they stand in the settings, and no others; all if there are none.

    Raises:
        ConfigurationError: The settings of a storage are wrong.
    """
    return [status for alias in replicated_storages(aliases) for status in storage_status(alias, hosts)[0]]


def storage_status(alias: str, hosts: Sequence[str] = ()) -> tuple[list[HostStatus], list[Stranger]]:
    """Return how the hosts of a storage are, and which others something is pending for; the backlog is counted once.

    Args:
        alias: Of a storage of resto.
        hosts: As for `host_statuses`; if there are any, nothing is told of others.

    Raises:
        ConfigurationError: The settings of the storage are wrong.
        DatabaseError: The record cannot be read.
    """
    storage = replicated_storages([alias])[alias]
    chosen = [host for host in storage.hosts if not hosts or host in hosts]
    backlog = _backlog(alias, chosen if hosts else ()) if database.is_active() else None
    return _statuses(alias, storage, chosen, backlog), _strangers(storage, {} if hosts else backlog or {})


def _backlog(alias: str, hosts: Sequence[str]) -> dict[str, Backlog]:
    return {host: backlog_of_host(alias, host) for host in hosts} if hosts else backlog_of(alias)


def master_status(alias: str) -> MasterStatus | None:
    """Return how the master copy of a storage is, from what its directory and the record say; None if it has none.

    Args:
        alias: Of a storage of resto.

    Raises:
        ConfigurationError: The settings of the storage are wrong.
        DatabaseError: The record cannot be read.
    """
    storage = replicated_storages([alias])[alias]
    if not isinstance(storage, HybridStorage):
        return None
    problem, known = storage.belief.examine()
    looked = None if known is None else max(0.0, leases.clock() - known.looked)
    return MasterStatus(alias, storage.location, "" if problem is None else str(problem), looked)


def _strangers(storage: ReplicatedStorage, backlog: dict[str, Backlog]) -> list[Stranger]:
    found = [(host, one) for host, one in backlog.items() if one.count and host not in storage.hosts]
    return [Stranger(host, find_host(storage, host), one) for host, one in found]


def _statuses(
    alias: str, storage: ReplicatedStorage, hosts: Sequence[str], backlog: dict[str, Backlog] | None
) -> list[HostStatus]:
    outcomes = _ask_hosts(storage, hosts)
    answering = [one.host for one in outcomes if not isinstance(one.error, HostUnavailableError)]
    findings = storage.recognition.examine(answering)
    left_out = storage.left_out()
    statuses = [_status(alias, storage, outcome, backlog, findings.get(outcome.host)) for outcome in outcomes]
    return [replace(one, left_out=one.host in left_out) for one in statuses]


def _ask_hosts(storage: ReplicatedStorage, hosts: Sequence[str]) -> list[Outcome]:
    """Ask hosts, whatever their breakers say; failures are not logged."""
    plugins = get_plugin_manager()
    jobs = [Job("exists", host, _NAME, partial(storage.transport_for(host).exists, host, _NAME)) for host in hosts]
    outcomes = plugins.executor("thread")().run(jobs)
    for outcome in outcomes:
        plugins.notify(outcome)
    return outcomes


def _status(
    alias: str,
    storage: ReplicatedStorage,
    outcome: Outcome,
    backlog: dict[str, Backlog] | None,
    finding: Finding | None,
) -> HostStatus:
    error = outcome.error
    problem = error.problem if isinstance(error, HostUnavailableError) else ""
    one = (backlog or {}).get(outcome.host, NOTHING)
    if backlog is not None:
        get_plugin_manager().notify_pending(alias, outcome.host, one.count, one.oldest, one.under_way)
    return HostStatus(
        alias,
        outcome.host,
        reachable=not problem,
        problem=problem,
        breaker=health.state(storage.transport_for(outcome.host).identify(outcome.host)).state,
        pending=None if backlog is None else one.count,
        has_more=one.has_more,
        under_way=None if backlog is None else one.under_way,
        oldest=one.oldest,
        due=one.due,
        error=one.error,
        identity_problem="" if finding is None else problem_of(finding),
        identity_remark="" if finding is None else finding.remark,
        seconds=None if problem else outcome.seconds,
        compared=None if backlog is None else one.compared,
    )
