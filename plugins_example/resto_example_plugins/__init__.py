"""Plugins for resto: any storage of Django as a host, and jobs through Huey. `metrics` is a plugin of its own."""

from resto import hookimpl


__all__ = ["resto_register_executors", "resto_register_transports"]


# Dotted paths, so that nothing is imported before a storage asks for it.


@hookimpl
def resto_register_transports() -> dict[str, str]:
    """Offer the transport ``"storage"``."""
    return {"storage": "resto_example_plugins.storage.StorageTransport"}


@hookimpl
def resto_register_executors() -> dict[str, str]:
    """Offer the executor ``"huey"``."""
    return {"huey": "resto_example_plugins.huey_executor.HueyExecutor"}
