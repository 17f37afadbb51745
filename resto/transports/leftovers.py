"""What servers keep beside files while an upload runs, or after it was killed."""

import re


__all__ = ["may_be_left_over"]

_LEFTOVERS = {
    "apache": re.compile(r"^\.davfs\.tmp"),
    "lighttpd": re.compile(r"\.\d+\.\d+~$"),
    "nginx": re.compile(r"\.0\d{9}$"),
}


def may_be_left_over(name: str, server: str) -> bool:
    """Tell whether a file may be such a one: a file of the site may have a name like that, too.

    Args:
        name: The last part of the file's name.
        server: Product in the Server header, lower case.
    """
    leftover = _LEFTOVERS.get(server)
    return leftover is not None and leftover.search(name) is not None
