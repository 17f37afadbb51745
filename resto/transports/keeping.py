"""For how long a host keeps a connection over which nothing is asked, and what keeps it from dying in silence meanwhile.

A host closes such a connection when its time is over, which is seen before it is used again. But a request that is on its way
just then is lost; and a firewall may forget a connection without a word.
"""

import re
import socket
from collections.abc import Mapping
from email.message import Message


__all__ = ["LEAST", "MOST", "keep_alive", "kept_for"]

# Seconds. Apache closes idle connections after 5, lighttpd after 6, wsgidav after 10.
LEAST = 4

# Seconds, however long a host would keep it.
MOST = 300

# Seconds, of servers that do not say for how long they keep one. nginx: 75, and 65 as it is packaged; rclone: 60; Caddy: 300.
_KEPT_BY: Mapping[str, float] = {"nginx": 64, "rclone": 55, "caddy": 120}

# The parameter of a Keep-Alive header (RFC 2068, section 19.7.1.1), which Apache sends.
_TIMEOUT = re.compile(r"(?:^|[,;])[ \t]*timeout[ \t]*=[ \t]*([0-9]{1,9})[ \t]*(?:$|[,;])", re.IGNORECASE)

# A firewall forgets a connection after minutes at the earliest, and its peer is known to be dead after half a minute.
_PROBES = (("TCP_KEEPIDLE", 15), ("TCP_KEEPALIVE", 15), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3))


def kept_for(headers: Message | Mapping[str, str]) -> float:
    """Return for how many seconds a connection can be used again, once nothing is asked over it.

    That is a little less than the host keeps it: what is asked must arrive in time.

    Args:
        headers: Those of an answer that came over it.
    """
    said = _TIMEOUT.search(headers.get("Keep-Alive") or "")
    if said is None:
        product = (headers.get("Server") or "").partition("/")[0].partition(" ")[0].lower()
        return _KEPT_BY.get(product, LEAST)
    seconds = int(said[1])
    return min(seconds - min(1, seconds / 2), MOST)


def keep_alive(sock: socket.socket) -> None:
    """Let the system ask the other end of an idle connection, every now and then, whether it is there.

    What is between the two remembers the connection; and if nobody answers, it is seen before it is used again.
    """
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in _PROBES:
        if hasattr(socket, option):  # each system has some of them
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
