"""What was measured: spreads of figures, by work and rival."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self


__all__ = [
    "CPU",
    "CPU_SECONDS",
    "MEMORY",
    "MICROSECONDS",
    "RATES",
    "REPLICATIONS",
    "ROUND_TRIPS",
    "SAVES",
    "SECONDS",
    "WALL",
    "Row",
    "Spread",
    "by_work",
]

WALL, CPU = "wall ms", "CPU ms"
SECONDS, CPU_SECONDS = "wall s", "CPU s"
ROUND_TRIPS, MICROSECONDS = "round trips", "us a file"
MEMORY = "memory growth MB"
SAVES, REPLICATIONS = "saves/s", "replications/s"
RATES = {SAVES, REPLICATIONS}  # better when larger


@dataclass(frozen=True)
class Spread:
    """The median of some samples, and the quartiles on both sides."""

    median: float
    low: float
    high: float
    samples: int

    @classmethod
    def of(cls, samples: Sequence[float]) -> Self:
        quartiles = statistics.quantiles(samples, n=4, method="inclusive") if len(samples) > 1 else [*samples] * 3
        low, median, high = (float(f"{value:.6g}") for value in quartiles)
        return cls(median, low, high, len(samples))

    def divided_by(self, number: float) -> Self:
        return replace(self, median=self.median / number, low=self.low / number, high=self.high / number)


@dataclass(frozen=True)
class Row:
    """What one rival needs for one work.

    Attributes:
        work: What is done. Rows of the same work were measured in turn, and may be compared.
        rival: Who does it.
        figures: Name of a figure, with its unit, to the spread of its samples.
    """

    work: str
    rival: str
    figures: Mapping[str, Spread]

    @classmethod
    def of(cls, work: str, rival: str, samples: Mapping[str, Sequence[float]]) -> Self:
        return cls(work, rival, {figure: Spread.of(values) for figure, values in samples.items()})

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        return cls(data["work"], data["rival"], {name: Spread(**spread) for name, spread in data["figures"].items()})


def by_work(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """Sort rows by their work; both stay in their order."""
    works: dict[str, list[Row]] = {}
    for row in rows:
        works.setdefault(row.work, []).append(row)
    return works
