"""How commands show how far they are."""

import sys
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Protocol, Self, cast

from resto.background import HELPER
from resto.clock import monotonic
from resto.counts import amount_told
from resto.names import shown
from resto.progress import Progress
from resto.words.durations import duration


__all__ = ["ProgressBar"]

# Seconds between two lines where nobody watches a bar.
LINE_INTERVAL = 60.0

# Seconds between two looks whether it is time for a line, or for a bar to show how long it has taken.
TICK = 1.0


class ProgressBar:
    """How far something is, on the standard error: a bar on a terminal, and a line each minute elsewhere.

    Args:
        what: What is done.
        things: What it is done to, in the plural.
        moved: What became of the bytes.
        hidden: Whether nothing is shown.
        leave: Whether a bar stays at the end.
    """

    def __init__(
        self, what: str, *, things: str = "files", moved: str = "sent", hidden: bool = False, leave: bool = False
    ) -> None:
        words = _Words(things, moved)
        self._shown: _Shown | None = None
        if not hidden:
            self._shown = _Bar(what, words, leave=leave) if sys.stderr.isatty() else _Lines(what, words)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._shown is not None:
            self._shown.close()

    def follow(self, progress: Progress) -> None:
        """Show how far it is by now."""
        if self._shown is not None:
            self._shown.follow(progress)

    def beside(self) -> AbstractContextManager[None]:
        """Take a bar away while something else is written."""
        return nullcontext() if self._shown is None else self._shown.beside()


class _Shown(Protocol):
    @property
    def close(self) -> Callable[[], None]: ...

    def follow(self, progress: Progress) -> None: ...

    def beside(self) -> AbstractContextManager[None]: ...


@dataclass(frozen=True, slots=True)
class _Words:
    things: str
    moved: str

    def of(self, progress: Progress) -> str:
        """Return how far something is; that the total may grow is said."""
        count = f"{progress.done:,}"
        if progress.total is not None:
            count += f" of {progress.total:,}"
        count += f" {self.things}"
        if progress.total is not None and not progress.is_final:
            count += " so far"
        return f"{count}, {amount_told(progress.sent_bytes)} {self.moved}" if progress.sent_bytes else count


class _Lines:
    """For logs, and the mails of timers."""

    def __init__(self, what: str, words: _Words) -> None:
        self._what = what
        self._words = words
        self._said = monotonic()
        self._before = self._now = Progress(0)
        self._lock = threading.Lock()
        # Nobody is told anything while a single file is on its way.
        self.close = HELPER.every(TICK, self._say_in_time)

    def follow(self, progress: Progress) -> None:
        self._now = progress
        self._say_in_time()

    def _say_in_time(self) -> None:
        with self._lock:
            now, seconds = self._now, monotonic() - self._said
            if seconds < LINE_INTERVAL:
                return
            left = _seconds_left(now, self._before, seconds)
            ending = "" if left is None else f", {duration(left)} left"
            sys.stderr.write(shown(f"{self._what}: {self._words.of(now)}{ending}") + "\n")
            sys.stderr.flush()
            self._said += seconds
            self._before = now

    def beside(self) -> AbstractContextManager[None]:
        return nullcontext()


def _seconds_left(progress: Progress, before: Progress, seconds: float) -> float | None:
    """Return how long it will take if it goes on as it did since; None if that cannot be told.

    Files that only have to be looked at are dealt with fast: what is to be sent then tells better how long it takes.
    """
    if not progress.is_final or progress.total is None:
        return None
    names = progress.done - before.done, progress.total - progress.done
    sent = progress.sent_bytes - before.sent_bytes, (progress.total_bytes or 0) - progress.sent_bytes
    waiting = [(did, left) for did, left in (names, sent) if left > 0]
    if any(did <= 0 for did, _ in waiting):
        return None
    return max((left * seconds / did for did, left in waiting), default=0.0)


class _Bar:
    """For those who watch."""

    def __init__(self, what: str, words: _Words, *, leave: bool) -> None:
        self._bar = _bar(what, words, leave=leave)
        self._end = HELPER.every(TICK, self._bar.refresh)

    def follow(self, progress: Progress) -> None:
        self._bar.progress = progress
        self._bar.total = progress.total
        self._bar.update(progress.done - self._bar.n)

    def beside(self) -> AbstractContextManager[None]:
        return cast("AbstractContextManager[None]", self._bar.external_write_mode(sys.stdout))

    def close(self) -> None:
        self._end()
        self._bar.close()


def _bar(what: str, words: _Words, *, leave: bool) -> Any:
    from tqdm import tqdm  # only for those who see it: this takes as long as the comparison of hundreds of files

    class Bar(tqdm):  # type: ignore[type-arg]  # it counts, and iterates over nothing
        monitor_interval = 0  # no thread that would look after it
        progress = Progress(0)

        @property
        def format_dict(self) -> dict[str, Any]:
            known = super().format_dict
            is_final = self.progress.is_final and self.progress.total is not None
            rate = known["rate"] or (known["n"] / known["elapsed"] if known["elapsed"] else 0)
            return {
                **known,
                "bar_format": _FORMAT if is_final else _FORMAT_SO_FAR,
                "far": words.of(self.progress),
                "pace": f"{rate:,.0f}" if rate >= 10 else f"{rate:.1f}",
            }

    # Else there would be one for several processes, which takes longer to make than a small comparison.
    Bar.set_lock(threading.RLock())
    # Without `miniters`, it would wait for as many more as it has dealt with at once before.
    return Bar(desc=shown(what), file=sys.stderr, leave=leave, miniters=0, dynamic_ncols=True)


_FORMAT = "{desc}: {percentage:.0f}%|{bar}| {far} [{elapsed}<{remaining}, {pace}/s]"
_FORMAT_SO_FAR = "{desc}: |{bar}| {far} [{elapsed}, {pace}/s]"
