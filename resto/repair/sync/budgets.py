"""How many files a comparison may remove from each host."""

from collections.abc import Iterable

from resto.counts import counted
from resto.repair.sync.report import HostReport


__all__ = ["Budgets"]


class Budgets:
    """How many files may yet be removed from each host: none at first.

    Args:
        hosts: As they stand in the settings.
    """

    def __init__(self, hosts: Iterable[str]) -> None:
        self._left: dict[str, float] = dict.fromkeys(hosts, 0)

    def lift(self) -> None:
        """Let however many be removed."""
        self._left = dict.fromkeys(self._left, float("inf"))

    def set(self, report: HostReport, held: int, extra: int, most: float) -> None:
        """Let a host's extra files be removed, or none, and say so, if they are more than a share of its files.

        Args:
            report: Of the host.
            held: How many files it has.
            extra: How many of them only it has.
            most: The share, a percentage.
        """
        allowed = held * most / 100
        if extra <= allowed:
            self._left[report.host] = allowed
        else:
            report.problems.append(
                f"{extra} of its {counted(held, 'file')} would be removed, which is more than {most:g} %: none is, unless forced"
            )

    def take(self, host: str) -> bool:
        """Return whether one more file may be removed from a host; it counts as removed then."""
        if self._left[host] < 1:
            return False
        self._left[host] -= 1
        return True
