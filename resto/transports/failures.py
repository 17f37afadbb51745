"""What has gone wrong between this machine and a host, as both wires tell it.

An error is ambiguous if the host may have carried out the request all the same.
"""

import ssl
from http.client import RemoteDisconnected

from urllib3.exceptions import NameResolutionError, NewConnectionError

from resto.transports.chunks import CutHeadError, LengthsError
from resto.transports.limits import AT_WORK, MAX_UNWANTED, AtWorkError, SlowAnswerError
from resto.transports.messages import NoAnswerError


__all__ = [
    "STALE",
    "broke_off",
    "broken",
    "cannot_prepare",
    "connect_problem",
    "endless",
    "no_session",
    "refused",
    "too_late",
]

# What a connection does that was closed by the host.
STALE = (RemoteDisconnected, BrokenPipeError, ConnectionResetError, ConnectionAbortedError, ssl.SSLEOFError)


def cannot_prepare(error: Exception) -> NoAnswerError:
    """Return the error for a request that could not be made; not with its text, which may hold the credential."""
    return NoAnswerError(f"the request cannot be authenticated: {type(error).__name__}", ambiguous=False)


def no_session(problem: str) -> NoAnswerError:
    """Return the error for a session that could not be made; the problem is not the text of an exception, as above."""
    return NoAnswerError(f"no session can be made: {problem}", ambiguous=False)


def connect_problem(error: Exception, timeout: float) -> str:
    """Return why no connection was made, a sentence fragment."""
    cause = error.__cause__ or error
    if isinstance(cause, TimeoutError):
        return f"no connection within {timeout:g} s"
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {cause.verify_message.rstrip('.')}"
    if isinstance(cause, ssl.SSLError):
        return f"TLS failed: {cause.reason or cause}"
    if isinstance(error, NameResolutionError):
        return "its name cannot be resolved"
    if isinstance(error, NewConnectionError) and isinstance(cause, OSError):
        return (cause.strerror or str(cause)).lower()
    return f"no connection: {cause}"


def refused(error: OSError, timeout: float) -> NoAnswerError:
    """Return the error for a host to which no connection was made, although its address is known."""
    is_late = isinstance(error, TimeoutError)
    problem = connect_problem(error, timeout) if is_late else (error.strerror or str(error)).lower()
    return NoAnswerError(problem, ambiguous=False)


def too_late(timeout: float, error: BaseException) -> NoAnswerError:
    """Return the error for an answer that was waited for."""
    problem = f"no answer within {timeout:g} s"
    if isinstance(error, AtWorkError):
        problem = f"no answer within {timeout * AT_WORK:g} s, although it said that it was at work"
    return NoAnswerError(problem, ambiguous=True, is_late=True)


def broken(error: Exception) -> NoAnswerError:
    """Return the error for a connection that was made, but brought no answer."""
    if isinstance(error, STALE):
        return NoAnswerError("the connection broke before an answer", ambiguous=True)
    if isinstance(error, CutHeadError):
        return broke_off(error)
    if isinstance(error, LengthsError):
        return NoAnswerError("its answer announces several lengths", ambiguous=True)
    if isinstance(error, ssl.SSLError):
        return NoAnswerError(f"TLS failed: {error.reason or error}", ambiguous=True)
    if isinstance(error, OSError):
        return NoAnswerError(f"the connection broke: {(error.strerror or str(error)).lower()}", ambiguous=True)
    return NoAnswerError(f"its answer cannot be understood: {type(error).__name__}", ambiguous=True)


def endless() -> NoAnswerError:
    """Return the error for an answer of which more arrives than anybody wants."""
    problem = f"its answer does not end: more than {MAX_UNWANTED} bytes that nobody wants"
    return NoAnswerError(problem, ambiguous=True)


def broke_off(error: Exception) -> NoAnswerError:
    """Return the error for an answer that began, and did not go on."""
    if isinstance(error, SlowAnswerError):
        return NoAnswerError(f"it answers too slowly: {error}", ambiguous=True)
    problem = "it stopped answering" if isinstance(error, TimeoutError) else "its answer broke off"
    return NoAnswerError(problem, ambiguous=True)
