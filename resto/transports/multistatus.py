"""Listings: what a PROPFIND asks for, and what the answers say (RFC 4918, sections 9.1 and 14.16)."""

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from urllib.parse import urlsplit
from xml.parsers import expat

from django.core.exceptions import SuspiciousFileOperation

from resto.names import clean_name, unquote_name
from resto.transports.base import Directory
from resto.transports.limits import MAX_TEXT, LongAnswerError
from resto.transports.messages import Stream
from resto.transports.steps import natural, parse_http_date


__all__ = [
    "PROPFIND_BODY",
    "PROPFIND_SIZES_BODY",
    "Member",
    "is_refused",
    "parse_directory",
    "parse_members",
    "refuse_doctype",
]

# Not displayname: characters in it make some servers' XML ill-formed.
PROPFIND_BODY = (
    b'<?xml version="1.0" encoding="utf-8"?>'
    b'<propfind xmlns="DAV:"><prop><resourcetype/><getcontentlength/><getlastmodified/><getetag/></prop></propfind>'
)
PROPFIND_SIZES_BODY = PROPFIND_BODY.replace(b"<getlastmodified/><getetag/>", b"")

# Names of elements, as the parser gives them: after their namespace.
_HREF, _PROPSTAT, _STATUS, _RESPONSE = "DAV: href", "DAV: propstat", "DAV: status", "DAV: response"
_COLLECTION, _SIZE, _MODIFIED, _ETAG = (
    "DAV: collection",
    "DAV: getcontentlength",
    "DAV: getlastmodified",
    "DAV: getetag",
)

_VALUES = frozenset({_STATUS, _COLLECTION, _SIZE, _MODIFIED, _ETAG})

_LONG = f"a text in its listing is longer than {MAX_TEXT} characters"

# How a document begins whose markup is ASCII, as that of all servers is.
_PLAIN = re.compile(rb"(?:\xef\xbb\xbf)?\s*<[!-~]")

_DOTS = frozenset({"", ".", ".."})

_BLOCK = 64 * 1024

# How deep elements may be nested, and how many different names they and their attributes may have, those of namespaces included.
# No server uses a tenth of these. The parser keeps each of them, for as long as it lives.
MAX_DEPTH = 64
MAX_NAMES = 1000

# What servers keep beside files while an upload runs, or after it was killed.
_LEFTOVERS = {
    "apache": re.compile(r"^\.davfs\.tmp"),
    "lighttpd": re.compile(r"\.\d+\.\d+~$"),
    "nginx": re.compile(r"\.0\d{9}$"),
}


# What an entry says: whether it is a collection, its size, when it was modified, its etag.
_Said = tuple[bool, str, str, str]
_NOTHING: _Said = (False, "", "", "")
_Found = list[tuple[str, _Said]]


@dataclass(frozen=True, slots=True)
class Member:
    """A direct member of a collection.

    Attributes:
        name: Without the collection's name, and without a slash.
        is_collection: Whether it is a collection itself.
        size: In bytes; None if the server does not say.
        modified: Aware; None if the server does not say.
        etag: With its quotes; None if the server does not say.
    """

    name: str
    is_collection: bool
    size: int | None
    modified: datetime | None
    etag: str | None


def parse_members(stream: Stream, server: str) -> list[Member]:
    """Return the members of a collection, without temporary files and names that resto would never give to a file.

    Args:
        stream: The body of an answer to a PROPFIND with ``Depth: 1``.
        server: Product in the Server header, lower case; decides what counts as temporary.

    Raises:
        ValueError: The body is not such an answer.
        LongAnswerError: A text in it is longer than any name.
    """
    return [
        Member(
            name,
            is_collection,
            None if is_collection else natural(size),
            parse_http_date(modified),
            etag or None,
        )
        for name, (is_collection, size, modified, etag) in _parse(stream, server)
        if _is_usable(name)
    ]


def parse_directory(stream: Stream, server: str) -> Directory:
    """Return what a collection holds, without the server's own temporary files.

    Args:
        stream: The body of an answer to `PROPFIND_SIZES_BODY` with ``Depth: 1``.
        server: As for `parse_members`.

    Raises:
        ValueError: As for `parse_members`.
    """
    directories: set[str] = set()
    files: dict[str, int | None] = {}
    for name, (is_collection, size, _, _) in _parse(stream, server):
        if is_collection:
            directories.add(name)
        else:
            files[name] = natural(size)
    return Directory.of(directories, files)


def _parse(stream: Stream, server: str) -> _Found:
    """Return the names of the members, and what is said of each."""
    try:
        by_depth = _by_depth(stream)
    except (expat.ExpatError, LookupError) as error:  # a LookupError: unknown encoding
        raise ValueError(f"{type(error).__name__}: {error}") from error
    if not by_depth:
        raise ValueError("it names nothing, not even the directory itself")
    # The collection itself has the shortest path, whatever a proxy makes of the paths.
    top = min(by_depth)
    if [is_collection for _, (is_collection, *_) in by_depth[top]] != [True]:
        raise ValueError("it is not about one directory")
    members = by_depth.get(top + 1, [])
    leftover = _LEFTOVERS.get(server)
    return [member for member in members if not leftover.search(member[0])] if leftover else members


def _by_depth(stream: Stream) -> dict[int, _Found]:
    """Return the last parts of paths, and what is said of each, by the number of parts."""
    by_depth: dict[int, _Found] = {}
    siblings: dict[str, _Found] = {}
    for href, said in _responses(stream):
        # Most entries stand beside another one, so that the path to them need not be looked at again.
        path, _, last = href.rstrip("/").rpartition("/")
        if path in siblings and last not in _DOTS:
            siblings[path].append((unquote_name(last) if "%" in last else last, said))
            continue
        parts = _parts(href)
        same = by_depth.setdefault(len(parts), [])
        same.append((parts[-1] if parts else "", said))
        if "://" not in href and last not in _DOTS:
            siblings[path] = same
    return by_depth


def _responses(stream: Stream) -> Iterator[tuple[str, _Said]]:
    """Yield the href of each response, and what is said of it; a tree of elements would need much memory."""
    complete: list[tuple[str, _Said]] = []
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = refuse_doctype
    guard = _Guard(parser)
    _read_into(complete, parser, guard)
    while block := stream.read(_BLOCK):
        parser.Parse(block)
        guard.look_at(block)
        yield from complete
        complete.clear()
    parser.Parse(b"", True)  # noqa: FBT003 - it takes no keywords


class _Guard:
    """Sees to it that the memory of a parser does not grow with what a host sends.

    That elements begin is nothing that listings are read for, and to be told of it would double the time of the parser. It is
    estimated, and only in doubt is each one counted.

    Attributes:
        ended: How many elements have ended.
        texts: What was said since the last one has.
    """

    def __init__(self, parser: expat.XMLParserType) -> None:
        self.ended = 0
        self.texts: list[str] = []
        self._parser = parser
        self._size = self._tags = self._attributes = 0
        self._is_cut = False  # whether a tag may have been cut before its last character
        self._unsaid = 0  # bytes since an element has ended, or anything was said
        self._last = (0, 0)
        self._begun: int | None = None  # how many elements have, and had not ended, since each is counted

    def look_at(self, block: bytes) -> None:
        """Look at what the parser has done with a block.

        Raises:
            ValueError: There is too much in it that is not for a listing.
            LongAnswerError: A text is too long.
        """
        now = (self.ended, len(self.texts))
        self._unsaid = self._unsaid + len(block) if now == self._last else 0
        self._last = now
        if self._unsaid > MAX_TEXT or sum(map(len, self.texts)) > MAX_TEXT:
            raise LongAnswerError(_LONG)
        if len(self._parser.intern) > MAX_NAMES:
            raise ValueError("it has too many names of elements")
        if self._begun is None and self._is_doubtful(block):
            self._begun = self.ended
            self._parser.StartElementHandler = self._begin
            self._parser.StartNamespaceDeclHandler = _know

    def _is_doubtful(self, block: bytes) -> bool:
        if not self._size and not _PLAIN.match(block):
            return True  # of another encoding, characters could not be counted
        self._size += len(block)
        # Each element that has ended had two tags, or one with a slash.
        self._tags += block.count(b"<") + block.count(b"/>") + (self._is_cut and block.startswith(b">"))
        self._is_cut = block.endswith(b"/")
        self._attributes += block.count(b"=")
        depth = self._tags - 2 * self.ended
        return depth > MAX_DEPTH or self._attributes > MAX_NAMES + self._size / 64

    def _begin(self, name: str, attributes: object) -> None:
        assert self._begun is not None  # noqa: S101 - since elements are counted
        self._begun += 1
        if self._begun - self.ended > MAX_DEPTH:
            raise ValueError("it is nested too deeply")


def _know(*names: object) -> None:
    """Let the parser know the names of namespaces, to be counted among all names."""


def _read_into(complete: list[tuple[str, _Said]], parser: expat.XMLParserType, guard: _Guard) -> None:
    href = ""
    said = _NOTHING
    values: dict[str, str] = {}  # of one propstat; whether the server has them it says at the end of it
    texts = guard.texts

    def end(name: str) -> None:
        nonlocal href, said, values
        guard.ended += 1
        if name in _VALUES:
            values[name] = _joined(texts)
        elif name == _HREF:
            href = href or _joined(texts)  # a later one says something else, such as where it has moved to
        elif name == _PROPSTAT:
            if not is_refused(values.get(_STATUS)):
                said = _merged(said, values)
            values = {}
        elif name == _RESPONSE:
            if not href:
                raise ValueError("an entry has no href")
            complete.append((href, said))
            href, said, values = "", _NOTHING, {}
        texts.clear()

    # Where elements begin does not matter, as the text before is no more than space.
    parser.EndElementHandler = end
    parser.CharacterDataHandler = texts.append


def _joined(texts: list[str]) -> str:
    text = "".join(texts)
    if len(text) > MAX_TEXT:
        raise LongAnswerError(_LONG)
    return text.strip()


def _merged(said: _Said, values: dict[str, str]) -> _Said:
    is_collection, size, modified, etag = said
    get = values.get
    return is_collection or _COLLECTION in values, get(_SIZE, size), get(_MODIFIED, modified), get(_ETAG, etag)


def refuse_doctype(*doctype: object) -> None:
    """Raise a `ValueError`, for a parser that has come upon a document type."""
    # There are none in listings. Entities would come with it: these can be bombs, or name files of this machine.
    raise ValueError("it has a document type")


def _is_usable(name: str) -> bool:
    """Tell whether a name is one that resto gives to files: a host could lead astray with ``..``, or slashes."""
    try:
        return "/" not in name and clean_name(name) == name
    except (SuspiciousFileOperation, ValueError):
        return False


def _parts(href: str) -> list[str]:
    path = posixpath.normpath(urlsplit(href).path if "://" in href else href)
    return [unquote_name(part) for part in path.split("/") if part not in ("", ".")]


@lru_cache(16)
def is_refused(status: str | None) -> bool:
    """Tell whether a status within an answer is anything but a success; no status is one."""
    words = (status or "").split()
    return len(words) > 1 and words[1] != "200"
