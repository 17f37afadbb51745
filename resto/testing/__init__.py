"""Tools for testing a site, or a plugin, that stores files on media servers.

Here are a server that can be told to misbehave, throwaway hosts for the tests of a site, and the contracts of plugins as tests. Nothing of it is used by a site at
work, and nothing is imported before somebody asks for it. Look first at `resto.testing.server` and
`resto.testing.throwaway`, or for the contracts at `resto.testing.transport_contract` and `resto.testing.executor_contract`.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any


if TYPE_CHECKING:
    from resto.testing.executor_contract import ExecutorContract, QueueExecutorContract
    from resto.testing.server import TestHttpServer
    from resto.testing.throwaway import ThrowawayHosts, ThrowawayHostsMixin
    from resto.testing.transport_contract import TransportContract


__all__ = [
    "ExecutorContract",
    "QueueExecutorContract",
    "TestHttpServer",
    "ThrowawayHosts",
    "ThrowawayHostsMixin",
    "TransportContract",
]

# What those need that are not for sites, but for authors of plugins. Who takes all names gets no others than there are.
_NEEDED = ("hypothesis", "pytest")
if not all(map(find_spec, _NEEDED)):
    __all__ = [name for name in __all__ if not name.endswith("Contract")]

_MODULES = {
    "ExecutorContract": "resto.testing.executor_contract",
    "QueueExecutorContract": "resto.testing.executor_contract",
    "TestHttpServer": "resto.testing.server",
    "ThrowawayHosts": "resto.testing.throwaway",
    "ThrowawayHostsMixin": "resto.testing.throwaway",
    "TransportContract": "resto.testing.transport_contract",
}


def __getattr__(name: str) -> Any:
    # pytest imports this package in every run once resto is installed: the server, which pulls in ssl and http.client,
    # and the contracts, which need hypothesis, are only imported by those who use them.
    if name not in _MODULES:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    try:
        return getattr(import_module(_MODULES[name]), name)
    except ModuleNotFoundError as error:
        if error.name not in _NEEDED:
            raise
        message = f"{name} needs {error.name}: pip install {error.name}"
        raise ModuleNotFoundError(message, name=error.name) from error
