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
from resto.transports.messages import Stream
from resto.transports.steps import natural, parse_http_date


__all__ = ["PROPFIND_BODY", "PROPFIND_SIZES_BODY", "Member", "parse_directory", "parse_members"]

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

_DOTS = frozenset({"", ".", ".."})

_BLOCK = 64 * 1024

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
    parser.StartDoctypeDeclHandler = _refuse
    _read_into(complete, parser)
    while block := stream.read(_BLOCK):
        parser.Parse(block)
        yield from complete
        complete.clear()
    parser.Parse(b"", True)  # noqa: FBT003 - it takes no keywords


def _read_into(complete: list[tuple[str, _Said]], parser: expat.XMLParserType) -> None:
    href = ""
    said = _NOTHING
    values: dict[str, str] = {}  # of one propstat; whether the server has them it says at the end of it
    texts: list[str] = []

    def end(name: str) -> None:
        nonlocal href, said, values
        if name in _VALUES:
            values[name] = "".join(texts).strip()
        elif name == _HREF:
            href = href or "".join(texts).strip()  # a later one says something else, such as where it has moved to
        elif name == _PROPSTAT:
            if not _is_refused(values.get(_STATUS)):
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


def _merged(said: _Said, values: dict[str, str]) -> _Said:
    is_collection, size, modified, etag = said
    get = values.get
    return is_collection or _COLLECTION in values, get(_SIZE, size), get(_MODIFIED, modified), get(_ETAG, etag)


def _refuse(*doctype: object) -> None:
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
def _is_refused(status: str | None) -> bool:
    words = (status or "").split()
    return len(words) > 1 and words[1] != "200"
