"""Listings: what a PROPFIND asks for, and what the answers say (RFC 4918, sections 9.1 and 14.16)."""

import posixpath
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit
from xml.etree.ElementTree import Element, ParseError

from defusedxml import ElementTree
from defusedxml.common import DefusedXmlException
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

# What servers keep beside files while an upload runs, or after it was killed.
_LEFTOVERS = {
    "apache": re.compile(r"^\.davfs\.tmp"),
    "lighttpd": re.compile(r"\.\d+\.\d+~$"),
    "nginx": re.compile(r"\.0\d{9}$"),
}


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
    return [member for member in _parse(stream, server, _member) if _is_usable(member.name)]


def parse_directory(stream: Stream, server: str) -> Directory:
    """Return what a collection holds, without the server's own temporary files.

    Args:
        stream: The body of an answer to `PROPFIND_SIZES_BODY` with ``Depth: 1``.
        server: As for `parse_members`.

    Raises:
        ValueError: As for `parse_members`.
    """
    directory = Directory()
    for member in _parse(stream, server, _sized_member):
        directory.add(member.name, member.size, is_directory=member.is_collection)
    return directory


def _parse(stream: Stream, server: str, read: Callable[[str, Element], Member]) -> Iterator[Member]:
    try:
        # At once: as elements they would need many times the memory.
        found = [(len(parts), read(parts[-1] if parts else "", response)) for parts, response in _responses(stream)]
    except (ParseError, DefusedXmlException, LookupError) as error:  # a LookupError: unknown encoding
        raise ValueError(f"{type(error).__name__}: {error}") from error
    if not found:
        raise ValueError("it names nothing, not even the directory itself")
    # The collection itself has the shortest path, whatever a proxy makes of the paths.
    top = min(depth for depth, _ in found)
    itself = [member for depth, member in found if depth == top]
    if len(itself) != 1 or not itself[0].is_collection:
        raise ValueError("it is not about one directory")
    leftover = _LEFTOVERS.get(server)
    for depth, member in found:
        if depth == top + 1 and not (leftover and leftover.search(member.name)):
            yield member


def _is_usable(name: str) -> bool:
    """Tell whether a name is one that resto gives to files: a host could lead astray with ``..``, or slashes."""
    try:
        return "/" not in name and clean_name(name) == name
    except (SuspiciousFileOperation, ValueError):
        return False


def _responses(stream: Stream) -> Iterator[tuple[list[str], Element]]:
    for _, element in ElementTree.iterparse(stream):
        if element.tag == "{DAV:}response":
            href = element.findtext("{DAV:}href")
            if not href:
                raise ValueError("an entry has no href")
            yield _parts(href.strip()), element
            element.clear()


def _parts(href: str) -> list[str]:
    path = posixpath.normpath(urlsplit(href).path if "://" in href else href)
    return [unquote_name(part) for part in path.split("/") if part not in ("", ".")]


def _member(name: str, response: Element) -> Member:
    _remove_refused(response)

    def text(tag: str) -> str:
        return (response.findtext(f"{{DAV:}}propstat/{{DAV:}}prop/{{DAV:}}{tag}") or "").strip()

    is_collection = response.find("{DAV:}propstat/{DAV:}prop/{DAV:}resourcetype/{DAV:}collection") is not None
    size = text("getcontentlength")
    return Member(
        name,
        is_collection,
        None if is_collection else natural(size),
        parse_http_date(text("getlastmodified")),
        text("getetag") or None,
    )


def _remove_refused(response: Element) -> None:
    """Remove the properties that the server does not have."""
    for propstat in response.findall("{DAV:}propstat"):
        if _is_refused(propstat.findtext("{DAV:}status")):
            response.remove(propstat)


def _is_refused(status: str | None) -> bool:
    words = (status or "").split()
    return len(words) > 1 and words[1] != "200"


def _sized_member(name: str, response: Element) -> Member:
    """Do as `_member`, for kind and size only, in one pass: there may be very many."""
    size, is_collection = None, False
    for propstat in response.iterfind("{DAV:}propstat"):
        if _is_refused(propstat.findtext("{DAV:}status")):
            continue
        for found in propstat.iterfind("{DAV:}prop/*"):
            if found.tag == "{DAV:}getcontentlength":
                size = natural((found.text or "").strip())
            elif found.tag == "{DAV:}resourcetype":
                is_collection = is_collection or found.find("{DAV:}collection") is not None
    return Member(name, is_collection, None if is_collection else size, None, None)
