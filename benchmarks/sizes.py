"""How much is measured."""

from dataclasses import dataclass


__all__ = ["QUICK", "Sizes"]


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How often, and how much of everything. The fields are options of the command line.

    Attributes:
        saves: Small saves by each rival.
        rounds: Of what takes seconds.
        megabytes: Of the large file.
        files: Of the full comparison.
        restored: Files that are brought back to a master copy.
        handed: Files that a comparison has handed over, for each host.
        pending: Rows of a long backlog.
        queued: Saves that the workers of a queue replicate.
        workers: Kinds of workers, quick ones first.
        distant: Small saves by each rival over each line.
        pause: Seconds of a pause, after which connections may have been closed.
        copied: Files that are copied over a line.
        compared: Files of the largest comparison.
        timeout: Seconds that a silent host is waited for.
    """

    saves: int = 400
    rounds: int = 5
    megabytes: int = 1_000
    files: int = 10_000
    restored: int = 5_000
    handed: int = 2_000
    pending: int = 1_000_000
    queued: int = 300
    workers: int = 8
    distant: int = 40
    pause: float = 60.0
    copied: int = 2_000
    compared: int = 300_000
    timeout: float = 2.0


# To see that everything still runs; the figures mean nothing.
QUICK = Sizes(
    saves=2,
    rounds=1,
    megabytes=2,
    files=20,
    restored=20,
    handed=40,
    pending=2_000,
    queued=3,
    workers=2,
    distant=1,
    pause=0.1,
    copied=20,
    compared=300,
    timeout=0.2,
)
