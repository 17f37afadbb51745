"""Files that are written beside the one whose place they are to take, and never take the place of another one."""

import errno
import os
import shutil
from contextlib import suppress
from typing import IO, Any, Literal, Protocol

from resto.master.root import Root
from resto.master.snapshots import Snapshot, SnapshotReader, fingerprint_at, snapshot_at
from resto.master.writing import require_plain


__all__ = ["Became", "Beside", "open_beside"]

# What becomes of what was written. Nothing is to be published if nothing would be lost without it.
Became = Literal["published", "deleted", "replaced", "unchanged"]


class Create(Protocol):
    """Makes an empty temporary file for a name, which nobody else may open if it is private; returns its name, and a descriptor."""

    def __call__(self, root: Root, name: str, *, is_private: bool) -> tuple[str, int]: ...


_BLOCK_SIZE = 256 * 1024

# Others cannot publish so often while one process looks that this is too few.
_MAX_ROUNDS = 100


class Beside:
    """What is written to a file under a temporary name.

    The file that was opened is held open meanwhile, so that no other one can have its state.

    Args:
        name: The file's name.
        mode: As for the builtin `open`.
        opened: The file as it was when it was opened; None if there was none.
        temporary: The name under which is written.
        size: How many bytes of the file that was opened are there.

    Attributes:
        file: Where to write.
    """

    file: IO[Any]

    def __init__(self, name: str, mode: str, opened: Snapshot | None, temporary: str, size: int) -> None:
        self._name = name
        self._mode = mode
        self._opened = opened
        self._temporary = temporary
        self._size = size

    def publish(self, root: Root, permissions: int | None, create: Create) -> Became:
        """Let what was written be the file, unless that is not the one any more that was opened.

        What was appended comes after what others have appended meanwhile.

        Args:
            root: The directory of the master copy.
            permissions: Permission bits of new files there; None to leave them. One that is replaced has its own.
            create: Makes an empty temporary file.

        Returns:
            ``"deleted"`` or ``"replaced"`` if what was written is lost; ``"unchanged"`` if nothing was written.
        """
        for _ in range(_MAX_ROUNDS):
            became = self._published(root, permissions)
            if became == "published":
                return became
            if self._is_as_opened(root):
                return "unchanged"
            if became == "deleted" or not self._append_to_present(root, create):
                return became
        return "replaced"

    def _published(self, root: Root, permissions: int | None) -> Became:
        if self._opened is None:
            root.set_permissions(self._temporary, root.status(self._temporary), permissions)
            is_published = root.publish(self._temporary, self._name, replace=False)
            return "published" if is_published else "replaced"
        state = fingerprint_at(root, self._name)
        if state != self._opened.fingerprint:
            return "deleted" if state is None else "replaced"
        root.keep_permissions(self._temporary, self._opened.present_status())
        # A rename cannot be made to depend on what it replaces. What another process does between that look and this rename, some
        # microseconds, is undone. Its rows in the record, and those of this change, see to it that hosts follow all the same.
        return "published" if root.publish(self._temporary, self._name, replace=True) else "replaced"

    def _is_as_opened(self, root: Root) -> bool:
        """Tell whether there is nothing in it but what was there, so that nothing can be lost."""
        if "x" in self._mode:
            return False
        if self._opened is not None and self._size < self._opened.fingerprint[2]:
            return False  # it was emptied when it was opened
        with self._written(root) as written:
            return written.fingerprint[2] == self._size and self._begins_as_opened(written)

    def _append_to_present(self, root: Root, create: Create) -> bool:
        """Begin anew with the present file if that was appended to, as this was; return False if it is another one.

        One that was deleted and saved anew, and happens to begin in the same way, cannot be told from that.
        """
        present = snapshot_at(root, self._name) if "a" in self._mode else None
        if present is None:
            return False
        with self._written(root) as written:
            if not self._begins_as_opened(written) or not self._begins_as_opened(present):
                present.close()
                return False
            appended = SnapshotReader(written)
            appended.seek(self._size)
            temporary, descriptor = create(root, self._name, is_private=True)
            self.discard(root)
            self._opened, self._temporary = present, temporary
            with os.fdopen(descriptor, "wb") as file:
                shutil.copyfileobj(SnapshotReader(present), file)
                self._size = file.tell()
                shutil.copyfileobj(appended, file)
        return True

    def _written(self, root: Root) -> Snapshot:
        return Snapshot(root.open(self._temporary, os.O_RDONLY))

    def _begins_as_opened(self, other: Snapshot) -> bool:
        """Tell whether a file begins with the content that was there when this was opened."""
        position = 0
        while self._opened is not None and position < self._size:
            block = self._opened.read(min(_BLOCK_SIZE, self._size - position), position)
            if not block or other.read(len(block), position) != block:
                return False
            position += len(block)
        return True

    def discard(self, root: Root | None) -> None:
        """Remove the temporary file, if it is there.

        Args:
            root: The directory of the master copy; None if that is gone.
        """
        if root is not None:
            root.remove(self._temporary)
        if self._opened is not None:
            self._opened.close()
            self._opened = None


def open_beside(root: Root, name: str, mode: str, create: Create) -> Beside:
    """Open a temporary file; see `MasterCopy.open_beside`.

    Args:
        root: The directory of the master copy.
        name: The file's name.
        mode: As for the builtin `open`.
        create: Makes an empty temporary file.
    """
    opened = _opened(root, name, mode)
    try:
        temporary, descriptor = create(root, name, is_private=opened is not None)
        try:
            with os.fdopen(descriptor, "wb") as empty:
                if opened is not None and "w" not in mode:
                    shutil.copyfileobj(SnapshotReader(opened), empty)
                beside = Beside(name, mode, opened, temporary, empty.tell())
            beside.file = open(temporary, mode.replace("x", "w"), opener=root.open)  # noqa: SIM115 - whoever writes closes it
        except BaseException:
            root.remove(temporary)
            raise
    except BaseException:
        if opened is not None:
            opened.close()
        raise
    return beside


def _opened(root: Root, name: str, mode: str) -> Snapshot | None:
    """Open the file that is about to be written; return None if there is none, and the mode makes one."""
    with suppress(FileNotFoundError):
        require_plain(f"{root.path}/{name}", root.status(name))
    opened = snapshot_at(root, name)
    if opened is None and not set(mode) & set("wxa"):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)
    if opened is not None and "x" in mode:
        opened.close()
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), name)
    return opened
