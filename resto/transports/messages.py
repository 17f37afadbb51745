"""Requests and responses as values. Protocol knowledge lives in *steps*: generators that yield requests and get responses.

Nothing here or in a step touches the network; a wire (`resto.transports.wire`) moves the bytes.
"""

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from email.message import Message
from typing import Any, Protocol, TypeVar

from resto.courses import Course
from resto.transports.bodies import Body


__all__ = ["NoAnswerError", "Request", "Response", "Steps", "Stream", "Wire", "run_steps"]

T = TypeVar("T")


@dataclass(slots=True)  # not frozen: there are several of each action, and that would double their time
class Request:
    """An HTTP request to one host.

    Attributes:
        method: Such as ``"PUT"``.
        target: Percent-encoded path, absolute.
        headers: Besides Host, Content-Length and those of authentication, which are the wire's.
        body: What to send; None for no body.
        stream: Whether the answer's body is wanted, as a stream.
        idempotent: Whether the request may be sent again when a kept-alive connection turns out to be closed.
        delay: Seconds to wait before sending.
        is_fresh: Whether to send it over a new connection.
        is_announced: Whether the host is asked before a large body is sent (``Expect: 100-continue``).
        followed_by: What will be asked next if this succeeds; a wire may send it right behind the body, over the same connection.
    """

    method: str
    target: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Body | None = None
    stream: bool = False
    idempotent: bool = True
    delay: float = 0
    is_fresh: bool = False
    is_announced: bool = True
    followed_by: "Request | None" = None


class Stream(Protocol):
    """The body of an answer."""

    def read(self, size: int = -1, /) -> bytes: ...
    def close(self) -> None: ...


@dataclass(slots=True)  # not frozen: there are several of each action, and that would double their time
class Response:
    """The answer to a request.

    Attributes:
        status: HTTP status code.
        reason: What the server says beside it.
        headers: Looked up without regard to case.
        stream: The body, if the request wanted it and the status is a success; else it was read and dropped.
        behind: What followed the request, if it is on its way; of a kind that the wire knows.
    """

    status: int
    reason: str
    headers: Message | Mapping[str, str]
    stream: Stream | None = None
    behind: Any = None


Steps = Generator[Request, Response, T]


class NoAnswerError(Exception):
    """A wire got no answer.

    Args:
        problem: What happened, a sentence fragment.
        ambiguous: Whether the host may have carried out the request all the same.
        is_late: Whether the answer was waited for, and did not come in time.
    """

    def __init__(self, problem: str, *, ambiguous: bool, is_late: bool = False) -> None:
        super().__init__(problem)
        self.problem = problem
        self.ambiguous = ambiguous
        self.is_late = is_late


class Wire(Protocol):
    """Moves requests and responses between this machine and hosts."""

    def exchange(self, request: Request) -> Course[Response]:
        """Send a request and return the answer, or raise `NoAnswerError`."""

    def close(self) -> None:
        """Close idle connections."""


def run_steps(steps: Steps[T], wire: Wire) -> Course[T]:
    """Carry out steps, one request after another, and return what they return."""
    try:
        request = next(steps)
        while True:
            try:
                response = yield from wire.exchange(request)
            except Exception as error:  # noqa: BLE001 - the steps decide what a failure means
                request = steps.throw(error)
            else:
                request = steps.send(response)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]  # what the generator returns is a T
