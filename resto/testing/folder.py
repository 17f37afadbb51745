"""The store that keeps the test server's files in a real directory."""

from __future__ import annotations

import os
import secrets
import shutil
import stat
import threading
from pathlib import Path
from typing import BinaryIO

from resto.testing.files import Entry, FileStore, Upload, parent_of


# Only the server's own temporary files are hidden. Those that a client leaves behind under a
# name of its own are what a test wants to see.
TEMPORARY_PREFIX = ".resto-incoming-"


class FolderFiles(FileStore):
    """Files below a directory, which may be changed behind the server's back."""

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self._root = Path(root).resolve()
        self._root.mkdir(parents=True, exist_ok=True)
        # Makes "look, then change" one step among the threads of one server.
        self._lock = threading.RLock()

    def find(self, name: str) -> Entry | None:
        try:
            return _describe(self._path(name).stat())
        except (FileNotFoundError, NotADirectoryError):
            return None

    def open(self, name: str) -> tuple[Entry, BinaryIO]:
        self._check_is_file(name)
        file = self._path(name).open("rb")
        return _describe(os.fstat(file.fileno())), file

    def upload(self, name: str, *, in_place: bool) -> Upload:
        with self._lock:
            self._check_can_hold(name)
            path = self._path(name)
            if in_place:
                return _InPlaceUpload(path)
            return _AtomicUpload(self, name, self._root / f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}")

    def delete(self, name: str) -> None:
        with self._lock:
            self._check_is_file(name)
            self._path(name).unlink()

    def delete_directory(self, name: str) -> None:
        with self._lock:
            shutil.rmtree(self._path(name))

    def make_directory(self, name: str) -> None:
        with self._lock:
            if self.find(name) is not None:
                raise FileExistsError(name)
            self._check_parent(name)
            self._path(name).mkdir()

    def move(self, source: str, target: str, *, overwrite: bool) -> bool:
        with self._lock:
            self._check_is_file(source)
            return self.put(target, self._path(source), overwrite=overwrite)

    def children(self, name: str) -> list[tuple[str, Entry]]:
        found = []
        for path in sorted(self._path(name).iterdir()):
            entry = self.find(f"{name}/{path.name}" if name else path.name)
            if entry is not None and not path.name.startswith(TEMPORARY_PREFIX):
                found.append((path.name, entry))
        return found

    def put(self, name: str, source: Path, *, overwrite: bool = True) -> bool:
        """Rename a file into the store; return whether the name is new.

        Raises:
            FileExistsError: The name is taken and `overwrite` is false.
        """
        with self._lock:
            self._check_can_hold(name)
            new = self.find(name) is None
            if not new and not overwrite:
                raise FileExistsError(name)
            source.replace(self._path(name))
            return new

    def _path(self, name: str) -> Path:
        return self._root / name

    def _check_can_hold(self, name: str) -> None:
        if self._path(name).is_dir():
            raise IsADirectoryError(name)
        self._check_parent(name)

    def _check_parent(self, name: str) -> None:
        if not self._path(parent_of(name)).is_dir():
            raise NotADirectoryError(parent_of(name))

    def _check_is_file(self, name: str) -> None:
        entry = self.find(name)
        if entry is None:
            raise FileNotFoundError(name)
        if entry.is_directory:
            raise IsADirectoryError(name)


class _AtomicUpload(Upload):
    def __init__(self, store: FolderFiles, name: str, temporary: Path) -> None:
        self._store = store
        self._name = name
        self._temporary = temporary
        self._file = temporary.open("xb")

    def write(self, data: bytes) -> None:
        self._file.write(data)

    def publish(self) -> bool:
        try:
            self._file.close()
            return self._store.put(self._name, self._temporary)
        except OSError:
            self.abandon()
            raise

    def abandon(self) -> None:
        self._file.close()
        self._temporary.unlink(missing_ok=True)


class _InPlaceUpload(Upload):
    def __init__(self, path: Path) -> None:
        self._new = not path.exists()
        # Unbuffered, so that readers see what was received so far.
        self._file = path.open("wb", buffering=0)

    def write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[self._file.write(rest) :]

    def publish(self) -> bool:
        self._file.close()
        return self._new

    def abandon(self) -> None:
        self._file.close()


def _describe(status: os.stat_result) -> Entry:
    is_directory = stat.S_ISDIR(status.st_mode)
    return Entry(
        is_directory=is_directory,
        size=0 if is_directory else status.st_size,
        modified=status.st_mtime,
        # The inode tells two uploads within one tick of the file system's clock apart.
        etag="" if is_directory else f'"{status.st_ino:x}-{status.st_mtime_ns:x}-{status.st_size:x}"',
    )
