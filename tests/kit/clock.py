"""A clock that only goes on when a test says so."""

import time


class Clock:
    """Tells the time in seconds, as `time.monotonic` does."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now

    def pass_(self, seconds):
        self.now += seconds


def stop_clock(patch, clock):
    """Let a clock tell for how long hosts are waited for: see `resto.clock`."""
    patch.setattr(time, "clock_gettime", lambda kind: clock())
