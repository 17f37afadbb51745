"""The identity of a master copy: a file in its directory, read and written through a descriptor of that directory.

No number of looks by path is enough: between two of them another directory may be mounted there, and be gone again.
"""

import os
import secrets
from collections.abc import Callable
from typing import NamedTuple, Protocol, TypeVar

from resto.exceptions import ConfigurationError
from resto.names import MASTER_IDENTITY, TEMPORARY_PREFIX


__all__ = [
    "MAX_SIZE",
    "Believer",
    "Found",
    "Identity",
    "Proof",
    "ReplacedMeanwhileError",
    "Seal",
    "keep_identity",
    "new_identity",
    "read_identity",
    "replace_identity",
    "require_exclusive_links",
    "seal_from",
    "seal_of",
    "text_of",
    "values_of",
]

T = TypeVar("T")

# Of an identity file: device, inode, size, and when its content and anything else of it has changed. A directory that was emptied
# and restored in place has another one.
Seal = tuple[int, int, int, int, int]

_MODE = 0o644  # whoever serves the files, or drains, may be another user
MAX_SIZE = 1_000  # bytes

_FORMER = "former"  # the name of a value in the file


class Identity(NamedTuple):
    """Which directory it is, and that it is the one that went on.

    Attributes:
        id: Never changes, and no other directory has it, but for copies; empty in a file that is not whole.
        mark: Another one each hour. A copy keeps the one that it was made with.
    """

    id: str
    mark: str


class Found(NamedTuple):
    """An identity file as it was read.

    Attributes:
        former: While it is being adopted, the ids that the directory had, and that the one had whose place it takes; empty where
            there was none. None at any other time.
    """

    identity: Identity
    seal: Seal
    former: tuple[str, str] | None = None


class Proof:
    """What one action has seen of the identity of the directory, so that all of its accesses are to the same one.

    Attributes:
        seal: Of the identity file; None before the first access, and where there is none.
        mark: That the file held then.
        unknown_until: Up to when the action need not look again whether anybody knows of an identity, by the clock of the believer.
    """

    __slots__ = ("mark", "seal", "unknown_until")

    def __init__(self) -> None:
        self.seal: Seal | None = None
        self.mark = ""
        self.unknown_until = 0.0


class ReplacedMeanwhileError(ConfigurationError):
    """The directory has ceased to be the master copy while something was written; what hosts have of it is not known."""


class Believer(Protocol):
    """Decides whether a directory is the master copy."""

    def prove(self, root: int, proof: Proof, *, is_save: bool = False) -> None:
        """Raise unless the directory is what it should be.

        Args:
            root: A descriptor of the directory.
            proof: What the action has seen before; is completed.
            is_save: Whether a new master copy may begin with this.

        Raises:
            ConfigurationError: It is not. Nothing may be written, sent or removed on its account.
        """

    def require_unknown(self, *, is_save: bool = False) -> None:
        """Raise `ConfigurationError` if there should be a directory, of which there is none.

        Args:
            is_save: As for `prove`.
        """

    def require_whole(self) -> None:
        """Raise `ConfigurationError` if the directory lacks files that are still to be brought back."""

    def check_place(self, root: int, directory: str) -> None:
        """Raise `ConfigurationError` unless all that was mounted on the way to a directory is, and remember what is.

        Args:
            root: A descriptor of the master copy.
            directory: Within it.
        """


def new_identity() -> Identity:
    """Return an identity that no directory has."""
    return Identity(secrets.token_hex(16), secrets.token_hex(16))


def seal_of(root: int) -> Seal | None:
    """Return the seal of the identity file of a directory; None if there is none."""
    # Not stat: NFS serves that from a cache, and looks again when a file is opened.
    return _opened(root, lambda descriptor: seal_from(os.fstat(descriptor)))


def read_identity(root: int) -> Found | None:
    """Read the identity file of a directory; return None if there is none.

    Args:
        root: A descriptor of the directory.
    """
    found = _read(root)
    if found is None and _refreshed(root):
        found = _read(root)
    return found


def _read(root: int) -> Found | None:
    return _opened(root, lambda descriptor: _found(os.read(descriptor, MAX_SIZE), seal_from(os.fstat(descriptor))))


def _opened(root: int, look: Callable[[int], T]) -> T | None:
    """Look at the identity file of a directory, open; return None if there is none."""
    try:
        descriptor = os.open(MASTER_IDENTITY, os.O_RDONLY | os.O_NONBLOCK, dir_fd=root)
    except FileNotFoundError:
        return None
    try:
        return look(descriptor)
    finally:
        os.close(descriptor)


def _refreshed(root: int) -> bool:
    """Let NFS forget that a file is missing, as it does when the directory changes; return whether that was possible."""
    try:
        _remove(root, _written(root, b""))
    except OSError:  # such as in a directory that may only be read
        return False
    return True


def keep_identity(root: int, identity: Identity) -> None:
    """Give a directory an identity, unless it has one: whole, and exclusively.

    Raises:
        OSError: It cannot be written.
    """
    temporary = _written(root, _content(identity))
    try:
        os.link(temporary, MASTER_IDENTITY, src_dir_fd=root, dst_dir_fd=root)
    except FileExistsError:
        pass
    except OSError:
        _keep_without_links(root, identity)
    finally:
        _remove(root, temporary)


def _keep_without_links(root: int, identity: Identity) -> None:
    """Do so on a file system without hard links. Whoever reads it before it is whole finds none that it knows, and refuses."""
    try:
        descriptor = os.open(MASTER_IDENTITY, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE, dir_fd=root)
    except FileExistsError:
        return
    _fill(root, MASTER_IDENTITY, descriptor, _content(identity))


def replace_identity(root: int, identity: Identity, former: tuple[str, str] | None = None) -> None:
    """Give a directory another identity, or another mark.

    Args:
        root: A descriptor of the directory.
        identity: Which one.
        former: As for `Found`.

    Raises:
        OSError: It cannot be written.
    """
    temporary = _written(root, _content(identity, former))
    try:
        os.replace(temporary, MASTER_IDENTITY, src_dir_fd=root, dst_dir_fd=root)
    except BaseException:
        _remove(root, temporary)
        raise


def require_exclusive_links(root: int, location: str) -> None:
    """Raise if the file system lets two links have the same name: two saves would get the same one, and one would be lost.

    Args:
        root: A descriptor of the directory.
        location: Its path, for the error.

    Raises:
        ConfigurationError: It does.
    """
    first, second = _written(root, b""), _written(root, b"")
    try:
        os.link(first, second, src_dir_fd=root, dst_dir_fd=root)
    except OSError:  # the name is taken; or there are no links at all, and the name of a file is taken in another way
        return
    finally:
        _remove(root, first)
        _remove(root, second)
    problem = f"the file system of {location} lets a link replace a file, so that two saves may get the same name"
    raise ConfigurationError(problem, "Mount another one, or this one with other options.", "E020")


def _written(root: int, content: bytes) -> str:
    name = f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}"
    descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE, dir_fd=root)
    _fill(root, name, descriptor, content)
    return name


def _fill(root: int, name: str, descriptor: int, content: bytes) -> None:
    """Write all of a new file, and close it; leave none if there is no room."""
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, _MODE)
            if content:
                file.write(content)
                file.flush()
                os.fsync(descriptor)
    except BaseException:
        _remove(root, name)
        raise


def _remove(root: int, name: str) -> None:
    os.unlink(name, dir_fd=root)


def text_of(sentence: str, **values: str) -> bytes:
    """Return the content of an identity file: what it is for people, and a line for each value.

    Args:
        sentence: For people.
        **values: For resto.
    """
    return "\n".join([sentence, *(f"{name} {value}" for name, value in values.items()), ""]).encode()


def values_of(content: bytes) -> dict[str, str]:
    """Return the values of an identity file, by their names, and whatever else looks like that."""
    return dict(line.partition(" ")[::2] for line in content.decode(errors="replace").splitlines())


def _content(identity: Identity, former: tuple[str, str] | None = None) -> bytes:
    return text_of(
        "This directory is the master copy of a site that uses resto. Leave this file here, and do not copy it.",
        **identity._asdict(),
        **({} if former is None else {_FORMER: ",".join(former)}),
    )


def _found(content: bytes, seal: Seal) -> Found:
    values = values_of(content)
    had, comma, replaced = values.get(_FORMER, "").partition(",")
    former = (had, replaced) if comma else None
    return Found(Identity(values.get("id", ""), values.get("mark", "")), seal, former)


def seal_from(status: os.stat_result) -> Seal:
    """Return the seal of an identity file.

    Args:
        status: Of the file.
    """
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
