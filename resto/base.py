"""Where jobs that 0.1 has put into queues find what makes their storage again; goes with 0.3."""

from resto.storage import rebuild as _rebuild


__all__ = ["_rebuild"]
