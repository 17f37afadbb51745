"""Files of the master copy that a storage has opened: read where they are, and written beside that until they are published."""

import contextlib
import errno
import logging
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import IO, Any, Self, cast

from django.core.files import File

from resto.exceptions import os_error
from resto.master.copy import MasterCopy
from resto.master.writing import require_plain
from resto.names import shown
from resto.record.changes import Change
from resto.storage.undo import follow, forgetting


__all__ = ["MasterFile", "Writing", "is_writing"]

logger = logging.getLogger("resto")


def is_writing(mode: str) -> bool:
    """Return whether a mode of the builtin `open` can change a file."""
    return not set(mode).isdisjoint("wax+")


class Writing:
    """What is written to one file of the master copy, under a temporary name until it is published.

    Args:
        master: The master copy.
        name: The file's name.
        mode: As for the builtin `open`: writing, appending, updating or exclusive creation.
        change: Not announced yet.
        update: What hosts do to follow it, as for `Change.execute`.

    Attributes:
        file: Where to write.
    """

    def __init__(
        self,
        master: MasterCopy,
        name: str,
        mode: str,
        change: Change,
        update: Callable[..., object],
    ) -> None:
        self._master = master
        self._name = name
        self._change = change
        self._update = update
        self._beside = master.open_beside(name, mode)
        self.file = self._beside.file

    def publish(self) -> None:
        """Give the file its name, once it is closed, and replicate it, unless the file that was opened is not there any more.

        A deletion that came first holds, as it does for Django, and is not undone: the log says that what was written is lost.

        Raises:
            FileExistsError: There is another file by now, which somebody else has saved since.
            ReplicationError: As for saving a file.
        """
        try:
            self._change.announce(self._name)
            with forgetting(self._change):
                became = self._master.publish_beside(self._name, self._beside)
        finally:
            self.discard()
        if became == "published":
            self._change.confirm(self._name)
            follow(self._change, self._update, self._name, "the master copy is written, and was not undone")
            return
        self._change.forget()
        if became == "replaced":
            problem = f"{self._name!r} was saved by somebody else while it was open; what was written here is lost"
            raise os_error(FileExistsError, errno.EEXIST, problem)
        if became == "deleted":
            logger.warning("%s was deleted while it was open, and what was written is lost.", shown(self._name))

    def discard(self) -> None:
        """Remove what was written, unless it is published."""
        self._master.discard_beside(self._beside)


class MasterFile(File):  # type: ignore[type-arg]  # File is not generic at run time
    """A file of the master copy, open for reading or for writing; once closed, it can be opened again in any mode.

    What is written is published and replicated when the file is closed, as a whole; until then readers see the file as it was
    before. They go on to do so, and the log says it, if a write has failed, if the file is closed while an exception is on its way
    that was not there when it was opened, or if nobody closes it. So they do if somebody else has deleted the file or saved another one
    since it was opened; what was appended comes after what others have appended.

    Args:
        path: Of the file; also its name, as Django's `FileSystemStorage` has it.
        mode: As for the builtin `open`.
        start: Called with a mode in which the file is to be written.
    """

    def __init__(self, path: str, mode: str, start: Callable[[str], Writing]) -> None:
        self._writing: Writing | None = None
        self._start = start
        super().__init__(self._opened(path, mode), path)
        self._note_mode(mode)

    def _opened(self, path: str, mode: str) -> IO[Any]:
        self._is_whole = True
        self._handled = sys.exception()
        if not is_writing(mode):
            return open(path, mode, opener=_open_plain)
        self._writing = self._start(mode)
        return self._writing.file

    def open(self, mode: str | None = None, *args: Any, **kwargs: Any) -> Self:
        """Rewind the file; open it anew if it is closed, or open in a mode that does not allow what is wanted.

        Raises:
            Exception: As for closing it, and as for opening it through its storage.
        """
        if not self.closed and (mode is None or self._allows(mode)):
            self.seek(0)
            return self
        self.close()
        self.__dict__.pop("size", None)  # Django remembers it
        mode = mode or self.mode
        self.file = self._opened(str(self.name), mode)
        self._note_mode(mode)
        return self

    def _note_mode(self, mode: str) -> None:
        # What is open says it in other words: `rb+` of a file that was opened as `w+b`. A new one is open as a temporary one.
        told = getattr(self.file, "mode", mode)
        self.mode = told if "x" not in mode else "".join(sorted(mode, key="xb+".find)) if "b" in mode else mode
        self._asked = mode

    def _allows(self, mode: str) -> bool:
        is_as_text = ("b" in mode) == ("b" in self._asked)
        return mode == self._asked or ("+" in self._asked and not is_writing(mode) and is_as_text)

    def write(self, data: Any) -> int:
        """Write bytes or text, as the mode wants; return how many."""
        with self._watched():
            return cast("IO[Any]", self.file).write(data)

    def writelines(self, lines: Iterable[Any]) -> None:
        """Write several pieces of bytes or text."""
        with self._watched():
            cast("IO[Any]", self.file).writelines(lines)

    def flush(self) -> None:
        """Write what is buffered to the disk."""
        with self._watched():
            cast("IO[Any]", self.file).flush()

    @contextlib.contextmanager
    def _watched(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self._is_whole = False
            raise

    def __exit__(self, exc_type: type[BaseException] | None, *args: object) -> None:
        if exc_type is not None:
            self._is_whole = False
        self.close()

    def close(self) -> None:
        """Close the file; if it was written to its end, publish it under its name, and replicate it.

        Raises:
            FileExistsError: Somebody else has saved another file of that name since it was opened.
            ReplicationError: As for saving a file.
        """
        if self.closed:
            return
        writing, self._writing = self._writing, None
        # `closing`, a `TextIOWrapper` around this, and the file of a model's field are not told of an exception.
        exception, handled, self._handled = sys.exception(), self._handled, None
        try:
            super().close()
        except BaseException:
            if writing is not None:
                writing.discard()
            raise
        if writing is None:
            return
        if not self._is_whole:
            writing.discard()
        elif exception is not None and exception is not handled:
            writing.discard()
            self._say_what_is_lost(f"it was closed while {type(exception).__name__} was on its way")
        else:
            writing.publish()

    def _dealloc_warn(self, source: object) -> None:
        """Learn that what was wrapped around this is not closed, but thrown away: files of `io` call this before they close."""
        if self._writing is not None:
            self._is_whole = False
            self._say_what_is_lost("it was never closed")

    def __del__(self) -> None:
        writing, self._writing = self.__dict__.get("_writing"), None
        if writing is not None:
            # Nobody could handle what they raise; what was detached from the file below cannot be closed.
            for call in (writing.discard, partial(self._say_what_is_lost, "it was never closed"), writing.file.close):
                with contextlib.suppress(Exception):
                    call()

    def _say_what_is_lost(self, why: str) -> None:
        logger.warning("%s stays as it was: %s, and what was written is lost.", shown(str(self.name)), why)


def _open_plain(path: str, flags: int) -> int:
    """Open a file, and nothing else: a pipe would be waited for, and a device has no end."""
    descriptor = os.open(path, flags | os.O_NONBLOCK)
    try:
        require_plain(path, os.fstat(descriptor))
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor
