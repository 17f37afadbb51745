"""Where the truth of a name is, if there is no master copy: with the hosts that have missed nothing, as the record says.

Whoever changes a name opens a row for every host, and tells all other rows of the name that a change has followed them. Whoever
repairs one host reads the rows, asks hosts that tell the truth, makes the host equal to them, and removes its rows only if they
have not been told of another change in between. In addition to the rules of `resto.record.leases`:

1. A change records itself first. A deletion then tells the others; a save looks whether there are others. Else two changes at
   once would not hear of each other.
2. A host that somebody else has a row for is not repaired: a request to it may be under way.
3. If something is pending for all hosts, those tell the truth that have not missed the newest change; among equals, those that
   have not missed the one before, and so on. What was missed before does not matter, as each change replaces all: else a host
   that has missed a deletion would bring the file back, because another one has missed something older.
4. A save takes a name only if nothing is pending for it but deletions that began before, and have ended. Whatever is younger
   than its own rows may be a deletion that counts on being the last.
5. A deletion that has reached a host has settled it, although another one has begun since: in any order, the file is gone. Else
   a host that has followed would look like one that has not. After a save it is not known what came last, and the row stays.
6. If a host has failed, a change counts only once it is recorded which ones have followed. Else the host that has failed may be
   the one that is asked.
7. A file is never replaced under its name: there is no order of two uploads that hosts could agree on.

A host that is known to have lost its files is left out until it has been filled (see `resto.record.left_out`):

8. It tells no truth, and does not count for the quorum; it is written to. Who is left out depends on when the newest change of
   the name was recorded, so that all who judge the same rows come to the same result.
9. If no host that counts has followed a change, the row of one that is left out stays, even if it has followed.
10. It is repaired only from a host that nothing is pending for, and so is any host that is being made equal to others by hand.
11. Before a name of it is filled, a row is opened, which says nothing of a change, and then all rows are looked at. It goes only
   if it was not told of another change meanwhile.
12. If it has missed less than all that count, it has followed before it was known what it is. If it has the file, it is right;
   if not, nobody knows, and nothing is removed. So it is where all that have followed have lost their files since.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf

from resto.exceptions import RemoteFileNotFoundError, TransportError, UndecidedError
from resto.outcomes import Outcome
from resto.record.rows import FILL, Row


__all__ = ["NOBODY", "LeftOut", "Truth", "find_source", "truth_of"]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Hosts that are left out, or were.

    Attributes:
        periods: From when, and until when changes are recorded that do not count a host.
        identities: What each host is known by.
    """

    periods: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    identities: Mapping[str, str] = field(default_factory=dict, compare=False)

    def hosts(self, hosts: Sequence[str], moment: float | None = None) -> frozenset[str]:
        """Return which hosts are left out.

        Args:
            hosts: All hosts of the storage. If none of them is left, all count.
            moment: When a change was recorded; None for names that none is pending for.
        """
        found = frozenset(host for host in hosts if self._is_left_out(host, moment))
        return found if len(found) < len(hosts) else frozenset()

    def _is_left_out(self, host: str, moment: float | None) -> bool:
        begin, end = self.periods.get(host, (inf, 0.0))
        return end == inf if moment is None else begin <= moment < end

    def is_lost_since(self, host: str, moment: float) -> bool:
        """Return whether a host has lost its files after a change was recorded, so that what it lacks says nothing.

        Args:
            host: The host as it stands in the settings.
            moment: When the change was recorded.
        """
        return moment < self.periods.get(host, (-inf, 0.0))[0]


NOBODY = LeftOut()


@dataclass(frozen=True, slots=True)
class Truth:
    """What the record says of one name.

    Attributes:
        hosts: Those that tell the truth, in the order of the settings.
        is_settled: Whether nothing is pending for these.
        is_present: Whether the last change left a file, as far as anything is pending.
        left_out: Hosts that do not count.
        is_doubtful: Whether those that tell the truth are left out, or have lost their files since, and are only believed if they
            have the file.
    """

    hosts: tuple[str, ...]
    is_settled: bool
    is_present: bool
    left_out: frozenset[str] = frozenset()
    is_doubtful: bool = False

    @property
    def is_gone(self) -> bool:
        """Whether the record itself says that there is no file, whatever hosts say."""
        return not self.is_settled and not self.is_present


def truth_of(hosts: Sequence[str], rows: Sequence[Row], left_out: LeftOut = NOBODY) -> Truth:
    """Find out where the truth of a name is.

    Args:
        hosts: All hosts of the storage.
        rows: All rows of the name, oldest first.
        left_out: Hosts that are left out, or were.
    """
    changes = [row for row in rows if row.opened_by != FILL]
    # Of a host that is being made equal to others, nothing says that there is no file.
    is_present = any(row.present for row in changes) if changes else bool(rows)
    out = left_out.hosts(hosts, changes[-1].created if changes else None)
    newest_first = _missed_by_host(hosts, rows)
    least = min((newest_first[host] for host in hosts if host not in out), default=[])
    ahead = [newest_first[host] for host in out if newest_first[host] < least]
    if ahead:
        told = tuple(host for host in hosts if host in out and newest_first[host] == min(ahead))
        return Truth(told, is_settled=False, is_present=is_present, left_out=out, is_doubtful=True)
    told = tuple(host for host in hosts if host not in out and newest_first[host] == least)
    is_doubtful = bool(changes) and all(left_out.is_lost_since(host, changes[-1].created) for host in told)
    return Truth(told, not least, is_present, out, is_doubtful)


def _missed_by_host(hosts: Sequence[str], rows: Sequence[Row]) -> dict[str, list[int]]:
    """Return the numbers of the changes that each host has missed, newest first; what a fill has to do is older than all."""
    changes = [_change_of(row) for row in rows]
    numbers = {change: number for number, change in enumerate(dict.fromkeys([FILL, *changes]))}
    missed: dict[str, set[int]] = {host: set() for host in hosts}
    for row, change in zip(rows, changes, strict=True):
        missed.setdefault(row.host, set()).add(numbers[change])
    return {host: sorted(missed[host], reverse=True) for host in hosts}


def _change_of(row: Row) -> str:
    """Return which change a row is of. Those that a storage with a master copy has left have only their time in common."""
    return row.opened_by if row.digest and row.opened_by else f"{row.created}"


def find_source(truth: Truth, host: str, name: str, ask: Callable[[str], Outcome]) -> str | None:
    """Find the host that another one is to be made equal to; None if the file is to be deleted there.

    Args:
        truth: What the record says.
        host: The host that is repaired; it may tell the truth itself.
        name: The file's name.
        ask: Asks a host whether it has the file.

    Raises:
        UndecidedError: Hosts that may know it do not answer.
    """
    if truth.is_gone:
        return None
    silent: list[Outcome] = []
    for candidate in truth.hosts:
        outcome = ask(candidate)
        if outcome.value:
            return candidate
        if outcome.error is not None and not isinstance(outcome.error, RemoteFileNotFoundError):
            silent.append(outcome)
            if not truth.is_settled:
                break  # others ask in the same order, and must not come to another result
    if silent and (truth.is_present or len(silent) == len(truth.hosts)):
        raise UndecidedError(
            host, name, "repair", f"{silent[0].host} would know what it should have: {_text(silent[0])}"
        )
    return None


def _text(outcome: Outcome) -> str:
    return outcome.error.problem if isinstance(outcome.error, TransportError) else str(outcome.error)
