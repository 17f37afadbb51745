"""The directory of this machine that is a host: which one a URL names, whether it is believed, and what its errors mean."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePath
from posixpath import normpath
from urllib.parse import unquote_to_bytes, urlsplit

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured

from resto.exceptions import (
    ConfigurationError,
    HostUnavailableError,
    RemoteDirectoryError,
    RemoteFileNotFoundError,
    RemoteRefusedError,
    TransportError,
)
from resto.names import HOST_IDENTITY, MASTER_IDENTITY, is_temporary
from resto.settings import media_root
from resto.transports.beneath import Beneath


__all__ = ["absent", "media_root_path", "opened", "path_of", "translated"]

_HINT = "Write 'file:///mnt/nas/media/': three slashes, and the path of a directory."

# What a file system says that is on another machine, or on a disk that is gone.
_SILENCE = frozenset(
    {
        *(errno.EIO, errno.ENXIO, errno.ENODEV, errno.ESTALE, errno.EREMOTEIO, errno.ENOTCONN, errno.ETIMEDOUT),
        *(errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ENETDOWN, errno.ENETUNREACH, errno.ECONNREFUSED),
        *(errno.ECONNRESET, errno.ECONNABORTED, errno.ESHUTDOWN),
    }
)

_UNPROVEN = "the directory has no file .resto.host, by which resto knows it: "

# Where hosts have identities, an empty file is that of none.
_RECORDED = (
    "it is not mounted, or has lost its files; if it is new, or to be filled anew, run: manage.py resto_adopt --host {}"
)
_UNRECORDED = "is its file system mounted? If the host is new, make that file yourself, empty"


def path_of(host: str) -> str:
    """Return the path of the directory that a ``file:`` URL stands for.

    Args:
        host: The host as it stands in the settings.

    Raises:
        ConfigurationError: It is no such URL.
    """
    try:
        url = urlsplit(host)
        path = unquote_to_bytes(url.path).decode()
    except ValueError:
        raise _invalid(host, "it is not a URL") from None
    if url.scheme != "file" or url.netloc not in ("", "localhost") or not path.startswith("/"):
        raise _invalid(host, "the transport 'directory' needs a URL that starts with file:///")
    if url.query or url.fragment or not path.isprintable() or host != host.strip():
        raise _invalid(host, "'?' and '#' are %3F and %23 there, and control characters are not allowed")
    if ".." in path.split("/"):
        raise _invalid(host, "its path must not have a part that is '..'")
    normal = "/" + normpath(path).lstrip("/")
    if normal == "/":
        raise _invalid(host, "it is the root of all directories")
    return normal


def _invalid(host: str, reason: str) -> ConfigurationError:
    return ConfigurationError(f"invalid host {host!r}: {reason}", _HINT, "E003")


def media_root_path() -> str | None:
    """Return the path of `MEDIA_ROOT`; None if it is not set."""
    try:
        path = os.fspath(media_root())
    except (ImproperlyConfigured, TypeError):
        return None
    return os.path.abspath(path) if path else None  # noqa: PTH100 - without looking at the disk


@contextmanager
def opened(host: str, name: str, action: str, *, changes: bool = False, is_proven: bool = False) -> Iterator[Beneath]:
    """Open the directory of a host, if it is the one that it was; errors of the system meanwhile become the host's.

    Args:
        host: The host as it stands in the settings.
        name: The file's name.
        action: For errors.
        changes: Whether something is written or removed.
        is_proven: Whether the directory is believed without its identity.

    Raises:
        TransportError: It cannot be opened, or is not believed; or the system has failed meanwhile.
    """
    try:
        root = Beneath(path_of(host))
    except OSError as error:
        problem = f"the directory cannot be opened ({_text(error)}); is its file system mounted?"
        raise HostUnavailableError(host, name, action, problem) from error
    try:
        with root:
            if not is_proven:
                _require_identity(root, host, name, action)
            if changes:
                _require_apart(root, host, name, action)
            yield root
    except TransportError:
        raise
    except OSError as error:
        raise translated(error, host, name, action, ambiguous=root.may_have_changed) from error


def _require_identity(root: Beneath, host: str, name: str, action: str) -> None:
    """Raise unless a directory has its identity, or is asked for a file of resto's own: that, or one of the probe."""
    if not is_temporary(name.partition("/")[0]) and root.status(HOST_IDENTITY) is None:
        _require_apart(root, host, name, action)  # which would be another reason than that it is not mounted
        advice = _RECORDED if apps.ready and apps.is_installed("resto") else _UNRECORDED
        raise HostUnavailableError(host, name, action, _UNPROVEN + advice.format(host))


def _require_apart(root: Beneath, host: str, name: str, action: str) -> None:
    """Raise if a directory is a master copy, or lies in one, or around `MEDIA_ROOT`, whatever links lead there."""
    problem = _nearness(root, path_of(host))
    if problem:
        raise RemoteRefusedError(host, name, action, f"{problem}, which is no place for copies")


def _nearness(root: Beneath, path: str) -> str:
    """Return how a directory lies to `MEDIA_ROOT`, or another master copy, a sentence fragment; empty if it is apart."""
    media = media_root_path()
    places = [] if media is None else [*_statuses(os.path.realpath(media))]
    here = os.fstat(root.descriptor)
    if any(os.path.samestat(here, place) for place in places[1:] if place is not None):
        return "the directory lies around MEDIA_ROOT"
    for height, above in enumerate(root.above()):
        if places and places[0] is not None and os.path.samestat(above, places[0]):
            return "the directory lies in MEDIA_ROOT" if height else "the directory is MEDIA_ROOT"
        if root.has_above(height, MASTER_IDENTITY):
            file = normpath("/".join([os.path.realpath(path), *[".."] * height, MASTER_IDENTITY]))
            return f"{file} says that the directory belongs to a master copy"
    return ""


def _statuses(path: str) -> Iterator[os.stat_result | None]:
    """Yield what the system says of a directory and those above it, None for each that is missing."""
    for place in (PurePath(path), *PurePath(path).parents):
        try:
            yield os.stat(place)  # noqa: PTH116 - beside fstat
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            yield None


def absent(host: str, name: str, action: str, what: str = "file") -> RemoteFileNotFoundError:
    """Return the error that says that a file is not there.

    Args:
        host: The host as it stands in the settings.
        name: The file's name.
        action: What was done.
        what: What is not there, if it is no file.
    """
    return RemoteFileNotFoundError(host, name, action, f"there is no such {what}")


def translated(error: OSError, host: str, name: str, action: str, *, ambiguous: bool = False) -> TransportError:
    """Return the error of a host that stands for one of the system.

    Args:
        error: What the system says.
        host: The host as it stands in the settings.
        name: The file's name.
        action: What was done.
        ambiguous: Whether it may have been done nevertheless.
    """
    if error.errno in _SILENCE:
        return HostUnavailableError(host, name, action, _text(error), ambiguous)
    if isinstance(error, IsADirectoryError):
        return RemoteDirectoryError(host, name, action, "it is a directory there")
    return RemoteRefusedError(host, name, action, _text(error))


def _text(error: OSError) -> str:
    return error.strerror or type(error).__name__
