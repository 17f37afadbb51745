"""What happened, or is about to happen, to one action on one host."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, Union


__all__ = ["Arrival", "Begun", "Outcome"]

T = TypeVar("T")
U = TypeVar("U")


@dataclass(slots=True)  # not frozen: there are several of each action, and that would double their time
class Arrival:
    """How to notice that an action can go on, without trying it.

    Attributes:
        descriptor: Becomes readable when the answer, or the end of the connection, arrives.
        deadline: When to stop waiting for it, by `time.monotonic`.
        takes_more: Whether the action can also go on when the descriptor becomes writable: there is more to send.
    """

    descriptor: int
    deadline: float
    takes_more: bool = False


@dataclass(slots=True)  # not frozen: there are several of each action, and that would double their time
class Begun(Generic[T]):
    """An action whose request is on its way, and that nobody waits for yet.

    Whoever has to do with several hosts can so send to all of them before waiting for any, without threads.

    Attributes:
        resume: Waits for the answer, within the time that the host had since the request was sent. Returns the result of
            the action; or a `Begun` if there is more to do, such as another request, which is on its way then. Raises if
            the action failed.
        arrival: When `resume` need not wait; None if that cannot be known.
        is_sent: Whether a request is on its way. If not, `resume` sends the next one, and whoever has others under way
            leaves that to a thread: it may have to connect first.
    """

    resume: Callable[[], Union[T, "Begun[T]"]]
    arrival: Arrival | None = None
    is_sent: bool = True

    def then(self, function: Callable[[T], U]) -> "Begun[U]":
        """Return the same action, with its result passed through a function."""

        def resume() -> "U | Begun[U]":  # quoted: it would be evaluated for each action
            result = self.resume()
            return result.then(function) if isinstance(result, Begun) else function(result)

        return Begun(resume, self.arrival, self.is_sent)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What happened to one action on one host.

    Attributes:
        action: ``"upload"``, ``"delete"``, ``"download"``, ``"exists"``, ``"size"``, ``"listdir"``, ...
        host: The host as it stands in the settings.
        name: The file's name.
        seconds: How long the action took, without the time that it waited for its turn.
        value: What the action returned; None if it failed.
        error: What went wrong; None if nothing did.
    """

    action: str
    host: str
    name: str
    seconds: float
    value: Any = None
    error: Exception | None = None

    @property
    def ok(self) -> bool:
        """Whether the action was carried out."""
        return self.error is None
