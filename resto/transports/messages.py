"""Requests and responses as values. Protocol knowledge lives in *steps*: generators that yield requests and get responses.

Nothing here or in a step touches the network; a wire (`resto.transports.wire`) moves the bytes.
"""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from email.message import Message
from functools import partial
from typing import Protocol, TypeVar, Union

from resto.outcomes import Arrival, Begun
from resto.transports.bodies import Body


__all__ = ["NoAnswerError", "Request", "Response", "Sent", "Steps", "Stream", "Wire", "begin_steps", "run_steps"]

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
    """

    method: str
    target: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Body | None = None
    stream: bool = False
    idempotent: bool = True
    delay: float = 0


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
    """

    status: int
    reason: str
    headers: Message | Mapping[str, str]
    stream: Stream | None = None


Steps = Generator[Request, Response, T]


class NoAnswerError(Exception):
    """A wire got no answer.

    Args:
        problem: What happened, a sentence fragment.
        ambiguous: Whether the host may have carried out the request all the same.
    """

    def __init__(self, problem: str, *, ambiguous: bool) -> None:
        super().__init__(problem)
        self.problem = problem
        self.ambiguous = ambiguous


@dataclass(slots=True)  # not frozen: there are several of each action, and that would double their time
class Sent:
    """A request that is on its way.

    Attributes:
        receive: Waits for the answer and returns it, or raises `NoAnswerError`. Returns itself as it is now if there was
            more to send.
        arrival: When it need not wait; None if nothing is sent yet.
    """

    receive: Callable[[], Union[Response, "Sent"]]
    arrival: Arrival | None


class Wire(Protocol):
    """Moves requests and responses between this machine and hosts."""

    def send(self, request: Request) -> Response:
        """Send a request and return the answer, or raise `NoAnswerError`."""

    def begin(self, request: Request) -> Sent | None:
        """Send a request without waiting, if that is possible at once; None if nothing was sent."""

    def close(self) -> None:
        """Close idle connections."""


def run_steps(steps: Steps[T], wire: Wire) -> T:
    """Carry out steps, one request after another, and return what they return."""
    try:
        request = next(steps)
        while True:
            request = _proceed(steps, partial(wire.send, request))
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]  # what the generator returns is a T


def begin_steps(steps: Steps[T], wire: Wire) -> Begun[T] | None:
    """Begin to carry out steps, if the first request can be sent without waiting; if not, nothing is done."""
    sent = wire.begin(next(steps))
    if sent is None:
        steps.close()
        return None
    return _begun(steps, wire, sent)


def _begun(steps: Steps[T], wire: Wire, sent: Sent) -> Begun[T]:
    def resume() -> "T | Begun[T]":  # quoted: it would be evaluated for each action
        answer: Response | Sent | Exception
        try:
            answer = sent.receive()
        except Exception as error:  # noqa: BLE001 - the steps decide what a failure means
            answer = error
        if isinstance(answer, Sent):
            return _begun(steps, wire, answer)
        try:
            return _begun(steps, wire, _send_next(steps, wire, _told(steps, answer)))
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]  # as above

    return Begun(resume, sent.arrival, sent.arrival is not None)


def _send_next(steps: Steps[T], wire: Wire, request: Request) -> Sent:
    """Send the next request of steps, at once if that is possible."""
    while True:
        try:
            return wire.begin(request) or Sent(partial(wire.send, request), None)
        except Exception as error:  # noqa: BLE001 - the steps decide what a failure means
            request = steps.throw(error)


def _proceed(steps: Steps[T], receive: Callable[[], Response]) -> Request:
    """Give the steps the answer that they wait for, and return their next request."""
    try:
        answer: Response | Exception = receive()
    except Exception as error:  # noqa: BLE001 - as above
        answer = error
    return _told(steps, answer)


def _told(steps: Steps[T], answer: Response | Exception) -> Request:
    return steps.throw(answer) if isinstance(answer, Exception) else steps.send(answer)
