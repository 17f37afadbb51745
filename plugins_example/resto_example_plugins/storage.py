"""The transport to whatever Django can store files in."""

import io
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from typing import Any, BinaryIO, cast

from django.core.files.base import File
from django.core.files.storage import FileSystemStorage, Storage, storages
from django.utils import timezone

from resto.exceptions import ConfigurationError, HostUnavailableError, RemoteFileChangedError
from resto.names import is_temporary, temporary_name
from resto.settings import storage_settings
from resto.storage import ReplicatedStorage, is_replicated
from resto.transports import Directory, Entry, FilePart, Transport, Version
from resto_example_plugins.errors import StorageError, is_silence, translated
from resto_example_plugins.parts import Source, part_of


__all__ = ["StorageTransport"]


class StorageTransport(Transport):
    """Makes each storage that ``STORAGES`` names a host, by its alias.

    It is as fast, and waits as long, as the storage does: the ``timeout`` of resto has no effect. Whether a reader may see half
    a file while it is uploaded is up to the storage, except on a local disk, where it never does. A storage that does not
    overwrite lacks the file while it is replaced.
    """

    supports_listdir = True
    supports_modified_time = True
    supports_scan = True
    supports_parts = True

    def identify(self, host: str) -> str:
        if host not in storage_settings():
            raise ConfigurationError(
                f"STORAGES has no {host!r}, which is a host of the transport 'storage'",
                f"It has: {', '.join(storage_settings())}.",
                "E003",
            )
        if _leads_back(host):
            raise ConfigurationError(
                f"files of STORAGES[{host!r}] would be stored in STORAGES[{host!r}] again, without end",
                "Name another storage in 'hosts'.",
                "E003",
            )
        return f"STORAGES[{host!r}]"

    def local_path(self, host: str) -> str | None:
        try:
            storage = storages[host]
        except Exception:  # noqa: BLE001 - whatever it raises, who uses the host is told
            return None
        return str(storage.location) if isinstance(storage, FileSystemStorage) else None

    def open(self, host: str, name: str) -> BinaryIO:
        storage = _storage(host, name, "download")
        with translated(host, name, "download"), _reading(storage, name):
            return _stream(storage.open(name, "rb"), host, name)

    def open_part(self, host: str, name: str, start: int, end: int | None, version: Version | None = None) -> FilePart:
        storage = _storage(host, name, "download")
        with translated(host, name, "download"), _reading(storage, name), ExitStack() as unused:
            file = storage.open(name, "rb")
            unused.callback(file.close)
            part = part_of(storage, name, file, start, end, version)
            if part is not None or version is None:
                unused.pop_all()
                source, told = (file, None) if part is None else (part.source, part.version)
                return FilePart(_stream(source, host, name), told)
        raise RemoteFileChangedError(host, name, "download", "it was replaced while it was read")

    def exists(self, host: str, name: str) -> bool:
        storage = _storage(host, name, "exists")
        with translated(host, name, "exists"):
            return storage.exists(name) and not _is_local_directory(storage, name)

    def size(self, host: str, name: str) -> int:
        storage = _storage(host, name, "size")
        with translated(host, name, "size"), _reading(storage, name):
            if _is_local_directory(storage, name):
                raise FileNotFoundError(name)
            return storage.size(name)

    def create(self, host: str, name: str, content: bytes | BinaryIO) -> bool:
        storage, source = _storage(host, name, "upload"), _Source(content)
        with translated(host, name, "upload", source):
            existed = _has_file(storage, name)
            if isinstance(storage, FileSystemStorage):
                _replace(storage, name, source)
            else:
                _overwrite(storage, name, source, existed=existed)
        return existed

    def delete(self, host: str, name: str) -> bool:
        storage = _storage(host, name, "delete")
        with translated(host, name, "delete"):
            existed = _has_file(storage, name)
            # In any case: one that is composed of several may say that it does not have what a part of it has.
            with suppress(FileNotFoundError, NotADirectoryError):
                storage.delete(name)
        return existed

    def remove_directory(self, host: str, name: str) -> bool:
        if not is_temporary(name):
            raise ValueError(f"{name!r} may be a directory of the site")
        storage = _storage(host, name, "delete")
        if not isinstance(storage, FileSystemStorage):
            return False  # others have no directories, or no way to remove them with all that is in them
        with translated(host, name, "delete"):
            if _is_local_directory(storage, name):
                shutil.rmtree(storage.path(name))
        return True

    def modified_time(self, host: str, name: str) -> datetime:
        storage = _storage(host, name, "modified_time")
        with translated(host, name, "modified_time"), _reading(storage, name):
            moment = storage.get_modified_time(name)
            return moment if timezone.is_aware(moment) else timezone.make_aware(moment, timezone.get_default_timezone())

    def browse(self, host: str, name: str) -> Directory | None:
        return _browse(host, name, "listdir")

    def listdir(self, host: str, name: str) -> tuple[list[str], list[str]]:
        directory = _listed(host, name, "listdir")
        return sorted(directory.directories), sorted(directory.files)

    def scan(self, host: str, prefix: str) -> Iterator[Entry]:
        waiting = [prefix]
        while waiting:
            top = waiting.pop()
            directory = _listed(host, top, "scan")
            start = f"{top}/" if top else ""
            waiting += [start + part for part in directory.directories]
            # A storage tells sizes and times one by one only.
            yield from (Entry(start + part, None, None, None) for part in directory.files)


class _Source(io.RawIOBase):
    """What is sent, from its start; remembers if it could not be read. Closing it leaves the file open."""

    def __init__(self, content: bytes | BinaryIO) -> None:
        self._content = io.BytesIO(content) if isinstance(content, bytes) else content
        self.failure: BaseException | None = None
        if self._content.seekable():
            self._content.seek(0)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self._content.seekable()

    def readinto(self, buffer: Any) -> int:
        try:
            data = self._content.read(len(buffer))
        except BaseException as error:
            self.failure = error
            raise
        buffer[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._content.seek(offset, whence)

    def tell(self) -> int:
        return self._content.tell()


class _Download(io.RawIOBase):
    """What a storage sends."""

    def __init__(self, file: Source, host: str, name: str) -> None:
        self._file = file
        self._host = host
        self._name = name

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        with translated(self._host, self._name, "download"):
            data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if not self.closed:
            super().close()
            self._file.close()


def _stream(file: Source, host: str, name: str) -> BinaryIO:
    return cast("BinaryIO", io.BufferedReader(_Download(file, host, name)))


def _storage(host: str, name: str, action: str) -> Storage:
    """Return the storage that is a host, if it is there."""
    with translated(host, name, action):
        storage = storages[host]
    # Who saved files into the place of a disk that is not mounted would take those on the disk for deleted.
    if isinstance(storage, FileSystemStorage) and not os.path.isdir(storage.location):  # noqa: PTH112 - as Django has it
        problem = (
            f"the directory {storage.location} is missing. Is its file system mounted? If it is new, make the directory"
        )
        raise HostUnavailableError(host, name, action, problem)
    return storage


def _is_local_directory(storage: Storage, name: str) -> bool:
    return isinstance(storage, FileSystemStorage) and os.path.isdir(storage.path(name))  # noqa: PTH112 - as Django has it


def _has_file(storage: Storage, name: str) -> bool:
    """Tell whether a storage has a file; raise if it is a directory, which some storages would delete with all that is in it."""
    if not storage.exists(name):
        return False
    storage.open(name, "rb").close()
    return True


def _browse(host: str, name: str, action: str) -> Directory | None:
    storage = _storage(host, name, action)
    with translated(host, name, action):
        try:
            directories, files = storage.listdir(name)
        except NotImplementedError:
            return None
        directory = Directory()
        for part in directories:
            directory.add(part, None, is_directory=True)
        for part in files:
            directory.add(part, None, is_directory=False)
        if name and directory == Directory():
            _require_directory(storage, name)
        return directory


def _require_directory(storage: Storage, name: str) -> None:
    """Raise unless a name that nothing is below is that of a directory: storages of objects do not say so."""
    if not storage.exists(name):
        raise FileNotFoundError(name)
    with suppress(IsADirectoryError):
        storage.open(name, "rb").close()
        raise NotADirectoryError(name)


def _listed(host: str, name: str, action: str) -> Directory:
    directory = _browse(host, name, action)
    if directory is None:
        raise StorageError(host, name, action, "the storage cannot list its files")
    return directory


@contextmanager
def _reading(storage: Storage, name: str) -> Iterator[None]:
    """Raise `FileNotFoundError` if that is why a storage fails: not all of them say so in the same way."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError):
        raise
    except Exception as error:
        if not is_silence(error) and _lacks(storage, name):
            raise FileNotFoundError(name) from error
        raise


def _lacks(storage: Storage, name: str) -> bool:
    with suppress(Exception):
        return not storage.exists(name)
    return False


def _replace(storage: FileSystemStorage, name: str, source: _Source) -> None:
    """Store a file, so that whoever looks sees the old one or the new one, whole."""
    temporary = temporary_name(name)
    try:
        temporary = storage.save(temporary, _file(source, name))
        os.replace(storage.path(temporary), storage.path(name))  # noqa: PTH105 - both are strings
    except BaseException:
        with suppress(OSError):
            storage.delete(temporary)
        raise


def _overwrite(storage: Storage, name: str, source: _Source, *, existed: bool) -> None:
    """Store a file under exactly this name. Django's storages prefer to take another one."""
    if existed and storage.get_available_name(name) != name:
        storage.delete(name)
    saved = storage.save(name, _file(source, name))
    if saved != name:
        storage.delete(saved)
        raise FileExistsError(f"it was stored as {saved!r}, and deleted again")


def _file(source: _Source, name: str) -> "File[Any]":
    return File(cast("BinaryIO", source), name)


def _leads_back(alias: str) -> bool:
    """Tell whether a storage of resto would come to itself by way of its hosts."""
    seen: set[str] = set()
    waiting = [alias]
    while waiting:
        hosts = set(_hosts(waiting.pop())) - seen
        if alias in hosts:
            return True
        seen |= hosts
        waiting += hosts
    return False


def _hosts(alias: str) -> tuple[str, ...]:
    if not is_replicated(storage_settings().get(alias, {}).get("BACKEND")):
        return ()
    try:
        return cast("ReplicatedStorage", storages[alias]).hosts
    except Exception:  # noqa: BLE001 - its options are wrong, which is said where they are checked
        return ()
