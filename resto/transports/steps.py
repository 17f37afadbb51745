"""What HTTP methods mean for files: the steps of each action, as requests and the interpretation of answers.

Nothing here touches the network. Only 404 and 410 mean that a file is absent.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache
from http import HTTPStatus
from urllib.parse import urlsplit

from django.core.exceptions import SuspiciousFileOperation

from resto.exceptions import RemoteDirectoryError, RemoteFileNotFoundError, TransportError, UnexpectedStatusCode
from resto.hosts import HostURL
from resto.names import quote_name
from resto.transports.bodies import BLOCK_SIZE, Body
from resto.transports.limits import LimitedStream
from resto.transports.messages import Request, Response, Steps, Stream


__all__ = [
    "ABSENT",
    "CONFIGURED",
    "EXISTS",
    "LISTS_NOT",
    "OF_ONE_FILE",
    "STORED",
    "Action",
    "close_stream",
    "collection",
    "content_length",
    "exists",
    "expect_file",
    "is_chunked",
    "is_dated",
    "is_directory_of_wsgidav",
    "is_of_directory",
    "limited_listing",
    "natural",
    "parse_http_date",
    "path_of",
    "path_of_url",
    "put",
    "retry_after",
    "server_product",
    "unlocked",
    "was_stored",
]

ABSENT = frozenset({404, 410})

# The statuses with which a host may say when it wants to be asked again.
_BUSY = frozenset({429, 503})

# Seconds for which it is left alone at most, whatever it says.
LONGEST_REST = 600

# Sent again without the expectation, a request may succeed (RFC 9110, section 10.1.1).
EXPECTATION_FAILED = 417

# What the answers to the HEAD of a file mean: whether it is there; to a PUT: whether it was.
EXISTS = {200: True} | dict.fromkeys(ABSENT, False)
STORED = {201: False, 204: True}

# The headers of a DELETE that shall not be that of a tree.
OF_ONE_FILE = {"Depth": "0"}

# What servers answer to the GET of a directory that they do not list, or not as JSON: nephele has 204 for it, Caddy 207.
LISTS_NOT = frozenset({204, 207, 301, 302, 307, 308, 400, 403, 405, 406, 501})

# Seconds to wait before each new try when a file is locked: rclone and Caddy say so while another upload of it runs.
LOCK_DELAYS = (0.05, 0.1, 0.2, 0.4, 0.8)

# A stored file of more than this many bytes is checked for its size: it costs next to nothing beside the upload.
VERIFY_SIZE = BLOCK_SIZE

_NATURAL = re.compile("[0-9]{1,18}")

_ROOM = timedelta(days=2)

_PHRASES = {status.value: status.phrase for status in HTTPStatus}

_BEHIND = "a proxy or balancer gets no answer from the server behind it; does that run? The proxy's error log tells"

_HINTS: Mapping[int, str] = {
    200: "a success that proves nothing here; does the server know this hostname?",
    202: "it accepts to do so later, which proves nothing",
    207: "the server did a part of it, or this is a directory",
    301: "redirects are not followed; is the name that of a directory there, or should the URL be another one?",
    302: "redirects are not followed; should the URL be another one?",
    307: "redirects are not followed; should the URL be another one?",
    308: "redirects are not followed; is the name that of a directory there, or should the URL be another one?",
    400: "the server does not accept such a name or request; does it want https://, a client certificate, or another hostname?",
    401: "the credentials are missing or wrong; see the transport option 'auth'",
    403: "the server does not allow this from here or with these credentials",
    405: "the server is not configured for this method, or its disk is full (rclone, Caddy)",
    409: "a parent directory is missing (transport 'webdav' makes those below the host's URL), or is a file, or the name is that of a directory",
    411: "the server wants a length and was told one; is a proxy in between?",
    413: "the file is larger than the server accepts (nginx: client_max_body_size)",
    414: "the name is too long for the server",
    423: "another upload of this file kept it locked",
    431: "the name is too long for the server",
    500: "often a missing directory, missing permission or a full disk; its error log tells",
    502: _BEHIND,
    503: "it is busy, or a proxy does not reach what is behind it; try again later, and see the error logs of both",
    504: _BEHIND,
    507: "its disk is full",
}

# Servers, by the product in their Server header, that answer 405 for no other reason: their disks have nothing to do with it.
_NEVER_FULL = frozenset({"nginx", "apache", "lighttpd"})

CONFIGURED = "the server is not set up for this method"

_DIRECTORY_HINT = "is the name that of a directory there? Only files are deleted"

_DESTINATION_HINT = (
    "if a proxy is in between, it must pass on Host, and change the header Destination of MOVE as it changes the URL"
)

_METHOD_HINTS: Mapping[tuple[str, int], str] = {
    ("DELETE", 301): _DIRECTORY_HINT,
    ("DELETE", 308): _DIRECTORY_HINT,
    ("DELETE", 400): _DIRECTORY_HINT,
    ("DELETE", 409): _DIRECTORY_HINT,
    ("MOVE", 400): "if the server moves no file over another one, set the option 'publish' to 'put'",
    ("MOVE", 403): f"the server does not allow this from here or with these credentials; {_DESTINATION_HINT}",
    ("MOVE", 409): _DESTINATION_HINT,
    ("MOVE", 500): f"see its error log; {_DESTINATION_HINT}",
    ("MOVE", 502): _DESTINATION_HINT,
    ("PROPFIND", 405): "the server is not configured to list directories (nginx needs its dav_ext module)",
    (
        "PUT",
        404,
    ): "a parent directory is missing (transport 'webdav' makes those below the host's URL), or is a file, or the name is that of a directory",
}


@dataclass(slots=True)  # not frozen: there are several of each action, and that would double their time
class Action:
    """What is done to which file on which host; knows the URLs and makes the errors.

    Attributes:
        kind: Such as ``"upload"``.
        host: The host as it stands in the settings.
        name: The file's name, or the directory's.
        url: Where the host keeps its files.
    """

    kind: str
    host: str
    name: str
    url: HostURL

    @property
    def target(self) -> str:
        """The request target of the file."""
        return self.target_of(self.name)

    def target_of(self, name: str) -> str:
        """Return the request target of another name on the same host.

        Raises:
            SuspiciousFileOperation: The name leads out of the host's URL.
        """
        return self.url.path + path_of(name)

    def failed(self, problem: str) -> TransportError:
        """Return the error for a host that broke its word."""
        return TransportError(self.host, self.name, self.kind, problem)

    def unexpected(self, response: Response, method: str) -> UnexpectedStatusCode:
        """Return the error for a status that is no success."""
        status = response.status
        phrase = _PHRASES.get(status, "")
        hint = _METHOD_HINTS.get((method, status)) or _HINTS.get(status)
        if status == 405 and method != "PROPFIND" and server_product(response) in _NEVER_FULL:
            hint = f"{CONFIGURED} (nginx: dav_methods PUT DELETE MKCOL MOVE; Apache: Dav On)"
        seconds = retry_after(response)
        if seconds:
            hint = f"it wants to be left alone for {seconds:.0f} s"
        problem = f"{method} was answered {status} {phrase}".rstrip() + (f": {hint}" if hint else "")
        return UnexpectedStatusCode(self.host, self.name, self.kind, status, problem, seconds)

    def directory(self) -> RemoteDirectoryError:
        """Return the error for a directory in the place of the file."""
        consequence = "only files are deleted" if self.kind == "delete" else "no file takes the place of one"
        return RemoteDirectoryError(self.host, self.name, self.kind, f"that is a directory, and {consequence}")

    def missing(self) -> RemoteFileNotFoundError:
        """Return the error for a file that is absent."""
        return RemoteFileNotFoundError(self.host, self.name, self.kind, "it does not have this file")


@lru_cache(1024)  # the same name goes to all hosts
def path_of(name: str) -> str:
    """Return a name as it stands in a request target, below the host's URL.

    Raises:
        SuspiciousFileOperation: The name leads out of the host's URL.
    """
    if "/../" in f"/{name}/":
        raise SuspiciousFileOperation(f"{name!r} contains '..'")
    return quote_name(name)


def exists(action: Action) -> Steps[bool]:
    """Return whether the host has the file, or a directory of that name."""
    response = yield Request("HEAD", action.target)
    if response.status not in EXISTS and not is_of_directory(action, response):
        raise action.unexpected(response, "HEAD")
    return EXISTS.get(response.status, True)


def is_of_directory(action: Action, response: Response) -> bool:
    """Tell whether a HEAD was answered as a server does for the name of a directory: then the name is taken."""
    if response.status in (301, 308):  # nginx, Apache, lighttpd
        return path_of_url(response.headers.get("Location")) == action.target + "/"
    return (response.status, server_product(response)) in ((405, "rclone"), (207, "caddy"))


def put(target: str, body: Body, *, is_checked: bool = False) -> Steps[Response]:
    """Send a file, again if it is locked, and return the last answer.

    Args:
        target: The request target.
        body: What to send.
        is_checked: Whether HEAD is asked next, if it is large.
    """
    follower = Request("HEAD", target) if is_checked and body.size > VERIFY_SIZE else None
    request = Request("PUT", target, body=body, followed_by=follower)
    response = yield from unlocked(request)
    if response.status == EXPECTATION_FAILED:  # the host, or a proxy, does not know what an announcement is
        response = yield from unlocked(replace(request, is_announced=False))
    return response


def was_stored(action: Action, response: Response) -> bool:
    """Return whether a PUT replaced a file; raise if it did not store it."""
    if response.status not in STORED:
        raise action.unexpected(response, "PUT")
    return STORED[response.status]


def unlocked(request: Request) -> Steps[Response]:
    """Send a request, and again after a while as long as the file is locked."""
    response = yield request
    if response.status != 423:
        return response
    for delay in LOCK_DELAYS:
        response = yield replace(request, delay=delay)
        if response.status != 423:
            break
    return response


def expect_file(action: Action, response: Response, method: str) -> Response:
    """Return the answer if it is that of a file, and raise if it is not."""
    is_absent = response.status in ABSENT or is_directory_of_wsgidav(response)
    if response.status == 200 and not is_absent:
        return response
    close_stream(response)
    raise action.missing() if is_absent else action.unexpected(response, method)


def close_stream(response: Response) -> None:
    """Close the body of an answer, if it has one that could be read."""
    if response.stream is not None:
        response.stream.close()


def is_dated(response: Response) -> bool:
    """Tell whether the answer to a HEAD has the date that a file has: most servers give none to directories."""
    return response.status == 200 and "Last-Modified" in response.headers


def is_directory_of_wsgidav(response: Response) -> bool:
    """Tell whether the answer is that of wsgidav to the name of a directory, which it does not date."""
    return server_product(response) == "wsgidav" and "Last-Modified" not in response.headers


def content_length(response: Response) -> int | None:
    """Return the size that an answer tells, in bytes; None if it tells none."""
    return natural(response.headers.get("Content-Length"))


def is_chunked(response: Response) -> bool:
    """Tell whether the body of an answer shows where it ends, although its size is not told before."""
    return response.headers.get("Transfer-Encoding", "").lower() == "chunked"


def limited_listing(stream: Stream, limit: int) -> Stream:
    """Return the body of a listing, which is read as a whole or not at all.

    Args:
        stream: The body.
        limit: Bytes that it may have.
    """
    problem = (
        f"its listing is longer than max_listing allows, {limit} bytes; if it has such directories, raise this option"
    )
    return LimitedStream(stream, limit, f"{problem} of the transport")


def collection(target: str) -> str:
    """Return the target of a collection, which ends in a slash: nginx and Apache insist."""
    return target if target.endswith("/") else target + "/"


def server_product(response: Response) -> str:
    """Return the first product of the Server header, in lower case; empty if there is none (RFC 9110, section 10.2.4)."""
    return (response.headers.get("Server") or "").partition("/")[0].partition(" ")[0].lower()


def natural(text: str | None) -> int | None:
    """Return the number that some digits stand for, and None for anything else; for what a host claims."""
    return int(text) if text and _NATURAL.fullmatch(text) else None


def retry_after(response: Response) -> float:
    """Return for how many seconds a host wants to be left alone, ten minutes at most; 0 if it does not say so.

    It may name the moment, which is one of its own clock (RFC 9110, section 10.2.3).

    Args:
        response: Its answer.
    """
    if response.status not in _BUSY:
        return 0
    text = (response.headers.get("Retry-After") or "").strip()
    moment = parse_http_date(text)
    seconds: float | None = natural(text)
    if seconds is None and moment is not None:
        now = parse_http_date(response.headers.get("Date")) or datetime.now(UTC)
        seconds = (moment - now).total_seconds()
    return min(max(seconds or 0, 0), LONGEST_REST)


def path_of_url(text: str | None) -> str | None:
    """Return the path of a URL, which may be a relative one, and None if it is none; for what a host claims."""
    try:
        url = urlsplit((text or "").encode("latin-1").decode())
        path, _ = url.path, url.port  # a wrong port is found only now
    except ValueError:
        return None
    return path


def parse_http_date(value: str | None) -> datetime | None:
    """Return the moment that an HTTP date names, aware (RFC 9110, section 5.6.7)."""
    if not value:
        return None
    try:
        moment = parsedate_to_datetime(value)
        aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        # It shall have a place in any time zone.
        return aware if aware - _ROOM < aware < aware + _ROOM else None
    except Exception:  # noqa: BLE001 - nothing is too strange for a header, and `email` was not made for that
        return None
