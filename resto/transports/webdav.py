"""The transport over WebDAV (RFC 4918): makes collections on demand, lists, and publishes uploads whole."""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar, Unpack

from resto.clock import monotonic
from resto.courses import finish
from resto.exceptions import ConfigurationError, TransportError, UnexpectedStatusCode
from resto.sensitive import sensitive_variables
from resto.transports import looks, steps
from resto.transports.base import Directory, Entry
from resto.transports.bodies import Body, UnreadableBodyError
from resto.transports.downloads import unavailable
from resto.transports.http import HttpOptions, HttpTransport
from resto.transports.late import log_late
from resto.transports.leftovers import may_be_left_over
from resto.transports.limits import LongAnswerError
from resto.transports.messages import NoAnswerError, Request, Response, Steps, Stream
from resto.transports.multistatus import (
    PROPFIND_BODY,
    PROPFIND_SIZES_BODY,
    Member,
    parse_all_members,
    parse_directory,
    parse_members,
)
from resto.transports.publishing import Unpublished
from resto.transports.steps import Action, path_of


__all__ = ["WebDAVTransport"]

T = TypeVar("T")

# Servers, by the product in their Server header, that show an upload only when it is complete. Others write into the
# file itself, so that a broken upload leaves a broken file under the final name.
PUBLISH_ATOMICALLY = frozenset({"nginx", "apache", "lighttpd", "resto-testing"})

# What servers answer to a PUT whose parent is missing: 409 says the standard, 404 rclone 1.60, 424 PyWebDAV3, 500 nginx.
PARENT_MAYBE_MISSING = frozenset({403, 404, 409, 424, 500})

# What servers answer to an MKCOL whose collection is there, or is being made by somebody else. Whether it can be used
# is for the PUT to find out.
COLLECTION_MAYBE_THERE = frozenset({201, 301, 403, 405, 409, 423, 500})

# wsgidav cuts the unquoted Destination of a MOVE at these.
_UNMOVABLE = frozenset("?;")

# Seconds for which it is known that a host moves uploads to where it is told: a proxy may be put before it meanwhile.
_REHEARSED_FOR = 3600

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
            is then moved, and looked for where it was moved to. ``"auto"``: directly where the host's Server header
            names a server that publishes atomically (nginx, Apache, lighttpd), else by moving. Choose ``"move"`` when
            another server stands behind one of these.
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
        self._rehearsed: dict[str, float] = {}
        self._interrupted: dict[tuple[str, str], Unpublished] = {}

    def listdir(self, host: str, name: str) -> tuple[list[str], list[str]]:
        members = self._members(self._action(host, name, "listdir"), parse_members)
        directories = [member.name for member in members if member.is_collection]
        return directories, [member.name for member in members if not member.is_collection]

    def scan(self, host: str, prefix: str) -> Iterator[Entry]:
        pending = [prefix]
        while pending:
            directory = pending.pop()
            for member in self._members(self._action(host, directory, "scan"), parse_all_members):
                name = f"{directory}/{member.name}" if directory else member.name
                if member.is_collection:
                    pending.append(name)
                else:
                    yield Entry(name, member.size, member.modified, member.etag)

    def _members(self, action: Action, parse: Callable[[Stream, str], list[Member]]) -> list[Member]:
        return finish(self._perform(action, self._list_members(action, parse)))

    def _list_members(self, action: Action, parse: Callable[[Stream, str], list[Member]]) -> Steps[list[Member]]:
        members = yield from self._list(action, PROPFIND_BODY, parse)
        gone = yield from self._left_over(action, [member.name for member in members if not member.is_collection])
        return [member for member in members if member.name not in gone] if gone else members

    def _browse(self, action: Action) -> Steps[Directory | None]:
        """Do so by PROPFIND, or as `HttpTransport` where the server has no such method."""
        try:
            directory = yield from self._list(action, PROPFIND_SIZES_BODY, parse_directory)
        except UnexpectedStatusCode as error:
            # Apache says so of a single directory too, which holds an index.html.
            if error.status not in (405, 501):
                raise
            return (yield from super()._browse(action))
        for name in (yield from self._left_over(action, directory.files)):
            del directory.files[name]
        return directory

    def _left_over(self, action: Action, names: Iterable[str]) -> Steps[set[str]]:
        """Return which files of a directory are not there any more, or not yet: the server had them for an upload, as it seems.

        Files of the site may be called so, too: each is asked for.
        """
        server = self._server_product(action) or ""
        gone: set[str] = set()
        for name in names:
            if may_be_left_over(name, server):
                response = yield Request("HEAD", f"{steps.collection(action.target)}{path_of(name)}")
                if response.status in steps.ABSENT:
                    gone.add(name)
        return gone

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
            url = f"{action.url.scheme}://{action.url.netloc}{target}"
            return parse(steps.limited_listing(response.stream, self._max_listing), url)
        except NoAnswerError as error:
            raise unavailable(action, error) from error
        except LongAnswerError as error:
            raise action.failed(str(error)) from error
        except ValueError as error:
            raise action.failed(f"its listing cannot be understood: {error}") from error
        finally:
            response.stream.close()

    def _stores_at_once(self, host: str) -> bool:
        is_atomic = self._acquaintance(host).product in PUBLISH_ATOMICALLY
        return self._publish == "put" or (self._publish == "auto" and is_atomic)

    def _upload(self, action: Action, body: Body) -> Steps[bool]:
        moves = yield from self._moves(action)
        if moves:
            return (yield from self._upload_and_move(action, body))
        response = yield from self._put(action, action.target, body, is_checked=True)
        return (yield from looks.settle(action, response, body))

    def _moves(self, action: Action) -> Steps[bool]:
        if self._publish == "put":
            return False
        is_movable = _UNMOVABLE.isdisjoint(action.name)
        if self._publish == "move" and is_movable:
            return True
        if self._server_product(action) is None:
            # Any answer tells who answers.
            yield Request("HEAD", action.target)
        product = self._server_product(action)
        if product == "wsgidav" and not is_movable:
            return False
        return self._publish == "move" or product not in PUBLISH_ATOMICALLY

    def _upload_and_move(self, action: Action, body: Body) -> Steps[bool]:
        upload = Unpublished(action, body)
        self._interrupted.pop((action.host, action.name), None)  # one that was begun anew had done nothing
        try:
            yield from self._put_aside(action, upload)
            if monotonic() - self._rehearsed.get(action.host, -math.inf) > _REHEARSED_FOR:
                yield from upload.rehearse()
                self._rehearsed[action.host] = monotonic()
            existed = yield from upload.publish(self._acquaintance(action.host))
        except (TransportError, UnreadableBodyError, NoAnswerError) as error:
            self._rehearsed.pop(action.host, None)  # something may have changed
            yield from upload.discard(error)
            raise
        except GeneratorExit:
            if upload.is_left:
                self._interrupted[action.host, action.name] = upload
            raise
        if upload.is_late:
            log_late(action.host, action.name, self.timeout)
        return existed

    def tidy_up(self) -> None:
        unreachable: set[str] = set()
        while self._interrupted:
            (host, _), upload = self._interrupted.popitem()
            if host in unreachable:
                continue
            try:
                finish(self._perform(upload.action, upload.remove()))
            except TransportError:
                unreachable.add(host)

    def _put_aside(self, action: Action, upload: Unpublished) -> Steps[None]:
        """Store an upload under its temporary name; an answer that does not come is asked for."""
        try:
            upload.is_left = True
            response = yield from self._put(action, upload.target, upload.body)
        except NoAnswerError as error:
            upload.is_left = error.ambiguous
            if not error.ambiguous or not (yield from upload.has_arrived()):
                raise
            upload.is_late = error.is_late
        else:
            yield from looks.was_stored(action, upload.target, response, upload.body)

    def _put(self, action: Action, target: str, body: Body, *, is_checked: bool = False) -> Steps[Response]:
        """PUT, and if that fails for want of a parent, make the parents and PUT again."""
        parents = _parents(action.name)
        known = self._collections[action.host]
        tried = bool(parents) and body.size > ASK_FIRST_SIZE and parents[-1] not in known
        if tried:
            yield from self._make_collections(action, [parent for parent in parents if parent not in known])
        response = yield from steps.put(target, body, is_checked=is_checked)
        if response.status in PARENT_MAYBE_MISSING and parents:
            known.difference_update(parents)
            yield from self._make_collections(action, parents)
            response = yield from steps.put(target, body, is_checked=is_checked)
        if response.status in (200, 201, 204):
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


def _parents(name: str) -> list[str]:
    parts = name.split("/")[:-1]
    return ["/".join(parts[: depth + 1]) for depth in range(len(parts))]
