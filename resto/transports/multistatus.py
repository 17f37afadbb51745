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
from resto.traffic import count_listed
from resto.transports.base import Directory
from resto.transports.limits import MAX_TEXT, LongAnswerError
from resto.transports.messages import Stream
from resto.transports.steps import natural, parse_http_date


__all__ = [
    "PROPFIND_BODY",
    "PROPFIND_SIZES_BODY",
    "Member",
    "is_refused",
    "parse_all_members",
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

_TYPE = "DAV: resourcetype"

_VALUES = frozenset({_STATUS, _TYPE, _COLLECTION, _SIZE, _MODIFIED, _ETAG})

_LONG = f"a text in its listing is longer than {MAX_TEXT} characters"

# How a document begins whose markup is ASCII, as that of all servers is.
_PLAIN = re.compile(rb"(?:\xef\xbb\xbf)?\s*<[!-~]")

_DOTS = frozenset({"", ".", ".."})

# The statuses of what is not there.
_GONE = frozenset({"404", "410"})

_BLOCK = 64 * 1024

# How deep elements may be nested, and how many different names they and their attributes may have, those of namespaces included.
# No server uses a tenth of these. The parser keeps each of them, for as long as it lives.
MAX_DEPTH = 64
MAX_NAMES = 1000

# What an entry says: whether it is a collection, its size, when it was modified, its etag; why it does not say what it is.
_Said = tuple[bool | None, str, str, str, str]
_NOTHING: _Said = (None, "", "", "", "the host does not say what it is")
_Found = list[tuple[str, _Said]]

# A path, by its parts; before them, the host that it is on.
_Path = tuple[str, ...]


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


def parse_members(stream: Stream, url: str = "") -> list[Member]:
    """Return the members of a collection, without names that resto would never give to a file, and without what is unknown.

    Args:
        stream: The body of an answer to a PROPFIND with ``Depth: 1``.
        url: Where the collection is. Behind a proxy, that is not what the server says.

    Raises:
        ValueError: The body is not such an answer.
        LongAnswerError: A text in it is longer than any name.
    """
    return [_member(name, said) for name, said in _parse(stream, url) if said[0] is not None and _is_usable(name)]


def parse_all_members(stream: Stream, url: str = "") -> list[Member]:
    """Do as `parse_members`, but refuse a listing in which something is unknown.

    Args:
        stream: As for `parse_members`.
        url: As for `parse_members`.

    Raises:
        ValueError: As for `parse_members`; or the server does not say what something is.
        LongAnswerError: As for `parse_members`.
    """
    found = [(name, said) for name, said in _parse(stream, url) if _is_usable(name)]
    for name, (is_collection, *_, problem) in found:
        if is_collection is None:
            raise ValueError(f"of {name!r}, {problem}")
    return [_member(name, said) for name, said in found]


def _member(name: str, said: _Said) -> Member:
    is_collection, size, modified, etag, _ = said
    return Member(
        name,
        bool(is_collection),
        None if is_collection else natural(size),
        parse_http_date(modified),
        etag or None,
    )


def parse_directory(stream: Stream, url: str = "") -> Directory:
    """Return what a collection holds; what the server does not tell of is among the others.

    Args:
        stream: The body of an answer to `PROPFIND_SIZES_BODY` with ``Depth: 1``.
        url: As for `parse_members`.

    Raises:
        ValueError: As for `parse_members`.
        LongAnswerError: As for `parse_members`.
    """
    directories: set[str] = set()
    files: dict[str, int | None] = {}
    unknown: dict[str, str] = {}
    for name, (is_collection, size, _, _, problem) in _parse(stream, url):
        if is_collection:
            directories.add(name)
        elif is_collection is None:
            unknown[name] = problem
        else:
            files[name] = natural(size)
    found = Directory.of(directories, files)
    found.others |= {name: problem for name, problem in unknown.items() if name not in found.others}
    return found


def _parse(stream: Stream, url: str) -> _Found:
    """Return the names of the members, and what is said of each."""
    try:
        by_parent = _by_parent(stream)
    except (expat.ExpatError, LookupError) as error:  # a LookupError: unknown encoding
        raise ValueError(f"{type(error).__name__}: {error}") from error
    if not by_parent:
        raise ValueError("it names nothing, not even the directory itself")
    wanted = _full(url)
    host, *parts = _top(by_parent, wanted)
    # A path is on the host that was asked. So is a URL, if the server has written one for the directory itself: it may know
    # another name of itself than whoever asks.
    hosts = {"", host} if host else {"", wanted[0]} if wanted[0] else {parent[0] for parent in by_parent if parent}
    return [one for host in sorted(hosts) for one in by_parent.get((host, *parts), [])]


def _top(by_parent: dict[_Path, _Found], wanted: _Path) -> _Path:
    """Return the path of the collection itself: that which was asked for, or else the shortest, whatever a proxy makes of paths.

    Raises:
        ValueError: There is none, or more than one.
    """
    tops = [*_named(by_parent, wanted)]
    if len(tops) > 1:  # there may be an entry of another host
        tops = [top for top in tops if top[0][0] in ("", wanted[0])]
    if not tops:
        shortest = min(map(len, by_parent))
        tops = [entry for parent in by_parent if len(parent) == shortest for entry in _entries(by_parent, parent)]
    if [is_collection for _, is_collection in tops] != [True]:
        raise ValueError("it is not about one directory")
    return tops[0][0]


def _named(by_parent: dict[_Path, _Found], wanted: _Path) -> Iterator[tuple[_Path, bool | None]]:
    for parent in by_parent:
        if len(parent) == len(wanted) - 1 and parent[1:] == wanted[1:-1]:
            yield from (entry for entry in _entries(by_parent, parent) if entry[0][1:] == wanted[1:])


def _entries(by_parent: dict[_Path, _Found], parent: _Path) -> Iterator[tuple[_Path, bool | None]]:
    return (((*parent, name), is_collection) for name, (is_collection, *_) in by_parent[parent])


def _by_parent(stream: Stream) -> dict[_Path, _Found]:
    """Return the last parts of paths, and what is said of each, by the path of the directory that they are in."""
    by_parent: dict[_Path, _Found] = {}
    siblings: dict[str, _Found] = {}
    for href, said in _responses(stream):
        # Most entries stand beside another one, so that the path to them need not be looked at again.
        path, _, last = href.rstrip("/").rpartition("/")
        if path in siblings and last not in _DOTS:
            siblings[path].append((unquote_name(last) if "%" in last else last, said))
            continue
        full = _full(href)
        same = by_parent.setdefault(full[:-1], [])
        same.append((full[-1], said))
        if "://" not in href and last not in _DOTS:
            siblings[path] = same
    return by_parent


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
        count_listed(sum(said[0] is False for _, said in complete))
        yield from complete
        complete.clear()
    parser.Parse(b"", True)  # noqa: FBT003 - it takes no keywords


class _Guard:
    """Sees to it that the memory of a parser does not grow with what a host sends.

    Nor its time: before version 2.6.0, expat begins anew with each block that does not bring the end of what another one has begun.

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
            said = _merged(said, values)
            values = {}
        elif name == _RESPONSE:
            if not href:
                raise ValueError("an entry has no href")
            refusal = _refusal(values.get(_STATUS))
            if refusal not in _GONE:
                complete.append((href, (None, "", "", "", _refused(refusal)) if refusal else said))
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
    """Return what is said of an entry, and in one more propstat of it."""
    refusal = _refusal(values.get(_STATUS))
    is_collection, size, modified, etag, problem = said
    if refusal:
        is_told = _TYPE in values and refusal not in _GONE  # else it may only lack the property
        return is_collection, size, modified, etag, _refused(refusal) if is_told else problem
    get = values.get
    if _TYPE in values or _COLLECTION in values:
        is_collection = bool(is_collection) or _COLLECTION in values
    return is_collection, get(_SIZE, size), get(_MODIFIED, modified), get(_ETAG, etag), problem


def _refused(refusal: str) -> str:
    return f"the host answers {refusal} for it"


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


def _full(href: str) -> _Path:
    host = urlsplit(href).netloc.lower() if "://" in href else ""
    # Not its path as a URL: names in listings have "?" and "#" in them, which some servers do not encode.
    path = posixpath.normpath(href.partition("://")[2].partition("/")[2] if host else href)
    return (host, *(unquote_name(part) for part in path.split("/") if part not in ("", ".")))


def is_refused(status: str | None) -> bool:
    """Tell whether a status within an answer is anything but a success; no status is one."""
    return bool(_refusal(status))


@lru_cache(16)
def _refusal(status: str | None) -> str:
    """Return the number of a status within an answer, if it is anything but a success."""
    words = (status or "").split()
    return words[1] if len(words) > 1 and words[1] != "200" else ""
