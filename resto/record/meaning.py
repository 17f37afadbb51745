"""What an outcome means for the rows of its host: whether anything remains to be done, and what may still happen."""

from resto.exceptions import (
    ConfigurationError,
    HostUnavailableError,
    RemoteDirectoryError,
    RemoteFileNotFoundError,
    RemoteRefusedError,
    TransportError,
    UndecidedError,
    UnexpectedStatusCode,
)
from resto.names import is_impossible
from resto.outcomes import Outcome


__all__ = ["cause_of_refusal", "is_done", "is_of_impossible_name", "may_still_land", "problem_of", "wanted_rest"]


# After an answer nothing follows, nor if nothing was sent.
_FOLLOWED_BY_NOTHING = (
    ConfigurationError,
    RemoteFileNotFoundError,
    RemoteRefusedError,
    UndecidedError,
    UnexpectedStatusCode,
)


def is_done(outcome: Outcome) -> bool:
    """Tell whether nothing remains to be done.

    Where a directory stands, there is no file to be deleted, nor will there be. A host for which the name is too long will never have
    the file; without a master copy, where a drain has the action ``"repair"``, it must be known all the same that it lacks it.
    """
    if outcome.ok or isinstance(outcome.error, RemoteDirectoryError):
        return True
    return outcome.action != "repair" and is_of_impossible_name(outcome.error)


def is_of_impossible_name(error: Exception | None) -> bool:
    """Tell whether a host can have no file of a name, as its URL is too long there."""
    return isinstance(error, UnexpectedStatusCode) and is_impossible(error.name, error.status)


def problem_of(error: Exception | None) -> str:
    """Return what a row says of a failure; it says already which host and name it is about."""
    return error.problem if isinstance(error, TransportError) else f"{type(error).__name__}: {error}"


def cause_of_refusal(error: Exception | None) -> Exception | None:
    """Return why a breaker does not let the host be asked, which says more than that; None if the host was asked."""
    cause = None if error is None else error.__cause__
    return cause if isinstance(error, HostUnavailableError) and isinstance(cause, HostUnavailableError) else None


def may_still_land(error: Exception | None) -> bool:
    """Tell whether a request that failed may be carried out all the same, now or later.

    Args:
        error: Of an outcome; None if there is none.
    """
    if error is None:
        return False
    if isinstance(error, HostUnavailableError):
        return error.ambiguous
    return not isinstance(error, _FOLLOWED_BY_NOTHING)


def wanted_rest(error: Exception | None) -> float:
    """Return for how many seconds a host wants to be left alone, as it has said; 0 if it has not.

    Args:
        error: Of an outcome; None if there is none.
    """
    return error.retry_after if isinstance(error, UnexpectedStatusCode) else 0.0
