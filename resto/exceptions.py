"""Every error that resto raises. They hold strings, numbers and outcomes, never a credential, and they pickle.

::

    RestoError
    ├── ConfigurationError (ImproperlyConfigured)     the settings are wrong; nothing was sent
    ├── TransportError (OSError)                      one host failed
    │   ├── HostUnavailableError                      no answer
    │   ├── UnexpectedStatusCode                      an answer that is not a success
    │   ├── RemoteRefusedError                        the host refuses; nothing was changed
    │   ├── UndecidedError                            nothing was sent: it is not known what the host should have
    │   ├── RemoteDirectoryError (IsADirectoryError)  the host has a directory of that name
    │   ├── RemoteFileChangedError                    the file that is being read is another one by now
    │   └── RemoteFileNotFoundError (FileNotFoundError)
    ├── ReplicationError (OSError)                    one action, several hosts
    ├── LeaseLostError (OSError)                      somebody else may write now
    └── JobRefusedError (ValueError)                  a task queue brought something else than a job of resto
"""

import errno
from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

from django.core.exceptions import ImproperlyConfigured

from resto.counts import counted


__all__ = [
    "ConfigurationError",
    "HostUnavailableError",
    "JobRefusedError",
    "LeaseLostError",
    "RemoteDirectoryError",
    "RemoteFileChangedError",
    "RemoteFileNotFoundError",
    "RemoteRefusedError",
    "ReplicationError",
    "RestoError",
    "TransportError",
    "UndecidedError",
    "UnexpectedStatusCode",
    "os_error",
]

E = TypeVar("E", bound=OSError)


class RestoError(Exception):
    """Root of all errors of resto."""


class ConfigurationError(RestoError, ImproperlyConfigured):
    """The settings are wrong; nothing was sent to any host.

    Args:
        problem: What is wrong, a sentence fragment.
        hint: What to do about it, a sentence. Shown by ``manage.py check``.
        code: Identifier of the system check that reports this problem, such as ``"E003"``.
    """

    def __init__(self, problem: str, hint: str = "", code: str = "E001") -> None:
        super().__init__(problem, hint, code)
        self.problem = problem
        self.hint = hint
        self.code = code

    def __str__(self) -> str:
        return f"{self.problem} ({self.hint})" if self.hint else self.problem


class TransportError(RestoError, OSError):
    """One action failed on one host.

    Args:
        host: The host as it stands in the settings; it cannot contain a password.
        name: The file's name.
        action: ``"upload"``, ``"delete"``, ``"download"``, ``"exists"``, ``"size"``, ``"listdir"``, ...
        problem: What happened and, where known, what to do; a sentence fragment.
    """

    def __init__(self, host: str, name: str, action: str, problem: str) -> None:
        problem = str(problem)  # whatever a plugin gives: an error that cannot be shown would hide the failure
        # One argument: OSError reads two as errno and strerror.
        super().__init__(problem)
        self.host = host
        self.name = name
        self.action = action
        self.problem = problem

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.host, self.name, self.action, self.problem)

    def __str__(self) -> str:
        return f"{self.host}: {self.action} of {self.name!r} failed: {self.problem}"


class HostUnavailableError(TransportError):
    """The host gave no answer: refused, unreachable, timed out, or the connection broke; or it is not asked for a while.

    Args:
        host: As in `TransportError`.
        name: As in `TransportError`.
        action: As in `TransportError`.
        problem: As in `TransportError`.
        ambiguous: Whether the host may have carried out the action all the same, or may still do so.

    Attributes:
        is_repeated: Whether it was known already that the host gives no answer, and was logged.
    """

    is_repeated = False

    def __init__(self, host: str, name: str, action: str, problem: str, ambiguous: bool = False) -> None:  # noqa: FBT001, FBT002 - pickles positionally
        super().__init__(host, name, action, problem)
        self.ambiguous = ambiguous

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.host, self.name, self.action, self.problem, self.ambiguous)


class UnexpectedStatusCode(TransportError):  # noqa: N818 - the ancestor's public name
    """The host answered with a status that is not a known success.

    Args:
        host: As in `TransportError`.
        name: As in `TransportError`.
        action: As in `TransportError`.
        status: HTTP status code.
        problem: As in `TransportError`.
        retry_after: Seconds for which the host wants to be left alone (429 and 503, with Retry-After); 0 if it does not say so.
    """

    def __init__(self, host: str, name: str, action: str, status: int, problem: str, retry_after: float = 0) -> None:
        super().__init__(host, name, action, problem)
        self.status = status
        self.retry_after = retry_after

    def __reduce__(self) -> tuple[Any, ...]:
        # Processes of an older version know no more than these, and most need no more.
        more = (self.retry_after,) if self.retry_after else ()
        return type(self), (self.host, self.name, self.action, self.status, self.problem, *more)


class RemoteRefusedError(TransportError):
    """The host has not changed the file, and will not: it is full or read-only, permission is denied, or it is no place for copies."""


class UndecidedError(TransportError):
    """A host was not changed: those that know what it should have do not answer, or just change it, or it may have a directory there."""


class RemoteFileNotFoundError(TransportError, FileNotFoundError):
    """The host says that it does not have the file (404 or 410)."""

    errno = errno.ENOENT


class RemoteFileChangedError(TransportError):
    """The host has another file of that name than the one that is being read: what was read of it has no end any more."""


class RemoteDirectoryError(TransportError, IsADirectoryError):
    """The host has a directory of that name, and only files are deleted, or replaced."""

    errno = errno.EISDIR


class FailedOutcome(Protocol):
    """What `ReplicationError` needs to know of an outcome."""

    @property
    def host(self) -> str: ...
    @property
    def error(self) -> Exception | None: ...


class ReplicationError(RestoError, OSError):
    """One action failed on one or more of several hosts.

    The first failure is the ``__cause__``.

    Args:
        action: As in `TransportError`.
        name: The file's name.
        outcomes: What happened on every host, one `resto.outcomes.Outcome` each, in the order of the hosts.
        consequence: What became of the file, a sentence fragment.
    """

    def __init__(self, action: str, name: str, outcomes: Sequence[FailedOutcome], consequence: str = "") -> None:
        super().__init__(action)
        self.action = action
        self.name = name
        self.outcomes = tuple(outcomes)
        self.consequence = consequence
        self.__cause__ = next((outcome.error for outcome in self.failures), None)

    @property
    def failures(self) -> tuple[FailedOutcome, ...]:
        """The outcomes of the hosts that failed."""
        return tuple(outcome for outcome in self.outcomes if outcome.error is not None)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.action, self.name, self.outcomes, self.consequence)

    def __str__(self) -> str:
        failures = self.failures
        problems = "; ".join(_describe(failure) for failure in failures)
        summary = f"{self.action} of {self.name!r} failed on {len(failures)} of {counted(len(self.outcomes), 'host')}: {problems}"
        return f"{summary} ({self.consequence})" if self.consequence else summary


class LeaseLostError(RestoError, OSError):
    """A lease in the durable record could not be renewed in time; what needs it was not done, or was broken off.

    Args:
        problem: Why, a sentence fragment.
    """


class JobRefusedError(RestoError, ValueError):
    """A worker of a task queue got a message that is not one of resto, or not for its settings; nothing was done.

    Args:
        problem: What is wrong with the message, a sentence fragment.
    """


def os_error(kind: type[E], number: int, problem: str) -> E:
    """Return an error of the operating system that says in a sentence what has happened.

    Args:
        kind: Such as ``FileNotFoundError``.
        number: Its ``errno``, as the system has it for such an error.
        problem: The sentence.
    """
    error = kind(problem)  # with a number before it, OSError would put that into the text
    error.errno = number
    return error


def _describe(outcome: FailedOutcome) -> str:
    error = outcome.error
    problem = error.problem if isinstance(error, TransportError) else f"{type(error).__name__}: {error}"
    return f"{outcome.host}: {problem}"
