"""How contents get into files."""

import contextlib
import errno
import io
import os
import stat
import tempfile
from collections.abc import Iterable, Iterator
from typing import IO, Any

from django.core.files import File
from django.core.files.uploadedfile import TemporaryUploadedFile

from resto.master.root import Root


__all__ = [
    "copy",
    "encoded",
    "link_over",
    "plain_file",
    "remove_upload",
    "require_plain",
    "write_all",
    "write_content",
]


def plain_file(content: "File[Any]") -> IO[bytes] | None:
    """Return the file of the operating system that content is, if it is nothing else than that, to be read by descriptor.

    A subclass may read something else than what is in the file, and so may other kinds of files: that of `gzip`, for example.
    """
    kind: type[Any] = type(content)  # some callers have what is no file of Django's
    file: Any = getattr(content, "file", None)
    if not issubclass(kind, File) or kind.chunks is not File.chunks or kind.read is not File.read:
        return None
    if type(file) is tempfile._TemporaryFileWrapper:  # noqa: SLF001 - it has no other name
        file = file.file
    raw = file.raw if type(file) in (io.BufferedReader, io.BufferedRandom) else file
    if type(raw) is not io.FileIO:
        return None
    if type(file) is io.BufferedRandom:
        file.flush()
    status = os.fstat(file.fileno())
    # Files of /proc, among others, have a content and no size.
    is_plain = file.readable() and stat.S_ISREG(status.st_mode) and status.st_size > 0
    return file if is_plain else None


def encoded(chunks: Iterable[Any]) -> Iterator[bytes]:
    """Yield the bytes of chunks, which are all text or all bytes.

    Raises:
        TypeError: They are neither: the first one says what they are, as Django has it.
    """
    is_text: bool | None = None
    for chunk in chunks:
        if is_text is None:
            is_text = not isinstance(chunk, bytes)
        if is_text is not isinstance(chunk, str):
            wanted = "str" if is_text else "bytes"
            raise TypeError(f"a chunk of the content must be {wanted}, not {type(chunk).__name__}")
        yield chunk.encode() if is_text else chunk


def write_all(descriptor: int, data: bytes) -> None:
    """Write data, however little the system takes at a time."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def copy(source: IO[bytes], descriptor: int) -> bool:
    """Let the system copy a file, which may not have to move a byte; return False if it cannot."""
    position, size = 0, os.fstat(source.fileno()).st_size
    while position < size:
        try:
            copied = os.copy_file_range(source.fileno(), descriptor, size - position, position)
        except OSError as error:
            # Such as from another file system, before Linux 5.3. A full disk is another matter.
            if position == 0 and error.errno != errno.ENOSPC:
                return False
            raise
        if not copied:
            break  # it has become shorter
        position += copied
    return True


def link_over(source: str, root: int, temporary: str) -> bool:
    """Let a temporary file be another file, which keeps its own name, too; return False where that cannot be.

    One that has been saved before is not linked once more: whoever changed one of the two would change the other.

    Args:
        source: The path of the other file.
        root: A descriptor of the directory of the master copy.
        temporary: The name of the file there.
    """
    link = f"{temporary}-"
    try:
        if os.stat(source).st_nlink > 1:  # noqa: PTH116 - a tenth of the time of Path, in every save
            return False
        os.link(source, link, dst_dir_fd=root)
    except OSError:  # on another file system, or on one without links
        return False
    os.replace(link, temporary, src_dir_fd=root, dst_dir_fd=root)
    return True


def require_plain(path: str, status: os.stat_result) -> None:
    """Raise `OSError` unless something is a file.

    Args:
        path: Of it, for the error.
        status: What the system says of it.
    """
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "Neither a file nor a directory, but a pipe or a device", path)


def write_content(root: Root, temporary: str, descriptor: int, content: "File[Any]") -> None:
    """Write what is to be saved into a temporary file, with as few copies as possible, and close it.

    Args:
        root: The directory of the master copy.
        temporary: The name of the file there.
        descriptor: Of the file.
        content: What to write, at any position, text or bytes. It is read to its end, but for an upload with a file of its own.
    """
    try:
        if hasattr(content, "temporary_file_path"):
            if link_over(upload := content.temporary_file_path(), root.descriptor, temporary):
                return
            os.fchmod(descriptor, stat.S_IMODE(os.stat(upload).st_mode))  # noqa: PTH116 - beside fchmod
        source = plain_file(content)
        if source is None or not copy(source, descriptor):
            for chunk in encoded(content.chunks()):
                write_all(descriptor, chunk)
        elif not hasattr(content, "temporary_file_path"):
            source.seek(0, os.SEEK_END)  # as if it was read
    finally:
        os.close(descriptor)  # readers on other machines see what was written when it is closed, with NFS


def remove_upload(content: "File[Any]") -> None:
    """Remove the temporary file of an upload that is saved, unless it does so itself when it is closed: Django would have moved it.

    Not before: a save that is undone leaves the upload as it was, to be saved again, or elsewhere.
    """
    if hasattr(content, "temporary_file_path") and not isinstance(content, TemporaryUploadedFile):
        with contextlib.suppress(OSError):  # the file is saved, whatever becomes of this
            os.unlink(content.temporary_file_path())  # noqa: PTH108 - as for `link_over`
