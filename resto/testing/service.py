"""All of a media server but its sockets: what it serves, how it behaves, and what it has recorded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from resto.testing.actions import Request, Site
from resto.testing.faults import Faults
from resto.testing.files import FileStore, MemoryFiles, is_valid_name
from resto.testing.folder import FolderFiles
from resto.testing.folding import FoldingFiles


if TYPE_CHECKING:
    import os


class Service(Faults):
    """What connections and exchanges need of the server that they belong to, and tests look at.

    Every attribute may be set at any time: it holds for whatever happens next.

    Args:
        root: Directory to keep the files in, made if missing; memory if not given.
        webdav: As for `TestHttpServer`.
        credentials: User and password that every request has to bring (Basic authentication).
        in_place: Whether uploads are written under their final name from the first byte.
        deletes_trees: Whether what is done to the name of a directory is done to all that is in it.
        dates_directories: Whether directories are answered for as if they were files.
        folds_case: Whether names that differ by upper and lower case only are one.
        folds_forms: Whether names that differ by the form of Unicode only are one.
    """

    log: list[tuple[str, str, int]]
    """Method, path and status code of each answer, in the order of the answers."""

    requests: list[Request]
    """Each request, in the order of arrival; those that were not answered have no status."""

    on_request: Callable[[str, str], None] | None
    """Called with method and path in the serving thread, when a request was read and before it is carried out.

    It may block. With `in_place`, the body of a PUT has been written by then.
    """

    on_applied: Callable[[str, str], None] | None
    """Called in the same way when the action was carried out, before the answer is sent."""

    def __init__(
        self,
        *,
        root: str | os.PathLike[str] | None = None,
        webdav: bool | None = None,
        credentials: tuple[str, str] | None = None,
        in_place: bool = False,
        deletes_trees: bool = False,
        dates_directories: bool = False,
        folds_case: bool = False,
        folds_forms: bool = False,
    ) -> None:
        store: FileStore = MemoryFiles() if root is None else FolderFiles(root)
        is_folding = folds_case or folds_forms
        self._store = FoldingFiles(store, case=folds_case, forms=folds_forms) if is_folding else store
        # For the modules beside this one, not for tests.
        self.site = Site(
            self._store,
            webdav=webdav,
            in_place=in_place,
            deletes_trees=deletes_trees,
            dates_directories=dates_directories,
        )
        self.software = "in-place" if in_place else "resto-testing"
        self.credentials = credentials
        self.log = []
        self.requests = []
        self.on_request = None
        self.on_applied = None
        super().__init__()

    @property
    def files(self) -> Mapping[str, bytes]:
        """A live view of all files: name to content; equal to a dictionary of the same."""
        return _FilesView(self._store)

    def has_file(self, name: str) -> bool:
        """Tell whether a file exists."""
        entry = self._store.find(name) if is_valid_name(name) else None
        return entry is not None and not entry.is_directory

    def get_file(self, name: str) -> bytes:
        """Return the content of a file.

        Raises:
            KeyError: There is no such file.
        """
        return self.files[name]

    def create_file(self, name: str, content: bytes) -> None:
        """Create or replace a file, and the directories above it."""
        if not is_valid_name(name):
            message = f"not a name for a file: {name!r}"
            raise ValueError(message)
        self._store.make_parents(name)
        upload = self._store.upload(name, in_place=False)
        upload.write(content)
        upload.publish()

    def delete_file(self, name: str) -> None:
        """Delete a file.

        Raises:
            KeyError: There is no such file.
        """
        if not self.has_file(name):
            raise KeyError(name)
        self._store.delete(name)


class _FilesView(Mapping[str, bytes]):
    def __init__(self, store: FileStore) -> None:
        self._store = store

    def __getitem__(self, name: str) -> bytes:
        if not is_valid_name(name):
            raise KeyError(name)
        try:
            _, file = self._store.open(name)
        except (FileNotFoundError, IsADirectoryError):
            raise KeyError(name) from None
        with file:
            return file.read()

    def __iter__(self) -> Iterator[str]:
        return iter(self._store.names())

    def __len__(self) -> int:
        return len(self._store.names())

    def __repr__(self) -> str:
        return repr(dict(self))
