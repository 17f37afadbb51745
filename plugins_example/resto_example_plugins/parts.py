"""Parts of files: those of a local disk, and of S3 as django-storages has it. Of all else, files are read as a whole.

The files of most storages can be rewound only because they are downloaded first.
"""

import io
import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from django.core.files.storage import FileSystemStorage, Storage

from resto.transports import Version


if TYPE_CHECKING:
    from django.core.files.base import File


__all__ = ["Part", "Source", "part_of"]

_REPLACED = 412  # the answer of S3 if a file is another one


class Source(Protocol):
    """What brings bytes."""

    def read(self, size: int, /) -> bytes:
        """Return up to so many bytes; none at the end."""

    def close(self) -> None:
        """Leave it."""


@dataclass(frozen=True)
class Part:
    """A part of a file.

    Attributes:
        source: Brings neither less nor more than the part. Closing it closes the file.
        version: Of the file.
    """

    source: Source
    version: Version


def part_of(
    storage: Storage, name: str, file: "File[Any]", start: int, end: int | None, version: Version | None
) -> Part | None:
    """Return a part of a file; None if the storage gives none, or has another version than the one that is wanted.

    Args:
        storage: Whose file it is.
        name: The file's name.
        file: As the storage has opened it.
        start: As for `Transport.open_part`.
        end: As for `Transport.open_part`.
        version: As for `Transport.open_part`.
    """
    if isinstance(storage, FileSystemStorage):
        return _local_part(storage, name, file, start, end, version)
    s3 = sys.modules.get("storages.backends.s3")
    if s3 is not None and type(file) is s3.S3File:
        return _s3_part(s3, file, start, end, version)
    return None


def _local_part(
    storage: FileSystemStorage, name: str, file: "File[Any]", start: int, end: int | None, version: Version | None
) -> Part | None:
    raw = getattr(getattr(file, "file", None), "raw", None)
    if type(raw) is not io.FileIO:
        return None  # a subclass makes something else of what is on the disk
    status = os.fstat(raw.fileno())
    if not os.path.samestat(status, os.stat(storage.path(name))):  # noqa: PTH116 - beside fstat
        return None  # such as one that was decrypted to another place; or it was replaced just now
    told = Version(status.st_size, f"{status.st_ino}-{status.st_mtime_ns}")
    if version is not None and not told.is_same_as(version):
        return None
    raw.seek(start)
    return Part(_Limited(raw, _end(told, end) - start, file), told)


class _Limited:
    """So many bytes of a stream, which need not end there."""

    def __init__(self, stream: Source, left: int, file: "File[Any]") -> None:
        self._stream, self._file = stream, file
        self._left = left

    def read(self, size: int, /) -> bytes:
        block = self._stream.read(min(size, self._left))
        if self._left and not block:
            raise OSError("it was cut short while it was read")
        self._left -= len(block)
        return block

    def close(self) -> None:
        self._stream.close()
        self._file.close()


def _s3_part(s3: Any, file: Any, start: int, end: int | None, version: Version | None) -> Part | None:
    found = file.obj
    if found.content_encoding == "gzip":
        return None  # it is unpacked as it is read
    told = Version(found.content_length, found.e_tag)
    if version is not None and not told.is_same_as(version):
        return None
    if start >= told.size:
        return Part(io.BytesIO(), told)  # an empty file, of which there are no ranges
    options = s3._filter_download_params(file._storage.get_object_parameters(file.name))  # noqa: SLF001 - as the file does
    try:
        answer = found.get(Range=f"bytes={start}-{_end(told, end) - 1}", IfMatch=told.tag, **options)
    except s3.ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] == _REPLACED:
            return None
        raise
    # Not read to its end, where boto compares it with the checksum of the whole file that some servers send.
    part = Part(_Limited(answer["Body"], _end(told, end) - start, file), told)
    if answer["ETag"] == told.tag:
        return part
    part.source.close()  # of a server that knows no conditions
    return None


def _end(version: Version, end: int | None) -> int:
    return version.size if end is None else min(end, version.size)
