"""``python -m resto.testing``: one media server over a real directory, for demos."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile

from resto.testing.server import TestHttpServer


def main(arguments: list[str] | None = None) -> None:
    """Serve until SIGTERM or SIGINT; print the URL on the first line.

    Args:
        arguments: The command line without the program's name; `sys.argv` if not given.
    """
    parser = argparse.ArgumentParser(prog="python -m resto.testing", description="Run a media server for a demo.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", default=0, type=int, help="TCP port; a free one by default")
    parser.add_argument("--root", help="directory of the files; a temporary one by default")
    parser.add_argument("--plain", action="store_true", help="plain HTTP, without WebDAV")
    options = parser.parse_args(arguments)
    # Blocked before any thread exists, so that all threads inherit it and only sigwait() gets them.
    signals = {signal.SIGINT, signal.SIGTERM}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        with (
            tempfile.TemporaryDirectory(prefix="resto-") as temporary,
            TestHttpServer(
                options.host, options.port, root=options.root or temporary, webdav=not options.plain
            ) as server,
        ):
            sys.stdout.write(f"{server.url}\n")
            sys.stdout.flush()
            signal.sigwait(signals)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


if __name__ == "__main__":
    main()
