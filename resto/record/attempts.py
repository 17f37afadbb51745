"""What one attempt to save a form has stored so far, and what it could not store: storages note it as they go."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from django.core.files.storage import Storage
from django.db import DatabaseError

from resto.exceptions import ReplicationError, RestoError
from resto.names import shown


__all__ = ["Attempt", "Failure", "attempting", "note_missed", "note_replaced", "note_stored", "noting_failure"]

logger = logging.getLogger("resto")


@dataclass(frozen=True, slots=True)
class Failure:
    """A save that has failed.

    Attributes:
        error: What the storage raised.
        content: What was to be stored, as it was given to the storage.
    """

    error: RestoError
    content: Any


@dataclass(eq=False, slots=True)
class Attempt:
    """What was done by the storages of resto within one attempt.

    Attributes:
        failure: The last save that has failed; None if none has.
        stored: Storages, and the names of new files there.
        replaced: Names whose older files are gone, with which the attempt cannot be undone.
        missed: Record once more what hosts have missed, each: a rollback takes the rows along.
        is_over: Whether nothing may be stored any more.
    """

    failure: Failure | None = None
    stored: list[tuple[Storage, str]] = field(default_factory=list)
    replaced: list[str] = field(default_factory=list)
    missed: list[Callable[[], None]] = field(default_factory=list)
    is_over: bool = False

    def failed_with(self, error: BaseException | None) -> Failure | None:
        """Return the save that has raised an error, if one has: what else is raised is no failure of the attempt."""
        return self.failure if self.failure is not None and self.failure.error is error else None

    def undo(self) -> None:
        """Delete what was stored, from everywhere, once the transaction is rolled back; and let nothing be stored any more.

        What cannot be done is logged, and the rest is.
        """
        self.is_over = True
        missed, stored = self.missed, self.stored
        self.missed, self.stored = [], []
        for record in missed:
            _carry_on(record, "to record what hosts have missed")
        for storage, name in reversed(stored):
            _carry_on(partial(storage.delete, name), f"to delete {shown(name)}")

    def adopt(self, inner: "Attempt") -> None:
        """Take over what an attempt within this one has done."""
        self.stored += inner.stored
        self.replaced += inner.replaced
        self.missed += inner.missed


def _carry_on(call: Callable[[], None], aim: str) -> None:
    """Make a call, and log what it raises."""
    try:
        call()
    except ReplicationError:
        return  # each host that has failed is logged, and recorded
    except (RestoError, OSError, DatabaseError):
        logger.exception("Failed %s, after a form that is not saved.", aim)


_current: ContextVar[Attempt | None] = ContextVar("resto_attempt", default=None)


@contextmanager
def attempting(attempt: Attempt) -> Iterator[None]:
    """Let storages note in an attempt what they do meanwhile, in this thread."""
    outer = _current.get()
    token = _current.set(attempt)
    try:
        yield
    finally:
        _current.reset(token)
    if outer is not None:
        outer.adopt(attempt)


@contextmanager
def noting_failure(content: Any) -> Iterator[None]:
    """Note in the attempt that is under way, if one is, that a file cannot be stored.

    Args:
        content: Of the file.

    Raises:
        RestoError: The attempt has failed before, and is over.
    """
    attempt = _current.get()
    if attempt is None:
        yield
        return
    if attempt.is_over and attempt.failure is not None:
        raise attempt.failure.error
    try:
        yield
    except RestoError as error:
        attempt.failure = Failure(error, content)
        raise


def note_stored(storage: Storage, name: str) -> None:
    """Note that a new file was stored: it has to go if the form is not saved."""
    attempt = _current.get()
    if attempt is not None:
        attempt.stored.append((storage, name))


def note_missed(record: Callable[[], None]) -> None:
    """Note that hosts have missed something, and how to record that again after a rollback."""
    attempt = _current.get()
    if attempt is not None:
        attempt.missed.append(record)


def note_replaced(name: str) -> None:
    """Note that a file has replaced an older one, and stays whatever becomes of the form."""
    attempt = _current.get()
    if attempt is not None:
        attempt.replaced.append(name)
