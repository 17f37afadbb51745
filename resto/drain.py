"""Where schedules that were made with 0.1 find the drain; goes with 0.3."""

from resto.repair.drain import drain


__all__ = ["drain"]
