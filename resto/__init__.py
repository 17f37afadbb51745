"""Replicated storage for Django: every uploaded file on every media server.

Nothing happens here: folders and modules are floors, of which each uses those below it only, and CONTRIBUTING.md has a picture of them. Look first
into `storage`, whose classes sites name in ``STORAGES``.
"""

from resto.hookspecs import hookimpl


__all__ = ["__version__", "hookimpl"]

__version__ = "0.2.0"
