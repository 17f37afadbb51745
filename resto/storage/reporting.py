"""What the log says of actions on hosts."""

import logging

from resto.exceptions import HostUnavailableError, RemoteFileNotFoundError, TransportError
from resto.names import shown
from resto.outcomes import Outcome


__all__ = [
    "described",
    "forget_frames",
    "log_failure",
    "log_kept_by_hosts",
    "log_lost",
    "log_outcome",
    "log_unread",
    "log_unrecorded",
    "log_without_record",
    "removed",
    "uploaded",
]

logger = logging.getLogger("resto")

LOG_MESSAGES = {
    "download": "Failed to download %s from %s. %s",
    "exists": "Failed to check if %s exists on %s. %s",
    "size": "Failed to get the size of %s from %s. %s",
    "listdir": "Failed to list %s on %s. %s",
    "modified_time": "Failed to get the modification time of %s from %s. %s",
    "repair": "Failed to repair %s on %s. %s",
}

# Whether it was said that nothing is recorded.
_said: list[bool] = []

# Actions for which it is no failure that a host does not have the file.
_READS = frozenset({"download", "exists", "size", "listdir", "modified_time"})


def log_outcome(outcome: Outcome, *, show_traceback: bool, is_recorded: bool) -> None:
    """Log a failure; to ask for a file that is not there is none, and that a host is down is said once for each pause of its breaker.

    Args:
        outcome: What happened on a host.
        show_traceback: Whether its traceback is logged, too.
        is_recorded: Whether the record knows what the host misses; else each line is the only trace of it.
    """
    error = outcome.error
    if error is None or (outcome.action in _READS and isinstance(error, RemoteFileNotFoundError)):
        return
    is_known = isinstance(error, HostUnavailableError) and error.is_repeated
    if is_known and (is_recorded or outcome.action in _READS | {"repair"}):
        return
    problem = error.problem if isinstance(error, TransportError) else described(error)
    log_failure(outcome.action, outcome.name, outcome.host, problem, error if show_traceback else None)


def log_failure(action: str, name: str, host: str, problem: str, error: Exception | None = None) -> None:
    """Log that an action failed on a host.

    Args:
        action: Of the outcome.
        name: The file's name; ``""`` is the root.
        host: The host as it stands in the settings.
        problem: Why, a sentence fragment.
        error: Whose traceback is logged, too; None for none.
    """
    message = LOG_MESSAGES.get(action, f"Failed to {action} %s on %s. %s")
    begins_with_host = "://" in problem.partition(" ")[0]
    sentence = problem if begins_with_host else f"{problem[:1].upper()}{problem[1:]}"
    sentence += "" if problem.endswith(("?", ".")) else "."
    logger.error(message, shown(name) or "/", host, shown(sentence), exc_info=error)


def log_unrecorded(name: str) -> None:
    """Log that hosts which miss a change will not get it later.

    Args:
        name: The file's name.
    """
    logger.warning(
        "What hosts miss of %s is not recorded: that would be part of a transaction that has failed.", shown(name)
    )


def log_kept_by_hosts(name: str) -> None:
    """Log that a file is deleted, and that hosts keep it for now."""
    logger.warning("%s is deleted, and stays on hosts until the master copy is restored.", shown(name))


def log_lost(problem: str) -> None:
    """Log that whatever is sent to a host stays pending, as it has lost its files.

    Args:
        problem: Which host, what is wrong with it, and what to do; a sentence fragment.
    """
    logger.error("Whatever is sent there stays pending: %s.", problem)


def log_unread(problem: str) -> None:
    """Log that nothing is read from a host, as it is something else.

    Args:
        problem: As for `log_lost`.
    """
    logger.error("Nothing is read from it: %s.", problem)


def log_without_record() -> None:
    """Log, once in a process, that nothing records what hosts miss: without the application there is no check that says so."""
    if not _said:
        _said.append(True)
        logger.warning("What hosts miss is not recorded, and nothing sends it later: 'resto' is not in INSTALLED_APPS.")


def forget_frames(error: BaseException | None) -> None:
    """Let go of what was called when a host failed, which holds the content of an upload, and whoever has the outcome.

    These would be in memory until the next cyclic garbage collection. What such an error says needs no traceback.
    """
    if error is not None and error.__traceback__ is not None:
        error.__traceback__ = None
        forget_frames(error.__cause__)
        forget_frames(error.__context__)


def uploaded(host: str, name: str, existed: bool) -> bool:  # noqa: FBT001 - what a transport told
    """Return what an upload has told, and log what it should not have."""
    if existed:
        logger.warning("PUT on existing file %s on %s.", shown(name), host)
    return existed


def removed(host: str, name: str, existed: bool) -> bool:  # noqa: FBT001 - what a transport told
    """Return what a deletion has told, and log what it should not have."""
    if not existed:
        logger.warning("DELETE on missing file %s on %s.", shown(name), host)
    return existed


def described(error: Exception) -> str:
    """Return the text of an error, which may not say enough without its class."""
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
