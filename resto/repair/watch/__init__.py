"""What a process that stays does beside draining: comparisons when they are due, and what was asked for on the page of hosts.

Both are claimed in the record, so that of several processes one does it, and done in threads of their own, so that draining goes on.
Look first at `attendant`.
"""

from resto.repair.watch.attendant import Attendant
from resto.repair.watch.schedule import DAY, Schedule


__all__ = ["DAY", "Attendant", "Schedule"]
