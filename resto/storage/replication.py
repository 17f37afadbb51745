"""Replication is by state: one host's copy of a name is made equal to the master copy, whatever was done to either.

Operations are not passed on, because two of them could arrive in the other order. Instead whoever has changed the
master copy sends its present state, and then looks again: if the master copy has changed in the meantime, the host may
have got the two states in either order, and the present one is sent once more.
"""

import os
import time
from collections.abc import Callable
from io import BytesIO, RawIOBase, UnsupportedOperation
from typing import IO, BinaryIO, cast

from resto.courses import WITH_OTHERS, Course, are_in_one_pass, course_of, finish
from resto.exceptions import HostUnavailableError, RemoteDirectoryError, RemoteFileNotFoundError, TransportError
from resto.executors import Job
from resto.master.copy import MasterCopy
from resto.master.snapshots import Snapshot, shared_fingerprint, shared_snapshot
from resto.record.changes import Change, holding
from resto.record.leases import Lease
from resto.traffic import WATCHERS, counted
from resto.transports import Transport
from resto.transports.bodies import sender_of
from resto.transports.comparison import holds
from resto.transports.late import log_late


__all__ = ["alone", "catch_up", "has_got", "leased", "replicate"]

# How often to send again what a host says it has stored, and then does not have.
MAX_OVERTAKEN = 2

# The master copy cannot change so often while one process looks that this is too few, unless something is wrong.
MAX_ROUNDS = 20


def replicate(
    transport: Transport, master: MasterCopy, host: str, name: str, action: str, lease: Lease | None = None
) -> Course[bool]:
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
        ConfigurationError: It is not the master copy, or is being restored, and lacks the file.
        LeaseLostError: Somebody else may replicate the file by now.
    """
    existed: bool | None = None
    overtaken = 0
    snapshot, proof = shared_snapshot(master, name)
    for number in range(MAX_ROUNDS):
        if number:
            snapshot = master.snapshot(name, proof)
        if snapshot is None:
            master.proven.require_whole()
        try:
            told: bool | TransportError
            if lease is not None:
                lease.keep()
            try:
                told = yield from _sent(transport, snapshot, host, name, lease)
            except HostUnavailableError:
                raise
            except RemoteDirectoryError:
                if snapshot is not None:
                    raise
                told = False  # it has no file of that name, and directories are its own affair
            except TransportError as error:
                told = error  # such as the wrong size of a file that somebody else has just replaced: it may not count
            answered = time.monotonic()
            if are_in_one_pass():
                yield WITH_OTHERS  # one look does for all that have answered
            # The file stays open until here, so that no other file can have got its inode.
            state = shared_fingerprint(master, name, proof, answered)
            unchanged = state == (snapshot and snapshot.fingerprint)
        finally:
            if snapshot is not None:
                snapshot.close()
        if existed is None and isinstance(told, bool):
            existed = told
        # A host that contradicts itself: another process may send another state of the file at the same time.
        contradicts = type(told) is TransportError
        if unchanged and (overtaken == MAX_OVERTAKEN or not contradicts):
            if isinstance(told, TransportError):
                try:
                    raise told
                finally:
                    del told  # its traceback holds this frame, and so what was sent: until the next cyclic collection
            return bool(existed)
        overtaken += unchanged
    problem = (
        f"the master copy changed {MAX_ROUNDS} times while it was sent: does the host keep its files in the directory of the "
        f"master copy, {master.location}? It needs one of its own"
    )
    raise TransportError(host, name, action, problem)


def catch_up(
    transport: Transport, master: MasterCopy, host: str, name: str, action: str, lease: Lease | None
) -> Course[bool]:
    """Replicate for somebody who comes late, and for whom nothing was pending: look first whether that is done.

    What has the right size is not sent again: whoever has removed the rows had made the host equal.

    Args:
        transport: As for `replicate`.
        master: As for `replicate`.
        host: As for `replicate`.
        name: As for `replicate`.
        action: As for `replicate`.
        lease: As for `replicate`.

    Returns:
        What `replicate` does; if nothing was sent, what would have been no surprise.

    Raises:
        TransportError: As for `replicate`.
        FileNotFoundError: As for `replicate`.
        LeaseLostError: As for `replicate`.
    """
    size: int | None = None
    try:
        size = yield from course_of(transport.size, host, name)
    except RemoteFileNotFoundError:
        pass
    except HostUnavailableError:
        raise
    except TransportError:
        return (yield from replicate(transport, master, host, name, action, lease))
    state = master.fingerprint(name)
    if size == (state and state[2]):  # no second look: whoever changes the master copy now has rows of his own
        return action == "delete"
    return (yield from replicate(transport, master, host, name, action, lease))


def alone(change: Change, host: str, name: str, action: str, course: Callable[[], Course[bool]]) -> bool:
    """Replicate to one host for somebody who has not recorded that.

    Args:
        change: Of this host alone; not announced yet.
        host: The host as it stands in the settings.
        name: The file's name.
        action: As for `replicate`.
        course: Returns what replicates under the lease that is held then.

    Returns:
        What `replicate` does.

    Raises:
        Exception: As for `replicate`.
    """
    change.announce(name, (host,))
    with holding(change.lease):
        outcome = Job(action, host, name, lambda: finish(course())).run()
    change.settle([outcome])
    if outcome.error is not None:
        raise outcome.error
    return bool(outcome.value)


def _sent(transport: Transport, snapshot: Snapshot | None, host: str, name: str, lease: Lease | None) -> Course[bool]:
    """Return the course that sends a state of the master copy."""
    if snapshot is None:
        return course_of(transport.delete, host, name)
    content = leased(snapshot.content(), lease)
    if lease is not None and lease.in_doubt:
        return _sent_unless_there(transport, snapshot, host, name, content, lease)
    if WATCHERS:
        return counted(course_of(transport.create, host, name, content), host, snapshot.status.st_size)
    return course_of(transport.create, host, name, content)


def _sent_unless_there(
    transport: Transport, snapshot: Snapshot, host: str, name: str, content: bytes | BinaryIO, lease: Lease
) -> Course[bool]:
    if (yield from has_got(transport, host, name, content, lease)):
        return False
    return (yield from counted(course_of(transport.create, host, name, content), host, snapshot.status.st_size))


def has_got(transport: Transport, host: str, name: str, content: bytes | BinaryIO, lease: Lease | None) -> Course[bool]:
    """Tell whether a host has stored what it was sent before, and answered too late; else it would get that again each time.

    By now that request cannot be carried out any more, and whoever has sent another one since has a row of his own.

    Args:
        transport: Speaks to the host.
        host: The host as it stands in the settings.
        name: The file's name.
        content: What is to be sent.
        lease: Holds the row of this host and name; None if nothing is recorded.

    Raises:
        HostUnavailableError: The host does not answer.
    """
    if lease is None or not lease.in_doubt or not (yield from holds(transport, host, name, cast("BinaryIO", content))):
        return False
    log_late(host, name, transport.timeout)
    return True


def leased(content: bytes | IO[bytes] | RawIOBase, lease: Lease | None) -> bytes | BinaryIO:
    """Return a file that can be read as long as a lease is held; the same content without a lease.

    Content that is in memory is a file, too: the request that carries it may be sent later, or once more.
    """
    if lease is None:
        return content  # type: ignore[return-value]  # it can be read
    if isinstance(content, bytes):
        return cast("BinaryIO", _LeasedContent(BytesIO(content), lease, content))
    return cast("BinaryIO", _LeasedContent(cast("IO[bytes]", content), lease))


class _LeasedContent:
    """A file that can be read as long as a lease is held: an upload that takes longer is broken off."""

    def __init__(self, file: IO[bytes], lease: Lease, at_hand: bytes | None = None) -> None:
        self._file = file
        self._lease = lease
        self.at_hand = at_hand

    def read(self, size: int = -1) -> bytes:
        self._lease.keep()
        return self._file.read(size)

    def send_to(self, descriptor: int, position: int, size: int) -> int:
        self._lease.keep()
        send = sender_of(self._file)
        if send is None:
            raise UnsupportedOperation("it can only be read")
        return send(descriptor, position, size)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def seekable(self) -> bool:
        return self._file.seekable()
