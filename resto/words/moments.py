"""How people are told when something was."""

from datetime import UTC, datetime

from django.utils import timezone


__all__ = ["moment", "moment_of"]


def moment(when: datetime) -> str:
    """Return a moment in the time zone of the site."""
    return f"{when.astimezone(timezone.get_current_timezone()):%Y-%m-%d %H:%M:%S %Z}"


def moment_of(seconds: float | None) -> str:
    """Return the same of seconds since the epoch; empty if there are none."""
    return "" if seconds is None else moment(datetime.fromtimestamp(seconds, UTC))
