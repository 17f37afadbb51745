"""The reservation of a name where there is no master copy: nobody else has it, or is about to have it."""

import errno
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from resto.exceptions import os_error
from resto.names import clean_name
from resto.record.changes import Change, Recorded
from resto.record.rows import Row


__all__ = ["Reservation"]

_TAKEN = (
    "{name!r} is taken: a host has it, or a save or delete of it may be under way. Without a master copy no file is replaced: "
    "delete it first, or let get_available_name() return another name; or use HybridStorage with allow_overwrite"
)


class Reservation(threading.local):
    """What a thread knows of the save that it is in.

    Attributes:
        alias: Of the storage that reserves each name that is looked at; None while none does.
    """

    alias: str | None = None
    _free: str | None = None  # the name that was looked at last, if it was found to be free
    _change: Change | None = None  # of the name that was reserved last
    _seen: tuple[str, Sequence[Row]] | None = None  # the rows of the name that is looked at

    @contextmanager
    def opened(self, alias: str | None) -> Iterator[None]:
        """Reserve each name that is looked at meanwhile; what is not taken by the end is nobody's again.

        Args:
            alias: Under which changes are recorded; None if nothing is, nor reserved.
        """
        self.alias = alias
        try:
            yield
        finally:
            self.alias = None
            if self._change is not None:
                self._change.forget()
                self._change = None

    def reserve(self, storage: Recorded, name: str) -> bool:
        """Record that a file of that name is about to be saved; return whether nobody else has recorded anything.

        Args:
            storage: Whose name it is.
            name: The file's name.
        """
        self._change = self._change or Change(storage, present=True)
        self._change.announce(name)
        lease = self._change.lease
        # Whoever records the same name at the same moment sees this, too, and both take another one. What has followed is not
        # looked for again before hosts are asked: it could only say that fewer of them tell the truth, or none has the file.
        rows = [] if lease is None else lease.take_over(self.alias or "", name)
        if rows is not None:
            self._seen = (name, rows)
        return rows is not None

    @contextmanager
    def looking_at(self, storage: Recorded, name: str) -> Iterator[bool]:
        """Reserve a name, if names are reserved, while hosts are asked for it.

        Args:
            storage: Whose name it is.
            name: The file's name, in any form.

        Yields:
            Whether it may be free: nobody else has recorded anything.
        """
        self._free = None
        try:
            yield self.alias is None or self.reserve(storage, clean_name(name))
        finally:
            self.forget_rows()

    def rows(self, name: str) -> Sequence[Row] | None:
        """Return the rows of the name that has just been reserved; None if it is another one."""
        return self._seen[1] if self._seen is not None and self._seen[0] == name else None

    def forget_rows(self) -> None:
        """Let the rows be looked for again."""
        self._seen = None

    def note(self, name: str, *, is_free: bool) -> None:
        """Take note of what was found out about a name.

        Args:
            name: The file's name, in any form.
            is_free: Whether it can be used for a new file.
        """
        self._free = name if is_free else None

    def take(self, storage: Recorded, name: str, is_free: Callable[[str], bool], alias: str | None) -> Change:
        """Return the change that brings a file.

        Args:
            storage: Whose name it is.
            name: The file's name. A subclass may have chosen one that was not looked at.
            is_free: Looks at a name.
            alias: As for `opened`.

        Raises:
            FileExistsError: The name is taken.
        """
        if self._free is None or clean_name(self._free) != name:
            with self.opened(alias):
                if not is_free(name):
                    raise os_error(FileExistsError, errno.EEXIST, _TAKEN.format(name=name))
                change = self._taken(storage)
        else:
            change = self._taken(storage)
        if change.lease is None:
            change.announce(name)  # nothing is recorded, which may have to be said
        return change

    def _taken(self, storage: Recorded) -> Change:
        change, self._change, self.alias, self._free = self._change, None, None, None
        return change or Change(storage, present=True)
