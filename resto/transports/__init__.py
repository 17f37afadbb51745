"""Transports speak one protocol to hosts: they read, write and list files there.

They know nothing of threads, of Django's storages, or of other hosts than the one that is asked. Begin with the contract in
`base`, and then `http`: it makes steps of an action, each a request (`steps`), and lets a wire carry them out (`messages`).
"""

from resto.hookspecs import hookimpl
from resto.transports.base import Directory, Entry, Transport, Trial
from resto.transports.parts import FilePart, Version


__all__ = ["Directory", "Entry", "FilePart", "Transport", "Trial", "Version", "resto_register_transports"]


@hookimpl
def resto_register_transports() -> dict[str, str]:
    """Offer the bundled transports."""
    return {
        "directory": "resto.transports.directory.DirectoryTransport",
        "http": "resto.transports.http.HttpTransport",
        "webdav": "resto.transports.webdav.WebDAVTransport",
    }
