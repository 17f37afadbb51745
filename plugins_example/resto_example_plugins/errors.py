"""What the storages of other packages raise, as errors of resto. Each storage has errors of its own kinds."""

import errno
import socket
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

from django.conf import settings
from django.views.debug import SafeExceptionReporterFilter

from resto.exceptions import HostUnavailableError, RemoteFileNotFoundError, ReplicationError, TransportError
from resto.settings import storage_settings


__all__ = ["StorageError", "is_silence", "translated"]

_WRITES = ("upload", "delete")

_UNREACHABLE = {errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN}


class StorageError(TransportError):
    """A storage that is a host has failed, and has not said that it cannot be reached.

    It is no plain `TransportError`, after which resto would send the file once more at once.
    """


class Source(Protocol):
    """What is sent to a storage."""

    failure: BaseException | None


@contextmanager
def translated(host: str, name: str, action: str, source: Source | None = None) -> Iterator[None]:
    """Let nothing but a `TransportError` out.

    Args:
        host: The storage's alias.
        name: The file's name.
        action: As in `TransportError`.
        source: What is sent. If it cannot be read, that is not the host's fault, and its own error is raised.
    """
    handled = sys.exception()
    try:
        yield
    except Exception as error:  # noqa: BLE001 - each storage has errors of its own kinds
        if source is not None and source.failure is not None:
            raise source.failure from None
        secrets = _secrets(host)
        # A traceback shows what the storage has raised, too.
        is_safe = not any(secret in "".join(traceback.format_exception(error)) for secret in secrets)
        raise _translation(host, name, action, error, secrets, handled) from (error if is_safe else None)


def _translation(
    host: str, name: str, action: str, error: Exception, secrets: list[str], handled: BaseException | None
) -> TransportError:
    if isinstance(error, FileNotFoundError | NotADirectoryError) and action not in _WRITES:
        return RemoteFileNotFoundError(host, name, action, "it does not have the file")
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    for secret in secrets:
        text = text.replace(secret, "***")
    if is_silence(error, handled):
        return HostUnavailableError(host, name, action, f"it gives no answer: {text}", action in _WRITES)
    return StorageError(host, name, action, f"the storage has failed: {text}")


def is_silence(error: BaseException, handled: BaseException | None = None) -> bool:
    """Tell whether a storage could not be reached: that is said by what its error was made of, if at all.

    Args:
        error: What the storage has raised.
        handled: What the caller was handling already; Python makes it the context of all that is raised meanwhile.
    """
    if error is handled:
        return False
    if isinstance(error, ReplicationError):
        return all(isinstance(outcome.error, HostUnavailableError) for outcome in error.outcomes)
    if isinstance(error, ConnectionError | TimeoutError | socket.gaierror | HostUnavailableError):
        return True
    if isinstance(error, OSError) and error.errno in _UNREACHABLE:
        return True
    origin = error.__cause__ or error.__context__
    return origin is not None and is_silence(origin, handled)


def _secrets(alias: str) -> list[str]:
    """Return what must not be shown: error messages of storages contain addresses, signatures, and their settings."""
    parameters = storage_settings().get(alias, {})
    found = {*_secrets_in(parameters.get("OPTIONS", {}))}
    for name in dir(settings):
        if name.isupper() and not name.startswith("EMAIL_"):  # no storage's, and Django 6.1 warns who reads them
            found.update(_secrets_in({name: getattr(settings, name)}))
    return sorted(found, key=len, reverse=True)


def _secrets_in(values: Any, *, is_hidden: bool = False) -> Iterator[str]:
    if isinstance(values, Mapping):
        for key, value in values.items():
            is_secret = isinstance(key, str) and SafeExceptionReporterFilter.hidden_settings.search(key) is not None
            yield from _secrets_in(value, is_hidden=is_hidden or is_secret)
    elif isinstance(values, list | tuple):
        for value in values:
            yield from _secrets_in(value, is_hidden=is_hidden)
    elif isinstance(values, str) and values:
        if is_hidden:
            yield values
        yield from _password_of(values)


def _password_of(text: str) -> Iterator[str]:
    """Yield the password of a URL, as it stands there and as it is sent."""
    try:
        password = urlsplit(text).password
    except ValueError:
        return
    if password:
        yield from {password, unquote(password)}
