"""A look at hosts: what each one is, by its identity; what is new or has changed is noted, in the record and on the host."""

import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from resto.exceptions import HostUnavailableError, TransportError
from resto.executors import Job
from resto.names import HOST_IDENTITY, temporary_name
from resto.outcomes import Outcome
from resto.plugins import get_plugin_manager
from resto.record import identities, leases
from resto.record.chosen import make_due
from resto.record.identities import BEING_MADE, GONE, NEW, Known
from resto.settings import storage_settings
from resto.storage.composition import are_nested
from resto.storage.host_findings import Finding, finding_of, nested_finding, served_finding, taken_finding
from resto.storage.host_identity import (
    HostIdentity,
    hashed_owner,
    host_identity_in,
    new_host_id,
    read_host_identity,
    write_host_identity,
)
from resto.storage.identified import Identified
from resto.storage.occupancy import aliases_of_location, are_empty, occupied_host
from resto.storage.reporting import described
from resto.storage.sharing import SharedHost, problem_of_shared, taken_hosts


__all__ = ["Look", "read_identities"]

# Seconds after which the record is told again that a host is what it was.
_NOTED_EACH = 60

# What a machine has seen in a directory that is a host.
_SEEN = ("sound", "same", "swapped", "gone", "blank")

# Machines of which it is known what they have seen: containers have another name each time.
_MAX_MACHINES = 20


class Look:
    """One look at hosts: what each one is, and what the record, and they themselves, are told of that.

    Args:
        storage: Whose hosts they are.
        alias: Under which the record knows them.
        owner: Whose they should be, hashed.
        location: The path of the master copy; None if there is none.
        begins: Whether a host that has no identity, and of which nothing is known, gets one.

    Attributes:
        known: What the record knows of each host.
        owner: As it was given.
    """

    def __init__(self, storage: Identified, alias: str, owner: str, location: str | None, *, begins: bool) -> None:
        self._storage = storage
        self._alias = alias
        self.owner = owner
        self._location = location
        self._begins = begins
        self.known = identities.find_all(alias)
        self._at_first = dict(self.known)
        sharing = [alias] if location is None else [alias, *aliases_of_location(location)]
        owners = {
            one.storage: hashed_owner(one.identity) for one in identities.find([*storage_settings()]) if one.identity
        }
        self._others = {owner for one, owner in owners.items() if one in sharing}
        self._owners = {owner: one for one, owner in owners.items() if one not in sharing}

    def seen(self, outcome: Outcome) -> Finding:
        """Return what a host is, and tell nobody.

        Args:
            outcome: What came of the question for its identity.
        """
        host, error = outcome.host, outcome.error
        return self._judged(host, outcome.value) if error is None else _unread(host, error)

    def at(self, outcome: Outcome) -> Finding:
        """Return what a host is, and take note of it.

        Args:
            outcome: As for `seen`.
        """
        host, finding = outcome.host, self.seen(outcome)
        if outcome.error is not None:
            return finding
        if finding.kind == "unknown" and self._begins:
            finding = self._begin(host)
        elif finding.kind == "follows" and self._begins:
            finding = self._rewritten(finding)
        self._note(finding)
        return finding

    def _judged(self, host: str, found: HostIdentity | None) -> Finding:
        if self._location is not None:
            if self._is_nested(host, self._location):
                return nested_finding(host, self._location)
            if found is not None and found.id and self._is_served(host, found):
                return served_finding(host, found.id, self._location)
        finding = finding_of(
            host,
            found,
            self.known,
            self._storage.hosts,
            self.owner,
            self._others,
            is_directory=self._path_of(host) is not None,
        )
        if finding.kind == "foreign" and found is not None and found.owner in self._owners:
            shared = self._taken.get(host)
            shown = "" if shared is not None else found.id
            shared = shared or SharedHost(self._alias, host, self._owners[found.owner], host)
            return taken_finding(host, shown, problem_of_shared(shared))
        if finding.kind == "unknown" and host in self._taken:
            return taken_finding(host, "", problem_of_shared(self._taken[host]))
        return finding

    @cached_property
    def _taken(self) -> dict[str, SharedHost]:
        return taken_hosts(self._alias)

    def _path_of(self, host: str) -> str | None:
        return self._storage.transport_for(host).local_path(host)

    def _is_nested(self, host: str, location: str) -> bool:
        """Tell whether a host is a directory in that of the master copy, or around it, wherever links lead: it has just answered."""
        path = self._path_of(host)
        return path is not None and are_nested(os.path.realpath(path), os.path.realpath(location))

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
            if found is None:
                is_left_out = self._is_to_be_filled(host)
                identities.add(self._alias, host, new_host_id(), self.owner, BEING_MADE, is_left_out=is_left_out)
                self._look_again(host)
                found = HostIdentity(self.known[host].identity, self.owner)
                write_host_identity(transport, host, found)
        except TransportError as error:
            self._forget(host)
            return _unread(host, error)
        finding = self._judged(host, found)
        if finding.is_refused:
            self._forget(host)
        return finding

    def _is_to_be_filled(self, host: str) -> bool:
        """Tell whether a host has come, without a master copy, to others that have files: it has none, and is not known."""
        if self._location is not None:
            return False
        # Before the first of them has its identity: one that does not list would seem to have files then.
        return self._others_have_files and are_empty({host: self._storage.transport_for(host)})

    @cached_property
    def _others_have_files(self) -> bool:
        sound = [one for one in self._storage.hosts if one not in self._at_first or not self._at_first[one].state]
        return occupied_host({one: self._storage.transport_for(one) for one in sound}) is not None

    def _rewritten(self, finding: Finding) -> Finding:
        """Tell a host that its master copy has another id by now."""
        host, owned = finding.host, HostIdentity(finding.identity, self.owner)
        try:
            write_host_identity(self._storage.transport_for(host), host, owned)
        except TransportError as error:
            return _unread(host, error)
        return Finding(host, "sound", finding.identity)

    def _note(self, finding: Finding) -> None:
        """Let the record know."""
        self._note_state(finding)
        known = self.known.get(finding.host)
        if known is None or finding.kind not in _SEEN:
            return
        if self._path_of(finding.host) is None:
            return
        machine = platform.node()
        if known.places.get(machine) != finding.identity:
            identities.change_places(known, partial(_seen_by, machine, finding.identity))
            self._look_again(finding.host)

    def _note_state(self, finding: Finding) -> None:
        known = self.known.get(finding.host)
        if known is None:
            if finding.kind in ("sound", "same"):
                state = NEW if self._is_to_be_filled(finding.host) else ""
                identities.add(self._alias, finding.host, finding.identity, self.owner, state)
                self._look_again(finding.host)
            return
        values = dict(_changes(finding, known, self.owner))
        if values:
            identities.note(known, **values)
            self._look_again(finding.host)
        if known.state == GONE and "state" in values:
            make_due([self._alias], [finding.host])

    def _look_again(self, host: str) -> None:
        self.known |= {one.host: one for one in identities.find([self._alias], host)}

    def _forget(self, host: str) -> None:
        known = self.known.pop(host, None)
        if known is not None and known.state == BEING_MADE:
            identities.forget(self._alias, host)


def _changes(finding: Finding, known: Known, owner: str) -> Iterator[tuple[str, Any]]:
    """Yield what is to be changed in what the record knows of a host."""
    if (finding.is_lost or finding.is_another) and known.state != GONE:
        yield "state", GONE
    if finding.kind in ("sound", "same"):
        if known.state in (GONE, BEING_MADE):
            yield "state", NEW if known.is_left_out else ""
        if known.mark != owner or known.next_mark:
            yield from {"mark": owner, "next_mark": ""}.items()
        now = leases.clock()
        if now - known.looked >= _NOTED_EACH:
            yield "looked", now


def _seen_by(machine: str, identity: str, before: Mapping[str, str]) -> dict[str, str]:
    """Return what machines have seen, this one last; those that have not seen anything new for long are forgotten."""
    others = [(other, seen) for other, seen in before.items() if other != machine]
    return dict(others[1 - _MAX_MACHINES :]) | {machine: identity}


def read_identities(storage: Identified, hosts: Sequence[str]) -> list[Outcome]:
    """Ask hosts for their identities, all at once, whatever their breakers say; failures are not logged.

    Args:
        storage: Whose hosts they are.
        hosts: As they stand in the settings.
    """
    jobs = [
        Job("download", host, HOST_IDENTITY, partial(read_host_identity, storage.transport_for(host), host))
        for host in hosts
    ]
    return get_plugin_manager().executor("thread")().run(jobs)


def _unread(host: str, error: Exception) -> Finding:
    reason = error.problem if isinstance(error, TransportError) else described(error)
    return Finding(host, "unread", remark=reason, error=error if isinstance(error, HostUnavailableError) else None)
