"""Where the test server keeps its files: the contract, and the store in memory."""

from __future__ import annotations

import io
import itertools
import threading
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import BinaryIO


@dataclass(frozen=True)
class Entry:
    """What a store knows about one file or directory."""

    is_directory: bool
    size: int
    """In bytes; 0 for a directory."""
    modified: float
    """In seconds since the epoch."""
    etag: str
    """Quoted; changes with each upload."""


class Upload(ABC):
    """One file being received. Ends with either `publish` or `abandon`."""

    @abstractmethod
    def write(self, data: bytes) -> None:
        """Append to the file."""

    @abstractmethod
    def publish(self) -> bool:
        """Give the file its final name; return whether the name is new.

        Raises:
            NotADirectoryError: The parent has gone meanwhile.
            IsADirectoryError: The name has become a directory meanwhile.
        """

    @abstractmethod
    def abandon(self) -> None:
        """Forget the file; one written in place stays as it is, cut off."""


class FileStore(ABC):
    """Named files in directories. Every method may be called from several threads at once.

    Names are relative, ``/`` between parts, not percent-encoded, and pass `is_valid_name`; the
    empty name is the top directory. All methods raise:

    - `FileNotFoundError`: there is nothing of that name,
    - `NotADirectoryError`: the parent is missing, or is a file,
    - `IsADirectoryError`: the name is a directory, and a file is needed.
    """

    @abstractmethod
    def find(self, name: str) -> Entry | None:
        """Describe what has this name; None when there is nothing."""

    @abstractmethod
    def open(self, name: str) -> tuple[Entry, BinaryIO]:
        """Open a file for reading; what is read stays whole when the file is replaced."""

    @abstractmethod
    def upload(self, name: str, *, in_place: bool) -> Upload:
        """Begin to receive a file, under its final name at once if `in_place`."""

    @abstractmethod
    def delete(self, name: str) -> None:
        """Remove a file, never a directory."""

    @abstractmethod
    def delete_directory(self, name: str) -> None:
        """Remove a directory that is there, with all that is in it."""

    @abstractmethod
    def make_directory(self, name: str) -> None:
        """Create a directory in an existing one.

        Raises:
            FileExistsError: The name is taken.
        """

    @abstractmethod
    def move(self, source: str, target: str, *, overwrite: bool) -> bool:
        """Rename a file atomically; return whether the target is new.

        Raises:
            FileExistsError: The target is there and `overwrite` is false.
        """

    @abstractmethod
    def children(self, name: str) -> list[tuple[str, Entry]]:
        """List a directory: base names with what they are, sorted."""

    def make_parents(self, name: str) -> None:
        """Create every missing directory above a name."""
        parts = name.split("/")[:-1]
        for depth in range(1, len(parts) + 1):
            try:
                self.make_directory("/".join(parts[:depth]))
            except FileExistsError:
                continue  # a file there is noticed one level below

    def names(self, directory: str = "") -> list[str]:
        """Return the names of all files below a directory."""
        found = []
        for base, entry in self.children(directory):
            name = f"{directory}/{base}" if directory else base
            found += self.names(name) if entry.is_directory else [name]
        return found


def is_valid_name(name: str) -> bool:
    """Tell whether a name stays inside the store and has one spelling only."""
    return not any(part in {"", ".", ".."} or "\0" in part for part in name.split("/"))


def parent_of(name: str) -> str:
    """Return the directory that holds a name."""
    return name.rpartition("/")[0]


@dataclass
class _MemoryFile:
    content: bytes | bytearray
    serial: int
    modified: float = field(default_factory=time.time)

    def describe(self) -> Entry:
        size = len(self.content)
        return Entry(is_directory=False, size=size, modified=self.modified, etag=f'"{self.serial:x}-{size:x}"')


class MemoryFiles(FileStore):
    """Files in memory; directories are tracked explicitly, so that an empty one exists."""

    def __init__(self) -> None:
        self._files: dict[str, _MemoryFile] = {}
        self._directories = {"": time.time()}
        self._serials = itertools.count(1)
        self._lock = threading.RLock()

    def find(self, name: str) -> Entry | None:
        with self._lock:
            if name in self._directories:
                return Entry(is_directory=True, size=0, modified=self._directories[name], etag="")
            return self._files[name].describe() if name in self._files else None

    def open(self, name: str) -> tuple[Entry, BinaryIO]:
        with self._lock:
            self._check_is_file(name)
            # One copy serves for both: a file written in place grows meanwhile.
            snapshot = _MemoryFile(
                bytes(self._files[name].content), self._files[name].serial, self._files[name].modified
            )
        return snapshot.describe(), io.BytesIO(snapshot.content)

    def upload(self, name: str, *, in_place: bool) -> Upload:
        with self._lock:
            self.check_can_hold(name)
            return _MemoryUpload(self, name, in_place=in_place)

    def delete(self, name: str) -> None:
        with self._lock:
            self._check_is_file(name)
            del self._files[name]

    def delete_directory(self, name: str) -> None:
        with self._lock:
            for kept in (self._files, self._directories):
                for known in [one for one in kept if f"{one}/".startswith(f"{name}/")]:
                    del kept[known]

    def make_directory(self, name: str) -> None:
        with self._lock:
            if name in self._directories or name in self._files:
                raise FileExistsError(name)
            self._check_parent(name)
            self._directories[name] = time.time()

    def move(self, source: str, target: str, *, overwrite: bool) -> bool:
        with self._lock:
            self._check_is_file(source)
            self.check_can_hold(target)
            new = target not in self._files
            if not new and not overwrite:
                raise FileExistsError(target)
            self._files[target] = self._files.pop(source)
            return new

    def children(self, name: str) -> list[tuple[str, Entry]]:
        with self._lock:
            names = [known for known in [*self._files, *self._directories] if known and parent_of(known) == name]
            found = [(known.rpartition("/")[2], self.find(known)) for known in sorted(names)]
        return [(base, entry) for base, entry in found if entry is not None]

    def names(self, directory: str = "") -> list[str]:
        prefix = f"{directory}/" if directory else ""
        with self._lock:
            return sorted(name for name in self._files if name.startswith(prefix))

    def put(self, name: str, content: bytes | bytearray) -> bool:
        """Make this object the content of a file; return whether the name is new."""
        with self._lock:
            self.check_can_hold(name)
            new = name not in self._files
            self._files[name] = _MemoryFile(content, next(self._serials))
            return new

    def check_can_hold(self, name: str) -> None:
        """Raise unless a file may have this name."""
        if name in self._directories:
            raise IsADirectoryError(name)
        self._check_parent(name)

    def _check_parent(self, name: str) -> None:
        if parent_of(name) not in self._directories:
            raise NotADirectoryError(parent_of(name))

    def _check_is_file(self, name: str) -> None:
        if name in self._directories:
            raise IsADirectoryError(name)
        if name not in self._files:
            raise FileNotFoundError(name)


class _MemoryUpload(Upload):
    def __init__(self, store: MemoryFiles, name: str, *, in_place: bool) -> None:
        self._store = store
        self._name = name
        self._content = bytearray()
        self._new = store.put(name, self._content) if in_place else None

    def write(self, data: bytes) -> None:
        self._content += data

    def publish(self) -> bool:
        return self._store.put(self._name, bytes(self._content)) if self._new is None else self._new

    def abandon(self) -> None:
        pass
