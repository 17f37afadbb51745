"""When a comparison is due."""

from dataclasses import dataclass
from datetime import datetime, time, timedelta, tzinfo

from django.utils.timezone import get_default_timezone


__all__ = ["DAY", "Schedule"]

DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class Schedule:
    """How often something is done, and at what time of the day. Times are seconds since the epoch.

    Attributes:
        every: Seconds from the end of one to the next; a day at least if there is a time of the day.
        at: The time of the day, in the time zone of the site; None for any.
    """

    every: float
    at: time | None = None

    def due(self, ended: float | None, since: float) -> float:
        """Return when the next one is due.

        With a time of the day that is the one nearest to when it would be due otherwise: what takes an hour each night would
        begin an hour later each night.

        Args:
            ended: When the last one has ended; None if there was none.
            since: Since when somebody is there who would have begun one.
        """
        if self.at is None:
            return since if ended is None else ended + self.every
        if ended is None:
            return min(moment for moment in self._moments(since) if moment >= since)
        wanted = ended + self.every
        return min(self._moments(wanted), key=lambda moment: abs(moment - wanted))

    def _moments(self, around: float) -> list[float]:
        """Return when it is that time of the day, on the days around a moment."""
        zone: tzinfo = get_default_timezone()
        day = datetime.fromtimestamp(around, zone).date()
        days = [day + timedelta(days=number) for number in (-1, 0, 1, 2)]
        return [datetime.combine(one, self.at or time(), zone).timestamp() for one in days]
