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
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from resto.exceptions import RemoteFileNotFoundError, TransportError, UndecidedError
from resto.outcomes import Outcome
from resto.record.rows import Row


__all__ = ["Truth", "find_source", "truth_of"]


@dataclass(frozen=True, slots=True)
class Truth:
    """What the record says of one name.

    Attributes:
        hosts: Those that tell the truth, in the order of the settings.
        is_settled: Whether nothing is pending for these.
        is_present: Whether the last change left a file, as far as anything is pending.
    """

    hosts: tuple[str, ...]
    is_settled: bool
    is_present: bool

    @property
    def is_gone(self) -> bool:
        """Whether the record itself says that there is no file, whatever hosts say."""
        return not self.is_settled and not self.is_present


def truth_of(hosts: Sequence[str], rows: Sequence[Row]) -> Truth:
    """Find out where the truth of a name is.

    Args:
        hosts: All hosts of the storage.
        rows: All rows of the name, oldest first.
    """
    is_present = any(row.present for row in rows)
    numbers = {change: number for number, change in enumerate(dict.fromkeys(row.opened_by for row in rows))}
    missed: dict[str, set[int]] = {host: set() for host in hosts}
    for row in rows:
        missed.setdefault(row.host, set()).add(numbers[row.opened_by])
    newest_first = {host: sorted(missed[host], reverse=True) for host in hosts}
    least = min(newest_first.values(), default=[])
    return Truth(tuple(host for host in hosts if newest_first[host] == least), not least, is_present)


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
