"""Where jobs that 0.1 has put into queues find what makes their storage again; goes with 0.3."""

from typing import Any


__all__ = ["_rebuild"]


def _rebuild(storage_class: type, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Make a storage again."""
    return storage_class(*args, **kwargs)
