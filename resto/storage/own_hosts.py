"""Which hosts of a storage are its own: one that shows the identity of something else is not read, and no URL leads there.

A process looks at a host before it first reads there, and looks again as one does that writes. A look for reading tells nobody
anything: neither the record nor the host is changed.
"""

import os
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from resto.exceptions import ConfigurationError
from resto.executors import Job
from resto.names import HOST_IDENTITY
from resto.outcomes import Outcome
from resto.plugins import get_plugin_manager
from resto.record import identities
from resto.record.identities import GONE, MASTER, Known
from resto.storage.host_findings import Finding
from resto.storage.host_identity import HostIdentity, hashed_owner, read_host_identity
from resto.storage.host_looks import Look
from resto.storage.identified import Identified, alias_of_identities
from resto.storage.reporting import log_unread


__all__ = ["BELIEVED_FOR", "OwnHosts", "Verdict", "forget"]

# Seconds for which a process does not ask the record again about the hosts that it uses.
BELIEVED_FOR = 60

# Seconds in which a host that has not answered is not asked again what it is.
SILENT_FOR = 2

# Seconds after which a host that does not tell what it is is asked again.
UNREAD_FOR = 60 * 60

monotonic = time.monotonic  # injected by tests


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found out about a host.

    Attributes:
        finding: That.
        owner: Whose it should be, hashed.
        until: When it is to be looked at again.
    """

    finding: Finding
    owner: str
    until: float

    @classmethod
    def of(cls, finding: Finding, owner: str, now: float, *, unknown_for: float) -> "Verdict":
        """Return what is believed of a host that was just looked at.

        Args:
            finding: What was found out.
            owner: Whose it should be, hashed.
            now: By the clock of whoever believes it.
            unknown_for: Seconds after which one that has no identity, and of which nothing is known, is looked at again.
        """
        believed = {"unread": SILENT_FOR if finding.error else UNREAD_FOR, "unknown": unknown_for}
        return cls(finding, owner, now + believed.get(finding.kind, BELIEVED_FOR))

    def is_confirmed_by(self, known: Known | None) -> bool:
        """Return whether the host was the one that it should be, and the record still says so."""
        if known is None or self.finding.kind != "sound" or known.state == GONE:
            return False
        return self.finding.identity == known.identity


# What this process has found out about hosts before it read there, by storages and hosts.
_glances: dict[tuple[str, str], Verdict] = {}


def forget() -> None:
    """Look again at all hosts, before something is read there."""
    _glances.clear()


os.register_at_fork(after_in_child=forget)


class OwnHosts:
    """Tells hosts of a storage that are what they should be from those that are known to be something else.

    Args:
        storage: Whose hosts they are.
        found: Returns what was found out about a host before something was sent to it; None if nobody has looked.
        guarded: Returns a job that asks the breaker of its host first.
        report: Told of a host that does not answer: the breaker counts that, and may refuse what is asked next.
    """

    def __init__(
        self,
        storage: Identified,
        found: Callable[[str], Verdict | None],
        guarded: Callable[..., Job],
        report: Callable[[Outcome], None],
    ) -> None:
        self._storage = storage
        self._found = found
        self._guarded = guarded
        self._report = report

    def others(self, hosts: Iterable[str]) -> Mapping[str, ConfigurationError]:
        """Return which hosts are known to be something else, and why, without a look.

        Args:
            hosts: As they stand in the settings.
        """
        alias = alias_of_identities(self._storage)
        return {} if alias is None else self._others(alias, hosts)

    def among(self, hosts: Sequence[str]) -> Sequence[str]:
        """Return hosts without those that are something else, after a look at those that this process does not know.

        Args:
            hosts: Are about to be asked for files.

        Raises:
            ConfigurationError: A table is missing.
            DatabaseError: The record cannot be read.
        """
        alias = alias_of_identities(self._storage)
        if alias is None:
            return hosts
        due = [host for host in hosts if self._is_due(alias, host)]
        if due:
            self._look(alias, due)
        others = self._others(alias, hosts)
        return [host for host in hosts if host not in others] if others else hosts

    def each(self, hosts: Sequence[str]) -> Iterator[str]:
        """Yield hosts that are not known to be something else, each looked at just before it is asked.

        Args:
            hosts: As for `among`.

        Raises:
            Exception: As for `among`.
        """
        for host in hosts:
            yield from self.among([host])

    def _others(self, alias: str, hosts: Iterable[str]) -> dict[str, ConfigurationError]:
        others = {}
        for host in hosts:
            known = self._known(alias, host)
            if known is not None and known.finding.is_another and known.finding.problem is not None:
                others[host] = known.finding.problem
        return others

    def _known(self, alias: str, host: str) -> Verdict | None:
        """Return what was found out about a host last, whoever has looked."""
        found, glance = self._found(host), _glances.get((alias, host))
        if found is None or glance is None:
            return found or glance
        return found if found.until > glance.until else glance

    def _is_due(self, alias: str, host: str) -> bool:
        known = self._known(alias, host)
        return known is None or monotonic() >= known.until

    def _look(self, alias: str, hosts: Collection[str]) -> None:
        known = identities.find_all(alias)
        owner = known[MASTER].identity if MASTER in known else ""
        until = monotonic() + BELIEVED_FOR
        if not owner:  # nothing was saved yet: no host belongs to anything
            _glances.update({(alias, host): Verdict(Finding(host, "unknown"), "", until) for host in hosts})
            return
        held = {host: one for host in hosts if (one := self._held(alias, host, known.get(host))) is not None}
        _glances.update({(alias, host): Verdict(one, hashed_owner(owner), until) for host, one in held.items()})
        asked = [host for host in hosts if host not in held]
        if asked:
            self._ask(Look(self._storage, alias, hashed_owner(owner), None, begins=False), alias, asked)

    def _held(self, alias: str, host: str, known: Known | None) -> Finding | None:
        """Return what was found out about a host, if the record still says so."""
        before = self._known(alias, host)
        return before.finding if before is not None and before.is_confirmed_by(known) else None

    def _ask(self, look: Look, alias: str, hosts: Sequence[str]) -> None:
        jobs = [self._guarded("download", self._identity, host, HOST_IDENTITY) for host in hosts]
        for outcome in get_plugin_manager().executor("thread")().run(jobs):
            finding = look.seen(outcome)
            _glances[alias, outcome.host] = Verdict.of(finding, look.owner, monotonic(), unknown_for=UNREAD_FOR)
            if finding.error is not None:
                self._report(outcome)
            if finding.is_another:
                log_unread(str(finding.problem))

    def _identity(self, host: str, name: str) -> HostIdentity | None:
        return read_host_identity(self._storage.transport_for(host), host)
