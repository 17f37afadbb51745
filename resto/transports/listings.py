"""Listings in JSON, as nginx gives them with ``autoindex_format json``."""

import codecs
import json
import re
from collections.abc import Callable
from typing import Any, Protocol

from resto.traffic import count_listed
from resto.transports.base import Directory
from resto.transports.limits import MAX_TEXT, LongAnswerError


__all__ = ["parse_autoindex"]

_BLOCK = 64 * 1024

_LONG = f"an entry of its listing is longer than {MAX_TEXT} characters"

# What stands before the first entry, before any other one, and after the last.
_OPENED = re.compile(r"[ \t\n\r]*\[[ \t\n\r]*")
_NEXT = re.compile(r"[ \t\n\r]*,[ \t\n\r]*")
_CLOSED = re.compile(r"[ \t\n\r]*\][ \t\n\r]*")


class Readable(Protocol):
    """The body of an answer."""

    def read(self, size: int, /) -> bytes: ...


def parse_autoindex(stream: Readable) -> Directory:
    """Return what a directory holds.

    Args:
        stream: The body of the answer to the GET of a directory.

    Raises:
        ValueError: It is not such a listing.
        LongAnswerError: An entry is longer than any name.
    """
    directories: set[str] = set()
    files: dict[str, int | None] = {}
    others: dict[str, str] = {}
    told = 0

    def add(entry: dict[str, Any]) -> None:
        # While the text is parsed, so that no list of all entries is needed.
        name, kind = entry.get("name"), entry.get("type")
        if not isinstance(name, str) or not name:
            raise ValueError("an entry has no name")
        if kind == "file":
            size = entry.get("size")
            files[name] = size if type(size) is int and size >= 0 else None  # not a bool
        elif kind == "directory":
            directories.add(name)
        elif kind == "other":
            others[name] = "it is neither a file nor a directory"
        else:
            raise ValueError("an entry has no type")

    def tell() -> None:
        nonlocal told
        count_listed(len(files) - told)
        told = len(files)

    _read_entries(stream, add, tell)
    directory = Directory.of(directories, files)
    directory.others.update(others)
    return directory


def _read_entries(stream: Readable, add: Callable[[dict[str, Any]], None], tell: Callable[[], None]) -> None:
    # Names need not be text: what is not UTF-8 is kept as it is.
    decode = codecs.getincrementaldecoder("utf-8")("surrogateescape").decode
    entries = _Entries(add)
    unread = ""
    while block := stream.read(_BLOCK):
        unread = entries.take(unread + decode(block))
        tell()
    entries.end(unread + decode(b"", final=True))


class _Entries:
    """Takes entries from a list that arrives bit by bit: of a hostile one, all parts together may need twenty times its size.

    Args:
        add: Told each entry.
    """

    def __init__(self, add: Callable[[dict[str, Any]], None]) -> None:
        self._add = add
        self._scan = json.JSONDecoder(object_hook=self._hook).raw_decode
        self._before = _OPENED
        self._is_told = False

    def _hook(self, entry: dict[str, Any]) -> None:
        if self._is_told:
            raise ValueError("an entry holds another one")
        self._add(entry)
        self._is_told = True

    def take(self, text: str) -> str:
        """Take the entries that a text begins with, and return what is left of it.

        Raises:
            ValueError: It cannot be the next part of a listing.
            LongAnswerError: An entry is longer than any name.
        """
        position, scan = 0, self._scan
        while (before := self._before.match(text, position)) is not None:
            start = before.end()
            try:
                entry, end = scan(text, start)
            except json.JSONDecodeError:
                break  # it may be whole when more has arrived
            if entry is not None or not self._is_told:
                raise ValueError("it is not a list of entries")
            if end - start > MAX_TEXT:
                raise LongAnswerError(_LONG)
            self._before, self._is_told, position = _NEXT, False, end
        return self._checked(text[position:])

    def _checked(self, rest: str) -> str:
        if self._before is _OPENED and rest.strip()[:1] not in ("", "["):
            raise ValueError("it is not a list")
        if len(rest) > MAX_TEXT:
            raise LongAnswerError(_LONG)
        return rest

    def end(self, rest: str) -> None:
        """Make sure that nothing is left but the end of the list.

        Raises:
            ValueError: Something else is.
        """
        if self._before is _OPENED:
            opened = _OPENED.match(rest)
            rest = rest[opened.end() :] if opened else ""
        if not _CLOSED.fullmatch(rest):
            raise ValueError("it is not a list of entries")
