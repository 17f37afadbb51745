"""The XML answer to PROPFIND."""

from __future__ import annotations

from email.utils import formatdate
from html import escape
from typing import TYPE_CHECKING
from urllib.parse import quote


if TYPE_CHECKING:
    from collections.abc import Iterable

    from resto.testing.files import Entry


_HEAD = '<?xml version="1.0" encoding="utf-8"?>\n<D:multistatus xmlns:D="DAV:">\n'
_TAIL = "</D:multistatus>\n"


def format_multistatus(entries: Iterable[tuple[str, Entry]]) -> bytes:
    """Describe files and directories, in the order given.

    Args:
        entries: Pairs of a name (relative to the server's root, not percent-encoded) and what it is.

    Source: RFC 4918, section 9.1 (PROPFIND) and section 14 (the elements).
    """
    return (_HEAD + "".join(_format_response(name, entry) for name, entry in entries) + _TAIL).encode()


def _format_response(name: str, entry: Entry) -> str:
    href = "/" + quote(name, errors="surrogateescape")
    if entry.is_directory and name:
        href += "/"
    properties = {"getlastmodified": formatdate(entry.modified, usegmt=True)}
    if entry.is_directory:
        kind = "<D:resourcetype><D:collection/></D:resourcetype>"
    else:
        kind = "<D:resourcetype/>"
        properties |= {"getcontentlength": str(entry.size), "getetag": entry.etag}
    values = "".join(f"<D:{key}>{escape(value)}</D:{key}>" for key, value in properties.items())
    return (
        f"<D:response><D:href>{escape(href)}</D:href><D:propstat><D:prop>{kind}{values}</D:prop>"
        "<D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response>\n"
    )
