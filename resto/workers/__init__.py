"""What the workers of task queues do: they get names, and make hosts equal to the master copy."""

from resto.workers.jobs import Done, perform


__all__ = ["Done", "perform"]
