"""A small media server for tests and demos, which can be told to misbehave."""

from __future__ import annotations

import select
import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from resto.testing.connections import Connection
from resto.testing.service import Service


if TYPE_CHECKING:
    import os
    import ssl


_BACKLOG = 128  # connections the kernel accepts on its own
_STOP_TIMEOUT = 10  # seconds; a thread that lives longer is stuck in a hook


class TestHttpServer(Service):
    """A media server on this machine: plain HTTP or WebDAV, in memory or on disk, with faults on demand.

    It listens from construction on, and serves once `start` or `run` is called. It keeps connections
    alive, uses one thread for each, and none of its methods needs another server, or Django.

    Args:
        host: Address to listen on.
        port: TCP port; 0 takes a free one.
        root: Directory to keep the files in, made if missing; memory if not given.
        webdav: By default, PUT makes missing directories, and WebDAV is spoken as well, as nginx does both, so that
            any transport of resto can be used. If true, PUT into a missing directory is refused (409), as RFC 4918
            has it; if false, WebDAV's methods are (405).
        credentials: User and password that every request has to bring (Basic authentication).
        ssl_context: Makes it an HTTPS server.
        in_place: Write uploads under their final name from the first byte, as rclone and wsgidav do, so
            that a cut upload leaves a broken file; otherwise uploads appear whole or not at all.
        deletes_trees: Let DELETE of the name of a directory remove all that is in it, with or without a slash,
            and let MOVE replace it, as rclone and SabreDAV do. Otherwise DELETE with a slash removes an empty directory.
        dates_directories: Answer HEAD and GET of a directory as if it were an empty file, with a date, as ASGIWebDAV does.
        folds_case: Take names that differ by upper and lower case only for one, as the disks of macOS and Windows do.
        folds_forms: Take names for one that differ by the form of Unicode only, in which letters with accents are one character or
            two, as the disks of macOS do.

    Raises:
        OSError: The port is taken.
    """

    __test__ = False  # not a test, whatever pytest thinks of its name

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        root: str | os.PathLike[str] | None = None,
        webdav: bool | None = None,
        credentials: tuple[str, str] | None = None,
        ssl_context: ssl.SSLContext | None = None,
        in_place: bool = False,
        deletes_trees: bool = False,
        dates_directories: bool = False,
        folds_case: bool = False,
        folds_forms: bool = False,
    ) -> None:
        # First, because a service heals itself when it is made, which ends a refusal.
        self._refusing = threading.Lock()
        self._refuse = False
        super().__init__(
            root=root,
            webdav=webdav,
            credentials=credentials,
            in_place=in_place,
            deletes_trees=deletes_trees,
            dates_directories=dates_directories,
            folds_case=folds_case,
            folds_forms=folds_forms,
        )
        self._lock = threading.Condition()
        self._watches = False
        self._stopping = False
        self._host = host
        self._listener = _bind(host, port)
        self._listener.listen(_BACKLOG)
        self._port: int = self._listener.getsockname()[1]
        self._alarm, self._bell = socket.socketpair()
        self._bell.settimeout(0)
        self._alarm.settimeout(0)
        self._connections: dict[Connection, threading.Thread] = {}
        self._accepted = 0
        self._serving = threading.Lock()
        self._thread: threading.Thread | None = None
        self._ssl_context = ssl_context

    @property
    def address(self) -> str:
        """Host and port, as ``127.0.0.1:8080``."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{host}:{self._port}"

    @property
    def url(self) -> str:
        """Where the files are, with a slash at the end."""
        return f"{'http' if self._ssl_context is None else 'https'}://{self.address}/"

    # Running.

    def start(self) -> Self:
        """Serve in a thread of its own, until `stop`."""
        with self._lock:
            if self._thread is not None or self._stopping:
                raise RuntimeError("a server can be started only once")
            self._thread = threading.Thread(target=self.run, name=f"resto-testing {self.address}", daemon=True)
            self._thread.start()
        return self

    def run(self) -> None:
        """Serve in the calling thread, until `stop` is called in another one."""
        with self._serving:
            while not self._stopping:
                self._wait_for_client()
                self._accept()

    def stop(self) -> None:
        """Close every socket and end every thread; the second call does nothing.

        Raises:
            RuntimeError: A thread does not end, because a hook blocks it.
        """
        with self._lock:
            already, self._stopping = self._stopping, True
            if already:
                return
            self._listener.close()
            connections = dict(self._connections)
        # First, so that what is waiting for the end of a fault finds nobody to answer.
        for connection in connections:
            connection.abort()
        self.interrupt()
        self._ring()
        with self._serving:
            self._alarm.close()
            self._bell.close()
        if self._thread is not None:
            self._thread.join()
        _join(list(connections.values()))

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    # Faults of the whole server.

    @property
    def refuse(self) -> bool:
        """Refuse connections, as if nobody listened, and close those that are open.

        The port stays reserved: the server is back there once this is false again. `fault_methods` does not matter.
        """
        return self._refuse

    @refuse.setter
    def refuse(self, value: bool) -> None:
        with self._refusing:
            if value and not self._refuse:
                self._leave_port()
            elif self._refuse and not value:
                self._return_to_port()

    def _leave_port(self) -> None:
        with self._lock:
            self._refuse = True
            self._ring()
            # A socket goes on listening, although closed, as long as `run` polls it.
            self._lock.wait_for(lambda: not self._watches)
            if self._stopping:
                return
            self._listener.close()
            # Bound but not listening: the kernel refuses for us, and nobody else gets the port.
            self._listener = _bind(self._host, self._port)
            connections = list(self._connections)
        for connection in connections:
            connection.abort()

    def _return_to_port(self) -> None:
        with self._lock:
            self._refuse = False
            if not self._stopping:
                self._listener.listen(_BACKLOG)
                self._ring()

    def heal(self) -> None:
        super().heal()
        self.refuse = False

    def _ring(self) -> None:
        """Make `run` look again at what changed."""
        with suppress(OSError):
            self._bell.send(b"!")

    def _wait_for_client(self) -> None:
        with suppress(BlockingIOError):
            self._alarm.recv(1024)
        poll = select.poll()
        with self._lock:
            if self._stopping:
                return
            poll.register(self._alarm, select.POLLIN)
            self._watches = not self._refuse
            if self._watches:
                poll.register(self._listener, select.POLLIN)
        poll.poll()
        with self._lock:
            self._watches = False
            self._lock.notify_all()

    def _accept(self) -> None:
        with self._lock:
            if self._stopping or self._refuse:
                return
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return  # woken by the bell, or the client has left already
            sock.settimeout(None)
            self._accepted += 1
            try:
                connection = Connection(self, sock, self._accepted, self._ssl_context)
            except OSError:
                sock.close()
                return
            name = f"resto-testing {self.address} #{self._accepted}"
            thread = threading.Thread(target=self._serve, args=[connection], name=name, daemon=True)
            self._connections[connection] = thread
            thread.start()

    def _serve(self, connection: Connection) -> None:
        try:
            connection.serve()
        finally:
            with self._lock:
                del self._connections[connection]


def _join(threads: list[threading.Thread]) -> None:
    for thread in threads:
        if thread is not threading.current_thread():  # a hook may stop the server
            thread.join(_STOP_TIMEOUT)
            if thread.is_alive():
                message = f"{thread.name} does not end: blocked in a hook?"
                raise RuntimeError(message)


def _bind(host: str, port: int) -> socket.socket:
    """Take a port without listening on it yet."""
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.settimeout(0)
        sock.bind((host, port))
    except OSError:
        sock.close()
        raise
    return sock
