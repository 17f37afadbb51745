"""Replicated storage for Django: every uploaded file on every media server."""

from resto.hookspecs import hookimpl


__all__ = ["__version__", "hookimpl"]

__version__ = "0.2.0"
