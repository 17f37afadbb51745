"""Transports speak one protocol to hosts. They know nothing of threads, of Django's storages, or of other hosts."""

from resto.hookspecs import hookimpl
from resto.transports.base import Directory, Entry, Transport


__all__ = ["Directory", "Entry", "Transport", "resto_register_transports"]


@hookimpl
def resto_register_transports() -> dict[str, str]:
    """Offer the bundled transports."""
    return {
        "http": "resto.transports.http.HttpTransport",
        "webdav": "resto.transports.webdav.WebDAVTransport",
    }
