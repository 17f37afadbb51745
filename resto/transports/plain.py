"""Actions that are one request, to which a host gives one of the answers that are expected: nothing is out of the ordinary.

That is nearly every upload, deletion and question. They do without the steps (`resto.transports.steps`), their requests and
responses, which take several times as long. Whatever is out of the ordinary is for the steps, from where it was found.
"""

from collections.abc import Callable, Mapping
from typing import TypeVar

from resto.courses import Course
from resto.transports.acquaintance import Acquaintance
from resto.transports.answers import usual_answer
from resto.transports.begun import Begun
from resto.transports.connection import Connection
from resto.transports.messages import Request, Response, Wire
from resto.transports.steps import path_of
from resto.transports.wire import ConnectionWire


__all__ = ["PLAIN_SIZE", "GoingOn", "plainly"]

T = TypeVar("T")

# Bytes of the largest body that is sent without steps: they look whether a larger file was stored as a whole.
PLAIN_SIZE = 256 * 1024

_NO_HEADERS: Mapping[str, str] = {}


def plainly(
    wire: Wire,
    host: Acquaintance,
    name: str,
    method: str,
    meanings: Mapping[int, T],
    ordinary: Callable[[Begun[Connection] | None], Course[T]],
    headers: Mapping[str, str] = _NO_HEADERS,
    content: bytes | None = None,
) -> Course[T]:
    """Send a request over an idle connection, and return what the answer means.

    Without such a connection, or after another answer, it goes on as the ordinary course does, and sends nothing twice.

    Args:
        wire: Sends requests; without steps, if it has connections of its own, and no auth object has to see them.
        host: What is known of the host; an answer of which something is to be learned is not expected.
        name: The file's name.
        method: As for `Request`.
        meanings: The status of each answer that is expected -> what it means.
        ordinary: Returns the ordinary course, which begins with this request: with that which is on its way, if there is one.
        headers: As for `Request`.
        content: The body, if there is one, of up to `PLAIN_SIZE` bytes.
    """
    if host.product is None or not isinstance(wire, ConnectionWire) or not wire.is_ordinary:
        return (yield from ordinary(None))
    begun = wire.begin(method, wire.path + path_of(name), headers, content)
    if begun is None:
        return (yield from ordinary(None))
    status, server = 0, ""
    try:
        while not begun.has_head():
            yield begun.arrival()
        status, server = usual_answer(begun.heard, method)
    except Exception as error:  # noqa: BLE001 - whoever goes on with the request deals with it
        begun.error = error
    except BaseException:
        begun.connection.close()  # nobody waits for the answer any more
        raise
    if status not in meanings or not begun.is_sent or not host.knows(method, server):
        return (yield from ordinary(begun))
    wire.idle.give(begun.connection)
    return meanings[status]


class GoingOn:
    """A wire over which a request may be on its way before it is asked for.

    Args:
        wire: Sends the others.
        begun: The first one, if it is on its way.
    """

    def __init__(self, wire: ConnectionWire, begun: Begun[Connection] | None) -> None:
        self._wire = wire
        self._begun = begun

    def exchange(self, request: Request) -> Course[Response]:
        """Send a request and return the answer, or raise `NoAnswerError`: see `Wire`."""
        begun, self._begun = self._begun, None
        if begun is not None and begun.asked != (request.method, request.target):
            # What was known of the host has changed since, and with it what is asked first; or what was asked before has failed.
            begun.connection.close()
            begun = None
        response = yield from self._wire.exchange(request, begun)
        self._begun = response.behind
        return response

    def end(self) -> None:
        """Drop what is on its way: nobody has asked for it."""
        if self._begun is not None:
            self._begun.connection.close()

    def close(self) -> None:
        """Close idle connections."""
        self._wire.close()
