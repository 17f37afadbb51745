"""The transport over WebDAV (RFC 4918): makes collections on demand, lists, and publishes uploads whole."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TypeVar, Unpack

from resto.courses import finish
from resto.exceptions import ConfigurationError, TransportError, UnexpectedStatusCode
from resto.names import temporary_name
from resto.sensitive import sensitive_variables
from resto.transports import deletion, steps
from resto.transports.acquaintance import Acquaintance
from resto.transports.base import Directory, Entry
from resto.transports.bodies import Body, UnreadableBodyError
from resto.transports.http import HttpOptions, HttpTransport, unavailable
from resto.transports.limits import LongAnswerError
from resto.transports.messages import NoAnswerError, Request, Response, Steps, Stream
from resto.transports.multistatus import PROPFIND_BODY, PROPFIND_SIZES_BODY, Member, parse_directory, parse_members
from resto.transports.steps import Action


__all__ = ["WebDAVTransport"]

T = TypeVar("T")

# Servers, by the product in their Server header, that show an upload only when it is complete. Others write into the
# file itself, so that a broken upload leaves a broken file under the final name.
PUBLISH_ATOMICALLY = frozenset({"nginx", "apache", "lighttpd", "resto-testing"})

# What servers answer to a PUT whose parent is missing: 409 says the standard, 404 rclone 1.60, 500 nginx.
PARENT_MAYBE_MISSING = frozenset({403, 404, 409, 500})

# What servers answer to an MKCOL whose collection is there, or is being made by somebody else. Whether it can be used
# is for the PUT to find out.
COLLECTION_MAYBE_THERE = frozenset({201, 301, 403, 405, 409, 423, 500})

# wsgidav cuts the unquoted Destination of a MOVE at these.
_UNMOVABLE = frozenset("?;")

# Seconds to wait before the size of a file is asked for once more.
_SIZE_DELAYS = (0.05, 0.2)

# A body above this size is not sent on the chance that its parent is there.
ASK_FIRST_SIZE = 1024 * 1024

MAX_REMEMBERED_COLLECTIONS = 10_000


class WebDAVTransport(HttpTransport):
    """Reads and writes files over WebDAV.

    Collections are made when an upload needs them, and remembered for each host.

    Args:
        base_url: As for `HttpTransport`.
        timeout: As for `HttpTransport`.
        publish: How an upload gets its final name. ``"put"``: directly. ``"move"``: under a temporary name first, which
            is checked for its size and then moved. ``"auto"``: directly where the host's Server header names a server
            that publishes atomically (nginx, Apache, lighttpd), else by moving. Choose ``"move"`` when another server
            stands behind one of these.
        **options: As for `HttpTransport`.

    Raises:
        ConfigurationError: As for `HttpTransport`.
    """

    supports_listdir = True
    supports_scan = True
    _has_propfind = True

    @sensitive_variables()
    def __init__(
        self, base_url: str, *, timeout: float = 2, publish: str = "auto", **options: Unpack[HttpOptions]
    ) -> None:
        super().__init__(base_url, timeout=timeout, **options)
        if publish not in ("auto", "put", "move"):
            raise ConfigurationError(f"publish must be 'auto', 'put' or 'move', not {publish!r}", code="E008")
        self._publish = publish
        self._collections: defaultdict[str, set[str]] = defaultdict(set)

    def listdir(self, host: str, name: str) -> tuple[list[str], list[str]]:
        members = self._members(self._action(host, name, "listdir"))
        directories = [member.name for member in members if member.is_collection]
        return directories, [member.name for member in members if not member.is_collection]

    def scan(self, host: str, prefix: str) -> Iterator[Entry]:
        pending = [prefix]
        while pending:
            directory = pending.pop()
            for member in self._members(self._action(host, directory, "scan")):
                name = f"{directory}/{member.name}" if directory else member.name
                if member.is_collection:
                    pending.append(name)
                else:
                    yield Entry(name, member.size, member.modified, member.etag)

    def _members(self, action: Action) -> list[Member]:
        return finish(self._perform(action, self._list(action, PROPFIND_BODY, parse_members)))

    def _browse(self, action: Action) -> Steps[Directory | None]:
        """Do so by PROPFIND, or as `HttpTransport` where the server has no such method."""
        try:
            return (yield from self._list(action, PROPFIND_SIZES_BODY, parse_directory))
        except UnexpectedStatusCode as error:
            # Apache says so of a single directory too, which holds an index.html.
            if error.status not in (405, 501):
                raise
        return (yield from super()._browse(action))

    def _list(self, action: Action, wanted: bytes, parse: Callable[[Stream, str], T]) -> Steps[T]:
        headers = {"Depth": "1", "Content-Type": "application/xml"}
        target = steps.collection(action.target)
        response = yield Request("PROPFIND", target, headers, Body(wanted), stream=True)
        if response.status in steps.ABSENT:
            raise action.missing()
        if response.status != 207 or response.stream is None:
            steps.close_stream(response)
            raise action.unexpected(response, "PROPFIND")
        try:
            listing = steps.limited_listing(response.stream, self._max_listing)
            return parse(listing, self._server_product(action) or "")
        except NoAnswerError as error:
            raise unavailable(action, error) from error
        except LongAnswerError as error:
            raise action.failed(str(error)) from error
        except ValueError as error:
            raise action.failed(f"its listing cannot be understood: {error}") from error
        finally:
            response.stream.close()

    def _upload(self, action: Action, body: Body) -> Steps[bool]:
        moves = yield from self._moves(action)
        if moves:
            return (yield from self._upload_and_move(action, body))
        response = yield from self._put(action, action.target, body)
        existed = steps.was_stored(action, response)
        if body.size > steps.VERIFY_SIZE:
            yield from steps.verify(action, action.target, body)
        return existed

    def _moves(self, action: Action) -> Steps[bool]:
        if self._publish == "put":
            return False
        if self._server_product(action) is None:
            # Any answer tells who answers.
            yield Request("HEAD", action.target)
        product = self._server_product(action)
        if product == "wsgidav" and not _UNMOVABLE.isdisjoint(action.name):
            return False
        return self._publish == "move" or product not in PUBLISH_ATOMICALLY

    def _upload_and_move(self, action: Action, body: Body) -> Steps[bool]:
        temporary = action.target_of(temporary_name(action.name))
        try:
            response = yield from self._put(action, temporary, body)
            steps.was_stored(action, response)
            return (yield from _move(action, temporary, body, self._acquaintance(action.host)))
        except (TransportError, UnreadableBodyError):
            # Not after a NoAnswerError: a host that hangs would cost a second timeout.
            yield from _discard(temporary)
            raise

    def _put(self, action: Action, target: str, body: Body) -> Steps[Response]:
        """PUT, and if that fails for want of a parent, make the parents and PUT again."""
        parents = _parents(action.name)
        known = self._collections[action.host]
        tried = bool(parents) and body.size > ASK_FIRST_SIZE and parents[-1] not in known
        if tried:
            yield from self._make_collections(action, [parent for parent in parents if parent not in known])
        response = yield from steps.put(action, target, body)
        if response.status in PARENT_MAYBE_MISSING and parents:
            known.difference_update(parents)
            yield from self._make_collections(action, parents)
            response = yield from steps.put(action, target, body)
        if response.status in (201, 204):
            self._remember(action.host, parents)
        return response

    def _make_collections(self, action: Action, names: list[str]) -> Steps[None]:
        for name in names:
            # 423 says rclone while another client makes it: too early for what comes below.
            response = yield from steps.unlocked(Request("MKCOL", steps.collection(action.target_of(name))))
            if response.status not in COLLECTION_MAYBE_THERE:
                raise action.unexpected(response, "MKCOL")

    def _remember(self, host: str, parents: list[str]) -> None:
        # No lock: one could be held at a fork, and to forget a collection only costs a request.
        known = self._collections[host]
        if len(known) > MAX_REMEMBERED_COLLECTIONS:
            known.clear()
        known.update(parents)


def _move(action: Action, temporary: str, body: Body, host: Acquaintance) -> Steps[bool]:
    """Give an upload its final name; return whether a file had that name before."""
    # rclone and Caddy delete the destination of a MOVE whose source is missing.
    response = yield Request("HEAD", temporary)
    stored = steps.content_length(steps.expect_file(action, response, "HEAD"))
    for delay in _SIZE_DELAYS:
        if stored == body.size:
            break
        # rclone may tell the size that the file had while it was written, for a moment.
        response = yield Request("HEAD", temporary, delay=delay)
        stored = steps.content_length(steps.expect_file(action, response, "HEAD"))
    if stored != body.size:
        raise action.failed(f"it stored {stored} of {body.size} bytes")
    response = yield from steps.unlocked(_move_request(action, temporary, "F"))
    if response.status == 204:
        # So says nginx of any move, and lighttpd when it has moved the file into a directory of that name.
        deletion.require_file(action, (yield Request("HEAD", action.target)))
    if response.status in (201, 204):
        return False
    if response.status != 412:
        raise action.unexpected(response, "MOVE")
    if not (yield from deletion.replaces_file(action, host)):
        raise action.failed("it says that the name is taken, and that nothing is there")
    response = yield from steps.unlocked(_move_request(action, temporary, "T"))
    if response.status not in (201, 204):
        raise action.unexpected(response, "MOVE")
    return True


def _move_request(action: Action, temporary: str, overwrite: str) -> Request:
    # Apache refuses paths, nginx refuses other hosts.
    destination = f"{action.url.scheme}://{action.url.netloc}{action.target}"
    headers = {"Destination": destination, "Overwrite": overwrite}
    return Request("MOVE", temporary, headers, idempotent=False)


def _discard(temporary: str) -> Steps[None]:
    with suppress(NoAnswerError):  # what made the upload fail is the error to report
        yield Request("DELETE", temporary, {"Depth": "0"})


def _parents(name: str) -> list[str]:
    parts = name.split("/")[:-1]
    return ["/".join(parts[: depth + 1]) for depth in range(len(parts))]
