"""The names of new files: how long they may be, and, where there is no master copy, the search for one that no host has."""

import secrets
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import PurePosixPath

from resto.exceptions import ReplicationError, TransportError
from resto.names import MAX_PART_BYTES
from resto.outcomes import Outcome


__all__ = ["DOUBTFUL", "MAX_NAMES", "MaxLength", "NameSearch", "require_given", "shortened"]

# After so many names that are taken, hosts are asked for one that nobody can have. Django makes the second one, and all after
# it, of seven random characters: two of these in a row are never taken where hosts tell the truth.
DOUBTFUL = 3

# After so many names there is no other one.
MAX_NAMES = 100

_SAYS_YES = (
    "it says that it has {name!r}, a random name that nobody can have: what answers there is no media server, or answers "
    "every request with success; correct the address of the host, or the server"
)
_HAS_ALL = (
    "it says that it has each of {count} names, most of them random; correct the address of the host, or the server"
)
_CONSEQUENCE = "no name was found, and nothing was saved"


# Bytes that Django adds to a name to make another one.
_ADDED = len("_") + 7


def require_given(name: str) -> None:
    """Raise `ValueError`, as Django does, if there is no name of what is to be deleted."""
    if not name:
        raise ValueError("The name must be given to delete().")


def shortened(file_root: str, file_ext: str) -> str:
    """Return the beginning of a name so that Django can make another name of it that file systems take.

    Args:
        file_root: The last part of a name, without its extension.
        file_ext: The extension.
    """
    encoded = file_root.encode(errors="surrogatepass")
    room = MAX_PART_BYTES - _ADDED - len(file_ext.encode(errors="surrogatepass"))
    return file_root if len(encoded) <= room else encoded[: max(room, 0)].decode(errors="ignore")


class MaxLength(threading.local):
    """How long the name may be of the file that a thread saves.

    Attributes:
        value: In characters; None if it may have any length.
    """

    value: int | None = None

    @contextmanager
    def during(self, value: int | None) -> Iterator[None]:
        """Let it be this long meanwhile."""
        before, self.value = self.value, value
        try:
            yield
        finally:
            self.value = before


class NameSearch(threading.local):
    """How many names a thread has looked at, since it began to look for one that is free."""

    _taken: int | None = None

    @contextmanager
    def begun(self) -> Iterator[None]:
        """Count the names that are taken."""
        self._taken = 0
        try:
            yield
        finally:
            self._taken = None

    def note_taken(self, name: str, ask: Callable[[str], Sequence[Outcome]]) -> bool:
        """Take note that a name is taken, and return False; in the end, doubt that hosts tell the truth.

        Args:
            name: Which one.
            ask: Asks all hosts whether they have a file.

        Raises:
            ReplicationError: A host has what it cannot have, or too many names are taken.
        """
        if self._taken is None:
            return False  # somebody asks for this name alone
        self._taken += 1
        if self._taken == DOUBTFUL:
            other = _name_of_nobody(name)
            outcomes = ask(other)
            if any(outcome.value for outcome in outcomes):
                raise ReplicationError("exists", name, _refuted(outcomes, _SAYS_YES.format(name=other)), _CONSEQUENCE)
        if self._taken >= MAX_NAMES:
            outcomes = _refuted(ask(name), _HAS_ALL.format(count=MAX_NAMES))
            raise ReplicationError("exists", name, outcomes, f"{MAX_NAMES} names are taken: {_CONSEQUENCE}")
        return False


def _refuted(outcomes: Sequence[Outcome], problem: str) -> list[Outcome]:
    """Return outcomes in which those hosts have failed that say to have a file."""
    return [_failed(outcome, problem) if outcome.value else outcome for outcome in outcomes]


def _failed(outcome: Outcome, problem: str) -> Outcome:
    error = TransportError(outcome.host, outcome.name, outcome.action, problem)
    return replace(outcome, value=None, error=error)


def _name_of_nobody(name: str) -> str:
    """Return a name like another one, that nobody has: a server may treat some directories or kinds of files in its own way."""
    path = PurePosixPath(name)
    return str(path.with_name(secrets.token_hex(16) + path.suffix[:16]))
