"""What happened to one action on one host."""

from dataclasses import dataclass
from typing import Any


__all__ = ["Outcome"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What happened to one action on one host.

    Attributes:
        action: ``"upload"``, ``"delete"``, ``"download"``, ``"exists"``, ``"size"``, ``"listdir"``, ...
        host: The host as it stands in the settings.
        name: The file's name.
        seconds: How long the action took, without the time that it waited for its turn.
        value: What the action returned; None if it failed.
        error: What went wrong; None if nothing did.
    """

    action: str
    host: str
    name: str
    seconds: float
    value: Any = None
    error: Exception | None = None

    @property
    def ok(self) -> bool:
        """Whether the action was carried out."""
        return self.error is None
