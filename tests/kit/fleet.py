"""Three media servers that ask each other for what they lack."""

from collections.abc import Mapping
from contextlib import ExitStack

from kit.servers import MediaServer, free_port, require


__all__ = ["ASKING", "KINDS", "OUTSIDER", "start_fleet"]

# Who only reads, and from where the servers ask each other, as on machines of their own. 127.0.0.1 is in @WRITERS@.
OUTSIDER, MEDIA = "127.0.0.2", "127.0.0.7"

ASKING = {
    "nginx-fallback": {"proxy_pass http://others;": f"proxy_bind {MEDIA}; proxy_pass http://others;"},
    "apache-fallback": {"ProxyTimeout 10": f"ProxyTimeout 10\nProxySourceAddress {MEDIA}"},
}
KINDS = [*ASKING]


def start_fleet(stack: ExitStack, kind: str, edits: Mapping[str, str] | None = None) -> list[MediaServer]:
    """Start three servers, each of which has the other ones.

    Args:
        stack: Ends them.
        kind: One of `KINDS`, or another one that is edited to ask the others.
        edits: As for `MediaServer`.
    """
    require(kind)
    ports = [free_port() for _ in range(3)]
    servers = []
    for number, port in enumerate(ports):
        second, third = (f"127.0.0.1:{ports[number - others]}" for others in (2, 1))
        server = MediaServer(
            kind, {**ASKING.get(kind, {}), **(edits or {})}, second=second, third=third, other_address=MEDIA
        )
        stack.callback(server.close)
        server.port = port
        servers.append(server.start())
    return servers
