"""``python -m resto.testing``: one media server for demos, or several throwaway hosts to develop a site against."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from resto.testing.server import TestHttpServer


if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


# Where servers listen that keep their files, so that they are the same hosts the next time.
FIRST_PORT = 8101


def main(arguments: list[str] | None = None) -> None:
    """Serve until SIGTERM or SIGINT; print the URL on the first line, or with ``--hosts`` the settings to paste.

    Args:
        arguments: The command line without the program's name; `sys.argv` if not given.
    """
    parser = argparse.ArgumentParser(
        prog="python -m resto.testing", description="Run media servers that are thrown away."
    )
    parser.add_argument(
        "--hosts", type=_count, metavar="N", help="run so many, and print the settings of a site for them"
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument(
        "--port",
        type=int,
        help=f"TCP port, of several servers the first; by default free ones, or {FIRST_PORT} for --hosts with --directory",
    )
    parser.add_argument(
        "--directory",
        "--root",
        help="directory of the files, with one for each server if there are several; else they are in memory, or with "
        "one server in a temporary directory",
    )
    parser.add_argument("--plain", action="store_true", help="plain HTTP, without WebDAV")
    options = parser.parse_args(arguments)
    # Blocked before any thread exists, so that all threads inherit it and only sigwait() gets them.
    signals = {signal.SIGINT, signal.SIGTERM}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        with ExitStack() as stack:
            servers = _several(options) if options.hosts else [_one(options, stack)]
            for server in servers:
                stack.enter_context(server)
            lines = (
                _settings(servers, options.directory, has_new_ports=options.port == 0)
                if options.hosts
                else [servers[0].url]
            )
            sys.stdout.write("".join(f"{line}\n" for line in lines))
            sys.stdout.flush()
            signal.sigwait(signals)
    except OSError as error:
        sys.exit(
            f"It cannot be served there: {(error.strerror or str(error)).lower()}; try another --port or --directory."
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _one(options: argparse.Namespace, stack: ExitStack) -> TestHttpServer:
    root = options.directory or stack.enter_context(tempfile.TemporaryDirectory(prefix="resto-"))
    return TestHttpServer(options.host, options.port or 0, root=root, webdav=_webdav(options))


def _several(options: argparse.Namespace) -> list[TestHttpServer]:
    """Return servers that have taken their ports."""
    first_port = options.port
    if first_port is None:
        first_port = FIRST_PORT if options.directory else 0
    servers: list[TestHttpServer] = []
    try:
        for number in range(options.hosts):
            root = options.directory and Path(options.directory, f"media-{number + 1}")
            port = first_port and first_port + number
            servers.append(TestHttpServer(options.host, port, root=root, webdav=_webdav(options)))
    except OSError:
        for server in servers:
            server.stop()
        raise
    return servers


def _webdav(options: argparse.Namespace) -> bool | None:
    return False if options.plain else None


def _settings(servers: Sequence[TestHttpServer], directory: str | None, *, has_new_ports: bool) -> Iterator[str]:
    """Yield settings of a site, and what is to be known of them as comments."""
    where = "in memory; they are others the next time"
    if directory:
        ports = "their ports are others" if has_new_ports else "they are the same"
        where = f"in {directory}; {ports} the next time"
    yield f"# Throwaway media servers, with their files {where}. Ctrl-C ends them."
    yield "RESTO_MEDIA_HOSTS = ["
    for server in servers:
        yield f'    "{server.url}media/",'
    yield "]"
    yield "STORAGES = {"
    yield '    "default": {"BACKEND": "resto.storage.HybridStorage"},'
    yield '    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},'
    yield "}"


def _count(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of servers")
    return int(text)


if __name__ == "__main__":
    main()
