"""The store of a disk that takes some spellings of a name for one, as those of macOS and Windows."""

from __future__ import annotations

import threading
import unicodedata
from typing import BinaryIO

from resto.testing.files import Entry, FileStore, Upload


class FoldingFiles(FileStore):
    """The files of another store, each of which has all spellings of its name; it keeps the first one.

    Args:
        files: The other store.
        case: Whether upper and lower case are one.
        forms: Whether both forms of Unicode are one, those of letters with accents.
    """

    def __init__(self, files: FileStore, *, case: bool, forms: bool) -> None:
        self._files = files
        self._case = case
        self._forms = forms
        self._lock = threading.RLock()

    def find(self, name: str) -> Entry | None:
        return self._files.find(self._spelled(name))

    def open(self, name: str) -> tuple[Entry, BinaryIO]:
        return self._files.open(self._spelled(name))

    def upload(self, name: str, *, in_place: bool) -> Upload:
        return self._files.upload(self._spelled(name), in_place=in_place)

    def delete(self, name: str) -> None:
        self._files.delete(self._spelled(name))

    def delete_directory(self, name: str) -> None:
        self._files.delete_directory(self._spelled(name))

    def make_directory(self, name: str) -> None:
        with self._lock:
            self._files.make_directory(self._spelled(name))

    def move(self, source: str, target: str, *, overwrite: bool) -> bool:
        with self._lock:
            return self._files.move(self._spelled(source), self._spelled(target), overwrite=overwrite)

    def children(self, name: str) -> list[tuple[str, Entry]]:
        return self._files.children(self._spelled(name))

    def _spelled(self, name: str) -> str:
        """Return a name as that is spelled which is there, as far as it is."""
        spelled = ""
        for part in name.split("/") if name else ():
            above = self._files.find(spelled)
            known = self._files.children(spelled) if above is not None and above.is_directory else []
            same = [base for base, _ in known if self._key(base) == self._key(part)]
            spelled = "/".join([*filter(None, [spelled]), same[0] if same else part])
        return spelled

    def _key(self, part: str) -> str:
        """Return what spellings have in common that are one."""
        if self._forms:
            part = unicodedata.normalize("NFC", part)
        return part.casefold() if self._case else part
