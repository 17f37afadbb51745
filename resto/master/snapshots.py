"""Snapshots: files of the master copy that are held open while they are sent, and the state that each had then."""

import errno
import io
import math
import os
import stat
import time
from collections.abc import Iterable
from contextvars import ContextVar
from typing import Protocol, Self

from resto.exceptions import os_error
from resto.master.identity import Proof
from resto.master.root import Root


__all__ = [
    "Fingerprint",
    "Snapshot",
    "SnapshotReader",
    "fingerprint_at",
    "fingerprint_of",
    "shared_fingerprint",
    "shared_snapshot",
    "sharing_snapshots",
    "snapshot_at",
]

Fingerprint = tuple[int, int, int, int]

# Bytes of a file that are read at once; what is larger is read while it is sent.
SMALL_SIZE = 256 * 1024


class Snapshot:
    """A file of the master copy, held open, and the state that it had when it was opened.

    Args:
        descriptor: Of the file, which is closed with this.
        proof: Of the action that has opened it.

    Attributes:
        proof: What that action has seen of the identity of the master copy.
        status: What the system said of it then.
        fingerprint: The state. As long as the file is open, no other one can have the same.

    Raises:
        IsADirectoryError: It is a directory.
    """

    __slots__ = ("_content", "_descriptors", "_holders", "fingerprint", "proof", "status")

    def __init__(self, descriptor: int, proof: Proof | None = None) -> None:
        self.proof = proof or Proof()
        # Lists, as threads may take from them without a lock, which could be held at a fork.
        self._descriptors = [descriptor]
        self._holders = [None]
        self._content: bytes | None = None
        self.status = os.fstat(descriptor)
        self.fingerprint = fingerprint_of(self.status)

    def content(self) -> "bytes | SnapshotReader":
        """Return the content of a small file, or what reads that of a larger one."""
        if self._content is None:
            size = self.fingerprint[2]
            content = self.read(size, 0) if size <= SMALL_SIZE else None
            if content is None or len(content) != size:
                return SnapshotReader(self)
            self._content = content
        return self._content

    def read(self, size: int, position: int) -> bytes:
        """Return bytes from a position on: none at the end, and else perhaps less than wanted.

        Raises:
            ValueError: The file is closed.
        """
        if not self._descriptors:
            raise ValueError("the snapshot is closed")
        return os.pread(self._descriptors[0], size, position)

    def present_status(self) -> os.stat_result:
        """Return what the system says of it now: its permissions may have changed, and its state not."""
        return os.fstat(self._descriptors[0])

    def send_to(self, descriptor: int, position: int, size: int) -> int:
        """Send bytes from a position on to a socket, as `os.sendfile` does, and return how many: none at the end.

        Raises:
            ValueError: The file is closed.
        """
        if not self._descriptors:
            raise ValueError("the snapshot is closed")
        return os.sendfile(descriptor, self._descriptors[0], position, size)

    def share(self) -> Self:
        """Return this for another holder, who closes it too."""
        self._holders.append(None)
        return self

    def close(self) -> None:
        """Close the file, once all holders have done so."""
        self._holders.pop()
        if not self._holders:
            self._close()

    def _close(self) -> None:
        try:  # a context would take longer than all else
            if self._descriptors:
                os.close(self._descriptors.pop())
        except IndexError:
            pass  # another thread was faster

    __del__ = _close

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def fingerprint_of(status: os.stat_result) -> Fingerprint:
    """Return the state of a file: any change of the file changes it.

    Args:
        status: What the system says of it.

    Raises:
        IsADirectoryError: It is a directory.
        OSError: It is no file at all.
    """
    if not stat.S_ISREG(status.st_mode):
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError
        raise OSError("the master copy has neither a file nor a directory there, but a pipe or a device")
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def snapshot_at(root: Root, name: str, proof: Proof | None = None) -> Snapshot | None:
    """Open the file of a name; return None if there is no file.

    Args:
        root: The directory of the master copy.
        name: In canonical form.
        proof: As for `Snapshot`.

    Raises:
        FileNotFoundError: There is a link to what is not there.
    """
    descriptor = _opened_file(root, name)
    try:
        return None if descriptor is None else Snapshot(descriptor, proof)
    except IsADirectoryError:
        return None


def fingerprint_at(root: Root, name: str) -> Fingerprint | None:
    """Return the state of a name's file; None if there is no file.

    Args:
        root: As for `snapshot_at`.
        name: As for `snapshot_at`.

    Raises:
        FileNotFoundError: As for `snapshot_at`.
    """
    descriptor = _opened_file(root, name)  # not stat: NFS serves that from a cache, and looks again for an open
    if descriptor is None:
        return None
    try:
        return fingerprint_of(os.fstat(descriptor))
    except IsADirectoryError:
        return None
    finally:
        os.close(descriptor)


def _opened_file(root: Root, name: str) -> int | None:
    """Open the file of a name, and return its descriptor; None if there is no file."""
    try:
        # It does not wait for somebody to write into a pipe of that name.
        return root.open(name, os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError:
        if root.is_link(name):  # and not a file that was saved a moment ago
            problem = f"{name!r} is a link to what is not there; is it mounted?"
            raise os_error(FileNotFoundError, errno.ENOENT, problem) from None
    except (NotADirectoryError, IsADirectoryError):
        pass
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:  # such a file cannot be there
            raise
    return None


class SnapshotReader(io.RawIOBase):
    """Reads a snapshot; several may do so at once, each from a position of its own.

    Args:
        snapshot: What to read; not closed by this.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        super().__init__()
        self._snapshot = snapshot
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._snapshot.fingerprint[2]}[whence]
        self._position = start + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def send_to(self, descriptor: int, position: int, size: int) -> int:
        """Send bytes to a socket, as `Snapshot.send_to` does."""
        return self._snapshot.send_to(descriptor, position, size)

    def read(self, size: int = -1, /) -> bytes:
        if size < 0:
            return self.readall()
        block = self._snapshot.read(size, self._position)
        self._position += len(block)
        return block


class Source(Protocol):
    """Where snapshots are taken: a master copy."""

    def snapshot(self, name: str, proof: Proof | None = None) -> Snapshot | None:
        """Open the file of a name; return None if there is no file."""

    def fingerprint(self, name: str, proof: Proof | None = None) -> Fingerprint | None:
        """Return the state of a name's file: any change of the file changes it; None if there is no file."""


class _Shared:
    """What the replications of one action have in common, by the master copy and the name.

    Attributes:
        first: What was there when the first of them looked, and what it has seen of the identity of the master copy.
        last: When one of them has looked last, by `time.monotonic`, and the state of the file then.
    """

    def __init__(self, known: Iterable[tuple[Source, str, Snapshot]]) -> None:
        self.first: dict[tuple[int, str], tuple[Snapshot | None, Proof]] = {
            (id(master), name): (snapshot, snapshot.proof) for master, name, snapshot in known
        }
        self.last: dict[tuple[int, str], tuple[float, Fingerprint | None]] = {}


_shared: ContextVar[_Shared | None] = ContextVar("resto_snapshots", default=None)


class sharing_snapshots:  # noqa: N801 - a context, of which a generator would take several times as long
    """Let `shared_snapshot` open each file once, as long as this lasts, or the one within which it is; and share looks.

    Args:
        *known: What is open already, and closed at the end.
    """

    __slots__ = ("_known", "_shared", "_token")

    def __init__(self, *known: tuple[Source, str, Snapshot]) -> None:
        self._known = known

    def __enter__(self) -> None:
        self._shared: _Shared | None = None
        if self._known or _shared.get() is None:
            self._shared = _Shared(self._known)
            self._token = _shared.set(self._shared)

    def __exit__(self, *exc_info: object) -> None:
        if self._shared is None:
            return
        _shared.reset(self._token)
        for snapshot, _ in self._shared.first.values():
            if snapshot is not None:
                snapshot.close()


def shared_snapshot(master: Source, name: str) -> tuple[Snapshot | None, Proof]:
    """Return what `MasterCopy.snapshot` does, or did a moment ago for another host, and what it has seen of the identity."""
    shared, proof = _shared.get(), Proof()
    if shared is None:
        return master.snapshot(name, proof), proof
    found = shared.first.get((id(master), name))
    if found is None:
        found = shared.first[id(master), name] = master.snapshot(name, proof), proof
    snapshot, proof = found
    return snapshot and snapshot.share(), proof


def shared_fingerprint(master: Source, name: str, proof: Proof, since: float) -> Fingerprint | None:
    """Return what `MasterCopy.fingerprint` does, or did for another host, but not before some moment.

    Args:
        master: As for `shared_snapshot`.
        name: As for `shared_snapshot`.
        proof: As for `MasterCopy.fingerprint`.
        since: The moment, by `time.monotonic`.
    """
    shared = _shared.get()
    if shared is None:
        return master.fingerprint(name, proof)
    looked, state = shared.last.get((id(master), name), (-math.inf, None))
    if looked <= since:
        looked, state = time.monotonic(), master.fingerprint(name, proof)
        shared.last[id(master), name] = looked, state
    return state
