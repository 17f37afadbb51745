"""Whether hosts are the hosts that they were: what each one's identity says, against what the record knows of it.

A host that has lost its disk, the media server of another site, and the master copy itself, which somebody serves, all look like
hosts that lack files, or have some too many. A host that is new gets an identity, unless it has one; what its file says is believed
for as long as the process lasts, unless the record has something else to say of it.
"""

import os
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from resto import health
from resto.exceptions import ConfigurationError, HostUnavailableError, TransportError
from resto.executors import Job
from resto.names import HOST_IDENTITY, temporary_name
from resto.outcomes import Outcome
from resto.plugins import get_plugin_manager, identity
from resto.record import database, identities, leases
from resto.record.changes import current_lease
from resto.record.chosen import make_due
from resto.record.identities import MASTER, Known
from resto.storage.host_findings import BEING_MADE, GONE, NEW, Finding, finding_of, served_finding
from resto.storage.host_identity import (
    HostIdentity,
    hashed_owner,
    host_identity_in,
    new_host_id,
    read_host_identity,
    write_host_identity,
)
from resto.storage.occupancy import occupied_host
from resto.storage.reporting import described
from resto.transports import Transport


__all__ = ["Recognition", "owner_in_record"]

# Seconds for which a process does not ask the record again about the hosts that it writes to.
BELIEVED_FOR = 60

# Seconds in which a host that has not answered is not asked again, nor sent anything.
SILENT_FOR = 2

# Seconds after which a host that does not tell what it is is asked again.
UNREAD_FOR = 60 * 60

monotonic = time.monotonic  # injected by tests


class Recognizable(Protocol):
    """What is asked of a storage with hosts."""

    @property
    def hosts(self) -> tuple[str, ...]:
        """The addresses of the hosts."""

    def is_recorded(self) -> bool:
        """Return whether changes are recorded, as far as the settings say."""

    def record_alias(self) -> str | None:
        """Return the alias under which changes are recorded; None where nothing is recorded."""

    def transport_for(self, host: str) -> Transport:
        """Return the transport that speaks to a host."""


@dataclass(frozen=True, slots=True)
class _Verdict:
    finding: Finding
    owner: str
    until: float


# What this process has found out about hosts, by storages and hosts.
_verdicts: dict[tuple[str, str], _Verdict] = {}

os.register_at_fork(after_in_child=_verdicts.clear)


class Recognition:
    """Recognizes the hosts of a storage before something is sent to them, or removed.

    Args:
        storage: Whose hosts they are.
        owner: Returns the id of the master copy, or of the storage; empty if there is none yet.
        location: Returns the path of the master copy; None if there is none.
    """

    def __init__(
        self, storage: Recognizable, owner: Callable[[], str], location: Callable[[], str | None] = lambda: None
    ) -> None:
        self._storage = storage
        self._owner = owner
        self._location = location
        self._alias: str | None = None

    def forget(self) -> None:
        """Look again at all hosts, before something is sent to them."""
        self._alias = None
        for pair in [*_verdicts]:
            _verdicts.pop(pair, None)

    def applies(self) -> bool:
        """Return whether hosts have identities at all: there is a record, and this is no test."""
        return self._storage.is_recorded() and not database.is_under_test()

    # Before something is written.

    def is_due(self, host: str) -> bool:
        """Return whether `recognize` would do anything about a host."""
        verdict = None if self._alias is None else _verdicts.get((self._alias, host))
        return self.applies() if verdict is None else monotonic() >= verdict.until

    def recognize(self, hosts: Sequence[str], *, is_admitted: bool = False) -> None:
        """Look at the hosts that this process has not written to before; ask the record about the others once a minute.

        Args:
            hosts: Are about to be written to.
            is_admitted: Whether their breakers have let that happen.

        Raises:
            DatabaseError: The record cannot be read.
        """
        alias, now = self._alias, monotonic()
        if alias is not None and all((one := _verdicts.get((alias, host))) and now < one.until for host in hosts):
            return
        self._alias = alias = self._storage.record_alias() if self.applies() else None
        owner = "" if alias is None else self._owner()
        if alias is None or not owner:
            return
        known = identities.find_all(alias)
        due = [host for host in hosts if not self._holds(alias, host, known.get(host), hashed_owner(owner))]
        asked = due if is_admitted else [host for host in due if self._is_asked(alias, host)]
        self._examine(alias, owner, asked, begins=True)

    def require(self, host: str, name: str, action: str) -> None:
        """Raise unless a host may be written to; a lease that is held for one that has lost its files is not settled.

        Args:
            host: The host as it stands in the settings.
            name: The file's name, for the error.
            action: For the error.

        Raises:
            ConfigurationError: It may not.
            HostUnavailableError: It was asked what it is, and has given no answer.
        """
        if self._alias is None:
            return
        verdict = _verdicts.get((self._alias, host))
        if verdict is None or verdict.finding.kind == "sound":
            return
        finding, lease = verdict.finding, current_lease()
        if finding.problem is not None and finding.is_refused:
            raise finding.problem
        if isinstance(finding.error, HostUnavailableError) and monotonic() < verdict.until:
            raise HostUnavailableError(host, name, action, finding.error.problem)
        if finding.problem is not None and finding.is_lost and lease is not None:
            lease.staying[host] = str(finding.problem)

    def _holds(self, alias: str, host: str, known: Known | None, owner: str) -> bool:
        """Tell whether what was found out about a host is still true, and believe it for another while."""
        now, verdict = monotonic(), _verdicts.get((alias, host))
        if verdict is None or verdict.owner != owner:
            return False
        if now < verdict.until:
            return True
        finding = verdict.finding
        if known is None or finding.kind != "sound" or finding.identity != known.identity or known.state == GONE:
            return False
        _verdicts[alias, host] = _Verdict(finding, owner, now + BELIEVED_FOR)
        return True

    def _is_asked(self, alias: str, host: str) -> bool:
        """Tell whether the breaker of a host lets it be asked; if not, it is not written to, either."""
        key = identity(self._storage.transport_for(host), host)
        state = health.state(key)
        is_asked = state.state == "closed" or not state.seconds
        if not is_asked:
            _verdicts.pop((alias, host), None)
        return is_asked

    # Looks.

    def examine(self, hosts: Sequence[str] | None = None, *, begins: bool = False) -> dict[str, Finding]:
        """Ask hosts what they are, and take note of it; return what each one is, nothing where hosts have no identities.

        Args:
            hosts: Which ones; all if None.
            begins: Whether a host that has no identity, and of which nothing is known, gets one.

        Raises:
            DatabaseError: The record cannot be read, or takes no note.
        """
        alias = self._storage.record_alias() if self.applies() else None
        owner = "" if alias is None else self._owner()
        if alias is None or not owner:
            return {}
        self._alias = alias
        return self._examine(alias, owner, self._storage.hosts if hosts is None else hosts, begins=begins)

    def _examine(self, alias: str, owner: str, hosts: Sequence[str], *, begins: bool) -> dict[str, Finding]:
        if not hosts:
            return {}
        look = _Look(self._storage, alias, hashed_owner(owner), self._location(), begins=begins)
        findings = {}
        for outcome in _read(self._storage, hosts):
            finding = findings[outcome.host] = look.at(outcome)
            believed = {"unread": SILENT_FOR if finding.error else UNREAD_FOR, "unknown": 0.0}
            until = monotonic() + believed.get(finding.kind, BELIEVED_FOR)
            _verdicts[alias, outcome.host] = _Verdict(finding, look.owner, until)
        return findings

    def known(self) -> dict[str, Known]:
        """Return what the record knows of each host; nothing where hosts have no identities.

        Raises:
            DatabaseError: The record cannot be read.
        """
        alias = self._storage.record_alias() if self.applies() else None
        return (
            {} if alias is None else {host: one for host, one in identities.find_all(alias).items() if host != MASTER}
        )

    # What people decide.

    def adopt(self, host: str, aliases: Collection[str], state: str = "") -> None:
        """Let a server be a host from now on, as it is, and no other one.

        Args:
            host: The host as it stands in the settings.
            aliases: Under which storages the record knows it: those that have the same master copy.
            state: What the record says of it.

        Raises:
            TransportError: It does not take its identity, or not give it back.
            ConfigurationError: There is nothing that it could belong to.
            DatabaseError: It cannot be recorded.
        """
        owner = self._owner() if self.applies() else ""
        if not owner:
            problem = "nothing is known of the storage, to which its hosts belong"
            raise ConfigurationError(problem, "Save a file first, or run: manage.py resto_adopt.")
        transport, wanted = self._storage.transport_for(host), HostIdentity(new_host_id(), hashed_owner(owner))
        write_host_identity(transport, host, wanted)
        for alias in aliases:
            identities.put(alias, host, wanted.id, wanted.owner, state)
        self.forget()

    def follow(self, former: Collection[str]) -> None:
        """Let the hosts of a former master copy be those of this one, now or when they answer.

        Args:
            former: The ids that it had, or that the one had whose place it takes.

        Raises:
            DatabaseError: It cannot be recorded.
        """
        alias = self._storage.record_alias() if self.applies() else None
        owner = hashed_owner(self._owner()) if alias is not None else ""
        before = {hashed_owner(one) for one in former if one} - {owner}
        if alias is None or not before:
            return
        known = identities.find_all(alias)
        for outcome in _read(self._storage, [host for host in self._storage.hosts if host not in known]):
            if isinstance(outcome.value, HostIdentity) and outcome.value.owner in before:
                identities.add(alias, outcome.host, *outcome.value)
        for host, one in identities.find_all(alias).items():
            if host != MASTER and not before.isdisjoint((one.mark, one.next_mark)):
                identities.note(one, next_mark=owner)
        self.forget()
        self.examine(begins=True)


class _Look:
    """One look at hosts: what each one is, and what the record, and they themselves, are told of that."""

    def __init__(self, storage: Recognizable, alias: str, owner: str, location: str | None, *, begins: bool) -> None:
        self._storage = storage
        self._alias = alias
        self.owner = owner
        self._location = location
        self._begins = begins
        self._known = identities.find_all(alias)
        self._at_first = dict(self._known)

    def at(self, outcome: Outcome) -> Finding:
        """Return what a host is, from what it has answered."""
        host, error = outcome.host, outcome.error
        if error is not None:
            return Finding(host, "unread", remark=_reason(error), error=_silence(error))
        finding = self._judged(host, outcome.value)
        if finding.kind == "unknown" and self._begins:
            finding = self._begin(host)
        elif finding.kind == "follows" and self._begins:
            finding = self._rewritten(finding)
        self._note(finding)
        return finding

    def _judged(self, host: str, found: HostIdentity | None) -> Finding:
        if found is not None and found.id and self._location is not None and self._is_served(host, found):
            return served_finding(host, found.id, self._location)
        return finding_of(host, found, self._known, self._storage.hosts, self.owner)

    def _is_served(self, host: str, found: HostIdentity) -> bool:
        """Tell whether a host is the directory of the master copy; a copy of its file may lie there, too."""
        if host_identity_in(self._location or "") != found:
            return False
        name, transport = temporary_name(""), self._storage.transport_for(host)
        try:
            transport.create(host, name, b"Is this the master copy?")
            return (Path(self._location or "") / name).exists()
        except TransportError:
            return True
        finally:
            with suppress(TransportError):
                transport.delete(host, name)

    def _begin(self, host: str) -> Finding:
        """Give a host an identity: that of the record, which decides between two that do so at the same time."""
        transport = self._storage.transport_for(host)
        try:
            found = read_host_identity(transport, host)  # another name of the same server may have got one a moment ago
            state = NEW if found is None and self._is_to_be_filled(host) else ""
            if found is None:
                identities.add(self._alias, host, new_host_id(), self.owner, BEING_MADE)
                self._look_again(host)
                found = HostIdentity(self._known[host].identity, self.owner)
                write_host_identity(transport, host, found)
        except TransportError as error:
            self._forget(host)
            return Finding(host, "unread", remark=_reason(error), error=_silence(error))
        finding = self._judged(host, found)
        if finding.is_refused:
            self._forget(host)
        elif state:
            identities.note(self._known[host], state=state)
            self._look_again(host)
        return finding

    def _is_to_be_filled(self, host: str) -> bool:
        """Tell whether a host without a master copy has come to others that have files: it has none, and knows nothing."""
        others = [one for one, row in self._at_first.items() if one in self._storage.hosts and not row.state]
        if self._location is not None or not others:
            return False
        there = self._storage.transport_for(host).browse(host, "")
        if there is None or there.files or there.directories:
            return False
        return occupied_host({one: self._storage.transport_for(one) for one in others}) is not None

    def _rewritten(self, finding: Finding) -> Finding:
        """Tell a host that its master copy has another id by now."""
        host, owned = finding.host, HostIdentity(finding.identity, self.owner)
        try:
            write_host_identity(self._storage.transport_for(host), host, owned)
        except TransportError as error:
            return Finding(host, "unread", remark=_reason(error), error=_silence(error))
        return Finding(host, "sound", finding.identity)

    def _note(self, finding: Finding) -> None:
        """Let the record know."""
        known = self._known.get(finding.host)
        if known is None:
            if finding.kind in ("sound", "same"):
                identities.add(self._alias, finding.host, finding.identity, self.owner)
                self._look_again(finding.host)
            return
        values = dict(_changes(finding, known, self.owner))
        if values:
            identities.note(known, **values)
            self._look_again(finding.host)
        if known.state == GONE and values.get("state") == "":
            make_due([self._alias], [finding.host])

    def _look_again(self, host: str) -> None:
        self._known |= {one.host: one for one in identities.find([self._alias], host)}

    def _forget(self, host: str) -> None:
        known = self._known.pop(host, None)
        if known is not None and known.state == BEING_MADE:
            identities.forget(self._alias, host)


def _changes(finding: Finding, known: Known, owner: str) -> Iterator[tuple[str, Any]]:
    """Yield what is to be changed in what the record knows of a host."""
    if finding.is_lost and known.state != GONE:
        yield "state", GONE
    if finding.kind in ("sound", "same"):
        if known.state in (GONE, BEING_MADE):
            yield "state", ""
        if known.mark != owner or known.next_mark:
            yield from {"mark": owner, "next_mark": ""}.items()
        now = leases.clock()
        if now - known.looked >= BELIEVED_FOR:
            yield "looked", now


def _read(storage: Recognizable, hosts: Sequence[str]) -> list[Outcome]:
    """Ask hosts for their identities, all at once, whatever their breakers say; failures are not logged."""
    jobs = [
        Job("download", host, HOST_IDENTITY, partial(read_host_identity, storage.transport_for(host), host))
        for host in hosts
    ]
    return get_plugin_manager().executor("thread")().run(jobs)


def _reason(error: Exception) -> str:
    return error.problem if isinstance(error, TransportError) else described(error)


def _silence(error: Exception) -> HostUnavailableError | None:
    return error if isinstance(error, HostUnavailableError) else None


def owner_in_record(storage: Recognizable) -> str:
    """Return the id that the record keeps for a storage without a master copy, and make it if there is none.

    Args:
        storage: Which one.
    """
    alias = storage.record_alias()
    if alias is None:
        return ""
    known = identities.find([alias])
    if not known:
        identities.add(alias, MASTER, new_host_id())
        known = identities.find([alias])
    return known[0].identity if known else ""
