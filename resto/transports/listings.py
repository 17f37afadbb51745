"""Listings in JSON, as nginx gives them with ``autoindex_format json``."""

import json
from typing import Any

from resto.transports.base import Directory


__all__ = ["parse_autoindex"]


def parse_autoindex(text: bytes) -> Directory:
    """Return what a directory holds.

    Args:
        text: The body of the answer to the GET of a directory.

    Raises:
        ValueError: It is not such a listing.
    """
    directories: set[str] = set()
    files: dict[str, int | None] = {}
    others: dict[str, str] = {}
    seen = 0

    def add(entry: dict[str, Any]) -> None:
        # While the text is parsed, so that no list of all entries is needed.
        nonlocal seen
        seen += 1
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

    # Names need not be text: what is not UTF-8 is kept as it is.
    entries = json.loads(text.decode("utf-8", "surrogateescape"), object_hook=add)
    if not isinstance(entries, list) or len(entries) != seen or any(entry is not None for entry in entries):
        raise ValueError("it is not a list of entries")
    directory = Directory.of(directories, files)
    directory.others.update(others)
    return directory
