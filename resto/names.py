"""File names: which ones are safe to send to a host, and how they stand in a URL."""

import errno
import hashlib
import os
import posixpath
import re
import secrets
from collections.abc import Collection
from functools import lru_cache
from urllib.parse import quote, unquote

from django.core.exceptions import SuspiciousFileOperation


__all__ = [
    "HOST_IDENTITY",
    "MASTER_IDENTITY",
    "MAX_PART_BYTES",
    "TEMPORARY_PREFIX",
    "canonical_name",
    "clean_directory",
    "clean_name",
    "is_canonical",
    "is_impossible",
    "is_left_over",
    "is_ordinary",
    "is_possible",
    "is_temporary",
    "is_unfinished",
    "path_text",
    "problem_of_part",
    "problems_of_parts",
    "quote_name",
    "relative_name",
    "require_canonical",
    "require_new",
    "require_possible",
    "require_storable",
    "restored_name",
    "shown",
    "temporary_name",
    "unquote_name",
]

TEMPORARY_PREFIX = ".resto-"
_COMPOSED, _DECOMPOSED = "\u00e9", "e\u0301"  # a letter with an accent, in both forms of Unicode
_UNFINISHED = re.compile(f"{re.escape(TEMPORARY_PREFIX)}[0-9a-f]{{16}}({_COMPOSED}|{_DECOMPOSED})?")
_UNRESTORED = re.compile(re.escape(TEMPORARY_PREFIX) + "restore-[0-9a-f]{32}")

# What says which directory is the master copy, and which server is which host. They do not begin as temporary names do, since
# version 0.1 removes those.
MASTER_IDENTITY, HOST_IDENTITY = ".resto.master", ".resto.host"

# What no common file system goes beyond: bytes of a part of a path, and of all of it (Linux: NAME_MAX and PATH_MAX).
MAX_PART_BYTES, _LONGEST_PATH = 255, 4095

# Servers take a URL of some 8,000 bytes. One that is longer than this may be too long beside header fields.
_LONG_URL = 4_000

_CONTROL_CHARACTERS = frozenset(map(chr, [*range(0x20), 0x7F]))

# Not the names of files: those of resto's own, what servers were told to take for the index of a directory, and where Apache keeps the
# properties of files.
_OWN_PREFIXES = (TEMPORARY_PREFIX, ".resto.")
_TAKEN = frozenset({".no-index", ".DAV"})

# What some readers of a log take for the end of a line, what terminals obey, and what lets a text run backwards (Unicode
# Standard Annex 9, section 2).
_MISLEADING = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")

# What most names are made of. There may be many to look at, and nothing is wrong with these.
_ORDINARY = re.compile(f"[A-Za-z0-9_][A-Za-z0-9_. -]{{,{MAX_PART_BYTES - 1}}}")
_UNRESERVED = re.compile("[A-Za-z0-9_.~/-]*")
_ALL_ORDINARY = re.compile(f"(?:{_ORDINARY.pattern}+/)*+")


def is_ordinary(name: object) -> bool:
    """Tell whether a name is made of letters, digits and the like, so that nothing can be wrong with it but its length.

    It is canonical, and neither Django nor a server has anything against it.
    """
    return type(name) is str and _ALL_ORDINARY.fullmatch(f"{name}/") is not None


def path_text(name: object) -> str:
    """Return what is given as a name, a string or a path, as a string.

    Raises:
        TypeError: It is something else, as Django has it: the text of a number may be the name of another file.
    """
    text = os.fspath(name)  # type: ignore[call-overload]  # it is asked because it may be anything
    if not isinstance(text, str):
        raise TypeError(f"the name of a file must be a string or a path, not {type(name).__name__}")
    return text


def clean_name(name: str) -> str:
    """Return the canonical form of a file's name: relative, ``/`` between parts, no empty or dot parts.

    Args:
        name: A name as Django's storage API takes it. A backslash is a character like others, as in a path of the system.

    Raises:
        TypeError: The name is neither a string nor a path.
        ValueError: It is empty.
        SuspiciousFileOperation: It is absolute, leads out of its directory by ``..``, contains a control character or text
            that UTF-8 cannot express, is that of the root, or of resto's own files.
    """
    if is_ordinary(name):
        return name
    name = path_text(name)
    if not name:
        raise ValueError("the name of a file must not be empty")
    cleaned = clean_directory(name)
    if not cleaned:
        raise SuspiciousFileOperation(f"{name!r} names a directory, a file is needed")
    if is_temporary(cleaned):
        raise SuspiciousFileOperation(
            f"{name!r} is a name of resto's own files: all that begin with {TEMPORARY_PREFIX!r}, and identities"
        )
    return cleaned


def canonical_name(name: str | None) -> str | None:
    """Return the canonical form of a file's name; None if it has none, as it is that of no file.

    Args:
        name: As for `clean_name`; or whatever else Django makes a URL of.
    """
    try:
        return clean_name(name or "")
    except (TypeError, ValueError, SuspiciousFileOperation):
        return None


def clean_directory(name: str) -> str:
    """Return the canonical form of a directory's name; ``""`` is the root of the storage.

    Raises:
        TypeError: As in `clean_name`.
        SuspiciousFileOperation: As in `clean_name`, except that a name may be empty.
    """
    cleaned = relative_name(name)
    for part in cleaned.split("/"):
        _check_part(cleaned, part)
    return cleaned


def relative_name(name: str) -> str:
    """Return a name without empty and dot parts, whatever else it may contain; ``""`` for the root of the storage.

    Raises:
        TypeError: As in `clean_name`.
        SuspiciousFileOperation: It is absolute, or leads out of its directory by ``..``.
    """
    name = path_text(name)
    if name.startswith("/"):
        raise SuspiciousFileOperation(f"{name!r} is an absolute path, a relative one is needed")
    parts: list[str] = []
    for part in name.split("/"):
        if part == "..":
            if not parts:
                raise SuspiciousFileOperation(f"{name!r} leads out of its directory by '..'")
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)


def _check_part(name: str, part: str) -> None:
    if ".." in part.split("\\"):  # where a server takes backslashes for slashes, it would climb
        raise SuspiciousFileOperation(f"{name!r} contains '..'")
    if not _CONTROL_CHARACTERS.isdisjoint(part):
        raise SuspiciousFileOperation(f"{name!r} contains a control character")
    try:
        part.encode()
    except UnicodeEncodeError as error:
        raise SuspiciousFileOperation(f"{name!r} cannot be encoded as UTF-8") from error


def require_storable(name: str) -> None:
    """Refuse a name that a media server could not store, before anything is written.

    Args:
        name: A canonical name.

    Raises:
        SuspiciousFileOperation: A part of the name is longer than `MAX_PART_BYTES` in UTF-8.
    """
    for part in name.split("/"):
        length = len(part.encode())
        if length > MAX_PART_BYTES:
            raise SuspiciousFileOperation(f"{part!r} is {length} bytes long, file systems take {MAX_PART_BYTES}")


def require_possible(name: str) -> None:
    """Refuse a name that no file can have, wherever it may come from: servers do not say that they lack it, but that it is wrong.

    Args:
        name: A canonical name.

    Raises:
        OSError: It is too long, as Django's `FileSystemStorage` says it.
    """
    if not is_possible(name):
        raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG), name)


def is_possible(name: str) -> bool:
    """Tell whether any file can have a name, as it is not too long.

    Args:
        name: A canonical name.
    """
    if len(name) * 4 > _LONGEST_PATH and len(name.encode()) > _LONGEST_PATH:
        return False
    return len(name) * 4 <= MAX_PART_BYTES or all(len(part.encode()) <= MAX_PART_BYTES for part in name.split("/"))


def require_new(name: str) -> None:
    """Refuse a name that no new file may get. One that has such a name already can be read, replicated and deleted.

    Args:
        name: A canonical name.

    Raises:
        SuspiciousFileOperation: The name contains a character that misleads whoever reads it, or a part of it is for resto's own
            files, or means something to the servers.
        OSError: It is too long.
    """
    require_possible(name)
    if is_ordinary(name):
        return
    if _MISLEADING.search(name):
        raise SuspiciousFileOperation(
            f"{name!r} contains a character that ends a line, or turns the direction of a text"
        )
    for part in name.split("/"):
        if part.startswith(_OWN_PREFIXES) or part in _TAKEN:
            raise SuspiciousFileOperation(f"{name!r} contains {part!r}, which is not for files of a site")


@lru_cache(1024)  # the same name goes to all hosts
def is_canonical(name: str) -> bool:
    """Tell whether a name is as `clean_name` returns it."""
    if is_ordinary(name):
        return True
    try:
        return clean_name(name) == name
    except (ValueError, SuspiciousFileOperation):
        return False


def require_canonical(name: str) -> None:
    """Refuse what is no name of a file as `clean_name` returns it.

    Raises:
        SuspiciousFileOperation: It is not.
    """
    if not is_canonical(name):
        raise SuspiciousFileOperation(f"{name!r} is not the name of a file")


def shown(text: str) -> str:
    """Return a name, or a text with one, so that it stands in one line and cannot be taken for something else.

    Hosts can make names up, and some are no text at all.
    """
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def problem_of_part(part: str) -> str | None:
    """Return why something that is found in a directory cannot be a part of a name, a sentence fragment; None if it can.

    Args:
        part: What a directory calls it.
    """
    if _ORDINARY.fullmatch(part):
        return None
    if is_left_over(part):
        return "it is what an unfinished upload, or a probe, has left"
    if part.startswith(TEMPORARY_PREFIX):
        return f"names that begin with {TEMPORARY_PREFIX!r} are for files of resto's own, and this is none: give it another name"
    if is_temporary(part):
        return "it says which directory or server this is"
    if "/" in part:
        return "its name contains a slash, which is the end of a directory's name"
    try:
        require_storable(clean_name(part))
    except (SuspiciousFileOperation, ValueError) as error:
        return f"its name cannot be stored: {error}"
    return None


def problems_of_parts(parts: Collection[str]) -> dict[str, str]:
    """Return what `problem_of_part` says of each part of which it says something; quick if there are very many."""
    joined = "/".join([*parts, ""])
    if _ALL_ORDINARY.fullmatch(joined) and joined.count("/") == len(parts):
        return {}
    return {part: problem for part in parts if (problem := problem_of_part(part)) is not None}


def is_temporary(name: str) -> bool:
    """Tell whether a name is that of a file of resto's own, which is never replicated or listed: an unfinished upload, or an identity."""
    part = posixpath.basename(name)
    return part.startswith(TEMPORARY_PREFIX) or part in (MASTER_IDENTITY, HOST_IDENTITY)


def is_unfinished(name: str) -> bool:
    """Tell whether a name is one that `temporary_name` makes up: of an upload that has not come to its end, or of a probe."""
    return _UNFINISHED.fullmatch(posixpath.basename(name)) is not None


def is_left_over(name: str) -> bool:
    """Tell whether a name is one that resto makes up, and not only one that begins like it: of what is not finished, or is tried."""
    return is_unfinished(name) or _UNRESTORED.fullmatch(posixpath.basename(name)) is not None


def restored_name(name: str) -> str:
    """Return under which name a file is brought back, until it is whole: it follows from the file's own, so that a deletion finds it.

    Args:
        name: In canonical form.
    """
    directory, slash, part = name.rpartition("/")
    digest = hashlib.sha256(part.encode(errors="surrogatepass")).hexdigest()[:32]
    return f"{directory}{slash}{TEMPORARY_PREFIX}restore-{digest}"


def temporary_name(name: str) -> str:
    """Return a new temporary name in the same directory as ``name``."""
    return posixpath.join(posixpath.dirname(name), TEMPORARY_PREFIX + secrets.token_hex(8))


def accented_names() -> tuple[str, str]:
    """Return a new temporary name at the top, as Unicode composes it, and as it decomposes it."""
    name = temporary_name("")
    return name + _COMPOSED, name + _DECOMPOSED


@lru_cache(1024)  # the same name goes to all hosts
def quote_name(name: str) -> str:
    """Return a name as the path of a URL, each part percent-encoded with nothing left to interpretation.

    An unescaped ``?`` or ``#`` would turn the deletion of a file into that of its directory.

    Source: RFC 3986, section 2.
    """
    if _UNRESERVED.fullmatch(name):
        return name
    return "/".join(quote(part, safe="") for part in name.split("/"))


def is_impossible(name: str, status: int) -> bool:
    """Tell whether a server has answered that it can have no file of this name, as its URL is too long.

    Args:
        name: The file's name.
        status: 414 says so (nginx, Apache). So does 431 (lighttpd, rclone), which may be about header fields, too.
    """
    return status == 414 or (status == 431 and len(quote_name(name)) > _LONG_URL)


def unquote_name(path: str) -> str:
    """Return the name that a percent-encoded path stands for, the inverse of `quote_name`."""
    return unquote(path, errors="surrogateescape")
