"""The web server of the site."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any, Self
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer


if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication


class Server(ThreadingMixIn, WSGIServer):
    """Serves an application on this machine, in threads; in the end it waits for those that answer.

    Args:
        port: To listen on; 0 takes a free one.
        application: What answers.

    Raises:
        OSError: The port is taken.
    """

    daemon_threads = False

    def __init__(self, port: int, application: WSGIApplication) -> None:
        self._open: set[socket.socket] = set()
        super().__init__(("127.0.0.1", port), _QuietHandler)
        self.set_app(application)
        self._thread = threading.Thread(target=self.serve_forever, args=[0.05])

    @property
    def url(self) -> str:
        """Where the site is, with a slash at the end."""
        return f"http://127.0.0.1:{self.server_port}/"

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.shutdown()
        self._thread.join()
        # Browsers open connections, and ask nothing.
        for request in list(self._open):
            with suppress(OSError):
                request.shutdown(socket.SHUT_RD)
        self.server_close()


class _QuietHandler(WSGIRequestHandler):
    def log_message(self, *args: Any) -> None:
        """Pages that look for news each second would fill the terminal."""
