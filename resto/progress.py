"""How commands show that they are at work."""

import sys
import threading
from typing import Any

from tqdm import tqdm


__all__ = ["ProgressBar"]


class ProgressBar(tqdm):  # type: ignore[type-arg]  # it counts, and iterates over nothing
    """A progress bar on the standard error, if that is a terminal; without the thread that would look after it.

    Args:
        what: What is done.
        hidden: Whether nothing is shown anyway.
    """

    monitor_interval = 0

    def __init__(self, what: str, *, hidden: bool = False, **options: Any) -> None:
        super().__init__(desc=what, unit=" files", file=sys.stderr, disable=True if hidden else None, **options)


# Else there would be one for several processes, which takes longer to make than a small comparison.
ProgressBar.set_lock(threading.RLock())
