"""What each method does to the files: requests in, answers out, no sockets."""

from __future__ import annotations

import errno
import io
import mimetypes
import re
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import quote, unquote_to_bytes, urlsplit

from resto.testing.files import Entry, FileStore, Upload, is_valid_name
from resto.testing.multistatus import format_multistatus


if TYPE_CHECKING:
    from collections.abc import Callable
    from http.client import HTTPMessage


WRITES = frozenset({"PUT", "DELETE", "MKCOL", "MOVE"})
PLAIN_METHODS = ("GET", "HEAD", "PUT", "DELETE")
WEBDAV_METHODS = ("OPTIONS", "MKCOL", "PROPFIND", "MOVE")

_STATUS_OF_ERRNO = {
    errno.ENOSPC: 507,
    errno.EDQUOT: 507,
    errno.EACCES: 403,
    errno.EPERM: 403,
    errno.EROFS: 403,
    errno.ENAMETOOLONG: 414,
}


@dataclass
class Request:
    """One request as the server recorded it."""

    method: str
    path: str
    """As sent: percent-encoded, with the leading slash."""
    headers: HTTPMessage
    """Looked up in any case; None for a header that was not sent."""
    connection: int
    """Number of the connection, counted from 1: equal for requests on one kept-alive connection."""
    status: int | None = None
    """Status code of the answer; None as long as none was sent."""
    body_size: int = 0
    """Bytes of the body that arrived."""

    @property
    def name(self) -> str:
        """The file or directory asked for: unquoted, without slashes at the ends."""
        return self._unquoted.removeprefix("/").removesuffix("/")

    @property
    def wants_directory(self) -> bool:
        """Whether the path ends with a slash."""
        return self._unquoted.endswith("/")

    @property
    def _unquoted(self) -> str:
        return unquote_path(self.path)


@dataclass
class Answer:
    """What to send back; whoever sends it closes `body`."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: BinaryIO = field(default_factory=io.BytesIO)
    length: int = 0
    """Bytes of the body."""

    @classmethod
    def text(cls, status: int, text: str) -> Answer:
        """Make an answer with a sentence for whoever debugs the client."""
        content = f"{text}\n".encode(errors="replace")
        return cls(status, {"Content-Type": "text/plain; charset=utf-8"}, io.BytesIO(content), len(content))


class Site:
    """The files of one server, as HTTP shows them.

    Args:
        store: Where the files are.
        webdav: Whether WebDAV is spoken, and collections are made by the client only; None for both ways.
        in_place: Whether uploads are written under their final name from the first byte.
        deletes_trees: Whether what is done to the name of a directory is done to all that is in it.
        dates_directories: Whether directories are answered for as if they were files.
    """

    def __init__(
        self,
        store: FileStore,
        *,
        webdav: bool | None,
        in_place: bool,
        deletes_trees: bool = False,
        dates_directories: bool = False,
    ) -> None:
        self._store = store
        self._makes_parents = not webdav
        self._in_place = in_place
        self._deletes_trees = deletes_trees
        self._dates_directories = dates_directories
        self._methods = PLAIN_METHODS + (() if webdav is False else WEBDAV_METHODS)

    def check(self, request: Request) -> Answer | None:
        """Refuse a method or name that can never work."""
        if request.method not in self._methods:
            return Answer(405, {"Allow": ", ".join(self._methods)})
        if request.method == "OPTIONS" and request.path == "*":
            return None
        if not request.path.startswith("/") or (request.name and not is_valid_name(request.name)):
            return Answer.text(400, "not a usable path")
        return None

    def begin_upload(self, request: Request) -> Upload | Answer:
        """Prepare for the body of a PUT, or refuse it."""
        if request.wants_directory:
            return Answer.text(409, "PUT of a directory")
        try:
            if self._makes_parents:
                self._store.make_parents(request.name)
            return self._store.upload(request.name, in_place=self._in_place)
        except OSError as error:
            return answer_for(error)

    def finish_upload(self, upload: Upload) -> Answer:
        """Publish what was received."""
        try:
            return Answer(201 if upload.publish() else 204)
        except OSError as error:
            return answer_for(error)

    def act(self, request: Request) -> Answer:
        """Carry out any other request."""
        actions: dict[str, Callable[[Request], Answer]] = {
            "GET": self._get,
            "HEAD": self._get,
            "DELETE": self._delete,
            "OPTIONS": self._options,
            "MKCOL": self._mkcol,
            "PROPFIND": self._propfind,
            "MOVE": self._move,
        }
        try:
            return actions[request.method](request)
        except OSError as error:
            return answer_for(error)

    def _get(self, request: Request) -> Answer:
        found = self._store.find(request.name)
        if found is not None and found.is_directory:
            if self._dates_directories:
                return Answer(200, {"Last-Modified": formatdate(found.modified, usegmt=True)})
            if request.wants_directory:
                return Answer.text(403, "directories are not listed here")
            return Answer(301, {"Location": quote(f"/{request.name}/", errors="surrogateescape")})
        if request.wants_directory:
            return Answer.text(404, "not a directory")
        entry, file = self._store.open(request.name)
        headers = {
            "Content-Type": mimetypes.guess_type(request.name)[0] or "application/octet-stream",
            "Last-Modified": formatdate(entry.modified, usegmt=True),
            "ETag": entry.etag,
            "Accept-Ranges": "bytes",
        }
        # RFC 9110, section 14.2: Range is defined for GET only.
        if request.method == "GET" and (wanted := request.headers.get("Range")) and _is_in_force(request, entry):
            return _answer_range(wanted, Answer(200, headers, file, entry.size))
        return Answer(200, headers, file, entry.size)

    def _delete(self, request: Request) -> Answer:
        entry = self._store.find(request.name)
        if entry is not None and entry.is_directory and self._removes(request):
            self._store.delete_directory(request.name)
            return Answer(204)
        if entry is not None and request.wants_directory:
            # As most servers do: a collection is never deleted with Depth 0 (RFC 4918, section 9.6.1).
            return Answer.text(400 if request.headers.get("Depth") == "0" else 409, "only files are deleted here")
        self._store.delete(request.name)
        return Answer(204)

    def _removes(self, request: Request) -> bool:
        """Tell whether a directory is deleted: an empty one if that is meant, and others by some servers only."""
        if not request.name or self._deletes_trees:
            return bool(request.name)
        is_meant = request.wants_directory and request.headers.get("Depth") != "0"
        return is_meant and not self._store.children(request.name)

    def _options(self, request: Request) -> Answer:
        return Answer(200, {"Allow": ", ".join(self._methods), "DAV": "1"})

    def _mkcol(self, request: Request) -> Answer:
        if request.body_size:
            return Answer.text(415, "MKCOL with a body")
        try:
            self._store.make_directory(request.name)
        except FileExistsError:
            return Answer(405, {"Allow": ", ".join(self._methods)})
        return Answer(201)

    def _propfind(self, request: Request) -> Answer:
        depth = request.headers.get("Depth", "infinity")
        if depth not in {"0", "1"}:
            return Answer.text(403, "only Depth 0 and 1")
        entry = self._store.find(request.name)
        if entry is None or (request.wants_directory and not entry.is_directory):
            return Answer.text(404, "nothing there")
        entries = [(request.name, entry)]
        if depth == "1" and entry.is_directory:
            entries += self._children(request.name)
        content = format_multistatus(entries)
        headers = {"Content-Type": "application/xml; charset=utf-8"}
        return Answer(207, headers, io.BytesIO(content), len(content))

    def _children(self, name: str) -> list[tuple[str, Entry]]:
        return [(f"{name}/{base}" if name else base, entry) for base, entry in self._store.children(name)]

    def _move(self, request: Request) -> Answer:
        try:
            target = urlsplit(request.headers.get("Destination", ""))
        except ValueError:
            return Answer.text(400, "the Destination is not a URL")
        if target.scheme not in {"http", "https"}:
            return Answer.text(400, "the Destination is not an absolute URL")
        if target.netloc != request.headers.get("Host"):
            return Answer.text(502, "the Destination is on another server")
        name = unquote_path(target.path).removeprefix("/")
        if not is_valid_name(name) or request.wants_directory:
            return Answer.text(409, "only files are moved here")
        if name == request.name:
            return Answer.text(403, "the Destination is the source")
        overwrite = request.headers.get("Overwrite", "T").upper() != "F"
        found = self._store.find(name)
        is_replaced = self._deletes_trees and found is not None and found.is_directory
        if is_replaced and not overwrite:
            return Answer.text(412, "the Destination is there")
        try:
            if is_replaced:
                self._store.delete_directory(name)
                self._store.move(request.name, name, overwrite=False)
                return Answer(204)
            return Answer(201 if self._store.move(request.name, name, overwrite=overwrite) else 204)
        except FileExistsError:
            return Answer.text(412, "the Destination is there")


def unquote_path(path: str) -> str:
    """Undo percent-encoding; drop the query and the fragment, as all servers do."""
    raw = re.split("[?#]", path, maxsplit=1)[0].encode("latin-1", errors="replace")
    return unquote_to_bytes(raw).decode(errors="surrogateescape")


def answer_for(error: OSError) -> Answer:
    """Turn what a store raises into an answer."""
    if isinstance(error, FileNotFoundError):
        return Answer.text(404, "nothing there")
    if isinstance(error, NotADirectoryError):
        return Answer.text(409, "the parent is not a directory")
    if isinstance(error, IsADirectoryError):
        return Answer.text(409, "that is a directory")
    return Answer.text(_STATUS_OF_ERRNO.get(error.errno or 0, 500), str(error))


def _is_in_force(request: Request, entry: Entry) -> bool:
    """Tell whether a range is wanted of the file as it is (RFC 9110, section 13.1.5)."""
    condition = request.headers.get("If-Range")
    return condition is None or condition in (entry.etag, formatdate(entry.modified, usegmt=True))


def _answer_range(wanted: str, whole: Answer) -> Answer:
    """Cut an answer to the range asked for; anything but one range is ignored (RFC 9110, section 14.2)."""
    match = re.fullmatch(r"bytes=(\d{0,18})-(\d{0,18})", wanted.strip(), re.ASCII)
    if match is None or not any(match.groups()) or not whole.length:
        return whole
    first, last = match.groups()
    if first and last and int(last) < int(first):
        return whole
    start = int(first) if first else max(0, whole.length - int(last))
    end = min(int(last) + 1, whole.length) if first and last else whole.length
    if start >= end:
        whole.body.close()
        return Answer(416, {"Content-Range": f"bytes */{whole.length}"})
    whole.body.seek(start)
    headers = whole.headers | {"Content-Range": f"bytes {start}-{end - 1}/{whole.length}"}
    return Answer(206, headers, whole.body, end - start)
