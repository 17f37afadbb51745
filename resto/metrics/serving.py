"""Metrics from a process that is no web server."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import AF_INET6
from urllib.parse import urlsplit

from resto.exceptions import ConfigurationError
from resto.metrics import exposed
from resto.metrics.access import has_token, shows_token


__all__ = ["parse_address", "serving"]

# Nobody else's affair, unless somebody says so.
_HOST = "127.0.0.1"

_ADDRESS = re.compile(r"(?:(?:\[(?P<host6>[0-9A-Fa-f:.]+)\]|(?P<host>[^:\[\]/@\s]+)):)?(?P<port>\d{1,5})", re.ASCII)
_MAX_PORT = 65_535

# Seconds between two looks whether to end.
_LOOKS = 0.1


def parse_address(text: str) -> tuple[str, int]:
    """Return the host and the port of an address.

    Args:
        text: ``"9100"``, ``"0.0.0.0:9100"`` or ``"[::]:9100"``.

    Raises:
        ConfigurationError: It is no such thing.
    """
    found = _ADDRESS.fullmatch(text)
    if found is None or int(found["port"]) > _MAX_PORT:
        raise ConfigurationError(f"{text!r} is no address", "Give a port, or a host and a port, such as 0.0.0.0:9100.")
    return found["host6"] or found["host"] or _HOST, int(found["port"])


@contextmanager
def serving(address: tuple[str, int]) -> Iterator[str]:
    """Serve metrics as long as the context lasts.

    Args:
        address: A host of this machine, and a port; 0 for any.

    Returns:
        A context with their URL.

    Raises:
        ConfigurationError: Nobody can listen there, or the package that this needs is not installed.
    """
    exposed()  # whoever started this is told what is missing, and not whoever scrapes
    host, _ = address
    try:
        server = _Server6(address, _Handler) if ":" in host else _Server(address, _Handler)
    except OSError as error:
        raise ConfigurationError(f"metrics cannot be served on {host} port {address[1]}: {error.strerror}") from error
    thread = threading.Thread(target=server.serve_forever, args=(_LOOKS,), name="resto-metrics", daemon=True)
    thread.start()
    try:
        shown = f"[{host}]" if ":" in host else host
        yield f"http://{shown}:{server.server_port}/metrics"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # for whoever keeps a connection


class _Server6(_Server):
    address_family = AF_INET6


class _Handler(BaseHTTPRequestHandler):
    """Answers GET and HEAD."""

    timeout = 30  # seconds that a request may take to arrive

    def do_GET(self) -> None:
        status, content, headers = self._answer()
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_HEAD = do_GET  # noqa: N815 - so it is called by the base class

    def _answer(self) -> tuple[HTTPStatus, bytes, dict[str, str]]:
        plain = {"Content-Type": "text/plain; charset=utf-8"}
        if urlsplit(self.path).path != "/metrics":
            return HTTPStatus.NOT_FOUND, b"Metrics are at /metrics.\n", plain
        if has_token() and not shows_token(self.headers.get("Authorization", "")):
            refusal = b"Show the token of the site: Authorization: Bearer ...\n"
            return HTTPStatus.UNAUTHORIZED, refusal, {**plain, "WWW-Authenticate": "Bearer"}
        content, content_type = exposed(self.headers.get("Accept", ""))
        return HTTPStatus.OK, content, {"Content-Type": content_type}

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - so it is called by the base class
        pass
