"""What takes long is done aside, in threads of its own, so that draining goes on."""

import threading
from collections.abc import Callable

from resto.clock import monotonic
from resto.record.closing import close_all


__all__ = ["Aside"]


class Aside:
    """Does one thing at a time in a thread.

    It is stopped as Ctrl-C stops a command, by a `KeyboardInterrupt`, but only where it checks whether it is to go on.

    Args:
        name: Of the thread.
        tell: Told what an error says that the thing has raised.
    """

    def __init__(self, name: str, tell: Callable[[str], object]) -> None:
        self._name = name
        self._tell = tell
        self._thread: threading.Thread | None = None
        self._is_stopped = threading.Event()

    @property
    def is_busy(self) -> bool:
        """Whether something is being done."""
        return self._thread is not None and self._thread.is_alive()

    def begin(self, call: Callable[[Callable[[], None]], object]) -> None:
        """Begin something, and do not wait.

        Args:
            call: What to do; is given what it is to call now and then, which raises when it is to stop.
        """
        self._thread = threading.Thread(target=self._work, args=(call,), name=self._name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Let what is being done stop where it checks."""
        self._is_stopped.set()

    def join(self, deadline: float) -> None:
        """Wait for the end of what is being done.

        Args:
            deadline: Until then at most, by `resto.clock.monotonic`.
        """
        if self._thread is not None:
            self._thread.join(max(0.0, deadline - monotonic()))

    def _work(self, call: Callable[[Callable[[], None]], object]) -> None:
        try:
            call(self._check)
        except KeyboardInterrupt:
            pass
        except Exception as error:  # noqa: BLE001 - whatever the database or a plugin raises: the process stays
            self._tell(str(error))
        finally:
            close_all()

    def _check(self) -> None:
        if self._is_stopped.is_set():
            raise KeyboardInterrupt
