"""The clock by which hosts are waited for: it goes on where a test of a site has stopped those of `time`, as freezegun does."""

import time


__all__ = ["monotonic"]

_KIND = time.CLOCK_MONOTONIC


def monotonic() -> float:
    """Return seconds since some moment; never less than before."""
    return time.clock_gettime(_KIND)
