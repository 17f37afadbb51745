"""The steps of deletions: of files, never of a directory in the place of one."""

from contextlib import suppress
from dataclasses import replace

from resto.exceptions import RemoteDirectoryError, UndecidedError
from resto.names import is_impossible, is_temporary, temporary_name
from resto.transports.acquaintance import Acquaintance, learn
from resto.transports.looks import ask_properties
from resto.transports.messages import NoAnswerError, Request, Response, Steps
from resto.transports.properties import PROPFIND_KIND_BODY
from resto.transports.steps import (
    ABSENT,
    OF_ONE_FILE,
    Action,
    collection,
    is_dated,
    is_directory_of_wsgidav,
    is_of_directory,
    server_product,
    unlocked,
)


__all__ = ["DELETED", "delete", "forbid_directory", "remove_directory", "replaces_file", "require_file", "trial_of"]

# What the answers to a DELETE mean: whether the file was there.
DELETED = {200: True, 204: True} | dict.fromkeys(ABSENT, False)

# What servers that spare directories answer to a DELETE below the name of a file: Apache, lighttpd, nginx.
_BELOW_A_FILE = frozenset({400, 403, 409})


def delete(action: Action, host: Acquaintance, *, has_propfind: bool, is_on_its_way: bool = False) -> Steps[bool]:
    """Delete the file; return whether it was there.

    Unless the name is a temporary one, it is first asked whether this is a file. Where the host is known to spare directories,
    a HEAD does, which shows that it is still this host: another server may have its address since.

    Args:
        action: What to delete.
        host: What is known of the host.
        has_propfind: Whether the host may be asked by PROPFIND.
        is_on_its_way: Whether the request was sent already, to a host that spares directories, over a connection that it kept.

    Raises:
        RemoteDirectoryError: A directory is there.
        UndecidedError: It is not certain that none is there.
    """
    # What has a temporary name is resto's own.
    needs_look = not (is_on_its_way or is_temporary(action.name))
    if needs_look and not (yield from _is_to_be_deleted(action, host, has_propfind=has_propfind)):
        return False
    response = yield from unlocked(Request("DELETE", action.target, OF_ONE_FILE))
    if _has_no_file(action, response):
        return False
    if response.status not in DELETED:
        if host.spares_directories and (yield from _is_no_name_of_a_file(action, response)):
            return False
        raise action.unexpected(response, "DELETE")
    if host.is_due and not is_temporary(action.name):
        with suppress(NoAnswerError):  # the file is deleted
            yield from learn(trial_of(action), host)
    return True


def _is_to_be_deleted(action: Action, host: Acquaintance, *, has_propfind: bool) -> Steps[bool]:
    if host.spares_directories:
        told = yield Request("HEAD", action.target)
        # Apache may say of a directory that nothing is there.
        if host.looks_as_before(told):
            if is_dated(told) or _has_no_file(action, told):
                return True
            if has_propfind and told.status == 200 and (yield from _is_undated_file(action, host)):
                return True
        host.doubt()
    return (yield from _is_file(action, host, has_propfind=has_propfind, deletes=True))


def _is_undated_file(action: Action, host: Acquaintance) -> Steps[bool]:
    try:
        return bool((yield from _kind(action)))
    except RemoteDirectoryError:
        host.doubt()
        raise


def _has_no_file(action: Action, response: Response) -> bool:
    return response.status in ABSENT or is_impossible(action.name, response.status)


def trial_of(action: Action) -> Action:
    """Return the action that tries what a host does with directories.

    Args:
        action: Any one on this host.
    """
    return replace(action, name=temporary_name(""))


def _is_file(action: Action, host: Acquaintance, *, has_propfind: bool, deletes: bool = False) -> Steps[bool]:
    """Find out whether a file is there, and raise unless it is, or nothing is there at all.

    Args:
        action: About which name.
        host: What is known of the host.
        has_propfind: As for `delete`.
        deletes: Whether it is enough that the host spares directories, which is found out if nothing else helps.
    """
    kind = (yield from _kind(action)) if has_propfind else None
    if kind is not None:
        return kind
    response = yield Request("HEAD", action.target)
    if _has_no_file(action, response):
        return False
    if host.trial is not None and not host.looks_as_before(response):
        host.doubt()  # another server may have its address since
    is_known = host.trial is not None or _is_directory(action, response)
    if response.status == 200 and not is_known and host.may_be_tried:
        yield from learn(trial_of(action), host)
    if _is_directory(action, response) or host.shows_directory(response):
        raise action.directory()
    if response.status != 200:
        raise action.unexpected(response, "HEAD")
    if not host.shows_file(response) and not (deletes and host.spares_directories):
        raise _doubt(action, host, has_propfind=has_propfind)
    return True


def _kind(action: Action) -> Steps[bool | None]:
    """Ask by PROPFIND whether a file is there; return None if the host does not say, and raise if it is a directory."""
    response, properties = yield from ask_properties(action.target, PROPFIND_KIND_BODY)
    if _has_no_file(action, response):
        return False
    if properties is not None and properties.is_collection is not None:
        if properties.is_collection:
            raise action.directory()
        return True
    if _is_directory(action, response):
        raise action.directory()
    return None


def _doubt(action: Action, host: Acquaintance, *, has_propfind: bool) -> UndecidedError:
    why = f"; what it does with directories cannot be found out: {host.problem}" if host.problem else ""
    hint = "" if has_propfind else "; the transport 'webdav' can ask"
    problem = f"it is not certain that this is a file there, and not a directory{why}; nothing was done{hint}"
    return UndecidedError(action.host, action.name, action.kind, problem)


def _is_no_name_of_a_file(action: Action, response: Response) -> Steps[bool]:
    """Find out, after a DELETE was refused, whether nothing can be there, as a part of the name is that of a file.

    Else such a deletion would be tried for ever.

    Args:
        action: What to delete.
        response: What the server has answered.

    Raises:
        RemoteDirectoryError: A directory is there.
    """
    if _is_directory(action, (yield Request("HEAD", action.target))):
        raise action.directory()
    if response.status not in _BELOW_A_FILE:
        return False
    parent = action.name.rpartition("/")[0]
    while parent:
        told = yield Request("HEAD", action.target_of(parent))
        if is_dated(told):
            return True
        parent = parent.rpartition("/")[0]
    if server_product(response) == "apache":  # without mod_dir, it answers to HEAD that it has no such thing
        told = yield Request("PROPFIND", action.target, {"Depth": "0"})
        if told.status == 207:
            raise action.directory()
    return False


def _is_directory(action: Action, response: Response) -> bool:
    return is_of_directory(action, response) or (response.status == 200 and is_directory_of_wsgidav(response))


def remove_directory(action: Action) -> Steps[None]:
    """Remove a directory with all that is in it (RFC 4918, section 9.6.1), if it is there."""
    response = yield from unlocked(Request("DELETE", collection(action.target)))
    if response.status not in ABSENT and response.status not in (200, 204):
        raise action.unexpected(response, "DELETE")


def require_file(action: Action, response: Response) -> Steps[None]:
    """Raise unless the answer to a HEAD can be that of a file which was just moved there; PROPFIND is asked in doubt."""
    if _is_directory(action, response):
        raise action.directory()
    if not is_dated(response) and not (yield from _kind(action)):
        raise action.failed("it is not certain that the upload was moved into place, and not into a directory")


def forbid_directory(action: Action) -> Steps[None]:
    """Raise if the host shows that it has a directory of the file's name.

    Raises:
        RemoteDirectoryError: It does.
    """
    if (yield from _kind(action)) is None and _is_directory(action, (yield Request("HEAD", action.target))):
        raise action.directory()


def replaces_file(action: Action, host: Acquaintance) -> Steps[bool]:
    """Return whether it is a file that a MOVE would replace, and not nothing: most servers would replace a whole directory.

    That a host refuses to delete directories says nothing of that.

    Args:
        action: Whose name the file has.
        host: What is known of the host.

    Raises:
        RemoteDirectoryError: A directory is there.
        UndecidedError: It is not certain that none is there.
    """
    return _is_file(action, host, has_propfind=True)
