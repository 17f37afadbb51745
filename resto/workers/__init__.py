"""What the workers of task queues do: they get names, and make hosts equal to the master copy."""

from resto.workers.jobs import perform


__all__ = ["perform"]
