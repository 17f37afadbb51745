"""Whether hosts are the hosts that they were: what each one's identity says, against what the record knows of it.

A host that has lost its disk, the media server of another site, and the master copy itself, which somebody serves, all look like
hosts that lack files, or have some too many. A host that is new gets an identity, unless it has one; what its file says is believed
for as long as the process lasts, unless the record has something else to say of it.
"""

import math
import os
import time
from collections.abc import Callable, Collection, Sequence

from resto import health
from resto.exceptions import ConfigurationError, HostUnavailableError
from resto.plugins import identity
from resto.record import identities
from resto.record.changes import current_lease
from resto.record.identities import MASTER, Known
from resto.settings import storage_settings
from resto.storage.host_findings import Finding, taken_finding
from resto.storage.host_identity import HostIdentity, hashed_owner, new_host_id, write_host_identity
from resto.storage.host_looks import Look, read_identities
from resto.storage.identified import Identified, alias_of_identities, has_identities
from resto.storage.own_hosts import BELIEVED_FOR, Verdict, forget
from resto.storage.reporting import log_lost
from resto.storage.sharing import problem_of_shared, taken_hosts
from resto.storage.trials import Trials


__all__ = ["Recognition", "owner_in_record"]

monotonic = time.monotonic  # injected by tests


# What this process has found out about hosts, by storages and hosts.
_verdicts: dict[tuple[str, str], Verdict] = {}

os.register_at_fork(after_in_child=_verdicts.clear)


class Recognition:
    """Recognizes the hosts of a storage before something is sent to them, or removed.

    Args:
        storage: Whose hosts they are.
        owner: Returns the id of the master copy, or of the storage; empty if there is none yet.
        location: Returns the path of the master copy; None if there is none.

    Attributes:
        trials: What the hosts have shown that they do with directories.
    """

    def __init__(
        self, storage: Identified, owner: Callable[[], str], location: Callable[[], str | None] = lambda: None
    ) -> None:
        self._storage = storage
        self._owner = owner
        self._location = location
        self._alias: str | None = None
        self._master_is_due = 0.0
        self.trials = Trials(storage)

    def forget(self) -> None:
        """Look again at all hosts, before something is sent to them, or read there."""
        self._alias, self._master_is_due = None, 0.0
        forget()
        for pair in [*_verdicts]:
            _verdicts.pop(pair, None)

    def _belonging(self) -> tuple[str | None, str]:
        """Return the alias under which hosts are known, and the id of what they belong to; None and empty where there is none."""
        alias = alias_of_identities(self._storage)
        return alias, "" if alias is None else self._owner()

    # Before something is written.

    def is_due(self, host: str) -> bool:
        """Return whether `recognize` would do anything about a host."""
        verdict = None if self._alias is None else _verdicts.get((self._alias, host))
        return has_identities(self._storage) if verdict is None else monotonic() >= verdict.until

    def found(self, host: str) -> Verdict | None:
        """Return what this process has found out about a host before it wrote there; None if it has not.

        Args:
            host: As it stands in the settings.
        """
        return None if self._alias is None else _verdicts.get((self._alias, host))

    def recognize(self, hosts: Sequence[str], *, is_admitted: bool = False) -> None:
        """Look at the hosts that this process has not written to before; ask the record about the others once a minute.

        The log says, as often, which of them have lost their files: what is sent there stays pending, and nothing fails.

        Args:
            hosts: Are about to be written to.
            is_admitted: Whether their breakers have let that happen.

        Raises:
            DatabaseError: The record cannot be read.
        """
        alias, now = self._alias, monotonic()
        if (
            alias is not None
            and now < self._master_is_due
            and all((one := _verdicts.get((alias, host))) and now < one.until for host in hosts)
        ):
            return
        alias, owner = self._belonging()
        self._alias = alias
        if alias is not None and not owner:
            for host, finding in self._taken(alias, hosts).items():
                _verdicts[alias, host] = Verdict(finding, owner, now)
        if alias is None or not owner:
            return
        known = identities.find_all(alias)
        self._retire_master_copy(known.get(MASTER), now)
        self.trials.tell(known)
        due = [host for host in hosts if not self._holds(alias, host, known.get(host), hashed_owner(owner))]
        asked = due if is_admitted else [host for host in due if self._is_asked(alias, host)]
        for finding in self._examine(alias, owner, asked, begins=True).values():
            if finding.is_lost:
                log_lost(str(finding.problem))

    def _retire_master_copy(self, known: Known | None, now: float) -> None:
        """Without a master copy, let nobody believe the directory that was one: it does not follow what is written from now on."""
        if self._location():
            self._master_is_due = math.inf
            return
        self._master_is_due = now + BELIEVED_FOR
        if known is not None and known.mark:
            identities.retire(known)

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
        if not verdict.is_confirmed_by(known):
            return False
        _verdicts[alias, host] = Verdict(verdict.finding, owner, now + BELIEVED_FOR)
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
        alias, owner = self._belonging()
        hosts = self._storage.hosts if hosts is None else hosts
        if alias is None:
            return {}
        if not owner:
            return self._taken(alias, hosts)
        self._alias = alias
        return self._examine(alias, owner, hosts, begins=begins)

    def _taken(self, alias: str, hosts: Sequence[str]) -> dict[str, Finding]:
        """Return which hosts belong to another storage of the site, as the settings have it: this one has not begun yet."""
        taken = taken_hosts(alias)
        return {host: taken_finding(host, "", problem_of_shared(taken[host])) for host in hosts if host in taken}

    def _examine(self, alias: str, owner: str, hosts: Sequence[str], *, begins: bool) -> dict[str, Finding]:
        if not hosts:
            return {}
        look = Look(self._storage, alias, hashed_owner(owner), self._location(), begins=begins)
        self.trials.tell(look.known)
        findings = {}
        for outcome in read_identities(self._storage, hosts):
            finding = findings[outcome.host] = look.at(outcome)
            _verdicts[alias, outcome.host] = Verdict.of(finding, look.owner, monotonic(), unknown_for=0.0)
        return findings

    def known(self) -> dict[str, Known]:
        """Return what the record knows of each host; nothing where hosts have no identities.

        Raises:
            DatabaseError: The record cannot be read.
        """
        alias = alias_of_identities(self._storage)
        return (
            {} if alias is None else {host: one for host, one in identities.find_all(alias).items() if host != MASTER}
        )

    # What people decide.

    def adopt(self, host: str, state: str = "") -> None:
        """Let a server be a host from now on, as it is, and no other one.

        Args:
            host: The host as it stands in the settings.
            state: What the record says of it.

        Raises:
            TransportError: It does not take its identity, or not give it back.
            ConfigurationError: There is nothing that it could belong to.
            DatabaseError: It cannot be recorded.
        """
        alias, owner = self._belonging()
        if alias is None or not owner:
            problem = "nothing is known of the storage, to which its hosts belong"
            raise ConfigurationError(problem, "Save a file first, or run: manage.py resto_adopt.")
        transport, wanted = self._storage.transport_for(host), HostIdentity(new_host_id(), hashed_owner(owner))
        write_host_identity(transport, host, wanted)
        known = identities.find([*storage_settings()], host)
        before = {one.identity for one in known if one.storage == alias}
        # Other storages of the site that keep their files there lose sight of it else.
        for one in known:
            if one.storage != alias and one.identity in before:
                identities.put(one.storage, host, wanted.id, wanted.owner, state)
        identities.put(alias, host, wanted.id, wanted.owner, state)
        self.forget()

    def follow(self, former: Collection[str]) -> None:
        """Let the hosts of a former master copy be those of this one, now or when they answer.

        Args:
            former: The ids that it had, or that the one had whose place it takes.

        Raises:
            DatabaseError: It cannot be recorded.
        """
        alias, owner = self._belonging()
        owner = hashed_owner(owner)
        before = {hashed_owner(one) for one in former if one} - {owner}
        if alias is None or not before:
            return
        known = identities.find_all(alias)
        for outcome in read_identities(self._storage, [host for host in self._storage.hosts if host not in known]):
            if isinstance(outcome.value, HostIdentity) and outcome.value.owner in before:
                identities.add(alias, outcome.host, *outcome.value)
        for host, one in identities.find_all(alias).items():
            if host != MASTER and not before.isdisjoint((one.mark, one.next_mark)):
                identities.note(one, next_mark=owner)
        self.forget()
        self.examine(begins=True)


def owner_in_record(storage: Identified) -> str:
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
