"""How far something is that takes a while."""

from dataclasses import dataclass


__all__ = ["Progress"]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far something is, from its beginning.

    Attributes:
        done: Names that were dealt with.
        total: Of how many; None if that is not known.
        sent_bytes: Bytes that were sent to hosts, or fetched from them.
        total_bytes: Of how many; None if that is not known.
        is_final: Whether there can be no more of them: a comparison learns of them as it goes.
    """

    done: int
    total: int | None = None
    sent_bytes: int = 0
    total_bytes: int | None = None
    is_final: bool = False
