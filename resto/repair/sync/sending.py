"""What differs from a master copy is sent to hosts or removed from them, or handed over to drains."""

from collections.abc import Callable, Iterable, Iterator, Sequence

from resto.outcomes import Outcome
from resto.repair.sync.handing import HandingOver
from resto.repair.sync.hosts import Hosts, in_turn
from resto.repair.sync.report import Difference, Settled, SyncOptions, settled
from resto.storage import HybridStorage


__all__ = ["Sending"]


class Sending:
    """Makes hosts equal to the master copy where a comparison has found that they differ.

    Args:
        storage: Of the master copy.
        hosts: That are compared.
        handing_over: Records what drains are to do.
        options: Of the comparison.
        tell: Told of each difference what has become of it.

    Attributes:
        from_nothing: Whether an empty directory counts as a master copy that has lost all files on purpose.
    """

    def __init__(
        self,
        storage: HybridStorage,
        hosts: Hosts,
        handing_over: HandingOver,
        options: SyncOptions,
        tell: Callable[[Difference], None],
    ) -> None:
        self.from_nothing = False
        self._storage = storage
        self._hosts = hosts
        self._handing_over = handing_over
        self._options = options
        self._tell = tell
        self._behind: list[Difference] = []

    def add(self, difference: Difference) -> None:
        """Take note of what is to be sent."""
        self._behind.append(difference)

    def send(self, enough: int = 0) -> None:
        """Send what is waiting.

        Args:
            enough: Only if that is more than so many, which keep hosts busy.
        """
        if len(self._behind) > enough:
            waiting, self._behind = self._behind, []
            for part in _split_firsts(waiting):
                self.repair(in_turn(part))

    def repair(self, differences: Iterable[Difference], *, present: bool = True) -> None:
        """Make hosts equal to the master copy now.

        Args:
            differences: Where they differ.
            present: Whether the master copy has these files.
        """
        under_way: dict[tuple[str, str], Difference] = {}
        pairs, state = self._pairs(differences, under_way), self._settled_as
        if state == "repaired":
            outcomes = self._hosts.repair_each(pairs, self._repair_now)
        else:
            outcomes = self._handing_over.each(pairs, present=present)
        for outcome in outcomes:
            self._tell(settled(under_way.pop((outcome.host, outcome.name)), outcome, state))

    @property
    def _settled_as(self) -> Settled:
        # No drain removes what a master copy lacks that has not proven to be one.
        return "handed over" if self._options.hand_over and not self.from_nothing else "repaired"

    def _repair_now(self, pairs: Iterable[tuple[str, str]]) -> Iterator[Outcome]:
        return self._hosts.listening(self._storage.repair_each(pairs, from_nothing=self.from_nothing))

    def _pairs(
        self, differences: Iterable[Difference], under_way: dict[tuple[str, str], Difference]
    ) -> Iterator[tuple[str, str]]:
        for difference in differences:
            if self._hosts.is_active(difference.host):
                under_way[difference.host, difference.name] = difference
                yield difference.host, difference.name


def _split_firsts(differences: Sequence[Difference]) -> tuple[list[Difference], list[Difference]]:
    """Return the first file of each directory, and the others: it makes the directory, for which they would all fail."""
    seen: set[tuple[str, str]] = set()
    firsts: list[Difference] = []
    others: list[Difference] = []
    for difference in differences:
        directory = difference.host, difference.name.rpartition("/")[0]
        (others if directory in seen else firsts).append(difference)
        seen.add(directory)
    return firsts, others
