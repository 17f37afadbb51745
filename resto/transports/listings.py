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
    directory = Directory()
    seen = 0

    def add(entry: dict[str, Any]) -> None:
        # While the text is parsed, so that no list of all entries is needed.
        nonlocal seen
        name, kind, size = entry.get("name"), entry.get("type"), entry.get("size")
        if not isinstance(name, str) or not name or kind not in ("file", "directory", "other"):
            raise ValueError("an entry has no name or type")
        seen += 1
        if kind == "other":
            directory.others[name] = "it is neither a file nor a directory"
        else:
            known = size if isinstance(size, int) and not isinstance(size, bool) and size >= 0 else None
            directory.add(name, known, is_directory=kind == "directory")

    # Names need not be text: what is not UTF-8 is kept as it is.
    entries = json.loads(text.decode("utf-8", "surrogateescape"), object_hook=add)
    if not isinstance(entries, list) or len(entries) != seen or any(entry is not None for entry in entries):
        raise ValueError("it is not a list of entries")
    return directory
