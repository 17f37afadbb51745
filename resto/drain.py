"""Where schedules that were made with 0.1 find the drain, and queues its results; goes with 0.3."""

from resto.repair.drain import Drained, drain


__all__ = ["Drained", "drain"]
