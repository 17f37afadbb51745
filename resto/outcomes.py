"""What happened to one action on one host."""

from dataclasses import dataclass, fields
from typing import Any


__all__ = ["Outcome"]


@dataclass(frozen=True, slots=True, init=False)
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

    def __init__(
        self,
        action: str,
        host: str,
        name: str,
        seconds: float,
        value: Any = None,
        error: Exception | None = None,
    ) -> None:
        # There is one for each host, and what a frozen dataclass does takes three times as long.
        _set_action(self, action)
        _set_host(self, host)
        _set_name(self, name)
        _set_seconds(self, seconds)
        _set_value(self, value)
        _set_error(self, error)

    @property
    def ok(self) -> bool:
        """Whether the action was carried out."""
        return self.error is None


_set_action, _set_host, _set_name, _set_seconds, _set_value, _set_error = (
    vars(Outcome)[field.name].__set__ for field in fields(Outcome)
)
