"""Replication is by state: one host's copy of a name is made equal to the master copy, whatever was done to either.

Operations are not passed on, because two of them could arrive in the other order. Instead whoever has changed the
master copy sends its present state, and then looks again: if the master copy has changed in the meantime, the host may
have got the two states in either order, and the present one is sent once more.
"""

from resto.exceptions import HostUnavailableError, TransportError
from resto.master import MasterCopy
from resto.transports import Transport


__all__ = ["replicate"]

# The master copy cannot change so often while one process looks that this is too few, unless something is wrong.
MAX_ROUNDS = 20


def replicate(transport: Transport, master: MasterCopy, host: str, name: str, action: str) -> bool:
    """Make a host's copy of a file equal to the master copy.

    Args:
        transport: Speaks to the host.
        master: The truth.
        host: The host as it stands in the settings.
        name: The file's name.
        action: What to call it in errors: ``"upload"`` or ``"delete"``.

    Returns:
        What the first request told: whether the host had the file.

    Raises:
        TransportError: The host failed, or the master copy kept changing.
        FileNotFoundError: The directory of the master copy is missing.
    """
    existed: bool | None = None
    for _ in range(MAX_ROUNDS):
        with master.snapshot(name) as (content, before):
            failure: TransportError | None = None
            try:
                told = transport.delete(host, name) if content is None else transport.create(host, name, content)  # type: ignore[arg-type]  # a file opened with "rb" is a BinaryIO
                existed = told if existed is None else existed
            except HostUnavailableError:
                raise
            except TransportError as error:
                # Such as the wrong size of a file that somebody else has just replaced.
                failure = error
            # The file stays open until here, so that no other file can have got its inode.
            unchanged = master.fingerprint(name) == before
        if unchanged:
            if failure is not None:
                raise failure
            return bool(existed)
    raise TransportError(host, name, action, f"the master copy changed {MAX_ROUNDS} times while it was sent")
