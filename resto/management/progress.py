"""How commands show that they are at work."""

import sys
import threading
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Self, cast

from resto.progress import Progress


__all__ = ["ProgressBar"]


class ProgressBar:
    """A progress bar on the standard error, if that is a terminal.

    Args:
        what: What is done.
        hidden: Whether nothing is shown anyway.
        leave: Whether it stays at the end.
    """

    def __init__(self, what: str, *, hidden: bool = False, leave: bool = True) -> None:
        self._bar = None if hidden or not sys.stderr.isatty() else _bar(what, leave=leave)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def update(self, number: int) -> None:
        """Show that so many more files have been dealt with."""
        if self._bar is not None:
            self._bar.update(number)

    def expect(self, number: int) -> None:
        """Show that there are so many files in all, as far as is known by now."""
        if self._bar is not None:
            self._bar.total = number

    def follow(self, progress: Progress) -> None:
        """Show how far something is.

        Args:
            progress: From its beginning.
        """
        if self._bar is not None:
            self._bar.total = progress.total
            self._bar.update(progress.done - self._bar.n)

    def beside(self) -> AbstractContextManager[None]:
        """Take the bar away while something else is written."""
        if self._bar is None:
            return nullcontext()
        return cast("AbstractContextManager[None]", self._bar.external_write_mode(sys.stdout))


def _bar(what: str, *, leave: bool) -> Any:
    from tqdm import tqdm  # only for those who see it: this takes as long as the comparison of hundreds of files

    class Bar(tqdm):  # type: ignore[type-arg]  # it counts, and iterates over nothing
        monitor_interval = 0  # no thread that would look after it

    # Else there would be one for several processes, which takes longer to make than a small comparison.
    Bar.set_lock(threading.RLock())
    return Bar(desc=what, unit=" files", file=sys.stderr, leave=leave)
