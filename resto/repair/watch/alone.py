"""Of a storage one comparison goes on at a time, whichever process that watches has begun it."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from resto.exceptions import ConfigurationError
from resto.record.runs import living
from resto.record.turns import Turn
from resto.repair.refusals import usable_storage
from resto.storage import HybridStorage


__all__ = ["alone", "is_compared"]


def is_compared(aliases: Sequence[str]) -> bool:
    """Return whether somebody compares one of these storages, be it a part of it.

    Args:
        aliases: Of the storages.

    Raises:
        DatabaseError: The record cannot be used.
    """
    return any(run.is_about(alias) for run in living("sync") for alias in aliases)


@contextmanager
def alone(aliases: Sequence[str]) -> Iterator[bool]:
    """Yield whether a comparison of these storages may begin: as long as the context lasts, no other process that watches begins one.

    Args:
        aliases: Of the storages.

    Raises:
        DatabaseError: The record cannot be used.
    """
    with ExitStack() as stack:
        try:
            for key in sorted({_key(alias) for alias in aliases}):
                stack.enter_context(Turn(key, "comparison"))
        except ConfigurationError:  # such as that the master copy is being restored
            yield False
        else:
            yield not is_compared(aliases)


def _key(alias: str) -> str:
    """Return the alias under which turns of a storage are taken."""
    storage = usable_storage(alias)
    return storage.belief.key_of_turns(alias) if isinstance(storage, HybridStorage) else alias
