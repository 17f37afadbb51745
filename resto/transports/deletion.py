"""The steps of deletions: of files, never of a directory in the place of one."""

from resto.names import is_impossible
from resto.transports.messages import Request, Response, Steps
from resto.transports.steps import (
    ABSENT,
    Action,
    collection,
    is_directory_of_wsgidav,
    is_of_directory,
    server_product,
    unlocked,
)


__all__ = ["SPARE_DIRECTORIES", "delete", "remove_directory", "require_file"]

# Servers, by the product in their Server header, that answer 4xx to `DELETE /directory` with `Depth: 0`. Of the others,
# rclone and Caddy delete the whole tree.
SPARE_DIRECTORIES = frozenset({"nginx", "apache", "lighttpd", "wsgidav", "resto-testing"})

# What servers of `SPARE_DIRECTORIES` answer to a DELETE below the name of a file: Apache, lighttpd, nginx.
_BELOW_A_FILE = frozenset({400, 403, 409})


def delete(action: Action, *, spares_directories: bool) -> Steps[bool]:
    """Delete the file; return whether it was there.

    Args:
        action: What to delete.
        spares_directories: Whether the server refuses to delete a directory; if not, the host is first asked whether
            this is a file.

    Raises:
        RemoteDirectoryError: A directory is there.
    """
    if not spares_directories:
        response = yield Request("HEAD", action.target)
        if _has_no_file(action, response):
            return False
        require_file(action, response)
    response = yield from unlocked(Request("DELETE", action.target, {"Depth": "0"}))
    if _has_no_file(action, response):
        return False
    if response.status not in (200, 204):
        if spares_directories and (yield from _is_no_name_of_a_file(action, response)):
            return False
        raise action.unexpected(response, "DELETE")
    return True


def _has_no_file(action: Action, response: Response) -> bool:
    return response.status in ABSENT or is_impossible(action.name, response.status)


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
        if told.status == 200 and "Last-Modified" in told.headers:
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


def require_file(action: Action, response: Response) -> None:
    """Raise unless the answer to a HEAD can only be that of a file: no server dates a directory."""
    if _is_directory(action, response):
        raise action.directory()
    if response.status != 200 or "Last-Modified" not in response.headers:
        raise action.failed("it is not certain that this is a file there, and not a directory; nothing was done")
