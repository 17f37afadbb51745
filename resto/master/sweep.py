"""Temporary files that killed processes have left."""

import time
from collections.abc import Callable

from resto.master.root import Root
from resto.names import is_left_over


__all__ = ["ABANDONED_AFTER", "Sweep", "sweep_all"]

# Seconds since the last write to a temporary file after which whoever wrote it must be gone.
ABANDONED_AFTER = 24 * 60 * 60

# In how many directories a process remembers to have looked.
_MAX_SWEPT = 10_000


class Sweep:
    """Removes what killed processes have left in a directory, when this process first writes there."""

    def __init__(self) -> None:
        self._swept: set[str] = set()

    def of(self, root: Root, directory: str) -> None:
        """Look in a directory, unless that was done.

        Args:
            root: The directory of the master copy.
            directory: A name below it.
        """
        if directory in self._swept:
            return
        if len(self._swept) >= _MAX_SWEPT:
            self._swept.clear()
        self._swept.add(directory)
        _sweep(root, directory)


def sweep_all(root: Root, check: Callable[[], object]) -> None:
    """Remove what killed processes have left in all directories, also where nobody writes any more.

    Args:
        root: The directory of the master copy.
        check: Called for each directory; raises if this is to be stopped.
    """
    waiting = [""]
    while waiting:
        check()
        directory = waiting.pop()
        _sweep(root, directory)
        waiting += root.directories(directory)


def _sweep(root: Root, directory: str) -> None:
    root.remove_older(directory, is_left_over, time.time() - ABANDONED_AFTER)
