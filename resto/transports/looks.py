"""The steps of questions about one file: HEAD is asked, and where it does not tell, PROPFIND, or the head of the answer to GET.

Apache before a program leaves the size of any file out of its answers to HEAD; others give none, or claim that it is 0.
"""

from contextlib import suppress
from datetime import UTC, datetime, timedelta

from resto.counts import counted
from resto.exceptions import RemoteDirectoryError, TransportError
from resto.names import temporary_name
from resto.transports import steps
from resto.transports.bodies import Body
from resto.transports.messages import NoAnswerError, Request, Response, Steps
from resto.transports.properties import PROPFIND_FILE_BODY, Properties, properties_of
from resto.transports.steps import Action


__all__ = ["age", "ask_properties", "cut_off", "modified_time", "settle", "size", "stored_size", "was_stored"]


def size(action: Action, *, has_propfind: bool) -> Steps[int]:
    """Return the size of the file, in bytes.

    Args:
        action: About which file.
        has_propfind: Whether the host may be asked by PROPFIND.
    """
    told = steps.expect_file(action, (yield Request("HEAD", action.target)), "HEAD")
    claimed = steps.content_length(told)
    try:
        length = claimed or (yield from _measured(action, action.target, claimed, has_propfind=has_propfind))
    except RemoteDirectoryError:
        raise action.missing() from None
    if length is None:
        others = "nor do PROPFIND and GET" if has_propfind else "nor does GET"
        raise action.failed(f"HEAD does not say how large the file is, {others}")
    return length


def modified_time(action: Action, *, has_propfind: bool) -> Steps[datetime]:
    """Return when the file was last modified.

    Args:
        action: As for `size`.
        has_propfind: As for `size`.
    """
    moment, _ = yield from _dated(action, has_propfind=has_propfind)
    return moment


def age(action: Action, *, has_propfind: bool) -> Steps[timedelta]:
    """Return how long ago the file was last modified, by the clock of the host, as far as it tells (RFC 9110, section 6.6.1).

    Args:
        action: As for `size`.
        has_propfind: As for `size`.
    """
    moment, told = yield from _dated(action, has_propfind=has_propfind)
    return (steps.parse_http_date(told.headers.get("Date")) or datetime.now(UTC)) - moment


def _dated(action: Action, *, has_propfind: bool) -> Steps[tuple[datetime, Response]]:
    """Return when the file was last modified, and the answer to HEAD."""
    told = steps.expect_file(action, (yield Request("HEAD", action.target)), "HEAD")
    moment = steps.parse_http_date(told.headers.get("Last-Modified"))
    if moment is None and has_propfind:
        _, properties = yield from ask_properties(action.target)
        moment = None if properties is None else properties.modified
    if moment is None:
        others = ", nor does PROPFIND" if has_propfind else "; the transport 'webdav' can ask by PROPFIND"
        raise action.failed(f"HEAD does not say when the file was modified{others}")
    return moment, told


def settle(action: Action, response: Response, body: Body, *, has_propfind: bool = True) -> Steps[bool]:
    """Return whether a PUT replaced a file; raise if it did not store it, or not the whole of a large one.

    Args:
        action: As for `size`.
        response: To the PUT.
        body: What was to be stored.
        has_propfind: As for `size`.
    """
    existed = yield from was_stored(action, action.target, response, body, has_propfind=has_propfind)
    if body.size > steps.VERIFY_SIZE and response.status != 200:
        yield from _verify(action, body, has_propfind=has_propfind)
    return existed


def was_stored(
    action: Action, target: str, response: Response, body: Body, *, has_propfind: bool = True
) -> Steps[bool]:
    """Return whether a PUT replaced a file; raise if it did not store it.

    Some servers say 200 when they replace one (RFC 9110, section 9.3.4). As others say so of whatever they are asked, it proves
    nothing: the host must have a file of this size, and not have what nobody has put there.

    Args:
        action: What was done.
        target: The request target of the file.
        response: To the PUT.
        body: What was to be stored.
        has_propfind: As for `size`.
    """
    if response.status != 200:
        return steps.was_stored(action, response)
    told = yield Request("HEAD", target)
    if told.status in steps.ABSENT:
        raise action.failed("it said 200 to PUT, but does not have the file")
    stored = yield from stored_size(action, target, told, body.size, has_propfind=has_propfind)
    nothing = yield Request("HEAD", action.target_of(temporary_name(action.name)))
    if nothing.status not in steps.ABSENT:
        raise action.unexpected(response, "PUT")
    if stored != body.size:
        raise cut_off(action, told, stored, body.size)
    return True


def _verify(action: Action, body: Body, *, has_propfind: bool) -> Steps[None]:
    """Make sure that a file which was just stored has its full size, where the server tells."""
    try:
        told = yield Request("HEAD", action.target)
    except NoAnswerError:
        return  # it has said that the file is stored
    if told.status in steps.ABSENT:
        raise action.failed("it said that the file is stored, but does not have it")
    stored = yield from stored_size(action, action.target, told, body.size, has_propfind=has_propfind)
    if stored != body.size and not (stored is None and told.status == 200):
        raise cut_off(action, told, stored, body.size)


def stored_size(
    action: Action, target: str, told: Response, expected: int, *, has_propfind: bool = True
) -> Steps[int | None]:
    """Return how many bytes a host has of a file that was stored there; None if it does not tell.

    Args:
        action: What was done.
        target: The request target of the file.
        told: The answer to HEAD.
        expected: How many it should have.
        has_propfind: As for `size`.

    Raises:
        RemoteDirectoryError: A directory is there.
    """
    claimed = steps.content_length(told) if told.status == 200 else None
    if claimed or claimed == expected:
        return claimed
    return (yield from _measured(action, target, claimed, has_propfind=has_propfind))


def cut_off(action: Action, told: Response, stored: int | None, expected: int) -> TransportError:
    """Return the error for a file that was not stored as a whole, or that nobody knows of.

    Args:
        action: What was done.
        told: The answer to HEAD.
        stored: What `stored_size` has returned.
        expected: How many bytes it should have.
    """
    if stored is not None:
        return action.failed(f"it stored {stored:,} of {counted(expected, 'byte')}")
    why = "HEAD says no size" if told.status == 200 else f"HEAD was answered {told.status}"
    return action.failed(f"it is not certain that it stored the whole file: {why}, and nothing else tells")


def ask_properties(target: str, wanted: bytes = PROPFIND_FILE_BODY) -> Steps[tuple[Response, Properties | None]]:
    """Ask by PROPFIND what something is; return the answer, and what it says.

    Args:
        target: The request target.
        wanted: The body of the request.
    """
    headers = {"Depth": "0", "Content-Type": "application/xml"}
    response = yield Request("PROPFIND", target, headers, Body(wanted), stream=True)
    return response, properties_of(response)


def _measured(action: Action, target: str, claimed: int | None, *, has_propfind: bool) -> Steps[int | None]:
    """Return the size that something else tells where HEAD tells none, or claims that it is 0.

    Raises:
        RemoteDirectoryError: A directory is there.
    """
    if has_propfind:
        _, properties = yield from ask_properties(target)
        if properties is not None and properties.is_collection:
            raise action.directory()
        if properties is not None and properties.size is not None:
            return properties.size
    # The size of the whole file stands beside its first byte (RFC 9110, section 14.4).
    response = yield Request("GET", target, {"Range": "bytes=0-0"}, stream=True)
    try:
        return _length_of(response, claimed)
    finally:
        steps.close_stream(response)


def _length_of(response: Response, claimed: int | None) -> int | None:
    """Return the size of a file, as the answer to a GET of its first byte tells it, and else what HEAD claims; None if neither does."""
    if response.status == 206:
        first = None
        if response.stream is not None:
            with suppress(NoAnswerError):
                first = response.stream.read(1)  # also so that the connection is of further use
        total = steps.natural((response.headers.get("Content-Range") or "").rpartition("/")[2])
        # What has a first byte is not empty, whatever HEAD claims.
        return claimed if total is None and first == b"" else total
    if response.status == 416:
        return 0  # it has no first byte
    if response.status != 200 or response.stream is None:
        return claimed
    length = steps.content_length(response)
    if length is None and steps.is_chunked(response) and not response.stream.read(1):
        return 0
    return claimed if length is None else length
