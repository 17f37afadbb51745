"""How contents get into files, and directories come to be."""

import contextlib
import errno
import io
import os
import stat
import tempfile
from pathlib import Path
from typing import IO, Any

from django.core.files import File
from django.core.files.uploadedfile import TemporaryUploadedFile


__all__ = ["copy", "link_over", "make_directory", "plain_file", "remove", "remove_older", "remove_upload", "write_all"]


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


def link_over(source: str, temporary: str) -> bool:
    """Let a temporary file be another file, which keeps its own name, too; return False where that cannot be.

    One that has been saved before is not linked once more: whoever changed one of the two would change the other.
    """
    link = f"{temporary}-"
    try:
        if os.stat(source).st_nlink > 1:  # noqa: PTH116 - as for `remove`
            return False
        os.link(source, link)
    except OSError:  # on another file system, or on one without links
        return False
    os.replace(link, temporary)  # noqa: PTH105 - as for `remove`
    return True


def remove_upload(content: "File[Any]") -> None:
    """Remove the temporary file of an upload that is saved, unless it does so itself when it is closed: Django would have moved it.

    Not before: a save that is undone leaves the upload as it was, to be saved again, or elsewhere.
    """
    if hasattr(content, "temporary_file_path") and not isinstance(content, TemporaryUploadedFile):
        with contextlib.suppress(OSError):  # the file is saved, whatever becomes of this
            os.unlink(content.temporary_file_path())  # noqa: PTH108 - as for `remove`


def remove(path: str) -> None:
    """Remove a file, if it is there."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)  # noqa: PTH108 - a tenth of the time of Path, in every save


def remove_older(directory: str, prefix: str, oldest: float) -> None:
    """Remove files of a directory that begin with a prefix and have not changed since a time.

    Whatever forbids to look or to remove is left as it is.

    Args:
        directory: Its path.
        prefix: Of the names.
        oldest: Seconds since the epoch.
    """
    with contextlib.suppress(OSError), os.scandir(directory) as entries:
        for entry in [entry for entry in entries if entry.name.startswith(prefix)]:
            with contextlib.suppress(OSError):
                # Not the time of modification: an uploaded file that was moved here has brought its own.
                if entry.stat(follow_symlinks=False).st_ctime < oldest:
                    Path(entry.path).unlink()


def make_directory(path: Path, mode: int | None) -> None:
    """Create a directory and those above it, each with this mode, or as the umask wants.

    ``os.makedirs`` applies its mode to the last directory only.
    """
    if path.is_dir():
        return
    make_directory(path.parent, mode)
    try:
        path.mkdir(0o777 if mode is None else mode)
    except FileExistsError:
        if not path.is_dir():  # else somebody else has just made it
            raise
        return
    if mode is not None:
        # The group that a directory hands down stays as it was inherited.
        path.chmod(mode | path.stat().st_mode & stat.S_ISGID)
