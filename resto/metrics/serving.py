"""Metrics from a process that is no web server."""

import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import AF_INET6, SHUT_RDWR, socket
from typing import Any
from urllib.parse import urlsplit

from resto.clock import monotonic
from resto.exceptions import ConfigurationError
from resto.metrics import exposed
from resto.metrics.access import has_token, shows_token


__all__ = ["parse_address", "serving"]

# Nobody else's affair, unless somebody says so.
_HOST = "127.0.0.1"

_ADDRESS = re.compile(r"(?:(?:\[(?P<host6>[0-9A-Fa-f:.]+)\]|(?P<host>[^:\[\]/@\s]+)):)?(?P<port>\d{1,5})", re.ASCII)
_MAX_PORT = 65_535

# Connections at a time, and seconds for which one is served at most: Prometheus gives up after ten.
MOST, LONGEST = 16, 15.0

# Seconds for which it is waited that a connection ends which was cut.
MOMENT = 1.0

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
    """Serves so many connections at a time, and for so long each, whatever those who open them do."""

    daemon_threads = True
    block_on_close = False  # for whoever keeps a connection
    request_queue_size = MOST

    def __init__(self, *args: Any) -> None:
        self._room = threading.Condition()
        self._open: dict[socket, float] = {}  # since when, the oldest first
        super().__init__(*args)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._room:
            if len(self._open) >= MOST:
                _cut(next(iter(self._open)))
                self._room.wait_for(lambda: len(self._open) < MOST, MOMENT)
            has_room = len(self._open) < MOST
            if has_room:
                self._open[request] = monotonic()
        if has_room:
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def shutdown_request(self, request: Any) -> None:
        with self._room:
            self._open.pop(request, None)
            self._room.notify()
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """Cut connections that have taken too long: between two requests it is called each tenth of a second."""
        with self._room:
            for request, since in self._open.items():
                if monotonic() - since > LONGEST:
                    _cut(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), OSError):  # that somebody has gone, or was cut, is nobody's affair
            super().handle_error(request, client_address)


def _cut(request: socket) -> None:
    """End a connection, so that the thread that waits for it goes on."""
    with suppress(OSError):
        request.shutdown(SHUT_RDWR)


class _Server6(_Server):
    address_family = AF_INET6


class _Handler(BaseHTTPRequestHandler):
    """Answers GET and HEAD."""

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
