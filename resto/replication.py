"""Replication is by state: one host's copy of a name is made equal to the master copy, whatever was done to either.

Operations are not passed on, because two of them could arrive in the other order. Instead whoever has changed the
master copy sends its present state, and then looks again: if the master copy has changed in the meantime, the host may
have got the two states in either order, and the present one is sent once more.
"""

import os
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from io import BytesIO, RawIOBase
from typing import IO, BinaryIO, TypeVar, cast

from resto.exceptions import HostUnavailableError, TransportError
from resto.master import MasterCopy, Snapshot, shared_snapshot
from resto.outcomes import Begun
from resto.pending import Lease
from resto.transports import Transport


__all__ = ["begin_replication", "leased", "replicate"]

# How often to send again what a host says it has stored, and then does not have.
MAX_OVERTAKEN = 2

T = TypeVar("T")

# The master copy cannot change so often while one process looks that this is too few, unless something is wrong.
MAX_ROUNDS = 20


def replicate(
    transport: Transport, master: MasterCopy, host: str, name: str, action: str, lease: Lease | None = None
) -> bool:
    """Make a host's copy of a file equal to the master copy.

    Args:
        transport: Speaks to the host.
        master: The truth.
        host: The host as it stands in the settings.
        name: The file's name.
        action: What to call it in errors: ``"upload"`` or ``"delete"``.
        lease: Holds the row of this host and name; None if nothing is recorded.

    Returns:
        What the first request told: whether the host had the file.

    Raises:
        TransportError: The host failed, or the master copy kept changing.
        FileNotFoundError: The directory of the master copy is missing.
        LeaseLostError: Somebody else may replicate the file by now.
    """
    return _Replication(transport, master, host, name, action, lease).run()


def begin_replication(
    transport: Transport, master: MasterCopy, host: str, name: str, action: str, lease: Lease | None = None
) -> Begun[bool] | None:
    """Begin to do what `replicate` does, without waiting for the host.

    Args:
        transport: As for `replicate`.
        master: As for `replicate`.
        host: As for `replicate`.
        name: As for `replicate`.
        action: As for `replicate`.
        lease: As for `replicate`.

    Returns:
        The replication under way; None if the transport cannot begin at once, in which case nothing was done.
    """
    return _Replication(transport, master, host, name, action, lease).begin()


@dataclass(slots=True)  # not frozen: there are several of each action, and that would double their time
class _Replication:
    transport: Transport
    master: MasterCopy
    host: str
    name: str
    action: str
    lease: Lease | None

    def run(self, *, existed: bool | None = None) -> bool:
        overtaken = 0
        for _ in range(MAX_ROUNDS):
            with self.master.snapshot(self.name) or nullcontext() as snapshot:
                told = _told(lambda: self._send(snapshot))
                # The file stays open until here, so that no other file can have got its inode.
                unchanged = self.master.fingerprint(self.name) == (snapshot and snapshot.fingerprint)
            if existed is None and isinstance(told, bool):
                existed = told
            if unchanged and (overtaken == MAX_OVERTAKEN or not _may_be_overtaken(told)):
                return _value(told, existed=existed)
            overtaken += unchanged
        problem = f"the master copy changed {MAX_ROUNDS} times while it was sent"
        raise TransportError(self.host, self.name, self.action, problem)

    def _send(self, snapshot: Snapshot | None) -> bool:
        self._keep()
        if snapshot is None:
            return self.transport.delete(self.host, self.name)
        return self.transport.create(self.host, self.name, leased(snapshot.content(), self.lease))

    def _keep(self) -> None:
        if self.lease is not None:
            self.lease.keep()

    def begin(self) -> Begun[bool] | None:
        snapshot = shared_snapshot(self.master, self.name)
        begun = None
        try:
            self._keep()
            if snapshot is None:
                begun = self.transport.begin("delete", self.host, self.name)
            else:
                begun = self.transport.begin("create", self.host, self.name, leased(snapshot.content(), self.lease))
        finally:
            if begun is None and snapshot is not None:
                snapshot.close()
        return None if begun is None else self._watched(begun, snapshot)

    def _watched(self, begun: Begun[bool], snapshot: Snapshot | None) -> Begun[bool]:
        def resume() -> "bool | Begun[bool]":  # quoted: it would be evaluated for each action
            told: bool | TransportError | Begun[bool] | None = None
            try:
                try:
                    told = begun.resume()
                except TransportError as error:
                    told = _judged(error)
                if isinstance(told, Begun):
                    return self._watched(told, snapshot)
                unchanged = self.master.fingerprint(self.name) == (snapshot and snapshot.fingerprint)
            finally:
                if snapshot is not None and not isinstance(told, Begun):
                    snapshot.close()
            existed = told if isinstance(told, bool) else None
            settled = unchanged and not _may_be_overtaken(told)
            return _value(told, existed=existed) if settled else self.run(existed=existed)

        return Begun(resume, begun.arrival, begun.is_sent)


def leased(content: bytes | IO[bytes] | RawIOBase, lease: Lease | None) -> bytes | BinaryIO:
    """Return a file that can be read as long as a lease is held; the same content without a lease.

    Content that is in memory is a file, too: the request that carries it may be sent later, or once more.
    """
    if lease is None:
        return cast("bytes | BinaryIO", content)
    file = BytesIO(content) if isinstance(content, bytes) else content
    return cast("BinaryIO", _LeasedContent(cast("IO[bytes]", file), lease))


class _LeasedContent:
    """A file that can be read as long as a lease is held: an upload that takes longer is broken off."""

    def __init__(self, file: IO[bytes], lease: Lease) -> None:
        self._file = file
        self._lease = lease

    def read(self, size: int = -1) -> bytes:
        self._lease.keep()
        return self._file.read(size)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def seekable(self) -> bool:
        return self._file.seekable()


def _told(send: Callable[[], T]) -> T | TransportError:
    """Return what a host told, even if it was a failure: that of an overtaken request does not count."""
    try:
        return send()
    except TransportError as error:
        return _judged(error)


def _judged(error: TransportError) -> TransportError:
    if isinstance(error, HostUnavailableError):
        raise error
    return error  # such as the wrong size of a file that somebody else has just replaced


def _may_be_overtaken(told: object) -> bool:
    """Tell whether a host contradicts itself: another process may send another state of the file at the same time."""
    return type(told) is TransportError


def _value(told: "bool | TransportError", *, existed: bool | None) -> bool:
    if isinstance(told, TransportError):
        raise told
    return bool(existed)
