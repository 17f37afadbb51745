"""Tools for testing a site, or a plugin, that stores files on media servers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any


if TYPE_CHECKING:
    from resto.testing.server import TestHttpServer


__all__ = ["TestHttpServer"]


def __getattr__(name: str) -> Any:
    # pytest imports this package in every run once resto is installed: the server, which
    # pulls in ssl and http.client, is only imported by those who use it.
    if name == "TestHttpServer":
        from resto.testing.server import TestHttpServer

        return TestHttpServer
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)
