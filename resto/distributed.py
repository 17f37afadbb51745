"""Where jobs that 0.1 has put into queues find their storage; goes with 0.3."""

from resto.storage import DistributedStorage


__all__ = ["DistributedStorage"]
